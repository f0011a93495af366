//! What a model file holds. The weights are the server's secret: they are
//! counted, not shown.

use serde_json::{Value, json};

use super::Facts;
use crate::file::{
    Container, Tensor,
    container::Dtype,
    model::bayesian::{DEVIATION, TRUNCATION},
};

/// The facts of a model of either kind.
pub(super) fn facts(container: &Container, bytes: usize) -> Facts {
    let mut facts = Facts::of_container("model", container, bytes);
    match bayesian(container) {
        Some(layers) => {
            if let Ok(truncation) = container.parse::<u32>(TRUNCATION, "a whole number") {
                facts = facts.with("truncation", truncation);
            }
            facts.layers = layers;
        }
        None => facts.layers = container.tensors.iter().map(tensor).collect(),
    }
    let values = |layer: &Value| layer["values"].as_u64().unwrap_or(0);
    let sum: u64 = facts.layers.iter().map(values).sum();
    facts.with("values", sum)
}

/// What is said of a tensor by itself.
pub(super) fn tensor(tensor: &Tensor) -> Value {
    json!({
        "tensor": tensor.name,
        "type": tensor.dtype.to_string(),
        "shape": shape(tensor),
        "values": count(tensor),
    })
}

/// What is said of each tensor of means and the deviations to it: how many
/// means are not 0, and the least, the median (the lower one) and the greatest
/// deviation. `None` if not every tensor has its deviations.
fn bayesian(container: &Container) -> Option<Vec<Value>> {
    let row = |mean: &Tensor| {
        let deviation = container
            .tensor(&format!("{}{DEVIATION}", mean.name))
            .ok()?;
        let mut deviations = whole_numbers(deviation)?;
        deviations.sort_unstable();
        let middle = deviations.len().checked_sub(1)? / 2;
        Some(json!({
            "tensor": mean.name,
            "type": mean.dtype.to_string(),
            "shape": shape(mean),
            "values": count(mean),
            "means_not_0": not_zero(mean),
            "deviations": deviation.dtype.to_string(),
            "least": deviations[0],
            "median": deviations[middle],
            "greatest": deviations[deviations.len() - 1],
        }))
    };
    let tensors = container.tensors.iter();
    let means = tensors.filter(|tensor| !tensor.name.ends_with(DEVIATION));
    means.map(row).collect()
}

fn shape(tensor: &Tensor) -> String {
    let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
    shape.join("x")
}

fn count(tensor: &Tensor) -> usize {
    tensor.shape.iter().product()
}

/// Elements of an integer tensor that are not 0.
fn not_zero(tensor: &Tensor) -> usize {
    let width = (tensor.dtype.bitsize() / 8).max(1);
    let elements = tensor.data.chunks(width);
    elements
        .filter(|bytes| bytes.iter().any(|&b| b != 0))
        .count()
}

/// The elements of a tensor of deviations; `None` if their type is none of
/// those that deviations have.
fn whole_numbers(tensor: &Tensor) -> Option<Vec<u64>> {
    let width = match tensor.dtype {
        Dtype::U8 => 1,
        Dtype::U16 => 2,
        Dtype::U32 => 4,
        Dtype::U64 => 8,
        _ => return None,
    };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
    Some(tensor.data.chunks(width).map(number).collect())
}
