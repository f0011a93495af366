//! What a ciphertext holds: which values of which images share its slots.
//!
//! A plaintext has room for about a hundred values side by side ([`SlotLayout`]),
//! and one power by a weight acts on all of them. Two packings use that:
//!
//! * [`Packing::Latency`], for one image or a few. A ciphertext holds *one kernel
//!   tap at many output positions* (of all images, one after the other), so that
//!   its power by a weight serves them all and the result comes back packed. A
//!   dense layer has one position, and its inputs for taps. Where slots are left
//!   over, the client leaves some free behind every position, and the server
//!   shifts results of other output channels into them before they return.
//! * [`Packing::Throughput`], for many images: a ciphertext holds *one element
//!   of many images*, a slot an image. No value is sent twice.
//!
//! Either way the work falls into independent groups of ciphertexts, all with
//! the same shape: [`StageLayout`] says how many groups, and where every value
//! stands. It follows from public things alone (layer shape, slot bits, key
//! bits, number of images, packing), so both sides compute it for themselves.
//!
//! No slot ever holds a partial product: one without a result holds 0 in every
//! input, so 0 in the result.

use serde::{Deserialize, Serialize};

use crate::{
    network::{Linear, Range},
    paillier::{PackError, Plaintext, SlotLayout, pack, unpack},
};

/// How values are laid out in ciphertexts; see the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// For one image or a few: inputs packed by kernel tap, outputs packed
    /// further before they return.
    Latency,
    /// For many images: a slot an image.
    Throughput,
}

impl std::fmt::Display for Packing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Packing::Latency => "latency",
            Packing::Throughput => "throughput",
        })
    }
}

impl std::str::FromStr for Packing {
    type Err = String;

    fn from_str(text: &str) -> Result<Packing, String> {
        match text {
            "latency" => Ok(Packing::Latency),
            "throughput" => Ok(Packing::Throughput),
            other => Err(format!(
                "unknown packing {other:?}; expected latency or throughput"
            )),
        }
    }
}

/// Where the values of one layer stand in ciphertexts.
#[derive(Clone, Debug)]
pub struct StageLayout {
    linear: Linear,
    packing: Packing,
    images: usize,
    slots: SlotLayout,
    shape: Shape,
}

/// The two ways in which slots are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Slot = (position, output), the positions of all images one after the
    /// other: `positions` of them to a group, `outputs` output channels to a
    /// ciphertext.
    Taps { positions: usize, outputs: usize },
    /// Slot = image.
    Images,
}

/// Most reply ciphertexts of a layer that are worth a shorter chain: they are
/// shifted, re-randomised and decrypted side by side in the eight lanes of a
/// vector kernel.
const SIDE_BY_SIDE: usize = 8;

/// Squarings of a chain that are not worth splitting it further.
const SHORT_CHAIN: usize = 256;

/// How many output channels of `channels` share a ciphertext that has `room` for
/// them.
///
/// Shifting outputs side by side takes one squaring after the other, as many as
/// there are bits below the last output: while it lasts all other lanes and
/// cores wait. So a reply that would fit one ciphertext is spread over a few.
fn outputs_together(channels: usize, room: usize, slots: SlotLayout) -> usize {
    let fewest = channels.div_ceil(room.clamp(1, channels.max(1)));
    let shifts = channels * slots.bits as usize;
    let most = SIDE_BY_SIDE.max(fewest);
    channels.div_ceil(shifts.div_ceil(SHORT_CHAIN).clamp(fewest, most))
}

/// Bits of the slots for what is in `inputs` and in `range`: at least two, so
/// that a slot holds 1 and a bias of either sign can be added in parts.
pub fn slot_bits(inputs: Range, range: Range) -> u32 {
    inputs.union(range).slot_bits().max(2)
}

impl StageLayout {
    /// The layout of `linear` for `images` images, with slots that hold what is
    /// in `inputs` and in `range`, under a key of `key_bits`.
    ///
    /// `None` if not even one slot fits, or if `inputs` does not include 0, which
    /// is what slots without a value hold.
    pub fn new(
        linear: &Linear,
        inputs: Range,
        range: Range,
        key_bits: u32,
        images: usize,
        packing: Packing,
    ) -> Option<StageLayout> {
        if !inputs.contains(0) {
            return None;
        }
        let slots = SlotLayout::fit(key_bits, slot_bits(inputs, range));
        StageLayout::with_slots(linear, slots, images, packing)
    }

