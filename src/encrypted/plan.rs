//! Product plans: in which order the powers of a layer are multiplied.
//!
//! The server knows its weights long before a query comes, so it can look for
//! the cheapest way to compute all `y_j = Π x_i^(w_ji)` of a layer at once.
//! Two families are compiled, and the one with fewer products is taken; the
//! choice depends on weights and layout alone, never on a key or a query.
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

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use crate::paillier::{Counts, Csr, ONE, Program, ProgramStage as Stage};

use super::{
    chain::{Step, addition_chain},
    rows::Rows,
};

/// How the products of a layer are arranged; see the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Powers of every input, shared by all outputs; weights in signed digits
    /// of this many bits (`None`: whole weights).
    Tables {
        /// Bits of a digit, or `None` for whole weights.
        digit_bits: Option<u32>,
    },
    /// Inputs of equal weight collected for every output; weights in signed
    /// digits of this many bits (`None`: whole weights).
    Buckets {
        /// Bits of a digit, or `None` for whole weights.
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

/// The methods that are compiled and counted for every layer.
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

/// Outputs packed into one ciphertext after they are computed: output `t` of
/// each run of `outputs` is shifted by `t · shift_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackOutputs {
    /// How many outputs share a ciphertext.
    pub outputs: usize,
    /// How many bits lie between them.
    pub shift_bits: u32,
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
    /// The cheapest of [`METHODS`] for `rows`, its outputs packed by `pack` if
    /// that is given (runs start anew every `rows_per_group` rows).
    pub fn cheapest(rows: &Rows, pack: Option<PackOutputs>, rows_per_group: usize) -> Plan {
        METHODS
            .into_iter()
            .map(|method| Plan::compile(rows, method, pack, rows_per_group))
            .min_by_key(|plan| plan.counts.products + plan.counts.squarings)
            .expect("there are methods")
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
            Method::Tables { digit_bits } => arena.tables(rows, digit_bits),
            Method::Buckets { digit_bits } => arena.buckets(rows, digit_bits),
        };
        if let Some(pack) = pack {
            let runs: Vec<Vec<u32>> = outputs
                .chunks(rows_per_group.max(1))
                .flat_map(|group| group.chunks(pack.outputs))
                .map(<[u32]>::to_vec)
                .collect();
            outputs = arena.horner(runs, pack.shift_bits);
        }
        let mut program = arena.program;
        program.set_outputs(outputs).expect(OWN_INDICES);
        let counts = program.counts();
        Plan {
            program,
            method,
            counts,
        }
    }
}

/// Signed digits of `weight` to the base `2^bits`, lowest first, each within
/// `−2^(bits−1)+1 ..= 2^(bits−1)`; one digit, the weight itself, if `bits` is
/// `None`.
fn digits(weight: i32, bits: Option<u32>) -> Vec<i32> {
    let Some(bits) = bits else {
        return vec![weight];
    };
    let mut rest = i64::from(weight);
    let mut found = Vec::new();
    while rest != 0 {
        let mut digit = rest.rem_euclid(1 << bits);
        if digit > 1 << (bits - 1) {
            digit -= 1 << bits;
        }
        found.push(digit as i32);
        rest = (rest - digit) >> bits;
    }
    found
}

/// Plans refer to elements that they made themselves, and networks are small
/// enough (the profile's limits) for 32-bit indices.
const OWN_INDICES: &str = "a plan's own indices are in its arena";

/// The program while it is built.
struct Arena {
    program: Program,
}

impl Arena {
    fn new(inputs: usize) -> Arena {
        Arena {
            program: Program::new(inputs).expect(OWN_INDICES),
        }
    }

    /// Appends a stage; nothing for a stage without results.
    fn push(&mut self, stage: Stage) -> Vec<u32> {
        if stage.results() == 0 {
            return Vec::new();
        }
        self.program.push(stage).expect(OWN_INDICES).collect()
    }

    fn products(&mut self, lists: Vec<Vec<u32>>) -> Vec<u32> {
        self.push(Stage::Products(lists.into_iter().collect()))
    }

