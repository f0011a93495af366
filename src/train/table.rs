//! Tables to train on: features found in the data, rows as integers.
//!
//! A row is an image of one line as far as training is concerned: a value from
//! 0 to 255 a feature. A column whose cells are numbers is spread over that
//! range from its least to its greatest number. Of any other column each word
//! becomes a value: the words in alphabetical order, spread evenly, so that two
//! become 0 and 255. A cell that says that nothing is known becomes the middle.

use std::{collections::BTreeSet, path::Path};

use super::{Examples, TrainError, export::WHITE};
use crate::{
    dataset::{Images, Table, load_table},
    network::{Category, Decimal, Feature, Range, Scale, limits::MAX_CATEGORIES},
};

/// What cells say of which nothing is known, in any case.
const MISSING: [&str; 5] = ["", "na", "none", "nan", "unknown"];

/// What every feature becomes.
const RANGE: Range = Range::new(0, WHITE as i64);

/// Most classes of a table.
const MAX_CLASSES: usize = 256;

/// A table with what its columns stand for.
#[derive(Clone, Debug)]
pub struct TableSet {
    /// The columns that the network takes, in the order of its input.
    pub features: Vec<Feature>,
    /// The classes: what the label column holds.
    pub labels: Vec<String>,
    /// The rows, as images of one line.
    pub examples: Examples,
}

impl TableSet {
    /// Reads a table and finds out what its columns stand for. The features are
    /// the columns `wanted`, or all but `label` if that is empty; the classes
    /// are `labels`, or what the column `label` holds, in order.
    ///
    /// # Errors
    /// What cannot be read; a column that is missing; a column of too many
    /// words, or of one only; fewer than two classes.
    pub fn find(
        path: &Path,
        label: &str,
        wanted: &[String],
        labels: &[String],
    ) -> Result<TableSet, TrainError> {
        let in_file = |error: TrainError| error.in_file(path);
        let table = load_table(path).map_err(|e| in_file(e.into()))?;
        let found = || -> Result<TableSet, TrainError> {
            let names: Vec<String> = match wanted {
                [] => table
                    .names()
                    .iter()
                    .filter(|n| *n != label)
                    .cloned()
                    .collect(),
                names => names.to_vec(),
            };
            let features: Vec<Feature> = names
                .iter()
                .map(|name| feature(&table, name))
                .collect::<Result<_, _>>()?;
            let labels = match labels {
                [] => classes(&table, label)?,
                labels => labels.to_vec(),
            };
            let passed: Vec<&str> = table.names().iter().map(String::as_str).collect();
            let examples = encode(&table, &features, &labels, label, &passed)?;
            Ok(TableSet {
                features,
                labels,
                examples,
            })
        };
        found().map_err(in_file)
    }

    /// The rows of another table with the same columns.
    ///
    /// # Errors
    /// What cannot be read; a column that is missing; a cell that stands for
    /// nothing.
    pub fn more(&self, path: &Path, label: &str) -> Result<Examples, TrainError> {
        let table = load_table(path).map_err(|e| TrainError::from(e).in_file(path))?;
        let passed: Vec<&str> = table.names().iter().map(String::as_str).collect();
        encode(&table, &self.features, &self.labels, label, &passed).map_err(|e| e.in_file(path))
    }
}

/// The distinct cells of a column.
fn distinct(table: &Table, name: &str) -> Result<BTreeSet<String>, TrainError> {
    let cells = table.column(name, |text| Ok::<_, String>(text.to_string()))?;
    Ok(cells.into_iter().collect())
}

/// What a column stands for.
fn feature(table: &Table, name: &str) -> Result<Feature, TrainError> {
    let wrong = |what: String| TrainError::Option(format!("column {name:?} {what}"));
    let cells = distinct(table, name)?;
    let missing = |text: &&String| MISSING.contains(&text.to_lowercase().as_str());
    let known: Vec<&String> = cells.iter().filter(|text| !missing(text)).collect();
    let mut categories: Vec<Category> = cells
        .iter()
        .filter(missing)
        .map(|text| Category {
            text: text.clone(),
            value: (RANGE.max + 1) / 2,
        })
        .collect();
    if known.len() < 2 {
        return Err(wrong("tells nothing apart; leave it out".to_string()));
    }
    let numbers: Option<Vec<Decimal>> = known.iter().map(|text| Decimal::parse(text)).collect();
    let number = match numbers {
        Some(numbers) => {
            let places = numbers.iter().map(|n| n.decimals()).max().unwrap_or(0);
            let order = |n: &Decimal| n.scaled(places);
            let (from, to) = (
                numbers.iter().copied().min_by_key(order),
                numbers.iter().copied().max_by_key(order),
            );
            from.zip(to).map(|(from, to)| Scale { from, to })
        }
        None => {
            if known.len() > MAX_CATEGORIES {
                return Err(wrong(format!(
                    "holds {} different words, expected numbers or at most {MAX_CATEGORIES} words",
                    known.len()
                )));
            }
            let last = known.len() as i64 - 1;
            let spread = known.iter().enumerate().map(|(k, text)| Category {
                text: text.to_string(),
                value: k as i64 * RANGE.max / last,
            });
            categories.extend(spread);
            None
        }
    };
    Ok(Feature {
        name: name.to_string(),
        number,
        categories,
    })
}

