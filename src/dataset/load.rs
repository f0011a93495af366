//! One way in: finds out what a path holds and reads it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    Dataset, DatasetError, Images, Invert, MAX_SET_BYTES, Table, label_of_name, read_csv,
    read_folder, read_idx_images, read_idx_labels, read_png,
};

/// Most bytes that a file of images is read for: as much as a set may have.
const MAX_FILE_BYTES: u64 = MAX_SET_BYTES;

/// Where labels come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Labels {
    /// The source's own, if it has any (a CSV column).
    #[default]
    Own,
    /// The number in front of each PNG's name.
    Names,
    /// An IDX label file.
    File(PathBuf),
}

/// What a network takes, and how to read it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Polarity of PNG pictures; IDX and CSV are taken as they are.
    pub invert: Invert,
    /// Where labels come from.
    pub labels: Labels,
}

impl Wanted {
    /// Images of this size, polarity found, labels as they come.
    pub fn new(height: usize, width: usize) -> Wanted {
        Wanted {
            height,
            width,
            invert: Invert::Auto,
            labels: Labels::Own,
        }
    }
}

/// Reads images from a PNG, an IDX file (plain or gzip), a CSV file, a folder
/// of PNGs, or, for `-`, any of these but the last from standard input.
///
/// # Errors
/// See [`DatasetError`].
pub fn load(path: &Path, wanted: &Wanted) -> Result<Dataset, DatasetError> {
    if path == Path::new("-") {
        let bytes = read_limited(io::stdin().lock())?;
        return load_bytes(&bytes, "standard input", wanted);
    }
    if path.is_dir() {
        let named = wanted.labels == Labels::Names;
        let set = read_folder(path, wanted.height, wanted.width, wanted.invert, named)?;
        return with_label_file(set, &wanted.labels);
    }
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    load_bytes(&read_file(path)?, &name, wanted)
}

/// As [`load()`], from the bytes of a file called `name`.
///
/// # Errors
/// See [`DatasetError`].
pub fn load_bytes(bytes: &[u8], name: &str, wanted: &Wanted) -> Result<Dataset, DatasetError> {
    if bytes.is_empty() {
        return Err(DatasetError::Empty);
    }
    let set = if bytes.starts_with(b"\x89PNG") {
        let picture = read_png(bytes, wanted.height, wanted.width, wanted.invert)?;
        let labels = match wanted.labels {
            Labels::Names => Some(vec![label_of_name(name)?]),
            _ => None,
        };
        Dataset {
            images: Images::new(wanted.height, wanted.width, picture.pixels)?,
            labels,
            names: vec![name.to_string()],
            notes: match picture.notes.is_empty() {
                true => Vec::new(),
                false => vec![format!("{name}: {}", picture.notes.join(", "))],
            },
        }
    } else if bytes.starts_with(b"\0\0") || bytes.starts_with(b"\x1f\x8b") {
        let images = read_idx_images(bytes)?;
        if (images.height(), images.width()) != (wanted.height, wanted.width) {
            return Err(DatasetError::ImageSize {
                found: format!("{}x{}", images.height(), images.width()),
                expected: format!("{}x{}", wanted.height, wanted.width),
            });
        }
        Dataset {
            names: (0..images.len()).map(|index| index.to_string()).collect(),
            images,
            labels: None,
            notes: Vec::new(),
        }
    } else if let Some(found) = other_picture(bytes) {
        return Err(DatasetError::OtherPicture { found });
    } else if bytes
        .iter()
        .take(4096)
        .any(|b| b.is_ascii_control() && !b.is_ascii_whitespace())
    {
        return Err(DatasetError::UnknownFormat);
    } else {
        read_csv(bytes, wanted.height, wanted.width)?
    };
    if wanted.labels == Labels::Names && set.labels.is_none() {
        return Err(DatasetError::NoLabels);
    }
    with_label_file(set, &wanted.labels)
}

