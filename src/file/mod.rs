//! Every format on disk, one file per kind.

pub mod atomic;
pub mod checkpoint;
pub mod container;
pub mod folder;
pub mod input;
pub mod key;
pub mod model;
pub mod phe_number;
pub mod plan;
pub mod profile;

pub use atomic::{Mode, Overwrite, write_atomic};
pub use container::{Container, ContainerError, Kind, Tensor};
pub use folder::{
    AnyNetwork, load_any, load_bayesian, load_network, load_profile, save_bayesian, save_network,
};
pub use model::bayesian::{bayesian_from_bytes, bayesian_to_bytes};
pub use model::{ModelError, NetworkFileError, model_from_bytes, model_to_bytes};
pub use profile::{profile_from_bytes, read_profile, write_profile};
