//! New keys: two primes, and the conditions on them.
//!
//! DJN's randomisers want p ≡ q ≡ 3 mod 4 and gcd(p − 1, q − 1) = 2: then −1 is
//! no square modulo p or q, the numbers of Jacobi symbol 1 form a cyclic group
//! of order (p − 1)(q − 1)/2, and h = −x² generates it or a large subgroup.
//! Each condition is a function of its own, tested by itself.

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    MAX_BITS, MIN_BITS, PaillierError, PublicKey, STANDARD_BITS, SecretKey,
    crt::Crt,
    limbs,
    limbs::{limbs_for, random_rows},
    primality,
    public::Generators,
};
use crate::bignum::Ring;

impl SecretKey {
    /// A new key pair with n of exactly `bits` bits: 2048, 3072 or 4096.
    ///
    /// # Errors
    ///
    /// [`PaillierError::UnsupportedSize`] for any other size.
    pub fn generate(bits: u32, rng: &mut impl CryptoRng) -> Result<SecretKey, PaillierError> {
        if !STANDARD_BITS.contains(&bits) {
            return Err(PaillierError::UnsupportedSize(bits));
        }
        SecretKey::generate_insecure(bits, rng)
    }

    /// A new key pair of any even size from [`MIN_BITS`] to [`MAX_BITS`]. Below
    /// 2048 bits it protects nothing: for tests and demonstrations.
    ///
    /// # Errors
    ///
    /// [`PaillierError::UnsupportedSize`] for any other size.
    pub fn generate_insecure(
        bits: u32,
        rng: &mut impl CryptoRng,
    ) -> Result<SecretKey, PaillierError> {
        if !(MIN_BITS..=MAX_BITS).contains(&bits) || !bits.is_multiple_of(2) {
            return Err(PaillierError::UnsupportedSize(bits));
        }
        let (p, q) = primes(bits, rng);
        let n = product(&p, &q, bits);
        let (h, h_s) = generators(&n, rng)?;
        let public = PublicKey::trusted(
            n,
            Generators {
                h: limbs::to_biguint(&h),
                h_s: limbs::to_biguint(&h_s),
                small: false,
                steps: None,
            },
        )?;
        Ok(SecretKey::trusted(public, Crt::new(p, q, None)?))
    }
}

pub(super) type Prime = Zeroizing<Vec<u64>>;

/// n = p·q, which has `bits` bits.
pub(super) fn product(p: &[u64], q: &[u64], bits: u32) -> Vec<u64> {
    let mut n = vec![0; p.len() + q.len()];
    limbs::mul_add(&mut n, p, q, &[]);
    n.truncate(limbs_for(bits));
    n
}

/// Two primes that meet all conditions.
fn primes(bits: u32, rng: &mut impl CryptoRng) -> (Prime, Prime) {
    let p = prime(bits / 2, rng);
    loop {
        let q = prime(bits / 2, rng);
        if fit(&p, &q, bits) {
            return (p, q);
        }
    }
}

/// Whether p and q, both 3 mod 4, meet the conditions on the pair.
pub(super) fn fit(p: &[u64], q: &[u64], bits: u32) -> bool {
    differ(p, q) && far_apart(p, q, bits) && gcd_is_two(p, q) && gives(p, q, bits)
}

/// A uniform prime among those with `bits` bits, the two highest set (so that
/// the product of two has no bit less), that are 3 mod 4.
fn prime(bits: u32, rng: &mut impl CryptoRng) -> Prime {
    loop {
        let candidate = candidate(bits, rng);
        if primality::small_factor(&candidate).is_none() && primality::is_prime(&candidate) {
            return candidate;
        }
    }
}

fn candidate(bits: u32, rng: &mut impl CryptoRng) -> Prime {
    let mut candidate = odd(bits, rng);
    candidate[0] |= 2;
    candidate
}

/// A uniform odd number of `bits` bits, the two highest set.
pub(super) fn odd(bits: u32, rng: &mut impl CryptoRng) -> Prime {
    let mut candidate = random_rows(1, bits, limbs_for(bits), rng);
    for bit in [0, bits - 2, bits - 1] {
        candidate[bit as usize / 64] |= 1 << (bit % 64);
    }
    candidate
}

/// p ≡ 3 mod 4: −1 is no square modulo p.
#[cfg(test)]
fn is_three_mod_four(p: &[u64]) -> bool {
    p[0] % 4 == 3
}

/// p ≠ q.
fn differ(p: &[u64], q: &[u64]) -> bool {
    let differences = p.iter().zip(q).fold(0, |all, (a, b)| all | (a ^ b));
    differences != 0
}

/// |p − q| > 2^(bits/2 − 100) (FIPS 186-5, A.1.3), so that Fermat's method does
/// not find them; for toy keys, above 2^(bits/4).
fn far_apart(p: &[u64], q: &[u64], bits: u32) -> bool {
    let mut difference = Zeroizing::new(p.to_vec());
    let borrow = limbs::sub_masked(&mut difference, q, u64::MAX);
    if borrow == 1 {
        difference.copy_from_slice(q);
        limbs::sub_masked(&mut difference, p, u64::MAX);
    }
    limbs::bits_vartime(&difference) > (bits / 2).saturating_sub(100).max(bits / 4)
}

/// gcd(p − 1, q − 1) = 2, for p ≡ q ≡ 3 mod 4: their halves are odd and coprime.
fn gcd_is_two(p: &[u64], q: &[u64]) -> bool {
    let half = |p: &[u64]| -> Zeroizing<Vec<u64>> {
        // (p − 1)/2 is p shifted, p being odd.
        let next = |i: usize| p.get(i + 1).map_or(0, |limb| limb << 63);
        Zeroizing::new((0..p.len()).map(|i| (p[i] >> 1) | next(i)).collect())
    };
    primality::coprime(&half(p), &half(q))
}

