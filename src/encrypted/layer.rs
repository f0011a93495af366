//! One linear layer, evaluated on ciphertexts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    network::{Stage, Weights},
    paillier::{Ciphertexts, Counts, PaillierError},
};

use super::{
    layout::StageLayout,
    plan::{Method, PackOutputs, Plan},
    rows::Rows,
};

/// What a plan was compiled for: taps or elements, how outputs are packed, how
/// many groups at once.
type PlanKey = (bool, Option<PackOutputs>, usize);

/// A linear layer of the server's network, with the product plans that it has
/// been asked for so far.
///
/// Everything here follows from the weights: it holds no key and no query.
pub struct Layer {
    stage: Stage,
    weights: Weights,
    plans: Mutex<HashMap<PlanKey, Arc<Plan>>>,
}

/// With fewer rows than this, several groups share a program so that every
/// core and lane has work.
const ROWS_AT_ONCE: usize = 64;

/// How the outputs of `layout` share ciphertexts.
fn packed(layout: &StageLayout) -> Option<PackOutputs> {
    let (outputs, shift_bits) = layout.shifted_outputs()?;
    Some(PackOutputs {
        outputs,
        shift_bits,
    })
}

impl Layer {
    /// The layer of `stage` with its weights.
    pub fn new(stage: Stage, weights: Weights) -> Layer {
        Layer {
            stage,
            weights,
            plans: Mutex::new(HashMap::new()),
        }
    }

    /// The stage that this layer belongs to.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// How many groups of `layout` are best evaluated in one go: enough rows
    /// for every core and lane, few enough to bound memory.
    pub fn groups_at_once(&self, layout: &StageLayout) -> usize {
        ROWS_AT_ONCE
            .div_ceil(layout.rows_per_group())
            .clamp(1, layout.groups())
    }

    /// The plan for `groups` groups of `layout`, compiled on first use.
    pub fn plan(&self, layout: &StageLayout, groups: usize) -> Arc<Plan> {
        let pack = packed(layout);
        let key = (layout.by_tap(), pack, groups);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plans.entry(key).or_insert_with(|| {
            let rows = self.rows(layout);
            let method = Method::cheapest(&rows);
            let per_group = rows.rows.len();
            Arc::new(Plan::compile(&rows.repeat(groups), method, pack, per_group))
        });
        Arc::clone(plan)
    }

    /// The method with which all groups of `layout` are evaluated, and exactly
    /// what that comes to; nothing is compiled.
    pub fn counts(&self, layout: &StageLayout) -> (Method, Counts) {
        let rows = self.rows(layout);
        let method = Method::cheapest(&rows);
        let pack = packed(layout);
        let of = |groups| method.counts(&rows.repeat(groups), pack, rows.rows.len());
        let at_once = self.groups_at_once(layout);
        let (full, rest) = (layout.groups() / at_once, layout.groups() % at_once);
        let mut counts = std::iter::repeat_n(of(at_once), full).sum();
        if rest > 0 {
            counts = counts + of(rest);
        }
        (method, counts)
    }

    fn rows(&self, layout: &StageLayout) -> Rows {
        if layout.by_tap() {
            Rows::by_tap(&self.stage.linear, &self.weights)
        } else {
            Rows::by_element(&self.stage.linear, &self.weights)
        }
    }

    /// Evaluates `groups` (consecutive groups of `layout`) on their input
    /// ciphertexts, one group after the other; bias included.
    ///
    /// The result is *not* re-randomised: its randomness is a product of the
    /// client's own randomisers to the power of the weights. Whoever sends it
    /// must re-randomise it first.
    ///
    /// # Errors
    ///
    /// An input that is not invertible, which validated ciphertexts never are.
    ///
    /// # Panics
    ///
    /// If the number of inputs is not that of the layout's groups.
    pub fn evaluate(
        &self,
        layout: &StageLayout,
        groups: std::ops::Range<usize>,
        inputs: &Ciphertexts,
    ) -> Result<(Ciphertexts, Counts), PaillierError> {
        assert_eq!(
            inputs.len(),
            groups.len() * layout.inputs_per_group(),
            "inputs of {} groups",
            groups.len()
        );
        let plan = self.plan(layout, groups.len());
        let mut results = inputs.run(&plan.program)?;
        for part in self.bias_parts(layout) {
            let bias: Vec<_> = groups
                .clone()
                .flat_map(|group| layout.pack_bias(group, &part))
                .collect();
            results = results.add_plain(&bias);
        }
        Ok((results, plan.counts))
    }

    /// The bias as a sum of parts that fit a slot: nearly always itself. Where
    /// an input is never 0, a bias may lie outside the range of the results,
    /// for which the slots are made.
    fn bias_parts(&self, layout: &StageLayout) -> Vec<Vec<i64>> {
        let slots = layout.slots();
        let most = (1i64 << (slots.bits.min(63) - 1)) - 1;
        let mut rest = self.weights.bias.clone();
        let mut parts = Vec::new();
        while rest.iter().any(|&b| b != 0) {
            let fits = |&b: &i64| {
                if slots.holds(b) {
                    b
                } else {
                    b.clamp(-most, most)
                }
            };
            let part: Vec<i64> = rest.iter().map(fits).collect();
            for (b, p) in rest.iter_mut().zip(&part) {
                *b -= p;
            }
            parts.push(part);
        }
        parts
    }
}
