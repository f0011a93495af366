//! What it costs to draw weights: a sample at several deviations, and all of
//! LeNet-5.
//!
//! `cargo bench --bench sampling`; with a generator in the process (ChaCha20),
//! and with the operating system's, which `pdnn` draws from.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pdnn::{
    file::load_network,
    network::{BayesianNetwork, Deviations, Gaussian, Posterior, RandomBits},
};
use rand::{
    SeedableRng,
    rand_core::UnwrapErr,
    rngs::{ChaCha20Rng, SysRng},
};

/// Samples of one measurement.
const SAMPLES: u64 = 1000;

/// Where the Gaussians are truncated.
const TRUNCATION: u32 = 4;

fn samples(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut bits = RandomBits::new(&mut rng);
    let mut group = c.benchmark_group("sample");
    group.throughput(Throughput::Elements(SAMPLES));
    let mut measure = |name: String, gaussian: Gaussian| {
        group.bench_function(name, |b| {
            b.iter(|| {
                (0..SAMPLES)
                    .map(|_| gaussian.sample(&mut bits))
                    .fold(0, i64::wrapping_add)
            })
        });
    };
    for deviation in [1, 5, 20, 255] {
        let name = format!("table, deviation {deviation}");
        measure(name, Gaussian::new(deviation, TRUNCATION));
    }
    for deviation in [20, 1 << 12, 1 << 40] {
        let name = format!("rejection, deviation {deviation}");
        measure(name, Gaussian::without_table(deviation, TRUNCATION));
    }
    group.finish();
    let mut group = c.benchmark_group("table");
    for deviation in [1, 20, 255] {
        group.bench_function(format!("make, deviation {deviation}"), |b| {
            b.iter(|| Gaussian::new(black_box(deviation), TRUNCATION))
        });
    }
    group.finish();
}

/// LeNet-5 with deviations from 0 to 15, as a trained one has them in order of
/// magnitude.
fn lenet5() -> BayesianNetwork {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lenet5");
    let network = load_network(&folder).expect("the committed model");
    let (mut profile, means) = network.into_parts();
    profile.posterior = Some(Posterior {
        truncation: TRUNCATION,
    });
    let deviations = means
        .iter()
        .map(|layer| Deviations {
            weights: (0..16).cycle().take(layer.weights.len()).collect(),
            bias: layer.bias.iter().map(|_| 1000).collect(),
        })
        .collect();
    BayesianNetwork::new(profile, means, deviations).expect("small deviations")
}

fn networks(c: &mut Criterion) {
    let network = lenet5();
    let weights: usize = network.means().iter().map(|l| l.weights.len()).sum();
    let mut group = c.benchmark_group("draw LeNet-5");
    group.throughput(Throughput::Elements(weights as u64));
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    group.bench_function("ChaCha20", |b| b.iter(|| network.draw(&mut rng)));
    let mut rng = UnwrapErr(SysRng);
    group.bench_function("operating system", |b| b.iter(|| network.draw(&mut rng)));
    group.finish();
}

criterion_group!(benches, samples, networks);
criterion_main!(benches);
