//! Matrices of numbers as CSV: a row a line, no names needed.

use std::io::Read;

use super::{DatasetError, npy::MAX_VALUES, table::text_error};

/// A matrix, row by row.
#[derive(Clone, PartialEq)]
pub struct Matrix<T> {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// The values, row by row.
    pub values: Vec<T>,
}

impl<T> std::fmt::Debug for Matrix<T> {
    /// Shows the size; the numbers are their owner's secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matrix({} x {})", self.rows, self.columns)
    }
}

/// Reads a matrix from CSV, each cell as what `number` says of it. A first
/// line of nothing but words is a heading and is passed over. What begins like a
/// number, or is a word for one that is none (`nan`, `inf`), makes no heading: a
/// row must not be lost because its numbers are not understood.
///
/// # Errors
/// If there is no number, a row has another length than the first, or a cell
/// is no number. Errors name line and column.
pub fn read_matrix<T>(
    source: impl Read,
    number: impl Fn(&str) -> Option<T>,
) -> Result<Matrix<T>, DatasetError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(source);
    let (mut values, mut rows, mut columns) = (Vec::new(), 0, None);
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(text_error)?;
        let line = record.position().map_or(0, csv::Position::line);
        // Spreadsheets put a byte order mark in front.
        let clean = |text: &'_ str| text.trim_start_matches('\u{feff}').to_string();
        let expected = *columns.get_or_insert(record.len());
        if record.len() != expected {
            return Err(DatasetError::CsvColumns {
                line,
                found: record.len(),
                expected: format!("{expected} as above"),
            });
        }
        if index == 0 && record.iter().all(|text| is_word(&clean(text))) {
            continue;
        }
        if values.len() + record.len() > MAX_VALUES {
            return Err(DatasetError::TooLarge);
        }
        for (column, text) in record.iter().enumerate() {
            let text = clean(text);
            values.push(number(&text).ok_or_else(|| DatasetError::CsvNumber {
                line,
                column: column + 1,
                found: text.chars().take(40).collect(),
            })?);
        }
        rows += 1;
    }
    match columns {
        Some(columns) if rows > 0 && columns > 0 => Ok(Matrix {
            rows,
            columns,
            values,
        }),
        _ => Err(DatasetError::MatrixEmpty),
    }
}

/// Whether a cell can only be part of a heading.
fn is_word(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Matrix<i32>, DatasetError> {
        read_matrix(text.as_bytes(), |text| text.parse().ok())
    }

    #[test]
    fn with_and_without_a_heading() {
        for text in [
            "1,-2\n3,4\n",
            "a,b\r\n1,-2\r\n3, 4",
            "\u{feff}1,-2\n\n3,4\n",
        ] {
            let matrix = read(text).unwrap();
            assert_eq!((matrix.rows, matrix.columns), (2, 2), "{text:?}");
            assert_eq!(matrix.values, [1, -2, 3, 4]);
        }
        assert_eq!(read("5\n6\n").unwrap().rows, 2);
    }

    #[test]
    fn a_first_row_of_numbers_that_are_not_understood_is_no_heading() {
        for text in [
            "1e300,1e300\n1,2\n",
            "NaN,inf\n1,2\n",
            "\"1,5\",\"2,5\"\n1,2\n",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("line 1, column 1"), "{error}");
        }
    }

    #[test]
    fn a_cell_that_is_no_number() {
        for text in ["1,2\n3,x\n", "a,1\n3,x\n"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("is no number"), "{error}");
        }
        let error = read("1,2\n3,\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "CSV line 2, column 2: \"\" is no number, or has more digits than are read"
        );
    }

    #[test]
    fn a_row_of_another_length() {
        assert!(matches!(
            read("1,2\n3\n"),
            Err(DatasetError::CsvColumns { line: 2, .. })
        ));
    }

    #[test]
    fn no_number_at_all() {
        for text in ["", "a,b\n"] {
            assert!(matches!(read(text), Err(DatasetError::MatrixEmpty)));
        }
    }
}
