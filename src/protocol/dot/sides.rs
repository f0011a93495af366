//! What each side does, over the masked protocol with one layer.

use std::path::{Path, PathBuf};

use rand::CryptoRng;
use sha2::{Digest, Sha256};

use super::{DotError, Fixed, Scale, Terms};
use crate::{
    file::{
        atomic::{Mode, Overwrite, write_atomic},
        container::hex,
        input,
    },
    network::Weights,
    paillier::{Fingerprint, SecretKey},
    protocol::masked::{self, Client, Preparation, Progress, Query, Reply, Request, Step},
};

/// Longest small file of a store.
const MAX_SMALL: u64 = 4096;

/// A server with its numbers.
pub struct Server {
    inner: masked::Server,
}

impl Server {
    /// A server of `numbers` under `terms`, with the store in `folder`; with
    /// `create` it is made if it is not there.
    ///
    /// The store remembers a digest of the numbers it was prepared for: with
    /// others, what was prepared would give results without sense.
    ///
    /// # Errors
    ///
    /// Numbers that the terms are not for, or the store; a store that cannot be
    /// read or made.
    pub fn new(
        terms: &Terms,
        numbers: &Fixed,
        folder: &Path,
        create: bool,
    ) -> Result<Server, DotError> {
        if numbers.vectors.len() != terms.vectors {
            return Err(DotError::Vectors {
                expected: terms.vectors,
                found: numbers.vectors.len(),
            });
        }
        expect_length(terms, numbers)?;
        if numbers.scale != terms.server_scale || numbers.bits() > terms.server_bits {
            return Err(DotError::OtherNumbers);
        }
        // Below 2^31, as the terms say.
        let integers = numbers.vectors.iter().flatten();
        let weights: Vec<i32> = integers.map(|&v| i32::try_from(v).unwrap_or(0)).collect();
        let mut hasher = Sha256::new();
        hasher.update(terms.to_json());
        weights.iter().for_each(|w| hasher.update(w.to_le_bytes()));
        let digest = hex(&hasher.finalize());
        let layer = Weights {
            weights,
            bias: vec![0; terms.vectors],
        };
        let inner = masked::Server::of(terms.profile()?, vec![layer], folder, create)?;
        let path = folder.join(format!("{}.numbers", terms.id()));
        if path.exists() {
            let known = input::read_all(&path, MAX_SMALL)?;
            if known != digest.as_bytes() {
                return Err(DotError::OtherNumbers);
            }
        } else {
            write_atomic(&path, digest.as_bytes(), Overwrite::Never, Mode::Private)?;
        }
        Ok(Server { inner })
    }

    /// Answers a request of the preparation.
    ///
    /// # Errors
    ///
    /// As [`masked::Server::prepare`].
    pub fn prepare(
        &self,
        request: &Request,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<masked::Answer, DotError> {
        Ok(self.inner.prepare(request, rng, progress)?.answer)
    }

    /// Answers masked vectors: v = W z − s. Their places are marked used first.
    ///
    /// # Errors
    ///
    /// As [`masked::Server::answer`].
    pub fn answer(&self, query: &Query) -> Result<Reply, DotError> {
        Ok(self.inner.answer(query)?)
    }
}

fn expect_length(terms: &Terms, numbers: &Fixed) -> Result<(), DotError> {
    match numbers.vectors.iter().find(|v| v.len() != terms.length) {
        Some(vector) => Err(DotError::Length {
            expected: terms.length,
            found: vector.len(),
        }),
        None => Ok(()),
    }
}

/// The client's part of a preparation.
///
/// # Errors
///
/// A key without room for a slot; a store that cannot be made.
pub fn preparation(terms: &Terms, key: SecretKey, store: &Path) -> Result<Preparation, DotError> {
    Ok(Preparation::new(terms.profile()?, key, store, 0)?)
}

/// The client's online part: masks its vectors, opens what comes back.
///
/// # Errors
///
/// If there is no such store.
pub fn client(terms: &Terms, key: Fingerprint, store: &Path) -> Result<Client, DotError> {
    Ok(Client::new(terms.profile()?, key, store)?)
}

/// Masks the client's vectors. Their masks are marked used first, and the store
/// remembers the scale until the reply is opened: it may say something about
/// the numbers, so it is not in the query.
///
/// # Errors
///
/// Vectors that the terms are not for; a store with too few masks.
pub fn mask(
    terms: &Terms,
    client: &Client,
    numbers: &Fixed,
    store: &Path,
    rng: &mut impl CryptoRng,
) -> Result<Query, DotError> {
    expect_length(terms, numbers)?;
    let query = client.query(&numbers.vectors, rng)?;
    let json = serde_json::to_string(&numbers.scale).expect("plain data");
    let path = scale_path(store, query.header().query_id);
    write_atomic(&path, json.as_bytes(), Overwrite::Never, Mode::Private)?;
    Ok(query)
}

/// Opens a reply: a row of m integers for each of the client's vectors, and the
/// scale of these vectors.
///
/// # Errors
///
/// As [`Client::open`]; a store that did not mask the query.
pub fn open(
    client: &Client,
    reply: &Reply,
    store: &Path,
) -> Result<(Vec<Vec<i64>>, Scale), DotError> {
    let path = scale_path(store, reply.header().query_id);
    let bytes = match path.is_file() {
        true => input::read_all(&path, MAX_SMALL)?,
        false => return Err(DotError::NoScale),
    };
    let scale: Scale = serde_json::from_slice(&bytes).map_err(|_| DotError::NoScale)?;
    match client.receive(reply)? {
        Step::Done(products) => Ok((products, scale)),
        // There is one layer.
        Step::Next(_) => Err(DotError::NoScale),
    }
}

fn scale_path(store: &Path, query: impl std::fmt::Display) -> PathBuf {
    store.join(format!("{query}.scale"))
}
