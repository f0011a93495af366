//! Randomisers and encryption, with either key.
//!
//! c = (1 + x·n)·ρ with a fresh randomiser ρ for each ciphertext:
//!
//! | key | public | owner |
//! |---|---|---|
//! | with h_s | h_s^r, r uniform below 2^⌈\|n\|/2⌉ (DJN 2010, §4.2), by a comb | the same power, by combs modulo p² and q² |
//! | subgroup | h_s^r, r as long as the subgroup's order (Ma, Han, Lei 2021) | the same power, r modulo the order of h_s modulo p² and q² |
//! | without | r^n, r uniform modulo n | s_p^p mod p² and s_q^q mod q², s_p and s_q uniform |
//!
//! *With h_s* the owner gets, from the same r, the very same ρ, at about half
//! the price; under a subgroup key at a quarter, for 2α_p has half as many bits
//! as r. *Without*, r^n ≡ ((r mod p)^q)^p mod p², because a p-th power
//! modulo p² depends on its base modulo p only; and as q is coprime to p − 1,
//! s = r^q mod p is uniform if r is. So the owner draws s itself: the same
//! distribution from exponents half as long, modulo numbers half as long.
//!
//! A uniform r that shares a factor with n would be no unit; its probability is
//! that of guessing a factor, and it is not tested for.

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    Ciphertexts, Plaintext, PublicKey, Randomise, Randomisers, SecretKey, Seeds, crt::Half, limbs,
};
use crate::bignum::{Comb, Elements};

/// Encrypts under one key.
pub trait Encrypt: Randomise {
    /// Encrypts with randomisers drawn before. They are consumed: a randomiser
    /// that blinds two plaintexts shows their difference.
    ///
    /// # Panics
    ///
    /// If there are not as many randomisers as plaintexts, they belong to
    /// another key, or a plaintext does not fit the key
    /// ([`PublicKey::holds`]).
    fn encrypt_with(&self, plaintexts: &[Plaintext], randomisers: Randomisers) -> Ciphertexts {
        let same = self.public().n() == randomisers.key().n();
        assert!(same, "randomisers of another key");
        randomisers.encrypt(plaintexts)
    }

    /// Encrypts.
    ///
    /// # Panics
    ///
    /// If a plaintext does not fit the key ([`PublicKey::holds`]).
    fn encrypt(&self, plaintexts: &[Plaintext], rng: &mut impl CryptoRng) -> Ciphertexts {
        self.encrypt_with(plaintexts, self.randomisers(plaintexts.len(), rng))
    }
}

/// Bases r of uniform n-th powers modulo n².
pub(super) fn uniform_bases(key: &PublicKey, count: usize, rng: &mut impl CryptoRng) -> Seeds {
    Seeds {
        rows: limbs::random_below(count, key.limbs(), rng),
        width: key.limbs().len(),
    }
}

/// r^n modulo n² for bases r.
pub(super) fn nth_powers(key: &PublicKey, bases: &Seeds) -> Elements {
    let r = Zeroizing::new(key.ring().enter(&bases.rows, bases.width));
    key.ring().pow_public(&r, key.limbs())
}

/// Exponents of h_s.
fn exponents(key: &PublicKey, count: usize, rng: &mut impl CryptoRng) -> Seeds {
    let bits = key.exponent_bits();
    let width = limbs::limbs_for(bits);
    Seeds {
        rows: limbs::random_rows(count, bits, width, rng),
        width,
    }
}

/// Encrypts with the public key.
pub struct PublicEncryptor {
    key: PublicKey,
    comb: Option<Comb>,
}

impl PublicEncryptor {
    /// For about `uses` ciphertexts: more of them make larger tables worth
    /// their price. Any number may be encrypted.
    pub fn new(key: &PublicKey, uses: usize) -> PublicEncryptor {
        let ring = key.ring();
        let comb = key.h_s().map(|h_s| {
            let row = limbs::from_biguint(h_s, 2 * ring.limbs());
            let base = ring.enter(&row, row.len());
            Comb::new(ring, &base, key.exponent_bits(), uses)
        });
        PublicEncryptor {
            key: key.clone(),
            comb,
        }
    }

