//! The secret key.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use super::{
    Ciphertexts, MAX_BITS, PaillierError, Plaintext, PublicKey, Scheme, crt::Crt, generate::Prime,
    limbs, primality, subgroup,
};

/// A secret key: p, q and what follows from them, all wiped when the last clone
/// is dropped and absent from `Debug`.
#[derive(Clone)]
pub struct SecretKey {
    public: PublicKey,
    crt: Arc<Crt>,
}

impl SecretKey {
    /// A key from elsewhere: the public half and the primes as big-endian
    /// bytes. DJN's conditions are not asked for: keys of other programs need
    /// not meet them.
    ///
    /// # Errors
    ///
    /// p·q is not n, p = q, p or q is no prime, or one divides the other minus
    /// 1; a subgroup key, which has more parts
    /// ([`SecretKey::from_subgroup_parts`]).
    pub fn from_parts(public: PublicKey, p: &[u8], q: &[u8]) -> Result<SecretKey, PaillierError> {
        if public.scheme() == Scheme::Subgroup {
            return Err(PaillierError::SubgroupOrdersMissing);
        }
        let (p, q) = checked_primes(&public, p, q)?;
        Ok(SecretKey::trusted(public, Crt::new(p, q, None)?))
    }

    /// A [`Scheme::Subgroup`] key from elsewhere: the public half, the primes,
    /// and of each the order α_p or α_q, as big-endian bytes.
    ///
    /// # Errors
    ///
    /// What [`SecretKey::from_parts`] refuses; α_p or α_q not of half the
    /// scheme's length, no prime, equal, not dividing p − 1 or q − 1; h not of
    /// order 2α_p modulo p and 2α_q modulo q. So the key decrypts what is
    /// encrypted under it, and h is as the scheme says. The cofactors are not
    /// asked to be primes.
    pub fn from_subgroup_parts(
        public: PublicKey,
        [p, q]: [&[u8]; 2],
        orders: [&[u8]; 2],
    ) -> Result<SecretKey, PaillierError> {
        if public.scheme() != Scheme::Subgroup {
            return Err(PaillierError::SubgroupOrdersUnexpected);
        }
        let (p, q) = checked_primes(&public, p, q)?;
        let orders = subgroup::checked_orders(&public, [&p, &q], orders.map(stripped))?;
        let crt = Crt::new(p, q, Some(orders))?;
        subgroup::check_h(&public, &crt)?;
        Ok(SecretKey::trusted(public, crt))
    }

    /// A key from parts that are known to be good.
    pub(super) fn trusted(public: PublicKey, crt: Crt) -> SecretKey {
        let crt = Arc::new(crt);
        SecretKey { public, crt }
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// p and q as minimal big-endian bytes, for a key file.
    pub fn primes(&self) -> [Zeroizing<Vec<u8>>; 2] {
        [&self.crt.p, &self.crt.q].map(|half| big_endian(&half.prime))
    }

    /// α_p and α_q as minimal big-endian bytes, if this is a subgroup key.
    pub fn orders(&self) -> Option<[Zeroizing<Vec<u8>>; 2]> {
        let (p, q) = (self.crt.p.order()?, self.crt.q.order()?);
        Some([p, q].map(big_endian))
    }

    /// Decrypts, by CRT modulo p² and q², in time that depends on the key's
    /// length and the number of ciphertexts only; under a subgroup key also on
    /// how many were blinded by something else than powers of h_s.
    ///
    /// # Panics
    ///
    /// If the ciphertexts belong to another key.
    pub fn decrypt(&self, ciphertexts: &Ciphertexts) -> Vec<Plaintext> {
        assert!(
            ciphertexts.key().n() == self.public.n(),
            "ciphertexts of another key"
        );
        let n = self.public.limbs();
        let rows = self.public.ring().leave(ciphertexts.elements());
        let residues = self.crt.decrypt(&rows, n.len());
        residues
            .chunks_exact(n.len())
            .map(|residue| Plaintext::from_residue(residue, n))
            .collect()
    }

    pub(super) fn crt(&self) -> &Crt {
        &self.crt
    }
}

/// Primes of n, whose conditions are those of [`SecretKey::from_parts`].
fn checked_primes(public: &PublicKey, p: &[u8], q: &[u8]) -> Result<(Prime, Prime), PaillierError> {
    let (p, q) = (secret_limbs(p)?, secret_limbs(q)?);
    if *p == *q {
        return Err(PaillierError::PrimesEqual);
    }
    let mut product = Zeroizing::new(vec![0; p.len() + q.len()]);
    limbs::mul_add(&mut product, &p, &q, &[]);
    if limbs::to_biguint(&product) != *public.n() {
        return Err(PaillierError::ProductMismatch);
    }
    for (name, prime) in [("p", &p), ("q", &q)] {
        if primality::small_factor(prime).is_some() || !primality::is_prime(prime) {
            return Err(PaillierError::NotPrime(name));
        }
    }
    if divides_other_minus_one(&p, &q) || divides_other_minus_one(&q, &p) {
        return Err(PaillierError::PrimesDependent);
    }
    Ok((p, q))
}

/// Minimal big-endian bytes.
fn big_endian(number: &[u64]) -> Zeroizing<Vec<u8>> {
    let bytes = limbs::bits_vartime(number).div_ceil(8) as usize;
    let mut out = Zeroizing::new(vec![0; bytes]);
    limbs::write_be(number, &mut out);
    out
}

/// Big-endian bytes without zeros in front.
fn stripped(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[start..]
}

/// Big-endian bytes as the least number of limbs.
fn secret_limbs(bytes: &[u8]) -> Result<Zeroizing<Vec<u64>>, PaillierError> {
    let bytes = stripped(bytes);
    if bytes.is_empty() || bytes.len() > MAX_BITS as usize / 8 {
        return Err(PaillierError::ProductMismatch);
    }
    let mut row = Zeroizing::new(vec![0; bytes.len().div_ceil(8)]);
    limbs::read_be(bytes, &mut row);
    Ok(row)
}

/// Whether p divides q − 1, for distinct primes.
fn divides_other_minus_one(p: &[u64], q: &[u64]) -> bool {
    let width = p.len().max(q.len());
    let mut p = Zeroizing::new(p.to_vec());
    p.resize(width, 0);
    let mut other = Zeroizing::new(q.to_vec());
    other.resize(width, 0);
    other[0] -= 1;
    !primality::coprime(&p, &other)
}

/// The public half's size, scheme and fingerprint.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::{Encrypt, PublicEncryptor};
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    fn prime_from(start: u128) -> u128 {
        (start | 1..)
            .step_by(2)
            .find(|&c| {
                let row = [c as u64, (c >> 64) as u64];
                primality::small_factor(&row).is_none() && primality::is_prime(&row)
            })
            .expect("primes are dense")
    }

