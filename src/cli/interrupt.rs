//! Ctrl-C, and a polite request to end, leave no half-written file behind.

use crate::file::atomic::remove_partial;

use super::{
    error::{CliResult, Explain},
    scratch,
};

/// The shell's code for a program ended by an interrupt (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Has SIGINT, SIGTERM and SIGHUP remove unfinished output and end the program
/// with exit code 130.
pub(crate) fn install() -> CliResult {
    ctrlc::set_handler(|| {
        // Held until the end: no other thread may finish or begin a file.
        let _held = remove_partial();
        scratch::remove_all();
        std::process::exit(INTERRUPTED);
    })
    .about("cannot catch interrupts")
}
