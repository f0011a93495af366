//! What a product modulo n² costs, and what is built of products, beside
//! num-bigint and crypto-bigint in the same run.
//!
//! `cargo bench --bench kernels` takes every kernel that the machine has, or
//! only the one that `PDNN_KERNEL` names. Figures are
//! per element, on one thread: `RAYON_NUM_THREADS=1`. A group named `…/8`
//! works on eight elements at a time, which is what a vector kernel wants, and
//! reports the time of all eight.

use std::{hint::black_box, time::Duration};

use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use crypto_bigint::{
    BoxedUint, Odd,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use num_bigint::BigUint;
use pdnn::bignum::{Comb, Elements, KernelKind, Program, Ring, Stage};
use rand::{Rng, SeedableRng, rngs::ChaCha20Rng};

/// Elements in a batch.
const BATCH: usize = 8;

fn random(limbs: usize, rng: &mut ChaCha20Rng) -> Vec<u64> {
    (0..limbs).map(|_| rng.next_u64()).collect()
}

fn odd_modulus(bits: usize, rng: &mut ChaCha20Rng) -> Vec<u64> {
    let mut m = random(bits / 64, rng);
    m[0] |= 1;
    m[bits / 64 - 1] |= 1 << 63;
    m
}

fn number(limbs: &[u64]) -> BigUint {
    BigUint::from_bytes_le(
        &limbs
            .iter()
            .flat_map(|l| l.to_le_bytes())
            .collect::<Vec<_>>(),
    )
}

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(30);
    group
}

struct Setting {
    bits: usize,
    ring: Ring,
    m: Vec<u64>,
    elements: Elements,
    rng: ChaCha20Rng,
}

/// The kernels to compare.
fn kernels() -> Vec<KernelKind> {
    if std::env::var_os("PDNN_KERNEL").is_some() {
        return vec![KernelKind::chosen().expect("a kernel that this machine has")];
    }
    let mut all = vec![KernelKind::Portable, KernelKind::Ifma];
    all.retain(|kind| kind.available());
    all
}

fn sizes_and_kernels() -> impl Iterator<Item = (usize, KernelKind)> {
    let each = |bits| kernels().into_iter().map(move |kernel| (bits, kernel));
    [2048, 3072].into_iter().flat_map(each)
}

fn setting(bits: usize, kernel: KernelKind) -> Setting {
    let mut rng = ChaCha20Rng::seed_from_u64(bits as u64);
    let m = odd_modulus(bits, &mut rng);
    let ring = Ring::with_kernel(&m, kernel).expect("an odd modulus");
    // Powers of 2, so that all of them are units.
    let two = ring.enter(&[2], 1);
    let comb = Comb::new(&ring, &two, 256, 400);
    let elements = comb.pow(&random(4 * 400, &mut rng), 4);
    Setting {
        bits,
        ring,
        m,
        elements,
        rng,
    }
}

/// One product and one square modulo m², here and in other libraries.
fn products(c: &mut Criterion) {
    for bits in [2048, 3072, 4096] {
        let mut g = group(c, &format!("product mod n^2/{bits}"));
        for kernel in kernels() {
            let s = setting(bits, kernel);
            let kernel = kernel.name();
            let eights = s.elements.slice(0..BATCH);
            let others = s.elements.slice(BATCH..2 * BATCH);
            g.bench_function(format!("pdnn {kernel}/8"), |bench| {
                bench.iter(|| s.ring.mul(black_box(&eights), black_box(&others)));
            });
            g.bench_function(format!("pdnn {kernel}, square/8"), |bench| {
                bench.iter(|| s.ring.square(black_box(&eights)));
            });
            // Chains show the kernel without the overhead of a call for each.
            g.bench_function(format!("pdnn {kernel}, 1000 squares/8"), |bench| {
                bench.iter(|| s.ring.pow2k(black_box(&eights), 1000));
            });
            let mut chains = Program::new(BATCH).expect("few inputs");
            let row = |j: u32| (0..1001).map(move |t| (t + j) % BATCH as u32);
            let rows = (0..BATCH as u32).map(row).collect();
            chains.push(Stage::Products(rows)).expect("in range");
            g.bench_function(format!("pdnn {kernel}, 1000 products/8"), |bench| {
                bench.iter(|| s.ring.run(&chains, &eights).expect("no inversions"));
            });
        }
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let m = odd_modulus(bits, &mut rng);
        let mm = number(&m) * number(&m);
        let (na, nb) = (
            number(&random(2 * m.len(), &mut rng)) % &mm,
            number(&random(2 * m.len(), &mut rng)) % &mm,
        );
        g.bench_function("num-bigint (a*b) % m", |bench| {
            bench.iter(|| black_box(&na) * black_box(&nb) % &mm);
        });
        let words = mm.to_u64_digits();
        let modulus = Odd::new(BoxedUint::from_words(words)).expect("odd");
        let params = BoxedMontyParams::new(modulus);
        let form = |x: &BigUint| {
            let mut words = x.to_u64_digits();
            words.resize(2 * m.len(), 0);
            BoxedMontyForm::new(BoxedUint::from_words(words), &params)
        };
        let (fa, fb) = (form(&na), form(&nb));
        g.bench_function("crypto-bigint Montgomery", |bench| {
            bench.iter(|| black_box(&fa) * black_box(&fb));
        });
        g.finish();
    }
}

