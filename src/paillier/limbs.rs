//! Little-endian limbs: the few helpers that keys, plaintexts and CRT need
//! around the batch arithmetic of [`crate::bignum`].
//!
//! Everything here runs in time that depends on lengths only, never on values,
//! unless its name says otherwise: p, q, plaintexts and randomisers pass
//! through.

use num_bigint::BigUint;
use rand::CryptoRng;
use zeroize::Zeroizing;

/// Limbs that hold `bits` bits.
pub(super) fn limbs_for(bits: u32) -> usize {
    bits.div_ceil(64) as usize
}

/// Length in bits; for public values and for lengths that are public.
pub(super) fn bits_vartime(a: &[u64]) -> u32 {
    a.iter()
        .rposition(|&limb| limb != 0)
        .map_or(0, |top| 64 * (top as u32 + 1) - a[top].leading_zeros())
}

/// A public value as `width` limbs.
///
/// # Panics
///
/// If it does not fit.
pub(super) fn from_biguint(value: &BigUint, width: usize) -> Vec<u64> {
    let mut limbs = value.to_u64_digits();
    assert!(limbs.len() <= width, "value wider than {width} limbs");
    limbs.resize(width, 0);
    limbs
}

/// A public value from limbs.
pub(super) fn to_biguint(limbs: &[u64]) -> BigUint {
    let mut words = Vec::with_capacity(2 * limbs.len());
    for &limb in limbs {
        words.push(limb as u32);
        words.push((limb >> 32) as u32);
    }
    BigUint::new(words)
}

/// Writes the big-endian bytes `bytes` into `limbs`.
///
/// # Panics
///
/// If there are more bytes than `limbs` hold.
pub(super) fn read_be(bytes: &[u8], limbs: &mut [u64]) {
    assert!(bytes.len() <= 8 * limbs.len(), "more bytes than limbs");
    limbs.fill(0);
    let (top, whole) = bytes.as_rchunks::<8>();
    for (limb, word) in limbs.iter_mut().zip(whole.iter().rev()) {
        *limb = u64::from_be_bytes(*word);
    }
    for &byte in top {
        limbs[whole.len()] = limbs[whole.len()] << 8 | u64::from(byte);
    }
}

/// Writes the low `bytes.len()` bytes of `limbs`, big-endian.
pub(super) fn write_be(limbs: &[u64], bytes: &mut [u8]) {
    let (top, whole) = bytes.as_rchunks_mut::<8>();
    let mut limbs = limbs.iter().copied().chain(std::iter::repeat(0));
    for (word, limb) in whole.iter_mut().rev().zip(&mut limbs) {
        *word = limb.to_be_bytes();
    }
    let last = limbs.next().unwrap_or(0).to_be_bytes();
    top.copy_from_slice(&last[8 - top.len()..]);
}

/// Writes rows of `row_limbs` limbs as rows of `width` bytes: [`write_be`] of
/// each.
pub(super) fn write_rows_be(rows: &[u64], row_limbs: usize, bytes: &mut [u8], width: usize) {
    let bytes = bytes.chunks_exact_mut(width);
    for (row, out) in rows.chunks_exact(row_limbs).zip(bytes) {
        write_be(row, out);
    }
}

/// a + b·mask into `a` (b no longer than a; mask all ones or zero); the carry.
pub(super) fn add_masked(a: &mut [u64], b: &[u64], mask: u64) -> u64 {
    let mut carry = 0;
    for (i, limb) in a.iter_mut().enumerate() {
        let other = b.get(i).copied().unwrap_or(0) & mask;
        let sum = u128::from(*limb) + u128::from(other) + u128::from(carry);
        *limb = sum as u64;
        carry = (sum >> 64) as u64;
    }
    carry
}

/// a − b·mask into `a` (b no longer than a; mask all ones or zero); the borrow,
/// 0 or 1.
pub(super) fn sub_masked(a: &mut [u64], b: &[u64], mask: u64) -> u64 {
    let mut borrow = 0;
    for (i, limb) in a.iter_mut().enumerate() {
        let other = b.get(i).copied().unwrap_or(0) & mask;
        let (first, under) = limb.overflowing_sub(other);
        let (second, under_again) = first.overflowing_sub(borrow);
        *limb = second;
        borrow = u64::from(under) | u64::from(under_again);
    }
    borrow
}

/// a − b mod m into `a`, for a, b < m of the same length.
pub(super) fn sub_mod(a: &mut [u64], b: &[u64], m: &[u64]) {
    let borrow = sub_masked(a, b, u64::MAX);
    add_masked(a, m, borrow.wrapping_neg());
}

/// 1 if a < b, else 0, for equal lengths.
pub(super) fn less(a: &[u64], b: &[u64]) -> u64 {
    debug_assert_eq!(a.len(), b.len());
    let mut borrow = 0;
    for (&x, &y) in a.iter().zip(b) {
        let (first, under) = x.overflowing_sub(y);
        let (_, under_again) = first.overflowing_sub(borrow);
        borrow = u64::from(under) | u64::from(under_again);
    }
    borrow
}

