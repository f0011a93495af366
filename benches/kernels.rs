//! What a product modulo n² costs, and what is built of products, beside
//! num-bigint and crypto-bigint in the same run; with `cargo bench -p pdnn-gmp`
//! beside GMP as well.
//!
//! `cargo bench --bench kernels` takes every kernel that the machine has, or
//! only the one that `PDNN_KERNEL` names. All figures are for one element,
//! though `pdnn` works on eight at a time; `RAYON_NUM_THREADS=1` holds it to one
//! core, as the others are.

mod peers;
mod timing;

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use num_bigint::BigUint;
use pdnn::bignum::{Comb, Elements, KernelKind, Program, Ring, Stage};
use peers::{Library, dot_product, with_libraries};
use rand::{Rng, SeedableRng, rngs::ChaCha20Rng};
use timing::{Group, per_item};

/// Elements in a batch.
const BATCH: usize = 8;

/// Products in a row, which show the kernel without what a call costs.
const CHAIN: u32 = 1000;

/// Terms of a dot product.
const TERMS: usize = 400;

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
    let bytes: Vec<u8> = limbs.iter().flat_map(|l| l.to_le_bytes()).collect();
    BigUint::from_bytes_le(&bytes)
}

fn group<'a>(c: &'a mut Criterion, name: &str, bits: usize) -> Group<'a> {
    let mut group = c.benchmark_group(format!("{name}/{bits} bits"));
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

impl Setting {
    fn new(bits: usize, kernel: KernelKind) -> Setting {
        let mut rng = ChaCha20Rng::seed_from_u64(bits as u64);
        let m = odd_modulus(bits, &mut rng);
        let ring = Ring::with_kernel(&m, kernel).expect("an odd modulus");
        // Powers of 2, so that all of them are units.
        let two = ring.enter(&[2], 1);
        let comb = Comb::new(&ring, &two, 256, TERMS);
        let elements = comb.pow(&random(4 * TERMS, &mut rng), 4);
        Setting {
            bits,
            ring,
            m,
            elements,
            rng,
        }
    }

    fn n(&self) -> BigUint {
        number(&self.m)
    }

