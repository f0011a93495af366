//! Training (cargo feature `train`); never needed to classify.
//!
//! A run has two phases. First the network is trained in floats, on images
//! that are distorted anew every epoch. Then it is trained on with a forward
//! pass that simulates the integer network (quantisation-aware training):
//! weights and activations are rounded to their integers' grid, whose steps
//! are learnt too, and gradients pass through the rounding as if it were not
//! there. What comes out is exported to a [`Network`] of integers, which gives
//! what the simulation gave but for ties.
//!
//! Tensors, differentiation and matrix products are candle's; the operations
//! that it has not, or not fast, are in `ops`. The same seed gives the same
//! network on the same machine, whatever its number of threads; another CPU
//! may add up in another order.
//!
//! [`Network`]: crate::network::Network

mod augment;
mod bayes;
mod card;
mod checkpoint;
mod data;
mod engine;
mod error;
mod export;
mod float;
mod measure;
mod model;
mod noise;
mod ops;
mod optimise;
mod options;
mod prune;
mod table;
mod topology;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

pub use augment::Augment;
pub use bayes::Bayes;
pub use card::{Card, TwoClasses};
pub use data::{Examples, load_examples};
pub use error::TrainError;
pub use float::FloatNetwork;
pub use options::TrainOptions;
pub use prune::Prune;
pub use table::TableSet;
pub use topology::{Layer, TOPOLOGIES, Topology};

use crate::file::{AnyNetwork, checkpoint::Checkpoint};
use model::{Bits, Model};

/// Training images that choose the first steps of the activations.
const CALIBRATION: usize = 500;

/// The two parts of a training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Weights and activations are floats.
    Float,
    /// The forward pass simulates the integer network.
    Quantised,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Float => "float",
            Phase::Quantised => "quantised",
        })
    }
}

/// One epoch, for the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochRecord {
    /// Float or quantised.
    pub phase: Phase,
    /// From 1 within the phase.
    pub epoch: usize,
    /// Mean cross-entropy of the distorted training images.
    pub loss: f64,
    /// Of a Bayesian network: the divergence of its posterior from the prior,
    /// in nats.
    pub divergence: Option<f64>,
    /// Share of the distorted training images that were right, 0 to 1.
    pub train_accuracy: f64,
    /// Share of the validation images that are right after it, 0 to 1.
    pub validation_accuracy: f64,
    /// Wall-clock time.
    pub seconds: f64,
}

/// Numbers of draws that a Bayesian network is measured with.
pub const SAMPLES: [usize; 3] = [1, 4, 8];

/// Share of right answers, 0 to 1, of the three forms of one network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Of a Bayesian network: how many draws were averaged.
    pub samples: Option<usize>,
    /// Before quantisation.
    pub float: f64,
    /// The quantised network as it was trained, in floats.
    pub simulated: f64,
    /// The exported network.
    pub integer: f64,
    /// How many images these are shares of.
    pub images: usize,
}

/// Who is told how far training has come.
pub trait Progress {
    /// An epoch of `steps` steps begins; `epoch` counts from 0.
    fn begin(&mut self, phase: Phase, epoch: usize, epochs: usize, steps: usize);
    /// One step is done.
    fn step(&mut self);
    /// An epoch is done.
    fn epoch(&mut self, record: &EpochRecord);
    /// The float phase is done; this is what it came to.
    fn checkpoint(&mut self, checkpoint: &Checkpoint);
}

/// The outcome of a run.
#[derive(Debug)]
pub struct Trained {
    topology: Topology,
    float: Model,
    quantised: Model,
    network: AnyNetwork,
    seed: u64,
    epochs: Vec<EpochRecord>,
}

