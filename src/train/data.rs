//! The images to train on, split.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::TrainError;
use crate::dataset::{
    Dataset, DatasetError, Images, load_idx_pair, write_idx_images, write_idx_labels,
};

/// Images with the class of each.
#[derive(Clone, Debug)]
pub struct Examples {
    images: Images,
    labels: Vec<u8>,
}

impl Examples {
    /// Labelled images.
    ///
    /// # Errors
    /// If there are not as many labels as images.
    pub fn new(images: Images, labels: Vec<u8>) -> Result<Examples, TrainError> {
        if images.len() != labels.len() {
            return Err(TrainError::Option(format!(
                "{} labels for {} images, expected one for each",
                labels.len(),
                images.len()
            )));
        }
        Ok(Examples { images, labels })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of each.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// How many classes the labels tell apart: one more than the largest.
    pub fn classes(&self) -> usize {
        let largest = self.labels.iter().max();
        largest.map_or(0, |label| usize::from(*label) + 1)
    }

    /// The images.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The examples from `from` on, and before `to`.
    fn part(&self, from: usize, to: usize) -> Result<Examples, DatasetError> {
        let (height, width) = (self.images.height(), self.images.width());
        let pixels = self.images.pixels()[from * height * width..to * height * width].to_vec();
        Ok(Examples {
            images: Images::new(height, width, pixels)?,
            labels: self.labels[from..to].to_vec(),
        })
    }

    /// All but the last `validation` examples, and those.
    ///
    /// # Errors
    /// If either part would be empty.
    pub fn split(&self, validation: usize) -> Result<(Examples, Examples), TrainError> {
        if validation == 0 || validation >= self.len() {
            return Err(TrainError::Option(format!(
                "{validation} of {} training images cannot be kept for validation; \
                 keep at least one, and leave at least one to train on",
                self.len()
            )));
        }
        let middle = self.len() - validation;
        Ok((self.part(0, middle)?, self.part(middle, self.len())?))
    }

    /// SHA-256 of images and of labels as unpacked IDX files, hexadecimal.
    ///
    /// # Errors
    /// If the set is too large for an IDX file.
    pub fn checksums(&self) -> Result<(String, String), TrainError> {
        let hex = |bytes: Vec<u8>| -> String {
            let digest = Sha256::digest(bytes);
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let images = write_idx_images(&self.images)?;
        Ok((hex(images), hex(write_idx_labels(&self.labels)?)))
    }
}

/// Reads one set of a folder (`train`, `val`, `t10k`, `test`) from its IDX
/// files.
///
/// # Errors
/// A file that is missing or malformed, named, with how to get it.
pub fn load_examples(folder: &Path, prefix: &str) -> Result<Examples, TrainError> {
    let Dataset { images, labels, .. } = load_idx_pair(folder, prefix)?;
    Examples::new(images, labels.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Examples {
        let images = Images::new(1, 2, vec![1, 2, 3, 4, 5, 6]).unwrap();
        Examples::new(images, vec![0, 1, 2]).unwrap()
    }

    #[test]
    fn the_last_examples_are_kept_for_validation() {
        let (train, validation) = three().split(1).unwrap();
        assert_eq!((train.len(), train.images().get(1)), (2, &[3, 4][..]));
        assert_eq!(validation.images().pixels(), [5, 6]);
        assert_eq!(validation.labels(), [2]);
    }

    #[test]
    fn a_split_without_a_part_is_refused() {
        for validation in [0, 3, 4] {
            let error = three().split(validation).unwrap_err().to_string();
            assert!(error.contains("validation"), "{error}");
        }
    }

    #[test]
    fn labels_that_do_not_match_are_refused() {
        let images = Images::new(1, 1, vec![1, 2]).unwrap();
        assert!(Examples::new(images, vec![1]).is_err());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = load_examples(Path::new("no/such/folder"), "train").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("train-images-idx3-ubyte"), "{text}");
        assert!(text.contains("no/such/folder"), "{text}");
    }
}
