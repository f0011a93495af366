//! Small networks with random weights that have every kind of layer.

use pdnn::network::{InputSpec, Linear, Network, Op, Profile, Range, Shape, Stage, Weights};
use rand::{CryptoRng, RngExt};

fn random_weights(linear: &Linear, limit: i32, rng: &mut impl CryptoRng) -> Weights {
    let count: usize = linear.weight_shape().iter().product();
    Weights {
        weights: (0..count)
            .map(|_| {
                // A third of the weights are 0, as in pruned networks.
                if rng.random_range(0..3) == 0 {
                    0
                } else {
                    rng.random_range(-limit..=limit)
                }
            })
            .collect(),
        bias: (0..linear.channels())
            .map(|_| rng.random_range(-300..=300))
            .collect(),
    }
}

fn requantise(channels: usize, rng: &mut impl CryptoRng) -> Op {
    Op::Requantise {
        multipliers: (0..channels).map(|_| rng.random_range(20..=60)).collect(),
        shift: 10,
        min: 0,
        max: 63,
    }
}

/// Two convolutions (padding; stride 2 and no padding), two dense layers, all
/// poolings but one, signed inputs, weights of 8 and of 4 bits, and an output
/// whose weights are all 0.
pub(crate) fn mixed_network(rng: &mut impl CryptoRng) -> Network {
    let shape = |channels, height, width| Shape {
        channels,
        height,
        width,
    };
    let linears = [
        Linear::Conv {
            input: shape(2, 8, 7),
            outputs: 3,
            kernel: (3, 3),
            stride: 1,
            padding: 1,
        },
        Linear::Conv {
            input: shape(3, 4, 3),
            outputs: 5,
            kernel: (2, 3),
            stride: 2,
            padding: 0,
        },
        Linear::Dense {
            inputs: 10,
            outputs: 12,
        },
        Linear::Dense {
            inputs: 12,
            outputs: 4,
        },
    ];
    let pool = Op::MaxPool { size: 2, stride: 2 };
    let then = [
        vec![Op::Relu, pool, requantise(3, rng)],
        vec![requantise(1, rng), Op::Flatten],
        vec![Op::Relu, requantise(12, rng)],
        vec![],
    ];
    let mut layers: Vec<Weights> = linears
        .iter()
        .zip([127, 7, 127, 127])
        .map(|(linear, limit)| random_weights(linear, limit, rng))
        .collect();
    // The last output has no weight at all: its ciphertext is the bias alone.
    let last = layers[3].weights.len();
    layers[3].weights[last - 12..].fill(0);
    let stages = linears
        .into_iter()
        .zip(then)
        .enumerate()
        .map(|(number, (linear, then))| Stage {
            name: format!("layer{}", number + 1),
            linear,
            range: Range::new(0, 0),
            then,
        })
        .collect();
    let profile = Profile::new(
        "mixed",
        InputSpec {
            shape: shape(2, 8, 7),
            min: -20,
            max: 255,
        },
        stages,
        ["a", "b", "c", "d"].map(str::to_string).to_vec(),
        0.01,
    );
    Network::new(profile, layers).expect("a sound network")
}

/// [`mixed_network`] on images a pixel narrower, with box sums before either
/// convolution: of the padded images, and of the activations.
pub(crate) fn boxed_network(rng: &mut impl CryptoRng) -> Network {
    let (mut profile, layers) = mixed_network(rng).into_parts();
    let sums = Op::SumPool { size: 2, stride: 1 };
    profile.input.shape = Shape::new(2, 7, 6);
    profile.prepare = vec![Op::Pad { size: 1 }, sums.clone()];
    let then = &mut profile.stages[0].then;
    then[1] = Op::MaxPool { size: 4, stride: 1 };
    then.push(sums);
    Network::new(profile, layers).expect("a sound network")
}

/// Random images in the network's input range.
pub(crate) fn images(network: &Network, count: usize, rng: &mut impl CryptoRng) -> Vec<Vec<i64>> {
    let input = &network.profile().input;
    (0..count)
        .map(|_| {
            (0..input.shape.len())
                .map(|_| rng.random_range(input.min..=input.max))
                .collect()
        })
        .collect()
}
