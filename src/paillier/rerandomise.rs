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
//! * *Many*: ρ = g_1^{e_1}⋯g_7^{e_7}. Each g_i is b_i^n for a b_i that the
//!   server draws itself, b_1 = −x² and b_2 = s·t² with s the least prime of
//!   Jacobi symbol −1, the others uniform; the exponents together have 128 bits
//!   more than n. The file's h_s is never used: half-length exponents hide a
//!   plaintext from outsiders by an assumption, not a product from the owner.
//!
//! How far ρ is from uniform shows in the characters χ of the group of n-th
//! powers. Over the draw of the b_i, the square of what ρ keeps of χ is at most
//! about 2^−(|n| + 128) for a χ of large order, which for all 2^|n| of them
//! comes to a distance of 2^−64; and for a χ of small odd order l it is l^−7,
//! the probability that no base shows χ. For l = 2 no χ remains if the key is
//! as this program makes them (p ≡ q ≡ 3 mod 4): −x² shows both χ modulo p and
//! modulo q, and s·t² shows one of them. So some class is left to see only for
//! an odd prime factor l of p − 1 or q − 1 at which all seven bases happen to be
//! l-th powers: over honestly made keys together in about one re-randomiser of
//! 3,000 (l = 3; the other l together one in 180,000). For such an l the owner
//! sees the product's class modulo l-th powers, a sum of exponents modulo l, in
//! the results of that one re-randomiser. A protocol that must not leave even
//! that uses r^n ([`Rerandomiser::uniform`]). Other ordinary keys
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
    Candidate, Ciphertexts, PaillierError, PublicKey, Randomise, Randomisers, Scheme, Seeds,
    encrypt::{nth_powers, uniform_bases},
    generate::negated_square,
    limbs,
    primality::{jacobi_vartime, small_primes},
};
use crate::bignum::{Comb, Elements};

/// Bases of which powers are multiplied: with the h of a key that is being
/// checked, as many as a vector kernel raises at once.
const BASES: usize = 7;

/// Bits by which all exponents together exceed n.
const MARGIN: u32 = 128;

/// Bits by which exponents exceed the order of a subgroup key's h_s.
const SUBGROUP_MARGIN: u32 = 64;

/// Re-randomises results under one key; see the module's text for what that
/// hides.
pub struct Rerandomiser {
    key: PublicKey,
    comb: Option<Comb>,
}

impl Rerandomiser {
    /// For about `uses` results; any number may be re-randomised. The cheaper
    /// of the two ways is chosen by counting products.
    pub fn new(key: &PublicKey, uses: usize, rng: &mut impl CryptoRng) -> Rerandomiser {
        if key.scheme() == Scheme::Subgroup {
            return Rerandomiser::in_subgroup(key, uses);
        }
        if direct_is_cheaper(uses, key.bits(), key.ring().lanes()) {
            return Rerandomiser::uniform(key);
        }
        let powers = key.ring().pow_public(&bases(key, rng), key.limbs());
        Rerandomiser::with_bases(key, &powers, uses)
    }

    /// [`Rerandomiser::new`] for a key that is still to be checked, and the
    /// checks, which share an exponentiation with it: all of it when the result
    /// is called, on whichever thread. Its error is that of
    /// [`Candidate::admit`].
    pub fn admitting(
        candidate: &Candidate,
        uses: usize,
        rng: &mut impl CryptoRng,
    ) -> impl FnOnce() -> Result<Rerandomiser, PaillierError> + Send {
        let key = candidate.unchecked();
        let subgroup = key.scheme() == Scheme::Subgroup;
        let direct = direct_is_cheaper(uses, key.bits(), key.ring().lanes());
        let bases = if subgroup || direct {
            key.ring().one(0)
        } else {
            bases(key, rng)
        };
        move || {
            let (powers, in_subgroup) = rayon::join(
                || candidate.admit_beside(&bases),
                || subgroup.then(|| Rerandomiser::in_subgroup(key, uses)),
            );
            let powers = powers?;
            Ok(match in_subgroup {
                Some(rerandomiser) => rerandomiser,
                None if direct => Rerandomiser::uniform(key),
                None => Rerandomiser::with_bases(key, &powers, uses),
            })
        }
    }

