//! The layers, each against a naive reading of its definition.

use proptest::prelude::*;
use rand::RngExt;

use super::{conv, lenet5, random_weights, seeded};
use crate::network::{Linear, Shape, Weights, argmax, softmax};

/// A convolution by its definition, on a padded copy of the input, in 128 bits.
fn naive_conv(linear: &Linear, weights: &Weights, input: &[i64]) -> Vec<i128> {
    let Linear::Conv {
        input: shape,
        outputs,
        kernel: (down, across),
        stride,
        padding,
    } = *linear
    else {
        panic!("not a convolution");
    };
    let (high, wide) = (shape.height + 2 * padding, shape.width + 2 * padding);
    let mut padded = vec![vec![vec![0i128; wide]; high]; shape.channels];
    let mut values = input.iter();
    for channel in &mut padded {
        for row in &mut channel[padding..padding + shape.height] {
            for value in &mut row[padding..padding + shape.width] {
                *value = i128::from(*values.next().expect("an input element"));
            }
        }
    }
    let mut results = Vec::new();
    for output in 0..outputs {
        for top in (0..=high - down).step_by(stride) {
            for left in (0..=wide - across).step_by(stride) {
                let mut sum = i128::from(weights.bias[output]);
                for (i, channel) in padded.iter().enumerate() {
                    for v in 0..down {
                        for u in 0..across {
                            let tap = ((output * shape.channels + i) * down + v) * across + u;
                            sum += i128::from(weights.weights[tap]) * channel[top + v][left + u];
                        }
                    }
                }
                results.push(sum);
            }
        }
    }
    results
}

/// Any convolution of small extents.
fn any_conv() -> impl Strategy<Value = Linear> {
    (
        1..4usize,
        1..9usize,
        1..9usize,
        1..4usize,
        1..4usize,
        0..4usize,
    )
        .prop_flat_map(|(channels, height, width, outputs, stride, padding)| {
            let input = Shape::new(channels, height, width);
            (1..=height + 2 * padding, 1..=width + 2 * padding).prop_map(move |kernel| {
                Linear::Conv {
                    input,
                    outputs,
                    kernel,
                    stride,
                    padding,
                }
            })
        })
}

proptest! {
    #[test]
    fn convolution_equals_its_definition(linear in any_conv(), seed: u64) {
        linear.check().expect("the kernel fits");
        let mut rng = seeded(seed);
        let weights = random_weights(&linear, i32::MAX, &mut rng);
        let input: Vec<i64> = (0..linear.input_shape().len())
            .map(|_| rng.random_range(-(1 << 20)..1 << 20))
            .collect();
        let expected = naive_conv(&linear, &weights, &input);
        let found = linear.forward(&weights, &input);
        prop_assert_eq!(found.len(), linear.output_shape().len());
        prop_assert_eq!(found.into_iter().map(i128::from).collect::<Vec<_>>(), expected);
    }

    /// What the encrypted layers iterate over is the same convolution.
    #[test]
    fn taps_give_the_same_layer(linear in any_conv(), seed: u64) {
        let mut rng = seeded(seed);
        let weights = random_weights(&linear, 127, &mut rng);
        let input: Vec<i64> = (0..linear.input_shape().len())
            .map(|_| rng.random_range(-255..=255))
            .collect();
        let positions = linear.positions();
        let expected = linear.forward(&weights, &input);
        for (index, &expected) in expected.iter().enumerate() {
            let (channel, position) = (index / positions, index % positions);
            let of_channel = &weights.weights[channel * linear.taps()..][..linear.taps()];
            let sum: i64 = of_channel
                .iter()
                .enumerate()
                .filter_map(|(tap, &weight)| {
                    linear.tap_input(position, tap).map(|at| i64::from(weight) * input[at])
                })
                .sum();
            prop_assert_eq!(sum + weights.bias[channel], expected);
        }
    }

    #[test]
    fn dense_equals_its_definition(inputs in 1..50usize, outputs in 1..20usize, seed: u64) {
        let linear = Linear::Dense { inputs, outputs };
        let mut rng = seeded(seed);
        let weights = random_weights(&linear, i32::MAX, &mut rng);
        let input: Vec<i64> = (0..inputs).map(|_| rng.random_range(-(1 << 24)..1 << 24)).collect();
        let found = linear.forward(&weights, &input);
        for (output, &found) in found.iter().enumerate() {
            let mut sum = i128::from(weights.bias[output]);
            for (i, &x) in input.iter().enumerate() {
                sum += i128::from(weights.weights[output * inputs + i]) * i128::from(x);
            }
            prop_assert_eq!(i128::from(found), sum);
        }
    }
}

