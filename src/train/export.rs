//! From trained floats to an integer network.
//!
//! With steps s_in, s_w and s_out of a layer's inputs, weights and outputs, a
//! pre-activation a is an integer that stands for a·s_in·s_w; so the next
//! layer's input is a·(s_in·s_w/s_out), rounded and clamped: a requantisation
//! with one multiplier per output channel. ReLU and pooling commute with the
//! positive factor and come before it, a square squares it; an average pooling
//! becomes a sum, whose division the multiplier takes over. So there is one
//! rounding per layer, as in the simulation that was trained. An average
//! pooling between a convolution and its activation becomes box sums, whose
//! step is that of what they sum divided by their number, and a convolution
//! with the pooling's stride: the same function, fewer pre-activations.

use candle_core::Var;

use super::{
    TrainError, bayes,
    model::{Bits, BlockVars, Model},
    ops::Levels,
    topology::{Block, Layer},
};
use crate::{
    file::AnyNetwork,
    network::{
        BayesianNetwork, Deviations, Feature, InputSpec, Linear, Network, Op, Posterior, Profile,
        Range, Shape, Stage, Weights,
    },
};

/// Largest pixel; the float network sees pixels divided by it.
pub(super) const WHITE: f32 = 255.0;

/// Bits of the largest multiplier of a requantisation, unless its product with
/// what it multiplies would not fit 64 bits (behind a square): its rounding
/// moves a result of 8 bits by less than 2^-22 of a step.
const MULTIPLIER_BITS: i32 = 31;

/// The integer network of a quantised model; what is drawn from a Bayesian one
/// stays within `truncation` deviations.
///
/// # Errors
/// If the model is not quantised, or its integers would not fit.
pub(super) fn export(
    model: &Model,
    name: &str,
    labels: &[String],
    features: &[Feature],
    truncation: u32,
) -> Result<AnyNetwork, TrainError> {
    let levels = model.bits.input_levels();
    let mut input_max = f64::from(levels.map_or(WHITE, |levels| levels.max));
    let mut step_in = 1.0 / input_max;
    let mut prepare: Vec<Op> = levels.map(rounded).into_iter().collect();
    let (mut stages, mut layers, mut varying) = (Vec::new(), Vec::new(), Vec::new());
    let mut logit_scale = 1.0;
    for (block, vars) in model.blocks.iter().zip(&model.vars) {
        if let Some(size) = block.box_sums() {
            let before = match stages.last_mut() {
                Some(Stage { then, .. }) => then,
                None => &mut prepare,
            };
            before.extend(box_sums(block, size));
            let area = (size * size) as f64;
            (step_in, input_max) = (step_in / area, input_max * area);
        }
        let steps = steps(vars.weight_step.as_ref(), &block.name)?;
        let scales: Vec<f64> = (0..block.outputs)
            .map(|o| step_in * f64::from(steps[o % steps.len()]))
            .collect();
        let integers = weights(block, vars, &steps, &scales, model.bits)?;
        let deviations = deviations(block, vars, &steps, &scales)?;
        let reach = reach(&integers, deviations.as_ref(), truncation, input_max);
        layers.push(integers);
        varying.extend(deviations);
        let mut then = operations(block);
        if let Some(step) = &vars.output_step {
            let step_out = f64::from(self::steps(Some(step), &block.name)?[0]);
            then.push(requantise(block, &scales, step_out, reach, model.bits)?);
            step_in = step_out;
            input_max = f64::from(Levels::activations(model.bits.activations).max);
        } else {
            logit_scale = scales[0];
        }
        stages.push(Stage {
            name: block.name.clone(),
            linear: linear(block),
            // Computed from the weights when the network is put together.
            range: Range::new(0, 0),
            then,
        });
    }
    let (channels, height, width) = model.blocks[0].input;
    let input = InputSpec {
        shape: Shape::new(channels, height, width),
        min: 0,
        max: WHITE as i64,
    };
    let mut profile = Profile::new(name, input, stages, labels.to_vec(), logit_scale)
        .with_features(features.to_vec())
        .with_preparation(prepare);
    if varying.is_empty() {
        return Ok(AnyNetwork::Fixed(Network::new(profile, layers)?));
    }
    profile.posterior = Some(Posterior { truncation });
    let network = BayesianNetwork::new(profile, layers, varying)?;
    Ok(AnyNetwork::Bayesian(network))
}

