//! How many images a network gets right.
//!
//! A Bayesian network is measured with fresh weights for every chunk of
//! images, T times: the class is that of the largest mean of the T softmax
//! vectors.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{
    Examples, TrainError,
    engine::{SHARD, batch, labels_of},
    model::Model,
    noise::{self, Purpose},
};
use crate::network::{BayesianNetwork, Network, argmax, softmax};

/// Images that are classified with the same drawn weights.
pub(super) const CHUNK: usize = 100;

/// Images whose largest logit is the label's (the lowest index on ties), of
/// logits `[classes, images]`.
pub(super) fn count_right(logits: &Tensor, labels: &[u8]) -> Result<usize, TrainError> {
    let rows = columns(logits, labels.len())?;
    let both = rows.iter().zip(labels);
    Ok(both.filter(|(row, l)| top(row) == usize::from(**l)).count())
}

/// The logits of each image.
fn columns(logits: &Tensor, images: usize) -> Result<Vec<Vec<f64>>, TrainError> {
    let values = logits.flatten_all()?.to_vec1::<f32>()?;
    let column = |n: usize| values[n..].iter().step_by(images).map(|x| f64::from(*x));
    Ok((0..images).map(|n| column(n).collect()).collect())
}

/// The lowest index of the largest value.
fn top(values: &[f64]) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (1..values.len()).fold(0, better)
}

/// Share of the examples that the model gets right, 0 to 1; of a Bayesian one
/// with a single draw.
pub(super) fn accuracy(model: &Model, examples: &Examples, seed: u64) -> Result<f64, TrainError> {
    if model.is_bayesian() {
        let one = sampled_accuracy(model, examples, &[1], seed)?;
        return Ok(one.first().copied().unwrap_or_default());
    }
    let leaves = model.leaves()?;
    let drawn = model.draw(&leaves, None, false)?;
    let places: Vec<usize> = (0..examples.len()).collect();
    let right = places.par_chunks(SHARD).map(|places| {
        let logits = model.forward(&drawn, &batch(examples, places, None)?, None)?;
        count_right(&logits, &labels_of(examples, places))
    });
    let right: usize = right.sum::<Result<usize, TrainError>>()?;
    Ok(right as f64 / examples.len().max(1) as f64)
}

/// The same of a Bayesian model for each number of samples, which ascend.
pub(super) fn sampled_accuracy(
    model: &Model,
    examples: &Examples,
    samples: &[usize],
    seed: u64,
) -> Result<Vec<f64>, TrainError> {
    let leaves = model.leaves()?;
    by_chunks(examples, samples, |at, places, mean| {
        let mut rng = noise::generator(seed, Purpose::Measure { chunk: at });
        let images = batch(examples, places, None)?;
        mean(&mut || {
            let drawn = model.draw(&leaves, Some(&mut rng), false)?;
            let logits = model.forward(&drawn, &images, None)?;
            let rows = columns(&logits, places.len())?;
            Ok(rows.iter().map(|row| probabilities(row)).collect())
        })
    })
}

fn probabilities(logits: &[f64]) -> Vec<f64> {
    let greatest = logits.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    let powers: Vec<f64> = logits.iter().map(|l| (l - greatest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Share of the examples that the exported network gets right.
pub(super) fn integer_accuracy(network: &Network, examples: &Examples) -> f64 {
    let places: Vec<usize> = (0..examples.len()).collect();
    let right = places.par_iter().filter(|&&i| {
        argmax(&network.forward(&integers(examples, i))) == usize::from(examples.labels()[i])
    });
    right.count() as f64 / examples.len().max(1) as f64
}

/// The same of a Bayesian one for each number of samples, which ascend.
pub(super) fn sampled_integer_accuracy(
    network: &BayesianNetwork,
    examples: &Examples,
    samples: &[usize],
    seed: u64,
) -> Result<Vec<f64>, TrainError> {
    let scale = network.profile().logit_scale;
    by_chunks(examples, samples, |at, places, mean| {
        let mut rng = noise::generator(seed, Purpose::Measure { chunk: at });
        mean(&mut || {
            let weights = network.draw(&mut rng);
            let classified = |&i: &usize| -> Vec<f64> {
                softmax(&network.forward(&weights, &integers(examples, i)), scale)
            };
            Ok(places.iter().map(classified).collect())
        })
    })
}

fn integers(examples: &Examples, i: usize) -> Vec<i64> {
    let image = examples.images().get(i);
    image.iter().map(|p| i64::from(*p)).collect()
}

/// One more draw: the probabilities of the classes, for each image of a chunk.
type Draw<'a> = &'a mut dyn FnMut() -> Result<Vec<Vec<f64>>, TrainError>;
/// What averages the draws of a chunk: right images by number of samples.
type Mean<'a> = &'a dyn Fn(Draw) -> Result<Vec<usize>, TrainError>;

/// Calls `f(chunk, places, mean)` for all chunks in parallel and adds up.
fn by_chunks(
    examples: &Examples,
    samples: &[usize],
    f: impl Fn(usize, &[usize], Mean) -> Result<Vec<usize>, TrainError> + Sync,
) -> Result<Vec<f64>, TrainError> {
    let places: Vec<usize> = (0..examples.len()).collect();
    let chunks: Vec<Vec<usize>> = places
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(at, places)| {
            let labels = labels_of(examples, places);
            f(at, places, &|draw| averaged(&labels, samples, draw))
        })
        .collect::<Result<_, TrainError>>()?;
    let share = |i: usize| {
        let right: usize = chunks.iter().map(|chunk| chunk[i]).sum();
        right as f64 / examples.len().max(1) as f64
    };
    Ok((0..samples.len()).map(share).collect())
}

/// Right images by number of samples.
fn averaged(labels: &[u8], samples: &[usize], draw: Draw) -> Result<Vec<usize>, TrainError> {
    let mut sums: Vec<Vec<f64>> = Vec::new();
    let (mut drawn, mut right) = (0, Vec::new());
    for &wanted in samples {
        while drawn < wanted {
            let probabilities = draw()?;
            sums.resize_with(probabilities.len(), || vec![0.0; probabilities[0].len()]);
            for (sum, of_image) in sums.iter_mut().zip(probabilities) {
                sum.iter_mut().zip(of_image).for_each(|(s, p)| *s += p);
            }
            drawn += 1;
        }
        let both = sums.iter().zip(labels);
        right.push(both.filter(|(s, l)| top(s) == usize::from(**l)).count());
    }
    Ok(right)
}
