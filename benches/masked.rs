//! The masked protocol: what a prediction costs before its input is known, and
//! after, both sides together, with every message through its bytes and the
//! stores on disk.
//!
//! Throughput is predictions a second on all cores; times 3,600 an hour. The
//! network is `models/lenet5-fast`, or `models/lenet5` where that is missing.

use std::{fs, hint::black_box, path::Path, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pdnn::{
    file::load_network,
    network::Network,
    paillier::SecretKey,
    protocol::masked::{
        Answer, Client, Preparation, Query, Reply, Request, SILENT, Server, Step, batch_size,
    },
};
use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};
use tempfile::TempDir;

fn network() -> Network {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let fast = models.join("lenet5-fast");
    let folder = if fast.is_dir() {
        fast
    } else {
        models.join("lenet5")
    };
    load_network(&folder).expect("a committed model")
}

struct Sides {
    preparation: Preparation,
    server: Server,
    folder: TempDir,
}

fn sides(network: &Network, key: &SecretKey) -> Sides {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::new(network.clone(), &folder.path().join("server"), true);
    let server = server.expect("a store");
    let extra = server.extra_bits(key.public().bits());
    let client = folder.path().join("client");
    let profile = network.profile().clone();
    Sides {
        preparation: Preparation::new(profile, key.clone(), &client, extra).expect("a store"),
        server,
        folder,
    }
}

impl Sides {
    fn prepare(&self, count: usize, rng: &mut ChaCha20Rng) {
        let request = self.preparation.ask(count, rng, SILENT).expect("a request");
        let request = Request::from_bytes(&request.to_bytes()).expect("a request");
        let answer = self
            .server
            .prepare(&request, rng, SILENT)
            .expect("an answer");
        let answer = Answer::from_bytes(&answer.answer.to_bytes()).expect("an answer");
        self.preparation.finish(&answer, SILENT).expect("masks");
    }
}

fn preparation(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let network = network();
    let mut group = c.benchmark_group(format!("masked/{}/preparation", network.profile().name));
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for bits in [2048, 3072] {
        let key = SecretKey::generate(bits, &mut rng).expect("a key");
        // An eighth of a usual batch: the slots of every group are full.
        let count = batch_size(network.profile(), bits).expect("room for slots") / 8;
        let sides = sides(&network, &key);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{bits} bits/{count} predictions"), |b| {
            b.iter(|| sides.prepare(count, &mut rng));
        });
    }
    group.finish();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("writable");
    for entry in fs::read_dir(from).expect("readable") {
        let path = entry.expect("readable").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("writable");
    }
}

/// A whole classification of every image, both sides.
fn classify(client: &Client, server: &Server, images: &[Vec<i64>], rng: &mut ChaCha20Rng) {
    let mut query = client.query(images, rng).expect("a query");
    loop {
        let read = Query::from_bytes(&query.to_bytes()).expect("a query");
        let reply = server.answer(&read).expect("a reply").to_bytes();
        let reply = Reply::from_bytes(&reply).expect("a reply");
        match client.receive(&reply).expect("a step") {
            Step::Next(next) => query = next,
            Step::Done(logits) => {
                black_box(logits);
                return;
            }
        }
    }
}

/// Nothing of this depends on the key, so that a short one prepares it. Every
/// round works on a copy of the stores: masks are used once.
fn online(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let network = network();
    let key = SecretKey::generate_insecure(256, &mut rng).expect("a key");
    let made = sides(&network, &key);
    let (batches, of_batch) = (4, 1000);
    for _ in 0..batches {
        made.prepare(of_batch, &mut rng);
    }
    let input = network.profile().input;
    let count = batches * of_batch;
    let images: Vec<Vec<i64>> = (0..count)
        .map(|_| {
            let value = |_| rng.random_range(input.min..=input.max);
            (0..input.shape.len()).map(value).collect()
        })
        .collect();
    let mut group = c.benchmark_group(format!("masked/{}/online", network.profile().name));
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function(format!("{count} predictions"), |b| {
        b.iter_batched(
            || {
                let folder = tempfile::tempdir().expect("a temporary folder");
                for side in ["client", "server"] {
                    copy(&made.folder.path().join(side), &folder.path().join(side));
                }
                let server = Server::new(network.clone(), &folder.path().join("server"), false);
                let client = Client::new(
                    network.profile().clone(),
                    key.public().fingerprint(),
                    &folder.path().join("client"),
                );
                (folder, client.expect("a store"), server.expect("a store"))
            },
            |(folder, client, server)| {
                classify(&client, &server, &images, &mut rng);
                folder
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, preparation, online);
criterion_main!(benches);
