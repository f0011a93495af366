//! Masked inference: a secure scalar product, layer by layer, with all
//! public-key work done before the input exists (after Tran et al., RIVF 2021,
//! whose messages are not public; these are our own).
//!
//! ```text
//!        client: key, later image x                 server: weights W, b
//!        --------------------------                 --------------------
//!   preparation, for every linear layer and prediction, packed, a slot a
//!   prediction:
//!        r uniform in Z_{2^L}       -- ⟦r⟧ -->      s uniform in Z_{2^L}
//!                                                   s′ = s + 2^L·cover
//!        decrypt                  <-- ⟦Wr + s′⟧ --  re-randomise
//!        keep r, u = Wr + s′ mod 2^L                keep s
//!
//!   online, for every linear layer, nothing but arithmetic modulo 2^L:
//!        z = x − r                  --   z   -->    v = Wz + b − s
//!        y = v + u = Wx + b        <--   v   --
//!        x := activation, pooling, requantisation of y
//!   after the last layer: label = argmax y
//! ```
//!
//! L is the least width that tells the values of the layer's range apart
//! ([`widths`](widths())): 10 to 14 bits for `models/lenet5-fast`. Values go over the
//! wire with L bits each. Exact: the logits equal those of
//! [`Network::forward`](crate::network::Network::forward) bit for bit.
//!
//! r and s are expanded from seeds; of a preparation a client keeps 32 bytes
//! and u, a server 32 bytes.
//!
//! # Used once
//!
//! Both sides keep what they prepared in a store on disk, in whose ledger a
//! place (batch, layer, prediction) is marked, on the disk, before it is used.
//! Neither side uses a place twice, whatever ends the process and whoever else
//! uses the store at the same time; see `store`. What reuse would give away:
//!
//! * two z under one r show the server the difference of two inputs of the
//!   layer;
//! * two v under one s show a client W·(z − z′), an equation on W alone that it
//!   might not have been entitled to ask. A server answers a place once,
//!   restarts included.
//!
//! A place that one side has used or lost and the other has not is skipped: the
//! query is refused, and the next one takes other places. Copies of a store
//! must not be restored.
//!
//! # What each side learns
//!
//! Semi-honest parties.
//!
//! **The server** sees `⟦r⟧` under the client's key, and z, which is uniform
//! and independent of x for any x, because r is. Beyond that: which network and
//! layer, how many predictions, batch and places, the key's fingerprint, and
//! when messages come.
//!
//! **The client** sees W·r + s′ and v. Given y, the pair (u, v) is uniform
//! among those with u + v = y, so it adds nothing to the pre-activations; the
//! carries above u are hidden by 2^−40 a slot (advantage at most 2^−40 for each
//! result of each layer; 0.2 % for a million predictions with 1,800 results). **The
//! pre-activations of every layer it learns, as in 2P-DNN**, and with enough
//! of them it can solve for the weights: this protocol does not hide the model
//! from its clients. It learns the L1 norm of the weights only from a refusal
//! of slots that are too narrow.
//!
//! # Malicious parties
//!
//! Not covered. A client may send any z, or plaintexts outside the ring, and
//! learns linear combinations of the columns of W; as masks cover slots and not
//! the bits above the last one, one preparation alone can show it whole rows, so
//! a limit on online queries does not bind it, a limit on preparations does.
//! Replies are re-randomised as in [2P-DNN](super::two_party_dnn), with the same
//! remainder for a few keys, and with keys of the subgroup scheme the server
//! trusts the key. A server may answer anything;
//! the client refuses a result outside the layer's range, and that is all it
//! can see. Files are not authenticated: take answers and replies only from the
//! server you chose, and use a key and a store for one server.

mod answer;
mod batch;
mod client;
mod error;
mod fields;
mod material;
mod messages;
mod prepare;
mod request;
mod server;
mod store;
mod widths;

pub use super::exchange::{MAX_MESSAGE, Progress};
pub use batch::{Batch, BatchId, Segment};
pub use client::{Client, Opened, Step};
pub use error::MaskedError;
pub use messages::{Header, Query, Reply};
pub use prepare::Preparation;
pub use request::{Answer, Request};
pub use server::{Prepared, Server};
pub use widths::{HIDING_BITS, Width, batch_size, slot_bits, widths};

/// The protocol's name in files.
pub const PROTOCOL: &str = super::Protocol::Masked.name();

/// The most predictions of one preparation or one query.
pub const MAX_COUNT: usize = 4096;

/// The largest file of a store or a preparation: the most ciphertexts and a
/// header.
pub const MAX_FILE: u64 = (MAX_MESSAGE as u64) + (4 << 20);

/// Progress that nobody watches.
pub const SILENT: Progress<'static> = &|_, _| {};