    /// The same, its tables read whole for every look-up if `scans`
    /// ([`Comb::scanning`]): what is looked up does not show in the cache.
    pub fn scanning(mut self, scans: bool) -> PublicEncryptor {
        if scans {
            self.comb = self.comb.map(Comb::scanning);
        }
        self
    }
}

impl Randomise for PublicEncryptor {
    fn public(&self) -> &PublicKey {
        &self.key
    }

    fn draw(&self, count: usize, rng: &mut impl CryptoRng) -> Seeds {
        match &self.comb {
            Some(_) => exponents(&self.key, count, rng),
            None => uniform_bases(&self.key, count, rng),
        }
    }

    fn raise(&self, seeds: Seeds) -> Randomisers {
        let elements = match &self.comb {
            Some(comb) => comb.pow(&seeds.rows, seeds.width),
            None => nth_powers(&self.key, &seeds),
        };
        Randomisers::new(&self.key, Zeroizing::new(elements))
    }
}

impl Encrypt for PublicEncryptor {}

/// Encrypts with the secret key: the same distribution, faster.
pub struct OwnerEncryptor {
    key: SecretKey,
    combs: Option<[Comb; 2]>,
}

impl OwnerEncryptor {
    /// For about `uses` ciphertexts: more of them make larger tables worth
    /// their price. Any number may be encrypted.
    pub fn new(key: &SecretKey, uses: usize) -> OwnerEncryptor {
        let public = key.public();
        let combs = public.h_s().map(|h_s| {
            let row = limbs::from_biguint(h_s, 2 * public.ring().limbs());
            let comb = |half: &Half| {
                let base = Zeroizing::new(half.ring.enter(&row, row.len()));
                let bits = half.exponent_bits().unwrap_or(public.exponent_bits());
                Comb::new(&half.ring, &base, bits, uses)
            };
            rayon::join(|| comb(&key.crt().p), || comb(&key.crt().q)).into()
        });
        OwnerEncryptor {
            key: key.clone(),
            combs,
        }
    }

    /// The same, its tables read whole for every look-up if `scans`
    /// ([`Comb::scanning`]): what is looked up does not show in the cache.
    pub fn scanning(mut self, scans: bool) -> OwnerEncryptor {
        if scans {
            self.combs = self.combs.map(|combs| combs.map(Comb::scanning));
        }
        self
    }
}

impl Randomise for OwnerEncryptor {
    fn public(&self) -> &PublicKey {
        self.key.public()
    }

    fn draw(&self, count: usize, rng: &mut impl CryptoRng) -> Seeds {
        if self.combs.is_some() {
            return exponents(self.public(), count, rng);
        }
        // s_p and s_q, side by side.
        let [p, q] = [&self.key.crt().p, &self.key.crt().q].map(|half| &*half.prime);
        let width = p.len() + q.len();
        let [s_p, s_q] = [p, q].map(|prime| limbs::random_below(count, prime, rng));
        let mut rows = Zeroizing::new(vec![0; count * width]);
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            row[..p.len()].copy_from_slice(&s_p[i * p.len()..][..p.len()]);
            row[p.len()..].copy_from_slice(&s_q[i * q.len()..][..q.len()]);
        }
        Seeds { rows, width }
    }

    fn raise(&self, seeds: Seeds) -> Randomisers {
        let (public, crt) = (self.key.public(), self.key.crt());
        let Seeds { rows, width } = &seeds;
        let powers = match &self.combs {
            Some([of_p, of_q]) => [(of_p, &crt.p), (of_q, &crt.q)].map(|(comb, half)| {
                match half.reduce_exponents(rows, *width) {
                    Some((short, width)) => comb.pow(&short, width),
                    None => comb.pow(rows, *width),
                }
            }),
            None => [(0, &crt.p), (crt.p.prime.len(), &crt.q)].map(|(start, half)| {
                let own = rows
                    .chunks_exact(*width)
                    .flat_map(|row| &row[start..][..half.prime.len()]);
                let mut s = Zeroizing::new(vec![0; seeds.len() * half.prime.len()]);
                s.iter_mut().zip(own).for_each(|(to, from)| *to = *from);
                let s = Zeroizing::new(half.ring.enter(&s, half.prime.len()));
                half.ring.pow_secret(&s, &half.prime)
            }),
        };
        let [x_p, x_q] = powers.map(Zeroizing::new);
        let elements = crt.combine(&x_p, &x_q, public.ring());
        Randomisers::new(public, Zeroizing::new(elements))
    }
}