/// The classes: numbers in their order, else words in alphabetical order.
fn classes(table: &Table, label: &str) -> Result<Vec<String>, TrainError> {
    let mut found: Vec<String> = distinct(table, label)?.into_iter().collect();
    if !(2..=MAX_CLASSES).contains(&found.len()) {
        return Err(TrainError::Option(format!(
            "column {label:?} holds {} classes, expected 2 to {MAX_CLASSES}",
            found.len()
        )));
    }
    let number = |text: &String| text.parse::<u64>();
    if found.iter().all(|text| number(text).is_ok()) {
        found.sort_by_key(|text| number(text).unwrap_or(0));
    }
    Ok(found)
}

/// The rows as images of one line, with their classes.
fn encode(
    table: &Table,
    features: &[Feature],
    labels: &[String],
    label: &str,
    passed: &[&str],
) -> Result<Examples, TrainError> {
    let names: Vec<&str> = features.iter().map(|f| f.name.as_str()).collect();
    let rows = table.columns(&names, passed, |k, text| {
        let value = features[k].encode(text, RANGE);
        // Within the range: a byte.
        value.map(|value| value as u8)
    })?;
    let classes = table.column(label, |text| {
        let class = labels.iter().position(|name| name == text);
        class
            .and_then(|class| u8::try_from(class).ok())
            .ok_or_else(|| {
                let found: String = text.chars().take(20).collect();
                format!("{found:?} is none of the classes {}", labels.join(", "))
            })
    })?;
    Examples::new(Images::new(1, features.len(), rows.concat())?, classes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ROWS: &str = "age,sex,result,note\n20,male,yes,x\n60.5,female,no,y\nNone,male,no,x\n";

    fn found(text: &str, wanted: &[&str]) -> Result<TableSet, TrainError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("train.csv");
        fs::write(&path, text).expect("writable");
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        TableSet::find(&path, "result", &wanted, &[])
    }

    fn says(text: &str, wanted: &[&str]) -> String {
        found(text, wanted).expect_err("refused").to_string()
    }

    #[test]
    fn numbers_are_spread_words_are_ordered_and_gaps_are_in_the_middle() {
        let set = found(ROWS, &["sex", "age"]).expect("a table");
        assert_eq!(set.labels, ["no", "yes"]);
        assert_eq!(set.examples.labels(), [1, 0, 0]);
        let images = set.examples.images();
        assert_eq!((images.height(), images.width()), (1, 2));
        assert_eq!(images.pixels(), [255, 0, 0, 255, 255, 128]);
        assert_eq!(
            set.features[1].number.map(|s| s.to.to_string()).as_deref(),
            Some("60.5")
        );
        let all = found(ROWS, &[]).expect("a table");
        assert_eq!(all.features.len(), 3);
    }

    #[test]
    fn another_table_is_read_by_the_same_rule() {
        let set = found(ROWS, &["sex", "age"]).expect("a table");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("test.csv");
        fs::write(&path, "result,age,sex\nyes,40.25,female\n").expect("writable");
        let more = set.more(&path, "result").expect("a table");
        assert_eq!(more.images().pixels(), [0, 128]);
        fs::write(&path, "result,age,sex\nyes,70,female\n").expect("writable");
        let error = set.more(&path, "result").unwrap_err().to_string();
        assert!(
            error.contains("test.csv: CSV line 2, column \"age\""),
            "{error}"
        );
    }

    #[test]
    fn a_feature_that_is_not_there() {
        assert!(says(ROWS, &["weight"]).contains("no column \"weight\""));
    }

    #[test]
    fn a_column_that_tells_nothing_apart() {
        let text = "a,result\n1,x\nNone,y\n";
        assert!(says(text, &[]).contains("column \"a\" tells nothing apart"));
    }

    #[test]
    fn a_label_of_one_class() {
        assert!(says("a,result\n1,x\n2,x\n", &[]).contains("holds 1 classes"));
    }
}
