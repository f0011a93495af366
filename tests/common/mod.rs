//! What several tests share.
//!
//! Some tests want data that are too large for the repository (MNIST). They
//! ask [`optional_data`] for its folder. Where it is missing, the test says on
//! standard error which data it lacks and how to get them, and passes; but
//! where the environment variable `CI` is `true`, it fails, so that a
//! continuous run never passes by skipping.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod bayesian;
pub(crate) mod classify;
pub(crate) mod messages;
pub(crate) mod networks;

use std::path::{Path, PathBuf};

/// The folder `name` (`mnist`) of `$PDNN_DATA`, or else of `data` in the
/// repository, if it holds `file`, plain or with `.gz`.
///
/// # Panics
/// If it is not there and `CI` is `true`.
pub(crate) fn optional_data(test: &str, name: &str, file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PDNN_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("data"),
        PathBuf::from,
    );
    let folder = root.join(name);
    if folder.join(file).is_file() || folder.join(format!("{file}.gz")).is_file() {
        return Some(folder);
    }
    let why = format!(
        "{test}: no {file} in {}; scripts/fetch-mnist.sh brings MNIST, PDNN_DATA names another folder",
        folder.display()
    );
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{why} (CI is true: missing data are a failure)"
    );
    eprintln!("skipped {why}");
    None
}
