//! Vectors of ciphertexts.

use std::{fmt, ops::Range};

use num_bigint::BigUint;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::{PaillierError, Plaintext, Program, PublicKey, limbs};
use crate::bignum::Elements;

/// Rows of which a range check is worth waking another thread for.
const ROWS_AT_ONCE: usize = 128;

/// Ciphertexts under one key: units modulo n², in the arithmetic's own form.
#[derive(Clone)]
pub struct Ciphertexts {
    key: PublicKey,
    elements: Elements,
}

impl Ciphertexts {
    pub(super) fn from_elements(key: &PublicKey, elements: Elements) -> Ciphertexts {
        Ciphertexts {
            key: key.clone(),
            elements,
        }
    }

    pub(super) fn elements(&self) -> &Elements {
        &self.elements
    }

    /// No ciphertexts under `key`.
    pub fn empty(key: &PublicKey) -> Ciphertexts {
        Ciphertexts::from_elements(key, key.ring().one(0))
    }

    /// The key that they were made under.
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

    /// Bytes of one ciphertext under `key`: enough for any number below n².
    pub fn width(key: &PublicKey) -> usize {
        (2 * key.bits() as usize).div_ceil(8)
    }

    /// All ciphertexts as rows of [`Ciphertexts::width`] bytes, big-endian,
    /// canonical.
    pub fn to_bytes(&self) -> Vec<u8> {
        bytes_of(&self.key, &self.key.ring().leave(&self.elements))
    }

    /// Reads rows of [`Ciphertexts::width`] bytes.
    ///
    /// # Errors
    ///
    /// Bytes that are no whole number of rows; the first row, from 0, that is
    /// 0, not below n², or shares a factor with n.
    pub fn from_bytes(key: &PublicKey, bytes: &[u8]) -> Result<Ciphertexts, PaillierError> {
        let width = Ciphertexts::width(key);
        if !bytes.len().is_multiple_of(width) {
            return Err(PaillierError::CiphertextBytes {
                expected: width,
                found: bytes.len(),
            });
        }
        let row_limbs = 2 * key.ring().limbs();
        let mut rows = vec![0; bytes.len() / width * row_limbs];
        bytes
            .par_chunks_exact(width)
            .zip(rows.par_chunks_exact_mut(row_limbs))
            .with_min_len(ROWS_AT_ONCE)
            .for_each(|(bytes, row)| limbs::read_be(bytes, row));
        Ciphertexts::from_rows(key, &rows)
    }

    /// Ciphertexts from integers, for exchange with other programs.
    ///
    /// # Errors
    ///
    /// The first, from 0, that is 0, not below n², or shares a factor with n.
    pub fn from_integers(
        key: &PublicKey,
        integers: &[BigUint],
    ) -> Result<Ciphertexts, PaillierError> {
        let row_limbs = 2 * key.ring().limbs();
        let mut rows = Vec::with_capacity(integers.len() * row_limbs);
        for (at, integer) in integers.iter().enumerate() {
            if integer.bits() > 64 * row_limbs as u64 {
                return Err(PaillierError::CiphertextRange(at));
            }
            rows.extend(limbs::from_biguint(integer, row_limbs));
        }
        Ciphertexts::from_rows(key, &rows)
    }

    /// The ciphertexts as integers below n².
    pub fn to_integers(&self) -> Vec<BigUint> {
        let ring = self.key.ring();
        let rows = ring.leave(&self.elements);
        let rows = rows.chunks_exact(2 * ring.limbs());
        rows.map(limbs::to_biguint).collect()
    }

    fn from_rows(key: &PublicKey, rows: &[u64]) -> Result<Ciphertexts, PaillierError> {
        let ring = key.ring();
        let row_limbs = 2 * ring.limbs();
        let square = limbs::from_biguint(&(key.n() * key.n()), row_limbs);
        let refused = |(at, row): (usize, &[u64])| {
            if limbs::is_zero(row) {
                return Some(PaillierError::CiphertextZero(at));
            }
            (limbs::less(row, &square) == 0).then_some(PaillierError::CiphertextRange(at))
        };
        let all = rows.par_chunks_exact(row_limbs).enumerate();
        if let Some(error) = all.with_min_len(ROWS_AT_ONCE).find_map_first(refused) {
            return Err(error);
        }
        let elements = ring.enter(rows, row_limbs);
        ring.all_units(&elements)
            .map_err(PaillierError::CiphertextNotUnit)?;
        Ok(Ciphertexts::from_elements(key, elements))
    }

    /// A copy of the ciphertexts `range`.
    ///
    /// # Panics
    ///
    /// If the range does not lie within `0..len()`.
    pub fn slice(&self, range: Range<usize>) -> Ciphertexts {
        Ciphertexts::from_elements(&self.key, self.elements.slice(range))
    }

