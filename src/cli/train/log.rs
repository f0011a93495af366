//! What a training says while it goes on, and the checkpoints that it keeps.

use std::path::Path;

use crate::{
    cli::{
        console::{Bar, Console},
        error::{CliError, CliResult, Explain},
    },
    file::{Mode, Overwrite, checkpoint::Checkpoint, write_atomic},
    train::{EpochRecord, Phase, Progress},
};

/// A bar for the epoch under way, a line for each that is done.
pub(super) struct Log<'a> {
    console: &'a Console,
    bar: Option<Bar>,
    done: usize,
    steps: usize,
    epochs: usize,
    checkpoint: Option<&'a Path>,
}

impl<'a> Log<'a> {
    /// A log that keeps checkpoints in `checkpoint`, if that is given.
    pub(super) fn new(console: &'a Console, checkpoint: Option<&'a Path>) -> Log<'a> {
        Log {
            console,
            bar: None,
            done: 0,
            steps: 0,
            epochs: 0,
            checkpoint,
        }
    }
}

impl Progress for Log<'_> {
    fn begin(&mut self, phase: Phase, epoch: usize, epochs: usize, steps: usize) {
        self.epochs = epochs;
        let what = format!("{phase} epoch {}/{epochs}", epoch + 1);
        (self.done, self.steps) = (0, steps);
        self.bar = Some(self.console.progress(&what));
    }

    fn step(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.units()(self.done, self.steps);
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.bar = None;
        self.console.note(&format!(
            "{} epoch {}/{}: loss {:.4}{}, training {:.2} %, validation {:.2} %, {:.1} s",
            record.phase,
            record.epoch,
            self.epochs,
            record.loss,
            record
                .divergence
                .map_or(String::new(), |nats| format!(", KL {nats:.0}")),
            100.0 * record.train_accuracy,
            100.0 * record.validation_accuracy,
            record.seconds
        ));
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        let Some(path) = self.checkpoint else { return };
        // Training is worth more than its checkpoint.
        if let Err(CliError::Message(text)) = write_checkpoint(path, checkpoint) {
            self.console.warn(&text);
        }
    }
}

/// Writes a checkpoint, whole or not at all.
pub(super) fn write_checkpoint(path: &Path, checkpoint: &Checkpoint) -> CliResult {
    let bytes = checkpoint.to_bytes().about_file(path)?;
    write_atomic(path, &bytes, Overwrite::Yes, Mode::Shared).about_file(path)
}
