//! Many small signed integers in one plaintext.
//!
//! A plaintext of |n| bits has room for many slots of B bits. Values v_0, v_1, …
//! are packed as the *integer* Σ v_k·2^{Bk}, so that one ciphertext addition
//! adds all slots and one power by a weight multiplies them all. Slots are
//! signed: a negative value borrows from the slot above, and unpacking carries
//! from the lowest slot up. As long as every result lies in
//! −2^{B−1} ≤ v < 2^{B−1}, which the exact range of a layer guarantees, the
//! result is exact; nothing here is probable rather than certain.
//!
//! Two bits of n are left unused, so that |Σ v_k·2^{Bk}| < 2^{|n|−2} ≤ n/2 and
//! the sign of the whole is never lost.

use zeroize::Zeroizing;

use super::Plaintext;

/// How a plaintext is divided: `slots` signed slots of `bits` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotLayout {
    /// Bits of a slot, sign included: it holds −2^(bits−1) to 2^(bits−1) − 1.
    pub bits: u32,
    /// Slots of a plaintext.
    pub slots: usize,
}

impl SlotLayout {
    /// The widest slot, in bits.
    pub const MAX_BITS: u32 = 126;

    /// As many slots of `slot_bits` bits as a key of `key_bits` bits holds:
    /// (|n| − 2) / bits. No slots at all if `slot_bits` is 0, above 126 or too
    /// wide for the key.
    pub fn fit(key_bits: u32, slot_bits: u32) -> SlotLayout {
        let slots = match slot_bits {
            1..=SlotLayout::MAX_BITS => (key_bits.saturating_sub(2) / slot_bits) as usize,
            _ => 0,
        };
        SlotLayout {
            bits: slot_bits,
            slots,
        }
    }

    /// Whether a slot can hold `value`.
    pub fn holds(&self, value: i64) -> bool {
        self.bits > 64
            || (self.bits > 0 && {
                let rest = value >> (self.bits - 1);
                rest == 0 || rest == -1
            })
    }
}

/// A decrypted plaintext that no honest computation on packed values gives.
/// Values are not named: an error may be seen by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Something stands above the last used slot.
    #[error("the bits above slot {used} are not empty")]
    HighBits {
        /// Slots that hold results.
        used: usize,
    },
    /// A slot wider than 64 bits holds a value that 64 bits do not.
    #[error("slot {slot} holds a value wider than 64 bits")]
    Wide {
        /// Which slot, from 0.
        slot: usize,
    },
}

/// Packs `values` into the lowest slots; the others are empty.
///
/// # Panics
///
/// If there are more values than slots or a value does not fit its slot: the
/// caller has computed the layout from the values' range.
pub fn pack(values: &[i64], layout: SlotLayout) -> Plaintext {
    assert!(
        values.len() <= layout.slots,
        "{} values for {} slots",
        values.len(),
        layout.slots
    );
    assert!(
        values.iter().fold(true, |all, &v| all & layout.holds(v)),
        "a value does not fit a slot of {} bits",
        layout.bits
    );
    let bits = layout.bits as usize;
    let mut limbs = Zeroizing::new(vec![0u64; (bits * values.len()) / 64 + 1]);
    // −1 while the slots below are negative as a whole: they borrow.
    let mut carry: i128 = 0;
    for (slot, &value) in values.iter().enumerate() {
        let sum = i128::from(value) + carry;
        put(&mut limbs, slot * bits, sum as u128 & low_mask(layout.bits));
        carry = sum >> layout.bits;
    }
    // The sign of the whole, from the last slot's end to the top.
    let end = values.len() * bits;
    let sign = carry as u64;
    limbs[end / 64] |= sign << (end % 64);
    Plaintext::from_twos_complement(limbs)
}

/// Reads the lowest `used` slots and demands that nothing stands above them.
///
/// # Errors
///
/// [`PackError::HighBits`] if something does; [`PackError::Wide`] if a slot
/// wider than 64 bits holds more than an `i64`.
///
/// # Panics
///
/// If `used` is more than the layout's slots.
pub fn unpack(
    plaintext: &Plaintext,
    layout: SlotLayout,
    used: usize,
) -> Result<Vec<i64>, PackError> {
    assert!(used <= layout.slots, "{used} of {} slots", layout.slots);
    let bits = layout.bits as usize;
    let limbs = plaintext.twos_complement();
    let mut values = Zeroizing::new(Vec::with_capacity(used));
    let mut carry: u128 = 0;
    let mut too_wide = None;
    for slot in 0..used {
        let raw = take(limbs, slot * bits, layout.bits) + carry;
        // raw ≥ 2^(B−1), raw = 2^B included: negative, and the slot above lent.
        carry = (raw + (1 << (layout.bits - 1))) >> layout.bits;
        let value = raw as i128 - ((carry as i128) << layout.bits);
        if i64::try_from(value).is_err() {
            too_wide = too_wide.or(Some(slot));
        }
        values.push(value as i64);
    }
    // What is left must be −carry, i.e. all bits equal to it.
    let rest = (carry as u64).wrapping_neg();
    let end = used * bits;
    let mut wrong = (limb_at(limbs, end / 64) ^ rest) >> (end % 64);
    for &limb in limbs.iter().skip(end / 64 + 1) {
        wrong |= limb ^ rest;
    }
    if wrong != 0 {
        return Err(PackError::HighBits { used });
    }
    match too_wide {
        Some(slot) => Err(PackError::Wide { slot }),
        None => Ok(std::mem::take(&mut *values)),
    }
}

