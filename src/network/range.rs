//! Intervals of integers, and the exact bounds of a linear layer.
//!
//! A layer's output bounds are computed element by element from its real
//! weights: output `b + Σ w·x` with each `x` anywhere in its own interval is
//! least where every positive weight meets its input's minimum and every
//! negative one its maximum. If the inputs are independent, as the pixels of an
//! image are, the bound is attained; behind an earlier layer it is sound. Slot
//! widths follow from these bounds, so an overflow is impossible for inputs
//! within the profile's range, not just improbable.
//!
//! Where weights are drawn at random, each is an interval as well, and the
//! products' bounds stand at the corners of weight and input.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Linear, Problem, Weights};

/// An interval of integers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
}

impl Range {
    /// The interval from `min` to `max`.
    pub const fn new(min: i64, max: i64) -> Range {
        Range { min, max }
    }

    /// Whether `value` lies in the interval.
    pub const fn contains(&self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }

    /// Whether all of `other` lies in the interval.
    pub const fn covers(&self, other: Range) -> bool {
        self.min <= other.min && other.max <= self.max
    }

    /// The least interval that covers both.
    pub fn union(self, other: Range) -> Range {
        Range::new(self.min.min(other.min), self.max.max(other.max))
    }

    /// The least interval that covers all of `ranges`; `None` if there is none.
    pub fn of_all(ranges: &[Range]) -> Option<Range> {
        ranges.iter().copied().reduce(Range::union)
    }

    /// The least B for which every value fits a signed slot of B bits:
    /// −2^(B−1) ≤ min and max < 2^(B−1). At least 1, at most 64.
    pub const fn slot_bits(&self) -> u32 {
        // Magnitude bits of the end that needs more; !v = −v − 1 for v < 0.
        let low = if self.min < 0 { !self.min } else { self.min };
        let high = if self.max < 0 { !self.max } else { self.max };
        let widest = if low > high { low } else { high };
        65 - widest.leading_zeros()
    }

    /// The interval, if both ends fit 64 bits.
    pub(super) fn checked(min: i128, max: i128, what: &'static str) -> Result<Range, Problem> {
        match (i64::try_from(min), i64::try_from(max)) {
            (Ok(min), Ok(max)) => Ok(Range::new(min, max)),
            _ => Err(Problem::Overflow { what }),
        }
    }

    /// Refuses an interval with its minimum above its maximum.
    pub(super) fn check(&self, what: &'static str) -> Result<(), Problem> {
        if self.min > self.max {
            return Err(Problem::Inverted {
                what,
                min: self.min,
                max: self.max,
            });
        }
        Ok(())
    }
}

impl fmt::Display for Range {
    /// As in `-128..=127`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.min, self.max)
    }
}

impl Linear {
    /// The bounds of every output element, flat in the order channel, row,
    /// column, for inputs anywhere within `inputs` (one interval an element,
    /// each independent of the others): [`Linear::bounds_between`] for weights
    /// that are fixed.
    ///
    /// # Errors
    ///
    /// [`Problem::Overflow`] if a bound does not fit 64 bits.
    ///
    /// # Panics
    ///
    /// If `weights` or `inputs` do not have the layer's shape.
    pub fn bounds(&self, weights: &Weights, inputs: &[Range]) -> Result<Vec<Range>, Problem> {
        self.bounds_between(weights, weights, inputs)
    }

    /// The bounds of every output element, flat in the order channel, row,
    /// column, if each weight and bias lies anywhere between that of `least`
    /// and that of `greatest`, each input anywhere within its interval in
    /// `inputs`, and all are independent of each other.
    ///
    /// A weight has 32 bits, an input 64 and a layer at most 2^26 taps, so the
    /// 128-bit sums cannot overflow.
    ///
    /// # Errors
    ///
    /// [`Problem::Overflow`] if a bound does not fit 64 bits.
    ///
    /// # Panics
    ///
    /// If weights or `inputs` do not have the layer's shape.
    pub fn bounds_between(
        &self,
        least: &Weights,
        greatest: &Weights,
        inputs: &[Range],
    ) -> Result<Vec<Range>, Problem> {
        assert_eq!(self.check_weights(least), Ok(()));
        assert_eq!(self.check_weights(greatest), Ok(()));
        assert_eq!(
            inputs.len(),
            self.input_shape().len(),
            "number of intervals"
        );
        let (positions, taps) = (self.positions(), self.taps());
        let mut bounds = vec![Range::new(0, 0); positions * self.channels()];
        for position in 0..positions {
            // The same for every output channel, and not cheap.
            let met: Vec<(usize, Range)> = (0..taps)
                .filter_map(|tap| Some((tap, inputs[self.tap_input(position, tap)?])))
                .collect();
            let lows = least.weights.chunks_exact(taps).zip(&least.bias);
            let highs = greatest.weights.chunks_exact(taps).zip(&greatest.bias);
            for (channel, ((low, &bias_low), (high, &bias_high))) in lows.zip(highs).enumerate() {
                let (mut min, mut max) = (i128::from(bias_low), i128::from(bias_high));
                for &(tap, input) in &met {
                    let (least, greatest) = products(low[tap], high[tap], input);
                    min += least;
                    max += greatest;
                }
                bounds[channel * positions + position] =
                    Range::checked(min, max, "a pre-activation")?;
            }
        }
        Ok(bounds)
    }
}

/// The least and the greatest product of a weight from `low` to `high` and an
/// input within `input`: both stand at a corner.
fn products(low: i32, high: i32, input: Range) -> (i128, i128) {
    let of = |weight: i32| {
        let a = i128::from(weight) * i128::from(input.min);
        let b = i128::from(weight) * i128::from(input.max);
        (a.min(b), a.max(b))
    };
    let (min, max) = of(low);
    if low == high {
        return (min, max);
    }
    let (other_min, other_max) = of(high);
    (min.min(other_min), max.max(other_max))
}
