//! The columns of a table that a network takes, and the integers that their
//! cells stand for.
//!
//! A cell becomes an integer of the network's input range by an exact rule of
//! the profile: a category has a value of its own, and a number is placed
//! between the range's ends. Only integers and decimals take part, so the same
//! row gives the same integers on every machine.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Decimal, NetworkError, Profile, Range, limits::MAX_CATEGORIES};

/// A column of a table, as an element of a network's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The column's name.
    pub name: String,
    /// What numbers stand for, if the column may hold any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Scale>,
    /// What words stand for. They go before numbers: a category may be `0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
}

/// Where the ends of the network's input range lie among a column's numbers;
/// whatever is between is placed in proportion and rounded, halves up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Becomes the least integer of the range.
    pub from: Decimal,
    /// Becomes the greatest integer of the range.
    pub to: Decimal,
}

/// A word that a column may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The cell's text; empty for an empty cell.
    pub text: String,
    /// The integer that it stands for.
    pub value: i64,
}

/// Why a cell stands for no integer. It quotes the cell: only its owner may
/// see it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CellError {
    /// Neither a number nor a category.
    #[error("{0:?} is no number")]
    NoNumber(String),
    /// A number beyond the feature's scale.
    #[error("{found:?} lies outside {from} to {to}")]
    Outside {
        /// The cell's text.
        found: String,
        /// Least number of the feature.
        from: Decimal,
        /// Greatest number of the feature.
        to: Decimal,
    },
    /// A word that is no category.
    #[error("{found:?} is none of {known}")]
    NoCategory {
        /// The cell's text.
        found: String,
        /// The first categories.
        known: String,
    },
}

/// Categories that an error names.
const NAMED: usize = 8;

impl Feature {
    /// The integer in `range`, the range of the network's input, that the text
    /// of a cell stands for.
    ///
    /// # Errors
    ///
    /// [`CellError`].
    pub fn encode(&self, text: &str, range: Range) -> Result<i64, CellError> {
        let text = text.trim();
        if let Some(category) = self.categories.iter().find(|c| c.text == text) {
            return Ok(category.value);
        }
        let found: String = text.chars().take(20).collect();
        let Some(scale) = self.number else {
            let known: Vec<String> = self
                .categories
                .iter()
                .take(NAMED)
                .map(|c| format!("{:?}", c.text))
                .collect();
            let more = if self.categories.len() > NAMED {
                ", …"
            } else {
                ""
            };
            return Err(CellError::NoCategory {
                found,
                known: known.join(", ") + more,
            });
        };
        let Some(number) = Decimal::parse(text) else {
            return Err(CellError::NoNumber(found));
        };
        scale.place(number, range).ok_or(CellError::Outside {
            found,
            from: scale.from,
            to: scale.to,
        })
    }
}

impl Scale {
    /// The integer of `range` that `number` stands for; `None` if the number
    /// lies outside the scale, or the arithmetic outside 128 bits.
    fn place(self, number: Decimal, range: Range) -> Option<i64> {
        let decimals = [self.from, self.to, number]
            .map(Decimal::decimals)
            .into_iter()
            .max()?;
        let [from, to, number] = [self.from, self.to, number].map(|d| d.scaled(decimals));
        if !(from..=to).contains(&number) {
            return None;
        }
        let span = i128::from(range.max) - i128::from(range.min);
        // Nothing here is negative, so division rounds down and halves go up.
        let twice = (number - from).checked_mul(span)?.checked_mul(2)?;
        let placed = (twice + (to - from)) / (2 * (to - from));
        i64::try_from(i128::from(range.min) + placed).ok()
    }

    /// Whether every number of the scale can be placed in `range`.
    fn fits(self, range: Range) -> bool {
        let most = [self.from, self.to].map(|d| d.scaled(super::decimal::MAX_DIGITS));
        let span = i128::from(range.max) - i128::from(range.min);
        most[0] < most[1]
            && (most[1] - most[0])
                .checked_mul(span)
                .and_then(|all| all.checked_mul(2))
                .is_some()
    }
}

