//! Gradual pruning by magnitude.
//!
//! Zhu and Gupta, "To prune, or not to prune" (2017), section 3: the share of
//! a layer's weights that are 0 rises from nothing to its target s along
//!
//! ```text
//! s·(1 − (1 − t/T)³)        t = 0 … T, steps of training
//! ```
//!
//! fast while there is much to spare, slowly towards the end. Every so many
//! steps the weights that are least in magnitude are set to 0; those are not
//! trained any more. Here T is two thirds of the quantised phase: what is left
//! learns on for the last third. A weight that is 0 costs an encrypted
//! prediction nothing.

use candle_core::{Device, Result, Tensor};

use super::{TrainError, model::Model, topology::Block};

/// Steps between one choice of weights and the next.
const EVERY: usize = 50;

/// A layer and the share of its weights that are to be 0, above 0 and below 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Prune {
    /// `conv1`, `dense2`, …
    pub layer: String,
    /// Share of its weights.
    pub share: f32,
}

/// Refuses layers that there are not, or that are named twice, and shares that
/// leave no weight or take none.
pub(super) fn check(prune: &[Prune], blocks: &[Block]) -> std::result::Result<(), TrainError> {
    for (at, Prune { layer, share }) in prune.iter().enumerate() {
        if !blocks.iter().any(|block| block.name == *layer) {
            let known: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
            return Err(TrainError::Option(format!(
                "no layer {layer} to prune; there are {}",
                known.join(", ")
            )));
        }
        if prune[..at].iter().any(|other| other.layer == *layer) {
            return Err(TrainError::Option(format!(
                "{layer} is pruned twice; name it once"
            )));
        }
        if !(*share > 0.0 && *share < 1.0) {
            return Err(TrainError::Option(format!(
                "{share} of the weights of {layer} pruned; choose a share above 0 and below 1"
            )));
        }
    }
    Ok(())
}

/// Prunes a model on its way through a phase.
pub(super) struct Pruner {
    /// For each pruned layer: its place, its target, the weights that are 0.
    layers: Vec<(usize, f32, Vec<bool>)>,
    /// Steps until the target is reached.
    until: usize,
}

impl Pruner {
    /// For a phase of `steps` steps.
    pub(super) fn new(prune: &[Prune], model: &Model, steps: usize) -> Pruner {
        let of = |prune: &Prune| {
            let at = model.blocks.iter().position(|b| b.name == prune.layer)?;
            let count = model.vars[at].weight.elem_count();
            Some((at, prune.share, vec![false; count]))
        };
        Pruner {
            layers: prune.iter().filter_map(of).collect(),
            until: (steps * 2 / 3).max(1),
        }
    }

    /// After step `step`, from 1 on: sets to 0 what is pruned.
    pub(super) fn apply(&mut self, model: &Model, step: usize) -> Result<()> {
        for (at, target, pruned) in &mut self.layers {
            let weight = &model.vars[*at].weight;
            let mut values = weight.flatten_all()?.to_vec1::<f32>()?;
            if step == self.until || step < self.until && step.is_multiple_of(EVERY) {
                let left = 1.0 - step as f32 / self.until as f32;
                let share = *target * (1.0 - left.powi(3));
                let count = (share * values.len() as f32).round() as usize;
                *pruned = least(&values, count);
            }
            let zeros = values.iter_mut().zip(&*pruned).filter(|(_, zero)| **zero);
            zeros.for_each(|(value, _)| *value = 0.0);
            weight.set(&Tensor::from_vec(values, weight.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

/// Marks the `count` values of least magnitude, the first ones among equals.
fn least(values: &[f32], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].abs().total_cmp(&values[*b].abs()));
    let mut marked = vec![false; values.len()];
    order[..count.min(values.len())]
        .iter()
        .for_each(|i| marked[*i] = true);
    marked
}

#[cfg(test)]
mod tests {
    use super::super::{Topology, model::Bits};
    use super::*;

    fn model() -> Model {
        let topology = Topology::named("mlp:8", (1, 1, 16), 2).unwrap();
        let bits = Bits {
            weights: 4,
            activations: 4,
            input: 8,
        };
        Model::random(topology.blocks().unwrap(), bits, 1).unwrap()
    }

    fn weights(model: &Model) -> Vec<f32> {
        let weight = &model.vars[0].weight;
        weight.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn dense1(share: f32) -> Prune {
        Prune {
            layer: "dense1".into(),
            share,
        }
    }

    #[test]
    fn the_share_of_zeros_rises_to_its_target_and_the_least_go_first() {
        let model = model();
        let before = weights(&model);
        let mut pruner = Pruner::new(&[dense1(0.75)], &model, 600);
        let mut last = 0;
        for step in 1..=600 {
            pruner.apply(&model, step).unwrap();
            let zeros = weights(&model).iter().filter(|w| **w == 0.0).count();
            assert!(zeros >= last);
            let left = 1.0 - step as f64 / 400.0;
            let share = 0.75 * (1.0 - left.powi(3));
            match step {
                50 | 200 | 350 => assert_eq!(zeros, (share * 128.0).round() as usize),
                400.. => assert_eq!(zeros, 96),
                _ => {}
            }
            last = zeros;
        }
        let after = weights(&model);
        let kept = after.iter().filter(|w| **w != 0.0);
        let least = kept.fold(f32::MAX, |a, w| a.min(w.abs()));
        for (before, after) in before.iter().zip(after) {
            assert_eq!(after, if before.abs() < least { 0.0 } else { *before });
        }
    }

    #[test]
    fn what_is_pruned_stays_so_whatever_training_does_to_it() {
        let model = model();
        let mut pruner = Pruner::new(&[dense1(0.5)], &model, 3);
        pruner.apply(&model, 2).unwrap();
        let zeros: Vec<bool> = weights(&model).iter().map(|w| *w == 0.0).collect();
        let weight = &model.vars[0].weight;
        let moved = Tensor::ones(weight.shape(), weight.dtype(), &Device::Cpu).unwrap();
        weight.set(&moved).unwrap();
        pruner.apply(&model, 3).unwrap();
        let after: Vec<bool> = weights(&model).iter().map(|w| *w == 0.0).collect();
        assert_eq!(zeros, after);
    }

    #[test]
    fn layers_and_shares_that_do_not_fit_are_refused() {
        let refused = |prune: &[Prune]| check(prune, &model().blocks).unwrap_err().to_string();
        check(&[dense1(0.5)], &model().blocks).unwrap();
        assert!(refused(&[dense1(0.5), dense1(0.6)]).contains("twice"));
        for share in [0.0, 1.0, f32::NAN, -0.1] {
            assert!(refused(&[dense1(share)]).contains("above 0 and below 1"));
        }
        let unknown = Prune {
            layer: "conv9".into(),
            share: 0.5,
        };
        assert!(refused(&[unknown]).contains("there are dense1, dense2"));
    }
}