/// Trains a network on `train`, from the beginning or from a checkpoint.
/// `validation` is only looked at, for the log.
///
/// Without float epochs the float network of the checkpoint stays as it is,
/// and its quantised network, if it has one, is where quantised epochs begin.
///
/// # Errors
/// Options, images or a checkpoint that do not fit; a loss that is no longer a
/// number; a network whose integers would not fit 64 bits.
pub fn train(
    options: &TrainOptions,
    train: &Examples,
    validation: &Examples,
    from: Option<&Checkpoint>,
    progress: &mut dyn Progress,
) -> Result<Trained, TrainError> {
    options.check()?;
    if from.is_none() && options.epochs == 0 {
        return Err(TrainError::Option(
            "0 epochs would leave a network of random weights; \
             choose at least 1, or begin from a checkpoint"
                .to_string(),
        ));
    }
    let blocks = options.topology.blocks()?;
    prune::check(&options.prune, &blocks)?;
    for examples in [train, validation] {
        engine::check(examples, &options.topology, &blocks)?;
    }
    let bits = Bits {
        weights: options.weight_bits,
        activations: options.activation_bits,
        input: options.input_bits,
    };
    let topology = &options.topology;
    let (mut float, earlier) = match from {
        Some(checkpoint) => checkpoint::restore(checkpoint, topology, bits)?,
        None => (Model::random(blocks, bits, options.seed)?, None),
    };
    let bayesian = options.bayes.is_some();
    if float.is_bayesian() && !bayesian {
        return Err(TrainError::Checkpoint(
            "the checkpoint is of a Bayesian network; train it on as one (--bayesian)".to_string(),
        ));
    }
    let earlier = earlier.filter(|m| options.epochs == 0 && m.is_bayesian() == bayesian);
    if bayesian {
        float.make_bayesian()?;
    }
    let mut epochs = engine::run_phase(
        &mut float,
        train,
        validation,
        options,
        Phase::Float,
        progress,
    )?;
    progress.checkpoint(&checkpoint::save(topology, &float, None)?);
    let mut quantised = match earlier {
        Some(model) => model,
        None => {
            let mut model = float.duplicate()?;
            let places: Vec<usize> = (0..train.len().min(CALIBRATION)).collect();
            model.quantise(&engine::batch(train, &places, None)?)?;
            model
        }
    };
    let phase = Phase::Quantised;
    epochs.extend(engine::run_phase(
        &mut quantised,
        train,
        validation,
        options,
        phase,
        progress,
    )?);
    let truncation = options.bayes.map_or(0, |bayes| bayes.truncation);
    let network = export::export(
        &quantised,
        &options.name,
        &options.labels,
        &options.features,
        truncation,
    )?;
    Ok(Trained {
        topology: topology.clone(),
        float,
        quantised,
        network,
        seed: options.seed,
        epochs,
    })
}

impl Trained {
    /// The exported network.
    pub fn network(&self) -> &AnyNetwork {
        &self.network
    }

    /// Every epoch, in order.
    pub fn epochs(&self) -> &[EpochRecord] {
        &self.epochs
    }

    /// Everything that is needed to train on, or to export again.
    ///
    /// # Errors
    /// [`TrainError::Tensor`], which does not happen on a CPU.
    pub fn checkpoint(&self) -> Result<Checkpoint, TrainError> {
        checkpoint::save(&self.topology, &self.float, Some(&self.quantised))
    }

    /// How many of these examples each form of the network gets right; of a
    /// Bayesian one for each number of `samples`, which ascend. Every hundred
    /// images see weights of their own.
    ///
    /// # Errors
    /// Images of another size, labels beyond the classes.
    pub fn accuracy(
        &self,
        examples: &Examples,
        samples: &[usize],
    ) -> Result<Vec<Accuracy>, TrainError> {
        engine::check(examples, &self.topology, &self.float.blocks)?;
        let seed = self.seed;
        match &self.network {
            AnyNetwork::Fixed(network) => Ok(vec![Accuracy {
                samples: None,
                float: measure::accuracy(&self.float, examples, seed)?,
                simulated: measure::accuracy(&self.quantised, examples, seed)?,
                integer: measure::integer_accuracy(network, examples),
                images: examples.len(),
            }]),
            AnyNetwork::Bayesian(network) => {
                let of = |model| measure::sampled_accuracy(model, examples, samples, seed);
                let (float, simulated) = (of(&self.float)?, of(&self.quantised)?);
                let integer = measure::sampled_integer_accuracy(network, examples, samples, seed)?;
                let row = |(i, count): (usize, &usize)| Accuracy {
                    samples: Some(*count),
                    float: float[i],
                    simulated: simulated[i],
                    integer: integer[i],
                    images: examples.len(),
                };
                Ok(samples.iter().enumerate().map(row).collect())
            }
        }
    }
}
