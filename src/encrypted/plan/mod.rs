//! Product plans: in which order the powers of a layer are multiplied.
//!
//! The server knows its weights long before a query comes, so it can look for
//! the cheapest way to compute all `y_j = Π x_i^(w_ji)` of a layer at once.
//! Two families are counted, exactly and without compiling them, and the one
//! with fewer products is taken; the choice depends on weights and layout
//! alone, never on a key or a query.
//!
//! * *Tables*: for every input, the powers `x, x², x³ …` that any output needs,
//!   made once by an addition chain and used by all outputs; then an output is
//!   one product a weight. Best where many outputs share an input.
//! * *Buckets*: for every output, the inputs of equal weight are multiplied
//!   first, and the buckets are then combined by running products (the bucket
//!   method of multi-exponentiation). Best where an output has many inputs and
//!   weights repeat within it.
//!
//! Either can split weights into signed digits of a few bits, joined by
//! squarings (Straus). Negative weights cost inversions: tables collect
//! positive and negative parts apart and invert the latter, once an output;
//! buckets invert inputs. Inversions are made in batches, which costs three
//! products each and one true inversion a stage.

mod arena;
mod buckets;
mod digits;
mod tables;

use crate::paillier::{Counts, Program};

use super::rows::Rows;
use arena::Arena;

/// How the products of a layer are arranged; see the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Powers of every input, shared by all outputs; weights in signed digits
    /// of this many bits (`None`: whole weights).
    Tables {
        /// Bits of a digit, 2 or more, or `None` for whole weights.
        digit_bits: Option<u32>,
    },
    /// Inputs of equal weight collected for every output; weights in signed
    /// digits of this many bits (`None`: whole weights).
    Buckets {
        /// Bits of a digit, 2 or more, or `None` for whole weights.
        digit_bits: Option<u32>,
    },
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, digits) = match self {
            Method::Tables { digit_bits } => ("tables", digit_bits),
            Method::Buckets { digit_bits } => ("buckets", digit_bits),
        };
        match digits {
            None => write!(f, "{name}"),
            Some(bits) => write!(f, "{name}, {bits}-bit digits"),
        }
    }
}

/// The methods that are counted for every layer.
pub const METHODS: [Method; 4] = [
    Method::Tables { digit_bits: None },
    Method::Tables {
        digit_bits: Some(4),
    },
    Method::Buckets { digit_bits: None },
    Method::Buckets {
        digit_bits: Some(4),
    },
];

impl Method {
    /// Exactly what [`Plan::compile`] comes to with this method, without
    /// compiling.
    pub fn counts(self, rows: &Rows, pack: Option<PackOutputs>, rows_per_group: usize) -> Counts {
        let counts = match self {
            Method::Tables { digit_bits } => tables::counts(rows, digit_bits),
            Method::Buckets { digit_bits } => buckets::counts(rows, digit_bits),
        };
        match pack {
            Some(pack) => counts + pack.counts(rows, rows_per_group),
            None => counts,
        }
    }

    /// The method of [`METHODS`] with the fewest products and squarings for
    /// these rows. How outputs are packed makes no difference: it costs the
    /// same with every method.
    pub fn cheapest(rows: &Rows) -> Method {
        METHODS
            .into_iter()
            .min_by_key(|method| {
                let counts = method.counts(rows, None, rows.rows.len());
                counts.products + counts.squarings
            })
            .expect("there are methods")
    }
}

/// Outputs packed into one ciphertext after they are computed: output `t` of
/// each run of `outputs` is shifted by `t · shift_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackOutputs {
    /// How many outputs share a ciphertext.
    pub outputs: usize,
    /// How many bits lie between them.
    pub shift_bits: u32,
}

impl PackOutputs {
    /// The outputs that share a ciphertext, run by run; runs start anew every
    /// `rows_per_group` outputs.
    fn runs<T>(self, outputs: &[T], rows_per_group: usize) -> impl Iterator<Item = &[T]> {
        outputs
            .chunks(rows_per_group.max(1))
            .flat_map(move |group| group.chunks(self.outputs.max(1)))
    }

