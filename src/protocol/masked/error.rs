//! Why material was not made, or a message was refused.

use crate::{
    file::{ContainerError, atomic::WriteError, input::InputError},
    mpc::ledger::LedgerError,
    network::{NetworkError, Range},
    paillier::{PackError, PaillierError},
};

use super::{MAX_COUNT, PROTOCOL};

/// Why material was not made, or a message was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaskedError {
    /// A query needs at least one image, a preparation one prediction.
    #[error("nothing to do for 0 predictions; expected 1 to {MAX_COUNT}")]
    NoPredictions,
    /// More than one message may hold.
    #[error("{0} predictions in one message; expected at most {MAX_COUNT}")]
    TooMany(usize),
    /// The messages of a preparation would be too large.
    #[error(
        "{count} predictions make a message of {mebibytes} MiB; prepare at most {most} at a time"
    )]
    TooLarge {
        /// Predictions.
        count: usize,
        /// Size of the larger message.
        mebibytes: usize,
        /// How many would do.
        most: usize,
    },
    /// An image that is no input of the network.
    #[error("image {}: {source}", .image + 1)]
    Image {
        /// Which image, from 0.
        image: usize,
        /// What is wrong with it.
        source: NetworkError,
    },
    /// The key is too short for one slot.
    #[error("a key of {key_bits} bits has no room for a slot of {bits} bits; use a longer key")]
    KeyTooShort {
        /// Bits of the key.
        key_bits: u32,
        /// Bits of a slot.
        bits: u32,
    },
    /// The client's slots do not hide this network's weights.
    #[error(
        "slots of {found} bits do not hide layer {layer:?}, which needs {needed}; ask again with \
         --extra-bits {extra}"
    )]
    Narrow {
        /// The layer's name.
        layer: String,
        /// Bits of a slot that were asked for.
        found: u32,
        /// Bits that it takes.
        needed: u32,
        /// The client's option.
        extra: u32,
    },
    /// A message or material for another network.
    #[error(
        "the {kind} is for network {found}, not for {expected}; use the profile and the model \
         that belong together"
    )]
    OtherNetwork {
        /// What it is.
        kind: &'static str,
        /// Fingerprint at hand, shortened.
        expected: String,
        /// Fingerprint found, shortened.
        found: String,
    },
    /// A message or material for another key.
    #[error("the {kind} belongs to key {found}, not to {expected}; use the key it was made with")]
    OtherKey {
        /// What it is.
        kind: &'static str,
        /// Fingerprint at hand, shortened.
        expected: String,
        /// Fingerprint found, shortened.
        found: String,
    },
    /// A message or material whose numbers are not those of the network.
    #[error("the {kind} has {found}; expected {expected}: it is damaged or of another profile")]
    Shape {
        /// What it is.
        kind: &'static str,
        /// What the network has.
        expected: String,
        /// What it has.
        found: String,
    },
    /// A metadata member is missing, unreadable or unknown.
    #[error(
        "the {kind} has no usable {member:?} in its header; it is damaged or of another program"
    )]
    Header {
        /// What it is.
        kind: &'static str,
        /// The member.
        member: String,
    },
    /// The message speaks another protocol.
    #[error("the {kind} speaks protocol {found:?}; expected {PROTOCOL:?}")]
    OtherProtocol {
        /// What it is.
        kind: &'static str,
        /// What it speaks.
        found: String,
    },
    /// Not a well-formed file.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The key inside a request for material was refused.
    #[error("the public key inside the request was refused: {0}")]
    Key(String),
    /// A ciphertext was refused.
    #[error("ciphertext refused: {0}")]
    Paillier(#[from] PaillierError),
    /// A decrypted answer that no honest server sends.
    #[error("the answer is none to this request ({0}); do not use it")]
    Answer(#[from] PackError),
    /// A result that the layer cannot have.
    #[error(
        "the reply is not a result of layer {layer:?}, which lies in {range}: the server does not \
         follow the protocol, uses another model, or its store does not belong to this one; \
         nothing was sent back, do not ask it again"
    )]
    Dishonest {
        /// The layer's name.
        layer: String,
        /// Its range.
        range: Range,
    },
    /// A batch that the store does not have (any more).
    #[error(
        "the store {store} has no batch {batch}: it was prepared elsewhere, or is used up and gone"
    )]
    NoBatch {
        /// The store's folder.
        store: String,
        /// The batch.
        batch: String,
    },
    /// A batch that is there already.
    #[error("the store {store} has batch {batch} already; it is prepared once only")]
    BatchExists {
        /// The store's folder.
        store: String,
        /// The batch.
        batch: String,
    },
    /// The material has run out.
    #[error(
        "the store {store} has masks for {left} more predictions under this key and network, \
         {needed} are needed; make more with `pdnn prepare --count {}`", needed - left
    )]
    Short {
        /// The store's folder.
        store: String,
        /// How many are left.
        left: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The store holds nothing that fits.
    #[error(
        "the store {store} has masks for {others} predictions, all under another key or for \
         another network ({found}); expected {expected}: make some with `pdnn prepare`"
    )]
    OtherStore {
        /// The store's folder.
        store: String,
        /// How many predictions it has masks for.
        others: usize,
        /// Key and network of the first batch.
        found: String,
        /// Key and network at hand.
        expected: String,
    },
    /// A reply to a query that was never made.
    #[error(
        "the reply is for masks of batch {batch} that were not used for layer {layer:?}: no such \
         query was made with this store"
    )]
    NotAsked {
        /// The batch.
        batch: String,
        /// The layer.
        layer: String,
    },
    /// The books say no.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The folder of a store cannot be used.
    #[error("{store}: {problem}")]
    Store {
        /// The store's folder.
        store: String,
        /// What is wrong.
        problem: String,
    },
    /// A file of a store cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What is wrong.
        source: InputError,
    },
    /// A file of a store cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// What is wrong.
        source: WriteError,
    },
}

/// The first 16 hexadecimal digits: enough to tell fingerprints apart.
pub(super) fn short(fingerprint: &[u8]) -> String {
    crate::file::container::hex(&fingerprint[..8])
}
