//! New subgroup keys, and what their owner checks when one is read. What they
//! are stands in [`scheme`](super::scheme).

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    MIN_BITS, PaillierError, PublicKey, STANDARD_BITS, SecretKey,
    crt::Crt,
    generate::{Prime, fit, negated_square, odd, product},
    limbs::{self, limbs_for},
    primality,
    public::Generators,
    scheme::order_bits,
    steps,
};
use crate::bignum::Ring;

/// The names of the orders, in key files and messages.
const NAMES: [&str; 2] = ["alpha_p", "alpha_q"];

impl SecretKey {
    /// A new [`Scheme::Subgroup`](super::Scheme::Subgroup) key pair with n of
    /// exactly `bits` bits: 2048, 3072 or 4096. Takes several times as long as
    /// [`SecretKey::generate`].
    ///
    /// # Errors
    ///
    /// [`PaillierError::SubgroupSize`] for any other size.
    pub fn generate_subgroup(
        bits: u32,
        rng: &mut impl CryptoRng,
    ) -> Result<SecretKey, PaillierError> {
        if !STANDARD_BITS.contains(&bits) {
            return Err(PaillierError::SubgroupSize(bits));
        }
        SecretKey::generate_subgroup_insecure(bits, rng)
    }

    /// A new subgroup key pair of a size that [`SecretKey::generate_subgroup`]
    /// takes, or any even one from [`MIN_BITS`] to 2046, which protects
    /// nothing: for tests and demonstrations.
    ///
    /// # Errors
    ///
    /// [`PaillierError::SubgroupSize`] for any other size.
    pub fn generate_subgroup_insecure(
        bits: u32,
        rng: &mut impl CryptoRng,
    ) -> Result<SecretKey, PaillierError> {
        let order_bits = match order_bits(bits) {
            Some(order_bits) if bits >= MIN_BITS && bits.is_multiple_of(2) => order_bits,
            _ => return Err(PaillierError::SubgroupSize(bits)),
        };
        let p = Factor::random(bits / 2, order_bits / 2, rng);
        let q = loop {
            let q = Factor::random(bits / 2, order_bits / 2, rng);
            // Four different primes: then no two of α_p, α_q, β_p, β_q have a
            // common divisor, and gcd(p − 1, q − 1) is 2.
            if *p.order != *q.order && fit(&p.prime, &q.prime, bits) {
                break q;
            }
        };
        let n = product(&p.prime, &q.prime, bits);
        let ring = Ring::new(&n)?;
        let mut cofactor = Zeroizing::new(vec![0; p.cofactor.len() + q.cofactor.len()]);
        limbs::mul_add(&mut cofactor, &p.cofactor, &q.cofactor, &[]);
        let crt = Crt::new(p.prime, q.prime, Some([p.order, q.order]))?;
        let (h, h_s) = loop {
            // h = −(y^β)² mod n for a uniform y.
            let y = limbs::random_below(1, &n, rng);
            let y = Zeroizing::new(ring.enter(&y, y.len()));
            let root = Zeroizing::new(ring.pow_secret(&y, &cofactor));
            let root = Zeroizing::new(ring.digits(&root).0);
            let h = negated_square(&ring, &n, &root);
            // Fails with a probability of 1/α_p + 1/α_q.
            if crt.p.has_order(&h) && crt.q.has_order(&h) {
                let h_s = ring.pow_public(&ring.enter(&h, h.len()), &n);
                break (h, ring.leave(&h_s));
            }
        };
        let steps = steps::of(&ring, &limbs::to_biguint(&n), &h);
        let public = PublicKey::trusted(
            n,
            Generators {
                h: limbs::to_biguint(&h),
                h_s: limbs::to_biguint(&h_s),
                small: true,
                steps: Some(steps),
            },
        )?;
        Ok(SecretKey::trusted(public, crt))
    }
}

/// 2·order·cofactor + 1, all three prime.
struct Factor {
    prime: Prime,
    order: Prime,
    cofactor: Prime,
}

