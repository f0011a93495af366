//! The float network of a checkpoint: what the integers are compared with.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::{
    TrainError,
    checkpoint::{restore, topology},
    engine::SHARD,
    export::WHITE,
    model::{Bits, Model},
};
use crate::file::checkpoint::Checkpoint;

/// A trained network before it was quantised; of a Bayesian one the means.
pub struct FloatNetwork {
    model: Model,
    /// Channels, height and width.
    input: (usize, usize, usize),
}

impl FloatNetwork {
    /// The float network that `pdnn train --checkpoint` kept.
    ///
    /// # Errors
    /// A checkpoint of an unknown topology, or without its parameters.
    pub fn restore(checkpoint: &Checkpoint) -> Result<FloatNetwork, TrainError> {
        let topology = topology(checkpoint)?;
        // Of the float network nothing depends on the bits.
        let bits = Bits {
            weights: 8,
            activations: 8,
            input: 8,
        };
        let (model, _) = restore(checkpoint, &topology, bits)?;
        Ok(FloatNetwork {
            model,
            input: topology.input,
        })
    }

    /// Height and width of an image.
    pub fn image_size(&self) -> (usize, usize) {
        (self.input.1, self.input.2)
    }

    /// The class of every image (flat, values 0 to 255), which is the lowest
    /// index of its largest logit, and its logits.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] for an image of another size.
    pub fn classify(&self, images: &[Vec<i64>]) -> Result<Vec<(usize, Vec<f32>)>, TrainError> {
        let leaves = self.model.leaves()?;
        let drawn = self.model.draw(&leaves, None, false)?;
        let of_shard = |shard: &[Vec<i64>]| -> Result<Vec<(usize, Vec<f32>)>, TrainError> {
            let values: Vec<f32> = shard.iter().flatten().map(|&v| v as f32 / WHITE).collect();
            let shape = (1, shard.len(), self.input.1, self.input.2);
            let images = Tensor::from_vec(values, shape, &Device::Cpu)?;
            let logits = self.model.forward(&drawn, &images, None)?;
            let rows = logits.flatten_all()?.to_vec1::<f32>()?;
            // A row a class, a column an image.
            let answer = |image: usize| {
                let column = rows[image..].iter().step_by(shard.len());
                let logits: Vec<f32> = column.copied().collect();
                let mut best = 0;
                for (class, logit) in logits.iter().enumerate() {
                    if *logit > logits[best] {
                        best = class;
                    }
                }
                (best, logits)
            };
            Ok((0..shard.len()).map(answer).collect())
        };
        let shards: Vec<Vec<_>> = images
            .par_chunks(SHARD)
            .map(of_shard)
            .collect::<Result<_, _>>()?;
        Ok(shards.concat())
    }
}
