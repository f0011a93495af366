//! What can be wrong with a container.

use std::io;

use super::MAX_HEADER;

/// Why a container was refused, in one line: what was wrong, what was
/// expected, what to do.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The file could not be read at all.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// Fewer bytes than the header claims.
    #[error(
        "truncated: {found} bytes where its header needs {expected}; fetch or write the file again"
    )]
    Truncated {
        /// Bytes that the header needs.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// Bytes behind the last tensor.
    #[error(
        "padded: bytes follow the {expected} that its header covers; fetch or write the file again"
    )]
    Padded {
        /// Bytes that the header covers.
        expected: u64,
    },
    /// The file begins as something else does.
    #[error("this is {found}, not a pdnn query, reply or model file")]
    OtherFormat {
        /// What it looks like.
        found: &'static str,
    },
    /// A header length that no header has.
    #[error(
        "header length {found} is not between 2 and {MAX_HEADER} bytes: damaged, or no pdnn file"
    )]
    HeaderLength {
        /// The length found.
        found: u64,
    },
    /// The header is not the JSON that a header should be.
    #[error("header is not a safetensors header ({reason}): damaged, or no pdnn file")]
    Header {
        /// What the parser said.
        reason: String,
    },
    /// The same contents, written in a way that `pdnn` does not write:
    /// repeated keys, other order, other spacing.
    #[error(
        "header is not in the form that pdnn writes (order, spacing, repeated or unknown keys); write the file with pdnn"
    )]
    NotCanonical,
    /// A metadata key that must be there is not.
    #[error("metadata lack \"{key}\": not a complete pdnn file; write it with pdnn")]
    MissingMetadata {
        /// The key.
        key: String,
    },
    /// A metadata value of the wrong form.
    #[error("metadata \"{key}\" is \"{found}\", expected {expected}")]
    BadMetadata {
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Another kind of file than the one needed.
    #[error("this is a {found} file, expected a {expected} file")]
    WrongKind {
        /// The kind found.
        found: String,
        /// The kind needed.
        expected: &'static str,
    },
    /// A format version that this program does not read.
    #[error(
        "{kind} file of format version {found}, this pdnn reads version {expected}; use the same pdnn on both sides"
    )]
    WrongVersion {
        /// The kind of file.
        kind: String,
        /// The version found.
        found: String,
        /// The version read.
        expected: u32,
    },
    /// A tensor begins before the one in front of it ends.
    #[error("tensor \"{name}\" overlaps the one before it: damaged header")]
    Overlap {
        /// The tensor.
        name: String,
    },
    /// Bytes in front of a tensor belong to none.
    #[error("bytes before tensor \"{name}\" belong to no tensor: damaged header")]
    Gap {
        /// The tensor.
        name: String,
    },
    /// A tensor ends before it begins.
    #[error("tensor \"{name}\" ends before it begins: damaged header")]
    Backwards {
        /// The tensor.
        name: String,
    },
    /// Shape and element type need another number of bytes than there are.
    #[error("tensor \"{name}\" has {declared} bytes where its shape needs {needed}")]
    TensorSize {
        /// The tensor.
        name: String,
        /// Bytes it has.
        declared: u64,
        /// Bytes its shape needs.
        needed: u64,
    },
    /// A shape whose size no machine can hold.
    #[error("tensor \"{name}\" has a shape of absurd size: damaged header")]
    TensorOverflow {
        /// The tensor.
        name: String,
    },
    /// An element type narrower than a byte.
    #[error("tensor \"{name}\" has elements of part of a byte, which pdnn does not use")]
    TensorBits {
        /// The tensor.
        name: String,
    },
    /// A name used twice, or reserved.
    #[error("tensor name \"{name}\" is used twice or reserved")]
    TensorName {
        /// The name.
        name: String,
    },
    /// More than the reader is willing to hold.
    #[error("the header claims {size} bytes, more than the {limit} that are accepted here")]
    TooLarge {
        /// Size that the header claims.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The digest does not belong to these bytes.
    #[error("digest does not match: the file was changed or damaged; fetch or write it again")]
    Digest,
    /// A tensor that must be there is not.
    #[error("there is no tensor \"{name}\": not a complete pdnn file")]
    MissingTensor {
        /// The tensor.
        name: String,
    },
    /// A tensor of another element type or shape than needed.
    #[error("tensor \"{name}\" is {found}, expected {expected}")]
    TensorForm {
        /// The tensor.
        name: String,
        /// Its element type and shape.
        found: String,
        /// What is needed.
        expected: String,
    },
}
