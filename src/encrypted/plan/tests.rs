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

/// Every method, with small and large groups.
fn methods() -> Vec<Method> {
    let of_planes = Planes::ALL.into_iter().flat_map(|planes| {
        let subsets = [2, 3, 8].map(|size| Method::Subsets { planes, size });
        subsets.into_iter().chain([Method::Common { planes }])
    });
    DIRECT.into_iter().chain(of_planes).collect()
}

fn cheapest(rows: &Rows) -> Plan {
    Plan::compile(rows, 1, Method::cheapest(rows), None, None)
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
        let rows = rows(inputs.len(), &weights);
        let inputs: Vec<i64> = (0..copies as i64)
            .flat_map(|copy| inputs.iter().map(move |x| x + copy))
            .collect();
        let expected = direct(&rows.repeat(copies), &inputs);
        for method in methods() {
            let plan = Plan::compile(&rows, copies, method, None, None);
            let found = in_the_exponent(&plan.program, &inputs);
            prop_assert_eq!(&found, &expected, "{}", method);
            prop_assert_eq!(method.counts(&rows, copies, None), plan.counts, "{}", method);
        }
    }

    #[test]
    fn common_pairs_that_fit_compute_the_matrix((weights, inputs) in matrices(), at: prop::sample::Index) {
        let own = rows(inputs.len(), &weights);
        let mut other = weights.clone();
        let at = at.index(weights.len() * inputs.len());
        let weight = &mut other[at / inputs.len()][at % inputs.len()];
        *weight = if *weight == 5 { 1 } else { 5 };
        let other = rows(inputs.len(), &other);
        for planes in Planes::ALL {
            let common = Common::find(&own, planes);
            prop_assert!(common.fits(&own));
            prop_assert_eq!(&Common::find(&own, planes), &common, "it is the same each time");
            // Signs and planes are not among what is shared: the pairs of one
            // matrix may well serve another.
            if common.fits(&other) {
                let method = Method::Common { planes };
                let plan = Plan::compile(&other, 1, method, Some(&common), None);
                let found = in_the_exponent(&plan.program, &inputs);
                prop_assert_eq!(found, direct(&other, &inputs));
            }
        }
    }

    #[test]
    fn packed_outputs_stand_side_by_side((weights, inputs) in matrices(), outputs in 1usize..5) {
        let rows = rows(inputs.len(), &weights);
        let inputs = [inputs.clone(), inputs].concat();
        let pack = PackOutputs { outputs, shift_bits: 10 };
        // The exponents are small enough here for 5 shifts of 10 bits.
        let expected: Vec<i64> = direct(&rows.repeat(2), &inputs)
            .chunks(weights.len())
            .flat_map(|group| group.chunks(outputs))
            .map(|run| run.iter().rev().fold(0i64, |sum, y| sum.wrapping_shl(10).wrapping_add(*y)))
            .collect();
        for method in methods() {
            let plan = Plan::compile(&rows, 2, method, None, Some(pack));
            let found = in_the_exponent(&plan.program, &inputs);
            prop_assert_eq!(&found, &expected, "{}", method);
            let counts = method.counts(&rows, 2, None) + pack.counts(&rows, 2);
            prop_assert_eq!(counts, plan.counts, "{}", method);
        }
    }
}

#[test]
fn a_plan_for_weights_of_zero_has_no_products() {
    let plan = cheapest(&rows(3, &[vec![0, 0, 0], vec![0, 0, 0]]));
    assert_eq!(plan.counts, Counts::default());
    assert_eq!(plan.program.outputs(), [ONE, ONE]);
}

#[test]
fn unit_weights_cost_a_product_less_than_they_are() {
    let plan = cheapest(&rows(5, &[vec![1, 1, 1, 1, 1]]));
    assert_eq!((plan.counts.products, plan.counts.squarings), (4, 0));
    assert_eq!(plan.counts.inversions, 0);
}

#[test]
fn shared_inputs_get_tables_and_long_rows_get_buckets() {
    // 300 outputs of one input share its powers.
    let column: Vec<Vec<i32>> = (0..300).map(|i| vec![i % 100 + 1]).collect();
    let plan = cheapest(&rows(1, &column));
    assert_eq!(plan.method, Method::Tables { digit_bits: None });
    assert_eq!(plan.counts.products + plan.counts.squarings, 99);
    // One output of 300 inputs with few distinct weights.
    let row: Vec<i32> = (0..300).map(|i| i % 3 + 1).collect();
    let plan = cheapest(&rows(300, &[row]));
    assert!(matches!(plan.method, Method::Buckets { .. }));
    assert_eq!(plan.counts.products + plan.counts.squarings, 297 + 4);
}

#[test]
fn the_largest_weights_have_planes() {
    let weights = vec![vec![i32::MIN, i32::MAX, -1], vec![0, i32::MIN, 1]];
    let rows = rows(3, &weights);
    for method in methods() {
        let plan = Plan::compile(&rows, 1, method, None, None);
        let found = in_the_exponent(&plan.program, &[7, -3, 2]);
        assert_eq!(found, direct(&rows, &[7, -3, 2]), "{method}");
    }
}

/// Pairs, and what is left of every set.
type Parts<'a> = (&'a [[u32; 2]], &'a [&'a [u32]]);

#[test]
fn pairs_that_compute_something_else_do_not_fit() {
    let rows = rows(4, &[vec![1, 1, 1, 0], vec![1, 1, 0, 1], vec![0, 0, 1, 1]]);
    let right = Common::find(&rows, Planes::Binary);
    assert_eq!(right.pairs, [[0, 1]]);
    let sets = |rows: &[&[u32]]| -> crate::paillier::Csr {
        rows.iter().map(|row| row.iter().copied()).collect()
    };
    let with = |pairs: &[[u32; 2]], rows: &[&[u32]]| Common {
        planes: Planes::Binary,
        pairs: pairs.to_vec(),
        sets: sets(rows),
    };
    assert!(with(&[[0, 1]], &[&[4, 2], &[3, 4], &[2, 3]]).fits(&rows));
    assert!(with(&[], &[&[0, 1, 2], &[0, 1, 3], &[2, 3]]).fits(&rows));
    let wrong: [Parts<'_>; 9] = [
        // A set too few, one too many, a member too few, one too many.
        (&[[0, 1]], &[&[4, 2], &[4, 3]]),
        (&[[0, 1]], &[&[4, 2], &[4, 3], &[2, 3], &[]]),
        (&[[0, 1]], &[&[4], &[4, 3], &[2, 3]]),
        (&[[0, 1]], &[&[4, 2, 3], &[4, 3], &[2, 3]]),
        // An element twice, by itself or in a pair.
        (&[[0, 1]], &[&[4, 2, 2], &[4, 3], &[2, 3]]),
        (&[[0, 1]], &[&[4, 2, 0], &[4, 3], &[2, 3]]),
        (&[[0, 0]], &[&[4, 1, 2], &[0, 1, 3], &[2, 3]]),
        // Elements that are not there, or not yet.
        (&[[0, 1]], &[&[5, 2], &[4, 3], &[2, 3]]),
        (&[[0, 5], [1, 2]], &[&[4, 5], &[0, 1, 3], &[2, 3]]),
    ];
    for (pairs, sets) in wrong {
        assert!(!with(pairs, sets).fits(&rows), "{pairs:?} {sets:?}");
    }
    // Pairs of pairs that would be a number of elements beyond all bounds.
    let doubling: Vec<[u32; 2]> = (4..1000).map(|pair| [pair - 1, pair - 1]).collect();
    assert!(!with(&doubling, &[&[999], &[4, 3], &[2, 3]]).fits(&rows));
}
