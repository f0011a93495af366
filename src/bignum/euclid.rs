//! The inverse of one public number, by Lehmer's variant of the extended
//! Euclidean algorithm.
//!
//! Most quotients of the algorithm follow from the leading 64 bits of its two
//! numbers (Knuth, TAOCP 2, §4.5.2, Algorithm L; Jebelean, "A double-digit
//! Lehmer-Euclid algorithm", 1995, for the condition that they do). About 18 of
//! them are collected in a 2×2 matrix of words, and only then are the long
//! numbers touched. The time depends on the numbers.

use num_bigint::BigUint;
use num_integer::Integer;

use super::power::bit_length;

/// Little-endian limbs as a public number.
pub(super) fn number(limbs: &[u64]) -> BigUint {
    let bytes: Vec<u8> = limbs.iter().flat_map(|l| l.to_le_bytes()).collect();
    BigUint::from_bytes_le(&bytes)
}

/// Several steps (a, b) → (b, a mod b) at once: a′ = |u·a − v·b| and
/// b′ = |s·a − t·b|.
struct Steps {
    u: u64,
    v: u64,
    s: u64,
    t: u64,
    /// Whether there is an odd number of them: then u·a and t·b are what is
    /// taken off.
    odd: bool,
}

/// The steps that the leading bits of a ≥ b are sure of; none if v is 0.
fn simulate(mut a: u64, mut b: u64) -> Steps {
    let (mut u, mut s, mut next_s) = (0u64, 1u64, 0u64);
    let (mut v, mut t, mut next_t) = (0u64, 0u64, 1u64);
    let mut odd = true;
    // What the lower bits may change is less than the cofactors (Jebelean,
    // condition of Collins), which are as long as what has been divided off.
    while b >= next_t && a - b >= t + next_t {
        let (q, r) = (a / b, a % b);
        (a, b) = (b, r);
        (u, s, next_s) = (s, next_s, s + q * next_s);
        (v, t, next_t) = (t, next_t, t + q * next_t);
        odd = !odd;
    }
    Steps { u, v, s, t, odd }
}

/// The 64 bits of `limbs` below bit `top`; limbs beyond the end are 0.
fn leading(limbs: &[u64], top: usize) -> u64 {
    let at = |i: usize| u128::from(limbs.get(i).copied().unwrap_or(0));
    match top.checked_sub(64) {
        Some(low) => ((at(low / 64) | at(low / 64 + 1) << 64) >> (low % 64)) as u64,
        None => (at(0) << (64 - top)) as u64,
    }
}

/// (x·a − y·b, z·b − w·a), neither of them negative, in place.
fn differences(a: &mut [u64], b: &mut [u64], [x, y, z, w]: [u64; 4]) {
    let product = |x: u64, y: u64| u128::from(x) * u128::from(y);
    let (mut plus, mut minus) = ([0u64; 2], [0u64; 2]);
    let mut borrow = [false; 2];
    for (a, b) in a.iter_mut().zip(b) {
        let terms = [
            (product(x, *a), product(y, *b)),
            (product(z, *b), product(w, *a)),
        ];
        let mut out = [0; 2];
        for (i, (p, m)) in terms.into_iter().enumerate() {
            let p = p + u128::from(plus[i]);
            let m = m + u128::from(minus[i]);
            (plus[i], minus[i]) = ((p >> 64) as u64, (m >> 64) as u64);
            let (low, under) = (p as u64).overflowing_sub(m as u64);
            let (low, again) = low.overflowing_sub(u64::from(borrow[i]));
            borrow[i] = under | again;
            out[i] = low;
        }
        [*a, *b] = out;
    }
}

/// (x·a + y·b, z·b + w·a) in place; the sums must fit.
fn sums(a: &mut [u64], b: &mut [u64], [x, y, z, w]: [u64; 4]) {
    let product = |x: u64, y: u64| u128::from(x) * u128::from(y);
    let mut carry = [0u128; 2];
    for (a, b) in a.iter_mut().zip(b) {
        let mut out = [0; 2];
        for (i, (p, m)) in [
            (product(x, *a), product(y, *b)),
            (product(z, *b), product(w, *a)),
        ]
        .into_iter()
        .enumerate()
        {
            // Three numbers may exceed 128 bits: the lower halves go first.
            let low =
                u128::from(p as u64) + u128::from(m as u64) + (carry[i] & u128::from(u64::MAX));
            carry[i] = (p >> 64) + (m >> 64) + (carry[i] >> 64) + (low >> 64);
            out[i] = low as u64;
        }
        [*a, *b] = out;
    }
}