#[test]
fn partial_sums_may_leave_64_bits_if_the_result_does_not() {
    let linear = Linear::Dense {
        inputs: 4,
        outputs: 1,
    };
    let weights = Weights {
        weights: vec![i32::MAX, i32::MAX, -i32::MAX, -i32::MAX],
        bias: vec![i64::MAX],
    };
    let input = vec![i64::MAX / 2; 4];
    assert_eq!(linear.forward(&weights, &input), [i64::MAX]);
}

#[test]
fn lenet5_has_the_shapes_of_the_paper() {
    let network = lenet5(&mut seeded(5));
    let image: Vec<i64> = (0..28 * 28).map(|i| i % 256).collect();
    let lengths: Vec<usize> = network.trace(&image).iter().map(Vec::len).collect();
    assert_eq!(lengths, [6 * 28 * 28, 16 * 10 * 10, 120, 84, 10]);
    let weights: usize = network.layers().iter().map(|l| l.weights.len()).sum();
    assert_eq!(weights, 150 + 2400 + 48_000 + 10_080 + 840);
    assert_eq!(network.profile().stages[4].linear.weight_shape(), [10, 84]);
    let conv2 = &network.profile().stages[1];
    assert_eq!(conv2.linear.weight_shape(), [16, 6, 5, 5]);
    assert_eq!(conv2.output_shape(), Shape::vector(400));
}

#[test]
fn trace_and_forward_agree() {
    let network = lenet5(&mut seeded(6));
    let mut rng = seeded(7);
    let images: Vec<Vec<i64>> = (0..3)
        .map(|_| (0..784).map(|_| rng.random_range(0..=255)).collect())
        .collect();
    for (image, logits) in images.iter().zip(network.forward_all(&images)) {
        let trace = network.trace(image);
        for (stage, results) in network.profile().stages.iter().zip(&trace) {
            assert!(results.iter().all(|&v| stage.range.contains(v)));
        }
        assert_eq!(network.profile().finish(4, &trace[4]), logits);
        assert_eq!(network.forward(image), logits);
        let conv2_input = network.profile().finish(0, &trace[0]);
        assert_eq!(network.pre_activations(1, &conv2_input), trace[1]);
    }
}

#[test]
fn argmax_takes_the_first_of_equals() {
    assert_eq!(argmax(&[3, 7, 7, -1]), 1);
    assert_eq!(argmax(&[-5, -5]), 0);
    assert_eq!(argmax(&[i64::MIN, i64::MAX]), 1);
    assert_eq!(argmax(&[]), 0);
}

#[test]
fn softmax_is_a_distribution_for_any_logits() {
    let found = softmax(&[0, 1, 2], 1.0);
    let sum = 1.0 + 1f64.exp() + 2f64.exp();
    for (k, p) in found.iter().enumerate() {
        assert!((p - (k as f64).exp() / sum).abs() < 1e-12);
    }
    assert_eq!(softmax(&[i64::MAX, i64::MIN], 1.0), [1.0, 0.0]);
    assert_eq!(softmax(&[5, 5], 1e30), [0.5, 0.5]);
    assert!(softmax(&[], 1.0).is_empty());
}

#[test]
fn debug_text_of_a_network_shows_no_weight() {
    let linear = conv(Shape::new(1, 2, 2), 1, 2, 1, 0);
    let weights = Weights {
        weights: vec![4711; 4],
        bias: vec![4711],
    };
    linear.check_weights(&weights).expect("four weights");
    assert_eq!(format!("{weights:?}"), "Weights(4 weights, 1 biases)");
    let network = lenet5(&mut seeded(8));
    let text = format!("{network:?}");
    assert!(text.contains("Weights(150 weights, 6 biases)"));
    assert!(!text.contains("weights: ["));
}