/// Packs unsigned `values`, 0 ≤ v < 2^bits, into the lowest slots. No slot
/// borrows from the next: these are the digits of the plaintext to the base
/// 2^bits, for slots whose content is too wide for [`pack`].
///
/// # Panics
///
/// If there are more values than slots or a value does not fit its slot.
pub fn pack_unsigned(values: &[u128], layout: SlotLayout) -> Plaintext {
    assert!(
        values.len() <= layout.slots,
        "{} values for {} slots",
        values.len(),
        layout.slots
    );
    assert!(
        values
            .iter()
            .fold(true, |all, &v| all & (v >> layout.bits == 0)),
        "a value does not fit a slot of {} bits",
        layout.bits
    );
    let bits = layout.bits as usize;
    // The last limb's top bit is the sign: 0.
    let mut limbs = Zeroizing::new(vec![0u64; (bits * values.len()) / 64 + 1]);
    for (slot, &value) in values.iter().enumerate() {
        put(&mut limbs, slot * bits, value);
    }
    Plaintext::from_twos_complement(limbs)
}

/// Reads the lowest `used` slots as unsigned digits and demands that nothing
/// stands above them.
///
/// # Errors
///
/// [`PackError::HighBits`] if something does, or the plaintext is negative.
///
/// # Panics
///
/// If `used` is more than the layout's slots.
pub fn unpack_unsigned(
    plaintext: &Plaintext,
    layout: SlotLayout,
    used: usize,
) -> Result<Zeroizing<Vec<u128>>, PackError> {
    assert!(used <= layout.slots, "{used} of {} slots", layout.slots);
    let bits = layout.bits as usize;
    let limbs = plaintext.twos_complement();
    let end = used * bits;
    let mut above = limb_at(limbs, end / 64) >> (end % 64);
    for &limb in limbs.iter().skip(end / 64 + 1) {
        above |= limb;
    }
    if above != 0 {
        return Err(PackError::HighBits { used });
    }
    Ok(Zeroizing::new(
        (0..used)
            .map(|slot| take(limbs, slot * bits, layout.bits))
            .collect(),
    ))
}

fn low_mask(bits: u32) -> u128 {
    (1 << bits) - 1
}

/// Limb `i` of a two's complement number, its sign extended.
fn limb_at(limbs: &[u64], i: usize) -> u64 {
    match limbs.get(i) {
        Some(&limb) => limb,
        None => limbs.last().map_or(0, |&top| ((top as i64) >> 63) as u64),
    }
}

/// Ors `value` in at bit `at`.
fn put(limbs: &mut [u64], at: usize, value: u128) {
    let (first, shift) = (at / 64, at % 64);
    let parts = [
        (value << shift) as u64,
        ((value << shift) >> 64) as u64,
        if shift == 0 {
            0
        } else {
            (value >> (128 - shift)) as u64
        },
    ];
    for (limb, part) in limbs[first..].iter_mut().zip(parts) {
        *limb |= part;
    }
}