/// The steps whose logarithms a variable holds.
fn steps(var: Option<&Var>, layer: &str) -> Result<Vec<f32>, TrainError> {
    let Some(var) = var else {
        let what = format!("{layer} has no steps; quantise the network before exporting it");
        return Err(TrainError::Option(what));
    };
    let logs = var.to_vec1::<f32>()?;
    Ok(logs.iter().map(|log| log.exp()).collect())
}

/// Integer weights, exactly as the simulation rounds them, and biases in
/// units of the pre-activation.
fn weights(
    block: &Block,
    vars: &BlockVars,
    steps: &[f32],
    scales: &[f64],
    bits: Bits,
) -> Result<Weights, TrainError> {
    let levels = Levels::weights(bits.weights);
    let values = vars.weight.flatten_all()?.to_vec1::<f32>()?;
    let rows = values.chunks(values.len() / steps.len()).zip(steps);
    let weights = rows
        .flat_map(|(row, step)| row.iter().map(move |x| levels.nearest(x / step) as i32))
        .collect();
    let bias = vars.bias.to_vec1::<f32>()?;
    let bias = bias.iter().zip(scales);
    let whole = |(b, scale): (&f32, &f64)| {
        let integer = (f64::from(*b) / scale).round();
        if integer.abs() > (1i64 << 40) as f64 {
            let what = format!("{}: a bias is out of all proportion", block.name);
            return Err(TrainError::Option(what));
        }
        Ok(integer as i64)
    };
    Ok(Weights {
        weights,
        bias: bias.map(whole).collect::<Result<_, _>>()?,
    })
}

/// Standard deviations in whole steps of the weights, as the simulation rounds
/// them, and in units of the pre-activation.
fn deviations(
    block: &Block,
    vars: &BlockVars,
    steps: &[f32],
    scales: &[f64],
) -> Result<Option<Deviations>, TrainError> {
    let Some(logs) = &vars.deviation else {
        return Ok(None);
    };
    let values = bayes::deviations(&logs.weight)?;
    let rows = values.chunks(values.len() / steps.len()).zip(steps);
    let weights: Vec<f32> = rows
        .flat_map(|(row, step)| row.iter().map(move |d| (d / step).round()))
        .collect();
    let bias = bayes::deviations(&logs.bias)?;
    let bias = bias.iter().zip(scales).map(|(d, s)| f64::from(*d) / s);
    let bias: Vec<f64> = bias.map(f64::round).collect();
    if weights.iter().any(|d| *d > (1u32 << 16) as f32) || bias.iter().any(|d| *d > 2f64.powi(40)) {
        let what = format!("{}: a deviation is out of all proportion", block.name);
        return Err(TrainError::Option(what));
    }
    Ok(Some(Deviations {
        weights: weights.into_iter().map(|d| d as u32).collect(),
        bias: bias.into_iter().map(|d| d as u64).collect(),
    }))
}

/// A bound on the absolute value of a pre-activation, over all weights that
/// can be drawn.
fn reach(layer: &Weights, deviations: Option<&Deviations>, truncation: u32, input_max: f64) -> f64 {
    let truncation = f64::from(truncation);
    let far =
        |mean: f64, deviation: Option<f64>| mean.abs() + truncation * deviation.unwrap_or_default();
    let of_weight = |i: usize| {
        let deviation = deviations.map(|d| f64::from(d.weights[i]));
        far(f64::from(layer.weights[i]), deviation)
    };
    let taps = layer.weights.len() / layer.bias.len().max(1);
    let of_row = |o: usize| {
        let sum: f64 = (o * taps..(o + 1) * taps).map(of_weight).sum();
        let deviation = deviations.map(|d| d.bias[o] as f64);
        sum * input_max + far(layer.bias[o] as f64, deviation)
    };
    (0..layer.bias.len()).map(of_row).fold(0.0, f64::max)
}

