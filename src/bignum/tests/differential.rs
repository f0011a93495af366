//! The vector kernel against the portable one, and at the edges of the values
//! that it lets grow.

use super::*;
use crate::bignum::kernel::{Ifma, Lanes};

fn skip() -> bool {
    let skip = !KernelKind::Ifma.available();
    if skip {
        eprintln!("skipped: no ifma on this machine");
    }
    skip
}

/// Moduli of h limbs: all ones, a lone top bit, random.
fn moduli(h: usize, rng: &mut ChaCha20Rng) -> [BigUint; 3] {
    let one = BigUint::one();
    let mut any = random(64 * h, rng);
    any.set_bit(0, true);
    [
        (&one << (64 * h)) - &one,
        (&one << (64 * h - 1)) + &one,
        any,
    ]
}

#[test]
fn thousands_of_products_agree_with_the_portable_kernel() {
    if skip() {
        return;
    }
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (h, rounds) in [
        (1, 3000),
        (9, 2000),
        (16, 1500),
        (32, 1000),
        (48, 300),
        (64, 200),
    ] {
        for m in moduli(h, &mut rng) {
            let (fast, slow) = (
                Pair::new(m.clone(), KernelKind::Ifma),
                Pair::new(m, KernelKind::Portable),
            );
            let xs = fast.samples(&mut rng);
            let xs: Vec<_> = xs.into_iter().map(|x| x % &fast.mm).collect();
            let turn: Vec<usize> = (0..xs.len()).map(|i| (i + 5) % xs.len()).collect();
            let [a, b] = [&fast, &slow].map(|p| {
                let start = p.enter(&xs);
                let mut e = start.clone();
                for round in 0..rounds {
                    e = match round % 5 {
                        0 => p.ring.mul(&e, &start),
                        1 => p.ring.square(&e),
                        2 => p.ring.mul(&e, &e.gather(&turn)),
                        3 => p.ring.pow2k(&e, 3),
                        _ => p.ring.mul(&start, &e.gather(&turn)),
                    };
                }
                p.leave(&e)
            });
            assert_eq!(a, b, "mod {}", fast.m);
        }
    }
}

/// A row of the kernel: two numbers in 52-bit words.
fn row(k: &Ifma, x0: &BigUint, x1: &BigUint) -> Vec<u64> {
    let word = BigUint::from((1u64 << 52) - 1);
    let words = |x: &BigUint| {
        let digits = (0..k.words()).map(|i| ((x >> (52 * i)) & &word).to_u64_digits());
        digits
            .map(|d| d.first().copied().unwrap_or(0))
            .collect::<Vec<_>>()
    };
    [words(x0), words(x1)].concat()
}

/// The digits in a row, as they stand.
fn digits(row: &[u64]) -> [BigUint; 2] {
    let (d0, d1) = row.split_at(row.len() / 2);
    [d0, d1].map(|d| {
        assert!(
            d.iter().all(|&w| w < 1 << 52),
            "a limb that was not carried"
        );
        d.iter()
            .rev()
            .fold(BigUint::ZERO, |x, &w| (x << 52) + BigUint::from(w))
    })
}

#[test]
fn digits_up_to_four_moduli_and_raw_ones_stay_in_bounds() {
    if skip() {
        return;
    }
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    // Every number of tiles, and the longest moduli for it.
    for h in (1..=24).chain([32, 40, 48, 56, 64, 73, 81, 105, 121, 138, 154]) {
        if !Ifma::takes(h) {
            assert!(h > 128);
            continue;
        }
        for m in moduli(h, &mut rng) {
            let k = Ifma::new(&m.to_u64_digits());
            let mm = &m * &m;
            let r = BigUint::one() << k.radix_bits();
            let r_inverse = r.modinv(&mm).expect("m is odd");
            let one = BigUint::one();
            let ends = [
                BigUint::ZERO,
                one.clone(),
                &m - &one,
                m.clone(),
                (&m << 1) - &one,
                &m << 1,
                (&m << 2) - &one,
                // Limbs of all ones as far as they go.
                ((&one << ((&m << 2u32).bits() - 1)) - &one),
            ];
            let raw = [
                (BigUint::one() << (64 * h)) - &one,
                BigUint::one() << (64 * h - 1),
            ];
            let mut pairs = Vec::new();
            for (i, x) in ends.iter().enumerate() {
                let other = &ends[(5 * i + 3) % ends.len()];
                pairs.push(([x, x], [&ends[6], &ends[6]]));
                pairs.push(([x, other], [other, &ends[7]]));
                pairs.push(([x, &ends[6]], [&ends[6], x]));
                pairs.push(([&raw[i % 2], &ends[0]], [x, &ends[6]]));
            }
            for eight in pairs.chunks(8) {
                let (xs, ys): (Vec<_>, Vec<_>) = eight
                    .iter()
                    .map(|(x, y)| (row(&k, x[0], x[1]), row(&k, y[0], y[1])))
                    .unzip();
                let load = |rows: &[Vec<u64>]| {
                    let mut block = k.block();
                    k.gather(&mut block, &rows.iter().map(|r| &r[..]).collect::<Vec<_>>());
                    block
                };
                let rows = |block: &<Ifma as Lanes>::Block| {
                    let mut rows = vec![0; eight.len() * 2 * k.words()];
                    k.scatter(block, &mut rows);
                    rows.chunks(2 * k.words())
                        .map(|r| r.to_vec())
                        .collect::<Vec<_>>()
                };
                let (mut product, mut square, mut sum) = (load(&xs), load(&ys), load(&xs));
                k.mul_assign(&mut product, &load(&ys));
                k.sqr_assign(&mut square);
                k.add_assign(&mut sum, &load(&ys));
                let results = [rows(&product), rows(&square), rows(&sum)];
                for (lane, (x, y)) in eight.iter().enumerate() {
                    let value = |d: &[&BigUint; 2]| d[0] + d[1] * &m;
                    let (x, y, is_raw) = (value(x), value(y), lane % 4 == 3);
                    let expected = [
                        &x * &y * &r_inverse % &mm,
                        &y * &y * &r_inverse % &mm,
                        (&x + &y) % &mm,
                    ];
                    for (what, (result, expected)) in results.iter().zip(expected).enumerate() {
                        let [d0, d1] = digits(&result[lane]);
                        let bound = &m << if what == 2 { 2 } else { 1 };
                        // Raw rows are for products only.
                        if what == 2 && is_raw {
                            continue;
                        }
                        assert!(d0 < bound && d1 < bound, "{h} limbs, operation {what}");
                        assert_eq!((&d0 + &d1 * &m) % &mm, expected, "{h} limbs, {what}");
                        let (mut u0, mut u1) = (vec![0; h], vec![0; h]);
                        k.unpack(&result[lane], &mut u0, &mut u1);
                        assert_eq!(number(&u0) + number(&u1) * &m, expected);
                    }
                }
            }
        }
    }
}

#[test]
fn a_modulus_too_long_for_the_vector_kernel_takes_the_portable_one() {
    if skip() {
        return;
    }
    let mut m = vec![u64::MAX; 200];
    m[0] = 1;
    let ring = Ring::with_kernel(&m, KernelKind::Ifma).expect("an odd modulus");
    assert_eq!(ring.kernel(), KernelKind::Portable);
}