    fn key(p: u128, q: u128) -> Result<SecretKey, PaillierError> {
        let n = BigUint::from(p) * BigUint::from(q);
        SecretKey::from_parts(
            PublicKey::from_parts(&n, None)?,
            &p.to_be_bytes(),
            &q.to_be_bytes(),
        )
    }

    #[test]
    fn primes_of_any_lengths_decrypt() {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let bits = [
            (65, 65),
            (64, 65),
            (65, 64),
            (63, 66),
            (70, 127),
            (127, 70),
            (50, 100),
        ];
        for (a, b) in bits {
            let key = key(
                prime_from(1 << (a - 1)),
                prime_from((3 << (b - 2)) + 12_345),
            )
            .expect("a valid key");
            let n = BigInt::from(key.public().n().clone());
            let values: [BigInt; 7] = [
                BigInt::from(0),
                BigInt::from(1),
                BigInt::from(-1),
                &n / 2u32,
                -(&n / 2u32),
                &n / 3u32 - 1,
                BigInt::from(1) - &n / 3u32,
            ];
            let plain: Vec<Plaintext> = values.iter().map(Plaintext::from_signed).collect();
            let encryptor = PublicEncryptor::new(key.public(), plain.len());
            let decrypted = key.decrypt(&encryptor.encrypt(&plain, &mut rng));
            let found: Vec<BigInt> = decrypted.iter().map(Plaintext::to_signed).collect();
            assert_eq!(found, values, "{a} and {b} bits");
        }
    }

    #[test]
    fn equal_primes_are_refused() {
        let p = prime_from(1 << 70);
        let other = key(p, prime_from(1 << 72)).expect("a valid key");
        assert_eq!(
            SecretKey::from_parts(other.public().clone(), &p.to_be_bytes(), &p.to_be_bytes()).err(),
            Some(PaillierError::PrimesEqual)
        );
    }

    #[test]
    fn primes_of_another_key_are_refused() {
        let (a, b) = (prime_from(1 << 70), prime_from(1 << 72));
        let c = prime_from(1 << 73);
        let public = key(a, b).expect("a valid key").public().clone();
        for (p, q) in [(a, c), (c, b)] {
            assert_eq!(
                SecretKey::from_parts(public.clone(), &p.to_be_bytes(), &q.to_be_bytes()).err(),
                Some(PaillierError::ProductMismatch)
            );
        }
        for bytes in [&[][..], &[0, 0], &[1; 5000]] {
            assert_eq!(
                SecretKey::from_parts(public.clone(), bytes, &b.to_be_bytes()).err(),
                Some(PaillierError::ProductMismatch)
            );
        }
    }

    #[test]
    fn a_composite_p_or_q_is_refused() {
        let (a, b, c) = (
            prime_from(1 << 40),
            prime_from(1 << 41),
            prime_from(1 << 70),
        );
        assert_eq!(key(a * b, c).err(), Some(PaillierError::NotPrime("p")));
        assert_eq!(key(c, a * b).err(), Some(PaillierError::NotPrime("q")));
    }

    #[test]
    fn a_prime_that_divides_the_other_minus_1_is_refused() {
        // q = 2kp + 1.
        let p = prime_from(1 << 64);
        let q = (1..)
            .map(|k| 2 * k * p + 1)
            .find(|&q| {
                let row = [q as u64, (q >> 64) as u64];
                primality::small_factor(&row).is_none() && primality::is_prime(&row)
            })
            .expect("primes are dense");
        assert_eq!(key(p, q).err(), Some(PaillierError::PrimesDependent));
        assert_eq!(key(q, p).err(), Some(PaillierError::PrimesDependent));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn decryption_undoes_encryption(values in prop::collection::vec(any::<i64>(), 0..12), seed in any::<u64>()) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let key = SecretKey::generate_insecure(128, &mut rng).expect("an even size");
            let plain: Vec<Plaintext> = values.iter().map(|&v| Plaintext::from(v / 2)).collect();
            let ciphertexts =
                PublicEncryptor::new(key.public(), values.len()).encrypt(&plain, &mut rng);
            prop_assert!(key.decrypt(&ciphertexts) == plain);
        }
    }

    #[test]
    #[should_panic(expected = "another key")]
    fn ciphertexts_of_another_key_are_a_bug_of_the_caller() {
        let mut rng = ChaCha20Rng::seed_from_u64(12);
        let a = SecretKey::generate_insecure(128, &mut rng).expect("an even size");
        let b = SecretKey::generate_insecure(128, &mut rng).expect("an even size");
        let c = PublicEncryptor::new(a.public(), 1).encrypt(&[1.into()], &mut rng);
        b.decrypt(&c);
    }
}
