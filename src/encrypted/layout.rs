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
        let slots = SlotLayout::fit(key_bits, inputs.union(range).slot_bits());
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
mod tests {
    use super::*;
    use crate::network;

    const INPUTS: Range = Range::new(0, 63);
    const RANGE: Range = Range::new(-100, 100);
    const KEY_BITS: u32 = 130;

    fn conv() -> Linear {
        Linear::Conv {
            input: network::Shape::new(2, 4, 3),
            outputs: 3,
            kernel: (3, 2),
            stride: 1,
            padding: 1,
        }
    }

    fn dense() -> Linear {
        Linear::Dense {
            inputs: 5,
            outputs: 7,
        }
    }

    fn layouts() -> impl Iterator<Item = StageLayout> {
        [conv(), dense()].into_iter().flat_map(|linear| {
            [Packing::Latency, Packing::Throughput]
                .into_iter()
                .flat_map(move |packing| {
                    [1, 2, 3, 5, 8, 15, 16, 17, 40]
                        .into_iter()
                        .map(move |images| {
                            StageLayout::new(&linear, INPUTS, RANGE, KEY_BITS, images, packing)
                                .expect("16 slots of 8 bits")
                        })
                })
        })
    }

    /// Every element of every image has exactly one slot, no two share one, and
    /// every slot lies inside its ciphertext.
    #[test]
    fn every_result_has_a_slot_of_its_own() {
        for layout in layouts() {
            let outputs = layout.linear.output_shape().len();
            let mut seen = vec![false; layout.images * outputs];
            for group in 0..layout.groups() {
                for output in 0..layout.outputs_per_group() {
                    let used = layout.used(group, output);
                    assert!(used <= layout.slots.slots, "{layout:?}");
                    for slot in 0..used {
                        let Some((image, element)) = layout.element(group, output, slot) else {
                            continue;
                        };
                        assert!(layout.images_of(group).contains(&image));
                        let at = &mut seen[image * outputs + element];
                        assert!(!*at, "{layout:?}: two slots for one result");
                        *at = true;
                    }
                }
            }
            assert!(seen.into_iter().all(|seen| seen), "{layout:?}");
        }
    }

    #[test]
    fn results_come_back_where_they_were_put() {
        for layout in layouts() {
            let outputs = layout.linear.output_shape().len();
            let value =
                |image: usize, element: usize| ((image * 31 + element * 7) % 201) as i64 - 100;
            let mut results = vec![vec![0; outputs]; layout.images];
            for group in 0..layout.groups() {
                let plaintexts: Vec<Plaintext> = (0..layout.outputs_per_group())
                    .map(|output| {
                        let values: Vec<i64> = (0..layout.used(group, output))
                            .map(|slot| match layout.element(group, output, slot) {
                                Some((image, element)) => value(image, element),
                                None => 0,
                            })
                            .collect();
                        pack(&values, layout.slots)
                    })
                    .collect();
                layout
                    .unpack_group(group, &plaintexts, RANGE, &mut results)
                    .expect("in range");
            }
            for (image, of_image) in results.iter().enumerate() {
                for (element, found) in of_image.iter().enumerate() {
                    assert_eq!(*found, value(image, element), "{layout:?}");
                }
            }
        }
    }

    /// A layout of 3 images with 4 outputs a ciphertext, and one good reply.
    fn packed() -> (StageLayout, Vec<i64>, Vec<Vec<i64>>) {
        let layout = StageLayout::new(&dense(), INPUTS, RANGE, KEY_BITS, 3, Packing::Latency)
            .expect("16 slots");
        assert_eq!(layout.shifted_outputs(), Some((4, 8)));
        let values = vec![1; layout.used(0, 0)];
        (layout, values, vec![vec![0; 7]; 3])
    }

