//! Rows of a table as a network takes them: its columns by name.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    dataset::{Selection, Table, load_table},
    network::Profile,
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
    images::Images,
};

/// The column that holds the labels unless another is named.
pub(crate) const LABEL: &str = "label";

/// Rows of tables, encoded.
pub(crate) struct Rows {
    /// What to call each row: its number, from 0; behind the file of several.
    names: Vec<String>,
    /// A vector of integers each.
    pub(crate) values: Vec<Vec<i64>>,
    /// The class of each, where classes were asked for.
    labels: Vec<usize>,
}

impl Rows {
    /// All rows of some tables. A column called `label` is passed over, with a
    /// note, unless it is a feature.
    pub(crate) fn read(paths: &[PathBuf], profile: &Profile, console: &Console) -> CliResult<Rows> {
        let mut all = Rows {
            names: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
        };
        for path in paths {
            let table = load_table(path).about_file(path)?;
            if table.has(LABEL) && !profile.features.iter().any(|f| f.name == LABEL) {
                let file = path.display();
                console.note(&format!("{file}: the column {LABEL:?} is passed over"));
            }
            let values = encode(&table, profile, LABEL).about_file(path)?;
            for number in 0..values.len() {
                // Numbers alone would not tell the rows of two files apart.
                all.names.push(match paths.len() {
                    1 => number.to_string(),
                    _ => format!("{}:{number}", path.display()),
                });
            }
            all.values.extend(values);
        }
        Ok(all)
    }

    /// The rows of one table with the classes in its column `label`: the names
    /// of the profile's labels, or their numbers from 0.
    pub(crate) fn labelled(path: &Path, profile: &Profile, label: &str) -> CliResult<Rows> {
        if profile.features.iter().any(|f| f.name == label) {
            bail!("--label-column {label}: is a feature that the network takes");
        }
        let table = load_table(path).about_file(path)?;
        let classes = &profile.labels;
        let class = |text: &str| {
            let number = || text.parse().ok().filter(|n| *n < classes.len());
            let named = classes.iter().position(|name| name == text);
            named.or_else(number).ok_or_else(|| {
                let found: String = text.chars().take(20).collect();
                format!("{found:?} is none of the labels {}", classes.join(", "))
            })
        };
        let labels = table.column(label, class).about_file(path)?;
        let values = encode(&table, profile, label).about_file(path)?;
        Ok(Rows {
            names: (0..values.len()).map(|n| n.to_string()).collect(),
            values,
            labels,
        })
    }

    /// The rows of `selection`.
    pub(crate) fn select(self, selection: Selection) -> CliResult<Rows> {
        let range = selection.within(self.values.len()).explain()?;
        let Images {
            names,
            values,
            labels,
        } = self.part(range);
        Ok(Rows {
            names,
            values,
            labels,
        })
    }

    /// The rows with these numbers.
    pub(crate) fn part(&self, range: Range<usize>) -> Images {
        let labels = self.labels.get(range.clone()).unwrap_or_default();
        Images {
            names: self.names[range.clone()].to_vec(),
            values: self.values[range].to_vec(),
            labels: labels.to_vec(),
        }
    }
}

/// Every row as integers of the input's range, by the profile's features.
fn encode(
    table: &Table,
    profile: &Profile,
    label: &str,
) -> Result<Vec<Vec<i64>>, crate::dataset::DatasetError> {
    let (features, range) = (&profile.features, profile.input.range());
    let names: Vec<&str> = features.iter().map(|f| f.name.as_str()).collect();
    table.columns(&names, &[label], |k, text| features[k].encode(text, range))
}
