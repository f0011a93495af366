//! Arithmetic modulo n and n², batch first.
//!
//! [`Ring`] is Z/m² for an odd m; [`Elements`] a vector of its residues, in
//! n-adic Montgomery form (see `kernel`). [`Comb`] raises a fixed base to many
//! powers, and a [`Program`] is a list of products compiled from a layer's
//! weights. Everything takes vectors, because a vector kernel works on eight
//! residues at a time and threads on many eights; one residue is a vector of
//! one.
//!
//! Integers are little-endian 64-bit limbs. Only `kernel` knows how a residue
//! is laid out, and only `kernel` may contain `unsafe` code.

#![deny(unsafe_code)]

mod comb;
mod core;
mod elements;
mod error;
mod euclid;
mod invert;
#[allow(unsafe_code)]
mod kernel;
mod memory;
mod power;
mod program;
mod ring;
mod run;
mod steps;
#[cfg(test)]
mod tests;

pub use comb::Comb;
pub use elements::Elements;
pub use error::BignumError;
pub use kernel::KernelKind;
pub use program::{Counts, Csr, ONE, Program, Stage};
pub use ring::Ring;
