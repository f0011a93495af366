//! Primality, small factors, gcd and symbols of numbers that fit no machine
//! word.

use crypto_bigint::{BoxedUint, Gcd};
use crypto_primes::{Flavor, is_prime as baillie_psw};
use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{One, Zero};
use std::sync::LazyLock;
use zeroize::Zeroizing;

use super::limbs;

/// Trial division goes up to this bound.
pub(super) const SMALL: u32 = 1 << 16;

/// The primes below [`SMALL`].
static SMALL_PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut composite = vec![false; SMALL as usize];
    let mut primes = Vec::new();
    for candidate in 2..SMALL as usize {
        if !composite[candidate] {
            primes.push(candidate as u32);
            for multiple in (candidate * candidate..SMALL as usize).step_by(candidate) {
                composite[multiple] = true;
            }
        }
    }
    primes
});

/// The primes below [`SMALL`].
pub(super) fn small_primes() -> &'static [u32] {
    &SMALL_PRIMES
}

/// `value` mod `divisor`.
fn remainder(value: &[u64], divisor: u64) -> u64 {
    value.iter().rev().fold(0, |rest, &limb| {
        (((u128::from(rest) << 64) | u128::from(limb)) % u128::from(divisor)) as u64
    })
}

/// The least prime below 2^16 that divides `value` and is not `value` itself.
pub(super) fn small_factor(value: &[u64]) -> Option<u32> {
    // Four primes share one pass over the limbs: their product fits a limb.
    small_primes().chunks(4).find_map(|primes| {
        let product = primes.iter().map(|&p| u64::from(p)).product();
        let rest = remainder(value, product);
        primes
            .iter()
            .copied()
            .find(|&p| rest.is_multiple_of(u64::from(p)) && limbs::bits_vartime(value) > 16)
    })
}

/// Whether `value` (odd, without small factors) is a prime, by the Baillie-PSW
/// test, for which no composite is known that passes.
pub(super) fn is_prime(value: &[u64]) -> bool {
    let value = Zeroizing::new(BoxedUint::from_words(value.iter().copied()));
    baillie_psw(Flavor::Any, &*value)
}

/// gcd(a, b) = 1, in constant time; a odd, equal lengths.
pub(super) fn coprime(a: &[u64], b: &[u64]) -> bool {
    let a = Zeroizing::new(BoxedUint::from_words(a.iter().copied()));
    let b = Zeroizing::new(BoxedUint::from_words(b.iter().copied()));
    let gcd = Zeroizing::new(a.gcd(&b));
    gcd.is_one().into()
}

/// a^{-1} mod m for an odd m and equal lengths, in constant time; `None` if
/// there is none.
pub(super) fn invert(a: &[u64], m: &[u64]) -> Option<Zeroizing<Vec<u64>>> {
    let a = Zeroizing::new(BoxedUint::from_words(a.iter().copied()));
    let odd = Zeroizing::new(
        BoxedUint::from_words(m.iter().copied())
            .into_odd()
            .into_option()?,
    );
    let inverse = Zeroizing::new(a.invert_odd_mod(&odd).into_option()?);
    Some(Zeroizing::new(inverse.as_words().to_vec()))
}

/// The Jacobi symbol (a/n) of public numbers, for an odd n.
pub(super) fn jacobi_vartime(a: &BigUint, n: &BigUint) -> i32 {
    let (mut a, mut n) = (a % n, n.clone());
    let mut symbol = 1;
    let low = |x: &BigUint| x.iter_u64_digits().next().unwrap_or(0);
    while !a.is_zero() {
        let twos = a.trailing_zeros().unwrap_or(0);
        a >>= twos;
        // (2/n) = −1 for n ≡ ±3 mod 8.
        if twos.is_odd() && matches!(low(&n) % 8, 3 | 5) {
            symbol = -symbol;
        }
        // Quadratic reciprocity.
        if low(&a) % 4 == 3 && low(&n) % 4 == 3 {
            symbol = -symbol;
        }
        std::mem::swap(&mut a, &mut n);
        a %= &n;
    }
    if n.is_one() { symbol } else { 0 }
}

