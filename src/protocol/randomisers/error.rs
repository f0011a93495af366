//! Why a store of randomisers cannot be used. No text holds a randomiser.

use std::io;

use crate::{file::atomic::WriteError, mpc::ledger::LedgerError, paillier::Scheme};

/// Why a store of randomisers cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such folder.
    #[error("{store}: there is no such store; make one with `pdnn precompute`")]
    Missing {
        /// The folder.
        store: String,
    },
    /// It cannot be made where there is no folder.
    #[error("{store}: its folder does not exist; create it first")]
    NoParent {
        /// The store's folder.
        store: String,
    },
    /// The folder holds something else, or the name is a file's.
    #[error(
        "{store}: is no store of randomisers; name a folder that `pdnn precompute` made, or a new \
         one for it to make"
    )]
    NoStore {
        /// The folder.
        store: String,
    },
    /// Randomisers of another key.
    #[error(
        "{store}: its randomisers are for key {found}, not for {expected}; name that key's store, \
         or make one with `pdnn precompute`"
    )]
    OtherKey {
        /// The folder.
        store: String,
        /// First digits of the key's fingerprint that it is for.
        found: String,
        /// First digits of the fingerprint of the key at hand.
        expected: String,
    },
    /// The same n, but randomisers drawn from something else.
    #[error(
        "{store}: its randomisers are for a {} key of this n, this key is {}, or has another h; \
         make a store for this key with `pdnn precompute`", .found.name(), .expected.name()
    )]
    OtherScheme {
        /// The folder.
        store: String,
        /// The scheme that they were drawn for.
        found: Scheme,
        /// The scheme of the key at hand.
        expected: Scheme,
    },
    /// A format version that this program does not read.
    #[error("{path}: randomisers in format version {found}, this pdnn reads version 1")]
    Version {
        /// The file.
        path: String,
        /// The version.
        found: String,
    },
    /// A file that is not what was written.
    #[error(
        "{path}: is damaged ({what}); nothing was taken. Delete this file to go on without its \
         randomisers"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The marks say no, or cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file or the folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A new batch cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// What is wrong.
        source: WriteError,
    },
}
