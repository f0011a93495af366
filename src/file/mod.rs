//! Every format on disk, one file per kind.

pub mod atomic;
pub mod container;
pub mod input;

pub use atomic::{Mode, Overwrite, write_atomic};
pub use container::{Container, ContainerError, Kind, Tensor};
