//! One linear layer, evaluated on ciphertexts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crate::{
    network::{Stage, Weights},
    paillier::{Ciphertexts, Counts, PaillierError},
};

use super::{
    layout::StageLayout,
    plan::{Common, Method, PackOutputs, Plan, compare, time},
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
    /// By elements and by taps.
    arranged: [Arranged; 2],
    plans: Mutex<HashMap<PlanKey, Arc<Plan>>>,
}

/// How the products of one kind of rows are arranged.
#[derive(Default)]
struct Arranged {
    /// Common pairs that were found beforehand, of exactly these rows.
    given: Option<Common>,
    /// The quickest method without them, once it was asked for.
    without: OnceLock<Method>,
}

/// Common pairs that compute exactly the weights of one layer.
pub struct Fitting {
    /// The layer's stage.
    stage: String,
    by_tap: bool,
    common: Common,
}

impl Fitting {
    /// Whether they are for rows by tap, or by element.
    pub fn by_tap(&self) -> bool {
        self.by_tap
    }

    /// The pairs.
    pub fn common(&self) -> &Common {
        &self.common
    }
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
            arranged: Default::default(),
            plans: Mutex::new(HashMap::new()),
        }
    }

    /// Looks for common pairs in the rows by tap or by element, where they are
    /// worth it. Takes seconds for the largest layers.
    pub fn find_common(&self, by_tap: bool) -> Option<Fitting> {
        let common = Common::find_best(&self.rows(by_tap))?;
        Some(self.of_this(by_tap, common))
    }

    /// Common pairs that were found beforehand, if they compute exactly this
    /// layer's weights, for rows by tap or by element.
    pub fn fitting(&self, by_tap: bool, common: Common) -> Option<Fitting> {
        let fits = common.fits(&self.rows(by_tap));
        fits.then(|| self.of_this(by_tap, common))
    }

    fn of_this(&self, by_tap: bool, common: Common) -> Fitting {
        Fitting {
            stage: self.stage.name.clone(),
            by_tap,
            common,
        }
    }

    /// Gives the layer common pairs of its own. They can make it faster or
    /// slower.
    ///
    /// # Panics
    ///
    /// If they come from a layer of another name.
    pub fn give_common(&mut self, found: Fitting) {
        let of = &self.stage.name;
        assert!(found.stage == *of, "pairs of {:?} for {of:?}", found.stage);
        self.arranged[usize::from(found.by_tap)] = Arranged {
            given: Some(found.common),
            ..Arranged::default()
        };
        let plans = self.plans.get_mut();
        plans.unwrap_or_else(PoisonError::into_inner).clear();
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
            let rows = self.rows(layout.by_tap());
            let (method, common) = self.arrangement(&rows, layout.by_tap());
            Arc::new(Plan::compile(&rows, groups, method, common, pack))
        });
        Arc::clone(plan)
    }

    /// Compiles the plans for queries of `layout` under keys of `key_bits`, and
    /// takes the memory that they work in, before there is a query.
    pub fn prepare(&self, layout: &StageLayout, key_bits: u32) {
        let at_once = self.groups_at_once(layout);
        self.plan(layout, at_once).program.reserve(2 * key_bits);
        let rest = layout.groups() % at_once;
        if rest > 0 {
            self.plan(layout, rest);
        }
    }

    /// The method with which all groups of `layout` are evaluated, and exactly
    /// what that comes to; nothing is compiled.
    pub fn counts(&self, layout: &StageLayout) -> (Method, Counts) {
        let rows = self.rows(layout.by_tap());
        let (method, common) = self.arrangement(&rows, layout.by_tap());
        let pack = packed(layout);
        let of = |groups| {
            let counts = method.counts(&rows, groups, common);
            pack.map_or(counts, |pack| counts + pack.counts(&rows, groups))
        };
        let at_once = self.groups_at_once(layout);
        let (full, rest) = (layout.groups() / at_once, layout.groups() % at_once);
        let mut counts = std::iter::repeat_n(of(at_once), full).sum();
        if rest > 0 {
            counts = counts + of(rest);
        }
        (method, counts)
    }

    /// All methods that there are for `layout`, with exactly what they come to
    /// for one of its groups, the quickest first.
    pub fn compare(&self, layout: &StageLayout) -> Vec<(Method, Counts)> {
        let rows = self.rows(layout.by_tap());
        let pack = packed(layout).map_or(Counts::default(), |pack| pack.counts(&rows, 1));
        let mut methods = compare(&rows);
        if let (method, Some(common)) = self.arrangement(&rows, layout.by_tap()) {
            methods.push((method, method.counts(&rows, 1, Some(common))));
        }
        methods.sort_by_key(|(_, counts)| time(counts));
        let packed = |(method, counts)| (method, counts + pack);
        methods.into_iter().map(packed).collect()
    }

    /// The method with which `layout` is evaluated.
    pub fn method(&self, layout: &StageLayout) -> Method {
        self.plan(layout, self.groups_at_once(layout)).method
    }

    /// The method for these rows of this layer, and its common pairs.
    fn arrangement(&self, rows: &Rows, by_tap: bool) -> (Method, Option<&Common>) {
        let Arranged { given, without } = &self.arranged[usize::from(by_tap)];
        match given {
            Some(common) => (common.method(), Some(common)),
            None => (*without.get_or_init(|| Method::cheapest(rows)), None),
        }
    }

    fn rows(&self, by_tap: bool) -> Rows {
        if by_tap {
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
