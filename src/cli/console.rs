//! Where results, notes and progress go.
//!
//! Results go to standard output, as text or, with `--json`, as one JSON
//! value. Notes, warnings and progress go to standard error, so that a pipe
//! carries nothing but the result; progress bars are drawn on a terminal only.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::error::{CliResult, bail, one_line, stdout_error};

/// The way out for everything that a subcommand has to say.
#[derive(Debug)]
pub(crate) struct Console {
    json: bool,
    quiet: bool,
    debug: bool,
    bars: MultiProgress,
}

impl Console {
    /// A console for the global options `--json`, `--quiet` and `--debug`.
    pub(crate) fn new(json: bool, quiet: bool, debug: bool) -> Self {
        // indicatif draws nothing by itself when standard error is no
        // terminal; `--quiet` asks for the same on a terminal.
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        Self {
            json,
            quiet,
            debug,
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Whether the result is wanted as JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Something worth knowing that is not the result.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.line("note", text);
        }
    }

    /// Something that may be wrong; said even with `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        self.line("warning", text);
    }

    /// What ends the program with exit code 1.
    pub(crate) fn error(&self, text: &str) {
        self.line("error", text);
    }

    /// What is read, chosen and written, with `--debug`.
    pub(crate) fn debug(&self, text: &str) {
        if self.debug {
            self.line("debug", text);
        }
    }

    fn line(&self, kind: &str, text: &str) {
        let text = one_line(text);
        // Standard error that is closed or full must not end the work.
        self.bars
            .suspend(|| drop(writeln!(io::stderr(), "{kind}: {text}")));
    }

    /// Prints a result as text; `text` ends without a line break.
    pub(crate) fn print(&self, text: &str) -> CliResult {
        self.bars.suspend(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{text}")
                .and_then(|()| out.flush())
                .map_err(stdout_error)
        })
    }

    /// Prints a result as one indented JSON value.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> CliResult {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.print(&text),
            Err(e) => bail!("cannot write the result as JSON: {e}"),
        }
    }

    /// Prints `value` with `--json`, else what `text` makes.
    pub(crate) fn result(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> CliResult {
        if self.json {
            self.print_json(value)
        } else {
            self.print(&text())
        }
    }

    /// Writes a file's bytes to standard output.
    ///
    /// Refused on a terminal, where they would be noise.
    pub(crate) fn write_binary(&self, bytes: &[u8]) -> CliResult {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            bail!(
                "not writing binary data to a terminal; name a file with -o, or redirect the output"
            );
        }
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(stdout_error)
    }

    /// A progress bar called `what`, with the time left; its length comes with
    /// the first report. Gone when dropped.
    pub(crate) fn progress(&self, what: &str) -> Bar {
        let style = ProgressStyle::with_template("{msg} [{bar:32}] {percent} %, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        self.bar(ProgressBar::no_length().with_style(style), what)
    }

    /// A spinner for work whose length is not known.
    pub(crate) fn spinner(&self, what: &str) -> Bar {
        self.bar(ProgressBar::new_spinner(), what)
    }

    fn bar(&self, bar: ProgressBar, what: &str) -> Bar {
        let bar = self.bars.add(bar);
        bar.set_message(what.to_string());
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar(bar)
    }
}

/// A progress bar or spinner that vanishes when dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// What long work calls with the units done and the units in all.
    pub(crate) fn units(&self) -> impl Fn(usize, usize) + Sync + '_ {
        |done, all| {
            self.0.set_length(all as u64);
            self.0.set_position(done as u64);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
