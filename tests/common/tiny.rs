//! A network small enough for keys of 512 bits and many runs: 8x8 pixels, a
//! convolution, two dense layers, ten classes; weights from a seed.

use pdnn::network::{InputSpec, Linear, Network, Op, Profile, Range, Shape, Stage, Weights};
use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

/// The network called `name`, with weights from `seed`.
pub(crate) fn tiny_network(name: &str, seed: u64) -> Network {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let stage = |name: &str, linear, then| Stage {
        name: name.into(),
        linear,
        range: Range::new(0, 0),
        then,
    };
    let requantise = |shift| Op::Requantise {
        multipliers: vec![1],
        shift,
        min: 0,
        max: 255,
    };
    let stages = vec![
        stage(
            "conv1",
            Linear::Conv {
                input: Shape::new(1, 8, 8),
                outputs: 2,
                kernel: (3, 3),
                stride: 1,
                padding: 1,
            },
            vec![
                Op::Relu,
                Op::MaxPool { size: 2, stride: 2 },
                requantise(9),
                Op::Flatten,
            ],
        ),
        stage(
            "dense1",
            Linear::Dense {
                inputs: 32,
                outputs: 12,
            },
            vec![Op::Relu, requantise(9)],
        ),
        stage(
            "dense2",
            Linear::Dense {
                inputs: 12,
                outputs: 10,
            },
            vec![],
        ),
    ];
    let layers = stages
        .iter()
        .map(|stage| {
            let count = stage.linear.weight_shape().iter().product();
            Weights {
                weights: (0..count).map(|_| rng.random_range(-60..=70)).collect(),
                bias: (0..stage.linear.channels())
                    .map(|_| rng.random_range(-500..=500))
                    .collect(),
            }
        })
        .collect();
    let profile = Profile::new(
        name,
        InputSpec {
            shape: Shape::new(1, 8, 8),
            min: 0,
            max: 255,
        },
        stages,
        (0..10).map(|digit| digit.to_string()).collect(),
        0.001,
    );
    Network::new(profile, layers).expect("a sound network")
}

/// `count` images of 8x8 pixels, from a seed.
pub(crate) fn images(count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| (0..64).map(|_| rng.random_range(0..=255)).collect())
        .collect()
}