    /// The elements as numbers modulo n².
    fn numbers(&self) -> Vec<BigUint> {
        let rows = self.ring.leave(&self.elements);
        rows.chunks(2 * self.m.len()).map(number).collect()
    }
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

/// One product and one square modulo m², here and in other libraries.
fn products(c: &mut Criterion) {
    for bits in [2048, 3072, 4096] {
        let mut g = group(c, "product mod n^2", bits);
        for kernel in kernels() {
            let s = Setting::new(bits, kernel);
            let kernel = kernel.name();
            let eights = s.elements.slice(0..BATCH);
            let others = s.elements.slice(BATCH..2 * BATCH);
            let mut chains = Program::new(BATCH).expect("few inputs");
            let row = |j: u32| (0..=CHAIN).map(move |t| (t + j) % BATCH as u32);
            let rows = (0..BATCH as u32).map(row).collect();
            chains.push(Stage::Products(rows)).expect("in range");
            let all = BATCH * CHAIN as usize;
            per_item(&mut g, &format!("pdnn {kernel}"), all, || {
                s.ring.run(&chains, &eights).expect("no inversions")
            });
            per_item(&mut g, &format!("pdnn {kernel}, square"), all, || {
                s.ring.pow2k(black_box(&eights), CHAIN)
            });
            per_item(
                &mut g,
                &format!("pdnn {kernel}, called for eight"),
                BATCH,
                || s.ring.mul(black_box(&eights), black_box(&others)),
            );
        }
        with_libraries!(product(&mut g, bits));
        g.finish();
    }
}

fn product<L: Library>(g: &mut Group, bits: usize) {
    let s = Setting::new(bits, KernelKind::Portable);
    let library = L::new(&s.n().pow(2));
    let numbers = s.numbers();
    let (a, b) = (library.residue(&numbers[0]), library.residue(&numbers[1]));
    per_item(g, L::NAME, 1, || {
        library.product(black_box(&a), black_box(&b))
    });
}

/// Full exponentiations, and the shorter ones of decryption by CRT.
fn powers(c: &mut Criterion) {
    for bits in [2048, 3072] {
        let mut g = group(c, "power mod n^2", bits);
        for kernel in kernels() {
            power_here(&mut g, &mut Setting::new(bits, kernel));
        }
        with_libraries!(power(&mut g, bits));
        g.finish();
    }
}

fn power_here(g: &mut Group, s: &mut Setting) {
    let name = format!("pdnn {}", s.ring.kernel().name());
    let eights = s.elements.slice(0..BATCH);
    let exp = random(s.m.len(), &mut s.rng);
    per_item(g, &format!("{name}, secret exponent"), BATCH, || {
        s.ring.pow_secret(&eights, &exp)
    });
    per_item(g, &format!("{name}, public exponent"), BATCH, || {
        s.ring.pow_public(&eights, &exp)
    });

    let half = odd_modulus(s.bits / 2, &mut s.rng);
    let prime = Ring::with_kernel(&half, s.ring.kernel()).expect("an odd modulus");
    let base = prime.enter(&random(2 * half.len() * BATCH, &mut s.rng), 2 * half.len());
    let half_exp = random(half.len(), &mut s.rng);
    per_item(
        g,
        &format!("{name}, secret half exponent mod p^2"),
        BATCH,
        || prime.pow_secret(&base, &half_exp),
    );

    let comb = Comb::new(&s.ring, &s.elements.slice(0..1), s.bits as u32 / 2, 100_000);
    let exps = random(s.m.len() / 2 * BATCH, &mut s.rng);
    let count = comb.products_per_power();
    per_item(
        g,
        &format!("{name}, comb, half exponent, {count} products"),
        BATCH,
        || comb.pow(&exps, s.m.len() / 2),
    );
    let comb = comb.scanning();
    let count = comb.products_per_power();
    per_item(
        g,
        &format!("{name}, scanning comb, half exponent, {count} products"),
        BATCH,
        || comb.pow(&exps, s.m.len() / 2),
    );
}

fn power<L: Library>(g: &mut Group, bits: usize) {
    let mut s = Setting::new(bits, KernelKind::Portable);
    let library = L::new(&s.n().pow(2));
    let base = library.residue(&s.numbers()[0]);
    let exponent = number(&random(s.m.len(), &mut s.rng));
    per_item(g, L::NAME, 1, || library.power(black_box(&base), &exponent));
}

/// The dot product of 400 ciphertexts with signed 8-bit weights: eight rows of
/// a compiled program here, a power for each term elsewhere.
fn dot_products(c: &mut Criterion) {
    for bits in [2048, 3072] {
        let mut g = group(c, "dot product, 400 signed 8-bit weights", bits);
        for kernel in kernels() {
            let s = Setting::new(bits, kernel);
            let program = compiled();
            let counts = program.counts();
            let count = (counts.products + counts.squarings) / BATCH as u64;
            let name = format!("pdnn {}, {count} products", kernel.name());
            per_item(&mut g, &name, BATCH, || {
                s.ring.run(&program, &s.elements).expect("units")
            });
        }
        with_libraries!(dot_product_term_by_term(&mut g, bits));
        g.finish();
    }
}

/// The weights of row `j`.
fn weights(j: usize) -> Vec<i8> {
    let mut rng = ChaCha20Rng::seed_from_u64(j as u64);
    (0..TERMS).map(|_| rng.next_u32() as i8).collect()
}

/// Eight rows of weights as products: the positive ones, times the inverse of
/// the negative ones.
fn compiled() -> Program {
    let mut program = Program::new(TERMS).expect("few inputs");
    let mut rows = Vec::new();
    for weights in (0..BATCH).map(weights) {
        for sign in [1, -1] {
            let mut row: Vec<(u32, u32)> = (0..TERMS as u32)
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
    program
}

fn dot_product_term_by_term<L: Library>(g: &mut Group, bits: usize) {
    let s = Setting::new(bits, KernelKind::Portable);
    let library = L::new(&s.n().pow(2));
    let bases: Vec<L::Residue> = s.numbers().iter().map(|x| library.residue(x)).collect();
    let weights = weights(0);
    let ours = s.ring.run(&compiled(), &s.elements).expect("units");
    assert_eq!(
        library.number(&dot_product(&library, &bases, &weights)),
        number(&s.ring.leave(&ours.slice(0..1))),
        "{} computes something else",
        L::NAME
    );
    per_item(g, L::NAME, 1, || dot_product(&library, &bases, &weights));
}

criterion_group!(benches, products, powers, dot_products);
criterion_main!(benches);
