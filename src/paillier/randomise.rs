//! Who makes randomisers, and who keeps them until they are used.
//!
//! Making one takes two steps, so that the
//! second may run at any time on any thread, without a generator:
//!
//! ```text
//! draw   seeds from a random generator, all in one call
//! raise  exponentiations: the n-th powers that the seeds stand for
//! ```

use std::{error::Error, fmt};

use rand::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::{PublicKey, Randomisers};

/// Makes randomisers under one key: an encryptor, or a server's re-randomiser.
pub trait Randomise: Send + Sync {
    /// The key.
    fn public(&self) -> &PublicKey;

    /// The random part of `count` randomisers.
    fn draw(&self, count: usize, rng: &mut impl CryptoRng) -> Seeds;

    /// The randomisers that seeds drawn by this maker stand for. Up to
    /// [`Randomise::at_once`] of them are made on the calling thread, without
    /// waiting for any other.
    fn raise(&self, seeds: Seeds) -> Randomisers;

    /// How many randomisers are best made at once by one thread.
    fn at_once(&self) -> usize {
        self.public().ring().lanes()
    }

    /// Fresh randomisers, on every core.
    fn randomisers(&self, count: usize, rng: &mut impl CryptoRng) -> Randomisers {
        let parts = self.draw(count, rng).split(self.at_once());
        let parts: Vec<Randomisers> = parts.into_par_iter().map(|part| self.raise(part)).collect();
        Randomisers::concat(self.public(), parts)
    }
}

/// Randomisers that were made before they are needed.
///
/// A client of the exchange that has a stock takes from it first, and makes
/// itself what the stock has not. Another place to keep randomisers is another
/// `impl` of this trait.
pub trait Stock: Send + Sync {
    /// Takes at most `most` randomisers under `key` out of the stock; none if
    /// it has none for that key. What is taken has left it for good when this
    /// returns: it is not given out again, not even after a crash.
    ///
    /// # Errors
    ///
    /// A stock that cannot be read, or from which nothing can be removed.
    fn take(
        &self,
        key: &PublicKey,
        most: usize,
    ) -> Result<Randomisers, Box<dyn Error + Send + Sync>>;
}

/// What randomisers follow from: uniform rows, wiped when dropped, absent from
/// `Debug`.
pub struct Seeds {
    pub(super) rows: Zeroizing<Vec<u64>>,
    /// Limbs of a row.
    pub(super) width: usize,
}

impl Seeds {
    /// How many randomisers follow.
    pub fn len(&self) -> usize {
        self.rows.len() / self.width
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The same seeds, at most `most` in each part.
    pub fn split(self, most: usize) -> Vec<Seeds> {
        self.rows
            .chunks(most * self.width)
            .map(|rows| Seeds {
                rows: Zeroizing::new(rows.to_vec()),
                width: self.width,
            })
            .collect()
    }
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seeds({})", self.len())
    }
}
