//! What a plan file and a checkpoint hold. What their numbers are follows from
//! the weights, the server's secret: they are counted, not shown.

use serde_json::json;

use super::{Facts, model};
use crate::file::{Container, Tensor};

/// The facts of a plan: for every layer and packing that has one, how weights
/// are written, the pairs that are multiplied once, and what is left of the sets
/// that are multiplied.
pub(super) fn facts(container: &Container, bytes: usize) -> Facts {
    let mut facts = Facts::of_container("plan", container, bytes);
    let count = |tensor: &Tensor| tensor.shape.iter().product::<usize>();
    for pairs in &container.tensors {
        let Some(plan) = pairs.name.strip_suffix(".pairs") else {
            continue;
        };
        let of = |part: &str| container.tensor(&format!("{plan}.{part}")).map_or(0, count);
        facts.layers.push(json!({
            "plan": plan,
            "planes": container.get(plan).unwrap_or_default(),
            "pairs": count(pairs) / 2,
            "sets": of("sizes"),
            "left_in_sets": of("members"),
        }));
    }
    facts
}

/// The facts of a checkpoint: its tensors, and what they are of.
pub(super) fn checkpoint(container: &Container, bytes: usize) -> Facts {
    let mut facts = Facts::of_container("checkpoint", container, bytes);
    facts.layers = container.tensors.iter().map(model::tensor).collect();
    facts
}
