//! The sampler for small σ: inversion of the cumulative probabilities.
//!
//! With C(m) = P(|k| ≤ m) and a uniform real number U in [0, 1), |k| is the
//! number of m with C(m) ≤ U; the sign is a coin. Only the first 63 bits u of U
//! are drawn, and compared with T(m) = ⌊2^63·C(m)⌋. If u < T(m), then U < C(m)
//! whatever follows; if u > T(m), then U > C(m). Only u = T(m) leaves it open:
//! then 64 more bits of U are drawn, T is computed to as many, and so on. That
//! happens with a probability of reach/2^63, and is what makes the sampler
//! exact, not just close.
//!
//! T itself is computed with integers that enclose each C(m) from both sides,
//! and with more of their bits until both sides have the same whole part. (The
//! idea of refining only when needed is Knuth and Yao's, 1976.)

use num_bigint::BigUint;
use rand::CryptoRng;

use super::RandomBits;

/// Bits of the first comparison; the last bit of the word is the sign.
const BITS: u32 = 63;

/// T(m) for m from 0 to reach − 1. C(reach) is 1, which U never reaches.
#[derive(Clone)]
pub(super) struct Table {
    deviation: u64,
    thresholds: Vec<u64>,
}

impl Table {
    /// The table for σ = `deviation` > 0 and |k| ≤ `reach`.
    pub(super) fn new(deviation: u64, reach: u64) -> Table {
        let thresholds = thresholds(deviation, reach, BITS)
            .iter()
            .map(|threshold| u64::try_from(threshold).expect("at most 2^63"))
            .collect();
        Table {
            deviation,
            thresholds,
        }
    }

    /// Draws one integer.
    pub(super) fn sample<R: CryptoRng>(&self, bits: &mut RandomBits<'_, R>) -> i64 {
        let word = bits.word();
        let (first, negative) = (word >> 1, word & 1 == 1);
        let below = self.thresholds.partition_point(|&t| t <= first);
        let open = below > 0 && self.thresholds[below - 1] == first;
        let magnitude = if open {
            self.refine(first, bits)
        } else {
            below
        } as i64;
        // Both signs of 0 are 0, as they should: C(0) is the whole of P(0).
        if negative { -magnitude } else { magnitude }
    }

    /// The magnitude for a U that begins with the 63 bits of `first`, where
    /// these leave it open.
    #[cold]
    fn refine<R: CryptoRng>(&self, first: u64, bits: &mut RandomBits<'_, R>) -> usize {
        let (mut drawn, mut width) = (BigUint::from(first), BITS);
        loop {
            drawn = (drawn << 64) | BigUint::from(bits.word());
            width += 64;
            let thresholds = thresholds(self.deviation, self.thresholds.len() as u64, width);
            let below = thresholds.partition_point(|t| *t <= drawn);
            if below == 0 || thresholds[below - 1] != drawn {
                return below;
            }
        }
    }
}

/// ⌊2^`bits`·C(m)⌋ for m from 0 to `reach` − 1.
pub(super) fn thresholds(deviation: u64, reach: u64, bits: u32) -> Vec<BigUint> {
    // No C(m) is rational, so enough bits always tell both sides apart from a
    // whole number.
    (1..)
        .find_map(|step| enclose(deviation, reach, bits, bits + 64 * step))
        .expect("an endless search")
}

/// A number from both sides, in units of 2^−precision.
#[derive(Clone)]
struct Enclosed {
    low: BigUint,
    high: BigUint,
}

impl Enclosed {
    /// The product of two numbers between 0 and 1.
    fn times(&self, other: &Enclosed, precision: u32) -> Enclosed {
        Enclosed {
            low: (&self.low * &other.low) >> precision,
            high: ((&self.high * &other.high) >> precision) + 1u32,
        }
    }
}

/// The thresholds by numbers of `precision` bits behind the point; `None` if
/// that is too few.
fn enclose(deviation: u64, reach: u64, bits: u32, precision: u32) -> Option<Vec<BigUint>> {
    let one = BigUint::from(1u32) << precision;
    let base = exponential(2 * deviation.pow(2), precision);
    let square = base.times(&base, precision);
    // w(m) = exp(−m²/(2σ²)) = w(m−1)·e^(2m−1), e = exp(−1/(2σ²)).
    let mut weight = Enclosed {
        low: one.clone(),
        high: one,
    };
    let mut ratio = base;
    // S(m) = w(0) + 2·(w(1) + … + w(m)); C(m) = S(m)/S(reach).
    let mut sum = weight.clone();
    let mut sums = vec![sum.clone()];
    for _ in 0..reach {
        weight = weight.times(&ratio, precision);
        ratio = ratio.times(&square, precision);
        sum.low += &weight.low << 1;
        sum.high += &weight.high << 1;
        sums.push(sum.clone());
    }
    let total = sums.pop()?;
    sums.into_iter()
        .map(|sum| {
            let low = (sum.low << bits) / &total.high;
            let high = (sum.high << bits) / &total.low;
            (low == high).then_some(low)
        })
        .collect()
}

/// exp(−1/`inverse`) for `inverse` ≥ 2, by its series.
fn exponential(inverse: u64, precision: u32) -> Enclosed {
    // Term n is ⌊term n−1 / (inverse·n)⌋, which is below the true one by less
    // than 2 units. The series alternates and falls: what is left out is less
    // than the first term left out, which is below 2 units.
    let mut term = BigUint::from(1u32) << precision;
    let (mut plus, mut minus) = (BigUint::ZERO, BigUint::ZERO);
    let mut terms = 0u64;
    while term != BigUint::ZERO {
        if terms.is_multiple_of(2) {
            plus += &term;
        } else {
            minus += &term;
        }
        terms += 1;
        term /= u128::from(inverse) * u128::from(terms);
    }
    let (middle, error) = (plus - minus, 2 * (terms + 1));
    Enclosed {
        low: &middle - error,
        high: middle + error,
    }
}
