//! Shares and masks: arithmetic modulo a power of two, and the books that say
//! which mask has been used.
//!
//! | file | holds |
//! |---|---|
//! | [`ring`] | the ring Z_{2^L} of a layer, and how a range of integers lies in it |
//! | [`bits`] | rows of ring elements, L bits each |
//! | [`expand`] | ring elements from a seed, at any place of it |
//! | [`linear`] | a linear layer modulo 2^L, many inputs at a time |
//! | [`ledger`] | marks on disk: what was used once is not used again |

pub mod bits;
pub mod expand;
pub mod ledger;
pub mod linear;
pub mod ring;

pub use ring::Ring;
