//! What is checked when a public key is read.
//!
//! The checks catch damaged files, keys of other schemes and the cheapest
//! hostile keys. They do *not* prove that n is a product of two large primes of
//! the right form: that would take a proof by the owner. Who encrypts under a
//! key trusts its owner with the plaintexts anyway; what a server that computes
//! under a hostile key risks is written down at
//! [`Rerandomiser`](super::Rerandomiser).

use num_bigint::BigUint;
use num_traits::{One, Zero};

use super::{MAX_BITS, MIN_BITS, PaillierError, limbs, primality};
use crate::bignum::Ring;

/// Checks n by itself: size, oddness, small factors, primality, powers; its
/// limbs. Sizes come first, so that no large number is computed with.
pub(super) fn modulus(n: &BigUint) -> Result<Vec<u64>, PaillierError> {
    let bits = n.bits();
    if !(u64::from(MIN_BITS)..=u64::from(MAX_BITS)).contains(&bits) {
        return Err(PaillierError::KeySize(bits));
    }
    if !n.bit(0) {
        return Err(PaillierError::KeyEven);
    }
    let row = limbs::from_biguint(n, limbs::limbs_for(bits as u32));
    if let Some(factor) = primality::small_factor(&row) {
        return Err(PaillierError::KeySmallFactor(factor));
    }
    if primality::is_prime(&row) {
        return Err(PaillierError::KeyPrime);
    }
    if let Some(exponent) = primality::perfect_power_vartime(n) {
        return Err(PaillierError::KeyPower(exponent));
    }
    Ok(row)
}

/// Checks that h and h_s are units other than ±1 and that h_s = h^n mod n².
pub(super) fn generators(
    n: &BigUint,
    h: &BigUint,
    h_s: &BigUint,
    ring: &Ring,
) -> Result<(), PaillierError> {
    let square = n * n;
    for (name, value, modulus) in [("h", h, n), ("h_s", h_s, &square)] {
        if value >= modulus {
            return Err(PaillierError::GeneratorRange(name));
        }
        if value.is_one() || *value == modulus - 1u32 {
            return Err(PaillierError::GeneratorTrivial(name));
        }
        let row = limbs::from_biguint(value, 2 * ring.limbs());
        if value.is_zero() || ring.all_units(&ring.enter(&row, row.len())).is_err() {
            return Err(PaillierError::GeneratorNotUnit(name));
        }
    }
    let row = limbs::from_biguint(h, ring.limbs());
    let n_limbs = limbs::from_biguint(n, ring.limbs());
    let power = ring.leave(&ring.pow_public(&ring.enter(&row, row.len()), &n_limbs));
    if limbs::to_biguint(&power) != *h_s {
        return Err(PaillierError::GeneratorMismatch);
    }
    Ok(())
}