    #[test]
    fn a_slot_outside_the_range_is_refused() {
        let (layout, mut values, mut results) = packed();
        for (slot, value) in [(0, 101), (11, -101)] {
            values.fill(1);
            values[slot] = value;
            match layout.unpack_group(0, &[pack(&values, layout.slots)], RANGE, &mut results) {
                Err(LayoutError::OutOfRange {
                    output: 0,
                    slot: at,
                }) => assert_eq!(at, slot),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_value_above_the_last_used_slot_is_refused() {
        let (layout, mut values, mut results) = packed();
        values.push(1);
        let refused = layout.unpack_group(0, &[pack(&values, layout.slots)], RANGE, &mut results);
        assert!(matches!(
            refused,
            Err(LayoutError::HighBits { output: 0, .. })
        ));
    }

    #[test]
    fn a_value_in_a_slot_without_a_result_is_refused() {
        let (layout, _, mut results) = packed();
        // The second ciphertext has three outputs, in every fourth slot none.
        let mut values = [1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1];
        assert_eq!(layout.used(0, 1), values.len());
        let first = pack(&[1; 12], layout.slots);
        let mut unpack = |values: &[i64]| {
            let plaintexts = [first.clone(), pack(values, layout.slots)];
            layout.unpack_group(0, &plaintexts, RANGE, &mut results)
        };
        unpack(&values).expect("zeros where there is no result");
        values[7] = 1;
        let refused = unpack(&values);
        assert!(
            matches!(refused, Err(LayoutError::OutOfRange { output: 1, slot: 7 })),
            "{refused:?}"
        );
    }

    #[test]
    fn output_channels_fill_the_slots_that_positions_leave() {
        let conv2 = Linear::Conv {
            input: network::Shape::new(6, 14, 14),
            outputs: 16,
            kernel: (6, 6),
            stride: 2,
            padding: 0,
        };
        // 25 positions in 146 slots of 14 bits.
        let range = Range::new(-(1 << 13), (1 << 13) - 1);
        let at = |images| {
            StageLayout::new(&conv2, INPUTS, range, 2048, images, Packing::Latency).expect("slots")
        };
        let sent = |layout: StageLayout| (layout.inputs(), layout.outputs());
        assert_eq!(at(1).shifted_outputs(), Some((4, 14)));
        assert_eq!(sent(at(1)), (216, 4));
        assert_eq!(at(2).shifted_outputs(), Some((2, 14)));
        assert_eq!(sent(at(2)), (216, 8));
        assert_eq!(at(3).shifted_outputs(), None);
        assert_eq!(sent(at(3)), (216, 16));
        assert_eq!(sent(at(6)), (432, 32));
    }

    #[test]
    fn a_long_chain_of_shifts_is_split_over_a_few_ciphertexts() {
        let dense1 = Linear::Dense {
            inputs: 400,
            outputs: 120,
        };
        // Slots of 15 bits, 136 of them: all outputs would fit one ciphertext.
        let range = Range::new(-(1 << 14), (1 << 14) - 1);
        let at = |images| {
            StageLayout::new(&dense1, INPUTS, range, 2048, images, Packing::Latency).expect("slots")
        };
        assert_eq!(at(1).outputs(), 8);
        assert_eq!(at(1).shifted_outputs(), Some((15, 15)));
        assert_eq!(at(5).outputs(), 8);
        assert_eq!(at(5).shifted_outputs(), Some((15, 15)));
        // Where more than eight ciphertexts are needed, they are full.
        assert_eq!(at(20).shifted_outputs(), Some((6, 15)));
        assert_eq!(at(150).groups(), 2);
        assert_eq!(at(150).shifted_outputs(), None);
        // A short chain stays whole.
        let dense3 = Linear::Dense {
            inputs: 84,
            outputs: 10,
        };
        let whole = StageLayout::new(&dense3, INPUTS, range, 2048, 1, Packing::Latency);
        assert_eq!(whole.expect("slots").outputs(), 1);
    }

    #[test]
    fn slots_hold_the_inputs_too() {
        let wide = Range::new(0, 255);
        let layout = StageLayout::new(&dense(), wide, RANGE, KEY_BITS, 1, Packing::Latency);
        assert_eq!(layout.expect("slots").slots().bits, 9);
        let without_0 = Range::new(1, 2);
        assert!(StageLayout::new(&dense(), without_0, RANGE, 2048, 1, Packing::Latency).is_none());
    }

    #[test]
    fn a_key_without_room_for_a_slot_has_no_layout() {
        assert!(StageLayout::new(&dense(), INPUTS, RANGE, 9, 1, Packing::Latency).is_none());
        assert!(StageLayout::new(&dense(), INPUTS, RANGE, 10, 1, Packing::Latency).is_some());
        assert!(StageLayout::new(&dense(), INPUTS, RANGE, 2048, 0, Packing::Latency).is_none());
    }

    #[test]
    fn lenet_at_2048_bits_sends_what_the_readme_says() {
        let conv1 = Linear::Conv {
            input: network::Shape::new(1, 28, 28),
            outputs: 6,
            kernel: (5, 5),
            stride: 1,
            padding: 2,
        };
        let range = Range::new(-(1 << 20), (1 << 20) - 1);
        let one =
            StageLayout::new(&conv1, INPUTS, range, 2048, 1, Packing::Latency).expect("97 slots");
        assert_eq!((one.inputs(), one.outputs()), (25 * 9, 6 * 9));
        let many =
            StageLayout::new(&conv1, INPUTS, range, 2048, 97, Packing::Throughput).expect("slots");
        assert_eq!((many.inputs(), many.outputs()), (784, 4704));
    }
}
