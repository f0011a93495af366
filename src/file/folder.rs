//! A network on disk: a folder with `profile.json` and `model.safetensors`.
//!
//! Either file names the whole network as well. A file may have a prefix, as
//! in `digits.profile.json` and `digits.model.safetensors`; its partner then
//! has the same.

use std::path::{Path, PathBuf};

use super::{
    ModelError, NetworkFileError, Overwrite,
    atomic::{Mode, check_target, write_atomic},
    input,
    model::{
        bayesian::{bayesian_to_bytes, read_bayesian_from},
        model_to_bytes, read_model_from,
    },
    profile::{read_profile, write_profile},
};
use crate::network::{BayesianNetwork, Network, NetworkError, Profile};

/// Name of the profile in a network's folder.
pub const PROFILE_FILE: &str = "profile.json";
/// Name of the model in a network's folder.
pub const MODEL_FILE: &str = "model.safetensors";

impl ModelError {
    /// The problem, of the file `path`.
    pub(super) fn in_file(self, path: &Path) -> NetworkFileError {
        NetworkFileError {
            path: path.to_owned(),
            problem: self,
        }
    }
}

/// Where a network's profile and model are, if `path` is its folder or either
/// file: profile first.
///
/// # Errors
///
/// [`ModelError::FileName`] if the path is no folder and its name ends in
/// neither [`PROFILE_FILE`] nor [`MODEL_FILE`].
pub fn network_files(path: &Path) -> Result<(PathBuf, PathBuf), NetworkFileError> {
    if path.is_dir() {
        return Ok((path.join(PROFILE_FILE), path.join(MODEL_FILE)));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = [PROFILE_FILE, MODEL_FILE]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    match prefix {
        Some(prefix) => Ok((
            path.with_file_name(format!("{prefix}{PROFILE_FILE}")),
            path.with_file_name(format!("{prefix}{MODEL_FILE}")),
        )),
        // A misspelt name deserves to hear that there is no such file.
        None => match input::open(path) {
            Ok(_) => Err(ModelError::FileName.in_file(path)),
            Err(error) => Err(ModelError::from(error).in_file(path)),
        },
    }
}

/// Reads the profile of a network, for a client: `path` is the network's
/// folder, its model, or a profile of any name.
///
/// # Errors
///
/// As [`read_profile`].
pub fn load_profile(path: &Path) -> Result<Profile, NetworkFileError> {
    let is_model = path.to_string_lossy().ends_with(MODEL_FILE);
    if path.is_dir() || is_model {
        return read_profile(&network_files(path)?.0);
    }
    read_profile(path)
}

/// A network of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyNetwork {
    /// One of fixed weights.
    Fixed(Network),
    /// One whose weights are drawn.
    Bayesian(BayesianNetwork),
}

impl AnyNetwork {
    /// What a client may know of it.
    pub fn profile(&self) -> &Profile {
        match self {
            AnyNetwork::Fixed(network) => network.profile(),
            AnyNetwork::Bayesian(network) => network.profile(),
        }
    }
}

/// Reads a whole network of either kind, for a server: `path` is its folder or
/// either of its files.
///
/// # Errors
///
/// What [`network_files`], [`read_profile`], [`read_model_from`] and
/// [`read_bayesian_from`] refuse, naming the file.
pub fn load_any(path: &Path) -> Result<AnyNetwork, NetworkFileError> {
    let (profile, model) = network_files(path)?;
    let profile = read_profile(&profile)?;
    input::open(&model)
        .map_err(ModelError::from)
        .and_then(|source| match profile.posterior {
            None => read_model_from(source, &profile).map(AnyNetwork::Fixed),
            Some(_) => read_bayesian_from(source, &profile).map(AnyNetwork::Bayesian),
        })
        .map_err(|problem| problem.in_file(&model))
}

/// Reads a whole network of fixed weights, for a server: `path` is its folder or
/// either of its files.
///
/// # Errors
///
/// As [`load_any`], and [`NetworkError::Bayesian`].
pub fn load_network(path: &Path) -> Result<Network, NetworkFileError> {
    match load_any(path)? {
        AnyNetwork::Fixed(network) => Ok(network),
        AnyNetwork::Bayesian(_) => Err(ModelError::from(NetworkError::Bayesian).in_file(path)),
    }
}

/// Reads a whole Bayesian network, for a server: `path` is its folder or either
/// of its files.
///
/// # Errors
///
/// As [`load_any`], and [`NetworkError::NotBayesian`].
pub fn load_bayesian(path: &Path) -> Result<BayesianNetwork, NetworkFileError> {
    match load_any(path)? {
        AnyNetwork::Bayesian(network) => Ok(network),
        AnyNetwork::Fixed(_) => Err(ModelError::from(NetworkError::NotBayesian).in_file(path)),
    }
}

/// Writes both files of a network into the existing folder `folder`, model
/// first. Each is written whole or not at all.
///
/// # Errors
///
/// If a file cannot be written; with [`Overwrite::Never`] nothing is written
/// if either file exists.
pub fn save_network(
    folder: &Path,
    network: &Network,
    overwrite: Overwrite,
) -> Result<(), NetworkFileError> {
    let model = || model_to_bytes(network);
    save(folder, network.profile(), model, overwrite)
}

/// [`save_network`] for a Bayesian network.
///
/// # Errors
///
/// As [`save_network`].
pub fn save_bayesian(
    folder: &Path,
    network: &BayesianNetwork,
    overwrite: Overwrite,
) -> Result<(), NetworkFileError> {
    let model = || bayesian_to_bytes(network);
    save(folder, network.profile(), model, overwrite)
}

fn save(
    folder: &Path,
    of: &Profile,
    to_bytes: impl FnOnce() -> Result<Vec<u8>, ModelError>,
    overwrite: Overwrite,
) -> Result<(), NetworkFileError> {
    let (profile, model) = (folder.join(PROFILE_FILE), folder.join(MODEL_FILE));
    for path in [&profile, &model] {
        check_target(path, overwrite).map_err(|error| ModelError::from(error).in_file(path))?;
    }
    to_bytes()
        .and_then(|bytes| Ok(write_atomic(&model, &bytes, overwrite, Mode::Shared)?))
        .map_err(|problem| problem.in_file(&model))?;
    write_profile(&profile, of, overwrite)
}
