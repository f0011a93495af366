//! Model files: the weights of a network, the server's secret.
//!
//! A [container](super::container) of the kind `model` with, for each stage of
//! the profile,
//!
//! | tensor | element | shape |
//! |---|---|---|
//! | `<stage>.weight` | `I8` if every weight of the stage fits, else `I32` | output, input, kernel row, kernel column; or output, input |
//! | `<stage>.bias` | `I64` | output |
//!
//! and nothing else, except for the [standard deviations](bayesian) of a Bayesian
//! network. The metadata name the network and hold the fingerprint of its
//! profile, in lower-case hexadecimal digits. A model is only read together with
//! its profile: the ranges in it are computed anew from the weights.

pub mod bayesian;
#[cfg(test)]
mod tests;

use std::{io::Read, path::PathBuf};

use thiserror::Error;

use super::{
    atomic::WriteError,
    container::{Container, ContainerError, Dtype, Kind, Tensor, hex},
    input::InputError,
};
use crate::network::{Network, NetworkError, Profile, Stage, Weights};

/// Metadata key of the profile's fingerprint.
pub const NETWORK: &str = "network";
/// Metadata key of the network's name.
pub const NAME: &str = "name";

/// What is wrong with a model or a profile file.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The model is no container, or lacks something.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The profile is malformed, or the weights do not fit it.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The profile is not text.
    #[error("is not UTF-8 text from byte {0} on; expected a network profile (JSON)")]
    NoText(usize),
    /// The profile would be longer than what is read.
    #[error("the profile would have {found} bytes, more than the {limit} that are read")]
    ProfileTooLong {
        /// Bytes of the profile.
        found: usize,
        /// The limit.
        limit: u64,
    },
    /// The model was made for another profile.
    #[error(
        "the model belongs to network {found:?}, but the profile is {expected:?}; take profile and model from the same export"
    )]
    WrongNetwork {
        /// Fingerprint of the profile.
        expected: String,
        /// Fingerprint in the model.
        found: String,
    },
    /// The metadata and the profile give the network different names.
    #[error("the model is called {found:?}, but the profile {expected:?}")]
    WrongName {
        /// Name in the profile.
        expected: String,
        /// Name in the model.
        found: String,
    },
    /// There is a tensor that belongs to no stage.
    #[error(
        "tensor {name:?} belongs to no stage of the profile; expected only <stage>.weight and <stage>.bias, and <stage>.weight_deviation and <stage>.bias_deviation if the network is Bayesian"
    )]
    ExtraTensor {
        /// Its name.
        name: String,
    },
    /// Weights are neither `I8` nor `I32`.
    #[error("tensor {name:?} is {found}, expected I8 or I32 elements")]
    WeightType {
        /// Name of the tensor.
        name: String,
        /// Its element type.
        found: String,
    },
    /// A Bayesian profile, and a model of fixed weights.
    #[error(
        "a model without deviations, but the profile has a posterior, which makes the network Bayesian; take profile and model from the same export"
    )]
    WithoutDeviations,
    /// A profile of fixed weights, and a Bayesian model.
    #[error(
        "tensor {name:?} holds standard deviations, but the profile has no posterior, which makes the weights fixed; take profile and model from the same export"
    )]
    UnexpectedDeviations {
        /// Name of the tensor.
        name: String,
    },
    /// Deviations are signed, or no integers.
    #[error(
        "tensor {name:?} is {found}, expected {expected} elements: a standard deviation is a whole number and not negative"
    )]
    DeviationType {
        /// Name of the tensor.
        name: String,
        /// Its element type.
        found: String,
        /// The element types that are read.
        expected: &'static str,
    },
    /// Model and profile truncate at different places.
    #[error(
        "the model is truncated at {found} standard deviations, but the profile at {expected}; take profile and model from the same export"
    )]
    WrongTruncation {
        /// Truncation in the profile.
        expected: u32,
        /// Truncation in the model.
        found: u32,
    },
    /// No file of a network has such a name.
    #[error(
        "expected a folder with profile.json and model.safetensors, or a file whose name ends in one of these"
    )]
    FileName,
}

/// A model or profile file that is refused.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct NetworkFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: ModelError,
}

/// Name of the tensor of a stage's weights.
fn weight_name(stage: &Stage) -> String {
    format!("{}.weight", stage.name)
}

/// Name of the tensor of a stage's biases.
fn bias_name(stage: &Stage) -> String {
    format!("{}.bias", stage.name)
}

