//! Every format on disk, one file per kind.

pub mod container;

pub use container::{Container, ContainerError, Kind, Tensor};
