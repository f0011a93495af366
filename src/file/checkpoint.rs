//! Checkpoints: the trainable values of a network in training, as floats.
//!
//! A checkpoint holds what a [`super::model`] file no longer does, so that a
//! network can be trained further, or quantised and exported again, without
//! beginning anew. Nothing needs it to classify.

use std::{collections::BTreeMap, io::Read};

use super::{Container, ContainerError, Kind, Tensor};

/// Largest checkpoint that is read, in bytes.
pub const MAX_CHECKPOINT: u64 = 256 << 20;

impl Kind {
    /// Checkpoints.
    pub const CHECKPOINT: Kind = Kind::new("checkpoint", 1);
}

/// Metadata that every container has and that is not the trainer's.
const OWN: [&str; 3] = [
    super::container::KIND,
    super::container::FORMAT_VERSION,
    super::container::DIGEST,
];

/// A named block of trainable values.
#[derive(Clone, PartialEq)]
pub struct Parameter {
    /// Name, unique in its checkpoint.
    pub name: String,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The values, row by row; all finite.
    pub values: Vec<f32>,
}

impl std::fmt::Debug for Parameter {
    /// Shows no value: weights are the server's secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parameter {:?} {:?}", self.name, self.shape)
    }
}

/// The state of a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What the values are of, by key: topology, bits.
    pub about: BTreeMap<String, String>,
    /// All trainable values.
    pub parameters: Vec<Parameter>,
}

/// Why a checkpoint was refused.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a sound container of this kind.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Infinite or not a number.
    #[error("tensor {0} has values that are not finite; train anew")]
    NotFinite(String),
}

impl Checkpoint {
    /// The file's bytes.
    ///
    /// # Errors
    /// If two parameters share a name, a shape does not fit its values, or a
    /// value is not finite.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut container = Container::new(Kind::CHECKPOINT);
        for (key, value) in &self.about {
            container.set(key, value);
        }
        for Parameter {
            name,
            shape,
            values,
        } in &self.parameters
        {
            finite(name, values)?;
            container.push(Tensor::from_f32s(name, shape, values));
        }
        Ok(container.to_bytes()?)
    }

    /// Reads a checkpoint; the parameters are in no particular order.
    ///
    /// # Errors
    /// If it is no sound checkpoint, or a value is not finite.
    pub fn read(source: impl Read) -> Result<Checkpoint, CheckpointError> {
        let container = Container::read(source, Kind::CHECKPOINT, MAX_CHECKPOINT)?;
        let parameters = container.tensors.iter().map(|tensor| {
            let values = tensor.to_f32s()?;
            finite(&tensor.name, &values)?;
            Ok(Parameter {
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
                values,
            })
        });
        let parameters = parameters.collect::<Result<_, CheckpointError>>()?;
        let mut about = container.metadata;
        about.retain(|key, _| !OWN.contains(&key.as_str()));
        Ok(Checkpoint { about, parameters })
    }
}

fn finite(name: &str, values: &[f32]) -> Result<(), CheckpointError> {
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err(CheckpointError::NotFinite(name.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            about: BTreeMap::from([("topology".into(), "lenet5".into())]),
            parameters: vec![Parameter {
                name: "conv1.weight".into(),
                shape: vec![2, 2],
                values: vec![0.5, -1.0, 0.0, 3.25],
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bytes = checkpoint().to_bytes().unwrap();
        assert_eq!(Checkpoint::read(&bytes[..]).unwrap(), checkpoint());
    }

    #[test]
    fn values_that_are_not_finite_are_refused_both_ways() {
        let mut wrong = checkpoint();
        wrong.parameters[0].values[1] = f32::NAN;
        let error = wrong.to_bytes().unwrap_err().to_string();
        assert!(error.contains("conv1.weight"), "{error}");
        let mut container = Container::new(Kind::CHECKPOINT);
        container.push(Tensor::from_f32s("a", &[1], &[f32::INFINITY]));
        let error = Checkpoint::read(&container.to_bytes().unwrap()[..]).unwrap_err();
        assert!(matches!(error, CheckpointError::NotFinite(name) if name == "a"));
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        let bytes = Container::new(Kind::MODEL).to_bytes().unwrap();
        let error = Checkpoint::read(&bytes[..]).unwrap_err().to_string();
        assert!(error.contains("checkpoint"), "{error}");
    }

    #[test]
    fn a_truncated_checkpoint_is_refused() {
        let bytes = checkpoint().to_bytes().unwrap();
        assert!(Checkpoint::read(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn debug_shows_no_weight() {
        let text = format!("{:?}", checkpoint());
        assert!(!text.contains("3.25"), "{text}");
    }
}