/// The model file of `network`. The same network gives the same bytes.
///
/// # Errors
///
/// [`ModelError::Container`] if there are so many stages that the container's
/// header would be too long.
pub fn model_to_bytes(network: &Network) -> Result<Vec<u8>, ModelError> {
    Ok(weights_container(network.profile(), network.layers()).to_bytes()?)
}

/// A model with the metadata of `profile` and the tensors of `layers`.
fn weights_container(profile: &Profile, layers: &[Weights]) -> Container {
    let mut container = Container::new(Kind::MODEL);
    container.set(NETWORK, hex(&profile.fingerprint()));
    container.set(NAME, &profile.name);
    for (stage, layer) in profile.stages.iter().zip(layers) {
        let (name, shape) = (weight_name(stage), stage.linear.weight_shape());
        let narrow: Result<Vec<i8>, _> = layer.weights.iter().map(|&w| w.try_into()).collect();
        container.push(match narrow {
            Ok(weights) => Tensor::from_i8s(&name, &shape, &weights),
            Err(_) => Tensor::from_i32s(&name, &shape, &layer.weights),
        });
        let shape = [layer.bias.len()];
        container.push(Tensor::from_i64s(&bias_name(stage), &shape, &layer.bias));
    }
    container
}

/// Reads the model file that belongs to `profile` from `source`.
///
/// Before memory is taken, the file's size is held against what the profile's
/// shapes need.
///
/// # Errors
///
/// A Bayesian profile; what the container refuses; a model of another network,
/// with a tensor missing, too many, of a wrong shape or element type; weights
/// that do not give the ranges of the profile.
pub fn read_model_from(source: impl Read, profile: &Profile) -> Result<Network, ModelError> {
    profile.validate()?;
    if profile.posterior.is_some() {
        return Err(NetworkError::Bayesian.into());
    }
    // Room for deviations, so that these are what is complained of.
    let container = Container::read(source, Kind::MODEL, bayesian::largest_model(profile))?;
    if let Some(tensor) = bayesian::deviations_in(&container) {
        let name = tensor.name.clone();
        return Err(ModelError::UnexpectedDeviations { name });
    }
    let layers = read_weights(&container, profile)?;
    expect_only(&container, profile, &[weight_name, bias_name])?;
    Ok(Network::check(profile.clone(), layers)?)
}

/// The weights of all stages, of a model that belongs to `profile`.
fn read_weights(container: &Container, profile: &Profile) -> Result<Vec<Weights>, ModelError> {
    let expected = hex(&profile.fingerprint());
    let found = container.get(NETWORK)?;
    if found != expected {
        let found = found.chars().take(expected.len()).collect();
        return Err(ModelError::WrongNetwork { expected, found });
    }
    let found = container.get(NAME)?;
    if found != profile.name {
        return Err(ModelError::WrongName {
            expected: profile.name.clone(),
            found: found.to_owned(),
        });
    }
    let stages = profile.stages.iter();
    stages.map(|stage| read_layer(container, stage)).collect()
}

/// Refuses tensors with other names than `names` gives for the stages.
fn expect_only(
    container: &Container,
    profile: &Profile,
    names: &[fn(&Stage) -> String],
) -> Result<(), ModelError> {
    let belongs = |tensor: &Tensor| {
        let of_stage = |stage: &Stage| names.iter().any(|name| name(stage) == tensor.name);
        profile.stages.iter().any(of_stage)
    };
    match container.tensors.iter().find(|tensor| !belongs(tensor)) {
        Some(extra) => Err(ModelError::ExtraTensor {
            name: extra.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Reads the model file that belongs to `profile` from memory.
///
/// # Errors
///
/// As [`read_model_from`].
pub fn model_from_bytes(bytes: &[u8], profile: &Profile) -> Result<Network, ModelError> {
    read_model_from(bytes, profile)
}

/// The weights of one stage.
fn read_layer(container: &Container, stage: &Stage) -> Result<Weights, ModelError> {
    let weight = container.tensor(&weight_name(stage))?;
    weight.expect_shape(&stage.linear.weight_shape())?;
    let weights = match weight.dtype {
        Dtype::I8 => weight.to_i8s()?.into_iter().map(i32::from).collect(),
        Dtype::I32 => weight.to_i32s()?,
        other => {
            return Err(ModelError::WeightType {
                name: weight.name.clone(),
                found: other.to_string(),
            });
        }
    };
    let bias = container.tensor(&bias_name(stage))?;
    bias.expect_shape(&[stage.linear.channels()])?;
    let bias = bias.to_i64s()?;
    Ok(Weights { weights, bias })
}
