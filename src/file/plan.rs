//! Plan files: which products of a network's layers have pairs of inputs in
//! common, found once and kept beside the model. They follow from the weights,
//! so they are the server's secret as well; they hold no key.
//!
//! A [container](super::container) of the kind `plan` with, for every plan
//! (`<plan>` is `<stage>.taps` or `<stage>.elements`),
//!
//! | tensor | shape | holds |
//! |---|---|---|
//! | `<plan>.pairs` | pairs, 2 | the two elements that a pair multiplies |
//! | `<plan>.sizes` | sets | how many elements are left in each set |
//! | `<plan>.members` | sum of the sizes | the elements of all sets |
//!
//! of `U16` if every number of the tensor fits, else `U32`. The metadata name
//! the network, hold the fingerprint of its profile and a digest of its weights,
//! and say for every `<plan>` how the weights were written as bit planes. What
//! the numbers mean is not checked here: whoever uses a plan makes sure that it
//! computes the weights.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    Overwrite,
    atomic::{Mode, WriteError, write_atomic},
    container::{Container, ContainerError, Kind, Tensor, hex},
    folder::{MODEL_FILE, network_files},
    input::{self, InputError},
    model::{NAME, NETWORK, NetworkFileError},
};
use crate::network::Network;

/// Name of the plan in a network's folder.
pub const PLAN_FILE: &str = "plan.safetensors";

/// Metadata key of the digest of the weights.
const WEIGHTS: &str = "weights";

/// Largest plan file that is read: far more than the largest network needs.
const LIMIT: u64 = 1 << 28;

impl Kind {
    /// Product plans.
    pub const PLAN: Kind = Kind::new("plan", 1);
}

/// The plan of one layer for one layout.
#[derive(Clone, PartialEq, Eq)]
pub struct SavedPlan {
    /// Name of the layer's stage.
    pub stage: String,
    /// Whether it is for ciphertexts of kernel taps rather than of elements.
    pub by_tap: bool,
    /// How weights are written as bit planes.
    pub planes: String,
    /// The elements that each pair multiplies.
    pub pairs: Vec<[u32; 2]>,
    /// How many elements each set has.
    pub sizes: Vec<u32>,
    /// The elements of the sets, one set after the other.
    pub members: Vec<u32>,
}

/// Sizes only: the rest follows from a server's weights.
impl std::fmt::Debug for SavedPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (pairs, sets) = (self.pairs.len(), self.sizes.len());
        write!(f, "SavedPlan({}, {pairs} pairs, {sets} sets)", self.key())
    }
}

impl SavedPlan {
    fn key(&self) -> String {
        let rows = if self.by_tap { "taps" } else { "elements" };
        format!("{}.{rows}", self.stage)
    }
}

/// What is wrong with a plan file.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It is no container, or lacks something.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The network's own files cannot be found.
    #[error(transparent)]
    Network(#[from] NetworkFileError),
    /// It was made for another profile.
    #[error("the plan belongs to network {found:?}, but the profile is {expected:?}")]
    WrongNetwork {
        /// Fingerprint of the profile.
        expected: String,
        /// Fingerprint in the plan.
        found: String,
    },
    /// It was made for other weights.
    #[error("the plan was made for other weights than the model's")]
    WrongWeights,
    /// There is a tensor that belongs to no plan.
    #[error("tensor {name:?} belongs to no layer of the profile")]
    ExtraTensor {
        /// Its name.
        name: String,
    },
    /// A tensor is neither `U16` nor `U32`.
    #[error("tensor {name:?} is {found}, expected U16 or U32 elements")]
    ElementType {
        /// Its name.
        name: String,
        /// Element type and shape.
        found: String,
    },
    /// The sizes do not add up to the members.
    #[error("the sizes of {plan:?} add up to {sum}, but there are {found} members")]
    Sizes {
        /// The plan's name in the file.
        plan: String,
        /// What the sizes add up to.
        sum: u64,
        /// How many members there are.
        found: usize,
    },
}

/// The file's bytes for a network.
///
/// # Errors
///
/// More plans than a header has room for.
pub fn plans_to_bytes(network: &Network, plans: &[SavedPlan]) -> Result<Vec<u8>, PlanError> {
    let profile = network.profile();
    let mut container = Container::new(Kind::PLAN);
    container.set(WEIGHTS, weights_digest(network));
    container.set(NAME, &profile.name);
    container.set(NETWORK, hex(&profile.fingerprint()));
    for plan in plans {
        let key = plan.key();
        let pairs = plan.pairs.as_flattened();
        container.push(narrow(
            &format!("{key}.pairs"),
            &[plan.pairs.len(), 2],
            pairs,
        ));
        container.push(narrow(
            &format!("{key}.sizes"),
            &[plan.sizes.len()],
            &plan.sizes,
        ));
        let members = &plan.members;
        container.push(narrow(&format!("{key}.members"), &[members.len()], members));
        container.set(&key, &plan.planes);
    }
    Ok(container.to_bytes()?)
}

