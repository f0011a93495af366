//! What a ciphertext costs: encryption with either key, decryption,
//! re-randomisation, with tables that are indexed or scanned, and encryption
//! with randomisers made ahead, in batches, for one ciphertext; and encryption and
//! decryption as the textbook has them on num-bigint and crypto-bigint, under
//! the same key. `cargo bench -p pdnn-gmp` adds GMP.
//!
//! `cargo bench --bench paillier`; tables are made beforehand.
//! `RAYON_NUM_THREADS=1` holds `pdnn` to one core, as the others are.

mod peers;
mod timing;

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use num_bigint::{BigInt, BigUint};
use pdnn::{
    bignum::{Program, Stage},
    paillier::{
        Ciphertexts, Encrypt, OwnerEncryptor, Plaintext, PublicEncryptor, PublicKey, Randomise,
        Randomisers, Rerandomiser, SecretKey,
    },
};
use peers::{Library, Textbook, with_libraries};
use rand::{Rng, SeedableRng, rngs::ChaCha20Rng};
use timing::{Group, per_item};

/// Ciphertexts of a batch: whole eights for every core of a small machine.
const BATCH: usize = 64;

fn group<'a>(c: &'a mut Criterion, name: String) -> Group<'a> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    group
}

/// The time of one of the ciphertexts of a batch.
fn per_ciphertext<T>(g: &mut Group, name: &str, call: impl FnMut() -> T) {
    per_item(g, name, BATCH, call);
}

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

        let mut g = group(c, format!("one ciphertext of {BATCH}/{bits} bits{scheme}"));
        per_ciphertext(&mut g, "encrypt, public key", || {
            by_public.encrypt(black_box(&plain), &mut rng)
        });
        per_ciphertext(&mut g, "encrypt, owner", || {
            by_owner.encrypt(black_box(&plain), &mut rng)
        });
        let scanning = PublicEncryptor::new(public, 10_000).scanning(true);
        per_ciphertext(&mut g, "encrypt, public key, --scan-tables", || {
            scanning.encrypt(black_box(&plain), &mut rng)
        });
        let scanning = OwnerEncryptor::new(&key, 10_000).scanning(true);
        per_ciphertext(&mut g, "encrypt, owner, --scan-tables", || {
            scanning.encrypt(black_box(&plain), &mut rng)
        });
        // As they come out of a store, without the wait for its disk.
        let stored = by_owner.randomisers(BATCH, &mut rng).to_bytes();
        per_ciphertext(&mut g, "encrypt, randomisers made ahead", || {
            let ahead = Randomisers::from_bytes(public, black_box(&stored));
            ahead.expect("whole").encrypt(black_box(&plain))
        });
        per_ciphertext(&mut g, "decrypt", || key.decrypt(black_box(&ciphertexts)));
        per_ciphertext(&mut g, "re-randomise, combs", || {
            combs.apply(black_box(&ciphertexts), &mut rng)
        });
        let scanning = Rerandomiser::new(public, 10_000, &mut rng).scanning(true);
        per_ciphertext(&mut g, "re-randomise, combs, --scan-tables", || {
            scanning.apply(black_box(&ciphertexts), &mut rng)
        });
        per_ciphertext(&mut g, "re-randomise, r^n", || {
            uniform.apply(black_box(&ciphertexts), &mut rng)
        });
        per_ciphertext(&mut g, "add", || ciphertexts.add(black_box(&ciphertexts)));
        let scalars = scalars();
        per_ciphertext(&mut g, "times a scalar of 8 bits", || {
            ciphertexts.run(black_box(&scalars))
        });
        let bytes = ciphertexts.to_bytes();
        per_ciphertext(&mut g, "read and check", || {
            Ciphertexts::from_bytes(public, black_box(&bytes))
        });
        if !subgroup {
            with_libraries!(textbook(&mut g, &key, &mut rng));
        }
        g.finish();

        let mut g = group(c, format!("once/{bits} bits{scheme}"));
        g.bench_function("tables of the public key, 10,000 uses", |b| {
            b.iter(|| PublicEncryptor::new(black_box(public), 10_000))
        });
        g.bench_function("re-randomiser, 10,000 uses", |b| {
            b.iter(|| Rerandomiser::new(black_box(public), 10_000, &mut rng))
        });
        let generators = public.h().zip(public.h_s());
        g.bench_function("check of a public key", |b| {
            b.iter(|| PublicKey::from_parts(black_box(public.n()), generators))
        });
        g.finish();
    }
}

/// Every ciphertext of a batch times a number from 128 to 255.
fn scalars() -> Program {
    let mut program = Program::new(BATCH).expect("few inputs");
    let rows = (0..BATCH as u32)
        .map(|i| vec![(i, 128 + 37 * i % 128)])
        .collect();
    program.push(Stage::Weighted(rows)).expect("in range");
    program
}

/// Paillier's own scheme under the same key, one ciphertext at a time.
fn textbook<L: Library>(g: &mut Group, key: &SecretKey, rng: &mut ChaCha20Rng) {
    let [p, q] = key.primes().map(|prime| BigUint::from_bytes_be(&prime));
    let scheme = Textbook::<L>::new(&p, &q);
    let n = key.public().n();
    let mut bytes = vec![0; n.bits() as usize / 8];
    rng.fill_bytes(&mut bytes);
    let r = BigUint::from_bytes_le(&bytes) % n;
    let plaintext = BigUint::from(123_456_789u32);
    let ciphertext = scheme.encrypt(&plaintext, &r);
    assert_eq!(scheme.decrypt(&ciphertext), plaintext);
    let width = n.bits() as usize / 4;
    let mut bytes = ciphertext.to_bytes_be();
    bytes.splice(0..0, vec![0; width - bytes.len()]);
    let here = Ciphertexts::from_bytes(key.public(), &bytes).expect("a ciphertext");
    let expected = BigInt::from(plaintext.clone());
    assert_eq!(key.decrypt(&here)[0].to_signed(), expected, "{}", L::NAME);

    g.bench_function(format!("encrypt, {}", L::NAME), |b| {
        b.iter(|| scheme.encrypt(black_box(&plaintext), black_box(&r)))
    });
    g.bench_function(format!("decrypt, {}", L::NAME), |b| {
        b.iter(|| scheme.decrypt(black_box(&ciphertext)))
    });
}

criterion_group!(benches, operations);
criterion_main!(benches);
