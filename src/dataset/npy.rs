//! NumPy's `.npy` files: matrices and vectors of numbers.
//!
//! Format versions 1.0 and 2.0 (NumPy enhancement proposal 1): a magic string,
//! the version, the length of a header, and the header: a Python dictionary of
//! the elements' type, their order and the shape. Read are little-endian
//! floats and signed integers of 4 and 8 bytes, row by row or column by column,
//! of one or two dimensions; a vector is a matrix of one row.

use super::DatasetError;

/// What every file begins with.
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Most values that are read.
pub(super) const MAX_VALUES: usize = 1 << 26;

/// The values of a file, row by row.
#[derive(Clone, PartialEq)]
pub enum NpyValues {
    /// Of types `<i4` and `<i8`.
    Integers(Vec<i64>),
    /// Of types `<f4` and `<f8`; all finite.
    Floats(Vec<f64>),
}

/// A matrix from a file.
#[derive(Clone, PartialEq)]
pub struct Npy {
    /// Rows; 1 of a vector.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// The values, row by row.
    pub values: NpyValues,
}

impl std::fmt::Debug for Npy {
    /// Shows the size; the numbers are their owner's secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Npy({} x {})", self.rows, self.columns)
    }
}

/// Whether a file begins as a `.npy` file does.
pub fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads a `.npy` file.
///
/// # Errors
/// Another version, type or number of dimensions; a header that is damaged; a
/// file that is truncated or padded; a value that is infinite or no number.
pub fn read_npy(bytes: &[u8]) -> Result<Npy, DatasetError> {
    let bad = |what: &str| DatasetError::Npy(what.to_string());
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| bad("does not begin as a .npy file"))?;
    let (version, rest) = rest
        .split_at_checked(2)
        .ok_or_else(|| bad("is cut short"))?;
    let size = match version {
        [1, 0] => 2,
        [2, 0] => 4,
        _ => return Err(bad("has a version other than 1.0 and 2.0; save it anew")),
    };
    let (length, rest) = rest
        .split_at_checked(size)
        .ok_or_else(|| bad("is cut short"))?;
    let length = length
        .iter()
        .rev()
        .fold(0, |n, &b| (n << 8) | usize::from(b));
    let (header, data) = rest
        .split_at_checked(length)
        .ok_or_else(|| bad("is cut in its header"))?;
    let header = std::str::from_utf8(header)
        .ok()
        .and_then(Header::parse)
        .ok_or_else(|| bad("has a header that is damaged"))?;
    let (rows, columns) = match header.shape[..] {
        [columns] => (1, columns),
        [rows, columns] => (rows, columns),
        _ => {
            return Err(DatasetError::Npy(format!(
                "has {} dimensions, expected 1 or 2",
                header.shape.len()
            )));
        }
    };
    let count = rows.checked_mul(columns).filter(|n| *n <= MAX_VALUES);
    let Some(count) = count else {
        return Err(DatasetError::TooLarge);
    };
    if count == 0 {
        return Err(bad("holds no number"));
    }
    let width = match header.descr.as_str() {
        "<f4" | "<i4" => 4,
        "<f8" | "<i8" => 8,
        other => {
            return Err(DatasetError::Npy(format!(
                "holds values of type {:?}, expected <f4, <f8, <i4 or <i8; convert it",
                other.chars().take(20).collect::<String>()
            )));
        }
    };
    if data.len() != count * width {
        return Err(DatasetError::Npy(format!(
            "has {} bytes of data, its header needs {}; it is truncated or padded",
            data.len(),
            count * width
        )));
    }
    // Where the value stands that is number `i` row by row.
    let place = |i: usize| match header.fortran {
        true => (i % columns) * rows + i / columns,
        false => i,
    };
    let four = |i: usize| <[u8; 4]>::try_from(&data[4 * place(i)..][..4]).unwrap_or_default();
    let eight = |i: usize| <[u8; 8]>::try_from(&data[8 * place(i)..][..8]).unwrap_or_default();
    let values = match header.descr.as_str() {
        "<i4" => NpyValues::Integers(
            (0..count)
                .map(|i| i32::from_le_bytes(four(i)).into())
                .collect(),
        ),
        "<i8" => NpyValues::Integers((0..count).map(|i| i64::from_le_bytes(eight(i))).collect()),
        "<f4" => NpyValues::Floats(
            (0..count)
                .map(|i| f32::from_le_bytes(four(i)).into())
                .collect(),
        ),
        _ => NpyValues::Floats((0..count).map(|i| f64::from_le_bytes(eight(i))).collect()),
    };
    if let NpyValues::Floats(values) = &values
        && let Some(i) = values.iter().position(|v| !v.is_finite())
    {
        return Err(DatasetError::Npy(format!(
            "row {}, column {} is infinite or no number",
            i / columns + 1,
            i % columns + 1
        )));
    }
    Ok(Npy {
        rows,
        columns,
        values,
    })
}

