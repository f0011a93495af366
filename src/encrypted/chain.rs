//! Short addition chains: how to reach every power that a table needs with as
//! few products as possible.

/// One step of a chain: `value = left + right`, both reached before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The exponent that this step reaches.
    pub value: u32,
    /// An exponent that was there before, or 1.
    pub left: u32,
    /// The other one.
    pub right: u32,
}

/// Steps that reach every exponent of `needed` from 1, one product a step, by
/// ascending value; `needed` ascends.
///
/// Greedy: an exponent that is the sum of two that are there costs one
/// product; otherwise the missing part is reached first. A dense set (the
/// usual case: a hundred different weights of 7 bits) costs one product an
/// exponent, which is the least there can be.
pub fn addition_chain(needed: &[u32]) -> Vec<Step> {
    let mut have = Vec::with_capacity(needed.len() + 1);
    have.push(1);
    let mut steps = Vec::with_capacity(needed.len());
    for &value in needed {
        reach(value, &mut have, &mut steps);
    }
    steps.sort_unstable_by_key(|step| step.value);
    steps
}

/// `have` ascends.
fn reach(value: u32, have: &mut Vec<u32>, steps: &mut Vec<Step>) {
    let Err(below) = have.binary_search(&value) else {
        return;
    };
    if value == 0 {
        return;
    }
    let left = left_part(&have[..below], value).unwrap_or_else(|| {
        let largest = have[below - 1];
        let half = value.div_ceil(2);
        if largest >= half {
            largest
        } else {
            reach(half, have, steps);
            half
        }
    });
    let right = value - left;
    reach(right, have, steps);
    if let Err(at) = have.binary_search(&value) {
        have.insert(at, value);
    }
    steps.push(Step { value, left, right });
}

/// The largest exponent of `below` (ascending) whose rest to `value` is there
/// too: it leaves the smallest rest.
fn left_part(below: &[u32], value: u32) -> Option<u32> {
    let mut rests = below.iter();
    let mut rest = *rests.next()?;
    for &left in below.iter().rev() {
        while rest < value - left {
            rest = *rests.next()?;
        }
        if rest == value - left {
            return Some(left);
        }
        // Beyond the middle, pairs repeat.
        if rest > left {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn check(needed: &[u32]) -> usize {
        let needed: BTreeSet<u32> = needed.iter().copied().collect();
        let needed: Vec<u32> = needed.into_iter().collect();
        let steps = addition_chain(&needed);
        let mut have = BTreeMap::from([(1, ())]);
        for step in &steps {
            assert_eq!(step.left + step.right, step.value);
            assert!(have.contains_key(&step.left) && have.contains_key(&step.right));
            assert!(have.insert(step.value, ()).is_none(), "reached twice");
        }
        for value in needed.iter().filter(|&&v| v > 0) {
            assert!(have.contains_key(value), "{value} is missing");
        }
        steps.len()
    }

    #[test]
    fn every_needed_exponent_is_reached_once() {
        assert_eq!(check(&[]), 0);
        assert_eq!(check(&[1]), 0);
        assert_eq!(check(&[2]), 1);
        assert_eq!(check(&(1..=127).collect::<Vec<_>>()), 126);
        for value in 1..=512 {
            assert!(check(&[value]) <= 2 * value.ilog2() as usize);
        }
        check(&[127, 3, 99, 64, 1, 100]);
        check(&[100_000, 99_999, 7]);
    }
}
