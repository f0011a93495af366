//! What is checked when a public key is read.
//!
//! The checks catch damaged files, keys of other schemes and the cheapest
//! hostile keys. They do *not* prove that n is a product of two large primes of
//! the right form: that would take a proof by the owner. Who encrypts under a
//! key trusts its owner with the plaintexts anyway; what a server that computes
//! under a hostile key risks is written down at
//! [`Rerandomiser`](super::Rerandomiser).
//!
//! # What it costs
//!
//! One exponentiation by n modulo n². It shows that h_s = h^n, and on the way
//! that n is composite: h^n ≡ h mod n for every prime n (Fermat), so an n for
//! which that fails is none. A key without h is tested with 2 in its place. If
//! it does not fail, or anything else is amiss, the Baillie-PSW test decides.
//! The exponentiation shares its lanes with whatever else is to be raised to
//! the power n; where there is nothing else, under subgroup keys, it is taken in
//! [`steps`].

use num_bigint::BigUint;
use num_traits::{One, Zero};

use super::{
    MAX_BITS, MIN_BITS, PaillierError, PublicKey, limbs, primality, public::Generators,
    scheme::order_bits, steps,
};
use crate::bignum::{Elements, Ring};

/// A public key from elsewhere that has not been checked yet, but for what
/// arithmetic needs: n is odd and neither too short nor too long.
///
/// The rest of the checks may run beside the work that the key is for. What
/// that comes to must not leave before [`Candidate::admit`] has agreed.
pub struct Candidate {
    key: PublicKey,
    /// What is wrong with h, h_s or the steps so plainly that the key goes
    /// without them.
    flaw: Option<PaillierError>,
}

impl Candidate {
    /// n, and h with h_s if the key has them (keys made by python-paillier do
    /// not).
    ///
    /// # Errors
    ///
    /// An n that is too short, too long or even.
    pub fn from_parts(
        n: &BigUint,
        generators: Option<(&BigUint, &BigUint)>,
    ) -> Result<Candidate, PaillierError> {
        let generators = generators.map(|(h, h_s)| Generators {
            h: h.clone(),
            h_s: h_s.clone(),
            small: false,
            steps: None,
        });
        Candidate::new(n, generators)
    }

    /// A [`Scheme::Subgroup`](super::Scheme::Subgroup) key, with its steps
    /// ([`PublicKey::h_steps`]) if it has them.
    ///
    /// # Errors
    ///
    /// An n that is too short, too long or even.
    pub fn from_subgroup_parts(
        n: &BigUint,
        h: &BigUint,
        h_s: &BigUint,
        steps: Option<&[BigUint]>,
    ) -> Result<Candidate, PaillierError> {
        let generators = Generators {
            h: h.clone(),
            h_s: h_s.clone(),
            small: true,
            steps: steps.map(<[BigUint]>::to_vec),
        };
        Candidate::new(n, Some(generators))
    }

    fn new(n: &BigUint, generators: Option<Generators>) -> Result<Candidate, PaillierError> {
        // Sizes come first, so that no large number is computed with.
        let bits = n.bits();
        if !(u64::from(MIN_BITS)..=u64::from(MAX_BITS)).contains(&bits) {
            return Err(PaillierError::KeySize(bits));
        }
        if !n.bit(0) {
            return Err(PaillierError::KeyEven);
        }
        let row = limbs::from_biguint(n, limbs::limbs_for(bits as u32));
        let ring = Ring::new(&row)?;
        let flaw = generators.as_ref().and_then(|all| plain_flaw(n, all));
        let generators = generators.filter(|_| flaw.is_none());
        Ok(Candidate {
            key: PublicKey::assemble(row, ring, generators),
            flaw,
        })
    }

    /// The key, to compute with beside the checks.
    pub fn unchecked(&self) -> &PublicKey {
        &self.key
    }

    /// The key, checked.
    ///
    /// # Errors
    ///
    /// Names the check that failed: n with a factor below 2^16, a prime or a
    /// perfect power; a size without subgroup keys; h or h_s not below its
    /// modulus, ±1 or no unit; steps that are not those of h; h_s not h^n
    /// mod n². These checks do not prove that n is well formed.
    pub fn admit(self) -> Result<PublicKey, PaillierError> {
        self.check()?;
        Ok(self.key)
    }

