//! Randomisers by themselves: drawn before there is anything to encrypt.

use std::fmt;

use zeroize::Zeroizing;

use super::{
    Ciphertexts, PaillierError, Plaintext, PublicKey,
    ciphertexts::{add_plain, bytes_of, residues},
    limbs,
};
use crate::bignum::Elements;

/// n-th powers modulo n² that blind one ciphertext each: wiped when dropped,
/// absent from `Debug`, not cloned.
///
/// Whoever knows a randomiser reads the plaintext of its ciphertext, and two
/// ciphertexts of one randomiser show the difference of their plaintexts
/// (c/c′ = 1 + (x − x′)·n). So [`Randomisers::to_bytes`], which alone gives
/// them away, is for a store that keeps them secret and gives each out once.
pub struct Randomisers {
    key: PublicKey,
    elements: Zeroizing<Elements>,
}

impl Randomisers {
    pub(super) fn new(key: &PublicKey, elements: Zeroizing<Elements>) -> Randomisers {
        Randomisers {
            key: key.clone(),
            elements,
        }
    }

    /// None, under `key`.
    pub fn empty(key: &PublicKey) -> Randomisers {
        Randomisers::new(key, Zeroizing::new(key.ring().one(0)))
    }

    /// The key that they are for.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the first `count` of them out, or all there are.
    pub fn take(&mut self, count: usize) -> Randomisers {
        let (all, count) = (self.len(), count.min(self.len()));
        let taken = Zeroizing::new(self.elements.slice(0..count));
        self.elements = Zeroizing::new(self.elements.slice(count..all));
        Randomisers::new(&self.key, taken)
    }

    /// The same in parts of `most`, the last of which may be shorter.
    pub fn split(self, most: usize) -> Vec<Randomisers> {
        (0..self.len())
            .step_by(most)
            .map(|first| first..(first + most).min(self.len()))
            .map(|part| Randomisers::new(&self.key, Zeroizing::new(self.elements.slice(part))))
            .collect()
    }

    /// Adds those of `other` behind them.
    ///
    /// # Panics
    ///
    /// If they belong to another key.
    pub fn append(&mut self, other: Randomisers) {
        assert!(self.key.n() == other.key.n(), "randomisers of another key");
        if self.is_empty() {
            self.elements = other.elements;
            return;
        }
        // Not in place: growing would leave a copy behind.
        if let Some(both) = Elements::concat(&[&self.elements, &other.elements]) {
            self.elements = Zeroizing::new(both);
        }
    }

    /// All `parts` one after the other.
    ///
    /// # Panics
    ///
    /// If a part does not belong to `key`.
    pub(super) fn concat(key: &PublicKey, parts: Vec<Randomisers>) -> Randomisers {
        let same = parts.iter().all(|part| part.key.n() == key.n());
        assert!(same, "randomisers of another key");
        let elements: Vec<&Elements> = parts.iter().map(|part| &*part.elements).collect();
        match Elements::concat(&elements) {
            Some(elements) => Randomisers::new(key, Zeroizing::new(elements)),
            None => Randomisers::empty(key),
        }
    }

    pub(super) fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Encrypts `plaintexts`, (1 + x·n)·ρ. The randomisers are consumed.
    ///
    /// # Panics
    ///
    /// If there are not as many as plaintexts, or a plaintext does not fit the
    /// key ([`PublicKey::holds`]).
    pub fn encrypt(self, plaintexts: &[Plaintext]) -> Ciphertexts {
        let elements = add_plain(&self.key, &self.elements, plaintexts);
        Ciphertexts::from_elements(&self.key, elements)
    }

    /// What [`Ciphertexts::to_bytes`] gives after [`Randomisers::encrypt`], with
    /// fewer products.
    ///
    /// # Panics
    ///
    /// As [`Randomisers::encrypt`].
    pub fn encrypt_to_bytes(self, plaintexts: &[Plaintext]) -> Vec<u8> {
        assert_eq!(self.len(), plaintexts.len(), "a plaintext a randomiser");
        let residues = residues(&self.key, plaintexts);
        let rows = self.key.ring().leave_one_plus(&self.elements, &residues);
        bytes_of(&self.key, &rows)
    }

