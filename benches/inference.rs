//! What a layer and a whole classification cost, with the LeNet-5 of
//! `models/lenet5`.
//!
//! `PDNN_KERNEL=portable cargo bench --bench inference` measures the portable
//! kernel, `PDNN_KERNEL=ifma …` the vector kernel; without the variable, the
//! best kernel that the machine has. `RAYON_NUM_THREADS=1` measures one core.

use std::{hint::black_box, path::Path, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pdnn::{
    file::load_network,
    network::Network,
    paillier::SecretKey,
    protocol::two_party_dnn::{Client, ClientKeys, LayoutChoice, Query, Reply, Server, Step},
};
use rand::{SeedableRng, rngs::ChaCha20Rng};

fn lenet5() -> Network {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lenet5");
    load_network(&folder).expect("the committed model")
}

/// Images that are random within the input range: the cost does not depend on
/// what they show.
fn images(network: &Network, count: usize, rng: &mut ChaCha20Rng) -> Vec<Vec<i64>> {
    use rand::RngExt;
    let input = network.profile().input;
    (0..count)
        .map(|_| {
            (0..input.shape.len())
                .map(|_| rng.random_range(input.min..=input.max))
                .collect()
        })
        .collect()
}

/// The query of every stage, and its reply.
fn exchanges(
    client: &Client,
    server: &Server,
    images: &[Vec<i64>],
    rng: &mut ChaCha20Rng,
) -> Vec<(Query, Reply)> {
    let mut query = client
        .query(images, LayoutChoice::Auto, rng)
        .expect("a query");
    let mut all = Vec::new();
    loop {
        let reply = server.answer(&query, rng).expect("a reply").reply;
        let step = client.receive(&reply, rng).expect("a step");
        all.push((query, reply));
        match step {
            Step::Next(next) => query = next,
            Step::Done(_) => return all,
        }
    }
}

fn layers(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for bits in [2048, 3072] {
        let network = lenet5();
        let key = SecretKey::generate(bits, &mut rng).expect("a key");
        let images = images(&network, 1, &mut rng);
        let client = Client::new(network.profile().clone(), ClientKeys::Owner(key)).for_whole_run();
        let server = Server::new(network).for_whole_run();
        let exchanges = exchanges(&client, &server, &images, &mut rng);

        let mut group = c.benchmark_group(format!("lenet5/{bits} bits/one image"));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(3));
        for (query, reply) in &exchanges {
            let name = client.profile().stages[query.header().stage].name.clone();
            group.bench_function(BenchmarkId::new("server", &name), |b| {
                b.iter(|| server.answer(black_box(query), &mut rng).expect("a reply"));
            });
            group.bench_function(BenchmarkId::new("client", &name), |b| {
                b.iter(|| client.receive(black_box(reply), &mut rng).expect("a step"));
            });
        }
        group.finish();
    }
}

fn whole_images(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut group = c.benchmark_group("lenet5/classification");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for (bits, count) in [(2048, 1), (3072, 1), (2048, 100)] {
        let network = lenet5();
        let key = SecretKey::generate(bits, &mut rng).expect("a key");
        let images = images(&network, count, &mut rng);
        let client = Client::new(network.profile().clone(), ClientKeys::Owner(key)).for_whole_run();
        let server = Server::new(network).for_whole_run();
        group.bench_function(format!("{bits} bits/{count} images"), |b| {
            b.iter(|| exchanges(&client, &server, black_box(&images), &mut rng));
        });
    }
    group.finish();
}

criterion_group!(benches, layers, whole_images);
criterion_main!(benches);
