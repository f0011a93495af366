//! The folder that a trained network is written to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    cli::error::{CliResult, Explain, bail},
    file::{
        AnyNetwork, Mode, Overwrite,
        atomic::check_writable,
        folder::{MODEL_FILE, PROFILE_FILE},
        save_bayesian, save_network, write_atomic,
    },
    train::{Card, Trained},
};

/// Name of the card in a network's folder.
const CARD_FILE: &str = "README.md";

/// What a run writes into its folder.
pub(super) const FILES: [&str; 3] = [PROFILE_FILE, MODEL_FILE, CARD_FILE];

/// The folder to write to, made before training, so that a place where
/// nothing can be written is known before the work and not after it. Goes
/// again if it was made and nothing was written.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    made: bool,
}

impl Folder {
    pub(super) fn open(path: &Path, force: bool) -> CliResult<Folder> {
        let made = !path.exists();
        fs::create_dir_all(path).about_file(path)?;
        let occupied = fs::read_dir(path).about_file(path)?.next().is_some();
        if occupied && !force {
            bail!(
                "{}: exists already and is not empty; choose another folder, \
                 or replace its network with --force",
                path.display()
            );
        }
        // Guards what was just made, also against the errors below.
        let folder = Folder {
            path: path.to_path_buf(),
            made,
        };
        for file in FILES.map(|name| path.join(name)) {
            check_writable(&file, Overwrite::Yes).about_file(&file)?;
        }
        Ok(folder)
    }

    /// Writes network and card; the paths written.
    pub(super) fn fill(&self, trained: &Trained, card: &Card) -> CliResult<Vec<PathBuf>> {
        match trained.network() {
            AnyNetwork::Fixed(network) => save_network(&self.path, network, Overwrite::Yes),
            AnyNetwork::Bayesian(network) => save_bayesian(&self.path, network, Overwrite::Yes),
        }
        .explain()?;
        let path = self.path.join(CARD_FILE);
        write_atomic(
            &path,
            card.to_string().as_bytes(),
            Overwrite::Yes,
            Mode::Shared,
        )
        .about_file(&path)?;
        Ok(FILES.iter().map(|name| self.path.join(name)).collect())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.made {
            // Fails, as it should, if anything was written.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_something_is_refused_without_force() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("new");
        drop(Folder::open(&out, false).unwrap());
        assert!(!out.exists());
        fs::create_dir(&out).unwrap();
        drop(Folder::open(&out, false).unwrap());
        assert!(out.exists());
        fs::write(out.join("a"), b"x").unwrap();
        assert!(Folder::open(&out, false).is_err());
        assert!(Folder::open(&out, true).is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_file_is_refused() {
        // Not even the superuser can make a file there.
        assert!(Folder::open(Path::new("/proc"), true).is_err());
    }
}