/// Reads a table from a CSV file or, for `-`, from standard input.
///
/// # Errors
/// See [`Table::read`]; also if the file is something else than a table.
pub fn load_table(path: &Path) -> Result<Table, DatasetError> {
    let bytes = if path == Path::new("-") {
        read_limited(io::stdin().lock())?
    } else {
        read_file(path)?
    };
    let binary = [&b"\x89PNG"[..], b"\x1f\x8b", b"\0\0"];
    if binary.iter().any(|magic| bytes.starts_with(magic)) || other_picture(&bytes).is_some() {
        return Err(DatasetError::NoTable);
    }
    Table::read(&bytes[..])
}

/// Reads the pair `{prefix}-images-idx3-ubyte` and `{prefix}-labels-idx1-ubyte`
/// of `folder`, each plain or with `.gz`. MNIST's training set has the prefix
/// `train`; of the test set see [`test_prefix`].
///
/// # Errors
/// If one is missing or malformed, or they do not belong together.
pub fn load_idx_pair(folder: &Path, prefix: &str) -> Result<Dataset, DatasetError> {
    let find = |name: String| {
        [folder.join(&name), folder.join(format!("{name}.gz"))]
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| DatasetError::SetMissing {
                name,
                folder: folder.display().to_string(),
            })
    };
    let images_path = find(format!("{prefix}-images-idx3-ubyte"))?;
    let labels_path = find(format!("{prefix}-labels-idx1-ubyte"))?;
    let images = open(&images_path)
        .and_then(read_idx_images)
        .map_err(|error| error.in_file(images_path.display().to_string()))?;
    let set = Dataset {
        names: (0..images.len()).map(|index| index.to_string()).collect(),
        images,
        labels: None,
        notes: Vec::new(),
    };
    with_label_file(set, &Labels::File(labels_path))
}

/// The prefix of the test set in a folder of IDX pairs: MNIST's `t10k`, or
/// `test`; the first if neither is there.
pub fn test_prefix(folder: &Path) -> &'static str {
    match has_idx_pair(folder, "test") && !has_idx_pair(folder, "t10k") {
        true => "test",
        false => "t10k",
    }
}

/// Whether `folder` has the images of such a pair, plain or with `.gz`.
pub fn has_idx_pair(folder: &Path, prefix: &str) -> bool {
    let file = |end: &str| folder.join(format!("{prefix}-images-idx3-ubyte{end}"));
    file("").is_file() || file(".gz").is_file()
}

fn with_label_file(mut set: Dataset, labels: &Labels) -> Result<Dataset, DatasetError> {
    if let Labels::File(path) = labels {
        let labels = open(path)
            .and_then(read_idx_labels)
            .map_err(|error| error.in_file(path.display().to_string()))?;
        if labels.len() != set.len() {
            return Err(DatasetError::LabelCount {
                labels: labels.len(),
                images: set.len(),
            });
        }
        set.labels = Some(labels);
    }
    Ok(set)
}

/// First bytes of pictures that are not PNG.
fn other_picture(bytes: &[u8]) -> Option<&'static str> {
    const OTHERS: &[(&[u8], &str)] = &[
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"GIF8", "a GIF picture"),
        (b"RIFF", "a WebP picture"),
        (b"BM", "a BMP picture"),
        (b"II*\0", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"%PDF", "a PDF document"),
    ];
    OTHERS
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map(|(_, name)| *name)
}

fn open(path: &Path) -> Result<io::BufReader<File>, DatasetError> {
    File::open(path)
        .map(io::BufReader::new)
        .map_err(DatasetError::Io)
}

/// All bytes of a file, if they are not absurdly many.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, DatasetError> {
    read_limited(open(path)?)
}

