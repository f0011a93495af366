//! Box sums: pooling before the activation, done to what a convolution takes.

use std::borrow::Cow;

use proptest::prelude::*;
use rand::RngExt;
use serde_json::json;

use super::{conv, lenet5, lenet5_profile, random_weights, seeded, stage};
use crate::network::{InputSpec, Linear, Network, Op, Profile, Range, Shape, Stage, Weights};

/// LeNet-5 with pooling before the activation: by pooling, and by box sums.
fn both(seed: u64) -> (Network, Network) {
    let mut rng = seeded(seed);
    let pool = Op::SumPool { size: 2, stride: 2 };
    let sums = Op::SumPool { size: 2, stride: 1 };
    let mut pooled = lenet5_profile();
    for stage in &mut pooled.stages[..2] {
        stage.then.swap(0, 1);
        assert_eq!(stage.then[0], pool);
    }
    let mut boxed = pooled
        .clone()
        .with_preparation(vec![Op::Pad { size: 1 }, sums.clone()]);
    for stage in &mut boxed.stages[..2] {
        stage.then.remove(0);
    }
    boxed.stages[0].linear = conv(Shape::new(1, 29, 29), 6, 5, 2, 1);
    boxed.stages[0].then.push(sums);
    boxed.stages[1].linear = conv(Shape::new(6, 13, 13), 16, 5, 2, 0);

    let weights = |stage: &Stage| random_weights(&stage.linear, 127, &mut rng);
    let layers: Vec<Weights> = pooled.stages.iter().map(weights).collect();
    let mut four_times = layers.clone();
    for layer in &mut four_times[..2] {
        layer.bias.iter_mut().for_each(|b| *b *= 4);
    }
    (
        Network::new(pooled, layers).expect("a network"),
        Network::new(boxed, four_times).expect("a network"),
    )
}

proptest! {
    /// Any kernel, padding and pooling, also where windows do not cover the
    /// whole result.
    #[test]
    fn a_convolution_on_box_sums_is_the_pooled_convolution(
        channels in 1..3usize, height in 1..9usize, width in 1..9usize,
        size in 1..4usize, kernel in 1..5usize, padding in 0..4usize, seed: u64,
    ) {
        let (high, wide) = (height + 2 * padding, width + 2 * padding);
        prop_assume!(high.min(wide) + 1 >= kernel + size);
        let mut rng = seeded(seed);
        let shape = Shape::new(channels, height, width);
        let linear = conv(shape, 3, kernel, 1, padding);
        let weights = random_weights(&linear, 127, &mut rng);
        let input: Vec<i64> = (0..shape.len()).map(|_| rng.random_range(-99..=99)).collect();
        let pool = Op::SumPool { size, stride: size };
        let expected = pool.apply(linear.output_shape(), linear.forward(&weights, &input));

        // As many zeros before the sums as make a difference, at least none.
        for before in padding.min(size - 1)..=padding {
            let sums = Op::SumPool { size, stride: 1 };
            let (mut at, mut values) = (shape, input.clone());
            for op in [Op::Pad { size: before }, sums] {
                if op != (Op::Pad { size: 0 }) {
                    values = op.apply(at, values);
                    at = op.output_shape(at).expect("fits");
                }
            }
            let strided = conv(at, 3, kernel, size, padding - before);
            let mut boxed = weights.clone();
            boxed.bias.iter_mut().for_each(|b| *b *= (size * size) as i64);
            prop_assert_eq!(strided.forward(&boxed, &values), expected.clone());
        }
    }

    #[test]
    fn padding_equals_its_definition(
        channels in 1..3usize, height in 1..5usize, width in 1..5usize, size in 1..4usize,
    ) {
        let shape = Shape::new(channels, height, width);
        let values: Vec<i64> = (1..=shape.len() as i64).collect();
        let op = Op::Pad { size };
        let output = op.output_shape(shape).expect("small");
        prop_assert_eq!(output, Shape::new(channels, height + 2 * size, width + 2 * size));
        let mut expected = Vec::new();
        for c in 0..channels {
            for y in 0..output.height {
                for x in 0..output.width {
                    let inside = (size..size + height).contains(&y)
                        && (size..size + width).contains(&x);
                    expected.push(match inside {
                        true => values[(c * height + y - size) * width + x - size],
                        false => 0,
                    });
                }
            }
        }
        prop_assert_eq!(op.apply(shape, values.clone()), expected.clone());
        let ranges = values.iter().map(|v| Range::new(*v, 2 * v)).collect();
        let bounds = op.bounds(shape, ranges).expect("small");
        for (bound, value) in bounds.iter().zip(expected) {
            prop_assert_eq!(*bound, Range::new(value, 2 * value));
        }
        prop_assert_eq!(op.uniform_bounds(Range::new(3, 5)), Ok(Range::new(0, 5)));
    }
}