/// The file of a matrix of 8-byte floats, version 1.0, row by row.
///
/// # Panics
/// If the values do not fill the matrix.
pub fn write_npy(rows: usize, columns: usize, values: &[f64]) -> Vec<u8> {
    assert_eq!(values.len(), rows * columns, "values of the matrix");
    let mut header =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Data begin at a multiple of 64 bytes, behind a line feed.
    while !(MAGIC.len() + 4 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// What the header says.
struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads the dictionary; `None` if it is none or has other members.
    fn parse(text: &str) -> Option<Header> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, behind) = quoted(rest)?;
            let value = behind.trim_start().strip_prefix(':')?.trim_start();
            let end;
            match key {
                "descr" if descr.is_none() => {
                    let (found, behind) = quoted(value)?;
                    descr = Some(found.to_string());
                    end = behind;
                }
                "fortran_order" if fortran.is_none() => {
                    let yes = value.strip_prefix("True");
                    fortran = Some(yes.is_some());
                    end = yes.or_else(|| value.strip_prefix("False"))?;
                }
                "shape" if shape.is_none() => {
                    let (inside, behind) = value.strip_prefix('(')?.split_once(')')?;
                    shape = Some(numbers(inside)?);
                    end = behind;
                }
                _ => return None,
            }
            rest = end.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(more) => more.trim_start(),
                None if rest.is_empty() => rest,
                None => return None,
            };
        }
        Some(Header {
            descr: descr?,
            fortran: fortran?,
            shape: shape?,
        })
    }
}

