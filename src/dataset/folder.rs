//! A folder of PNG pictures as a set.

use std::{cmp::Ordering, fs, path::Path};

use super::{Dataset, DatasetError, Images, Invert, MAX_SET_BYTES, load::read_file, read_png};

/// Reads every `.png` of `folder`, in natural order (`2.png` before `10.png`);
/// hidden files and other names are passed over. With `labels`, the number in
/// front of each name is its label ([`label_of_name`]).
///
/// # Errors
/// If there is none, or one cannot be read; the error names the file.
pub fn read_folder(
    folder: &Path,
    height: usize,
    width: usize,
    invert: Invert,
    labels: bool,
) -> Result<Dataset, DatasetError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(DatasetError::Io)? {
        let name = entry.map_err(DatasetError::Io)?.file_name();
        let path = Path::new(&name);
        let is_png = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("png"));
        if is_png && !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(DatasetError::EmptyFolder);
    }
    names.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()).then(a.cmp(b)));

    let mut pixels = Vec::new();
    let mut notes = Vec::new();
    let mut found = Vec::new();
    let mut shown = Vec::new();
    for name in names {
        let text = name.to_string_lossy().into_owned();
        let picture = read_file(&folder.join(&name))
            .and_then(|bytes| read_png(&bytes, height, width, invert))
            .map_err(|error| error.in_file(&text))?;
        if (pixels.len() + picture.pixels.len()) as u64 > MAX_SET_BYTES {
            return Err(DatasetError::TooLarge);
        }
        if labels {
            found.push(label_of_name(&text)?);
        }
        pixels.extend_from_slice(&picture.pixels);
        if !picture.notes.is_empty() {
            notes.push(format!("{text}: {}", picture.notes.join(", ")));
        }
        shown.push(text);
    }
    Ok(Dataset {
        images: Images::new(height, width, pixels)?,
        labels: labels.then_some(found),
        names: shown,
        notes,
    })
}

/// The label in front of a file name: 7 for `7.png`, `7-a.png`, `7_a.png`.
///
/// # Errors
/// If no number from 0 to 255 stands there, or something else follows it.
pub fn label_of_name(name: &str) -> Result<u8, DatasetError> {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let ends = matches!(name.as_bytes().get(digits), None | Some(b'-' | b'_' | b'.'));
    name[..digits]
        .parse()
        .ok()
        .filter(|_| ends)
        .ok_or_else(|| DatasetError::LabelName {
            name: name.to_string(),
        })
}

/// Order in which runs of digits count as numbers: `a2` before `a10`.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (left, right) = (run(a), run(b));
        if left.is_empty() || right.is_empty() {
            return left.len().cmp(&right.len());
        }
        (a, b) = (&a[left.len()..], &b[right.len()..]);
        let numbers = left.as_bytes()[0].is_ascii_digit() && right.as_bytes()[0].is_ascii_digit();
        let order = if numbers {
            let (l, r) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            l.len().cmp(&r.len()).then(l.cmp(r))
        } else {
            left.cmp(right)
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// The run of digits, or of anything else, at the start of `text`.
fn run(text: &str) -> &str {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digit);
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::write_png;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (index, name) in names.iter().enumerate() {
            let png = write_png(&[index as u8; 4], 2, 2).unwrap();
            fs::write(folder.path().join(name), png).unwrap();
        }
        folder
    }

    #[test]
    fn pictures_come_in_natural_order() {
        let folder = folder(&["10-a.png", "9.PNG", "7-b.png", "7-a.png", ".8.png", "6.txt"]);
        let set = read_folder(folder.path(), 2, 2, Invert::Auto, true).unwrap();
        assert_eq!(set.names, ["7-a.png", "7-b.png", "9.PNG", "10-a.png"]);
        assert_eq!(set.labels, Some(vec![7, 7, 9, 10]));
        let firsts: Vec<u8> = set.images.iter().map(|image| image[0]).collect();
        assert_eq!(firsts, [3, 2, 1, 0]);
        let set = read_folder(folder.path(), 2, 2, Invert::Auto, false).unwrap();
        assert_eq!(set.labels, None);
    }

    #[test]
    fn notes_name_the_file() {
        let folder = folder(&["1.png", "2.png"]);
        let set = read_folder(folder.path(), 4, 4, Invert::Auto, false).unwrap();
        assert_eq!(set.notes[1], "2.png: 2x2 scaled to 4x4");
    }

    #[test]
    fn an_empty_folder() {
        let folder = folder(&["1.txt"]);
        let error = read_folder(folder.path(), 2, 2, Invert::Auto, false);
        assert!(matches!(error, Err(DatasetError::EmptyFolder)));
    }

    #[test]
    fn a_damaged_picture_is_named() {
        let folder = folder(&["1.png"]);
        fs::write(folder.path().join("2.png"), b"no picture").unwrap();
        let error = read_folder(folder.path(), 2, 2, Invert::Auto, false).unwrap_err();
        assert!(error.to_string().starts_with("2.png: "), "{error}");
    }

    #[test]
    fn labels_in_names() {
        for (name, label) in [("7.png", 7), ("7-a.png", 7), ("12_x.png", 12), ("255", 255)] {
            assert_eq!(label_of_name(name).unwrap(), label);
        }
        for name in ["a.png", "7a.png", "256.png", "-7.png", "", ".png", "७.png"] {
            assert!(label_of_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn natural_order_counts() {
        let mut names = ["b", "a10", "a2", "a", "10", "9", "a02", "a2b", "é1", ""];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            ["", "9", "10", "a", "a2", "a02", "a2b", "a10", "b", "é1"]
        );
    }
}
