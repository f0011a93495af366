//! Tests of the room, and the networks that they share.

mod bayesian;
mod box_sums;
mod forward;
mod malformed;
mod malformed_features;
mod ops;
mod ranges;

use super::{InputSpec, Linear, Network, Op, Profile, Range, Shape, Stage, Weights};
use rand::{Rng, RngExt, SeedableRng, rngs::ChaCha20Rng};

/// A seeded generator.
pub(super) fn seeded(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A stage whose range is still to be computed.
pub(super) fn stage(name: &str, linear: Linear, then: Vec<Op>) -> Stage {
    Stage {
        name: name.to_owned(),
        linear,
        range: Range::new(0, 0),
        then,
    }
}

/// Random weights from −`most` to `most` for `linear`.
pub(super) fn random_weights(linear: &Linear, most: i32, rng: &mut impl Rng) -> Weights {
    let count = linear.channels() * linear.taps();
    Weights {
        weights: (0..count).map(|_| rng.random_range(-most..=most)).collect(),
        bias: (0..linear.channels())
            .map(|_| rng.random_range(-1000..=1000))
            .collect(),
    }
}

/// A convolution without padding at stride 1, or as asked.
pub(super) fn conv(
    input: Shape,
    outputs: usize,
    size: usize,
    stride: usize,
    padding: usize,
) -> Linear {
    Linear::Conv {
        input,
        outputs,
        kernel: (size, size),
        stride,
        padding,
    }
}

/// Unsigned 8-bit requantisation by 2^−`shift`.
pub(super) fn to_bytes(shift: u32) -> Op {
    Op::Requantise {
        multipliers: vec![1],
        shift,
        min: 0,
        max: 255,
    }
}

/// The profile of LeNet-5 on 28x28 images, ranges not computed.
pub(super) fn lenet5_profile() -> Profile {
    let pool = Op::SumPool { size: 2, stride: 2 };
    let dense = |inputs, outputs| Linear::Dense { inputs, outputs };
    Profile::new(
        "lenet5",
        InputSpec {
            shape: Shape::new(1, 28, 28),
            min: 0,
            max: 255,
        },
        vec![
            stage(
                "conv1",
                conv(Shape::new(1, 28, 28), 6, 5, 1, 2),
                vec![Op::Relu, pool.clone(), to_bytes(13)],
            ),
            stage(
                "conv2",
                conv(Shape::new(6, 14, 14), 16, 5, 1, 0),
                vec![Op::Relu, pool, to_bytes(13), Op::Flatten],
            ),
            stage("fc1", dense(400, 120), vec![Op::Relu, to_bytes(12)]),
            stage("fc2", dense(120, 84), vec![Op::Relu, to_bytes(12)]),
            stage("fc3", dense(84, 10), vec![]),
        ],
        (0..10).map(|digit| digit.to_string()).collect(),
        0.01,
    )
}

/// LeNet-5 with random 8-bit weights.
pub(super) fn lenet5(rng: &mut impl Rng) -> Network {
    let profile = lenet5_profile();
    let layers = profile
        .stages
        .iter()
        .map(|stage| random_weights(&stage.linear, 127, rng))
        .collect();
    Network::new(profile, layers).expect("LeNet-5 is a network")
}
