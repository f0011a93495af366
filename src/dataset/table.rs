//! Tables as CSV: a heading with the columns' names, then a row a line.
//!
//! What a cell means is not known here; whoever takes columns out of a table
//! says what each cell stands for.

use std::{collections::HashSet, io::Read};

use super::{DatasetError, MAX_SET_BYTES};

/// Columns that an error names.
const NAMED: usize = 40;

/// Rows of text under named columns.
#[derive(Clone)]
pub struct Table {
    names: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

impl std::fmt::Debug for Table {
    /// Shows the size; what is in the cells is their owner's secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows under {:?}", self.rows.len(), self.names)
    }
}

impl Table {
    /// Reads a table from CSV; white space around cells does not count.
    ///
    /// # Errors
    /// If there is no row, a row has another length than the heading, a column
    /// stands twice, or something is no text. Errors name line or column.
    pub fn read(source: impl Read) -> Result<Table, DatasetError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(source.take(MAX_SET_BYTES + 1));
        let mut rows = reader.records();
        let Some(heading) = rows.next() else {
            return Err(DatasetError::TableEmpty);
        };
        let names: Vec<String> = heading
            .map_err(text_error)?
            .iter()
            // Spreadsheets put a byte order mark in front.
            .map(|name| name.trim_start_matches('\u{feff}').to_string())
            .collect();
        let mut seen = HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(DatasetError::ColumnTwice { name: short(name) });
        }
        let mut kept = Vec::new();
        let mut bytes = 0;
        for row in rows {
            let row = row.map_err(text_error)?;
            if row.len() != names.len() {
                return Err(DatasetError::CsvColumns {
                    line: row.position().map_or(0, csv::Position::line),
                    found: row.len(),
                    expected: format!("{} as in the heading", names.len()),
                });
            }
            bytes += row.as_slice().len() as u64;
            if bytes > MAX_SET_BYTES {
                return Err(DatasetError::TooLarge);
            }
            kept.push(row);
        }
        if kept.is_empty() {
            return Err(DatasetError::TableEmpty);
        }
        Ok(Table { names, rows: kept })
    }

    /// The columns, in the table's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none; there always is.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether there is a column called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }

    /// The cells of the column called `name`, each as what `meaning` says of
    /// it.
    ///
    /// # Errors
    /// If there is no such column, or `meaning` refuses a cell; the error names
    /// line and column.
    pub fn column<T, E: ToString>(
        &self,
        name: &str,
        mut meaning: impl FnMut(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, DatasetError> {
        let at = self.place(name, &[name])?;
        let cell = |row: &csv::StringRecord| self.cell(row, at, |text| meaning(text));
        self.rows.iter().map(cell).collect()
    }

    /// The columns called `wanted`, row by row and in that order, whatever
    /// their order in the table; the cell of column number k of them is what
    /// `meaning(k, text)` says. Columns that are neither wanted nor in `passed`
    /// are refused.
    ///
    /// # Errors
    /// If a column is missing or unknown, or `meaning` refuses a cell; the
    /// error names line and column.
    pub fn columns<T, E: ToString>(
        &self,
        wanted: &[&str],
        passed: &[&str],
        mut meaning: impl FnMut(usize, &str) -> Result<T, E>,
    ) -> Result<Vec<Vec<T>>, DatasetError> {
        let places = wanted.iter().map(|name| self.place(name, wanted));
        let places: Vec<usize> = places.collect::<Result<_, _>>()?;
        let known =
            |name: &&String| wanted.contains(&name.as_str()) || passed.contains(&name.as_str());
        if let Some(name) = self.names.iter().find(|name| !known(name)) {
            return Err(DatasetError::ColumnUnknown {
                name: short(name),
                expected: list(wanted),
            });
        }
        let row_of = |row: &csv::StringRecord| {
            let cells = places.iter().enumerate();
            cells
                .map(|(k, &at)| self.cell(row, at, |text| meaning(k, text)))
                .collect()
        };
        self.rows.iter().map(row_of).collect()
    }

    fn place(&self, name: &str, wanted: &[&str]) -> Result<usize, DatasetError> {
        let found = self.names.iter().position(|n| n == name);
        found.ok_or_else(|| DatasetError::ColumnMissing {
            name: short(name),
            expected: list(wanted),
        })
    }

    fn cell<T, E: ToString>(
        &self,
        row: &csv::StringRecord,
        at: usize,
        meaning: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, DatasetError> {
        meaning(&row[at]).map_err(|problem| DatasetError::Cell {
            line: row.position().map_or(0, csv::Position::line),
            name: short(&self.names[at]),
            problem: problem.to_string(),
        })
    }
}

/// Names for an error, not too many.
fn list(names: &[&str]) -> String {
    let more = if names.len() > NAMED { ", …" } else { "" };
    let names: Vec<String> = names.iter().take(NAMED).map(|name| short(name)).collect();
    names.join(", ") + more
}

/// A name for an error: its first 40 characters.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

pub(super) fn text_error(error: csv::Error) -> DatasetError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => DatasetError::Io(error),
        csv::ErrorKind::Utf8 { .. } => DatasetError::TableText { line },
        other => DatasetError::Csv(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, DatasetError> {
        Table::read(text.as_bytes())
    }

    fn number(_: usize, text: &str) -> Result<u8, String> {
        text.parse().map_err(|_| format!("{text:?} is no number"))
    }

    fn numbers(text: &str) -> Result<Vec<Vec<u8>>, DatasetError> {
        read(text)?.columns(&["a", "b"], &["label"], number)
    }

    fn says(text: &str) -> String {
        numbers(text).unwrap_err().to_string()
    }

    #[test]
    fn columns_in_any_order() {
        for text in [
            "a,b\n1,2\n3,4\n",
            "b,a\n2,1\n4,3",
            "\u{feff}b,label,a\r\n2,x,1\r\n\r\n4,y,3\r\n",
            "\" a \",\"b\"\n 1 ,\"2\"\n3,4\n",
        ] {
            assert_eq!(numbers(text).unwrap(), [[1, 2], [3, 4]], "{text:?}");
        }
    }

    #[test]
    fn one_column() {
        let table = read("x,label\n1,yes\n2,no\n").unwrap();
        let labels = table.column("label", |text| Ok::<bool, String>(text == "yes"));
        assert_eq!(labels.unwrap(), [true, false]);
        assert!(table.has("x") && !table.has("y"));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn an_unknown_column() {
        assert_eq!(
            says("a,age,b\n1,2,3\n"),
            "unknown column \"age\"; expected a, b, in any order; remove the column"
        );
    }

    #[test]
    fn a_missing_column() {
        assert_eq!(
            says("a,label\n1,x\n"),
            "no column \"b\" in the heading; expected a, b, in any order"
        );
    }

    #[test]
    fn a_column_twice() {
        assert!(says("a,b,a\n1,2,3\n").contains("\"a\" stands twice"));
    }

    #[test]
    fn a_cell_that_is_no_number() {
        assert_eq!(
            says("a,b\n1,2\n3,x\n"),
            "CSV line 3, column \"b\": \"x\" is no number"
        );
        assert!(says("b,a\n1,\n").contains("line 2, column \"a\""));
    }

    #[test]
    fn a_row_of_another_length() {
        for text in ["a,b\n1,2\n1\n", "a,b\n1,2\n1,2,3\n"] {
            assert!(says(text).starts_with("CSV line 3 has "), "{}", says(text));
        }
    }

    #[test]
    fn no_row_at_all() {
        for text in ["", "\n", "a,b\n"] {
            assert!(matches!(read(text), Err(DatasetError::TableEmpty)));
        }
    }

    #[test]
    fn bytes_that_are_no_text() {
        let error = Table::read(&b"a,b\n1,2\n\xff,2\n"[..]).unwrap_err();
        assert_eq!(error.to_string(), "CSV line 3 is not UTF-8 text");
    }

    #[test]
    fn debug_shows_no_cell() {
        let shown = format!("{:?}", read("a,b\n17,18\n").unwrap());
        assert_eq!(shown, "1 rows under [\"a\", \"b\"]");
    }
}