/// a·b + c into `out`, which must be as long as a and b together; c no longer
/// than `out`, and the result must fit.
pub(super) fn mul_add(out: &mut [u64], a: &[u64], b: &[u64], c: &[u64]) {
    debug_assert_eq!(out.len(), a.len() + b.len());
    out.fill(0);
    out[..c.len()].copy_from_slice(c);
    for (i, &x) in a.iter().enumerate() {
        let mut carry = 0;
        for (j, &y) in b.iter().enumerate() {
            let sum = u128::from(x) * u128::from(y) + u128::from(out[i + j]) + u128::from(carry);
            out[i + j] = sum as u64;
            carry = (sum >> 64) as u64;
        }
        for limb in &mut out[i + b.len()..] {
            let sum = u128::from(*limb) + u128::from(carry);
            *limb = sum as u64;
            carry = (sum >> 64) as u64;
        }
    }
}

/// Whether all limbs are zero.
pub(super) fn is_zero(a: &[u64]) -> bool {
    a.iter().fold(0, |all, limb| all | limb) == 0
}

/// The row `row`, `count` times one after the other.
pub(super) fn repeat(row: &[u64], count: usize) -> Zeroizing<Vec<u64>> {
    Zeroizing::new(row.repeat(count))
}

/// `count` rows of `width` limbs, each uniform below 2^bits.
pub(super) fn random_rows(
    count: usize,
    bits: u32,
    width: usize,
    rng: &mut impl CryptoRng,
) -> Zeroizing<Vec<u64>> {
    let mut rows = Zeroizing::new(vec![0; count * width]);
    fill(&mut rows, rng);
    for row in rows.chunks_exact_mut(width) {
        keep_bits(row, bits);
    }
    rows
}

/// `count` rows as long as `bound`, each uniform in 1..bound, by rejection (how
/// many draws are rejected tells nothing of the one that is kept).
pub(super) fn random_below(
    count: usize,
    bound: &[u64],
    rng: &mut impl CryptoRng,
) -> Zeroizing<Vec<u64>> {
    let bits = bits_vartime(bound);
    let mut rows = random_rows(count, bits, bound.len(), rng);
    for row in rows.chunks_exact_mut(bound.len()) {
        while is_zero(row) || less(row, bound) == 0 {
            fill(row, rng);
            keep_bits(row, bits);
        }
    }
    rows
}

/// Random limbs, in one call of the generator: the operating system's takes
/// longer for a call than for a row.
fn fill(limbs: &mut [u64], rng: &mut impl CryptoRng) {
    let mut bytes = Zeroizing::new(vec![0; 8 * limbs.len()]);
    rng.fill_bytes(&mut bytes);
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
}

/// Clears all but the low `bits` bits.
fn keep_bits(row: &mut [u64], bits: u32) {
    for (i, limb) in row.iter_mut().enumerate() {
        if let kept @ 0..64 = bits.saturating_sub(64 * i as u32) {
            *limb &= (1 << kept) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    proptest! {
        #[test]
        fn sums_differences_and_products_agree_with_num_bigint(
            a in prop::collection::vec(any::<u64>(), 1..6),
            b in prop::collection::vec(any::<u64>(), 1..6),
            c in any::<u64>(),
        ) {
            let (x, y) = (to_biguint(&a), to_biguint(&b));
            let mut out = vec![0; a.len() + b.len()];
            mul_add(&mut out, &a, &b, &[c]);
            // The greatest product plus one limb still fits, for a·b ≤ 2^128 − 2^65 + 1.
            prop_assert_eq!(to_biguint(&out), &x * &y + c);

            let width = a.len().max(b.len());
            let (mut p, mut q) = (a.clone(), b.clone());
            p.resize(width, 0);
            q.resize(width, 0);
            prop_assert_eq!(less(&p, &q) == 1, x < y);
            let mut sum = p.clone();
            let carry = add_masked(&mut sum, &q, u64::MAX);
            sum.push(carry);
            prop_assert_eq!(to_biguint(&sum), &x + &y);
            let mut difference = p.clone();
            let borrow = sub_masked(&mut difference, &q, u64::MAX);
            prop_assert_eq!(borrow == 1, x < y);
            add_masked(&mut difference, &q, u64::MAX);
            prop_assert_eq!(difference, p);
        }

        #[test]
        fn bytes_and_big_integers_round_trip(a in prop::collection::vec(any::<u64>(), 1..6)) {
            let mut bytes = vec![0; 8 * a.len()];
            write_be(&a, &mut bytes);
            prop_assert_eq!(BigUint::from_bytes_be(&bytes), to_biguint(&a));
            let mut back = vec![1; a.len()];
            read_be(&bytes, &mut back);
            prop_assert_eq!(&back, &a);
            prop_assert_eq!(from_biguint(&to_biguint(&a), a.len()), a.clone());
            prop_assert_eq!(u64::from(bits_vartime(&a)), to_biguint(&a).bits());
        }
    }

    #[test]
    fn random_rows_have_no_bit_above_the_bound() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for bits in [1, 63, 64, 65, 127, 128] {
            let rows = random_rows(50, bits, 3, &mut rng);
            assert!(rows.chunks(3).all(|row| bits_vartime(row) <= bits));
            assert!(rows.chunks(3).any(|row| bits_vartime(row) == bits));
        }
    }

    #[test]
    fn random_below_covers_the_whole_range_and_never_zero() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let rows = random_below(200, &[5, 0], &mut rng);
        let mut seen = [0; 6];
        for row in rows.chunks(2) {
            assert_eq!(row[1], 0);
            seen[row[0] as usize] += 1;
        }
        assert_eq!(seen[0], 0);
        assert_eq!(seen[5], 0);
        assert!(seen[1..5].iter().all(|&count| count > 20), "{seen:?}");
    }
}