/// Rounds an element of the input to its levels.
fn rounded(levels: Levels) -> Op {
    let shift = 24;
    let ratio = f64::from(levels.max) / f64::from(WHITE);
    Op::Requantise {
        multipliers: vec![(ratio * 2f64.powi(shift)).round() as i64],
        shift: shift as u32,
        min: 0,
        max: levels.max as i64,
    }
}

/// Rows of zeros that box sums of `size` take from the padding of `block`: no
/// more than make a difference, the rest stays with the convolution.
fn padded(block: &Block, size: usize) -> usize {
    block.window.padding.min(size - 1)
}

/// The operations that make box sums of what `block` takes.
fn box_sums(block: &Block, size: usize) -> Vec<Op> {
    let sums = Op::SumPool { size, stride: 1 };
    match padded(block, size) {
        0 => vec![sums],
        padding => vec![Op::Pad { size: padding }, sums],
    }
}

fn linear(block: &Block) -> Linear {
    let (channels, height, width) = block.input;
    if block.dense {
        return Linear::Dense {
            inputs: channels * height * width,
            outputs: block.outputs,
        };
    }
    // Without box sums this is as if they were sums of one element.
    let size = block.box_sums().unwrap_or(1);
    let padding = padded(block, size);
    let sums = |extent: usize| extent + 2 * padding - (size - 1);
    Linear::Conv {
        input: Shape::new(channels, sums(height), sums(width)),
        outputs: block.outputs,
        kernel: block.window.kernel,
        stride: block.window.stride * size,
        padding: block.window.padding - padding,
    }
}

fn operations(block: &Block) -> Vec<Op> {
    let op = |layer: &Layer| match *layer {
        Layer::Relu => Some(Op::Relu),
        Layer::Square => Some(Op::Square),
        Layer::AveragePool { size } => Some(Op::SumPool { size, stride: size }),
        Layer::MaxPool { size } => Some(Op::MaxPool { size, stride: size }),
        Layer::Conv { .. } | Layer::Dense { .. } => None,
    };
    block.behind().iter().filter_map(op).collect()
}

/// Requantisation to steps of `step_out`, of what the block's operations make
/// of pre-activations of at most `reach` and of one scale per channel.
fn requantise(
    block: &Block,
    scales: &[f64],
    step_out: f64,
    reach: f64,
    bits: Bits,
) -> Result<Op, TrainError> {
    let (mut factors, mut reach) = (scales.to_vec(), reach);
    for layer in block.behind() {
        match layer {
            Layer::AveragePool { size } => {
                let area = (size * size) as f64;
                factors.iter_mut().for_each(|f| *f /= area);
                reach *= area;
            }
            Layer::Square => {
                factors.iter_mut().for_each(|f| *f *= *f);
                reach *= reach;
            }
            _ => {}
        }
    }
    let ratios: Vec<f64> = factors.iter().map(|f| f / step_out).collect();
    let largest = ratios.iter().fold(0f64, |a, b| a.max(*b));
    // The product stays below 2^62, so that there is room to round it.
    let bits_left = 61 - reach.max(1.0).log2().ceil() as i32;
    let shift = MULTIPLIER_BITS.min(bits_left) - 1 - largest.log2().floor() as i32;
    if !largest.is_normal() || !(1..=62).contains(&shift) {
        let what = format!(
            "{}: no multiplier stands for a ratio of {largest:e}",
            block.name
        );
        return Err(TrainError::Option(what));
    }
    let multipliers = ratios
        .iter()
        .map(|r| (r * 2f64.powi(shift)).round() as i64)
        .collect();
    Ok(Op::Requantise {
        multipliers,
        shift: shift as u32,
        min: 0,
        max: Levels::activations(bits.activations).max as i64,
    })
}
