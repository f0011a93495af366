//! A plaintext: a signed integer that stays secret.

use std::fmt;

use num_bigint::{BigInt, Sign};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::limbs;

/// A signed integer x, standing for the residue x mod n of smallest magnitude:
/// −n/2 < x < n/2.
///
/// It is kept as two's complement limbs, independent of any key, wiped when
/// dropped, compared in constant time, and absent from `Debug`.
#[derive(Clone)]
pub struct Plaintext {
    limbs: Zeroizing<Vec<u64>>,
}

impl Plaintext {
    /// From a small integer.
    pub fn from_i64(value: i64) -> Plaintext {
        Plaintext::from_twos_complement(Zeroizing::new(vec![value as u64]))
    }

    /// From an integer of any size. Whether it fits a key is checked when it is
    /// encrypted ([`PublicKey::holds`](super::PublicKey::holds)).
    pub fn from_signed(value: &BigInt) -> Plaintext {
        let bytes = Zeroizing::new(value.to_signed_bytes_le());
        let fill = if value.sign() == Sign::Minus { 0xff } else { 0 };
        let limbs = bytes
            .chunks(8)
            .map(|chunk| {
                let mut limb = [fill; 8];
                limb[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(limb)
            })
            .collect();
        Plaintext::from_twos_complement(Zeroizing::new(limbs))
    }

    /// The integer. The copy is the caller's to guard: a big integer is not
    /// wiped when dropped.
    pub fn to_signed(&self) -> BigInt {
        let negative = self.sign() != 0;
        let magnitude = self.magnitude(self.limbs.len());
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        BigInt::from_biguint(sign, limbs::to_biguint(&magnitude))
    }

    /// The integer, if it fits.
    pub fn to_i64(&self) -> Option<i64> {
        let low = *self.limbs.first()?;
        let sign = ((low as i64) >> 63) as u64;
        self.limbs[1..]
            .iter()
            .all(|&limb| limb == sign)
            .then_some(low as i64)
    }

    pub(super) fn from_twos_complement(limbs: Zeroizing<Vec<u64>>) -> Plaintext {
        assert!(!limbs.is_empty(), "a plaintext has at least one limb");
        Plaintext { limbs }
    }

    pub(super) fn twos_complement(&self) -> &[u64] {
        &self.limbs
    }

    /// All ones if negative, else 0.
    fn sign(&self) -> u64 {
        ((self.limbs[self.limbs.len() - 1] as i64) >> 63) as u64
    }

    /// |x| in at least `width` limbs.
    fn magnitude(&self, width: usize) -> Zeroizing<Vec<u64>> {
        let sign = self.sign();
        let mut limbs = self.extended(width);
        limbs.iter_mut().for_each(|limb| *limb ^= sign);
        limbs::add_masked(&mut limbs, &[1], sign);
        limbs
    }

    /// Sign-extended to at least `width` limbs.
    fn extended(&self, width: usize) -> Zeroizing<Vec<u64>> {
        let mut limbs = Zeroizing::new(Vec::with_capacity(width.max(self.limbs.len())));
        limbs.extend_from_slice(&self.limbs);
        let sign = self.sign();
        while limbs.len() < width {
            limbs.push(sign);
        }
        limbs
    }

    /// Whether |x| < n/2.
    pub(super) fn fits(&self, n: &[u64]) -> bool {
        let magnitude = self.magnitude(n.len());
        let (low, high) = magnitude.split_at(n.len());
        // |x| ≤ (n − 1)/2, n being odd.
        let mut half = Zeroizing::new(n.to_vec());
        for i in 0..half.len() {
            half[i] = (n[i] >> 1) | n.get(i + 1).map_or(0, |next| next << 63);
        }
        limbs::is_zero(high) & (limbs::less(&half, low) == 0)
    }

    /// x mod n into `row`, as long as n.
    ///
    /// # Panics
    ///
    /// If x does not fit n.
    pub(super) fn write_residue(&self, n: &[u64], row: &mut [u64]) {
        assert!(self.fits(n), "plaintext does not fit the key");
        row.copy_from_slice(&self.extended(n.len())[..n.len()]);
        limbs::add_masked(row, n, self.sign());
    }

    /// The integer of smallest magnitude that is `residue` mod n, for
    /// residue < n, both equally long.
    pub(super) fn from_residue(residue: &[u64], n: &[u64]) -> Plaintext {
        // n − residue < residue, i.e. residue > n/2: subtract n.
        let mut other = Zeroizing::new(n.to_vec());
        limbs::sub_masked(&mut other, residue, u64::MAX);
        let negative = limbs::less(&other, residue).wrapping_neg();
        let mut row = Zeroizing::new(residue.to_vec());
        limbs::sub_masked(&mut row, n, negative);
        // |x| < n/2 < 2^(64·limbs − 1): the top bit is the sign.
        Plaintext::from_twos_complement(row)
    }
}

impl From<i64> for Plaintext {
    fn from(value: i64) -> Plaintext {
        Plaintext::from_i64(value)
    }
}

impl ConstantTimeEq for Plaintext {
    fn ct_eq(&self, other: &Plaintext) -> subtle::Choice {
        let width = self.limbs.len().max(other.limbs.len());
        self.extended(width)
            .as_slice()
            .ct_eq(other.extended(width).as_slice())
    }
}

impl PartialEq for Plaintext {
    fn eq(&self, other: &Plaintext) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Plaintext {}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_integer::Integer;
    use proptest::prelude::*;

