//! Buckets: for every output the inputs of equal digit are multiplied first,
//! and the buckets combined by running products.

use crate::paillier::{Counts, ONE, ProgramStage as Stage};

use super::{super::rows::Rows, arena::Arena, digits::digits};

/// What [`compile`] comes to.
pub(super) fn counts(rows: &Rows, digit_bits: Option<u32>) -> Counts {
    let mut counts = Counts::default();
    let mut inverted = vec![false; rows.inputs];
    let mut weights: Vec<Vec<u32>> = Vec::new();
    for row in &rows.rows {
        for &(input, weight) in row {
            for (place, digit) in digits(weight, digit_bits) {
                if weights.len() <= place {
                    weights.resize(place + 1, Vec::new());
                }
                weights[place].push(digit.unsigned_abs());
                inverted[input as usize] |= digit < 0;
            }
        }
        let mut top = None;
        for (place, weights) in weights.iter_mut().enumerate() {
            if !weights.is_empty() {
                weights.sort_unstable();
                counts = counts + of_buckets(weights);
                counts.products += u64::from(top.is_some());
                top = Some(place as u64);
                weights.clear();
            }
        }
        counts.squarings += top.unwrap_or(0) * u64::from(digit_bits.unwrap_or(0));
    }
    let inverted = inverted.into_iter().filter(|&needed| needed).count();
    counts + Counts::of_inversions(inverted)
}

/// One list with these weights, ascending: a product for every input but one,
/// and a power of the running product for every step between weights.
fn of_buckets(weights: &[u32]) -> Counts {
    let (mut products, mut squarings) = (weights.len() as u64 - 1, 0);
    let mut last = 0;
    for &weight in weights {
        let gap = weight - last;
        last = weight;
        if gap == 0 {
            continue;
        }
        let (doublings, ones) = (gap.ilog2(), gap.count_ones());
        if gap <= doublings + ones {
            products += u64::from(gap);
        } else {
            products += u64::from(ones);
            squarings += u64::from(doublings);
        }
    }
    Counts {
        // The first factor of the result is copied.
        products: products - 1,
        squarings,
        inversions: 0,
    }
}

/// The outputs of `rows`, appended to the arena.
pub(super) fn compile(arena: &mut Arena, rows: &Rows, digit_bits: Option<u32>) -> Vec<u32> {
    let mut inverse = vec![ONE; rows.inputs];
    for &(input, weight) in rows.rows.iter().flatten() {
        if digits(weight, digit_bits).any(|(_, digit)| digit < 0) {
            inverse[input as usize] = 0;
        }
    }
    let inverted: Vec<u32> = (0..rows.inputs as u32)
        .filter(|&input| inverse[input as usize] != ONE)
        .collect();
    let first = arena.push(Stage::Invert(inverted.clone()));
    for (input, place) in inverted.into_iter().zip(first..) {
        inverse[input as usize] = place;
    }

    // For every output and place a list of weighted inputs, largest weight
    // first (sorted as one number, weight above index), and for every output
    // the numbers of its lists.
    let mut lists: Vec<Vec<(u32, u32)>> = Vec::new();
    let mut runs: Vec<Vec<u32>> = Vec::with_capacity(rows.rows.len());
    let mut keys: Vec<Vec<u64>> = Vec::new();
    for row in &rows.rows {
        let mut used = 0;
        for &(input, weight) in row {
            for (place, digit) in digits(weight, digit_bits) {
                if keys.len() <= place {
                    keys.resize(place + 1, Vec::new());
                }
                let at = if digit < 0 {
                    inverse[input as usize]
                } else {
                    input
                };
                let down = u64::from(u32::MAX - digit.unsigned_abs());
                keys[place].push(down << 32 | u64::from(at));
                used = used.max(place + 1);
            }
        }
        let mut run = Vec::with_capacity(used);
        for keys in &mut keys[..used] {
            if keys.is_empty() {
                run.push(ONE);
                continue;
            }
            keys.sort_unstable();
            let pairs = keys.drain(..);
            let pairs = pairs.map(|key| (key as u32, u32::MAX - (key >> 32) as u32));
            run.push(lists.len() as u32);
            lists.push(pairs.collect());
        }
        runs.push(run);
    }

    let first = arena.push(Stage::Weighted(lists));
    let mut joins = arena.lists();
    let outputs = runs.iter().map(|run| {
        let run: Vec<u32> = run
            .iter()
            .map(|&at| if at == ONE { ONE } else { first + at })
            .collect();
        joins.place(&run)
    });
    let outputs = outputs.collect();
    arena.horner(joins, digit_bits.unwrap_or(0));
    outputs
}
