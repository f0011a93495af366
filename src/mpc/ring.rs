//! The ring Z_{2^L} of one layer, and the words that compute in it.
//!
//! A layer's results lie in a known interval. The least ring that tells them
//! apart has L = ⌈log₂(max − min + 1)⌉ bits: a result y is decoded from y mod
//! 2^L as the one value in min .. min + 2^L that has this residue. Inputs may
//! wrap: Wx + b mod 2^L depends on x mod 2^L only.

use crate::network::Range;

/// Integers modulo 2^bits, 1 ≤ bits ≤ 64; elements are `u64` below 2^bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ring {
    bits: u32,
}

impl Ring {
    /// The ring modulo 2^`bits`; `None` unless 1 ≤ `bits` ≤ 64.
    pub const fn new(bits: u32) -> Option<Ring> {
        match bits {
            1..=64 => Some(Ring { bits }),
            _ => None,
        }
    }

    /// The least ring in which the values of `range` are all different.
    pub const fn of(range: Range) -> Ring {
        let span = range.max.wrapping_sub(range.min) as u64;
        let bits = 64 - span.leading_zeros();
        Ring {
            bits: if bits == 0 { 1 } else { bits },
        }
    }

    /// L.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// 2^L − 1.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// The residue of an integer.
    pub const fn enter(self, value: i64) -> u64 {
        value as u64 & self.mask()
    }

    /// The integer in min ..= min + 2^L − 1 with the residue of `element`;
    /// the caller compares it with the range's maximum.
    pub const fn decode(self, element: u64, min: i64) -> i64 {
        min.wrapping_add((element.wrapping_sub(min as u64) & self.mask()) as i64)
    }

    /// The representative of least magnitude: −2^(L−1) ≤ value < 2^(L−1).
    pub const fn signed(self, element: u64) -> i64 {
        let unused = 64 - self.bits;
        ((element << unused) as i64) >> unused
    }
}

/// A machine word that computes modulo 2^L for every L up to its own width.
pub trait Word: Copy + Default + Send + Sync + 'static {
    /// The low bits of `value`.
    fn low(value: u64) -> Self;
    /// The word as a number.
    fn wide(self) -> u64;
    /// `self + weight·value`, modulo the word's width.
    fn add_product(self, weight: Self, value: Self) -> Self;
}

macro_rules! words {
    ($($word:ty),*) => {$(
        impl Word for $word {
            #[inline(always)]
            fn low(value: u64) -> $word {
                value as $word
            }
            #[inline(always)]
            fn wide(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn add_product(self, weight: $word, value: $word) -> $word {
                self.wrapping_add(weight.wrapping_mul(value))
            }
        }
    )*};
}
words!(u16, u32, u64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_of_a_range_comes_back(a: i64, b: i64, part in 0.0f64..1.0) {
            let range = Range::new(a.min(b), a.max(b));
            let ring = Ring::of(range);
            let span = range.max.wrapping_sub(range.min) as u64;
            let inside = range.min.wrapping_add((span as f64 * part) as u64 as i64);
            for value in [range.min, range.max, inside] {
                if range.contains(value) {
                    prop_assert_eq!(ring.decode(ring.enter(value), range.min), value);
                }
            }
        }

        #[test]
        fn signed_representatives_have_the_residue(bits in 1u32..=64, value: u64) {
            let ring = Ring::new(bits).expect("1 to 64 bits");
            let element = value & ring.mask();
            let signed = ring.signed(element);
            prop_assert_eq!(ring.enter(signed), element);
            if bits < 64 {
                prop_assert!((-(1i64 << (bits - 1))..(1i64 << (bits - 1))).contains(&signed));
            }
        }
    }

    #[test]
    fn the_ring_is_the_least_that_tells_the_values_apart() {
        for (min, max, bits) in [
            (0, 0, 1),
            (0, 1, 1),
            (-1, 1, 2),
            (-3, 4, 3),
            (-4, 4, 4),
            (-17_265, 16_570, 16),
            (-4_475, 3_475, 13),
            (i64::MIN, i64::MAX, 64),
        ] {
            assert_eq!(Ring::of(Range::new(min, max)).bits(), bits, "{min}..={max}");
        }
        assert_eq!(Ring::new(0), None);
        assert_eq!(Ring::new(65), None);
    }
}
