//! Numbers as people write them, exactly.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Most digits of a number that is read, leading and trailing zeros aside.
pub const MAX_DIGITS: u32 = 18;

/// A decimal number: `digits` · 10^−`decimals`, with at most [`MAX_DIGITS`]
/// digits and decimals. No binary fraction stands between the text and the
/// integers that come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: i64,
    decimals: u32,
}

impl Decimal {
    /// The number 0.
    pub const ZERO: Decimal = Decimal {
        digits: 0,
        decimals: 0,
    };

    /// Reads a number like `17`, `-0.25` or `1.5e3`; `None` if the text is no
    /// such number or has more digits than fit.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (number, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let mut digits: i64 = 0;
        // Zeros are counted before they are written: none may be the last.
        let mut zeros: u32 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            zeros += 1;
            if byte != b'0' {
                let grown = digits.checked_mul(10_i64.checked_pow(zeros).unwrap_or(i64::MAX));
                digits = match digits {
                    0 => 0,
                    _ => grown?,
                };
                digits = digits.checked_add(i64::from(byte - b'0'))?;
                zeros = 0;
            }
        }
        if digits == 0 {
            return Some(Decimal::ZERO);
        }
        let mut decimals = i64::try_from(fraction.len()).ok()? - exponent - i64::from(zeros);
        if decimals < 0 {
            let up = u32::try_from(-decimals).ok()?;
            digits = digits.checked_mul(10_i64.checked_pow(up)?)?;
            decimals = 0;
        }
        let decimals = u32::try_from(decimals).ok().filter(|d| *d <= MAX_DIGITS)?;
        if digits >= 10_i64.pow(MAX_DIGITS) {
            return None;
        }
        Some(Decimal {
            digits: if negative { -digits } else { digits },
            decimals,
        })
    }

    /// How many decimals the number has; as few as it needs.
    pub fn decimals(self) -> u32 {
        self.decimals
    }

    /// The number times 10^`decimals`.
    ///
    /// # Panics
    ///
    /// If `decimals` is less than [`Decimal::decimals`] or above
    /// [`MAX_DIGITS`].
    pub fn scaled(self, decimals: u32) -> i128 {
        assert!((self.decimals..=MAX_DIGITS).contains(&decimals));
        i128::from(self.digits) * 10_i128.pow(decimals - self.decimals)
    }
}

/// The number behind an `e`: small, since no number here is long.
fn exponent(text: &str) -> Option<i64> {
    let plain = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = plain.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|e: &i64| digits && e.abs() <= 64)
}

impl fmt::Display for Decimal {
    /// The shortest text without an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs();
        if self.decimals == 0 {
            return write!(f, "{sign}{digits}");
        }
        let unit = 10_u64.pow(self.decimals);
        let width = self.decimals as usize;
        write!(f, "{sign}{}.{:0width$}", digits / unit, digits % unit)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let text = String::deserialize(deserializer)?;
        Decimal::parse(&text).ok_or_else(|| D::Error::custom("no decimal number in quotes"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_exactly_and_written_short() {
        for (text, shown, digits, decimals) in [
            ("0", "0", 0, 0),
            ("-0.000", "0", 0, 0),
            ("17", "17", 17, 0),
            ("+17.0", "17", 17, 0),
            ("-0.25", "-0.25", -25, 2),
            (".5", "0.5", 5, 1),
            ("5.", "5", 5, 0),
            ("1.50", "1.5", 15, 1),
            ("1.5e3", "1500", 1500, 0),
            ("100", "100", 100, 0),
            ("15E-3", "0.015", 15, 3),
            ("0.00000000000000000100", "0.000000000000000001", 1, 18),
            (
                "999999999999999999",
                "999999999999999999",
                999_999_999_999_999_999,
                0,
            ),
        ] {
            let number = Decimal::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (number.digits, number.decimals),
                (digits, decimals),
                "{text}"
            );
            assert_eq!(number.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_number_or_too_long() {
        for text in [
            "",
            ".",
            "-",
            "x",
            "1x",
            "0x1",
            "1,5",
            " 1",
            "1e",
            "e1",
            "--1",
            "nan",
            "inf",
            "1e999",
            "1e18",
            "1000000000000000000",
            "0.0000000000000000001",
            "1e1.5",
            "1e+-1",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(digits in -999_999_999_999_999_999_i64..=999_999_999_999_999_999, decimals in 0_u32..=18) {
            let text = Decimal { digits, decimals }.to_string();
            let read = Decimal::parse(&text).expect("written by Display");
            prop_assert_eq!(read.scaled(18), i128::from(digits) * 10_i128.pow(18 - decimals));
        }
    }
}
