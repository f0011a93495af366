//! What can be wrong with terms, numbers and messages of scalar products.

use crate::{
    file::{atomic::WriteError, input::InputError},
    network::NetworkError,
    protocol::masked::MaskedError,
};

/// Why a scalar product was not computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DotError {
    /// Terms that are no JSON of ours.
    #[error(
        "these are no terms of a scalar product ({0}); expected what `pdnn dot prepare` writes"
    )]
    Terms(String),
    /// Numbers that would not fit the ring or its slots.
    #[error(
        "vectors of {length} numbers of {client} and {server} bits need {what}; give fewer bits \
         with --bits or --client-bits"
    )]
    TooWide {
        /// Numbers of a vector.
        length: usize,
        /// Bits of the client's numbers.
        client: u32,
        /// Bits of the server's numbers.
        server: u32,
        /// What they would need.
        what: String,
    },
    /// A vector of another length.
    #[error("vectors of {found} numbers, the terms are for {expected}")]
    Length {
        /// As the terms say.
        expected: usize,
        /// As found.
        found: usize,
    },
    /// Another number of server's vectors.
    #[error("{found} vectors, the terms are for {expected}")]
    Vectors {
        /// As the terms say.
        expected: usize,
        /// As found.
        found: usize,
    },
    /// A number that does not fit, whatever the scale.
    #[error("number {index} of vector {vector} is too large for {bits} bits{hint}")]
    TooLarge {
        /// Which vector, from 1.
        vector: usize,
        /// Which number of it, from 1.
        index: usize,
        /// Bits that there are.
        bits: u32,
        /// What to do.
        hint: &'static str,
    },
    /// The server's numbers are not those that the terms were made for.
    #[error(
        "these are not the numbers that the store was prepared for; use the same file and terms, \
         or prepare anew"
    )]
    OtherNumbers,
    /// The client's scale for a reply is not in the store.
    #[error("the store does not know the scale of this reply's query; open it where it was masked")]
    NoScale,
    /// Something in the masked protocol.
    #[error(transparent)]
    Masked(#[from] MaskedError),
    /// The layer that stands for the product.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file of the store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of the store could not be read.
    #[error(transparent)]
    Read(#[from] InputError),
}
