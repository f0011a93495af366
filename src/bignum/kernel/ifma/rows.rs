//! Between 64-bit and 52-bit limbs, one number at a time: entering and leaving.

use zeroize::Zeroize;

use super::{
    super::limbs::reduce_once,
    lane::{BITS, MASK},
};

/// 64-bit limbs rewritten in 52-bit words; `words` must have room.
pub(super) fn to_words(limbs: &[u64], words: &mut [u64]) {
    let mut limbs = limbs.iter();
    let (mut held, mut bits) = (0u128, 0);
    for word in words {
        if bits < BITS {
            held |= u128::from(limbs.next().copied().unwrap_or(0)) << bits;
            bits += 64;
        }
        *word = held as u64 & MASK;
        held >>= BITS;
        bits -= BITS;
    }
}

/// 52-bit words rewritten in 64-bit limbs; bits beyond the last limb are 0 by
/// the caller's bounds.
pub(super) fn to_limbs(words: &[u64], limbs: &mut [u64]) {
    let mut words = words.iter();
    let (mut held, mut bits) = (0u128, 0);
    for limb in limbs {
        while bits < 64 {
            held |= u128::from(words.next().copied().unwrap_or(0)) << bits;
            bits += BITS;
        }
        *limb = held as u64;
        held >>= 64;
        bits -= 64;
    }
}

/// Canonical digits of a row whose digits are below 4m. `m1` and `m2` are m and
/// 2m in h + 1 limbs.
///
/// Digit 0 loses 2m and m if it holds them, and passes them to digit 1, which
/// is then below 4m + 3 and loses 2m, m and m.
pub(super) fn canonical(row: &[u64], m1: &[u64], m2: &[u64], u0: &mut [u64], u1: &mut [u64]) {
    let h = u0.len();
    let (w0, w1) = row.split_at(row.len() / 2);
    let mut digit = vec![0; h + 1];
    let mut spare = vec![0; h + 1];

    to_limbs(w0, &mut digit);
    let (_, twice) = reduce_once(0, &mut digit, m2, &mut spare);
    let (_, once) = reduce_once(0, &mut digit, m1, &mut spare);
    u0.copy_from_slice(&digit[..h]);

    to_limbs(w1, &mut digit);
    let mut add = 2 * twice + once;
    for limb in &mut digit {
        let (sum, over) = limb.overflowing_add(add);
        (*limb, add) = (sum, over as u64);
    }
    for multiple in [m2, m1, m1] {
        reduce_once(0, &mut digit, multiple, &mut spare);
    }
    u1.copy_from_slice(&digit[..h]);
    digit.zeroize();
    spare.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_limbs_hold_the_same_number() {
        let limbs: Vec<u64> = (1..=16u64)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        let mut words = vec![0; 20];
        to_words(&limbs, &mut words);
        assert!(words.iter().all(|&w| w <= MASK));
        let mut back = vec![1; 17];
        to_limbs(&words, &mut back);
        assert_eq!((&back[..16], back[16]), (&limbs[..], 0));
    }

    #[test]
    fn canonical_takes_up_to_three_moduli_off_each_digit() {
        // m = 7: every pair of digits below 4m, in rows of ten words.
        for x0 in 0..28u64 {
            for x1 in 0..28u64 {
                let mut row = [0; 20];
                (row[0], row[10]) = (x0, x1);
                let (mut u0, mut u1) = ([0], [0]);
                canonical(&row, &[7, 0], &[14, 0], &mut u0, &mut u1);
                assert_eq!((u0[0], u1[0]), (x0 % 7, (x1 + x0 / 7) % 7));
            }
        }
    }
}
