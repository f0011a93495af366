//! The secure scalar product by itself (after Tran et al., RIVF 2021, whose
//! messages are not public; these are our own).
//!
//! A client has vectors x of k real numbers, a server vectors w of as many. The
//! client learns x·w for every pair, and neither sees the other's vectors. In
//! matrices: the client, with n vectors as the rows of A, learns A·Bᵀ, where
//! the rows of B are the server's m vectors.
//!
//! ```text
//!   server → client   terms: k, m, bits of either side's numbers, scale of w
//!   client → server   request: [[r]], for vectors that need not exist yet
//!   server → client   answer: [[W r + s′]]
//!   ---- from here on nothing but arithmetic modulo 2^L ----
//!   client → server   z = x − r
//!   server → client   v = W z − s         client: v + u = W x
//! ```
//!
//! This is one linear layer of the [masked](super::masked) protocol, without
//! bias and with nothing behind it, and its messages, its store and its
//! guarantees are that protocol's: masks are used once, marked on disk before
//! they are used; see there for what each side learns. Besides, the terms tell
//! anyone who sees them k, m and how many bits the numbers have.
//!
//! *Exactness.* Either side turns its real numbers into integers by a [`Scale`]
//! of its own; that is the only place where anything is rounded, and
//! [`Fixed::exact`] says whether anything was. The integers' products are
//! exact: with |x| < 2^a and |w| < 2^b their sum over k is below k·2^(a+b), and
//! the ring is wide enough for it ([`Terms`] refuses anything else), so that an
//! overflow is impossible.
//!
//! *What it does not hide.* The client may choose its vectors: k independent
//! ones tell it the whole matrix of the server. A client that deviates needs
//! fewer: the server cannot see what a preparation encrypts, and masks cover
//! slots, not the bits above the last one, so that powers of a radix up there
//! show about (|n| − slot bits) / weight bits numbers of every row in one
//! preparation, with nothing asked online. Whoever must limit what is learned
//! limits preparations.

mod error;
mod fixed;
mod sides;
mod terms;
#[cfg(test)]
mod tests;

pub use error::DotError;
pub use fixed::{Base, Fixed, Real, Scale, exact_text};
pub use sides::{Server, client, mask, open, preparation};
pub use terms::{MAX_BITS, Terms, most_bits};