    /// What [`Candidate::admit`] would say.
    ///
    /// # Errors
    ///
    /// As [`Candidate::admit`].
    pub fn check(&self) -> Result<(), PaillierError> {
        self.admit_beside(&self.key.ring().one(0)).map(|_| ())
    }

    /// [`Candidate::admit`], and the n-th powers of `others`.
    pub(super) fn admit_beside(&self, others: &Elements) -> Result<Elements, PaillierError> {
        let (ring, n) = (self.key.ring(), self.key.limbs());
        let (h, h_s) = match (self.key.h(), self.key.h_s()) {
            (Some(h), Some(h_s)) => (h.clone(), Some(h_s)),
            _ => (BigUint::from(2u32), None),
        };
        let row = limbs::from_biguint(&h, n.len());
        let raise = || match self.key.h_steps() {
            Some(steps) => {
                let power = steps::nth_power(ring, self.key.n(), &h, steps)?;
                Ok((power, ring.pow_public(others, n)))
            }
            None => {
                let mut bases = ring.enter(&row, row.len());
                bases.extend(others);
                let powers = ring.pow_public(&bases, n);
                Ok((powers.slice(0..1), powers.slice(1..powers.len())))
            }
        };
        let (sound, powers) = rayon::join(|| self.all_but_powers(), raise);
        sound?;
        let (power, others) = powers.map_err(|error| self.unless_prime(error))?;
        let (low, _) = ring.digits(&power);
        if low == row && primality::is_prime(n) {
            return Err(PaillierError::KeyPrime);
        }
        if h_s.is_some_and(|h_s| limbs::to_biguint(&ring.leave(&power)) != *h_s) {
            return Err(PaillierError::GeneratorMismatch);
        }
        Ok(others)
    }

    /// The checks without an exponentiation.
    fn all_but_powers(&self) -> Result<(), PaillierError> {
        let n = self.key.limbs();
        if let Some(factor) = primality::small_factor(n) {
            return Err(PaillierError::KeySmallFactor(factor));
        }
        if let Some(exponent) = primality::perfect_power_vartime(self.key.n()) {
            return Err(PaillierError::KeyPower(exponent));
        }
        if let Some(flaw) = &self.flaw {
            return Err(self.unless_prime(flaw.clone()));
        }
        let (Some(h), Some(h_s)) = (self.key.h(), self.key.h_s()) else {
            return Ok(());
        };
        let ring = self.key.ring();
        let width = 2 * ring.limbs();
        let rows = [h, h_s].map(|value| limbs::from_biguint(value, width));
        ring.all_units(&ring.enter(&rows.concat(), width))
            .map_err(|at| self.unless_prime(PaillierError::GeneratorNotUnit(["h", "h_s"][at])))
    }

    /// What is wrong with a prime is first of all that it is one.
    fn unless_prime(&self, error: PaillierError) -> PaillierError {
        match primality::is_prime(self.key.limbs()) {
            true => PaillierError::KeyPrime,
            false => error,
        }
    }
}

/// What can be seen of h, h_s and the steps without arithmetic modulo n².
fn plain_flaw(n: &BigUint, generators: &Generators) -> Option<PaillierError> {
    let bits = n.bits() as u32;
    if generators.small && order_bits(bits).is_none() {
        return Some(PaillierError::SubgroupSize(bits));
    }
    let square = n * n;
    let Generators { h, h_s, steps, .. } = generators;
    for (name, value, modulus) in [("h", h, n), ("h_s", h_s, &square)] {
        if value >= modulus {
            return Some(PaillierError::GeneratorRange(name));
        }
        if value.is_one() || *value == modulus - 1u32 {
            return Some(PaillierError::GeneratorTrivial(name));
        }
        if value.is_zero() {
            return Some(PaillierError::GeneratorNotUnit(name));
        }
    }
    let steps = steps.as_deref()?;
    steps::plain_flaw(&square, steps)
}
