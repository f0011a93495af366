//! What can end a subcommand early, and how it reads.
//!
//! An error is one line: what was wrong, what was expected, what to do. The
//! rooms write such lines themselves; here they only gain the name of the file
//! or argument that they are about.

use std::{fmt::Display, io, path::Path};

/// Why a subcommand ended without its result.
#[derive(Debug)]
pub(crate) enum CliError {
    /// One line for standard error.
    Message(String),
    /// The result has been printed and is itself bad news (encrypted and clear
    /// logits that differ): exit code 1, and nothing more to say.
    Reported,
    /// Whoever read standard output has closed it.
    ReaderGone,
}

/// The result of a subcommand or of a step of it.
pub(crate) type CliResult<T = ()> = Result<T, CliError>;

impl CliError {
    /// An error that says `text`.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }
}

/// Fails with a formatted line.
macro_rules! bail {
    ($($part:tt)*) => {
        return Err($crate::cli::error::CliError::new(format!($($part)*)))
    };
}
pub(crate) use bail;

/// Turns any room's error into a line.
pub(crate) trait Explain<T> {
    /// The error as it is.
    fn explain(self) -> CliResult<T>;
    /// The error, with what it is about in front: `alice.key.json: …`.
    fn about(self, subject: impl Display) -> CliResult<T>;
    /// The error, with the file that it is about in front.
    fn about_file(self, path: &Path) -> CliResult<T>;
}

impl<T, E: Display> Explain<T> for Result<T, E> {
    fn explain(self) -> CliResult<T> {
        self.map_err(|e| CliError::Message(e.to_string()))
    }

    fn about(self, subject: impl Display) -> CliResult<T> {
        self.map_err(|e| CliError::Message(format!("{subject}: {e}")))
    }

    fn about_file(self, path: &Path) -> CliResult<T> {
        self.about(file_name(path))
    }
}

/// How messages name a file: as it was typed, `-` as what it stands for.
pub(crate) fn file_name(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_string()
    } else {
        path.display().to_string()
    }
}

/// A failure to write to standard output.
pub(crate) fn stdout_error(error: io::Error) -> CliError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        CliError::ReaderGone
    } else {
        CliError::Message(format!("cannot write to standard output: {error}"))
    }
}

/// The most characters of a line: what comes from elsewhere must not fill the
/// screen.
const MAX_LINE: usize = 500;

/// `text` as one line that a terminal shows as it is, and not without end:
/// file names, labels and messages come from elsewhere and may hold line
/// breaks, escape sequences, or characters that turn the order of what follows
/// around. Those are shown by their numbers, white space as a space.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut length = 0;
    for c in text.chars() {
        let shown: String = match c {
            '\n' | '\r' | '\t' => " ".into(),
            c if c.is_control() || steers(c) => c.escape_unicode().collect(),
            c => c.into(),
        };
        length += shown.chars().count();
        if length > MAX_LINE {
            line.push('…');
            break;
        }
        line += &shown;
    }
    line
}

/// Whether a character separates lines or sets the direction of text.
fn steers(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_line_breaks_do_not_reach_the_terminal() {
        assert_eq!(
            one_line("a\nb\u{1b}[31mc\td\u{9b}"),
            r"a b\u{1b}[31mc d\u{9b}"
        );
    }

    #[test]
    fn direction_marks_and_separators_do_not_reach_the_terminal() {
        for c in "\u{200e}\u{200f}\u{202a}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}".chars() {
            let shown = one_line(&format!("gnp{c}.7"));
            assert_eq!(shown, format!("gnp\\u{{{:x}}}.7", u32::from(c)));
        }
        assert_eq!(one_line("größer – 数字"), "größer – 数字");
    }

    #[test]
    fn a_line_has_an_end() {
        assert_eq!(one_line(&"a".repeat(MAX_LINE)), "a".repeat(MAX_LINE));
        for endless in ["a", "数", "\u{202e}", "\n"] {
            let shown = one_line(&endless.repeat(100_000));
            assert!(shown.ends_with('…'));
            assert!(shown.chars().count() <= MAX_LINE + 1);
        }
    }

    #[test]
    fn standard_input_is_named_as_such() {
        let wrong: Result<(), &str> = Err("truncated");
        match wrong.about_file(Path::new("-")) {
            Err(CliError::Message(text)) => assert_eq!(text, "standard input: truncated"),
            other => panic!("{other:?}"),
        }
    }
}
