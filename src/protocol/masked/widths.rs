//! Rings and slots of every layer, from public things alone.
//!
//! *Online* a value takes L bits, the least that the layer's range allows
//! ([`Ring::of`]).
//!
//! *In the preparation* a slot holds W·r + s′ as one unsigned number, so that
//! nothing borrows or carries. Let ℓ be the largest L1 norm of a row of W. With
//! r lifted to −2^(L−1) ≤ r < 2^(L−1), W·r lies within ±ℓ·2^(L−1), an interval
//! of ℓ·2^L. The server draws
//!
//! ```text
//! s′ = s + 2^L·(⌈ℓ/2⌉ + t),   0 ≤ s < 2^L,   0 ≤ t < T,   T = 2^(B−L) − 2⌈ℓ/2⌉
//! ```
//!
//! s and t uniform. Then 0 ≤ W·r + s′ < 2^B, s is s′ mod 2^L, and as s′ is
//! uniform over T·2^L numbers, the sums for two different W·r are within ℓ/T of
//! each other. 40 bits of hiding need T ≥ 2^40·ℓ, so that a slot has
//!
//! ```text
//! B = L + ⌈log₂((2^40 + 1)·ℓ + 1)⌉
//! ```
//!
//! bits: where r's sign is put changes neither interval nor slot. A slot then
//! takes its part of the bits that are left over at the end of the plaintext.
//!
//! The client must know B and does not know W. A row of norm ℓ whose inputs
//! span d integers has results that span ℓ·d, so ℓ ≤ (span of the range) / (span
//! of the inputs) for every row whose inputs all take the layer's whole input
//! range. Where some inputs take less, a row may have a larger norm: the
//! server then refuses the slots by [`MaskedError::Narrow`], which says how
//! much wider they must be.

use crate::{
    encrypted::layout::{Packing, StageLayout},
    mpc::Ring,
    network::{Profile, Range},
    paillier::SlotLayout,
};

use super::MaskedError;

/// Bits by which masks hide: each slot of a preparation gives away at most
/// 2^−40 of advantage.
pub const HIDING_BITS: u32 = 40;

/// What one layer computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// The ring of its elements.
    pub ring: Ring,
    /// The range of its results.
    pub range: Range,
    /// Elements that it takes.
    pub inputs: usize,
    /// Elements that it gives.
    pub outputs: usize,
    /// The largest L1 norm that the client reckons with.
    norm: u64,
}

/// The widths of every layer of a network.
pub fn widths(profile: &Profile) -> Vec<Width> {
    profile
        .stages
        .iter()
        .enumerate()
        .map(|(stage, of)| {
            let inputs = profile.input_range(stage);
            let span = |range: Range| range.max.wrapping_sub(range.min) as u64;
            Width {
                ring: Ring::of(of.range),
                range: of.range,
                inputs: of.linear.input_shape().len(),
                outputs: of.linear.output_shape().len(),
                norm: (span(of.range) / span(inputs).max(1)).max(1),
            }
        })
        .collect()
}

/// Bits of a slot that hides a layer with rows of norm `norm`.
pub fn slot_bits(ring: Ring, norm: u64) -> u32 {
    let least = ((1u128 << HIDING_BITS) + 1) * u128::from(norm);
    ring.bits() + (128 - least.leading_zeros())
}

/// How many values of t hide a layer with rows of norm `norm` in slots of
/// `bits` bits, and the offset ⌈norm/2⌉ of t; `None` if the slots are too
/// narrow.
pub(super) fn cover(ring: Ring, norm: u64, bits: u32) -> Option<(u128, u128)> {
    let offset = u128::from(norm.div_ceil(2));
    let room = 1u128.checked_shl(bits.checked_sub(ring.bits())?)?;
    let values = room.checked_sub(2 * offset)?;
    (values >= u128::from(norm) << HIDING_BITS).then_some((values, offset))
}

impl Width {
    /// The slots for this layer under a key of `key_bits`, `extra` bits wider
    /// than the least.
    ///
    /// # Errors
    ///
    /// [`MaskedError::KeyTooShort`] if not one slot fits.
    pub fn slots(&self, key_bits: u32, extra: u32) -> Result<SlotLayout, MaskedError> {
        let bits = self.least_bits() + extra;
        let SlotLayout { slots, .. } = SlotLayout::fit(key_bits, bits);
        if slots == 0 {
            return Err(MaskedError::KeyTooShort { key_bits, bits });
        }
        // What the last slot would leave unused widens all of them.
        let widest = ((key_bits - 2) / slots as u32).min(SlotLayout::MAX_BITS);
        Ok(SlotLayout::fit(key_bits, widest))
    }

    /// Bits of the least slot that the client reckons with.
    pub fn least_bits(&self) -> u32 {
        slot_bits(self.ring, self.norm)
    }
}

/// A slot a prediction: the layout of layer `stage` for `count` predictions.
pub(super) fn layout(
    profile: &Profile,
    stage: usize,
    slots: SlotLayout,
    count: usize,
) -> StageLayout {
    StageLayout::with_slots(
        &profile.stages[stage].linear,
        slots,
        count,
        Packing::Throughput,
    )
    .expect("slots and predictions were checked")
}

/// Predictions that fill the slots of a preparation of about a thousand.
///
/// # Errors
///
/// As [`Width::slots`].
pub fn batch_size(profile: &Profile, key_bits: u32) -> Result<usize, MaskedError> {
    let mut fewest = usize::MAX;
    for width in widths(profile) {
        fewest = fewest.min(width.slots(key_bits, 0)?.slots);
    }
    Ok((1000 / fewest).max(1) * fewest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_hide_by_40_bits_and_never_leave_the_slot() {
        for bits in [1, 13, 16, 40, 64] {
            let ring = Ring::new(bits).expect("1 to 64 bits");
            for norm in [1, 2, 3, 132, 530, 1 << 20] {
                let slot = slot_bits(ring, norm);
                if slot > 126 {
                    continue;
                }
                let (values, offset) = cover(ring, norm, slot).expect("wide enough");
                assert!(values >= u128::from(norm) << 40);
                // ±norm·2^(L−1) around s + 2^L·(offset + t).
                let wr = u128::from(norm) << (bits - 1);
                assert!(offset << bits >= wr, "no slot borrows");
                let most = wr + ((offset + values) << bits) - 1;
                assert!(most < 1 << slot, "no slot carries");
                let narrower = cover(ring, norm, slot - 1);
                assert!(narrower.is_none(), "{bits} {norm}: one bit less would do");
            }
        }
    }

    #[test]
    fn slots_share_what_is_left_of_the_plaintext() {
        let width = Width {
            ring: Ring::new(16).expect("16 bits"),
            range: Range::new(-17_265, 16_570),
            inputs: 1,
            outputs: 1,
            norm: 132,
        };
        let slots = width.slots(2048, 0).expect("fits");
        assert_eq!((slots.slots, slots.bits), (31, 66));
        assert!(width.slots(64, 0).is_err());
    }
}
