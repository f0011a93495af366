//! What a server does to every result before it leaves.
//!
//! The randomness of a result is a product of the client's own randomisers
//! raised to the server's weights. A key owner knows p and q, may have chosen
//! those randomisers, and could read weights out of that product. So every
//! result is multiplied by a fresh n-th power ρ that must hide it from someone
//! who can factor n:
//!
//! * *Few results*: ρ = r^n with r uniform modulo n. The result's randomness is
//!   then exactly uniform among the n-th powers, whatever the key.
//! * *Many*: ρ = h′^a·y^b. h′ = (−x²)^n and y = z^n come from x and z that the
//!   server draws itself, z of Jacobi symbol −1; a is uniform below 2^(|n|+64),
//!   b below 2^64. Each ρ is within 2^−62 of uniform in the group G that h′ and
//!   y generate, because a runs through more than 2^64 times the group's
//!   exponent. The file's h_s is never used: half-length exponents hide a
//!   plaintext from outsiders by an assumption, not a product from the owner.
//!
//! What is left to see is the class of the product modulo G. For a key as this
//! program makes them (p ≡ q ≡ 3 mod 4, gcd(p − 1, q − 1) = 2), −x² runs
//! through the cyclic group of Jacobi symbol 1 and y leads out of it, so G is
//! everything but for odd prime factors l of p − 1 or q − 1 at which both x²
//! and z happen to be l-th powers: probability about 1/l² each, over honestly
//! made keys together 9.7 % (7.4 % for l = 3, 1.6 % for 5, 0.6 % for 7), so a
//! protocol that must hide its model uses r^n ([`Rerandomiser::uniform`]). For
//! such an l
//! the owner sees the product's class modulo l-th powers, a sum of exponents
//! modulo l, in the results of that one re-randomiser. Other ordinary keys
//! (python-paillier's) have a few further classes of order 2 or of
//! order gcd(p − 1, q − 1) to see in the same way.
//!
//! This trusts the key to be a product of two large random primes. Someone who
//! builds a key for the purpose (p − 1 smooth, more than two factors) widens
//! those gaps, and the checks on entry cannot tell. A server that does not
//! trust its clients' keys asks for r^n always ([`Rerandomiser::uniform`]).
//!
//! *Subgroup keys* ([`Scheme::Subgroup`]) decrypt fast only what is blinded by
//! powers of their own h_s, so for them ρ = h_s^a, with a of 64 bits more than
//! the order of h_s. That is within 2^−64 of uniform in the subgroup, and hides
//! the product if the key is honest and the client's randomisers are powers of
//! h_s. It trusts the key and the client with more than the above: under an h_s
//! of small order, or with randomisers from outside the subgroup, the owner
//! sees the product of those, up to the subgroup. Nobody but the owner can
//! check either. r^n hides everything here too; its results are decrypted as
//! slowly as under other keys.

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    Ciphertexts, PublicKey, Scheme, encrypt::uniform_powers, generate::negated_square, limbs,
    primality::jacobi_vartime,
};
use crate::bignum::{Comb, Elements, KernelKind};

/// Bits by which exponents exceed what they must cover.
const MARGIN: u32 = 64;

/// Re-randomises results under one key; see the module's text for what that
/// hides.
pub struct Rerandomiser {
    key: PublicKey,
    combs: Option<Combs>,
}

struct Combs {
    /// Powers of h′, exponents of |n| + 64 bits; under a subgroup key of its
    /// h_s.
    main: Comb,
    /// Bits of the exponents of `main`.
    bits: u32,
    /// Powers of y, exponents of 64 bits; none under a subgroup key.
    companion: Option<Comb>,
}

impl Rerandomiser {
    /// For about `uses` results; any number may be re-randomised. The cheaper
    /// of the two ways is chosen by counting products.
    pub fn new(key: &PublicKey, uses: usize, rng: &mut impl CryptoRng) -> Rerandomiser {
        if key.scheme() == Scheme::Subgroup {
            return Rerandomiser::in_subgroup(key, uses);
        }
        let lanes = match key.ring().kernel() {
            KernelKind::Ifma => 8,
            _ => 1,
        };
        if direct_is_cheaper(uses, key.bits(), lanes) {
            Rerandomiser::uniform(key)
        } else {
            Rerandomiser::with_combs(key, uses, rng)
        }
    }