/// The least k ≥ 2 for which `n` is a perfect k-th power, for an n without
/// factors below [`SMALL`]: a k-th root has more than 16 bits, which bounds k.
pub(super) fn perfect_power_vartime(n: &BigUint) -> Option<u32> {
    let most = (n.bits() / 16) as u32;
    let limbs: Vec<u64> = n.iter_u64_digits().collect();
    small_primes()
        .iter()
        .copied()
        .take_while(|&k| k <= most)
        .find(|&k| may_be_power(&limbs, k) && n.nth_root(k).pow(k) == *n)
}

/// Whether `n` is a k-th power modulo each of some primes r ≡ 1 mod k, as every
/// k-th power is: n^((r−1)/k) ≡ 1 mod r. Of other numbers, a fraction of
/// 1/k is for each r.
fn may_be_power(n: &[u64], k: u32) -> bool {
    const TESTS: usize = 24;
    small_primes()
        .iter()
        .filter(|&&r| r > 2 && r % k == 1)
        .take(TESTS)
        .all(|&r| {
            let mut base = remainder(n, u64::from(r));
            let (mut exponent, mut power) = ((r - 1) / k, 1);
            while exponent > 0 {
                if exponent % 2 == 1 {
                    power = power * base % u64::from(r);
                }
                base = base * base % u64::from(r);
                exponent /= 2;
            }
            power == 1
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_6542_primes_below_2_to_the_16() {
        assert_eq!(small_primes().len(), 6542);
        assert_eq!(small_primes()[..5], [2, 3, 5, 7, 11]);
        assert_eq!(small_primes().last(), Some(&65_521));
    }

    #[test]
    fn small_factors_are_found() {
        let large = (1u64 << 61) - 1;
        assert_eq!(small_factor(&[large, 0]), None);
        for p in [3, 5, 257, 65_521] {
            let product = u128::from(large) * u128::from(p);
            let limbs = [product as u64, (product >> 64) as u64];
            assert_eq!(small_factor(&limbs), Some(p));
        }
    }

    #[test]
    fn primes_and_composites_are_told_apart() {
        let p = (1u64 << 61) - 1;
        let q = (1u64 << 31) - 1;
        assert!(is_prime(&[p]));
        let product = u128::from(p) * u128::from(q);
        assert!(!is_prime(&[product as u64, (product >> 64) as u64]));
    }

    #[test]
    fn perfect_powers_are_found() {
        let root = BigUint::from(65_537u32);
        for k in [2u32, 3, 5, 7, 11] {
            assert_eq!(perfect_power_vartime(&root.pow(k)), Some(k));
        }
        assert_eq!(perfect_power_vartime(&root.pow(9)), Some(3));
        assert_eq!(
            perfect_power_vartime(&(root.pow(2) * BigUint::from(65_539u32))),
            None
        );
    }

    #[test]
    fn the_jacobi_symbol_is_the_product_of_eulers_criteria() {
        let (p, q) = (1_000_003u32, 1_000_033u32);
        let legendre = |a: u32, p: u32| {
            let power = BigUint::from(a).modpow(&BigUint::from((p - 1) / 2), &BigUint::from(p));
            if power.is_zero() {
                0
            } else if power.is_one() {
                1
            } else {
                -1
            }
        };
        let n = BigUint::from(p) * q;
        for a in (1..200).chain([p, q, p - 1, 2 * p]) {
            assert_eq!(
                jacobi_vartime(&BigUint::from(a), &n),
                legendre(a, p) * legendre(a, q),
                "{a}"
            );
        }
    }

    #[test]
    fn inverses_are_inverses() {
        let m = (1u64 << 61) - 1;
        let inverse = invert(&[12_345], &[m]).expect("a prime modulus");
        assert_eq!(u128::from(inverse[0]) * 12_345 % u128::from(m), 1);
        assert!(invert(&[15], &[45]).is_none());
        assert!(coprime(&[45], &[14]));
        assert!(!coprime(&[45], &[12]));
    }
}
