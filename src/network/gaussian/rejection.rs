//! The sampler for any σ: rejection from a discrete Laplace distribution.
//!
//! Canonne, Kamath and Steinke, *The Discrete Gaussian for Differential
//! Privacy*, 2020 (arXiv 2004.00010), Algorithms 1 to 3, with t = σ. Integers
//! only. Samples beyond the truncation are drawn again, which leaves the
//! proportions of the others as they are.

use rand::CryptoRng;

use super::RandomBits;

/// A sample with σ = `deviation` > 0 and |k| ≤ `reach` < 2^63.
pub(super) fn sample<R: CryptoRng>(
    deviation: u64,
    reach: u64,
    bits: &mut RandomBits<'_, R>,
) -> i64 {
    // 2σ² < 2^127, since σ ≤ `reach`.
    let twice_variance = 2 * u128::from(deviation).pow(2);
    loop {
        let Some(magnitude) = laplace(deviation, reach, bits) else {
            continue;
        };
        let negative = bits.coin();
        // Otherwise 0 would come twice as often as it should.
        if negative && magnitude == 0 {
            continue;
        }
        // Algorithm 3: accept with exp(−(|k| − σ)²/(2σ²)).
        let distance = u128::from(magnitude.abs_diff(deviation));
        if exponential(distance.pow(2), twice_variance, bits) {
            let magnitude = magnitude as i64;
            return if negative { -magnitude } else { magnitude };
        }
    }
}

/// A magnitude k with a probability proportional to exp(−k/`scale`), or `None`
/// for one above `reach` or for a trial that failed: the inner part of
/// Algorithm 2, k = u + `scale`·v with u and v independent.
fn laplace<R: CryptoRng>(scale: u64, reach: u64, bits: &mut RandomBits<'_, R>) -> Option<u64> {
    let (scale, reach) = (u128::from(scale), u128::from(reach));
    let mut magnitude = bits.below(scale);
    if !exponential(magnitude, scale, bits) {
        return None;
    }
    while exponential(1, 1, bits) {
        magnitude += scale;
        if magnitude > reach {
            return None;
        }
    }
    (magnitude <= reach).then_some(magnitude as u64)
}

/// True with probability exp(−γ), γ = `numerator`/`denominator`: Algorithm 1.
fn exponential<R: CryptoRng>(
    mut numerator: u128,
    denominator: u128,
    bits: &mut RandomBits<'_, R>,
) -> bool {
    // exp(−γ) = exp(−1)·exp(−(γ − 1)).
    while numerator > denominator {
        if !exponential(1, 1, bits) {
            return false;
        }
        numerator -= denominator;
    }
    // The number of successes before the first failure, if trial j succeeds
    // with γ/j, is even with probability 1 − γ + γ²/2! − γ³/3! + …
    let mut trial = 1;
    while chance(numerator, denominator, bits) && chance(1, trial, bits) {
        trial += 1;
    }
    trial % 2 == 1
}

/// True with probability `numerator`/`denominator` ≤ 1.
fn chance<R: CryptoRng>(numerator: u128, denominator: u128, bits: &mut RandomBits<'_, R>) -> bool {
    bits.below(denominator) < numerator
}