    /// r^n with a uniform r for every result, whatever their number: slower,
    /// and hides everything under every key.
    pub fn uniform(key: &PublicKey) -> Rerandomiser {
        Rerandomiser {
            key: key.clone(),
            combs: None,
        }
    }

    fn with_combs(key: &PublicKey, uses: usize, rng: &mut impl CryptoRng) -> Rerandomiser {
        let (ring, n) = (key.ring(), key.limbs());
        let x = limbs::random_below(1, n, rng);
        let z = loop {
            let z = limbs::random_below(1, n, rng);
            if jacobi_vartime(&limbs::to_biguint(&z), key.n()) == -1 {
                break z;
            }
        };
        let square = Zeroizing::new(negated_square(ring, n, &x));
        // In one allocation: growing would leave a copy behind.
        let bases = Zeroizing::new([&square[..], &z[..]].concat());
        let powers = ring.pow_public(&ring.enter(&bases, n.len()), n);
        let combs = Combs {
            main: Comb::new(ring, &powers.slice(0..1), key.bits() + MARGIN, uses),
            bits: key.bits() + MARGIN,
            companion: Some(Comb::new(ring, &powers.slice(1..2), MARGIN, uses)),
        };
        Rerandomiser {
            key: key.clone(),
            combs: Some(combs),
        }
    }

    /// By powers of a subgroup key's own h_s.
    fn in_subgroup(key: &PublicKey, uses: usize) -> Rerandomiser {
        let ring = key.ring();
        let combs = key.h_s().map(|h_s| {
            let row = limbs::from_biguint(h_s, 2 * ring.limbs());
            // The order of h_s is 2α.
            let bits = key.exponent_bits() + 1 + MARGIN;
            Combs {
                main: Comb::new(ring, &ring.enter(&row, row.len()), bits, uses),
                bits,
                companion: None,
            }
        });
        Rerandomiser {
            key: key.clone(),
            combs,
        }
    }

    /// The same plaintexts under fresh randomness, each its own.
    ///
    /// # Panics
    ///
    /// If the ciphertexts belong to another key.
    pub fn apply(&self, ciphertexts: &Ciphertexts, rng: &mut impl CryptoRng) -> Ciphertexts {
        assert!(
            ciphertexts.key().n() == self.key.n(),
            "ciphertexts of another key"
        );
        let rho = self.draw(ciphertexts.len(), rng);
        let fresh = self.key.ring().mul(ciphertexts.elements(), &rho);
        Ciphertexts::from_elements(ciphertexts.key(), fresh)
    }

    fn draw(&self, count: usize, rng: &mut impl CryptoRng) -> Zeroizing<Elements> {
        let Some(combs) = &self.combs else {
            return uniform_powers(&self.key, count, rng);
        };
        let width = limbs::limbs_for(combs.bits);
        let a = limbs::random_rows(count, combs.bits, width, rng);
        let mut rho = Zeroizing::new(combs.main.pow(&a, width));
        if let Some(companion) = &combs.companion {
            let b = limbs::random_rows(count, MARGIN, 1, rng);
            let power = Zeroizing::new(companion.pow(&b, 1));
            self.key.ring().mul_assign(&mut rho, &power);
        }
        rho
    }

    /// Whether r^n is used rather than combs.
    pub fn is_uniform(&self) -> bool {
        self.combs.is_none()
    }
}