    /// The ciphertexts at `indices`, in that order; an index may repeat.
    ///
    /// # Panics
    ///
    /// If an index is not below `len()`.
    pub fn gather(&self, indices: &[usize]) -> Ciphertexts {
        Ciphertexts::from_elements(&self.key, self.elements.gather(indices))
    }

    /// Appends the ciphertexts of `other`.
    ///
    /// # Panics
    ///
    /// If they belong to another key.
    pub fn extend(&mut self, other: &Ciphertexts) {
        self.same_key(other);
        self.elements.extend(&other.elements);
    }

    /// The parts one after the other; `None` if there are no parts.
    ///
    /// # Panics
    ///
    /// If they belong to different keys.
    pub fn concat(parts: &[Ciphertexts]) -> Option<Ciphertexts> {
        let (first, rest) = parts.split_first()?;
        let mut all = first.clone();
        rest.iter().for_each(|part| all.extend(part));
        Some(all)
    }

    /// Ciphertexts of the sums, one by one. Their randomness is the product of
    /// the operands': see [`Rerandomiser`](super::Rerandomiser) before sending
    /// them anywhere.
    ///
    /// # Panics
    ///
    /// If the lengths differ or they belong to different keys.
    pub fn add(&self, other: &Ciphertexts) -> Ciphertexts {
        self.same_key(other);
        assert_eq!(self.len(), other.len(), "sums of different lengths");
        let sums = self.key.ring().mul(&self.elements, &other.elements);
        Ciphertexts::from_elements(&self.key, sums)
    }

    /// Ciphertexts of the sums with plaintexts, one by one: c·(1 + x·n). The
    /// randomness stays what it was.
    ///
    /// # Panics
    ///
    /// If the lengths differ or a plaintext does not fit the key.
    pub fn add_plain(&self, plaintexts: &[Plaintext]) -> Ciphertexts {
        Ciphertexts::from_elements(&self.key, add_plain(&self.key, &self.elements, plaintexts))
    }

    /// Evaluates a program of products. The randomness of the results is a
    /// product of the inputs': see [`Rerandomiser`](super::Rerandomiser).
    ///
    /// # Errors
    ///
    /// A wrong number of inputs.
    pub fn run(&self, program: &Program) -> Result<Ciphertexts, PaillierError> {
        let results = self.key.ring().run(program, &self.elements)?;
        Ok(Ciphertexts::from_elements(&self.key, results))
    }

    fn same_key(&self, other: &Ciphertexts) {
        assert!(
            self.key.n() == other.key.n(),
            "ciphertexts of different keys"
        );
    }
}

/// Rows of limbs as rows of [`Ciphertexts::width`] bytes.
pub(super) fn bytes_of(key: &PublicKey, rows: &[u64]) -> Vec<u8> {
    let (width, limbs) = (Ciphertexts::width(key), 2 * key.ring().limbs());
    let mut bytes = vec![0; rows.len() / limbs * width];
    limbs::write_rows_be(rows, limbs, &mut bytes, width);
    bytes
}

/// ρ·(1 + x·n), one by one.
pub(super) fn add_plain(key: &PublicKey, rho: &Elements, plaintexts: &[Plaintext]) -> Elements {
    assert_eq!(rho.len(), plaintexts.len(), "a plaintext a ciphertext");
    key.ring().mul_one_plus(rho, &residues(key, plaintexts))
}

/// Plaintexts as residues modulo n.
pub(super) fn residues(key: &PublicKey, plaintexts: &[Plaintext]) -> Zeroizing<Vec<u64>> {
    let n = key.limbs();
    let mut residues = Zeroizing::new(vec![0; plaintexts.len() * n.len()]);
    plaintexts
        .par_iter()
        .zip(residues.par_chunks_exact_mut(n.len()))
        .with_min_len(ROWS_AT_ONCE)
        .for_each(|(plaintext, row)| plaintext.write_residue(n, row));
    residues
}