    fn signed() -> impl Strategy<Value = BigInt> {
        (prop::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(bytes, negative)| {
            let magnitude = BigInt::from_bytes_be(Sign::Plus, &bytes);
            if negative { -magnitude } else { magnitude }
        })
    }

    proptest! {
        #[test]
        fn integers_of_any_size_round_trip(value in signed()) {
            prop_assert_eq!(Plaintext::from_signed(&value).to_signed(), value);
        }

        #[test]
        fn residues_agree_with_num_bigint(value in signed(), n in prop::collection::vec(any::<u64>(), 1..5)) {
            let mut n = n;
            n[0] |= 1;
            *n.last_mut().expect("not empty") |= 1 << 62;
            let modulus = limbs::to_biguint(&n);
            let plaintext = Plaintext::from_signed(&value);
            let fits = value.magnitude() * 2u32 < modulus;
            prop_assert_eq!(plaintext.fits(&n), fits);
            if fits {
                let mut row = vec![7; n.len()];
                plaintext.write_residue(&n, &mut row);
                prop_assert_eq!(BigInt::from(limbs::to_biguint(&row)), value.mod_floor(&BigInt::from(modulus)));
                prop_assert_eq!(Plaintext::from_residue(&row, &n).to_signed(), value);
            }
        }

        #[test]
        fn small_integers_are_equal_in_any_width(a in any::<i64>(), b in any::<i64>()) {
            let wide = Plaintext::from_twos_complement(Plaintext::from_i64(a).extended(5));
            prop_assert_eq!(wide.to_i64(), Some(a));
            prop_assert_eq!(&wide, &Plaintext::from_i64(a));
            prop_assert_eq!(wide == Plaintext::from_i64(b), a == b);
        }
    }

    #[test]
    fn half_of_n_is_where_signs_change() {
        let n = [101u64];
        for (value, fits) in [(50i64, true), (-50, true), (51, false), (-51, false)] {
            assert_eq!(Plaintext::from_i64(value).fits(&n), fits, "{value}");
        }
        for residue in 0..101u64 {
            let expected = if residue <= 50 {
                residue as i64
            } else {
                residue as i64 - 101
            };
            assert_eq!(
                Plaintext::from_residue(&[residue], &n).to_i64(),
                Some(expected)
            );
        }
    }

    #[test]
    fn wide_integers_are_no_i64() {
        assert_eq!(
            Plaintext::from_signed(&(BigInt::from(1) << 63)).to_i64(),
            None
        );
        assert_eq!(
            Plaintext::from_signed(&(BigInt::from(-1) << 64)).to_i64(),
            None
        );
        assert_eq!(
            Plaintext::from_signed(&BigInt::from(i64::MIN)).to_i64(),
            Some(i64::MIN)
        );
    }
}
