//! Where a client's ciphertexts get their randomisers from.
//!
//! In this order:
//!
//! 1. a [`Stock`](crate::paillier::Stock) that the client was given, such as a
//!    store on disk; an encryptor is made only for what it has not;
//! 2. what is made in the background ([`Ahead`]), where a whole classification
//!    lies ahead: randomisers for all of its queries are drawn with the first,
//!    and made while the server works;
//! 3. fresh ones.

use std::sync::Arc;

use rand::CryptoRng;

use crate::paillier::{
    Ahead, OwnerEncryptor, PublicEncryptor, PublicKey, Randomise, Randomisers, Seeds,
};

use super::ClientKeys;

/// Makes randomisers with whichever key the client has.
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

/// An encryptor, and what it makes in the background.
pub(super) struct Encryptor {
    /// For how many encryptions the tables were made.
    pub(super) uses: usize,
    ahead: Ahead<By>,
}

impl Encryptor {
    /// For about `uses` encryptions; tables are read whole for every look-up if
    /// it `scans`.
    pub(super) fn new(keys: &ClientKeys, uses: usize, scans: bool) -> Encryptor {
        let by = match keys {
            ClientKeys::Public(key) => By::Public(PublicEncryptor::new(key, uses).scanning(scans)),
            ClientKeys::Owner(key) => {
                By::Owner(OwnerEncryptor::new(key, uses).scanning(scans).into())
            }
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

    /// Randomisers, from the background as far as they are there.
    pub(super) fn randomisers(&self, count: usize, rng: &mut impl CryptoRng) -> Randomisers {
        self.ahead.randomisers(count, rng)
    }
}