#[test]
fn lenet5_by_box_sums_is_lenet5_pooled_first() {
    for seed in 0..3 {
        let (pooled, boxed) = both(seed);
        let mut rng = seeded(100 + seed);
        for _ in 0..4 {
            let image: Vec<i64> = (0..784).map(|_| rng.random_range(0..=255)).collect();
            assert_eq!(pooled.forward(&image), boxed.forward(&image));
        }
        let count = |network: &Network| -> usize {
            let stages = &network.profile().stages;
            stages.iter().map(|s| s.linear.output_shape().len()).sum()
        };
        assert_eq!((count(&pooled), count(&boxed)), (6518, 1790));
    }
}

#[test]
fn a_sum_of_four_has_four_times_the_range() {
    let (_, boxed) = both(3);
    let profile = boxed.profile();
    assert_eq!(profile.input_range(0), Range::new(0, 4 * 255));
    // Behind a requantisation it depends on what the results can reach.
    let sums = profile.input_range(1);
    assert_eq!((sums.min, sums.max % 4), (0, 0));
    let white = vec![255; 784];
    let sums = profile.prepared(&white);
    assert_eq!(sums.len(), 29 * 29);
    assert_eq!((sums[0], sums[1], sums[30]), (255, 510, 1020));
    // White everywhere that a weight of conv1 is positive is an input, so the
    // bound of a kernel without negative weights is attained.
    let (mut profile, mut layers) = boxed.clone().into_parts();
    layers[0].weights.iter_mut().for_each(|w| *w = w.abs());
    let positive = Network::new(profile.clone(), layers.clone()).expect("a network");
    let results = positive.trace(&white).swap_remove(0);
    assert_eq!(
        results.iter().max(),
        Some(&positive.profile().stages[0].range.max)
    );
    profile.stages[0].range = Range::new(0, 1);
    assert!(Network::check(profile, layers).is_err(), "another range");
}

#[test]
fn a_profile_without_preparation_is_written_as_it_was_before_there_was_any() {
    let profile = lenet5(&mut seeded(4)).profile().clone();
    let text = profile.canonical_json();
    assert!(!text.contains("prepare"), "{text}");
    let images = [vec![0; 784]];
    assert!(matches!(profile.prepared_all(&images), Cow::Borrowed(_)));
}

#[test]
fn a_profile_with_preparation_survives_the_round_trip() {
    let (_, boxed) = both(5);
    let profile = boxed.profile();
    let again = Profile::from_json(&profile.to_json()).expect("valid");
    assert_eq!(&again, profile);
    assert_eq!(again.fingerprint(), profile.fingerprint());
    let value: serde_json::Value = serde_json::from_str(&profile.to_json()).expect("JSON");
    let expected = json!([
        {"op": "pad", "size": 1},
        {"op": "sum_pool", "size": 2, "stride": 1},
    ]);
    assert_eq!(value["prepare"], expected);
    let mut other = profile.clone();
    other.prepare[0] = Op::Pad { size: 2 };
    assert_ne!(other.fingerprint(), profile.fingerprint());
}

/// A network of one layer on images of 4x4.
fn small(prepare: Vec<Op>, linear: Linear, then: Vec<Op>) -> Result<Network, String> {
    let input = InputSpec {
        shape: Shape::new(1, 4, 4),
        min: 0,
        max: 9,
    };
    let outputs = linear.output_shape().len();
    let labels = (0..outputs.max(1)).map(|i| i.to_string()).collect();
    let profile = Profile::new(
        "small",
        input,
        vec![stage("only", linear, then)],
        labels,
        1.0,
    );
    let weights = random_weights(&linear, 7, &mut seeded(6));
    let network = Network::new(profile.with_preparation(prepare), vec![weights]);
    network.map_err(|error| error.to_string())
}