    /// All of them as rows of [`Ciphertexts::width`] bytes, big-endian, to be
    /// kept as secret as the plaintexts that they will hide.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (ring, width) = (self.key.ring(), Ciphertexts::width(&self.key));
        let rows = Zeroizing::new(ring.leave(&self.elements));
        let mut bytes = Zeroizing::new(vec![0; self.len() * width]);
        limbs::write_rows_be(&rows, 2 * ring.limbs(), &mut bytes, width);
        bytes
    }

    /// Reads what [`Randomisers::to_bytes`] wrote. That they are n-th powers is
    /// not checked, and can be checked by the owner only: they must come from
    /// whoever may read the plaintexts.
    ///
    /// # Errors
    ///
    /// Bytes that are no whole number of rows; the first row, from 0, that is 0
    /// or not below n².
    pub fn from_bytes(key: &PublicKey, bytes: &[u8]) -> Result<Randomisers, PaillierError> {
        let width = Ciphertexts::width(key);
        if !bytes.len().is_multiple_of(width) {
            return Err(PaillierError::RandomiserBytes {
                expected: width,
                found: bytes.len(),
            });
        }
        let row_limbs = 2 * key.ring().limbs();
        let square = limbs::from_biguint(&(key.n() * key.n()), row_limbs);
        let mut rows = Zeroizing::new(vec![0; bytes.len() / width * row_limbs]);
        for (at, (bytes, row)) in bytes
            .chunks_exact(width)
            .zip(rows.chunks_exact_mut(row_limbs))
            .enumerate()
        {
            limbs::read_be(bytes, row);
            if limbs::is_zero(row) || limbs::less(row, &square) == 0 {
                return Err(PaillierError::RandomiserRange(at));
            }
        }
        let elements = Zeroizing::new(key.ring().enter(&rows, row_limbs));
        Ok(Randomisers::new(key, elements))
    }
}

impl fmt::Debug for Randomisers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Randomisers({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::{OwnerEncryptor, Randomise, SecretKey};
    use num_bigint::BigUint;
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    fn drawn(count: usize) -> (SecretKey, Randomisers) {
        let mut rng = ChaCha20Rng::seed_from_u64(71);
        let key = SecretKey::generate_insecure(192, &mut rng).expect("an even size");
        let drawn = OwnerEncryptor::new(&key, count).randomisers(count, &mut rng);
        (key, drawn)
    }

    fn plain(range: std::ops::Range<i64>) -> Vec<Plaintext> {
        range.map(Plaintext::from).collect()
    }

    #[test]
    fn bytes_round_trip_and_encrypt_by_the_definition() {
        let (key, drawn) = drawn(5);
        let bytes = drawn.to_bytes();
        let rho: Vec<BigUint> = bytes.chunks(48).map(BigUint::from_bytes_be).collect();
        let back = Randomisers::from_bytes(key.public(), &bytes).expect("whole rows");
        let same = Randomisers::from_bytes(key.public(), &bytes).expect("whole rows");
        let c = back.encrypt(&plain(3..8));
        assert_eq!(same.encrypt_to_bytes(&plain(3..8)), c.to_bytes());
        let (n, square) = (key.public().n(), key.public().n() * key.public().n());
        for (i, c) in c.to_integers().iter().enumerate() {
            assert_eq!(*c, (1u32 + (3 + i) * n) * &rho[i] % &square);
        }
        assert!(key.decrypt(&c) == plain(3..8));
    }

    #[test]
    fn taken_apart_and_put_together_they_are_the_same() {
        let (_, mut drawn) = drawn(7);
        let bytes = drawn.to_bytes();
        let mut first = drawn.take(3);
        assert_eq!((first.len(), drawn.len()), (3, 4));
        let rest = drawn.take(100);
        assert_eq!((rest.len(), drawn.is_empty()), (4, true));
        first.append(rest);
        assert_eq!(first.to_bytes(), bytes);
        drawn.append(first);
        assert_eq!(drawn.to_bytes(), bytes);
        assert!(Randomisers::empty(drawn.key()).to_bytes().is_empty());
        let parts = drawn.split(3);
        assert!(parts.iter().map(Randomisers::len).eq([3, 3, 1]));
        let together = parts.iter().flat_map(|part| part.to_bytes().to_vec());
        assert!(together.eq(bytes.iter().copied()));
    }

    /// The second of three rows replaced by `value`.
    fn replaced(value: impl Fn(&PublicKey) -> BigUint) -> Option<PaillierError> {
        let (key, drawn) = drawn(3);
        let mut bytes = drawn.to_bytes();
        let row = value(key.public()).to_bytes_be();
        bytes[48..96].fill(0);
        bytes[96 - row.len()..96].copy_from_slice(&row);
        Randomisers::from_bytes(key.public(), &bytes).err()
    }

    #[test]
    fn a_randomiser_of_0_is_refused() {
        let found = replaced(|_| BigUint::default());
        assert_eq!(found, Some(PaillierError::RandomiserRange(1)));
    }

    #[test]
    fn a_randomiser_not_below_n_squared_is_refused() {
        let found = replaced(|key| key.n() * key.n());
        assert_eq!(found, Some(PaillierError::RandomiserRange(1)));
        assert_eq!(replaced(|key| key.n() * key.n() - 1u32), None);
    }

    #[test]
    fn a_row_that_is_cut_off_is_refused() {
        let (key, drawn) = drawn(2);
        let found = Randomisers::from_bytes(key.public(), &drawn.to_bytes()[..95]).err();
        let expected = PaillierError::RandomiserBytes {
            expected: 48,
            found: 95,
        };
        assert_eq!(found, Some(expected));
    }
}
