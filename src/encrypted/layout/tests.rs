//! Layouts: every value in one slot, and nothing else in any.

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
        let value = |image: usize, element: usize| ((image * 31 + element * 7) % 201) as i64 - 100;
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
    let layout =
        StageLayout::new(&dense(), INPUTS, RANGE, KEY_BITS, 3, Packing::Latency).expect("16 slots");
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
    let one = StageLayout::new(&conv1, INPUTS, range, 2048, 1, Packing::Latency).expect("97 slots");
    assert_eq!((one.inputs(), one.outputs()), (25 * 9, 6 * 9));
    let many =
        StageLayout::new(&conv1, INPUTS, range, 2048, 97, Packing::Throughput).expect("slots");
    assert_eq!((many.inputs(), many.outputs()), (784, 4704));
}
