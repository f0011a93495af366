//! Models in and out of checkpoints.

use candle_core::{Device, Var};

use super::{
    TrainError,
    bayes::LogDeviations,
    model::{Bits, BlockVars, Model},
    topology::{Block, Topology},
};
use crate::file::checkpoint::{Checkpoint, Parameter};

const TOPOLOGY: &str = "topology";
const INPUT: &str = "input";
const CLASSES: &str = "classes";
const WEIGHT_BITS: &str = "weight_bits";
const ACTIVATION_BITS: &str = "activation_bits";
/// Not there if the input's elements are not rounded.
const INPUT_BITS: &str = "input_bits";

/// A checkpoint of the float model and, once there is one, the quantised one.
pub(super) fn save(
    topology: &Topology,
    float: &Model,
    quantised: Option<&Model>,
) -> Result<Checkpoint, TrainError> {
    let rounded = float.bits.input_levels();
    let about = [
        (TOPOLOGY, topology.name.clone()),
        (INPUT, input_text(topology.input)),
        (CLASSES, topology.classes().to_string()),
        (WEIGHT_BITS, float.bits.weights.to_string()),
        (ACTIVATION_BITS, float.bits.activations.to_string()),
    ];
    let input_bits = rounded.map(|_| (INPUT_BITS, float.bits.input.to_string()));
    let about = about.into_iter().chain(input_bits);
    let mut parameters = Vec::new();
    for (prefix, model) in [("float", Some(float)), ("quantised", quantised)] {
        let Some(model) = model else { continue };
        for (name, var) in model.names().into_iter().zip(model.variables()) {
            parameters.push(Parameter {
                name: format!("{prefix}.{name}"),
                shape: var.dims().to_vec(),
                values: var.flatten_all()?.to_vec1::<f32>()?,
            });
        }
    }
    Ok(Checkpoint {
        about: about.map(|(key, value)| (key.to_string(), value)).collect(),
        parameters,
    })
}

fn input_text((channels, height, width): (usize, usize, usize)) -> String {
    format!("{channels}x{height}x{width}")
}

/// Name, input and classes of the network that the checkpoint is of. Without
/// the latter two it is one of MNIST's.
pub(super) fn topology(checkpoint: &Checkpoint) -> Result<Topology, TrainError> {
    let about = |key: &str, usual: &'static str| {
        let value = checkpoint.about.get(key);
        value.map_or(usual, String::as_str)
    };
    let wrong = |what: &str, found: &str| {
        TrainError::Checkpoint(format!("the checkpoint has the {what} {found:?}"))
    };
    let (input, classes) = (about(INPUT, "1x28x28"), about(CLASSES, "10"));
    let extents: Vec<usize> = input.split('x').flat_map(str::parse).collect();
    let &[channels, height, width] = &extents[..] else {
        return Err(wrong("input", input));
    };
    let classes = classes.parse().map_err(|_| wrong("classes", classes))?;
    Topology::named(about(TOPOLOGY, ""), (channels, height, width), classes)
}

/// The float model and, if there is one for the same topology and bits, the
/// quantised one. The floats may be of another topology with the same weights:
/// one that pools elsewhere.
pub(super) fn restore(
    checkpoint: &Checkpoint,
    topology: &Topology,
    bits: Bits,
) -> Result<(Model, Option<Model>), TrainError> {
    let about = |key: &str| checkpoint.about.get(key).map_or("", String::as_str);
    let blocks = topology.blocks()?;
    let same = about(TOPOLOGY) == topology.name;
    let float = match model(checkpoint, "float", blocks.clone(), bits, false) {
        Err(error) if !same => {
            return Err(TrainError::Checkpoint(format!(
                "the checkpoint is of the topology {:?}, whose weights are not those of {}: {error}",
                about(TOPOLOGY),
                topology.name
            )));
        }
        other => other?,
    };
    let same_bits = same
        && about(WEIGHT_BITS) == bits.weights.to_string()
        && about(ACTIVATION_BITS) == bits.activations.to_string()
        && about(INPUT_BITS)
            == bits
                .input_levels()
                .map_or(String::new(), |_| bits.input.to_string());
    let mut names = checkpoint.parameters.iter().map(|p| p.name.as_str());
    let quantised = match same_bits && names.any(|name| name.starts_with("quantised.")) {
        true => Some(model(checkpoint, "quantised", blocks, bits, true)?),
        false => None,
    };
    Ok((float, quantised))
}

fn model(
    checkpoint: &Checkpoint,
    prefix: &str,
    blocks: Vec<Block>,
    bits: Bits,
    quantised: bool,
) -> Result<Model, TrainError> {
    let find = |block: &Block, what: &str, shape: &[usize]| -> Result<Var, TrainError> {
        let name = format!("{prefix}.{}.{what}", block.name);
        let found = checkpoint.parameters.iter().find(|p| p.name == name);
        match found {
            Some(p) if p.shape == shape => {
                Ok(Var::from_vec(p.values.clone(), shape, &Device::Cpu)?)
            }
            Some(p) => Err(TrainError::Checkpoint(format!(
                "{name} in the checkpoint has the shape {:?}, expected {shape:?}",
                p.shape
            ))),
            None => Err(TrainError::Checkpoint(format!(
                "the checkpoint has no {name}"
            ))),
        }
    };
    let last = blocks.len() - 1;
    let bayesian = checkpoint
        .parameters
        .iter()
        .any(|p| p.name.starts_with(prefix) && p.name.ends_with("log_deviation"));
    let vars = blocks.iter().enumerate().map(|(i, block)| {
        let step = |what: &str, wanted: bool, count: usize| match quantised && wanted {
            true => find(block, what, &[count]).map(Some),
            false => Ok(None),
        };
        let rows = if i == last { 1 } else { block.outputs };
        Ok(BlockVars {
            weight: find(block, "weight", &block.weight_shape())?,
            bias: find(block, "bias", &[block.outputs])?,
            weight_step: step("weight_log_step", true, rows)?,
            output_step: step("output_log_step", i < last, 1)?,
            deviation: match bayesian {
                true => Some(LogDeviations {
                    weight: find(block, "weight_log_deviation", &block.weight_shape())?,
                    bias: find(block, "bias_log_deviation", &[block.outputs])?,
                }),
                false => None,
            },
        })
    });
    let vars = vars.collect::<Result<_, TrainError>>()?;
    Ok(Model { blocks, vars, bits })
}