/// Full exponentiations, and the shorter ones of decryption by CRT.
fn powers(c: &mut Criterion) {
    for (bits, kernel) in sizes_and_kernels() {
        let mut s = setting(bits, kernel);
        let eights = s.elements.slice(0..BATCH);
        let exp = random(s.m.len(), &mut s.rng);
        let half = odd_modulus(s.bits / 2, &mut s.rng);
        let prime = Ring::with_kernel(&half, kernel).expect("an odd modulus");
        let base = prime.enter(&random(2 * half.len() * BATCH, &mut s.rng), 2 * half.len());
        let half_exp = random(half.len(), &mut s.rng);

        let mut g = group(c, &format!("power/{bits}/{}", kernel.name()));
        g.bench_function("secret, n bits/8", |bench| {
            bench.iter(|| s.ring.pow_secret(&eights, &exp));
        });
        g.bench_function("public, n bits/8", |bench| {
            bench.iter(|| s.ring.pow_public(&eights, &exp));
        });
        g.bench_function("secret mod p^2, n/2 bits/8", |bench| {
            bench.iter(|| prime.pow_secret(&base, &half_exp));
        });
        let comb = Comb::new(&s.ring, &s.elements.slice(0..1), s.bits as u32 / 2, 100_000);
        let exps = random(s.m.len() / 2 * BATCH, &mut s.rng);
        g.bench_function(
            format!("comb, n/2 bits, {} products/8", comb.products_per_power()),
            |bench| {
                bench.iter(|| comb.pow(&exps, s.m.len() / 2));
            },
        );
        let scanning = comb.scanning();
        g.bench_function(
            format!(
                "scanning comb, n/2 bits, {} products/8",
                scanning.products_per_power()
            ),
            |bench| {
                bench.iter(|| scanning.pow(&exps, s.m.len() / 2));
            },
        );
        let (n, e) = (number(&s.m), number(&exp));
        let (base, mm) = (number(&s.ring.leave(&s.elements.slice(0..1))), &n * &n);
        g.bench_function("num-bigint modpow, n bits", |bench| {
            bench.iter(|| base.modpow(&e, &mm));
        });
        g.finish();
    }
}

/// The dot product of 400 ciphertexts with signed 8-bit weights, eight rows.
fn dot_product(c: &mut Criterion) {
    for (bits, kernel) in sizes_and_kernels() {
        let mut s = setting(bits, kernel);
        let mut program = Program::new(400).expect("few inputs");
        let mut rows = Vec::new();
        for _ in 0..BATCH {
            let weights: Vec<i8> = (0..400).map(|_| s.rng.next_u32() as i8).collect();
            for sign in [1, -1] {
                let mut row: Vec<(u32, u32)> = (0..400)
                    .map(|i| (i, i32::from(weights[i as usize]) * sign))
                    .filter(|&(_, w)| w > 0)
                    .map(|(i, w)| (i, w as u32))
                    .collect();
                row.sort_by_key(|&(_, w)| std::cmp::Reverse(w));
                rows.push(row);
            }
        }
        let sums = program.push(Stage::Weighted(rows)).expect("in range");
        let inverses = program
            .push(Stage::Invert(sums.clone().skip(1).step_by(2).collect()))
            .expect("in range");
        let pairs = sums.step_by(2).zip(inverses).collect();
        program.push(Stage::Powers(pairs)).expect("in range");
        let counts = program.counts();
        let mut g = group(c, &format!("dot product/{bits}/{}", kernel.name()));
        let name = format!(
            "400 x 8 bits, {} products/8",
            counts.products + counts.squarings
        );
        g.bench_function(name, |bench| {
            bench.iter(|| s.ring.run(&program, &s.elements).expect("units"));
        });
        g.finish();
    }
}

criterion_group!(benches, products, powers, dot_product);
criterion_main!(benches);