/// A text in quotes at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// The members of a tuple; a comma may stand behind the last.
fn numbers(text: &str) -> Option<Vec<usize>> {
    let text = text.trim();
    let text = text.strip_suffix(',').unwrap_or(text);
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|n| n.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: &[u8; 2], header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(version);
        match version[0] {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn header(descr: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    }

    fn floats(values: &[f64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn says(bytes: &[u8]) -> String {
        read_npy(bytes).unwrap_err().to_string()
    }

    #[test]
    fn every_type_version_and_order() {
        let shorts: Vec<u8> = [1.5_f32, -2.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let ints: Vec<u8> = [7_i32, -8].iter().flat_map(|v| v.to_le_bytes()).collect();
        let longs: Vec<u8> = [i64::MIN, 8].iter().flat_map(|v| v.to_le_bytes()).collect();
        for (descr, data, values) in [
            (
                "<f8",
                floats(&[0.1, 3.0]),
                NpyValues::Floats(vec![0.1, 3.0]),
            ),
            ("<f4", shorts, NpyValues::Floats(vec![1.5, -2.0])),
            ("<i4", ints, NpyValues::Integers(vec![7, -8])),
            ("<i8", longs, NpyValues::Integers(vec![i64::MIN, 8])),
        ] {
            for version in [&[1, 0], &[2, 0]] {
                let read = read_npy(&file(version, &header(descr, "False", "(2,)"), &data));
                let read = read.expect("well formed");
                assert_eq!((read.rows, read.columns), (1, 2));
                assert!(read.values == values, "{descr}");
            }
        }
        let data = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let rows = read_npy(&file(&[1, 0], &header("<f8", "False", "(2, 3)"), &data)).unwrap();
        assert!(rows.values == NpyValues::Floats(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let columns = read_npy(&file(&[1, 0], &header("<f8", "True", "(2, 3)"), &data)).unwrap();
        assert!(columns.values == NpyValues::Floats(vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = write_npy(2, 2, &[1.0, -0.5, 1e300, 0.0]);
        let read = read_npy(&bytes).unwrap();
        assert_eq!((read.rows, read.columns), (2, 2));
        assert!(read.values == NpyValues::Floats(vec![1.0, -0.5, 1e300, 0.0]));
        assert_eq!((bytes.len() - 32) % 64, 0);
    }

    #[test]
    fn a_file_cut_anywhere() {
        let bytes = write_npy(1, 2, &[1.0, 2.0]);
        for length in 0..bytes.len() {
            assert!(read_npy(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_padded_file() {
        let mut bytes = write_npy(1, 2, &[1.0, 2.0]);
        bytes.push(0);
        assert!(says(&bytes).contains("truncated or padded"));
    }

    #[test]
    fn another_version() {
        let bytes = file(&[3, 0], &header("<f8", "False", "(1,)"), &floats(&[1.0]));
        assert!(says(&bytes).contains("version"));
    }

    #[test]
    fn another_type() {
        for descr in [">f8", "<f2", "|b1", "<u4", "|O"] {
            let bytes = file(&[1, 0], &header(descr, "False", "(1,)"), &floats(&[1.0]));
            assert!(says(&bytes).contains(descr), "{descr}");
        }
    }

    #[test]
    fn another_number_of_dimensions() {
        for (shape, dimensions) in [("()", 0), ("(1, 1, 1)", 3)] {
            let bytes = file(&[1, 0], &header("<f8", "False", shape), &floats(&[1.0]));
            assert!(says(&bytes).contains(&format!("{dimensions} dimensions")));
        }
    }

    #[test]
    fn an_absurd_shape() {
        for shape in ["(99999999999,)", "(4294967296, 4294967296)"] {
            let bytes = file(&[1, 0], &header("<f8", "False", shape), &[]);
            assert!(
                matches!(read_npy(&bytes), Err(DatasetError::TooLarge)),
                "{shape}"
            );
        }
    }

    #[test]
    fn no_number_at_all() {
        let bytes = file(&[1, 0], &header("<f8", "False", "(0, 3)"), &[]);
        assert!(says(&bytes).contains("no number"));
    }

    #[test]
    fn a_damaged_header() {
        for wrong in [
            "",
            "{}",
            "{'descr': '<f8'}",
            "{'descr': '<f8', 'fortran_order': Maybe, 'shape': (1,)}",
            "{'descr': '<f8', 'fortran_order': True, 'shape': (1,), 'x': 1}",
            "{'descr': '<f8', 'descr': '<f8', 'fortran_order': True, 'shape': (1,)}",
            "{'descr': '<f8' 'fortran_order': True, 'shape': (1,)}",
            "{'descr': '<f8', 'fortran_order': True, 'shape': (-1,)}",
            "{'descr': '<f8', 'fortran_order': True, 'shape': (1,)",
        ] {
            let bytes = file(&[1, 0], wrong, &floats(&[1.0]));
            assert!(says(&bytes).contains("header that is damaged"), "{wrong}");
        }
    }

    #[test]
    fn a_value_that_is_infinite_or_no_number() {
        for wrong in [f64::NAN, f64::INFINITY] {
            let error = says(&write_npy(2, 2, &[1.0, 2.0, wrong, 4.0]));
            assert!(error.contains("row 2, column 1"), "{error}");
        }
    }
}
