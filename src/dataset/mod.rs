//! Images and tables in (IDX, PNG, CSV), images out.
//!
//! Whatever the source, what comes out is a [`Dataset`]: grey images of one
//! size, a byte a pixel, row by row, white ink (255) on black (0) as in MNIST,
//! with labels if the source has them. [`load()`] takes a path and finds out by
//! itself what is there. A network may take rows of a [`Table`] instead.
//!
//! Data that do not belong to the project (MNIST) stand in a folder beside it:
//! [`data_dir`].

mod csv;
mod error;
mod folder;
mod idx;
mod load;
mod matrix;
mod npy;
mod picture;
mod select;
mod table;

use std::path::PathBuf;

pub use csv::read_csv;
pub use error::DatasetError;
pub use folder::{label_of_name, natural_order, read_folder};
pub use idx::{read_idx_images, read_idx_labels, write_idx_images, write_idx_labels};
pub use load::{
    Labels, Wanted, has_idx_pair, load, load_bytes, load_idx_pair, load_table, test_prefix,
};
pub use matrix::{Matrix, read_matrix};
pub use npy::{Npy, NpyValues, is_npy, read_npy, write_npy};
pub use picture::{Invert, MAX_PIXELS, Picture, read_png, write_png};
pub use select::Selection;
pub use table::Table;

/// Most bytes of pixels that one set may have: 1 GiB, twenty times MNIST.
pub const MAX_SET_BYTES: u64 = 1 << 30;

/// Grey images of one size.
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl std::fmt::Debug for Images {
    /// Shows how many and how large; an image is its owner's secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} images of {}x{}", self.len(), self.height, self.width)
    }
}

impl Images {
    /// Images of `height` rows and `width` columns from their pixels, one
    /// image after another, each row by row.
    ///
    /// # Errors
    /// If an extent is 0 or the pixels do not fill whole images.
    pub fn new(height: usize, width: usize, pixels: Vec<u8>) -> Result<Images, DatasetError> {
        match height.checked_mul(width) {
            Some(plane) if plane > 0 && pixels.len().is_multiple_of(plane) => Ok(Images {
                height,
                width,
                pixels,
            }),
            _ => Err(DatasetError::Extents {
                height,
                width,
                pixels: pixels.len(),
            }),
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.pixels.len() / (self.height * self.width)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Rows of each image.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of each image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Image `index`: height · width bytes, row by row.
    ///
    /// # Panics
    /// If there are not so many images.
    pub fn get(&self, index: usize) -> &[u8] {
        let plane = self.height * self.width;
        &self.pixels[index * plane..(index + 1) * plane]
    }

    /// Each image in turn.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pixels.chunks_exact(self.height * self.width)
    }

    /// All pixels.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// Images with what is known about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The images.
    pub images: Images,
    /// A class for each image, if the source names them.
    pub labels: Option<Vec<u8>>,
    /// What to call each image: a file name, or its number in its set.
    pub names: Vec<String>,
    /// What was converted on the way, a line each; empty if nothing was.
    pub notes: Vec<String>,
}

impl Dataset {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The images of `selection`, with their labels and names.
    ///
    /// # Errors
    /// If the selection reaches beyond the last image.
    pub fn select(&self, selection: Selection) -> Result<Dataset, DatasetError> {
        let range = selection.within(self.len())?;
        let plane = self.images.height * self.images.width;
        Ok(Dataset {
            images: Images {
                pixels: self.images.pixels[range.start * plane..range.end * plane].to_vec(),
                ..self.images
            },
            labels: self.labels.as_ref().map(|all| all[range.clone()].to_vec()),
            names: self.names[range].to_vec(),
            notes: self.notes.clone(),
        })
    }

    /// Refuses labels that are not below `classes`.
    ///
    /// # Errors
    /// Names the first such image.
    pub fn check_labels(&self, classes: usize) -> Result<(), DatasetError> {
        let labels = self.labels.iter().flatten();
        for (label, name) in labels.zip(&self.names) {
            if usize::from(*label) >= classes {
                return Err(DatasetError::LabelRange {
                    name: name.clone(),
                    label: *label,
                    classes,
                });
            }
        }
        Ok(())
    }
}

/// The folder with data sets that do not belong to the project: the
/// environment variable `PDNN_DATA`, or else `data`. MNIST is in its `mnist`.
pub fn data_dir() -> PathBuf {
    std::env::var_os("PDNN_DATA").map_or_else(|| PathBuf::from("data"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Dataset {
        Dataset {
            images: Images::new(1, 2, vec![1, 2, 3, 4, 5, 6]).unwrap(),
            labels: Some(vec![7, 8, 9]),
            names: vec!["0".into(), "1".into(), "2".into()],
            notes: vec![],
        }
    }

    #[test]
    fn a_selection_takes_images_labels_and_names() {
        let part = three().select("1..3".parse().unwrap()).unwrap();
        assert_eq!(part.images.pixels(), [3, 4, 5, 6]);
        assert_eq!(part.labels, Some(vec![8, 9]));
        assert_eq!(part.names, ["1", "2"]);
        assert!(three().select("1..4".parse().unwrap()).is_err());
    }

    #[test]
    fn a_label_out_of_range() {
        assert!(three().check_labels(10).is_ok());
        let error = three().check_labels(9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image 2 has label 9, expected one below 9"
        );
    }

    #[test]
    fn pixels_that_do_not_fill_whole_images() {
        assert!(Images::new(2, 2, vec![0; 7]).is_err());
        assert!(Images::new(0, 2, vec![]).is_err());
        assert!(Images::new(usize::MAX, 2, vec![]).is_err());
    }

    #[test]
    fn debug_shows_no_pixel() {
        assert_eq!(format!("{:?}", three().images), "3 images of 1x2");
    }
}
