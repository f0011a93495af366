//! Range analysis against brute force.

use proptest::prelude::*;
use rand::RngExt;

use super::{lenet5, lenet5_profile, random_weights, seeded, stage};
use crate::network::{
    InputSpec, Linear, Network, NetworkError, Op, Problem, Profile, Range, Shape, Weights,
};

/// Every input of `len` values from `min` to `max`.
pub(super) fn every_input(len: usize, min: i64, max: i64) -> impl Iterator<Item = Vec<i64>> {
    let base = (max - min + 1) as usize;
    (0..base.pow(len as u32)).map(move |number| {
        (0..len as u32)
            .map(|digit| min + (number / base.pow(digit) % base) as i64)
            .collect()
    })
}

/// Two layers on a 2x2 image of values −1 to 1, small enough for every input.
pub(super) fn tiny(seed: u64, padding: usize) -> Network {
    let mut rng = seeded(seed);
    let image = Shape::new(1, 2, 2);
    let first = Linear::Conv {
        input: image,
        outputs: 2,
        kernel: (2, 2),
        stride: 1,
        padding,
    };
    let requantise = Op::Requantise {
        multipliers: vec![rng.random_range(1..4), rng.random_range(1..4)],
        shift: 3,
        min: -6,
        max: 6,
    };
    let then = match seed % 3 {
        0 => vec![requantise, Op::Square, Op::Flatten],
        1 => vec![Op::Relu, requantise, Op::Flatten],
        _ => vec![Op::MaxPool { size: 1, stride: 1 }, requantise, Op::Flatten],
    };
    let second = Linear::Dense {
        inputs: first.output_shape().len(),
        outputs: 2,
    };
    let layers = vec![
        random_weights(&first, 9, &mut rng),
        random_weights(&second, 9, &mut rng),
    ];
    let profile = Profile::new(
        "tiny",
        InputSpec {
            shape: image,
            min: -1,
            max: 1,
        },
        vec![stage("first", first, then), stage("second", second, vec![])],
        vec!["a".to_owned(), "b".to_owned()],
        1.0,
    );
    Network::new(profile, layers).expect("a small network")
}

proptest! {
    #[test]
    fn ranges_hold_for_every_input(seed: u64, padding in 0..2usize) {
        let network = tiny(seed, padding);
        let stages = &network.profile().stages;
        let mut seen: Vec<Range> = vec![];
        for input in every_input(4, -1, 1) {
            for (index, results) in network.trace(&input).iter().enumerate() {
                let points: Vec<Range> = results.iter().map(|&v| Range::new(v, v)).collect();
                let range = Range::of_all(&points).expect("a layer has outputs");
                prop_assert!(stages[index].range.covers(range));
                match seen.get_mut(index) {
                    Some(seen) => *seen = seen.union(range),
                    None => seen.push(range),
                }
            }
        }
        // Pixels are independent: the first layer's range is attained.
        prop_assert_eq!(seen[0], stages[0].range);
    }

    #[test]
    fn first_layer_bounds_are_attained_by_extreme_inputs(seed: u64) {
        let mut rng = seeded(seed);
        let linear = Linear::Conv {
            input: Shape::new(2, 5, 4),
            outputs: 3,
            kernel: (3, 2),
            stride: 2,
            padding: 1,
        };
        let weights = random_weights(&linear, i32::MAX, &mut rng);
        let inputs: Vec<Range> = (0..40)
            .map(|_| Range::new(rng.random_range(-90..0), rng.random_range(0..90)))
            .collect();
        let bounds = linear.bounds(&weights, &inputs).expect("below 64 bits");
        let positions = linear.positions();
        for (output, bound) in bounds.iter().enumerate() {
            let (channel, position) = (output / positions, output % positions);
            let of_channel = &weights.weights[channel * linear.taps()..][..linear.taps()];
            let mut low: Vec<i64> = inputs.iter().map(|range| range.min).collect();
            let mut high = low.clone();
            for (tap, &weight) in of_channel.iter().enumerate() {
                if let Some(at) = linear.tap_input(position, tap) {
                    let (min, max) = (inputs[at].min, inputs[at].max);
                    (low[at], high[at]) = if weight > 0 { (min, max) } else { (max, min) };
                }
            }
            prop_assert_eq!(linear.forward(&weights, &low)[output], bound.min);
            prop_assert_eq!(linear.forward(&weights, &high)[output], bound.max);
        }
    }

    #[test]
    fn slot_bits_are_the_least_that_hold_the_range(a: i64, b: i64, shift in 0..64u32) {
        let (a, b) = (a >> shift, b >> shift);
        let range = Range::new(a.min(b), a.max(b));
        let holds = |bits: u32| {
            let half = 1i128 << (bits - 1);
            -half <= i128::from(range.min) && i128::from(range.max) < half
        };
        let bits = range.slot_bits();
        prop_assert!((1..=64).contains(&bits) && holds(bits));
        prop_assert!(bits == 1 || !holds(bits - 1));
    }
}