    /// r^n with a uniform r for every result, whatever their number: slower,
    /// and hides everything under every key.
    pub fn uniform(key: &PublicKey) -> Rerandomiser {
        Rerandomiser {
            key: key.clone(),
            comb: None,
        }
    }

    /// By the n-th powers of [`bases`].
    fn with_bases(key: &PublicKey, powers: &Elements, uses: usize) -> Rerandomiser {
        let bits = (key.bits() + MARGIN).div_ceil(BASES as u32);
        Rerandomiser {
            key: key.clone(),
            comb: Some(Comb::of_several(key.ring(), powers, bits, uses)),
        }
    }

    /// The same, its tables read whole for every look-up if `scans`
    /// ([`Comb::scanning`]): what is looked up does not show in the cache.
    pub fn scanning(mut self, scans: bool) -> Rerandomiser {
        if scans {
            self.comb = self.comb.map(Comb::scanning);
        }
        self
    }

    /// By powers of a subgroup key's own h_s.
    fn in_subgroup(key: &PublicKey, uses: usize) -> Rerandomiser {
        let ring = key.ring();
        let comb = key.h_s().map(|h_s| {
            let row = limbs::from_biguint(h_s, 2 * ring.limbs());
            // The order of h_s is 2α.
            let bits = key.exponent_bits() + 1 + SUBGROUP_MARGIN;
            Comb::new(ring, &ring.enter(&row, row.len()), bits, uses)
        });
        Rerandomiser {
            key: key.clone(),
            comb,
        }
    }

    /// The same plaintexts under fresh randomness, each its own.
    ///
    /// # Panics
    ///
    /// If the ciphertexts belong to another key.
    pub fn apply(&self, ciphertexts: &Ciphertexts, rng: &mut impl CryptoRng) -> Ciphertexts {
        self.apply_with(ciphertexts, self.randomisers(ciphertexts.len(), rng))
    }

    /// [`Rerandomiser::apply`] with randomisers drawn from this re-randomiser
    /// before. They are consumed.
    ///
    /// # Panics
    ///
    /// If there are not as many randomisers as ciphertexts, or one of the two
    /// belongs to another key.
    pub fn apply_with(&self, ciphertexts: &Ciphertexts, randomisers: Randomisers) -> Ciphertexts {
        let of_key = |key: &PublicKey| key.n() == self.key.n();
        assert!(of_key(ciphertexts.key()), "ciphertexts of another key");
        assert!(of_key(randomisers.key()), "randomisers of another key");
        let ring = self.key.ring();
        let fresh = ring.mul(ciphertexts.elements(), randomisers.elements());
        Ciphertexts::from_elements(ciphertexts.key(), fresh)
    }

    /// Whether r^n is used rather than combs.
    pub fn is_uniform(&self) -> bool {
        self.comb.is_none()
    }
}

impl Randomise for Rerandomiser {
    fn public(&self) -> &PublicKey {
        &self.key
    }