    /// What packing costs. An output without weights is 1, which costs
    /// nothing but the shifts of what is above it.
    fn counts(self, rows: &Rows, rows_per_group: usize) -> Counts {
        let mut counts = Counts::default();
        for run in self.runs(&rows.rows, rows_per_group) {
            if let Some(top) = run.iter().rposition(|row| !row.is_empty()) {
                let used = run.iter().filter(|row| !row.is_empty()).count();
                counts.products += used as u64 - 1;
                counts.squarings += top as u64 * u64::from(self.shift_bits);
            }
        }
        counts
    }
}

/// A compiled plan.
pub struct Plan {
    /// What to multiply.
    pub program: Program,
    /// How it was arranged.
    pub method: Method,
    /// What it costs.
    pub counts: Counts,
}

impl Plan {
    /// The plan of the cheapest of [`METHODS`] for `rows`, its outputs packed
    /// by `pack` if that is given (runs start anew every `rows_per_group`
    /// rows).
    pub fn cheapest(rows: &Rows, pack: Option<PackOutputs>, rows_per_group: usize) -> Plan {
        Plan::compile(rows, Method::cheapest(rows), pack, rows_per_group)
    }

    /// The plan that `method` gives for `rows`.
    pub fn compile(
        rows: &Rows,
        method: Method,
        pack: Option<PackOutputs>,
        rows_per_group: usize,
    ) -> Plan {
        let mut arena = Arena::new(rows.inputs);
        let mut outputs = match method {
            Method::Tables { digit_bits } => tables::compile(&mut arena, rows, digit_bits),
            Method::Buckets { digit_bits } => buckets::compile(&mut arena, rows, digit_bits),
        };
        if let Some(pack) = pack {
            let mut lists = arena.lists();
            let runs = pack.runs(&outputs, rows_per_group);
            let packed = runs.map(|run| lists.place(run)).collect();
            arena.horner(lists, pack.shift_bits);
            outputs = packed;
        }
        let program = arena.finish(outputs);
        let counts = program.counts();
        Plan {
            program,
            method,
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::{ONE, ProgramStage as Stage};
    use proptest::prelude::*;

    /// Runs a program on exponents instead of ciphertexts: products become
    /// sums, inverses negations.
    fn in_the_exponent(program: &Program, inputs: &[i64]) -> Vec<i64> {
        fn at(arena: &[i64], index: u32) -> i64 {
            if index == ONE {
                0
            } else {
                arena[index as usize]
            }
        }
        let mut arena = inputs.to_vec();
        for stage in program.stages() {
            let made: Vec<i64> = match stage {
                Stage::Products(rows) => (0..rows.len())
                    .map(|j| rows.row(j).iter().map(|&i| at(&arena, i)).sum())
                    .collect(),
                Stage::Powers(pairs) => pairs
                    .iter()
                    .map(|&(a, b)| at(&arena, a) + at(&arena, b))
                    .collect(),
                Stage::Weighted(rows) => rows
                    .iter()
                    .map(|row| row.iter().map(|&(i, w)| at(&arena, i) * i64::from(w)).sum())
                    .collect(),
                Stage::Horner { rows, digit_bits } => (0..rows.len())
                    .map(|j| {
                        rows.row(j)
                            .iter()
                            .rev()
                            .fold(0, |sum, &i| (sum << digit_bits) + at(&arena, i))
                    })
                    .collect(),
                Stage::Invert(of) => of.iter().map(|&i| -at(&arena, i)).collect(),
            };
            arena.extend(made);
        }
        program.outputs().iter().map(|&i| at(&arena, i)).collect()
    }

    fn direct(rows: &Rows, inputs: &[i64]) -> Vec<i64> {
        rows.rows
            .iter()
            .map(|row| {
                row.iter()
                    .map(|&(input, weight)| inputs[input as usize] * i64::from(weight))
                    .sum()
            })
            .collect()
    }

    fn rows(inputs: usize, weights: &[Vec<i32>]) -> Rows {
        let rows = weights
            .iter()
            .map(|row| {
                (0u32..)
                    .zip(row)
                    .filter(|(_, weight)| **weight != 0)
                    .map(|(input, weight)| (input, *weight))
                    .collect()
            })
            .collect();
        Rows { inputs, rows }
    }

    fn matrices() -> impl Strategy<Value = (Vec<Vec<i32>>, Vec<i64>)> {
        (1usize..9, 1usize..9).prop_flat_map(|(outputs, inputs)| {
            let weight = prop_oneof![Just(0), -8..=8i32, -127..=127i32, Just(-32768), Just(40000)];
            (
                prop::collection::vec(prop::collection::vec(weight, inputs), outputs),
                prop::collection::vec(-1000..1000i64, inputs),
            )
        })
    }

    proptest! {
        #[test]
        fn every_method_computes_the_matrix((weights, inputs) in matrices(), copies in 1usize..4) {
            let rows = rows(inputs.len(), &weights).repeat(copies);
            let inputs: Vec<i64> = (0..copies as i64)
                .flat_map(|copy| inputs.iter().map(move |x| x + copy))
                .collect();
            for method in METHODS {
                let plan = Plan::compile(&rows, method, None, weights.len());
                prop_assert_eq!(in_the_exponent(&plan.program, &inputs), direct(&rows, &inputs));
                prop_assert_eq!(method.counts(&rows, None, weights.len()), plan.counts);
            }
        }

        #[test]
        fn packed_outputs_stand_side_by_side((weights, inputs) in matrices(), outputs in 1usize..5) {
            let rows = rows(inputs.len(), &weights).repeat(2);
            let inputs = [inputs.clone(), inputs].concat();
            let pack = PackOutputs { outputs, shift_bits: 10 };
            // The exponents are small enough here for 5 shifts of 10 bits.
            let expected: Vec<i64> = direct(&rows, &inputs)
                .chunks(weights.len())
                .flat_map(|group| group.chunks(outputs))
                .map(|run| run.iter().rev().fold(0i64, |sum, y| sum.wrapping_shl(10).wrapping_add(*y)))
                .collect();
            for method in METHODS {
                let plan = Plan::compile(&rows, method, Some(pack), weights.len());
                let found = in_the_exponent(&plan.program, &inputs);
                prop_assert_eq!(&found, &expected);
                prop_assert_eq!(method.counts(&rows, Some(pack), weights.len()), plan.counts);
            }
        }
    }

    #[test]
    fn a_plan_for_weights_of_zero_has_no_products() {
        let plan = Plan::cheapest(&rows(3, &[vec![0, 0, 0], vec![0, 0, 0]]), None, 2);
        assert_eq!(plan.counts, Counts::default());
        assert_eq!(plan.program.outputs(), [ONE, ONE]);
    }

    #[test]
    fn unit_weights_cost_a_product_less_than_they_are() {
        let plan = Plan::cheapest(&rows(5, &[vec![1, 1, 1, 1, 1]]), None, 1);
        assert_eq!((plan.counts.products, plan.counts.squarings), (4, 0));
        assert_eq!(plan.counts.inversions, 0);
    }

    #[test]
    fn shared_inputs_get_tables_and_long_rows_get_buckets() {
        // 300 outputs of one input share its powers.
        let column: Vec<Vec<i32>> = (0..300).map(|i| vec![i % 100 + 1]).collect();
        let plan = Plan::cheapest(&rows(1, &column), None, 300);
        assert_eq!(plan.method, Method::Tables { digit_bits: None });
        assert_eq!(plan.counts.products + plan.counts.squarings, 99);
        // One output of 300 inputs with few distinct weights.
        let row: Vec<i32> = (0..300).map(|i| i % 3 + 1).collect();
        let plan = Plan::cheapest(&rows(300, &[row]), None, 1);
        assert!(matches!(plan.method, Method::Buckets { .. }));
        assert_eq!(plan.counts.products + plan.counts.squarings, 297 + 4);
    }
}