#[test]
fn slot_bits_at_powers_of_two() {
    let bits = |min, max| Range::new(min, max).slot_bits();
    assert_eq!(bits(0, 0), 1);
    assert_eq!(bits(-1, 0), 1);
    assert_eq!(bits(0, 1), 2);
    assert_eq!(bits(-128, 127), 8);
    assert_eq!(bits(-129, 0), 9);
    assert_eq!(bits(0, 128), 9);
    assert_eq!(bits(1, 255), 9);
    assert_eq!(bits(-9, -5), 5);
    assert_eq!(bits(i64::MIN, i64::MAX), 64);
}

#[test]
fn padding_narrows_the_bounds_at_the_edge() {
    let linear = Linear::Conv {
        input: Shape::new(1, 1, 3),
        outputs: 1,
        kernel: (1, 3),
        stride: 1,
        padding: 0,
    };
    let weights = Weights {
        weights: vec![1, -2, 4],
        bias: vec![10],
    };
    let inputs = vec![Range::new(1, 3); 3];
    assert_eq!(
        linear.bounds(&weights, &inputs),
        Ok(vec![Range::new(10 + 1 - 6 + 4, 10 + 3 - 2 + 12)])
    );
    let padded = Linear::Conv {
        input: Shape::new(1, 1, 1),
        outputs: 1,
        kernel: (1, 3),
        stride: 1,
        padding: 1,
    };
    // Three rows (two of padding), one column: only the middle row and tap.
    let bounds = padded
        .bounds(&weights, &inputs[..1])
        .expect("small numbers");
    let bias = Range::new(10, 10);
    assert_eq!(bounds, [bias, Range::new(10 - 6, 10 - 2), bias]);
}

#[test]
fn lenet5_slots_have_the_widths_of_its_weights() {
    let network = lenet5(&mut seeded(9));
    let widths: Vec<u32> = network
        .profile()
        .stages
        .iter()
        .map(|stage| stage.range.slot_bits())
        .collect();
    // 25, 150, 400, 120 and 84 taps of weights up to 127 and inputs up to 255.
    for (bits, taps) in widths.iter().zip([25i64, 150, 400, 120, 84]) {
        let most = taps * 127 * 255 + 1000;
        assert!(*bits <= Range::new(-most, most).slot_bits());
        assert!((18..=25).contains(bits), "{bits} bits for {taps} taps");
    }
}

#[test]
fn stated_ranges_are_compared_with_the_weights() {
    let network = lenet5(&mut seeded(10));
    let (profile, layers) = network.clone().into_parts();
    let again = Network::check(profile.clone(), layers.clone());
    assert_eq!(again.as_ref(), Ok(&network));

    let mut changed = layers.clone();
    changed[2].weights[7] += 100_000;
    let error = Network::check(profile.clone(), changed).expect_err("another range");
    assert!(error.to_string().starts_with("stage fc1: the profile says"));

    let mut wider = profile;
    wider.stages[4].range.max += 1;
    let error = Network::check(wider, layers).expect_err("a range that is too wide");
    assert!(matches!(
        error,
        NetworkError::Layer { ref place, problem: Problem::RangeMismatch { .. } }
            if place == "stage fc3"
    ));
}

#[test]
fn weights_that_leave_64_bits_are_refused() {
    let mut profile = lenet5_profile();
    let mut rng = seeded(11);
    let mut layers: Vec<Weights> = profile
        .stages
        .iter()
        .map(|stage| random_weights(&stage.linear, 127, &mut rng))
        .collect();
    layers[0].bias[3] = i64::MAX;
    layers[0].weights[3 * 25] = 1;
    let error = Network::new(profile.clone(), layers.clone()).expect_err("overflow");
    assert!(
        error
            .to_string()
            .starts_with("stage conv1: a pre-activation may need more than 64 bits"),
    );
    // The bias alone fits, but not four of them in a window's sum.
    layers[0].bias[3] = i64::MAX / 2;
    let error = Network::new(profile.clone(), layers.clone()).expect_err("overflow");
    assert_eq!(
        error.to_string(),
        "stage conv1, step 2 (sum_pool): a pooled sum may need more than 64 bits; \
         use smaller weights, multipliers or inputs"
    );
    profile.input.max = i64::MAX;
    layers[0].bias[3] = 0;
    assert!(Network::new(profile, layers).is_err());
}
