//! Real numbers as integers, and integers as real numbers.

use num_bigint::{BigInt, BigUint, Sign};
use num_integer::Integer;
use num_traits::{Signed, Zero};
use serde::{Deserialize, Serialize};

use super::DotError;
use crate::network::Decimal;

/// A real number, exactly as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Real {
    /// In decimal digits.
    Decimal(Decimal),
    /// In binary; finite.
    Binary(f64),
    /// A whole number.
    Whole(i64),
}

/// What a scale is a power of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// 2.
    Two,
    /// 10.
    Ten,
}

/// A number stands for its integer divided by base^exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// 2 or 10.
    pub base: Base,
    /// 0 to [`Scale::MAX_EXPONENT`].
    pub exponent: u32,
}

/// Real numbers as integers.
#[derive(Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The integers, as many a vector as there were numbers.
    pub vectors: Vec<Vec<i64>>,
    /// What they are to be divided by.
    pub scale: Scale,
    /// Whether every number is exactly its integer over the scale; else it was
    /// rounded to the nearest, halves away from 0.
    pub exact: bool,
}

impl std::fmt::Debug for Fixed {
    /// Shows the size and the scale; the numbers are their owner's secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} vectors at {}", self.vectors.len(), self.scale)
    }
}

impl std::fmt::Display for Scale {
    /// As in `10^2`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let base = match self.base {
            Base::Two => 2,
            Base::Ten => 10,
        };
        write!(f, "{base}^{}", self.exponent)
    }
}

impl Scale {
    /// The greatest exponent.
    pub const MAX_EXPONENT: u32 = 120;

    /// base^exponent.
    fn factor(self) -> BigInt {
        let base: u32 = match self.base {
            Base::Two => 2,
            Base::Ten => 10,
        };
        BigInt::from(base).pow(self.exponent)
    }
}

impl Real {
    /// The number as a fraction with a denominator above 0.
    fn fraction(self) -> (BigInt, BigInt) {
        match self {
            Real::Whole(number) => (number.into(), 1.into()),
            Real::Decimal(number) => {
                let decimals = number.decimals();
                let denominator = BigInt::from(10).pow(decimals);
                (number.scaled(decimals).into(), denominator)
            }
            Real::Binary(number) => {
                // IEEE 754: ±mantissa · 2^(exponent − 1075), subnormals included.
                let bits = number.to_bits();
                let exponent = (bits >> 52 & 0x7ff) as i64;
                let fraction = bits & ((1 << 52) - 1);
                let (mantissa, exponent) = match exponent {
                    0 => (fraction, -1074),
                    _ => (fraction | 1 << 52, exponent - 1075),
                };
                let mantissa = match number.is_sign_negative() {
                    true => -BigInt::from(mantissa),
                    false => BigInt::from(mantissa),
                };
                match exponent {
                    0.. => (mantissa << exponent as u64, 1.into()),
                    _ => {
                        let zeros = mantissa.trailing_zeros().unwrap_or(0);
                        let shift = exponent.unsigned_abs().min(zeros);
                        let left = exponent.unsigned_abs() - shift;
                        (mantissa >> shift, BigInt::from(1) << left)
                    }
                }
            }
        }
    }
}

/// Numerator, denominator and place of every number.
struct Fractions {
    vectors: Vec<Vec<(BigInt, BigInt)>>,
    decimal: bool,
}

impl Fractions {
    fn all(&self) -> impl Iterator<Item = &(BigInt, BigInt)> {
        self.vectors.iter().flatten()
    }

    /// The least scale at which every number is an integer, if there is one.
    fn exact(&self) -> Option<Scale> {
        let mut exponent = 0;
        let base = match self.decimal {
            true => Base::Ten,
            false => Base::Two,
        };
        for (_, denominator) in self.all() {
            let needed = match self.decimal {
                true => denominator.to_string().len() as u64 - 1,
                false => denominator.bits() - 1,
            };
            exponent = exponent.max(u32::try_from(needed).ok()?);
        }
        (exponent <= Scale::MAX_EXPONENT).then_some(Scale { base, exponent })
    }

    /// The place of the first number that is not below 2^bits at `scale`.
    fn too_large(&self, scale: Scale, bits: u32) -> Option<(usize, usize)> {
        let factor = scale.factor();
        self.vectors
            .iter()
            .enumerate()
            .find_map(|(vector, numbers)| {
                let wide =
                    |(n, d): &(BigInt, BigInt)| rounded(&(n * &factor), d).0.bits() > bits.into();
                numbers.iter().position(wide).map(|index| (vector, index))
            })
    }

