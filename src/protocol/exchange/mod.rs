//! The exchange that 2P-DNN and BAYHENN are made of: for each linear layer one
//! query of Paillier ciphertexts and one reply.
//!
//! ```text
//!        client: images x, secret key                server: weights
//!        ----------------------------                ---------------
//!   layer 1:
//!        encrypt x                    -- ⟦x⟧ -->     for every path t:
//!                                                    ⟦W⁽ᵗ⁾x + b⁽ᵗ⁾⟧ from ⟦x⟧
//!        decrypt, check every slot   <-- ⟦y⁽ᵗ⁾⟧ --   re-randomise
//!        x⁽ᵗ⁾ := activation, pooling,
//!                requantisation of y⁽ᵗ⁾
//!   every later layer:
//!        encrypt x⁽ᵗ⁾                 -- ⟦x⁽ᵗ⁾⟧ -->  … and so on
//! ```
//!
//! A *path* is one walk through the network; a query asks for as many as its
//! header's `samples` says. 2P-DNN has one. The paths of BAYHENN differ in the
//! weights that the server draws for them; they share the encrypted input of
//! the first layer, and nothing behind it. A message holds the ciphertexts of
//! one path after those of the other, each path's as if it were alone.
//!
//! Both sides are stateless between exchanges: all that a side needs is in the
//! message and in its key or model. So the same types serve in one process and
//! over files.
//!
//! What is common stands here: the messages, the layouts, the client, and of
//! the server whatever does not depend on where weights come from
//! ([`Responder`]).

mod client;
mod encryptor;
mod error;
mod layouts;
mod messages;
mod server;

pub use crate::encrypted::layout::{Packing, StageLayout};
pub use client::{Client, ClientKeys, Opened, Step};
pub use error::ProtocolError;
pub use layouts::{LayoutChoice, StageTraffic, best_chunk, traffic};
pub(super) use layouts::{choose, stage_layout};
pub use messages::{Header, Query, QueryId, Reply};
pub use server::{Answer, Responder};

/// The most images that one query may hold, those of every path counted. More
/// images go in several queries.
pub const MAX_IMAGES: usize = 4096;

/// The most paths that a query may ask for.
pub const MAX_SAMPLES: usize = 64;

/// The most bytes of ciphertexts that one message may hold: a side keeps a
/// message and up to two copies of it in memory.
pub const MAX_MESSAGE: usize = 256 << 20;

/// Reports progress: units done, units in all.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Progress that nobody watches.
pub(super) const SILENT: Progress<'static> = &|_, _| {};