/// Whether `uses` exponentiations by n take fewer products than two of them,
/// tables, and `uses` powers from the tables, when `lanes` go at once.
fn direct_is_cheaper(uses: usize, bits: u32, lanes: usize) -> bool {
    let bits = bits as usize;
    // Windows of five bits: a squaring a bit, a product a window.
    let exponentiation = bits + bits / 5;
    let direct = uses.div_ceil(lanes) * exponentiation;
    // The tables' squarings form one chain, which lanes do not shorten; with
    // few uses ahead they are small, and a power takes about bits/4 products.
    let tables = bits + 2 * MARGIN as usize;
    let powers = uses.div_ceil(lanes) * bits / 4;
    direct <= 2usize.div_ceil(lanes) * exponentiation + tables + powers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::{Encrypt, Plaintext, PublicEncryptor, SecretKey};
    use num_bigint::BigUint;
    use num_traits::One;
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    fn setup(bits: u32, seed: u64) -> (SecretKey, Vec<Plaintext>, Ciphertexts, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = SecretKey::generate_insecure(bits, &mut rng).expect("an even size");
        let plain: Vec<Plaintext> = (-10..10).map(Plaintext::from).collect();
        let c = PublicEncryptor::new(key.public(), 20).encrypt(&plain, &mut rng);
        (key, plain, c, rng)
    }

    #[test]
    fn plaintexts_stay_and_ciphertexts_change() {
        for bits in [128, 192, 256] {
            let (key, plain, c, mut rng) = setup(bits, 51);
            for rerandomiser in [
                Rerandomiser::uniform(key.public()),
                Rerandomiser::with_combs(key.public(), 20, &mut rng),
            ] {
                let fresh = rerandomiser.apply(&c, &mut rng);
                assert!(key.decrypt(&fresh) == plain);
                let (old, new) = (c.to_integers(), fresh.to_integers());
                assert!(old.iter().zip(&new).all(|(a, b)| a != b));
                let again = rerandomiser.apply(&c, &mut rng).to_integers();
                assert!(new.iter().zip(&again).all(|(a, b)| a != b));
            }
        }
    }

    /// Ciphertexts of 0 with randomness 1 show what is multiplied in.
    fn factors(
        key: &SecretKey,
        rerandomiser: &Rerandomiser,
        rng: &mut ChaCha20Rng,
    ) -> Vec<BigUint> {
        let ones = Ciphertexts::from_integers(key.public(), &vec![BigUint::one(); 400])
            .expect("1 is a unit");
        rerandomiser.apply(&ones, rng).to_integers()
    }

    #[test]
    fn both_quadratic_characters_are_hidden() {
        let (key, _, _, mut rng) = setup(128, 52);
        let primes = key.primes().map(|bytes| BigUint::from_bytes_be(&bytes));
        for rerandomiser in [
            Rerandomiser::uniform(key.public()),
            Rerandomiser::with_combs(key.public(), 400, &mut rng),
        ] {
            let mut counts = [0; 4];
            for factor in factors(&key, &rerandomiser, &mut rng) {
                let class = primes.iter().fold(0, |class, p| {
                    let half = (p - 1u32) / 2u32;
                    2 * class + usize::from(factor.modpow(&half, p).is_one())
                });
                counts[class] += 1;
            }
            assert!(counts.iter().all(|c| (60..140).contains(c)), "{counts:?}");
        }
    }

    #[test]
    fn the_keys_own_generator_is_not_used() {
        // A hostile h_s of tiny order would make such factors repeat.
        let (key, _, _, mut rng) = setup(128, 53);
        let n = key.public().n();
        let minus_one = n * n - 1u32;
        let public = PublicKey::trusted(
            key.public().limbs().to_vec(),
            (
                limbs::from_biguint(&(n - 1u32), 2),
                limbs::from_biguint(&minus_one, 4),
            ),
            false,
        )
        .expect("an odd n");
        let hostile = SecretKey::from_parts(public, &key.primes()[0], &key.primes()[1])
            .expect("valid primes");
        for uses in [1, 400] {
            let rerandomiser = Rerandomiser::new(hostile.public(), uses, &mut rng);
            let mut found = factors(&hostile, &rerandomiser, &mut rng);
            found.sort();
            found.dedup();
            assert_eq!(found.len(), 400);
        }
    }

    #[test]
    fn few_results_are_randomised_directly_and_many_by_combs() {
        let (key, _, _, mut rng) = setup(128, 54);
        assert!(Rerandomiser::new(key.public(), 1, &mut rng).is_uniform());
        assert!(!Rerandomiser::new(key.public(), 1000, &mut rng).is_uniform());
        for bits in [2048, 3072, 4096] {
            assert!(direct_is_cheaper(1, bits, 1));
            assert!(direct_is_cheaper(2, bits, 1));
            assert!(!direct_is_cheaper(6, bits, 1));
            assert!(direct_is_cheaper(8, bits, 8));
            assert!(!direct_is_cheaper(64, bits, 8));
        }
    }
}
