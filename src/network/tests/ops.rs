//! The client's operations, each against its definition.

use proptest::prelude::*;

use crate::network::{Function, Op, Problem, Range, Shape};

/// ⌊a / b + 1/2⌋ for b > 0, from the remainder: exact rational rounding.
fn rounded_half_up(a: i128, b: i128) -> i128 {
    let (quotient, remainder) = (a.div_euclid(b), a.rem_euclid(b));
    if 2 * remainder >= b {
        quotient + 1
    } else {
        quotient
    }
}

/// What `op` makes of a vector.
fn on_vector(op: &Op, values: &[i64]) -> Vec<i64> {
    op.apply(Shape::vector(values.len()), values.to_vec())
}

proptest! {
    #[test]
    fn requantisation_rounds_the_exact_quotient(
        x in -(1i64 << 40)..1 << 40,
        multiplier in -(1i64 << 20)..1 << 20,
        shift in 1..=61u32,
        a in -300..300i64,
        b in -300..300i64,
    ) {
        let (min, max) = (a.min(b), a.max(b));
        let op = Op::Requantise { multipliers: vec![multiplier], shift, min, max };
        let exact = rounded_half_up(i128::from(x) * i128::from(multiplier), 1 << shift);
        let expected = exact.clamp(min.into(), max.into());
        prop_assert_eq!(i128::from(on_vector(&op, &[x])[0]), expected);
    }

    /// Halves are the case that rounding rules differ in.
    #[test]
    fn requantisation_rounds_halves_up(odd in -1000..1000i64, shift in 1..=32u32) {
        let op = Op::Requantise { multipliers: vec![1], shift, min: i64::MIN, max: i64::MAX };
        let half = (2 * odd + 1) << (shift - 1);
        prop_assert_eq!(on_vector(&op, &[half])[0], odd + 1);
    }

    #[test]
    fn pooling_equals_its_definition(
        channels in 1..3usize, height in 1..7usize, width in 1..7usize,
        size in 1..4usize, stride in 1..4usize, seed in any::<[i64; 32]>(),
    ) {
        prop_assume!(size <= height && size <= width);
        let shape = Shape::new(channels, height, width);
        let values: Vec<i64> = (0..shape.len())
            .map(|i| (seed[i % 32] >> 20).wrapping_mul(i as i64 + 1) >> 8)
            .collect();
        let (mut sums, mut means, mut maxima) = (vec![], vec![], vec![]);
        for c in 0..channels {
            for top in (0..=height - size).step_by(stride) {
                for left in (0..=width - size).step_by(stride) {
                    let mut window = vec![];
                    for y in top..top + size {
                        for x in left..left + size {
                            window.push(values[(c * height + y) * width + x]);
                        }
                    }
                    let sum: i128 = window.iter().map(|&v| i128::from(v)).sum();
                    sums.push(sum as i64);
                    means.push(rounded_half_up(sum, (size * size) as i128) as i64);
                    maxima.push(*window.iter().max().expect("a window has values"));
                }
            }
        }
        let pools = [
            (Op::SumPool { size, stride }, sums),
            (Op::AveragePool { size, stride }, means),
            (Op::MaxPool { size, stride }, maxima),
        ];
        for (op, expected) in pools {
            let output = op.output_shape(shape).expect("the window fits");
            prop_assert_eq!(output.len(), expected.len());
            prop_assert_eq!(op.apply(shape, values.clone()), expected);
        }
    }

    /// Bounds of element-wise operations, against every value in the interval.
    #[test]
    fn bounds_of_single_elements_are_exact(
        a in -200..200i64, b in -200..200i64, multiplier in -9..9i64, shift in 1..6u32,
        table in proptest::collection::vec(-50..50i64, 401),
    ) {
        let range = Range::new(a.min(b), a.max(b));
        let ops = [
            Op::Relu,
            Op::Square,
            Op::Flatten,
            Op::Lookup { function: Function::Tanh, min: -200, table },
            Op::Requantise { multipliers: vec![multiplier], shift, min: -20, max: 30 },
        ];
        for op in ops {
            let all: Vec<i64> = (range.min..=range.max).collect();
            let results = on_vector(&op, &all);
            let expected = Range::new(
                *results.iter().min().expect("not empty"),
                *results.iter().max().expect("not empty"),
            );
            let found = op.bounds(Shape::vector(1), vec![range]).expect("small numbers");
            prop_assert_eq!(found, vec![expected]);
            prop_assert_eq!(op.uniform_bounds(range).expect("small numbers"), expected);
        }
    }

    /// Bounds of pooling, against every tensor of two values per element.
    #[test]
    fn bounds_of_pooled_values_are_attained(ends in any::<[(i8, i8); 4]>()) {
        let shape = Shape::new(1, 2, 2);
        let ranges: Vec<Range> = ends
            .iter()
            .map(|&(a, b)| Range::new(a.min(b).into(), a.max(b).into()))
            .collect();
        let (size, stride) = (2, 2);
        for op in [
            Op::SumPool { size, stride },
            Op::AveragePool { size, stride },
            Op::MaxPool { size, stride },
        ] {
            let results: Vec<i64> = (0..16)
                .map(|corner| {
                    let pick = |i: usize| {
                        if corner >> i & 1 == 0 { ranges[i].min } else { ranges[i].max }
                    };
                    op.apply(shape, (0..4).map(pick).collect())[0]
                })
                .collect();
            let found = op.bounds(shape, ranges.clone()).expect("small numbers")[0];
            prop_assert_eq!(results.iter().min(), Some(&found.min));
            prop_assert_eq!(results.iter().max(), Some(&found.max));
            let all = Range::of_all(&ranges).expect("four");
            prop_assert!(op.uniform_bounds(all).expect("small numbers").covers(found));
        }
    }
}

