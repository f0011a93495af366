//! What can go wrong in arithmetic.

use thiserror::Error;

/// Errors of the arithmetic room.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BignumError {
    /// The modulus is even: Montgomery form needs an odd one.
    #[error("the modulus is even, but must be odd")]
    EvenModulus,
    /// The modulus is 0 or 1.
    #[error("the modulus is 0 or 1, but must be at least 3")]
    TinyModulus,
    /// An element shares a factor with the modulus.
    #[error("element {0} has no inverse: it shares a factor with the modulus")]
    NotUnit(usize),
    /// `PDNN_KERNEL` names no kernel.
    #[error(
        "PDNN_KERNEL is {0:?}, but must be \"portable\" or \"ifma\"; unset it to let the program choose"
    )]
    UnknownKernel(String),
    /// The kernel asked for cannot run here.
    #[error(
        "the {0} kernel is not available on this machine; unset PDNN_KERNEL or set it to \"portable\""
    )]
    KernelUnavailable(&'static str),
    /// A program reads an element that does not exist (yet).
    #[error("the program reads element {index}, but only {available} exist at that stage")]
    BadIndex {
        /// The index that was read.
        index: u32,
        /// Elements of the arena before the stage.
        available: u32,
    },
    /// Weights of a weighted row are zero or not in descending order.
    #[error("weights of a weighted row must be positive and in descending order (row {0})")]
    BadWeights(usize),
    /// The program's arena would not fit 32-bit indices.
    #[error("the program has more than 2^32 - 2 elements; split it")]
    ProgramTooLong,
    /// A program was given the wrong number of inputs.
    #[error("the program takes {expected} inputs, but was given {found}")]
    WrongInputs {
        /// Inputs of the program.
        expected: usize,
        /// Elements given.
        found: usize,
    },
}