/// SHA-256 of all weights, layer by layer, as little-endian `I32`, in lower-case
/// hexadecimal digits. Biases are in no plan.
fn weights_digest(network: &Network) -> String {
    let mut digest = Sha256::new();
    for layer in network.layers() {
        let bytes = layer.weights.iter().flat_map(|weight| weight.to_le_bytes());
        digest.update(bytes.collect::<Vec<u8>>());
    }
    hex(&digest.finalize())
}

fn narrow(name: &str, shape: &[usize], values: &[u32]) -> Tensor {
    let short: Result<Vec<u16>, _> = values.iter().map(|&value| value.try_into()).collect();
    match short {
        Ok(short) => Tensor::from_u16s(name, shape, &short),
        Err(_) => Tensor::from_u32s(name, shape, values),
    }
}

/// The plans in a file for `network`.
///
/// # Errors
///
/// Whatever [`PlanError`] says of malformed bytes.
pub fn plans_from_bytes(bytes: &[u8], network: &Network) -> Result<Vec<SavedPlan>, PlanError> {
    let profile = network.profile();
    let container = Container::read(bytes, Kind::PLAN, LIMIT)?;
    let (expected, found) = (hex(&profile.fingerprint()), container.get(NETWORK)?);
    if found != expected {
        return Err(PlanError::WrongNetwork {
            expected,
            found: found.to_string(),
        });
    }
    if container.get(WEIGHTS)? != weights_digest(network) {
        return Err(PlanError::WrongWeights);
    }
    let mut plans = Vec::new();
    for stage in &profile.stages {
        for by_tap in [false, true] {
            let mut plan = SavedPlan {
                stage: stage.name.clone(),
                by_tap,
                planes: String::new(),
                pairs: Vec::new(),
                sizes: Vec::new(),
                members: Vec::new(),
            };
            let key = plan.key();
            let Ok(planes) = container.get(&key) else {
                continue;
            };
            plan.planes = planes.to_string();
            let pairs = container.tensor(&format!("{key}.pairs"))?;
            let flat = widen(pairs)?;
            pairs.expect_shape(&[flat.len() / 2, 2])?;
            plan.pairs = flat.as_chunks().0.to_vec();
            for (part, numbers) in [("sizes", &mut plan.sizes), ("members", &mut plan.members)] {
                let tensor = container.tensor(&format!("{key}.{part}"))?;
                *numbers = widen(tensor)?;
                tensor.expect_shape(&[numbers.len()])?;
            }
            let sum = plan.sizes.iter().map(|&size| u64::from(size)).sum();
            if sum != plan.members.len() as u64 {
                return Err(PlanError::Sizes {
                    plan: key,
                    sum,
                    found: plan.members.len(),
                });
            }
            plans.push(plan);
        }
    }
    let known = |name: &str| {
        let mut keys = plans.iter().map(SavedPlan::key);
        name.rsplit_once('.').is_some_and(|(key, part)| {
            keys.any(|known| known == key) && ["pairs", "sizes", "members"].contains(&part)
        })
    };
    match container.tensors.iter().find(|tensor| !known(&tensor.name)) {
        Some(extra) => Err(PlanError::ExtraTensor {
            name: extra.name.clone(),
        }),
        None => Ok(plans),
    }
}

fn widen(tensor: &Tensor) -> Result<Vec<u32>, PlanError> {
    if let Ok(short) = tensor.to_u16s() {
        return Ok(short.into_iter().map(u32::from).collect());
    }
    tensor.to_u32s().map_err(|_| PlanError::ElementType {
        name: tensor.name.clone(),
        found: tensor.form(),
    })
}

/// Where the plan of the network at `path` is: beside its model, with the same
/// prefix.
///
/// # Errors
///
/// As [`network_files`].
pub fn plan_path(path: &Path) -> Result<PathBuf, PlanError> {
    Ok(beside(&network_files(path)?.1))
}

/// The plan of the network with this model.
fn beside(model: &Path) -> PathBuf {
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    let prefix = name.strip_suffix(MODEL_FILE).unwrap_or_default();
    model.with_file_name(format!("{prefix}{PLAN_FILE}"))
}

/// The plans beside the model of the network at `path`; none if there is no
/// such file.
///
/// # Errors
///
/// As [`plan_path`] and [`plans_from_bytes`], and a file that cannot be read.
pub fn load_plans(path: &Path, network: &Network) -> Result<Vec<SavedPlan>, PlanError> {
    let path = plan_path(path)?;
    if !path.exists() {
        return Ok(Vec::new());
    }
    plans_from_bytes(&input::read_all(&path, LIMIT)?, network)
}

/// Writes the plans of the network at `path` beside its model, readable by whom
/// the model is: weights can be worked out from plans.
///
/// # Errors
///
/// As [`plan_path`] and [`plans_to_bytes`], and a file that cannot be written.
pub fn save_plans(path: &Path, network: &Network, plans: &[SavedPlan]) -> Result<(), PlanError> {
    let bytes = plans_to_bytes(network, plans)?;
    let (_, model) = network_files(path)?;
    write_atomic(&beside(&model), &bytes, Overwrite::Yes, Mode::like(&model))?;
    Ok(())
}
