//! What a ciphertext costs: encryption with either key, decryption,
//! re-randomisation, in batches, per ciphertext.
//!
//! `cargo bench --bench paillier`; tables are made beforehand.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pdnn::paillier::{
    Ciphertexts, Encrypt, OwnerEncryptor, Plaintext, PublicEncryptor, PublicKey, Rerandomiser,
    SecretKey,
};
use rand::{SeedableRng, rngs::ChaCha20Rng};

/// Ciphertexts of a batch: whole eights for every core of a small machine.
const BATCH: usize = 64;

fn operations(c: &mut Criterion) {
    let keys = [(2048, false), (2048, true), (3072, false), (3072, true)];
    for (bits, subgroup) in keys {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(bits));
        let (key, scheme) = if subgroup {
            (
                SecretKey::generate_subgroup(bits, &mut rng),
                " in a subgroup",
            )
        } else {
            (SecretKey::generate(bits, &mut rng), "")
        };
        let key = key.expect("a standard size");
        let public = key.public();
        let plain: Vec<Plaintext> = (0..BATCH as i64).map(|x| Plaintext::from(x - 9)).collect();
        let by_public = PublicEncryptor::new(public, 10_000);
        let by_owner = OwnerEncryptor::new(&key, 10_000);
        let ciphertexts = by_owner.encrypt(&plain, &mut rng);
        let combs = Rerandomiser::new(public, 10_000, &mut rng);
        let uniform = Rerandomiser::uniform(public);

        let mut group = c.benchmark_group(format!("{bits} bits{scheme}, {BATCH} at once"));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(3))
            .throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("encrypt, public key", |b| {
            b.iter(|| by_public.encrypt(black_box(&plain), &mut rng))
        });
        group.bench_function("encrypt, owner", |b| {
            b.iter(|| by_owner.encrypt(black_box(&plain), &mut rng))
        });
        group.bench_function("decrypt", |b| {
            b.iter(|| key.decrypt(black_box(&ciphertexts)))
        });
        group.bench_function("re-randomise, combs", |b| {
            b.iter(|| combs.apply(black_box(&ciphertexts), &mut rng))
        });
        group.bench_function("re-randomise, r^n", |b| {
            b.iter(|| uniform.apply(black_box(&ciphertexts), &mut rng))
        });
        let bytes = ciphertexts.to_bytes();
        group.bench_function("read and check", |b| {
            b.iter(|| Ciphertexts::from_bytes(public, black_box(&bytes)))
        });
        group.finish();

        let mut group = c.benchmark_group(format!("{bits} bits{scheme}, once"));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(3));
        group.bench_function("tables of the public key, 10,000 uses", |b| {
            b.iter(|| PublicEncryptor::new(black_box(public), 10_000))
        });
        group.bench_function("re-randomiser, 10,000 uses", |b| {
            b.iter(|| Rerandomiser::new(black_box(public), 10_000, &mut rng))
        });
        let generators = public.h().zip(public.h_s());
        group.bench_function("check of a public key", |b| {
            b.iter(|| PublicKey::from_parts(black_box(public.n()), generators))
        });
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
