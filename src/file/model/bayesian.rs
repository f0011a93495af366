//! Model files of Bayesian networks: means and standard deviations.
//!
//! The tensors of a [model](super) hold the means. Beside them, for each stage,
//! stand
//!
//! | tensor | element | shape |
//! |---|---|---|
//! | `<stage>.weight_deviation` | the narrowest of `U8`, `U16`, `U32` in which all of the stage fit | that of `<stage>.weight` |
//! | `<stage>.bias_deviation` | `U64` | that of `<stage>.bias` |
//!
//! and the metadata repeat the profile's truncation, so that the file can be
//! understood by itself. Wider elements than needed are read as well.

use std::io::Read;

use super::{ModelError, bias_name, expect_only, read_weights, weight_name, weights_container};
use crate::{
    file::container::{Container, Dtype, Kind, MAX_HEADER, Tensor},
    network::{BayesianNetwork, Deviations, NetworkError, Profile, Stage},
};

/// Metadata key of the standard deviations at which weights are truncated.
pub const TRUNCATION: &str = "truncation";

/// What the names of tensors with deviations end in.
pub const DEVIATION: &str = "_deviation";

/// Name of the tensor of the deviations of a stage's weights.
fn weight_deviation_name(stage: &Stage) -> String {
    weight_name(stage) + DEVIATION
}

/// Name of the tensor of the deviations of a stage's biases.
fn bias_deviation_name(stage: &Stage) -> String {
    bias_name(stage) + DEVIATION
}

/// A tensor of deviations, if there is one.
pub(super) fn deviations_in(container: &Container) -> Option<&Tensor> {
    let mut tensors = container.tensors.iter();
    tensors.find(|tensor| tensor.name.ends_with(DEVIATION))
}

/// The model file of `network`. The same network gives the same bytes.
///
/// # Errors
///
/// [`ModelError::Container`] if there are so many stages that the container's
/// header would be too long.
pub fn bayesian_to_bytes(network: &BayesianNetwork) -> Result<Vec<u8>, ModelError> {
    let profile = network.profile();
    let mut container = weights_container(profile, network.means());
    if let Some(posterior) = profile.posterior {
        container.set(TRUNCATION, posterior.truncation);
    }
    for (stage, layer) in profile.stages.iter().zip(network.deviations()) {
        let (name, shape) = (weight_deviation_name(stage), stage.linear.weight_shape());
        container.push(narrowest(&name, &shape, &layer.weights));
        let (name, shape) = (bias_deviation_name(stage), [layer.bias.len()]);
        container.push(Tensor::from_u64s(&name, &shape, &layer.bias));
    }
    Ok(container.to_bytes()?)
}

/// A tensor of the narrowest elements in which all `values` fit.
fn narrowest(name: &str, shape: &[usize], values: &[u32]) -> Tensor {
    if let Ok(bytes) = values.iter().map(|&v| v.try_into()).collect() {
        return Tensor::from_bytes(name, shape, bytes);
    }
    let halves: Result<Vec<u16>, _> = values.iter().map(|&v| v.try_into()).collect();
    match halves {
        Ok(halves) => Tensor::from_u16s(name, shape, &halves),
        Err(_) => Tensor::from_u32s(name, shape, values),
    }
}

/// Reads the model file that belongs to the Bayesian network of `profile` from
/// `source`. Memory is taken as in [`read_model_from`](super::read_model_from).
///
/// # Errors
///
/// A profile without a posterior, a model without deviations or with another
/// truncation, and whatever [`read_model_from`](super::read_model_from)
/// refuses.
pub fn read_bayesian_from(
    source: impl Read,
    profile: &Profile,
) -> Result<BayesianNetwork, ModelError> {
    profile.validate()?;
    let posterior = profile.posterior.ok_or(NetworkError::NotBayesian)?;
    let container = Container::read(source, Kind::MODEL, largest_model(profile))?;
    if deviations_in(&container).is_none() {
        return Err(ModelError::WithoutDeviations);
    }
    let means = read_weights(&container, profile)?;
    let found: u32 = container.parse(TRUNCATION, "a whole number")?;
    if found != posterior.truncation {
        let expected = posterior.truncation;
        return Err(ModelError::WrongTruncation { expected, found });
    }
    let deviations = profile
        .stages
        .iter()
        .map(|stage| read_deviations(&container, stage))
        .collect::<Result<Vec<Deviations>, ModelError>>()?;
    let names = [
        weight_name,
        bias_name,
        weight_deviation_name,
        bias_deviation_name,
    ];
    expect_only(&container, profile, &names)?;
    Ok(BayesianNetwork::check(profile.clone(), means, deviations)?)
}

/// Reads the model file that belongs to the Bayesian network of `profile` from
/// memory.
///
/// # Errors
///
/// As [`read_bayesian_from`].
pub fn bayesian_from_bytes(bytes: &[u8], profile: &Profile) -> Result<BayesianNetwork, ModelError> {
    read_bayesian_from(bytes, profile)
}

/// The deviations of one stage.
fn read_deviations(container: &Container, stage: &Stage) -> Result<Deviations, ModelError> {
    let wrong_type = |tensor: &Tensor, expected| ModelError::DeviationType {
        name: tensor.name.clone(),
        found: tensor.dtype.to_string(),
        expected,
    };
    let weight = container.tensor(&weight_deviation_name(stage))?;
    weight.expect_shape(&stage.linear.weight_shape())?;
    let weights = match weight.dtype {
        Dtype::U8 => weight.as_bytes()?.iter().copied().map(u32::from).collect(),
        Dtype::U16 => weight.to_u16s()?.into_iter().map(u32::from).collect(),
        Dtype::U32 => weight.to_u32s()?,
        _ => return Err(wrong_type(weight, "U8, U16 or U32")),
    };
    let bias = container.tensor(&bias_deviation_name(stage))?;
    bias.expect_shape(&[stage.linear.channels()])?;
    if bias.dtype != Dtype::U64 {
        return Err(wrong_type(bias, "U64"));
    }
    let bias = bias.to_u64s()?;
    Ok(Deviations { weights, bias })
}

/// Bytes of the longest model file that fits `profile`: a full header, means and
/// deviations in their widest elements.
pub(super) fn largest_model(profile: &Profile) -> u64 {
    let of_stage = |stage: &Stage| {
        let (channels, taps) = (stage.linear.channels() as u64, stage.linear.taps() as u64);
        channels.saturating_mul(taps.saturating_mul(8).saturating_add(16))
    };
    let tensors = profile.stages.iter().map(of_stage);
    tensors.fold(8 + MAX_HEADER, u64::saturating_add)
}

#[cfg(test)]
mod tests;
