//! Epochs: batches, shards of batches in parallel, evaluation.

use std::time::Instant;

use candle_core::{Device, Tensor};
use rand::RngExt;
use rayon::prelude::*;

use super::{
    EpochRecord, Examples, Phase, Progress, Topology, TrainError, TrainOptions,
    augment::{Augment, generator},
    export::WHITE,
    model::{Leaves, Model},
    ops::CrossEntropy,
    optimise::{Adam, rate_at},
    topology::Block,
};
use crate::network::{Network, argmax};

/// Images whose gradients are computed together by one thread. Fixed, so
/// that the order of additions does not depend on the number of threads.
pub(super) const SHARD: usize = 32;

/// Number of the pseudo-image whose generator shuffles an epoch.
const SHUFFLE: usize = usize::MAX;

/// Refuses images of another size than the network's, and labels beyond its
/// classes.
pub(super) fn check(
    examples: &Examples,
    topology: &Topology,
    blocks: &[Block],
) -> Result<(), TrainError> {
    if examples.is_empty() {
        return Err(TrainError::NoImages);
    }
    let (channels, height, width) = topology.input;
    let found = (examples.images().height(), examples.images().width());
    if channels != 1 || found != (height, width) {
        return Err(TrainError::Option(format!(
            "images of {}x{} grey pixels; {} takes {height}x{width} in {channels} channels",
            found.0, found.1, topology.name
        )));
    }
    let classes = blocks.last().map_or(0, |block| block.outputs);
    match examples.labels().iter().max() {
        Some(label) if usize::from(*label) >= classes => Err(TrainError::Option(format!(
            "label {label} in the data; {} has the classes 0 to {}",
            topology.name,
            classes - 1
        ))),
        _ => Ok(()),
    }
}

