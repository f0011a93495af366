//! Which images of a set are meant: `17`, `0..100`, `100..`.

use std::{fmt, ops::Range, str::FromStr};

use super::DatasetError;

/// A run of images, by number from 0; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    start: usize,
    /// One past the last; none: up to the last image there is.
    end: Option<usize>,
}

impl Selection {
    /// All images.
    pub const ALL: Selection = Selection {
        start: 0,
        end: None,
    };

    /// The first `count` images.
    pub fn first(count: usize) -> Selection {
        Selection {
            start: 0,
            end: Some(count),
        }
    }

    /// The run in a set of `len` images.
    ///
    /// # Errors
    /// If it reaches beyond the end, or is empty.
    pub fn within(self, len: usize) -> Result<Range<usize>, DatasetError> {
        let end = self.end.unwrap_or(len);
        if self.start < end && end <= len {
            return Ok(self.start..end);
        }
        Err(DatasetError::SelectionRange {
            selection: self.to_string(),
            len,
        })
    }
}

impl FromStr for Selection {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Selection, DatasetError> {
        let wrong = || DatasetError::Selection(text.chars().take(40).collect());
        // `parse` alone would take "+1".
        let number = |digits: &str| match digits.bytes().all(|b| b.is_ascii_digit()) {
            true => digits.parse::<usize>().map_err(|_| wrong()),
            false => Err(wrong()),
        };
        let (start, end) = match text.split_once("..") {
            None => {
                let start = number(text)?;
                (start, Some(start.checked_add(1).ok_or_else(wrong)?))
            }
            Some(("", "")) => (0, None),
            Some((start, "")) => (number(start)?, None),
            Some(("", end)) => (0, Some(number(end)?)),
            Some((start, end)) => (number(start)?, Some(number(end)?)),
        };
        if end.is_some_and(|end| end <= start) {
            return Err(wrong());
        }
        Ok(Selection { start, end })
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            Some(end) if end == self.start + 1 => write!(f, "{}", self.start),
            Some(end) => write!(f, "{}..{end}", self.start),
            None => write!(f, "{}..", self.start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        for (text, range) in [
            ("17", 17..18),
            ("0..100", 0..100),
            ("90..", 90..100),
            ("..5", 0..5),
            ("..", 0..100),
        ] {
            let selection: Selection = text.parse().unwrap();
            assert_eq!(selection.within(100).unwrap(), range, "{text}");
        }
        assert_eq!(Selection::ALL.within(3).unwrap(), 0..3);
        assert_eq!(Selection::first(2).to_string(), "0..2");
        assert_eq!("7".parse::<Selection>().unwrap().to_string(), "7");
    }

    #[test]
    fn what_is_no_selection() {
        for text in [
            "",
            "a",
            "-1",
            "+1",
            "1.5",
            "3..3",
            "4..3",
            "0..=9",
            "1...3",
            " 1",
            "99999999999999999999",
            "18446744073709551615",
            "..0",
        ] {
            assert!(text.parse::<Selection>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn beyond_the_end() {
        let error = "5..11"
            .parse::<Selection>()
            .unwrap()
            .within(10)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "images 5..11 asked for, but there are only 10, numbered from 0"
        );
        assert!("10..".parse::<Selection>().unwrap().within(10).is_err());
        assert!(Selection::ALL.within(0).is_err());
    }
}
