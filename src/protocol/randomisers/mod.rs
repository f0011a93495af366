//! Randomisers drawn before there is anything to encrypt, kept on disk, and
//! each given out once.
//!
//! Nearly all of an encryption is its randomiser ρ, an n-th power that does not
//! depend on the plaintext: c = (1 + x·n)·ρ. So ρ can be drawn when the machine
//! has nothing else to do. A store keeps such randomisers under three rules:
//!
//! * *Once.* Two ciphertexts of one ρ show the difference of their plaintexts:
//!   c/c′ = 1 + (x − x′)·n. So a randomiser is marked used in a
//!   [`Ledger`](crate::mpc::ledger::Ledger), and the mark is on the disk, before
//!   it leaves the store, under a lock that the system releases however its
//!   holder ends. Whatever moment a process is killed at, and whatever others
//!   do: a randomiser is given out once or, if its taker was killed, never.
//! * *Secret.* Whoever has ρ reads x. The folder and its files are for their
//!   owner only, and what is read of them is wiped from memory.
//! * *Of one key*, and of one way to draw: randomisers of a subgroup key are not
//!   those of another key with the same n.
//!
//! A store is a folder. Randomisers come in batches of at most 4,096, each two
//! files: `ID.randomisers` and the ledger `ID.used`. A batch enters ledger
//! first; without its ledger it counts as used up.
//!
//! What was given out is overwritten with zeros, and a batch that is used up is
//! deleted, so that a store that is found later does not open old ciphertexts.
//! That holds as far as the disk overwrites in place: flash memory, snapshots,
//! copying file systems and backups may keep the old bytes.
//!
//! Do not copy or restore a store: an old copy does not know what was given out
//! since, and nothing on the same disk can tell.

mod batch;
mod error;
mod store;
#[cfg(test)]
mod tests;

pub use batch::Origin;
pub use error::StoreError;
pub use store::{Contents, Store};