    /// The layout of `linear` for `images` images in `slots` that the caller
    /// has made wide enough. `None` if there is no slot or no image.
    pub fn with_slots(
        linear: &Linear,
        slots: SlotLayout,
        images: usize,
        packing: Packing,
    ) -> Option<StageLayout> {
        if slots.slots == 0 || images == 0 {
            return None;
        }
        let shape = match packing {
            Packing::Throughput => Shape::Images,
            Packing::Latency => {
                let positions = (images * linear.positions()).min(slots.slots);
                let room = slots.slots / positions;
                Shape::Taps {
                    positions,
                    outputs: outputs_together(linear.channels(), room, slots),
                }
            }
        };
        Some(StageLayout {
            linear: *linear,
            packing,
            images,
            slots,
            shape,
        })
    }

    /// How this layout packs.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// How many images it holds.
    pub fn images(&self) -> usize {
        self.images
    }

    /// The slots of every ciphertext.
    pub fn slots(&self) -> SlotLayout {
        self.slots
    }

    /// How many independent groups of ciphertexts there are.
    pub fn groups(&self) -> usize {
        match self.shape {
            Shape::Taps { positions, .. } => {
                (self.images * self.linear.positions()).div_ceil(positions)
            }
            Shape::Images => self.images.div_ceil(self.slots.slots),
        }
    }

    /// Ciphertexts that the client sends for a group.
    pub fn inputs_per_group(&self) -> usize {
        match self.shape {
            Shape::Taps { .. } => self.linear.taps(),
            Shape::Images => self.linear.input_shape().len(),
        }
    }

    /// Results of the layer's product plan for a group, before any packing of
    /// outputs.
    pub fn rows_per_group(&self) -> usize {
        match self.shape {
            Shape::Taps { .. } => self.linear.channels(),
            Shape::Images => self.linear.output_shape().len(),
        }
    }

    /// Ciphertexts that the server returns for a group.
    pub fn outputs_per_group(&self) -> usize {
        match self.shape {
            Shape::Taps { outputs, .. } => self.rows_per_group().div_ceil(outputs),
            Shape::Images => self.rows_per_group(),
        }
    }

    /// Ciphertexts of a whole query.
    pub fn inputs(&self) -> usize {
        self.groups() * self.inputs_per_group()
    }

    /// Ciphertexts of a whole reply.
    pub fn outputs(&self) -> usize {
        self.groups() * self.outputs_per_group()
    }

    /// Outputs that the server shifts into one ciphertext, and by how many bits
    /// each; `None` if the layout needs no shifting.
    pub fn shifted_outputs(&self) -> Option<(usize, u32)> {
        match self.shape {
            Shape::Taps { outputs, .. } if outputs > 1 => Some((outputs, self.slots.bits)),
            _ => None,
        }
    }

    /// Whether the layer's rows are indexed by kernel tap rather than by input
    /// element: for a dense layer the same.
    pub fn by_tap(&self) -> bool {
        self.shape != Shape::Images && matches!(self.linear, Linear::Conv { .. })
    }

    /// The images that have values in `group`.
    pub fn images_of(&self, group: usize) -> std::ops::Range<usize> {
        match self.shape {
            Shape::Taps { .. } => {
                let positions = self.linear.positions();
                let used = self.positions_of(group);
                used.start / positions..used.end.div_ceil(positions)
            }
            Shape::Images => {
                let slots = self.slots.slots;
                group * slots..((group + 1) * slots).min(self.images)
            }
        }
    }

    /// The positions that have values in `group` of taps, counted through over
    /// all images.
    fn positions_of(&self, group: usize) -> std::ops::Range<usize> {
        let all = self.images * self.linear.positions();
        match self.shape {
            Shape::Taps { positions, .. } => group * positions..((group + 1) * positions).min(all),
            Shape::Images => 0..0,
        }
    }

    /// Slots up to the last that holds a result in output ciphertext `output`
    /// of `group`.
    pub fn used(&self, group: usize, output: usize) -> usize {
        match self.shape {
            Shape::Taps { outputs, .. } => {
                let here = (self.rows_per_group() - output * outputs).min(outputs);
                (self.positions_of(group).len() - 1) * outputs + here
            }
            Shape::Images => self.images_of(group).len(),
        }
    }