/// The `bits` bits at bit `at`.
fn take(limbs: &[u64], at: usize, bits: u32) -> u128 {
    let (first, shift) = (at / 64, at % 64);
    let low = u128::from(limb_at(limbs, first)) | (u128::from(limb_at(limbs, first + 1)) << 64);
    let high = u128::from(limb_at(limbs, first + 2));
    let value = if shift == 0 {
        low
    } else {
        (low >> shift) | (high << (128 - shift))
    };
    value & low_mask(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    /// Σ v_k·2^{Bk}, the definition.
    fn reference(values: &[i64], bits: u32) -> BigInt {
        values
            .iter()
            .enumerate()
            .map(|(k, &v)| BigInt::from(v) << (k * bits as usize))
            .sum()
    }

    /// A width, a number of slots, and values that fit, the extremes often.
    fn packed() -> impl Strategy<Value = (u32, usize, Vec<i64>)> {
        (2u32..=60, 1usize..40).prop_flat_map(|(bits, slots)| {
            let (min, max) = (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1);
            let value = prop_oneof![
                3 => min..=max,
                1 => Just(min),
                1 => Just(max),
                1 => Just(0),
                1 => Just(-1),
            ];
            (
                Just(bits),
                Just(slots),
                prop::collection::vec(value, 0..=slots),
            )
        })
    }

    proptest! {
        #[test]
        fn packing_is_the_sum_of_shifted_values((bits, slots, values) in packed()) {
            let layout = SlotLayout { bits, slots };
            let plaintext = pack(&values, layout);
            prop_assert_eq!(plaintext.to_signed(), reference(&values, bits));
            prop_assert_eq!(unpack(&plaintext, layout, values.len()), Ok(values));
        }

        #[test]
        fn packed_values_survive_a_trip_through_a_big_integer((bits, slots, values) in packed()) {
            let layout = SlotLayout { bits, slots };
            let plaintext = Plaintext::from_signed(&reference(&values, bits));
            prop_assert_eq!(unpack(&plaintext, layout, values.len()), Ok(values));
        }

        #[test]
        fn the_largest_packed_value_is_below_half_of_any_n(bits in 1u32..=60, key in 128u32..4096) {
            let layout = SlotLayout::fit(key, bits);
            let least = if bits == 1 { -1 } else { -(1i64 << (bits - 1)) };
            let packed = pack(&vec![least; layout.slots], layout).to_signed();
            // The least n of that length is 2^(key−1) + 1.
            prop_assert!(packed.magnitude().bits() < u64::from(key) - 1);
        }

        #[test]
        fn tampered_high_bits_are_refused(
            (bits, slots, values) in packed(),
            above in 0usize..200,
            negative in any::<bool>(),
        ) {
            let layout = SlotLayout { bits, slots };
            let tamper = BigInt::from(1) << (values.len() * bits as usize + above);
            let mut sum = reference(&values, bits);
            if negative { sum -= tamper } else { sum += tamper }
            prop_assert_eq!(
                unpack(&Plaintext::from_signed(&sum), layout, values.len()),
                Err(PackError::HighBits { used: values.len() })
            );
        }

        #[test]
        fn unsigned_digits_come_back_and_add_to_signed_slots(
            bits in 12u32..=126,
            small in prop::collection::vec(-1000i64..=1000, 1..20),
            seed: u128,
        ) {
            let layout = SlotLayout { bits, slots: 20 };
            let digits: Vec<u128> = (0..small.len() as u128)
                .map(|i| (seed.rotate_left(i as u32 * 7) & low_mask(bits)) / 2 + 1000)
                .map(|digit| digit.min(low_mask(bits) - 1000))
                .collect();
            let packed = pack_unsigned(&digits, layout);
            prop_assert_eq!(
                &*unpack_unsigned(&packed, layout, digits.len()).expect("digits"),
                &digits
            );
            let sum = Plaintext::from_signed(&(packed.to_signed() + reference(&small, bits)));
            let expected: Vec<u128> = digits
                .iter()
                .zip(&small)
                .map(|(&digit, &v)| digit.wrapping_add_signed(v.into()))
                .collect();
            prop_assert_eq!(&*unpack_unsigned(&sum, layout, digits.len()).expect("digits"), &expected);
        }

        #[test]
        fn bits_above_unsigned_digits_are_refused(bits in 2u32..=126, above in 0usize..200) {
            let layout = SlotLayout { bits, slots: 4 };
            let tamper = BigInt::from(1) << (3 * bits as usize + above);
            for wrong in [tamper, BigInt::from(-1)] {
                prop_assert_eq!(
                    unpack_unsigned(&Plaintext::from_signed(&wrong), layout, 3),
                    Err(PackError::HighBits { used: 3 })
                );
            }
        }
    }

    #[test]
    fn slots_wider_than_64_bits_hold_any_i64_and_refuse_more() {
        for bits in [64, 65, 100, 126] {
            let layout = SlotLayout { bits, slots: 5 };
            let values = vec![i64::MIN, i64::MAX, -1, 0, i64::MIN];
            let plaintext = pack(&values, layout);
            assert_eq!(plaintext.to_signed(), reference(&values, bits));
            assert_eq!(unpack(&plaintext, layout, 5), Ok(values));
        }
        let layout = SlotLayout { bits: 70, slots: 2 };
        let wide = BigInt::from(i64::MAX) + 1;
        assert_eq!(
            unpack(&Plaintext::from_signed(&(wide << 70)), layout, 2),
            Err(PackError::Wide { slot: 1 })
        );
    }

    #[test]
    fn slots_that_fit_leave_two_bits_of_the_key() {
        assert_eq!(SlotLayout::fit(2048, 20).slots, 102);
        assert_eq!(SlotLayout::fit(2048, 22).slots, 93);
        assert_eq!(SlotLayout::fit(128, 126).slots, 1);
        assert_eq!(SlotLayout::fit(127, 126).slots, 0);
        assert_eq!(SlotLayout::fit(2048, 0).slots, 0);
        assert_eq!(SlotLayout::fit(2048, 127).slots, 0);
        assert_eq!(SlotLayout::fit(1, 1).slots, 0);
    }

    #[test]
    fn slots_of_one_bit_hold_0_and_minus_1() {
        let layout = SlotLayout { bits: 1, slots: 70 };
        let values: Vec<i64> = (0..70).map(|i| -(i % 2)).collect();
        let plaintext = pack(&values, layout);
        assert_eq!(plaintext.to_signed(), reference(&values, 1));
        assert_eq!(unpack(&plaintext, layout, 70), Ok(values));
        assert!(!layout.holds(1));
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_value_that_does_not_fit_is_a_bug_of_the_caller() {
        pack(&[8], SlotLayout { bits: 4, slots: 2 });
    }
}