    fn pairs(&mut self, pairs: Vec<(u32, u32)>) -> Vec<u32> {
        self.push(Stage::Powers(pairs))
    }

    fn weighted(&mut self, mut lists: Vec<Vec<(u32, u32)>>) -> Vec<u32> {
        for list in &mut lists {
            list.sort_unstable_by_key(|&(index, weight)| (Reverse(weight), index));
        }
        self.push(Stage::Weighted(lists))
    }

    fn invert(&mut self, of: Vec<u32>) -> Vec<u32> {
        self.push(Stage::Invert(of))
    }

    fn horner(&mut self, lists: Vec<Vec<u32>>, digit_bits: u32) -> Vec<u32> {
        let rows: Csr = lists.into_iter().collect();
        self.push(Stage::Horner { rows, digit_bits })
    }

    /// Powers of every input that some digit of some weight needs: where
    /// `(input, exponent)` stands in the arena.
    fn powers(&mut self, needed: &[BTreeSet<u32>]) -> HashMap<(u32, u32), u32> {
        // Inputs with the same needs share a chain: in a convolution nearly
        // all do.
        let mut chains: HashMap<&BTreeSet<u32>, Vec<Step>> = HashMap::new();
        for set in needed {
            chains.entry(set).or_insert_with(|| addition_chain(set));
        }
        let mut place: HashMap<(u32, u32), u32> = HashMap::new();
        // Steps of equal depth are independent of each other: one stage each.
        let mut levels: Vec<Vec<(u32, Step)>> = Vec::new();
        for (input, set) in (0u32..).zip(needed) {
            place.insert((input, 1), input);
            let mut depth: BTreeMap<u32, usize> = BTreeMap::from([(1, 0)]);
            for &step in &chains[set] {
                let level = depth[&step.left].max(depth[&step.right]);
                depth.insert(step.value, level + 1);
                if levels.len() <= level {
                    levels.resize(level + 1, Vec::new());
                }
                levels[level].push((input, step));
            }
        }
        for level in levels {
            let pairs = level
                .iter()
                .map(|(input, step)| (place[&(*input, step.left)], place[&(*input, step.right)]))
                .collect();
            let made = self.pairs(pairs);
            for ((input, step), at) in level.iter().zip(made) {
                place.insert((*input, step.value), at);
            }
        }
        place
    }

    fn tables(&mut self, rows: &Rows, digit_bits: Option<u32>) -> Vec<u32> {
        let mut needed = vec![BTreeSet::new(); rows.inputs];
        for &(input, weight) in rows.rows.iter().flatten() {
            for digit in digits(weight, digit_bits) {
                if digit != 0 {
                    needed[input as usize].insert(digit.unsigned_abs());
                }
            }
        }
        let place = self.powers(&needed);

        // For every output and sign, one list of factors a digit.
        let mut factors: Vec<[Vec<Vec<u32>>; 2]> = Vec::with_capacity(rows.rows.len());
        for row in &rows.rows {
            let mut of_row = [Vec::new(), Vec::new()];
            for &(input, weight) in row {
                for (level, digit) in digits(weight, digit_bits).into_iter().enumerate() {
                    if digit == 0 {
                        continue;
                    }
                    let lists: &mut Vec<Vec<u32>> = &mut of_row[usize::from(digit < 0)];
                    if lists.len() <= level {
                        lists.resize(level + 1, Vec::new());
                    }
                    lists[level].push(place[&(input, digit.unsigned_abs())]);
                }
            }
            factors.push(of_row);
        }
        let parts = self.digit_products(
            factors.into_iter().flatten().collect(),
            digit_bits.unwrap_or(0),
        );
        self.divide(&parts)
    }

    /// Products of every list, then the lists of one entry joined as digits.
    /// An entry without lists has no result.
    fn digit_products(&mut self, entries: Vec<Vec<Vec<u32>>>, digit_bits: u32) -> Vec<Option<u32>> {
        let lengths: Vec<usize> = entries.iter().map(Vec::len).collect();
        let lists: Vec<Vec<u32>> = entries.into_iter().flatten().collect();
        let mut products = self.products(lists).into_iter();
        let runs: Vec<Vec<u32>> = lengths
            .iter()
            .map(|&length| products.by_ref().take(length).collect())
            .collect();
        self.join(runs, digit_bits)
    }