impl Factor {
    /// A prime of `bits` bits over an order of `order_bits`. Order and cofactor
    /// have their two highest bits set, so that the prime's highest is.
    fn random(bits: u32, order_bits: u32, rng: &mut impl CryptoRng) -> Factor {
        /// Orders that are tried with one cofactor: many times as many as a
        /// long key needs on average, for short ones all that there are.
        const TRIES: u32 = 1 << 20;
        loop {
            let cofactor = prime(bits - order_bits - 1, rng);
            for _ in 0..TRIES {
                let order = odd(order_bits, rng);
                if primality::small_factor(&order).is_some() {
                    continue;
                }
                let prime = twice_plus_one(&order, &cofactor, bits);
                if primality::small_factor(&prime).is_none()
                    && primality::is_prime(&order)
                    && primality::is_prime(&prime)
                {
                    return Factor {
                        prime,
                        order,
                        cofactor,
                    };
                }
            }
        }
    }
}

/// 2·a·b + 1, of `bits` bits.
fn twice_plus_one(a: &[u64], b: &[u64], bits: u32) -> Prime {
    let mut once = Zeroizing::new(vec![0; a.len() + b.len()]);
    limbs::mul_add(&mut once, a, b, &[]);
    let mut twice = once.clone();
    limbs::add_masked(&mut twice, &once, u64::MAX);
    twice[0] += 1;
    twice.truncate(limbs_for(bits));
    twice
}

/// A uniform prime among those with `bits` bits, the two highest set.
fn prime(bits: u32, rng: &mut impl CryptoRng) -> Prime {
    loop {
        let candidate = odd(bits, rng);
        if primality::small_factor(&candidate).is_none() && primality::is_prime(&candidate) {
            return candidate;
        }
    }
}

/// α_p and α_q, minimal big-endian bytes, as far as they can be checked without
/// h: their length, primality, and that they divide p − 1 and q − 1.
pub(super) fn checked_orders(
    public: &PublicKey,
    primes: [&[u64]; 2],
    orders: [&[u8]; 2],
) -> Result<[Prime; 2], PaillierError> {
    let bits = public.exponent_bits() / 2;
    let mut checked = [(); 2].map(|()| Zeroizing::new(vec![0; limbs_for(bits)]));
    for i in 0..2 {
        let (name, order) = (NAMES[i], &mut checked[i]);
        let size = PaillierError::SubgroupOrderSize {
            name,
            expected: bits,
        };
        if orders[i].len() != bits.div_ceil(8) as usize {
            return Err(size);
        }
        limbs::read_be(orders[i], order);
        if limbs::bits_vartime(order) != bits {
            return Err(size);
        }
        let even = order[0].is_multiple_of(2);
        if even || primality::small_factor(order).is_some() || !primality::is_prime(order) {
            return Err(PaillierError::SubgroupOrderNotPrime(name));
        }
        let mut wide = Zeroizing::new(vec![0; primes[i].len()]);
        wide[..order.len()].copy_from_slice(order);
        let mut less_one = Zeroizing::new(primes[i].to_vec());
        less_one[0] -= 1;
        // A prime divides what it is not coprime to.
        if primality::coprime(&wide, &less_one) {
            return Err(PaillierError::SubgroupOrderNotDividing(name));
        }
    }
    if *checked[0] == *checked[1] {
        return Err(PaillierError::SubgroupOrdersEqual);
    }
    Ok(checked)
}

/// That h has the order 2α_p modulo p and 2α_q modulo q.
pub(super) fn check_h(public: &PublicKey, crt: &Crt) -> Result<(), PaillierError> {
    let h = public.h().ok_or(PaillierError::SubgroupOrdersUnexpected)?;
    let h = limbs::from_biguint(h, public.limbs().len());
    for (half, name) in [&crt.p, &crt.q].into_iter().zip(NAMES) {
        if !half.has_order(&h) {
            return Err(PaillierError::SubgroupOrderOfH(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
