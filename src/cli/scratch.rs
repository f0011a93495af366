//! A folder for the time of one call, removed with it, also on an interrupt.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use super::error::{CliResult, Explain};

static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A temporary folder that only its owner may open; removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// A new one, where the system keeps temporary files.
    pub(crate) fn new() -> CliResult<Scratch> {
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::Builder::new()
            .prefix("pdnn-")
            .tempdir()
            .about("cannot make a temporary folder")?;
        folders.push(folder.path().to_path_buf());
        Ok(Scratch(folder))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Removes every folder that is there. For the signal handler, which ends the
/// program without dropping anything.
pub(crate) fn remove_all() {
    let folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    for folder in folders.iter() {
        // Nobody is left to tell; a folder that is gone is what was wanted.
        let _ = fs::remove_dir_all(folder);
    }
}