    fn draw(&self, count: usize, rng: &mut impl CryptoRng) -> Seeds {
        let Some(comb) = &self.comb else {
            return uniform_bases(&self.key, count, rng);
        };
        let bits = comb.exponent_bits();
        let width = limbs::limbs_for(bits);
        Seeds {
            rows: limbs::random_rows(count, bits, width, rng),
            width,
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

/// −x², s·t² and uniform numbers modulo n, of which the n-th powers are the
/// bases. An n without an s of Jacobi symbol −1 is a square, and no key.
fn bases(key: &PublicKey, rng: &mut impl CryptoRng) -> Elements {
    let (ring, n) = (key.ring(), key.limbs());
    let h = n.len();
    let mut rows = limbs::random_below(BASES, n, rng);
    let first = Zeroizing::new(negated_square(ring, n, &rows[..h]));
    let s = small_primes()
        .iter()
        .find(|&&s| jacobi_vartime(&s.into(), key.n()) == -1);
    let s = limbs::from_biguint(&s.copied().unwrap_or(1).into(), h);
    let square = Zeroizing::new(ring.mul_mod(&rows[h..2 * h], &rows[h..2 * h]));
    let second = Zeroizing::new(ring.mul_mod(&square, &s));
    rows[..h].copy_from_slice(&first);
    rows[h..2 * h].copy_from_slice(&second);
    ring.enter(&rows, h)
}

/// Whether `uses` exponentiations by n take fewer products than those of the
/// bases, tables, and `uses` powers from the tables, when `lanes` go at once.
fn direct_is_cheaper(uses: usize, bits: u32, lanes: usize) -> bool {
    let bits = bits as usize;
    // Windows of five bits: a squaring a bit, a product a window.
    let exponentiation = bits + bits / 5;
    let direct = uses.div_ceil(lanes) * exponentiation;
    // The tables begin with a chain of squarings; with few uses ahead they are
    // small, and a power takes about bits/4 products.
    let tables = bits / BASES * BASES.div_ceil(lanes);
    let powers = uses.div_ceil(lanes) * bits / 4;
    direct <= BASES.div_ceil(lanes) * exponentiation + tables + powers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::{Encrypt, Plaintext, PublicEncryptor, SecretKey, public::Generators};
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

    fn with_combs(key: &PublicKey, uses: usize, rng: &mut ChaCha20Rng) -> Rerandomiser {
        let powers = key.ring().pow_public(&bases(key, rng), key.limbs());
        Rerandomiser::with_bases(key, &powers, uses)
    }

    #[test]
    fn plaintexts_stay_and_ciphertexts_change() {
        for bits in [128, 192, 256] {
            let (key, plain, c, mut rng) = setup(bits, 51);
            for rerandomiser in [
                Rerandomiser::uniform(key.public()),
                with_combs(key.public(), 20, &mut rng),
                with_combs(key.public(), 20, &mut rng).scanning(true),
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
            with_combs(key.public(), 400, &mut rng),
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
    fn every_base_is_used() {
        let (key, _, _, mut rng) = setup(128, 55);
        let ring = key.public().ring();
        // One base at a time, beside ones.
        for base in 0..BASES {
            let mut powers = ring.one(base);
            powers.extend(&bases(key.public(), &mut rng).slice(0..1));
            powers.extend(&ring.one(BASES - 1 - base));
            let rerandomiser = Rerandomiser::with_bases(key.public(), &powers, 400);
            let mut found = factors(&key, &rerandomiser, &mut rng);
            found.sort();
            found.dedup();
            assert_eq!(found.len(), 400, "base {base}");
        }
    }

    #[test]
    fn a_key_is_checked_on_the_way() {
        let (key, plain, c, mut rng) = setup(192, 56);
        let (n, h, h_s) = (key.public().n(), key.public().h(), key.public().h_s());
        let (h, h_s) = h.zip(h_s).expect("generated");
        for uses in [1, 400] {
            let candidate = Candidate::from_parts(n, Some((h, h_s))).expect("odd");
            let made = Rerandomiser::admitting(&candidate, uses, &mut rng)().expect("a sound key");
            assert!(key.decrypt(&made.apply(&c, &mut rng)) == plain);
            let candidate = Candidate::from_parts(n, Some((h, &(h_s + 1u32)))).expect("odd");
            let error = Rerandomiser::admitting(&candidate, uses, &mut rng)().err();
            assert_eq!(error, Some(PaillierError::GeneratorMismatch));
            // A square, which has no s.
            let square = Candidate::from_parts(&(n * n), None).expect("odd");
            let error = Rerandomiser::admitting(&square, uses, &mut rng)().err();
            assert_eq!(error, Some(PaillierError::KeyPower(2)));
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
            Generators {
                h: n - 1u32,
                h_s: minus_one,
                small: false,
                steps: None,
            },
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
            assert!(!direct_is_cheaper(12, bits, 1));
            assert!(direct_is_cheaper(8, bits, 8));
            assert!(!direct_is_cheaper(64, bits, 8));
        }
    }
}