fn read_limited(source: impl Read) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = Vec::new();
    source
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(DatasetError::Io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(DatasetError::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::dataset::{write_idx_images, write_idx_labels, write_png};

    fn wanted() -> Wanted {
        Wanted::new(2, 2)
    }

    fn images() -> Images {
        Images::new(2, 2, (0..12).collect()).unwrap()
    }

    #[test]
    fn every_format_is_known_by_its_contents() {
        let png = write_png(&[1, 2, 3, 4], 2, 2).unwrap();
        let set = load_bytes(&png, "7-a.png", &wanted()).unwrap();
        assert_eq!(set.names, ["7-a.png"]);
        assert_eq!(set.labels, None);
        let named = Wanted {
            labels: Labels::Names,
            ..wanted()
        };
        let set = load_bytes(&png, "7-a.png", &named).unwrap();
        assert_eq!(set.labels, Some(vec![7]));
        let idx = write_idx_images(&images()).unwrap();
        assert_eq!(load_bytes(&idx, "x", &wanted()).unwrap().len(), 3);
        let set = load_bytes(b"5,1,2,3,4\n", "x", &wanted()).unwrap();
        assert_eq!(set.labels, Some(vec![5]));
    }

    #[test]
    fn other_files() {
        let refused = |bytes: &[u8]| load_bytes(bytes, "x", &wanted()).unwrap_err();
        assert!(matches!(
            refused(b"\xff\xd8\xff\xe0"),
            DatasetError::OtherPicture { .. }
        ));
        assert!(matches!(
            refused(b"\x7fELF\x02\x01"),
            DatasetError::UnknownFormat
        ));
        assert!(matches!(
            refused(b"hello\n"),
            DatasetError::CsvColumns { .. }
        ));
        assert!(matches!(
            load(Path::new("/no/such/file"), &wanted()),
            Err(DatasetError::Io(_))
        ));
    }

    #[test]
    fn an_empty_file() {
        for name in ["a.png", "standard input"] {
            let error = load_bytes(b"", name, &wanted()).unwrap_err();
            assert_eq!(error.to_string(), "is empty: 0 bytes, expected an image");
        }
    }

    #[test]
    fn images_of_another_size() {
        let idx = write_idx_images(&images()).unwrap();
        let error = load_bytes(&idx, "x", &Wanted::new(2, 3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "images are 2x2, expected 2x3 (height x width)"
        );
    }

    #[test]
    fn labels_asked_for_where_there_are_none() {
        let named = Wanted {
            labels: Labels::Names,
            ..wanted()
        };
        let idx = write_idx_images(&images()).unwrap();
        assert!(matches!(
            load_bytes(&idx, "x", &named),
            Err(DatasetError::NoLabels)
        ));
        let png = write_png(&[1, 2, 3, 4], 2, 2).unwrap();
        assert!(matches!(
            load_bytes(&png, "seven.png", &named),
            Err(DatasetError::LabelName { .. })
        ));
    }

    #[test]
    fn a_pair_of_idx_files() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
        let missing = load_idx_pair(folder.path(), "t10k").unwrap_err();
        assert!(
            missing.to_string().contains("t10k-images-idx3-ubyte"),
            "{missing}"
        );
        write(
            "t10k-images-idx3-ubyte",
            write_idx_images(&images()).unwrap(),
        );
        let missing = load_idx_pair(folder.path(), "t10k").unwrap_err();
        assert!(
            missing.to_string().contains("t10k-labels-idx1-ubyte"),
            "{missing}"
        );
        write(
            "t10k-labels-idx1-ubyte",
            write_idx_labels(&[1, 2, 3]).unwrap(),
        );
        let set = load_idx_pair(folder.path(), "t10k").unwrap();
        assert_eq!(set.labels, Some(vec![1, 2, 3]));
        assert!(has_idx_pair(folder.path(), "t10k") && !has_idx_pair(folder.path(), "val"));
        write("test-images-idx3-ubyte.gz", Vec::new());
        assert_eq!(test_prefix(folder.path()), "t10k");
        fs::remove_file(folder.path().join("t10k-images-idx3-ubyte")).unwrap();
        assert_eq!(test_prefix(folder.path()), "test");
        write(
            "t10k-images-idx3-ubyte",
            write_idx_images(&images()).unwrap(),
        );
        write("t10k-labels-idx1-ubyte", write_idx_labels(&[1, 2]).unwrap());
        assert!(matches!(
            load_idx_pair(folder.path(), "t10k"),
            Err(DatasetError::LabelCount {
                labels: 2,
                images: 3
            })
        ));
        write("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\0".to_vec());
        let error = load_idx_pair(folder.path(), "t10k").unwrap_err();
        assert!(
            error.to_string().contains("idx1-ubyte: is truncated"),
            "{error}"
        );
    }
}
