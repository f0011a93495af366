//! What can go wrong in training.

use super::Phase;
use crate::{dataset::DatasetError, network::NetworkError};

/// Why training stopped; nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An option outside its range.
    #[error("{0}")]
    Option(String),
    /// A network that cannot be built.
    #[error("{0}")]
    Topology(String),
    /// Images that are missing, malformed or do not fit the network.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A network whose integers do not fit.
    #[error("the trained network cannot be exported: {0}")]
    Network(#[from] NetworkError),
    /// An error in one file.
    #[error("{name}: {source}")]
    InFile {
        /// The file.
        name: String,
        /// What is wrong with it.
        source: Box<TrainError>,
    },
    /// A batch or a split without images.
    #[error("no images to train on: the data set must hold more than the validation images")]
    NoImages,
    /// The loss or a gradient became infinite or not a number.
    #[error(
        "training diverged in {phase} epoch {epoch} (the loss is no longer a number); \
         use a smaller learning rate than {rate}"
    )]
    Diverged {
        /// Float or quantised.
        phase: Phase,
        /// From 1.
        epoch: usize,
        /// Peak learning rate of the phase.
        rate: f32,
    },
    /// A checkpoint of something else.
    #[error("{0}")]
    Checkpoint(String),
    /// The tensor library refused an operation.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl TrainError {
    /// This error, in the file at `path`.
    pub(super) fn in_file(self, path: &std::path::Path) -> TrainError {
        TrainError::InFile {
            name: path.display().to_string(),
            source: Box::new(self),
        }
    }
}
