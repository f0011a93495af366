//! Images as CSV: one image a row, a column a pixel, a label in front or not.
//!
//! The usual CSV forms of MNIST are all read: with or without a header line,
//! with or without a first column of labels.

use std::io::Read;

use super::{Dataset, DatasetError, Images, MAX_SET_BYTES};

/// Reads images of `height` rows and `width` columns, row by row, from CSV.
///
/// # Errors
/// If a row has neither height · width columns nor one more, for the label,
/// or not as many as the first; or a value is no whole number from 0 to 255.
/// Errors name line and column.
pub fn read_csv(source: impl Read, height: usize, width: usize) -> Result<Dataset, DatasetError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(source);
    let plane = height.saturating_mul(width);
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    let mut columns = None;
    let mut first = true;
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(csv_error)? {
        let line = record.position().map_or(0, csv::Position::line);
        let header = std::mem::take(&mut first) && record.iter().all(|text| byte(text).is_none());
        let expected = columns.map_or(record.len(), |columns| columns);
        if record.len() != expected || !(plane..=plane.saturating_add(1)).contains(&record.len()) {
            return Err(DatasetError::CsvColumns {
                line,
                found: record.len(),
                expected: match columns {
                    Some(columns) => format!("{columns} as above"),
                    None => format!("{plane} pixels, or a label and {plane} pixels"),
                },
            });
        }
        columns = Some(record.len());
        if header {
            continue;
        }
        if (pixels.len() + plane) as u64 > MAX_SET_BYTES {
            return Err(DatasetError::TooLarge);
        }
        let labelled = record.len() > plane;
        for (column, text) in record.iter().enumerate() {
            let value = byte(text).ok_or_else(|| DatasetError::CsvValue {
                line,
                column: column + 1,
                found: String::from_utf8_lossy(text).chars().take(20).collect(),
            })?;
            if labelled && column == 0 {
                labels.push(value);
            } else {
                pixels.push(value);
            }
        }
    }
    let images = Images::new(height, width, pixels)?;
    if images.is_empty() {
        return Err(DatasetError::CsvEmpty);
    }
    Ok(Dataset {
        names: (0..images.len()).map(|index| index.to_string()).collect(),
        labels: (columns > Some(plane)).then_some(labels),
        images,
        notes: Vec::new(),
    })
}

/// A whole number from 0 to 255, nothing around it.
fn byte(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text).ok()?;
    // `parse` alone would take "+1".
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

fn csv_error(error: csv::Error) -> DatasetError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => DatasetError::Io(error),
        other => DatasetError::Csv(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Dataset, DatasetError> {
        read_csv(text.as_bytes(), 1, 3)
    }

    #[test]
    fn every_usual_form() {
        for text in [
            "0,128,255\n1,2,3\n",
            "0,128,255\r\n1,2,3",
            "a,b,c\n0,128,255\n1,2,3\n",
            "\"a\",\"b\",\"c\"\n0, 128 ,255\n\n1,2,3\n",
        ] {
            let set = read(text).unwrap();
            assert_eq!(set.images.pixels(), [0, 128, 255, 1, 2, 3], "{text}");
            assert_eq!(set.labels, None);
            assert_eq!(set.names, ["0", "1"]);
        }
        for text in [
            "7,0,128,255\n9,1,2,3\n",
            "label,1x1,1x2,1x3\n7,0,128,255\n9,1,2,3\n",
            "\u{feff}label,1x1,1x2,1x3\n7,0,128,255\n9,1,2,3\n",
        ] {
            let set = read(text).unwrap();
            assert_eq!(set.images.pixels(), [0, 128, 255, 1, 2, 3], "{text}");
            assert_eq!(set.labels, Some(vec![7, 9]));
        }
    }

    #[test]
    fn a_value_that_is_no_byte_is_named_by_line_and_column() {
        for wrong in ["256", "-1", "1.0", "", "x", "+1"] {
            let error = read(&format!("a,b,c\n1,2,3\n1,{wrong},3\n")).unwrap_err();
            assert!(
                matches!(
                    error,
                    DatasetError::CsvValue {
                        line: 3,
                        column: 2,
                        ..
                    }
                ),
                "{error}"
            );
        }
        let error = read("1,2,x\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "CSV line 1, column 3: \"x\" is no whole number from 0 to 255"
        );
    }

    #[test]
    fn a_row_of_the_wrong_length() {
        for text in ["1,2\n", "1,2,3,4,5\n"] {
            let error = read(text).unwrap_err();
            assert!(
                matches!(error, DatasetError::CsvColumns { line: 1, .. }),
                "{error}"
            );
        }
        for text in ["1,2,3\n1,2,3,4\n", "a,b,c\n1,2,3,4\n"] {
            let error = read(text).unwrap_err();
            assert!(matches!(
                error,
                DatasetError::CsvColumns {
                    line: 2,
                    found: 4,
                    ..
                }
            ));
        }
    }

    #[test]
    fn no_image_at_all() {
        assert!(matches!(read(""), Err(DatasetError::CsvEmpty)));
        assert!(matches!(read("a,b,c\n"), Err(DatasetError::CsvEmpty)));
    }

    #[test]
    fn bytes_that_are_no_text() {
        let error = read_csv(&b"1,2,3\n\xff\xfe,2,3\n"[..], 1, 3).unwrap_err();
        assert!(matches!(
            error,
            DatasetError::CsvValue {
                line: 2,
                column: 1,
                ..
            }
        ));
    }
}