/// `[1, N, H, W]`, scaled to 0..1, of the images at these places; distorted,
/// if so, by seed and epoch.
pub(super) fn batch(
    examples: &Examples,
    places: &[usize],
    distort: Option<(&Augment, u64, usize)>,
) -> Result<Tensor, TrainError> {
    let (height, width) = (examples.images().height(), examples.images().width());
    let mut values = vec![0f32; places.len() * height * width];
    for (&i, out) in places.iter().zip(values.chunks_mut(height * width)) {
        let image = examples.images().get(i);
        match distort {
            Some((augment, seed, epoch)) => {
                let mut rng = generator(seed, epoch, i);
                augment.apply(image, (height, width), &mut rng, out);
            }
            None => {
                let both = out.iter_mut().zip(image);
                both.for_each(|(x, p)| *x = f32::from(*p));
            }
        }
        out.iter_mut().for_each(|x| *x /= WHITE);
    }
    let shape = (1, places.len(), height, width);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn labels_of(examples: &Examples, places: &[usize]) -> Vec<u8> {
    let labels = examples.labels();
    places.iter().map(|&i| labels[i]).collect()
}

/// Images whose largest logit is the label's (the lowest index on ties).
fn count_right(logits: &Tensor, labels: &[u8]) -> Result<usize, TrainError> {
    let rows = logits.flatten_all()?.to_vec1::<f32>()?;
    let images = labels.len();
    let right = labels.iter().enumerate().filter(|(n, label)| {
        let column = || rows[*n..].iter().step_by(images);
        let top = column().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        column().position(|x| *x == top) == Some(usize::from(**label))
    });
    Ok(right.count())
}

/// Share of the examples that the model gets right, 0 to 1.
pub(super) fn accuracy(model: &Model, examples: &Examples) -> Result<f64, TrainError> {
    let leaves = model.leaves()?;
    let places: Vec<usize> = (0..examples.len()).collect();
    let right = places.par_chunks(SHARD).map(|places| {
        let logits = model.forward(&leaves, &batch(examples, places, None)?)?;
        count_right(&logits, &labels_of(examples, places))
    });
    let right: usize = right.sum::<Result<usize, TrainError>>()?;
    Ok(right as f64 / examples.len().max(1) as f64)
}

/// The same of the exported network.
pub(super) fn integer_accuracy(network: &Network, examples: &Examples) -> f64 {
    let places: Vec<usize> = (0..examples.len()).collect();
    let right = places.par_iter().filter(|&&i| {
        let image = examples.images().get(i);
        let input: Vec<i64> = image.iter().map(|p| i64::from(*p)).collect();
        argmax(&network.forward(&input)) == usize::from(examples.labels()[i])
    });
    right.count() as f64 / examples.len().max(1) as f64
}

/// What one shard or batch adds up to.
struct Sum {
    gradients: Vec<Vec<f32>>,
    loss: f64,
    right: usize,
}

fn shard(
    model: &Model,
    leaves: &Leaves,
    images: &Tensor,
    labels: Vec<u8>,
) -> Result<Sum, TrainError> {
    let logits = model.forward(leaves, images)?;
    let right = count_right(&logits, &labels)?;
    let loss = logits.apply_op1(CrossEntropy { labels })?;
    Ok(Sum {
        gradients: model.shard_gradients(leaves, &loss)?,
        loss: f64::from(loss.to_scalar::<f32>()?),
        right,
    })
}

/// One batch: shards in parallel, summed in order.
fn step(
    model: &Model,
    examples: &Examples,
    places: &[usize],
    distort: (&Augment, u64, usize),
) -> Result<Sum, TrainError> {
    let leaves = model.leaves()?;
    let shards: Vec<Sum> = places
        .par_chunks(SHARD)
        .map(|places| {
            let images = batch(examples, places, Some(distort))?;
            shard(model, &leaves, &images, labels_of(examples, places))
        })
        .collect::<Result<_, TrainError>>()?;
    let mut shards = shards.into_iter();
    let mut sum = shards.next().ok_or(TrainError::NoImages)?;
    for other in shards {
        for (a, b) in sum.gradients.iter_mut().zip(other.gradients) {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        }
        sum.loss += other.loss;
        sum.right += other.right;
    }
    let share = 1.0 / places.len() as f32;
    sum.gradients.iter_mut().flatten().for_each(|g| *g *= share);
    sum.gradients = model.gradients(&leaves, sum.gradients)?;
    Ok(sum)
}

/// Trains `model` in place for the epochs of one phase.
pub(super) fn run_phase(
    model: &mut Model,
    train: &Examples,
    validation: &Examples,
    options: &TrainOptions,
    phase: Phase,
    progress: &mut dyn Progress,
) -> Result<Vec<EpochRecord>, TrainError> {
    let (epochs, peak, first) = match phase {
        Phase::Float => (options.epochs, options.rate, 0),
        Phase::Quantised => (options.qat_epochs, options.qat_rate, options.epochs),
    };
    let mut order: Vec<usize> = (0..train.len()).collect();
    let per_epoch = order.len().div_ceil(options.batch);
    let mut adam = Adam::new(&model.variables(), options.decay);
    let mut records = Vec::new();
    for epoch in 0..epochs {
        let start = Instant::now();
        let mut rng = generator(options.seed, first + epoch, SHUFFLE);
        for i in (1..order.len()).rev() {
            order.swap(i, rng.random_range(0..=i));
        }
        progress.begin(phase, epoch, epochs, per_epoch);
        let (mut loss, mut right) = (0f64, 0usize);
        for (at, places) in order.chunks(options.batch).enumerate() {
            let distort = (&options.augment, options.seed, first + epoch);
            let sum = step(model, train, places, distort)?;
            let finite = sum.gradients.iter().flatten().all(|g| g.is_finite());
            if !sum.loss.is_finite() || !finite {
                return Err(TrainError::Diverged {
                    phase,
                    epoch: epoch + 1,
                    rate: peak,
                });
            }
            let rate = rate_at(peak, epoch * per_epoch + at, epochs * per_epoch);
            adam.step(&model.variables(), &sum.gradients, rate)?;
            loss += sum.loss;
            right += sum.right;
            progress.step();
        }
        let images = train.len() as f64;
        let record = EpochRecord {
            phase,
            epoch: epoch + 1,
            loss: loss / images,
            train_accuracy: right as f64 / images,
            validation_accuracy: accuracy(model, validation)?,
            seconds: start.elapsed().as_secs_f64(),
        };
        progress.epoch(&record);
        records.push(record);
    }
    Ok(records)
}