    /// Image and output element of a used slot; `None` where the last
    /// ciphertext has fewer outputs than the others.
    fn element(&self, group: usize, output: usize, slot: usize) -> Option<(usize, usize)> {
        match self.shape {
            Shape::Taps { outputs, .. } => {
                let positions = self.linear.positions();
                let at = self.positions_of(group).start + slot / outputs;
                let channel = output * outputs + slot % outputs;
                let element = channel * positions + at % positions;
                (channel < self.linear.channels()).then_some((at / positions, element))
            }
            Shape::Images => Some((group * self.slots.slots + slot, output)),
        }
    }

    /// Packs the inputs of `group`: one plaintext a ciphertext.
    ///
    /// `activations` holds one tensor an image of the whole query, each of the
    /// layer's input shape; entries outside [`StageLayout::images_of`] are not
    /// read.
    pub fn pack_group(&self, group: usize, activations: &[Vec<i64>]) -> Vec<Plaintext> {
        match self.shape {
            Shape::Taps { outputs, .. } => {
                let positions = self.linear.positions();
                let used = self.positions_of(group);
                (0..self.linear.taps())
                    .map(|tap| {
                        let mut values = vec![0; (used.len() - 1) * outputs + 1];
                        for (value, at) in values.iter_mut().step_by(outputs).zip(used.clone()) {
                            let image = &activations[at / positions];
                            let input = self.linear.tap_input(at % positions, tap);
                            *value = input.map_or(0, |input| image[input]);
                        }
                        pack(&values, self.slots)
                    })
                    .collect()
            }
            Shape::Images => {
                let images = self.images_of(group);
                (0..self.inputs_per_group())
                    .map(|input| {
                        let values: Vec<i64> = activations[images.clone()]
                            .iter()
                            .map(|image| image[input])
                            .collect();
                        pack(&values, self.slots)
                    })
                    .collect()
            }
        }
    }

    /// The plaintexts that the server adds to the results of `group`: `bias`
    /// (one an output channel) at every slot that holds a result, 0 elsewhere.
    pub fn pack_bias(&self, group: usize, bias: &[i64]) -> Vec<Plaintext> {
        let positions = self.linear.positions();
        (0..self.outputs_per_group())
            .map(|output| {
                let values: Vec<i64> = (0..self.used(group, output))
                    .map(|slot| match self.element(group, output, slot) {
                        Some((_, element)) => bias[element / positions],
                        None => 0,
                    })
                    .collect();
                pack(&values, self.slots)
            })
            .collect()
    }

    /// Unpacks the decrypted results of `group` into `results`: one tensor an
    /// image of the whole query, each of the layer's output shape.
    ///
    /// Every slot is checked against `range`, and what holds no result against
    /// 0.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] names the ciphertext (within the group) and the slot.
    pub fn unpack_group(
        &self,
        group: usize,
        plaintexts: &[Plaintext],
        range: Range,
        results: &mut [Vec<i64>],
    ) -> Result<(), LayoutError> {
        for (output, plaintext) in plaintexts.iter().enumerate() {
            let used = self.used(group, output);
            let values = unpack(plaintext, self.slots, used)
                .map_err(|source| LayoutError::HighBits { output, source })?;
            for (slot, value) in values.into_iter().enumerate() {
                match self.element(group, output, slot) {
                    Some((image, element)) if range.contains(value) => {
                        results[image][element] = value;
                    }
                    None if value == 0 => {}
                    _ => return Err(LayoutError::OutOfRange { output, slot }),
                }
            }
        }
        Ok(())
    }
}

/// A decrypted reply that no honest server sends. Values are not named: an
/// error may be seen by others than the client.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A slot holds a value that the layer cannot produce.
    #[error("slot {slot} of result {output} lies outside the layer's range")]
    OutOfRange {
        /// Ciphertext within its group.
        output: usize,
        /// Slot within the ciphertext.
        slot: usize,
    },
    /// What lies above the last used slot is not empty.
    #[error("result {output} has bits above its last slot")]
    HighBits {
        /// Ciphertext within its group.
        output: usize,
        /// What unpacking said.
        source: PackError,
    },
}

#[cfg(test)]
mod tests;