/// p·q has exactly `bits` bits.
fn gives(p: &[u64], q: &[u64], bits: u32) -> bool {
    // Wiped: with the n of the pair that is kept, it would give p away.
    let mut n = Zeroizing::new(vec![0; p.len() + q.len()]);
    limbs::mul_add(&mut n, p, q, &[]);
    limbs::bits_vartime(&n) == bits
}

/// h = −x² mod n for a uniform x, and h_s = h^n mod n² (DJN, §4.2).
pub(super) fn generators(
    n: &[u64],
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u64>, Vec<u64>), PaillierError> {
    let ring = Ring::new(n)?;
    loop {
        let x = limbs::random_below(1, n, rng);
        let h = negated_square(&ring, n, &x);
        let element = ring.enter(&h, h.len());
        let mut minus_one = n.to_vec();
        minus_one[0] -= 1;
        let one = limbs::from_biguint(&1u32.into(), n.len());
        if h == one || h == minus_one || ring.all_units(&element).is_err() {
            continue;
        }
        let h_s = ring.leave(&ring.pow_public(&element, n));
        return Ok((h, h_s));
    }
}

/// −x² mod n.
pub(super) fn negated_square(ring: &Ring, n: &[u64], x: &[u64]) -> Vec<u64> {
    let square = Zeroizing::new(ring.mul_mod(x, x));
    let mut h = vec![0; n.len()];
    limbs::sub_mod(&mut h, &square, n);
    h
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use num_integer::Integer;
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    fn two(a: u64, b: u64) -> (Vec<u64>, Vec<u64>) {
        (vec![a], vec![b])
    }

    #[test]
    fn candidates_have_the_right_length_and_are_three_mod_four() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for bits in [64, 65, 100, 128, 1024] {
            let c = candidate(bits, &mut rng);
            assert!(is_three_mod_four(&c));
            assert_eq!(limbs::bits_vartime(&c), bits);
            assert_eq!(c[(bits as usize - 2) / 64] >> ((bits - 2) % 64) & 1, 1);
        }
    }

    #[test]
    fn primes_that_are_one_mod_four_are_told_apart() {
        assert!(is_three_mod_four(&[7]));
        assert!(!is_three_mod_four(&[13]));
    }

    #[test]
    fn equal_primes_are_refused() {
        let (p, q) = two(7, 7);
        assert!(!differ(&p, &q));
        let (p, q) = two(7, 11);
        assert!(differ(&p, &q));
    }

    #[test]
    fn primes_that_lie_close_are_refused() {
        let (p, q) = two(u64::MAX, u64::MAX - (1 << 20));
        assert!(!far_apart(&p, &q, 128));
        assert!(!far_apart(&q, &p, 128));
        let (p, q) = two(u64::MAX, u64::MAX - (1 << 40));
        assert!(far_apart(&p, &q, 128));
        assert!(far_apart(&q, &p, 128));
    }

    #[test]
    fn a_common_factor_of_p_minus_1_and_q_minus_1_is_refused() {
        // 7 − 1 = 2·3, 19 − 1 = 2·9, 11 − 1 = 2·5.
        let (p, q) = two(7, 19);
        assert!(!gcd_is_two(&p, &q));
        let (p, q) = two(7, 11);
        assert!(gcd_is_two(&p, &q));
    }

    #[test]
    fn a_product_that_is_a_bit_short_is_refused() {
        let (p, q) = two(11, 13);
        assert!(gives(&p, &q, 8));
        let (p, q) = two(11, 11);
        assert!(!gives(&p, &q, 8));
    }

    #[test]
    fn keys_meet_every_condition() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        for bits in [128, 130, 192, 256, 510, 512] {
            let (p, q) = primes(bits, &mut rng);
            let (p, q) = (limbs::to_biguint(&p), limbs::to_biguint(&q));
            assert_eq!((&p * &q).bits(), u64::from(bits));
            assert_eq!(&p % 4u32, BigUint::from(3u32));
            assert_eq!(&q % 4u32, BigUint::from(3u32));
            let gcd = (&p - 1u32).gcd(&(&q - 1u32));
            assert_eq!(gcd, BigUint::from(2u32));
        }
    }

    #[test]
    fn h_is_minus_a_square_and_h_s_its_nth_power() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let (p, q) = primes(256, &mut rng);
        let (big_p, big_q) = (limbs::to_biguint(&p), limbs::to_biguint(&q));
        let big_n = &big_p * &big_q;
        let n = limbs::from_biguint(&big_n, 4);
        let (h, h_s) = generators(&n, &mut rng).expect("an odd n");
        let (h, h_s) = (limbs::to_biguint(&h), limbs::to_biguint(&h_s));
        assert_eq!(h_s, h.modpow(&big_n, &(&big_n * &big_n)));
        // −h is a square modulo both primes.
        for p in [big_p, big_q] {
            let minus_h = (&big_n - &h) % &p;
            assert_eq!(
                minus_h.modpow(&((&p - 1u32) / 2u32), &p),
                BigUint::from(1u32)
            );
        }
    }

    #[test]
    fn only_standard_sizes_are_generated_without_saying_insecure() {
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        for bits in [0, 512, 1024, 2047, 2050, 8192] {
            assert_eq!(
                SecretKey::generate(bits, &mut rng).err(),
                Some(PaillierError::UnsupportedSize(bits))
            );
        }
        for bits in [0, 127, 126, 129, MAX_BITS + 2] {
            assert_eq!(
                SecretKey::generate_insecure(bits, &mut rng).err(),
                Some(PaillierError::UnsupportedSize(bits))
            );
        }
    }
}