/// The inverse of x modulo m, as wide as m; `None` if they share a factor, or
/// x is 0. Both have as many limbs, x is below m, and m is at least 2.
pub(super) fn inverse(x: &[u64], m: &[u64]) -> Option<Vec<u64>> {
    let width = m.len();
    let (mut a, mut b) = (m.to_vec(), x.to_vec());
    // |a| = |p|·x and |b| = |q|·x modulo m; p and q have opposite signs, and q
    // is positive after an even number of steps. A word more than they need.
    let (mut p, mut q) = (vec![0; width + 1], vec![0; width + 1]);
    q[0] = 1;
    let mut odd = false;
    loop {
        let bits = bit_length(&a);
        let limbs = bits.div_ceil(64);
        if bit_length(&b) == 0 {
            break;
        }
        let steps = simulate(leading(&a, bits), leading(&b, bits));
        if steps.v == 0 {
            // One quotient that the leading bits do not tell.
            let (quotient, rest) = number(&a).div_rem(&number(&b));
            let next = number(&p) + quotient * number(&q);
            a = std::mem::replace(&mut b, padded(&rest, width));
            p = std::mem::replace(&mut q, padded(&next, width + 1));
            odd = !odd;
            continue;
        }
        let Steps { u, v, s, t, .. } = steps;
        let (a, b) = (&mut a[..limbs], &mut b[..limbs]);
        if steps.odd {
            // Here the signs are those of a single step: a′ = v·b − u·a.
            differences(b, a, [v, u, s, t]);
            a.swap_with_slice(b);
        } else {
            differences(a, b, [u, v, t, s]);
        }
        let known = (width + 1).min(width - limbs + 3);
        sums(&mut p[..known], &mut q[..known], [u, v, t, s]);
        odd ^= steps.odd;
    }
    let is_one = a[0] == 1 && a[1..].iter().all(|&limb| limb == 0);
    if !is_one {
        return None;
    }
    p.truncate(width);
    if !odd {
        // p is negative.
        let mut borrow = false;
        for (p, &m) in p.iter_mut().zip(m) {
            let (low, under) = m.overflowing_sub(*p);
            let (low, again) = low.overflowing_sub(u64::from(borrow));
            (*p, borrow) = (low, under | again);
        }
    }
    Some(p)
}

fn padded(value: &BigUint, width: usize) -> Vec<u64> {
    let mut limbs = value.to_u64_digits();
    limbs.resize(width, 0);
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(x: &[u64], m: &[u64]) {
        let expected = number(x).modinv(&number(m));
        let found = inverse(x, m).map(|found| number(&found));
        assert_eq!(found, expected);
    }

    /// Words where carries and long quotients come from.
    fn words(limbs: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u64>> {
        let word = prop_oneof![
            any::<u64>(),
            Just(0),
            Just(1),
            Just(u64::MAX),
            Just(1 << 63)
        ];
        prop::collection::vec(word, limbs)
    }

    proptest! {
        #[test]
        fn inverses_are_those_of_num_bigint((x, m) in (1usize..40).prop_flat_map(|n| (words(n), words(n)))) {
            let mut m = m;
            m[0] |= 3;
            let x = number(&x) % number(&m);
            let m = m[..bit_length(&m).div_ceil(64)].to_vec();
            check(&padded(&x, m.len()), &m);
        }
    }

    #[test]
    fn small_moduli_are_inverted_completely() {
        for m in 2..80u64 {
            for x in 0..m {
                check(&[x], &[m]);
            }
        }
        for x in [1, 2, u64::MAX - 1, u64::MAX / 2, 1 << 63] {
            check(&[x], &[u64::MAX]);
        }
    }

    #[test]
    fn fibonacci_numbers_take_the_most_steps() {
        let (mut a, mut b) = (BigUint::from(1u32), BigUint::from(2u32));
        for _ in 0..1000 {
            (a, b) = (b.clone(), a + b);
            let m = b.to_u64_digits();
            check(&padded(&a, m.len()), &m);
        }
    }
}