#[track_caller]
fn assert_refused(found: Result<Network, String>, words: &str) {
    let text = found.expect_err("malformed");
    assert!(!text.contains('\n'), "more than one line: {text}");
    assert!(text.contains(words), "{text:?} does not say {words:?}");
}

#[test]
fn box_sums_before_a_dense_layer_of_the_whole_image() {
    let sums = Op::SumPool { size: 2, stride: 1 };
    let dense = Linear::Dense {
        inputs: 16,
        outputs: 2,
    };
    assert_refused(
        small(vec![sums], dense, vec![]),
        "stage only: expected an input of 16x1x1, found 1x3x3 from the layer before",
    );
}

#[test]
fn box_sums_of_a_vector() {
    let sums = Op::SumPool { size: 2, stride: 1 };
    let dense = Linear::Dense {
        inputs: 16,
        outputs: 2,
    };
    assert_refused(
        small(vec![Op::Flatten, sums], dense, vec![]),
        "preparation, step 2 (sum_pool): a window of 2x2 is larger than its input of 16x1x1",
    );
}

#[test]
fn box_sums_at_a_stride_that_does_not_fit() {
    let sums = Op::SumPool { size: 2, stride: 2 };
    assert_refused(
        small(vec![sums], conv(Shape::new(1, 3, 3), 1, 2, 1, 0), vec![]),
        "stage only: expected an input of 1x3x3, found 1x2x2 from the layer before",
    );
}

#[test]
fn box_sums_without_the_padding_that_the_layer_expects() {
    let sums = Op::SumPool { size: 2, stride: 1 };
    let linear = conv(Shape::new(1, 5, 5), 1, 2, 2, 0);
    small(vec![Op::Pad { size: 1 }, sums.clone()], linear, vec![]).expect("a network");
    assert_refused(
        small(vec![sums], linear, vec![]),
        "expected an input of 1x5x5, found 1x3x3",
    );
}

#[test]
fn box_sums_of_no_element() {
    let linear = conv(Shape::new(1, 3, 3), 1, 2, 2, 0);
    for (size, stride, what) in [
        (0, 1, "the size of the pooling window"),
        (2, 0, "the stride"),
    ] {
        let words = format!("preparation, step 1 (sum_pool): {what} is 0, expected at least 1");
        assert_refused(
            small(vec![Op::SumPool { size, stride }], linear, vec![]),
            &words,
        );
    }
}

#[test]
fn padding_by_nothing() {
    let linear = conv(Shape::new(1, 4, 4), 1, 2, 2, 0);
    assert_refused(
        small(vec![Op::Pad { size: 0 }], linear, vec![]),
        "preparation, step 1 (pad): the size of the padding is 0, expected at least 1",
    );
}

#[test]
fn padding_that_fills_the_memory() {
    let linear = conv(Shape::new(1, 4, 4), 1, 2, 2, 0);
    for size in [1 << 20, usize::MAX] {
        assert_refused(
            small(vec![Op::Pad { size }], linear, vec![]),
            "preparation, step 1 (pad): the number of values would be",
        );
    }
}

#[test]
fn too_many_steps_of_preparation() {
    let linear = conv(Shape::new(1, 4, 4), 1, 2, 2, 0);
    assert_refused(
        small(vec![Op::Relu; 33], linear, vec![]),
        "preparation: the number of steps would be 33, the limit is 32",
    );
}

#[test]
fn preparation_that_leaves_64_bits() {
    let linear = conv(Shape::new(1, 4, 4), 1, 2, 2, 0);
    let huge = Op::Requantise {
        multipliers: vec![i64::MAX],
        shift: 1,
        min: 0,
        max: 1,
    };
    assert_refused(
        small(vec![huge], linear, vec![]),
        "preparation, step 1 (requantise): a requantised product may need more than 64 bits",
    );
}

#[test]
fn preparation_that_is_no_list_of_operations() {
    let (_, boxed) = both(7);
    for wrong in [
        json!({"op": "pad"}),
        json!([{"op": "pad"}]),
        json!([{"op": "box"}]),
        json!(2),
    ] {
        let mut value: serde_json::Value =
            serde_json::from_str(&boxed.profile().to_json()).expect("JSON");
        value["prepare"] = wrong;
        let error = Profile::from_json(&value.to_string()).expect_err("malformed");
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
