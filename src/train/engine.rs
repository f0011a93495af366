//! Epochs: batches, shards of batches in parallel, evaluation.

use std::time::Instant;

use candle_core::{Device, Tensor};
use rand::{RngExt, rngs::ChaCha8Rng};
use rayon::prelude::*;

use super::{
    EpochRecord, Examples, Phase, Progress, Topology, TrainError, TrainOptions,
    augment::{Augment, generator},
    export::WHITE,
    measure::{self, count_right},
    model::{Leaves, Model},
    noise::{self, Purpose},
    ops::CrossEntropy,
    optimise::{Adam, rate_at},
    prune::Pruner,
    topology::Block,
};

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

pub(super) fn labels_of(examples: &Examples, places: &[usize]) -> Vec<u8> {
    let labels = examples.labels();
    places.iter().map(|&i| labels[i]).collect()
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
    rng: &mut ChaCha8Rng,
) -> Result<Sum, TrainError> {
    let drawn = model.draw(leaves, Some(rng), true)?;
    let logits = model.forward(&drawn, images, Some(rng))?;
    let right = count_right(&logits, &labels)?;
    let loss = logits.apply_op1(CrossEntropy { labels })?;
    Ok(Sum {
        gradients: model.shard_gradients(&drawn, &loss)?,
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
    step: usize,
) -> Result<Sum, TrainError> {
    let (_, seed, epoch) = distort;
    let leaves = model.leaves()?;
    let shards: Vec<Sum> = places
        .par_chunks(SHARD)
        .enumerate()
        .map(|(at, places)| {
            let images = batch(examples, places, Some(distort))?;
            let labels = labels_of(examples, places);
            let purpose = Purpose::Step {
                epoch,
                step,
                shard: at,
            };
            let mut rng = noise::generator(seed, purpose);
            shard(model, &leaves, &images, labels, &mut rng)
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

/// Scales all gradients down to a length of at most `limit` (Pascanu et al.
/// 2013).
fn clip(gradients: &mut [Vec<f32>], limit: f32) {
    let squares = gradients.iter().flatten().map(|g| f64::from(g * g));
    let length = squares.sum::<f64>().sqrt() as f32;
    if length > limit {
        let share = limit / length;
        gradients.iter_mut().flatten().for_each(|g| *g *= share);
    }
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
    // A Bayesian network has its prior, which pulls by itself.
    let decay = match &options.bayes {
        Some(_) => 0.0,
        None => options.decay,
    };
    let mut adam = Adam::new(&model.variables(), decay);
    let mut pruner = (phase == Phase::Quantised && !options.prune.is_empty())
        .then(|| Pruner::new(&options.prune, model, epochs * per_epoch));
    let mut records = Vec::new();
    for epoch in 0..epochs {
        let start = Instant::now();
        let mut rng = generator(options.seed, first + epoch, SHUFFLE);
        for i in (1..order.len()).rev() {
            order.swap(i, rng.random_range(0..=i));
        }
        progress.begin(phase, epoch, epochs, per_epoch);
        let (mut loss, mut right, mut divergence) = (0f64, 0usize, None);
        for (at, places) in order.chunks(options.batch).enumerate() {
            let distort = (&options.augment, options.seed, first + epoch);
            let mut sum = step(model, train, places, distort, at)?;
            if let Some(bayes) = &options.bayes {
                let nats = bayes.add_divergence(model, &mut sum.gradients, train.len())?;
                divergence = Some(nats);
            }
            if let Some(limit) = options.clip {
                clip(&mut sum.gradients, limit);
            }
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
            if let Some(pruner) = &mut pruner {
                pruner.apply(model, epoch * per_epoch + at + 1)?;
            }
            loss += sum.loss;
            right += sum.right;
            progress.step();
        }
        let images = train.len() as f64;
        let record = EpochRecord {
            phase,
            epoch: epoch + 1,
            loss: loss / images,
            divergence,
            train_accuracy: right as f64 / images,
            validation_accuracy: measure::accuracy(model, validation, options.seed)?,
            seconds: start.elapsed().as_secs_f64(),
        };
        progress.epoch(&record);
        records.push(record);
    }
    Ok(records)
}