impl Encrypt for OwnerEncryptor {}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::{BigInt, BigUint};
    use num_integer::Integer;
    use num_traits::One;
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    fn key(bits: u32, seed: u64) -> (SecretKey, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = SecretKey::generate_insecure(bits, &mut rng).expect("an even size");
        (key, rng)
    }

    /// The same primes without h.
    fn without_h(key: &SecretKey) -> SecretKey {
        let public = PublicKey::from_parts(key.public().n(), None).expect("a valid n");
        let [p, q] = key.primes();
        SecretKey::from_parts(public, &p, &q).expect("valid primes")
    }

    fn randomiser_values(randomisers: &Randomisers) -> Vec<BigUint> {
        let bytes = randomisers.to_bytes();
        bytes
            .chunks(Ciphertexts::width(randomisers.key()))
            .map(BigUint::from_bytes_be)
            .collect()
    }

    #[test]
    fn ciphertexts_follow_the_definition() {
        let (key, _) = key(256, 31);
        let public = key.public();
        let (n, h_s) = (public.n(), public.h_s().expect("a generated key has h_s"));
        let square = n * n;
        let values = [0i64, 1, -1, 77, -12_345];
        let plain: Vec<Plaintext> = values.iter().map(|&v| v.into()).collect();
        let mut same = ChaCha20Rng::seed_from_u64(30);
        let mut rng = ChaCha20Rng::seed_from_u64(30);
        let c = PublicEncryptor::new(public, 5)
            .encrypt(&plain, &mut rng)
            .to_integers();
        let exponents = limbs::random_rows(5, 128, 2, &mut same);
        for (i, &value) in values.iter().enumerate() {
            let r = limbs::to_biguint(&exponents[2 * i..2 * i + 2]);
            let x = BigInt::from(value)
                .mod_floor(&BigInt::from(n.clone()))
                .to_biguint()
                .expect("a residue");
            let expected = (BigUint::one() + x * n) * h_s.modpow(&r, &square) % &square;
            assert_eq!(c[i], expected);
        }
    }

    #[test]
    fn the_owner_gets_the_same_ciphertexts_from_the_same_generator() {
        for (bits, seed) in [(128, 32), (130, 33), (192, 34), (256, 35), (514, 36)] {
            let (key, _) = key(bits, seed);
            let plain: Vec<Plaintext> = (-4..5).map(Plaintext::from).collect();
            let [mut a, mut b] = [seed; 2].map(ChaCha20Rng::seed_from_u64);
            let public = PublicEncryptor::new(key.public(), 9).encrypt(&plain, &mut a);
            let owner = OwnerEncryptor::new(&key, 9).encrypt(&plain, &mut b);
            assert_eq!(public.to_bytes(), owner.to_bytes(), "{bits} bits");
            assert!(key.decrypt(&owner) == plain);
        }
    }

    #[test]
    fn scanned_tables_give_the_same_ciphertexts() {
        let (key, _) = key(256, 43);
        let plain: Vec<Plaintext> = (-4..5).map(Plaintext::from).collect();
        let [mut a, mut b, mut c] = [43; 3].map(ChaCha20Rng::seed_from_u64);
        let indexed = PublicEncryptor::new(key.public(), 900).encrypt(&plain, &mut a);
        let public = PublicEncryptor::new(key.public(), 900).scanning(true);
        let owner = OwnerEncryptor::new(&key, 900).scanning(true);
        assert_eq!(
            public.encrypt(&plain, &mut b).to_bytes(),
            indexed.to_bytes()
        );
        assert_eq!(owner.encrypt(&plain, &mut c).to_bytes(), indexed.to_bytes());
    }

    #[test]
    fn randomisers_of_keys_without_h_are_nth_powers() {
        let (key, mut rng) = key(256, 37);
        let key = without_h(&key);
        let [p, q] = key.primes().map(|bytes| BigUint::from_bytes_be(&bytes));
        let lambda = (&p - 1u32).lcm(&(&q - 1u32));
        let square = key.public().n() * key.public().n();
        let public = PublicEncryptor::new(key.public(), 4).randomisers(4, &mut rng);
        let owner = OwnerEncryptor::new(&key, 4).randomisers(4, &mut rng);
        for randomisers in [public, owner] {
            let values = randomiser_values(&randomisers);
            for (i, value) in values.iter().enumerate() {
                assert!(value.modpow(&lambda, &square).is_one());
                assert!(!values[..i].contains(value));
            }
        }
    }

    /// Every n-th power of a tiny key comes up about as often from either side.
    #[test]
    fn the_owner_draws_from_the_same_distribution_without_h() {
        // Counts by quadratic character modulo p and q: four classes of equal size.
        let (key, mut rng) = key(128, 38);
        let key = without_h(&key);
        let primes = key.primes().map(|bytes| BigUint::from_bytes_be(&bytes));
        let mut counts = [[0u32; 4]; 2];
        let draws = 800;
        let public = PublicEncryptor::new(key.public(), draws).randomisers(draws, &mut rng);
        let owner = OwnerEncryptor::new(&key, draws).randomisers(draws, &mut rng);
        for (side, randomisers) in [public, owner].iter().enumerate() {
            for value in randomiser_values(randomisers) {
                let class = primes.iter().fold(0, |class, p| {
                    let half = (p - 1u32) / 2u32;
                    2 * class + usize::from(value.modpow(&half, p).is_one())
                });
                counts[side][class] += 1;
            }
        }
        for count in counts.as_flattened() {
            assert!((140..260).contains(count), "{counts:?}");
        }
    }

    #[test]
    fn keys_without_h_decrypt_what_they_encrypt() {
        let (key, mut rng) = key(192, 39);
        let key = without_h(&key);
        let plain: Vec<Plaintext> = (-4..5).map(Plaintext::from).collect();
        let public = PublicEncryptor::new(key.public(), 9).encrypt(&plain, &mut rng);
        let owner = OwnerEncryptor::new(&key, 9).encrypt(&plain, &mut rng);
        assert!(key.decrypt(&public) == plain);
        assert!(key.decrypt(&owner) == plain);
    }

    #[test]
    fn equal_plaintexts_have_different_ciphertexts() {
        let (key, mut rng) = key(128, 40);
        let plain = vec![Plaintext::from(7); 20];
        let c = PublicEncryptor::new(key.public(), 1).encrypt(&plain, &mut rng);
        let mut integers = c.to_integers();
        integers.sort();
        integers.dedup();
        assert_eq!(integers.len(), 20);
    }

    #[test]
    fn randomisers_drawn_ahead_encrypt() {
        let (key, mut rng) = key(128, 41);
        let encryptor = OwnerEncryptor::new(&key, 3);
        let ahead = encryptor.randomisers(3, &mut rng);
        assert_eq!((ahead.len(), ahead.is_empty()), (3, false));
        let plain: Vec<Plaintext> = (0..3).map(Plaintext::from).collect();
        let c = encryptor.encrypt_with(&plain, ahead);
        assert!(key.decrypt(&c) == plain);
    }

    #[test]
    #[should_panic(expected = "does not fit the key")]
    fn a_plaintext_that_does_not_fit_is_a_bug_of_the_caller() {
        let (key, mut rng) = key(128, 42);
        let half = BigInt::from((key.public().n() + 1u32) / 2u32);
        let plaintext = Plaintext::from_signed(&half);
        assert!(!key.public().holds(&plaintext));
        PublicEncryptor::new(key.public(), 1).encrypt(&[plaintext], &mut rng);
    }
}