    fn at(&self, scale: Scale) -> Fixed {
        let factor = scale.factor();
        let mut exact = true;
        let mut integer = |(n, d): &(BigInt, BigInt)| {
            let (integer, whole) = rounded(&(n * &factor), d);
            exact &= whole;
            // Below 2^63: the caller has looked.
            i64::try_from(integer).unwrap_or(0)
        };
        let vectors = self
            .vectors
            .iter()
            .map(|numbers| numbers.iter().map(&mut integer).collect())
            .collect();
        Fixed {
            vectors,
            scale,
            exact,
        }
    }
}

/// n / d to the nearest integer, halves away from 0, and whether it is exact.
fn rounded(n: &BigInt, d: &BigInt) -> (BigInt, bool) {
    let (quotient, rest) = n.abs().div_rem(d);
    let up = &rest * 2 >= *d;
    let magnitude = if up { quotient + 1 } else { quotient };
    let signed = if n.is_negative() {
        -magnitude
    } else {
        magnitude
    };
    (signed, rest.is_zero())
}

impl Fixed {
    /// Turns `vectors` into integers of less than `bits` bits (1 to 62),
    /// without their sign, at `scale`, or at one that is found: the least at
    /// which nothing is rounded, and if that takes too many bits the greatest
    /// power of the same base at which the numbers fit.
    ///
    /// # Errors
    ///
    /// [`DotError::TooLarge`] if a number does not fit.
    pub fn new(vectors: &[Vec<Real>], bits: u32, scale: Option<Scale>) -> Result<Fixed, DotError> {
        assert!((1..=62).contains(&bits), "bits of the integers");
        let fractions = Fractions {
            vectors: vectors
                .iter()
                .map(|numbers| numbers.iter().map(|number| number.fraction()).collect())
                .collect(),
            decimal: vectors
                .iter()
                .flatten()
                .all(|number| !matches!(number, Real::Binary(_))),
        };
        let fits = |scale: &Scale| fractions.too_large(*scale, bits).is_none();
        let (scale, hint) = match (scale, fractions.exact().filter(fits)) {
            (Some(scale), _) => (scale, "; use a smaller scale or more bits"),
            (None, Some(exact)) => (exact, ""),
            (None, None) => {
                let base = match fractions.decimal {
                    true => Base::Ten,
                    false => Base::Two,
                };
                let of = |exponent| Scale { base, exponent };
                // Fitting is monotone in the scale: the greatest by bisection.
                let (mut low, mut high) = (0, Scale::MAX_EXPONENT + 1);
                while high - low > 1 {
                    let middle = (low + high) / 2;
                    match fits(&of(middle)) {
                        true => low = middle,
                        false => high = middle,
                    }
                }
                (of(low), "; divide all numbers by a power of ten first")
            }
        };
        if let Some((vector, index)) = fractions.too_large(scale, bits) {
            return Err(DotError::TooLarge {
                vector: vector + 1,
                index: index + 1,
                bits,
                hint,
            });
        }
        Ok(fractions.at(scale))
    }

    /// The bits of the largest integer without its sign; at least 1.
    pub fn bits(&self) -> u32 {
        let all = self.vectors.iter().flatten();
        let bits = all.map(|v| u64::BITS - v.unsigned_abs().leading_zeros());
        bits.max().unwrap_or(0).max(1)
    }
}

/// `integer` divided by both scales, in decimal digits, all of them.
pub fn exact_text(integer: i64, scales: [Scale; 2]) -> String {
    let (mut fives, mut places) = (0, 0);
    for scale in scales {
        places += scale.exponent;
        if scale.base == Base::Two {
            // 1/2^e = 5^e/10^e.
            fives += scale.exponent;
        }
    }
    let digits = BigUint::from(integer.unsigned_abs()) * BigUint::from(5_u32).pow(fives);
    let mut text = digits.to_string();
    let places = places as usize;
    if text.len() <= places {
        text = "0".repeat(places + 1 - text.len()) + &text;
    }
    if places > 0 {
        text.insert(text.len() - places, '.');
        let end = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(end);
    }
    let sign = BigInt::from(integer).sign();
    if sign == Sign::Minus {
        text.insert(0, '-');
    }
    text
}