/// How many, and the key.
impl fmt::Debug for Ciphertexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ciphertexts")
            .field("len", &self.len())
            .field("key", &self.key.fingerprint())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::{Encrypt, PublicEncryptor, SecretKey};
    use num_bigint::BigInt;
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    fn setup() -> (SecretKey, Ciphertexts, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(21);
        let key = SecretKey::generate_insecure(192, &mut rng).expect("an even size");
        let plain: Vec<Plaintext> = (-3..4).map(Plaintext::from).collect();
        let c = PublicEncryptor::new(key.public(), 7).encrypt(&plain, &mut rng);
        (key, c, rng)
    }

    fn values(key: &SecretKey, c: &Ciphertexts) -> Vec<i64> {
        key.decrypt(c)
            .iter()
            .map(|p| p.to_i64().expect("a small number"))
            .collect()
    }

    #[test]
    fn bytes_and_integers_round_trip() {
        let (key, c, _) = setup();
        let public = key.public();
        let bytes = c.to_bytes();
        assert_eq!(bytes.len(), 7 * 48);
        let back = Ciphertexts::from_bytes(public, &bytes).expect("valid");
        assert_eq!(values(&key, &back), values(&key, &c));
        let integers = c.to_integers();
        assert_eq!(integers[3], BigUint::from_bytes_be(&bytes[3 * 48..4 * 48]));
        let back = Ciphertexts::from_integers(public, &integers).expect("valid");
        assert_eq!(back.to_bytes(), bytes);
        assert!(
            Ciphertexts::from_bytes(public, &[])
                .expect("valid")
                .is_empty()
        );
    }

    /// The third of five ciphertexts replaced by `value`.
    fn replaced(value: &BigUint) -> Result<Ciphertexts, PaillierError> {
        let (key, c, _) = setup();
        let mut bytes = c.slice(0..5).to_bytes();
        let row = value.to_bytes_be();
        bytes[2 * 48..3 * 48].fill(0);
        bytes[3 * 48 - row.len()..3 * 48].copy_from_slice(&row);
        let found = Ciphertexts::from_bytes(key.public(), &bytes);
        let mut integers = c.slice(0..5).to_integers();
        integers[2] = value.clone();
        let same = Ciphertexts::from_integers(key.public(), &integers);
        assert_eq!(found.as_ref().err(), same.as_ref().err());
        found
    }

    fn n() -> BigUint {
        setup().0.public().n().clone()
    }

    #[test]
    fn a_ciphertext_of_0_is_refused() {
        let found = replaced(&BigUint::default()).err();
        assert_eq!(found, Some(PaillierError::CiphertextZero(2)));
    }

    #[test]
    fn a_ciphertext_not_below_n_squared_is_refused() {
        for value in [
            n() * n(),
            n() * n() + 1u32,
            (BigUint::from(1u32) << 384) - 1u32,
        ] {
            let found = replaced(&value).err();
            assert_eq!(found, Some(PaillierError::CiphertextRange(2)));
        }
        assert!(replaced(&(n() * n() - 1u32)).is_ok());
    }

    #[test]
    fn an_integer_wider_than_a_ciphertext_is_refused() {
        let (key, ..) = setup();
        let wide = BigUint::from(1u32) << 5000;
        assert_eq!(
            Ciphertexts::from_integers(key.public(), &[wide]).err(),
            Some(PaillierError::CiphertextRange(0))
        );
    }

    #[test]
    fn a_ciphertext_not_coprime_to_n_is_refused() {
        let (key, ..) = setup();
        let [p, q] = key.primes().map(|bytes| BigUint::from_bytes_be(&bytes));
        for value in [&p * 5u32, &q * &q, &p * &q, &p * &p * &q] {
            let found = replaced(&value).err();
            assert_eq!(found, Some(PaillierError::CiphertextNotUnit(2)));
        }
    }

    #[test]
    fn a_row_that_is_cut_off_is_refused() {
        let (key, c, _) = setup();
        let bytes = c.to_bytes();
        assert_eq!(
            Ciphertexts::from_bytes(key.public(), &bytes[..bytes.len() - 1]).err(),
            Some(PaillierError::CiphertextBytes {
                expected: 48,
                found: 7 * 48 - 1
            })
        );
    }

    #[test]
    fn sums_are_sums() {
        let (key, c, _) = setup();
        assert_eq!(values(&key, &c), [-3, -2, -1, 0, 1, 2, 3]);
        let reversed = c.gather(&[6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(values(&key, &c.add(&reversed)), [0; 7]);
        assert_eq!(values(&key, &c.add(&c)), [-6, -4, -2, 0, 2, 4, 6]);
        let tens: Vec<Plaintext> = (1..8).map(|v| Plaintext::from(10 * v)).collect();
        assert_eq!(
            values(&key, &c.add_plain(&tens)),
            [7, 18, 29, 40, 51, 62, 73]
        );
        let both = Ciphertexts::concat(&[c.slice(0..2), reversed.slice(5..7)]).expect("two parts");
        assert_eq!(values(&key, &both), [-3, -2, -2, -3]);
        assert!(Ciphertexts::empty(key.public()).add_plain(&[]).is_empty());
    }

    #[test]
    fn sums_wrap_modulo_n_at_half_of_it() {
        let (key, c, _) = setup();
        let half = BigInt::from(key.public().n() / 2u32);
        let wrapped = c.slice(5..6).add_plain(&[Plaintext::from_signed(&half)]);
        let n = BigInt::from(key.public().n().clone());
        assert_eq!(key.decrypt(&wrapped)[0].to_signed(), half + 2 - n);
    }
}
