//! What can be wrong with images and their files.

use std::io;

use super::{MAX_PIXELS, MAX_SET_BYTES};

/// Why images could not be read, in one line: what was wrong, what was
/// expected, what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file or folder could not be read.
    #[error("cannot read: {0}")]
    Io(io::Error),
    /// An error in one file of several.
    #[error("{name}: {source}")]
    InFile {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        source: Box<DatasetError>,
    },
    /// No bytes at all.
    #[error("is empty: 0 bytes, expected an image")]
    Empty,
    /// None of the formats that are read.
    #[error("is neither PNG, IDX (plain or gzip) nor CSV; convert the image to PNG")]
    UnknownFormat,
    /// Another picture format.
    #[error("is {found}, not PNG; convert it to PNG")]
    OtherPicture {
        /// What it looks like.
        found: &'static str,
    },
    /// More bytes than a set may have.
    #[error("holds or claims more than {MAX_SET_BYTES} bytes; split it")]
    TooLarge,
    /// Pixels that do not fill whole images.
    #[error("{pixels} pixels do not fill images of {height}x{width}")]
    Extents {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Pixels there are.
        pixels: usize,
    },
    /// Images of another size than needed, in a format that is not resized.
    #[error("images are {found}, expected {expected} (height x width)")]
    ImageSize {
        /// Height x width found.
        found: String,
        /// Height x width needed.
        expected: String,
    },

    /// A gzip stream that is damaged or cut.
    #[error("gzip stream is damaged or cut short ({0}); fetch the file again")]
    Gzip(io::Error),
    /// An IDX file that begins with another magic number.
    #[error("is not an IDX {expected} file: begins with {found:08x}")]
    IdxMagic {
        /// "image" or "label".
        expected: &'static str,
        /// First four bytes.
        found: u32,
    },
    /// A label file where images are needed, or the reverse.
    #[error("is an IDX {found} file, expected an IDX {expected} file")]
    IdxOther {
        /// What it is.
        found: &'static str,
        /// What is needed.
        expected: &'static str,
    },
    /// An extent of 0.
    #[error("IDX header names an extent of 0; the file is damaged or empty")]
    IdxEmpty,
    /// A file that ends within its header.
    #[error("is truncated: it ends within its IDX header; fetch it again")]
    IdxHeader,
    /// Fewer bytes than the header claims.
    #[error("is truncated: {found} bytes of data where its header needs {expected}")]
    IdxTruncated {
        /// Bytes needed.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// More bytes than the header claims.
    #[error("is padded: bytes follow the {expected} bytes of data in its header")]
    IdxPadded {
        /// Bytes that the header claims.
        expected: u64,
    },
    /// A set's files are not there.
    #[error(
        "neither {name} nor {name}.gz in {folder}; scripts/fetch-mnist.sh brings MNIST to data/mnist, scripts/fetch-pneumonia.sh X-rays to data/pneumonia, PDNN_DATA names another folder than data"
    )]
    SetMissing {
        /// The file looked for.
        name: String,
        /// The folder looked in.
        folder: String,
    },

    /// Not as many labels as images.
    #[error("{labels} labels for {images} images; the files do not belong together")]
    LabelCount {
        /// Number of labels.
        labels: usize,
        /// Number of images.
        images: usize,
    },
    /// A label that no class has.
    #[error("image {name} has label {label}, expected one below {classes}")]
    LabelRange {
        /// The image.
        name: String,
        /// Its label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// A file name that does not begin with a label.
    #[error(
        "{name}: no label in front of the name, expected a number as in 7.png, 7-a.png or 7_a.png"
    )]
    LabelName {
        /// The file's name.
        name: String,
    },
    /// Labels were asked for and the source has none.
    #[error("holds no labels; name a label file")]
    NoLabels,

    /// A picture that is no valid PNG.
    #[error("PNG is damaged: {0}")]
    Png(String),
    /// A picture with too many pixels.
    #[error(
        "PNG of {width}x{height} pixels is larger than the {MAX_PIXELS} pixels that are accepted; make it smaller"
    )]
    PngSize {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },

    /// A folder with nothing to read.
    #[error("folder holds no .png file")]
    EmptyFolder,

    /// A CSV file that does not parse.
    #[error("CSV does not parse: {0}")]
    Csv(String),
    /// A CSV file without an image.
    #[error("CSV holds no image")]
    CsvEmpty,
    /// A row of the wrong length.
    #[error("CSV line {line} has {found} columns, expected {expected}")]
    CsvColumns {
        /// Line in the file, from 1.
        line: u64,
        /// Columns there are.
        found: usize,
        /// What is expected.
        expected: String,
    },
    /// A value that is no byte.
    #[error("CSV line {line}, column {column}: \"{found}\" is no whole number from 0 to 255")]
    CsvValue {
        /// Line in the file, from 1.
        line: u64,
        /// Column, from 1.
        column: usize,
        /// The text found, at most 20 characters of it.
        found: String,
    },

    /// A picture, an archive or an IDX file where a table is needed.
    #[error("is no table; expected CSV with the columns' names in its first line")]
    NoTable,
    /// A table without a row under its heading.
    #[error("table holds no row; expected a heading with the columns' names, then a row a line")]
    TableEmpty,
    /// A cell or heading that is no text.
    #[error("CSV line {line} is not UTF-8 text")]
    TableText {
        /// Line in the file, from 1.
        line: u64,
    },
    /// A heading that names a column twice.
    #[error("column {name:?} stands twice in the heading; remove one")]
    ColumnTwice {
        /// The column.
        name: String,
    },
    /// A column that is needed is not there.
    #[error("no column {name:?} in the heading; expected {expected}, in any order")]
    ColumnMissing {
        /// The column.
        name: String,
        /// All that are needed.
        expected: String,
    },
    /// A column that nothing is known about.
    #[error("unknown column {name:?}; expected {expected}, in any order; remove the column")]
    ColumnUnknown {
        /// The column.
        name: String,
        /// All that are needed.
        expected: String,
    },
    /// A cell that does not hold what its column holds.
    #[error("CSV line {line}, column {name:?}: {problem}")]
    Cell {
        /// Line in the file, from 1.
        line: u64,
        /// The column.
        name: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A `.npy` file that is not read.
    #[error(".npy file {0}")]
    Npy(String),
    /// A file of numbers without a number.
    #[error("holds no number; expected CSV with a vector a row, or .npy")]
    MatrixEmpty,
    /// A cell that is no number.
    #[error(
        "CSV line {line}, column {column}: {found:?} is no number, or has more digits than are read"
    )]
    CsvNumber {
        /// Line in the file, from 1.
        line: u64,
        /// Column, from 1.
        column: usize,
        /// The text found, at most 20 characters of it.
        found: String,
    },

    /// A selection that does not parse.
    #[error(
        "\"{0}\" is no selection of images: expected a number (17), a range (0..100: 0 to 99) or an open range (100..)"
    )]
    Selection(String),
    /// A selection beyond the end.
    #[error("images {selection} asked for, but there are only {len}, numbered from 0")]
    SelectionRange {
        /// What was asked for.
        selection: String,
        /// Number of images.
        len: usize,
    },
}

impl DatasetError {
    /// This error, in the file called `name`.
    pub(crate) fn in_file(self, name: impl Into<String>) -> DatasetError {
        DatasetError::InFile {
            name: name.into(),
            source: Box::new(self),
        }
    }
}