impl Profile {
    /// Checks the features, if there are any.
    pub(super) fn check_features(&self) -> Result<(), NetworkError> {
        let wrong = |what: String| Err(NetworkError::Profile(what));
        if self.features.is_empty() {
            return Ok(());
        }
        let expected = self.input.shape.len();
        if self.features.len() != expected {
            return wrong(format!(
                "there are {} features, expected {expected}, one for each value of the input",
                self.features.len()
            ));
        }
        let mut names = HashSet::new();
        for feature in &self.features {
            let name = &feature.name;
            super::validate::check_text("a feature's name", name)?;
            if !names.insert(name) {
                return wrong(format!("two features have the name {name:?}"));
            }
            if feature.number.is_none() && feature.categories.is_empty() {
                return wrong(format!(
                    "feature {name:?} has neither a scale for numbers nor categories"
                ));
            }
            if feature.number.is_some_and(|s| !s.fits(self.input.range())) {
                return wrong(format!(
                    "feature {name:?} has no sensible scale; expected the smaller number first, \
                     and few digits"
                ));
            }
            feature.check_categories(self.input.range())?;
        }
        Ok(())
    }
}

impl Feature {
    fn check_categories(&self, range: Range) -> Result<(), NetworkError> {
        let (name, count) = (&self.name, self.categories.len());
        let wrong = |what: String| Err(NetworkError::Profile(what));
        if count > MAX_CATEGORIES {
            return wrong(format!(
                "feature {name:?} has {count} categories, the limit is {MAX_CATEGORIES}"
            ));
        }
        let mut texts = HashSet::new();
        for Category { text, value } in &self.categories {
            if !text.is_empty() {
                super::validate::check_text("a category", text)?;
            }
            if text.trim() != text {
                return wrong(format!(
                    "a category of feature {name:?} begins or ends with white space"
                ));
            }
            if !texts.insert(text) {
                return wrong(format!("feature {name:?} has the category {text:?} twice"));
            }
            if !range.contains(*value) {
                return wrong(format!(
                    "category {text:?} of feature {name:?} stands for {value}, which lies outside \
                     {range}, the range of the input"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTE: Range = Range::new(0, 255);

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a number")
    }

    fn age() -> Feature {
        Feature {
            name: "age".into(),
            number: Some(Scale {
                from: decimal("0"),
                to: decimal("120"),
            }),
            categories: vec![Category {
                text: "unknown".into(),
                value: 128,
            }],
        }
    }

    #[test]
    fn numbers_are_placed_in_proportion_and_rounded() {
        for (text, value) in [
            ("0", 0),
            ("120", 255),
            ("60", 128),
            ("1", 2),
            (" 0.2 ", 0),
            ("0.24", 1),
            ("unknown", 128),
        ] {
            assert_eq!(age().encode(text, BYTE), Ok(value), "{text}");
        }
        let signed = Feature {
            number: Some(Scale {
                from: decimal("-0.5"),
                to: decimal("0.5"),
            }),
            ..age()
        };
        for (text, value) in [("-0.5", -10), ("0", 0), ("0.5", 10), ("-0.07", -1)] {
            assert_eq!(
                signed.encode(text, Range::new(-10, 10)),
                Ok(value),
                "{text}"
            );
        }
    }

    #[test]
    fn a_cell_that_stands_for_nothing_says_why() {
        let says =
            |feature: &Feature, text: &str| feature.encode(text, BYTE).unwrap_err().to_string();
        assert_eq!(says(&age(), "old"), "\"old\" is no number");
        assert_eq!(says(&age(), ""), "\"\" is no number");
        assert_eq!(says(&age(), "121"), "\"121\" lies outside 0 to 120");
        assert_eq!(says(&age(), "-1"), "\"-1\" lies outside 0 to 120");
        let words = Feature {
            number: None,
            ..age()
        };
        assert_eq!(says(&words, "5"), "\"5\" is none of \"unknown\"");
    }

    #[test]
    fn the_widest_range_does_not_overflow() {
        let wide = Range::new(i64::MIN / 2, i64::MAX / 2);
        let scale = Scale {
            from: decimal("0"),
            to: decimal("1"),
        };
        assert!(scale.fits(wide));
        let far = Scale {
            to: decimal("100"),
            ..scale
        };
        assert!(far.fits(BYTE) && !far.fits(wide));
        assert_eq!(scale.place(decimal("1"), wide), Some(wide.max));
    }
}
