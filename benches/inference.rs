//! What a layer and a whole classification cost, for the networks of
//! `models/lenet5` and `models/lenet5-fast`, on one thread and on two.
//!
//! `PDNN_KERNEL=portable cargo bench --bench inference` measures the portable
//! kernel, `PDNN_KERNEL=ifma …` the vector kernel; without the variable, the
//! best kernel that the machine has. Both parties run in turn, with keys and
//! combs made beforehand: `scripts/measure.sh` times `pdnn run` and
//! `pdnn evaluate`, from the first byte to the last.

use std::{hint::black_box, path::Path, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pdnn::{
    file::{load_network, plan::load_plans},
    network::Profile,
    paillier::SecretKey,
    protocol::two_party_dnn::{Client, ClientKeys, LayoutChoice, Query, Reply, Server, Step},
};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use rayon::ThreadPoolBuilder;

const NETWORKS: [&str; 2] = ["lenet5", "lenet5-fast"];

/// The server of a committed network, with the plans beside it.
fn server(name: &str) -> Server {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(name);
    let network = load_network(&folder).expect("a committed model");
    let plans = load_plans(&folder, &network).expect("a committed plan");
    let mut server = Server::new(network).for_whole_run();
    server.give_plans(plans).expect("of its layers");
    server
}

fn key(bits: u32, subgroup: bool, rng: &mut ChaCha20Rng) -> SecretKey {
    let key = if subgroup {
        SecretKey::generate_subgroup(bits, rng)
    } else {
        SecretKey::generate(bits, rng)
    };
    key.expect("a standard size")
}

/// Images that are random within the input range: the cost does not depend on
/// what they show.
fn images(profile: &Profile, count: usize, rng: &mut ChaCha20Rng) -> Vec<Vec<i64>> {
    use rand::RngExt;
    let input = profile.input;
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
    for (name, bits) in NETWORKS
        .iter()
        .flat_map(|name| [(name, 2048), (name, 3072)])
    {
        let server = server(name);
        let key = key(bits, false, &mut rng);
        let images = images(server.profile(), 1, &mut rng);
        let client = Client::new(server.profile().clone(), ClientKeys::Owner(key)).for_whole_run();
        let exchanges = exchanges(&client, &server, &images, &mut rng);

        let mut group = c.benchmark_group(format!("layers/{name}, {bits} bits, one image"));
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

/// Every image of a call, from its first query to its last reply.
fn whole_images(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let keys = [(2048, false), (2048, true), (3072, false)];
    for (name, (bits, subgroup)) in NETWORKS.iter().flat_map(|name| keys.map(|key| (name, key))) {
        let server = server(name);
        let key = key(bits, subgroup, &mut rng);
        let client = Client::new(server.profile().clone(), ClientKeys::Owner(key)).for_whole_run();
        let scheme = if subgroup { ", subgroup key" } else { "" };
        let mut group = c.benchmark_group(format!("classification/{name}, {bits} bits{scheme}"));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(5));
        for (count, threads) in [(1, 1), (1, 2), (100, 1), (100, 2)] {
            let images = images(client.profile(), count, &mut rng);
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.expect("threads");
            group.throughput(Throughput::Elements(count as u64));
            let items = if count == 1 { "image" } else { "images" };
            let lanes = if threads == 1 { "thread" } else { "threads" };
            group.bench_function(format!("{count} {items}, {threads} {lanes}"), |b| {
                b.iter(|| pool.install(|| exchanges(&client, &server, &images, &mut rng)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, layers, whole_images);
criterion_main!(benches);