    /// Joins digits (lowest first) where there is more than one.
    fn join(&mut self, runs: Vec<Vec<u32>>, digit_bits: u32) -> Vec<Option<u32>> {
        let long: Vec<Vec<u32>> = runs.iter().filter(|run| run.len() > 1).cloned().collect();
        let mut joined = self.horner(long, digit_bits).into_iter();
        runs.iter()
            .map(|run| match run.len() {
                0 => None,
                1 => Some(run[0]),
                _ => joined.next(),
            })
            .collect()
    }

    /// `parts` holds, for every output, its positive and its negative part:
    /// their quotients.
    fn divide(&mut self, parts: &[Option<u32>]) -> Vec<u32> {
        let negative: Vec<u32> = parts.chunks(2).filter_map(|pair| pair[1]).collect();
        let mut inverses = self.invert(negative).into_iter();
        let mut pairs = Vec::new();
        let mut results = Vec::with_capacity(parts.len() / 2);
        for pair in parts.chunks(2) {
            let inverse = pair[1].and_then(|_| inverses.next());
            results.push(match (pair[0], inverse) {
                (Some(positive), Some(inverse)) => {
                    pairs.push((positive, inverse));
                    None
                }
                (Some(only), None) | (None, Some(only)) => Some(only),
                (None, None) => Some(ONE),
            });
        }
        let mut quotients = self.pairs(pairs).into_iter();
        results
            .into_iter()
            .map(|ready| {
                ready
                    .or_else(|| quotients.next())
                    .expect("a quotient a pair")
            })
            .collect()
    }

    fn buckets(&mut self, rows: &Rows, digit_bits: Option<u32>) -> Vec<u32> {
        let split: Vec<Vec<Vec<(u32, i32)>>> = rows
            .rows
            .iter()
            .map(|row| {
                let mut levels: Vec<Vec<(u32, i32)>> = Vec::new();
                for &(input, weight) in row {
                    for (level, digit) in digits(weight, digit_bits).into_iter().enumerate() {
                        if levels.len() <= level {
                            levels.resize(level + 1, Vec::new());
                        }
                        if digit != 0 {
                            levels[level].push((input, digit));
                        }
                    }
                }
                levels
            })
            .collect();
        let negative: BTreeSet<u32> = split
            .iter()
            .flatten()
            .flatten()
            .filter(|(_, digit)| *digit < 0)
            .map(|&(input, _)| input)
            .collect();
        let inverses = self.invert(negative.iter().copied().collect());
        let inverse: HashMap<u32, u32> = negative.into_iter().zip(inverses).collect();

        let lengths: Vec<usize> = split.iter().map(Vec::len).collect();
        let lists: Vec<Vec<(u32, u32)>> = split
            .into_iter()
            .flatten()
            .map(|level| {
                level
                    .into_iter()
                    .map(|(input, digit)| {
                        let at = if digit < 0 { inverse[&input] } else { input };
                        (at, digit.unsigned_abs())
                    })
                    .collect()
            })
            .collect();
        let mut products = self.weighted(lists).into_iter();
        let runs = lengths
            .iter()
            .map(|&length| products.by_ref().take(length).collect())
            .collect();
        self.join(runs, digit_bits.unwrap_or(0))
            .into_iter()
            .map(|result| result.unwrap_or(ONE))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            }
        }

        #[test]
        fn digits_make_the_weight(weight in -100_000..100_000i32, bits in 2u32..7) {
            let digits = digits(weight, Some(bits));
            let sum: i64 = (0u32..).zip(&digits).map(|(t, d)| i64::from(*d) << (t * bits)).sum();
            prop_assert_eq!(sum, i64::from(weight));
            let half = 1 << (bits - 1);
            prop_assert!(digits.iter().all(|d| (-half + 1..=half).contains(d)));
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
