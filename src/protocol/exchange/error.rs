//! Why a message was not made, or was refused.

use crate::{
    encrypted::layout::{LayoutError, Packing},
    file::ContainerError,
    network::{NetworkError, Range},
    paillier::PaillierError,
};

use super::{MAX_IMAGES, MAX_MESSAGE, MAX_SAMPLES};

/// Why a message was not made, or was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A query needs at least one image.
    #[error("no image to classify; expected at least one")]
    NoImages,
    /// A query would be too large: its images, those of every sample counted.
    #[error("{0} images in one query; expected at most {MAX_IMAGES}: split them into several")]
    TooManyImages(usize),
    /// A number of samples that no query may have.
    #[error("{0} samples a query; expected 1 to {MAX_SAMPLES}")]
    Samples(usize),
    /// Weights were to be drawn that are fixed.
    #[error(
        "network {0:?} has fixed weights, no standard deviations to draw them with; use protocol \
         2p-dnn, or a Bayesian network"
    )]
    NotBayesian(String),
    /// An image that is no input of the network.
    #[error("image {}: {source}", .image + 1)]
    Image {
        /// Which image, from 0.
        image: usize,
        /// What is wrong with it.
        source: NetworkError,
    },
    /// The key is too short for the layer's slots.
    #[error(
        "a key of {key_bits} bits has no room for the slots of layer {layer:?}, {slot_bits} bits \
         each; use a longer key"
    )]
    KeyTooShort {
        /// The layer's name.
        layer: String,
        /// Bits of the key.
        key_bits: u32,
        /// Bits of a slot.
        slot_bits: u32,
    },
    /// The layer's inputs exclude 0, which slots without a value hold.
    #[error(
        "layer {layer:?} takes {inputs}, which excludes 0; networks whose layers do not take 0 are \
         not supported"
    )]
    NoZero {
        /// The layer's name.
        layer: String,
        /// What it takes.
        inputs: Range,
    },
    /// A message would be too large.
    #[error(
        "{images} images packed for {packing} make a message of {mebibytes} MiB; expected at most \
         {} MiB: use fewer images or --layout throughput", MAX_MESSAGE >> 20
    )]
    TooLarge {
        /// Images of the query.
        images: usize,
        /// How they are packed.
        packing: Packing,
        /// Size of the largest message.
        mebibytes: usize,
    },
    /// The message was made for another network.
    #[error(
        "the {kind} is for network {found}, not for {expected}; use the profile and the model \
         that belong together"
    )]
    OtherNetwork {
        /// Query or reply.
        kind: &'static str,
        /// Fingerprint at hand, shortened.
        expected: String,
        /// Fingerprint in the message, shortened.
        found: String,
    },
    /// The message was made under another key.
    #[error(
        "the {kind} belongs to key {found}, not to {expected}; use the key that it was made with"
    )]
    OtherKey {
        /// Query or reply.
        kind: &'static str,
        /// Fingerprint at hand, shortened.
        expected: String,
        /// Fingerprint in the message, shortened.
        found: String,
    },
    /// The message names a stage that the network does not have.
    #[error("the {kind} is for stage {found}, but the network has stages 1 to {stages}")]
    NoSuchStage {
        /// Query or reply.
        kind: &'static str,
        /// Stage in the message, from 1.
        found: usize,
        /// How many there are.
        stages: usize,
    },
    /// The message's slots or ciphertexts are not those of the layer.
    #[error(
        "the {kind} has {found} for layer {layer:?}; expected {expected}: it was made with \
         another profile or is damaged"
    )]
    OtherLayout {
        /// Query or reply.
        kind: &'static str,
        /// The layer's name.
        layer: String,
        /// What the layer has.
        expected: String,
        /// What the message has.
        found: String,
    },
    /// A metadata member is missing or cannot be read.
    #[error(
        "the {kind} has no usable {member:?} in its header; it is damaged or of another program"
    )]
    Header {
        /// Query or reply.
        kind: &'static str,
        /// The member.
        member: &'static str,
    },
    /// A metadata member is not written as this program writes it.
    #[error("the {kind}'s {member:?} is not written as expected, {expected:?}; it was changed")]
    NotCanonical {
        /// Query or reply.
        kind: &'static str,
        /// The member.
        member: String,
        /// How it is written.
        expected: String,
    },
    /// A metadata member that nothing is known of.
    #[error(
        "the {kind} has {member:?} in its header, which is not known; it needs a newer version of \
         this program"
    )]
    UnknownMember {
        /// Query or reply.
        kind: &'static str,
        /// The member.
        member: String,
    },
    /// The message speaks another protocol.
    #[error("the {kind} speaks protocol {found:?}; expected {expected}")]
    OtherProtocol {
        /// Query or reply.
        kind: &'static str,
        /// What is spoken here.
        expected: String,
        /// What it speaks.
        found: String,
    },
    /// The message is not a well-formed file.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The key inside a query was refused.
    #[error("the public key inside the query was refused: {0}")]
    Key(String),
    /// A stock of randomisers was of no use.
    #[error("randomisers made ahead: {0}")]
    Stock(String),
    /// A ciphertext was refused.
    #[error("ciphertext refused: {0}")]
    Paillier(#[from] PaillierError),
    /// A decrypted reply holds what no honest server sends.
    #[error(
        "the reply is not a result of layer {layer:?} ({source}): the server does not follow the \
         protocol or uses another model; nothing was sent back, do not ask it again"
    )]
    Dishonest {
        /// The layer's name.
        layer: String,
        /// What was found.
        source: LayoutError,
    },
    /// A reply with another number of paths than were asked for.
    #[error(
        "the reply is for {found} samples, the query asked for {expected}: it does not answer it"
    )]
    OtherSamples {
        /// Paths that were asked for.
        expected: usize,
        /// Paths of the reply.
        found: usize,
    },
    /// A reply that does not answer the query that it was held against.
    #[error(
        "the reply does not answer this query: it says {member} {found}, expected {expected}; \
         nothing was decrypted"
    )]
    NoAnswer {
        /// What differs.
        member: String,
        /// What the query says.
        expected: String,
        /// What the reply says.
        found: String,
    },
    /// Decryption was asked of a client that has only the public key.
    #[error("decryption needs the secret key; give the .key.json file")]
    NoSecretKey,
}

/// The first 16 hexadecimal digits: enough to tell fingerprints apart.
pub(super) fn short(fingerprint: &[u8]) -> String {
    fingerprint
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
