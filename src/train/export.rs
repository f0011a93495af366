//! From trained floats to an integer network.
//!
//! With steps s_in, s_w and s_out of a layer's inputs, weights and outputs, a
//! pre-activation a is an integer that stands for a·s_in·s_w; so the next
//! layer's input is a·(s_in·s_w/s_out), rounded and clamped: a requantisation
//! with one multiplier per output channel. ReLU and pooling commute with the
//! positive factor and come before it; an average pooling becomes a sum, whose
//! division the multiplier takes over. So there is one rounding per layer, as
//! in the simulation that was trained.

use candle_core::Var;

use super::{
    TrainError,
    model::{Bits, BlockVars, Model},
    ops::Levels,
    topology::{Block, Layer},
};
use crate::network::{InputSpec, Linear, Network, Op, Profile, Range, Shape, Stage, Weights};

/// Largest pixel; the float network sees pixels divided by it.
pub(super) const WHITE: f32 = 255.0;

/// Bits of the largest multiplier of a requantisation: its rounding moves a
/// result of 8 bits by less than 2^-22 of a step.
const MULTIPLIER_BITS: i32 = 31;

/// The integer network of a quantised model; labels are the classes' numbers.
///
/// # Errors
/// If the model is not quantised, or its integers would not fit.
pub(super) fn export(model: &Model, name: &str) -> Result<Network, TrainError> {
    let mut step_in = 1.0 / f64::from(WHITE);
    let (mut stages, mut layers) = (Vec::new(), Vec::new());
    let mut logit_scale = 1.0;
    for (block, vars) in model.blocks.iter().zip(&model.vars) {
        let steps = steps(vars.weight_step.as_ref(), &block.name)?;
        let scales: Vec<f64> = (0..block.outputs)
            .map(|o| step_in * f64::from(steps[o % steps.len()]))
            .collect();
        layers.push(weights(block, vars, &steps, &scales, model.bits)?);
        let mut then = operations(block);
        if let Some(step) = &vars.output_step {
            let step_out = f64::from(self::steps(Some(step), &block.name)?[0]);
            let ratios: Vec<f64> = scales.iter().map(|s| s / step_out).collect();
            then.push(requantise(block, &ratios, model.bits)?);
            step_in = step_out;
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
    let classes = model.blocks.last().map_or(0, |block| block.outputs);
    let labels = (0..classes).map(|class| class.to_string()).collect();
    let profile = Profile::new(name, input, stages, labels, logit_scale);
    Ok(Network::new(profile, layers)?)
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

fn linear(block: &Block) -> Linear {
    let (channels, height, width) = block.input;
    if block.dense {
        return Linear::Dense {
            inputs: channels * height * width,
            outputs: block.outputs,
        };
    }
    Linear::Conv {
        input: Shape::new(channels, height, width),
        outputs: block.outputs,
        kernel: block.window.kernel,
        stride: block.window.stride,
        padding: block.window.padding,
    }
}

fn operations(block: &Block) -> Vec<Op> {
    let op = |layer: &Layer| match *layer {
        Layer::Relu => Some(Op::Relu),
        Layer::AveragePool { size } => Some(Op::SumPool { size, stride: size }),
        Layer::MaxPool { size } => Some(Op::MaxPool { size, stride: size }),
        Layer::Conv { .. } | Layer::Dense { .. } => None,
    };
    block.then.iter().filter_map(op).collect()
}

/// Requantisation by one ratio per channel, less the areas of the average
/// poolings before it.
fn requantise(block: &Block, ratios: &[f64], bits: Bits) -> Result<Op, TrainError> {
    let area: usize = block
        .then
        .iter()
        .map(|layer| match layer {
            Layer::AveragePool { size } => size * size,
            _ => 1,
        })
        .product();
    let ratios: Vec<f64> = ratios.iter().map(|r| r / area as f64).collect();
    let largest = ratios.iter().fold(0f64, |a, b| a.max(*b));
    let shift = MULTIPLIER_BITS - 1 - largest.log2().floor() as i32;
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