#[test]
fn relu_square_and_flatten_on_edge_values() {
    assert_eq!(on_vector(&Op::Relu, &[-3, 0, 3]), [0, 0, 3]);
    assert_eq!(on_vector(&Op::Square, &[-3, 0, 3]), [9, 0, 9]);
    let shape = Shape::new(2, 1, 2);
    assert_eq!(Op::Flatten.apply(shape, vec![1, 2, 3, 4]), [1, 2, 3, 4]);
    assert_eq!(Op::Flatten.output_shape(shape), Ok(Shape::vector(4)));
}

#[test]
fn requantisation_has_a_multiplier_for_each_channel() {
    let op = Op::Requantise {
        multipliers: vec![2, 6],
        shift: 2,
        min: -100,
        max: 100,
    };
    let values = vec![10, -10, 10, -11];
    assert_eq!(op.apply(Shape::new(2, 1, 2), values), [5, -5, 15, -16]);
    let ranges = vec![Range::new(-10, 10); 4];
    let bounds = op.bounds(Shape::new(2, 1, 2), ranges);
    let (narrow, wide) = (Range::new(-5, 5), Range::new(-15, 15));
    assert_eq!(bounds, Ok(vec![narrow, narrow, wide, wide]));
    assert_eq!(op.uniform_bounds(Range::new(-10, 10)), Ok(wide));
}

#[test]
fn tables_are_the_rounded_functions() {
    let arguments = Range::new(-300, 300);
    let tanh = Op::lookup(Function::Tanh, arguments, 0.01, 1.0 / 127.0).expect("a table");
    let sigmoid = Op::lookup(Function::Sigmoid, arguments, 0.01, 1.0 / 255.0).expect("a table");
    let values: Vec<i64> = (-300..=300).collect();
    let tanh = on_vector(&tanh, &values);
    let sigmoid = on_vector(&sigmoid, &values);
    // tanh(3) = 0.99505, sigmoid(3) = 0.95257.
    assert_eq!((tanh[0], tanh[300], tanh[600]), (-126, 0, 126));
    assert_eq!((sigmoid[0], sigmoid[300], sigmoid[600]), (12, 128, 243));
    for (index, &y) in tanh.iter().enumerate() {
        let x = (index as f64 - 300.0) * 0.01;
        assert!((y as f64 - 127.0 * x.tanh()).abs() <= 0.5);
        // An odd function stays odd.
        assert_eq!(y, -tanh[600 - index]);
    }
    assert!(sigmoid.is_sorted());
}

#[test]
fn tables_that_cannot_be_made() {
    let make = |min, max, input, output| {
        Op::lookup(Function::Tanh, Range::new(min, max), input, output).is_some()
    };
    assert!(make(0, 0, 1.0, 1.0));
    assert!(make(0, (1 << 18) - 1, 1e-6, 1.0));
    assert!(!make(0, 1 << 18, 1e-6, 1.0));
    assert!(!make(i64::MIN, i64::MAX, 1.0, 1.0));
    assert!(!make(1, 0, 1.0, 1.0));
    assert!(!make(0, 1, f64::NAN, 1.0));
    assert!(!make(0, 1, 1.0, 0.0));
}

#[test]
fn what_does_not_fit_64_bits_has_no_bounds() {
    let overflow = |op: &Op, min, max| {
        let range = Range::new(min, max);
        let each = op.bounds(Shape::new(1, 2, 2), vec![range; 4]);
        let uniform = op.uniform_bounds(range);
        let refused = matches!(each, Err(Problem::Overflow { .. }));
        assert_eq!(refused, matches!(uniform, Err(Problem::Overflow { .. })));
        refused
    };
    let (size, stride) = (2, 2);
    // ⌊√(2^63 − 1)⌋ and the next.
    assert!(!overflow(&Op::Square, -3_037_000_499, 0));
    assert!(overflow(&Op::Square, -3_037_000_500, 0));
    let sum = Op::SumPool { size, stride };
    assert!(!overflow(&sum, i64::MIN / 4, i64::MAX / 4));
    assert!(overflow(&sum, 0, i64::MAX / 4 + 1));
    // The rounding doubles the sum and adds 4.
    let mean = Op::AveragePool { size, stride };
    assert!(!overflow(&mean, 0, (i64::MAX - 4) / 8));
    assert!(overflow(&mean, 0, (i64::MAX - 4) / 8 + 1));
    // The product alone fits; with the rounding term it does not.
    let requantise = Op::Requantise {
        multipliers: vec![1],
        shift: 62,
        min: 0,
        max: 1,
    };
    assert!(!overflow(&requantise, 0, i64::MAX - (1 << 61)));
    assert!(overflow(&requantise, 0, i64::MAX - (1 << 61) + 1));
    assert!(!overflow(&Op::MaxPool { size, stride }, i64::MIN, i64::MAX));
    assert!(!overflow(&Op::Relu, i64::MIN, i64::MAX));
}
