//! Where a client's ciphertexts get their randomisers from.
//!
//! In this order:
//!
//! 1. a [`Stock`] that the client was given, such as a store on disk;
//! 2. what is made in the background ([`Ahead`]), where a whole classification
//!    lies ahead: randomisers for all of its queries are drawn with the first,
//!    and made while the server works;
//! 3. fresh ones.

use std::sync::Arc;

use rand::CryptoRng;

use crate::paillier::{
    Ahead, Ciphertexts, Encrypt, OwnerEncryptor, Plaintext, PublicEncryptor, PublicKey, Randomise,
    Randomisers, Seeds, Stock,
};

use super::{ClientKeys, ProtocolError};

/// Encrypts with whichever key the client has.
enum By {
    Public(PublicEncryptor),
    Owner(Box<OwnerEncryptor>),
}

impl Randomise for By {
    fn public(&self) -> &PublicKey {
        match self {
            By::Public(encryptor) => encryptor.public(),
            By::Owner(encryptor) => encryptor.public(),
        }
    }

    fn draw(&self, count: usize, rng: &mut impl CryptoRng) -> Seeds {
        match self {
            By::Public(encryptor) => encryptor.draw(count, rng),
            By::Owner(encryptor) => encryptor.draw(count, rng),
        }
    }

    fn raise(&self, seeds: Seeds) -> Randomisers {
        match self {
            By::Public(encryptor) => encryptor.raise(seeds),
            By::Owner(encryptor) => encryptor.raise(seeds),
        }
    }
}

impl Encrypt for By {}

/// An encryptor, and what it makes in the background.
pub(super) struct Encryptor {
    /// For how many encryptions the tables were made.
    pub(super) uses: usize,
    ahead: Ahead<By>,
}

impl Encryptor {
    pub(super) fn new(keys: &ClientKeys, uses: usize) -> Encryptor {
        let by = match keys {
            ClientKeys::Public(key) => By::Public(PublicEncryptor::new(key, uses)),
            ClientKeys::Owner(key) => By::Owner(Box::new(OwnerEncryptor::new(key, uses))),
        };
        Encryptor {
            uses,
            ahead: Ahead::new(Arc::new(by)),
        }
    }

    /// Has randomisers made in the background, so that `count` are there or
    /// under way.
    pub(super) fn prepare(&self, count: usize, rng: &mut impl CryptoRng) {
        self.ahead.prepare(count, rng);
    }

    /// Encrypts, with randomisers from `stock` as far as they go.
    pub(super) fn encrypt(
        &self,
        plaintexts: &[Plaintext],
        stock: Option<&dyn Stock>,
        rng: &mut impl CryptoRng,
    ) -> Result<Ciphertexts, ProtocolError> {
        let by = self.ahead.maker();
        let mut randomisers = match stock {
            Some(stock) => stock
                .take(by.public(), plaintexts.len())
                .map_err(|error| ProtocolError::Stock(error.to_string()))?,
            None => Randomisers::empty(by.public()),
        };
        let missing = plaintexts.len() - randomisers.len();
        randomisers.append(self.ahead.randomisers(missing, rng));
        Ok(by.encrypt_with(plaintexts, randomisers))
    }
}
