//! Ring operations, powers, combs and inverses.

use super::*;
use crate::bignum::{BignumError, Comb};
use proptest::prelude::*;

fn products(kind: KernelKind) {
    for (seed, bits) in SIZES.into_iter().enumerate() {
        let p = Pair::random(bits, seed as u64, kind);
        let mut rng = ChaCha20Rng::seed_from_u64(1000 + seed as u64);
        let xs = p.samples(&mut rng);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for x in &xs {
            for y in &xs {
                a.push(x.clone());
                b.push(y.clone());
            }
        }
        let expected: Vec<_> = a.iter().zip(&b).map(|(x, y)| x * y % &p.mm).collect();
        let (ea, eb) = (p.enter(&a), p.enter(&b));
        assert_eq!(p.leave(&ea), a, "{bits} bits: enter and leave");
        assert_eq!(p.leave(&p.ring.mul(&ea, &eb)), expected, "{bits} bits");
        let mut assigned = ea.clone();
        p.ring.mul_assign(&mut assigned, &eb);
        assert_eq!(p.leave(&assigned), expected, "{bits} bits: assigned");
        let squares: Vec<_> = xs.iter().map(|x| x * x % &p.mm).collect();
        assert_eq!(
            p.leave(&p.ring.square(&p.enter(&xs))),
            squares,
            "{bits} bits"
        );
        // x·x by the general product agrees with the square.
        let e = p.enter(&xs);
        assert_eq!(p.leave(&p.ring.mul(&e, &e)), squares, "{bits} bits");
    }
}

fn moduli_at_the_edge(kind: KernelKind) {
    // All ones, a lone top bit, a single limb, the least moduli.
    let one = BigUint::one();
    let mut moduli = vec![
        BigUint::from(3u32),
        BigUint::from(5u32),
        BigUint::from(u64::MAX),
    ];
    for bits in [64u32, 128, 192, 1024, 2048] {
        moduli.push((&one << bits) - &one);
        moduli.push((&one << (bits - 1)) + &one);
        moduli.push((&one << bits) + &one);
    }
    for (seed, m) in moduli.into_iter().enumerate() {
        let p = Pair::new(m, kind);
        let xs: Vec<_> = p
            .samples(&mut ChaCha20Rng::seed_from_u64(seed as u64))
            .into_iter()
            .map(|x| x % &p.mm)
            .collect();
        let e = p.enter(&xs);
        assert_eq!(p.leave(&e), xs);
        for shift in 0..xs.len() {
            let order: Vec<_> = (0..xs.len()).map(|i| (i + shift) % xs.len()).collect();
            let expected: Vec<_> = order
                .iter()
                .zip(&xs)
                .map(|(&i, x)| &xs[i] * x % &p.mm)
                .collect();
            assert_eq!(
                p.leave(&p.ring.mul(&e.gather(&order), &e)),
                expected,
                "mod {}",
                p.m
            );
        }
        let squares: Vec<_> = xs.iter().map(|x| x * x % &p.mm).collect();
        assert_eq!(p.leave(&p.ring.square(&e)), squares, "mod {}", p.m);
    }
}

fn multiples_of_a_prime_factor(kind: KernelKind) {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut f = random(512, &mut rng);
    f.set_bit(0, true);
    let mut g = random(512, &mut rng);
    g.set_bit(0, true);
    let p = Pair::new(&f * &g, kind);
    let xs: Vec<_> = (0..6)
        .map(|i| random(100 * i + 1, &mut rng) * if i % 2 == 0 { &f } else { &g } % &p.mm)
        .collect();
    let ys: Vec<_> = xs.iter().rev().cloned().collect();
    let expected: Vec<_> = xs.iter().zip(&ys).map(|(x, y)| x * y % &p.mm).collect();
    assert_eq!(p.leave(&p.ring.mul(&p.enter(&xs), &p.enter(&ys))), expected);
}

fn chains(kind: KernelKind) {
    for (seed, bits) in SIZES.into_iter().enumerate() {
        let p = Pair::random(bits, 50 + seed as u64, kind);
        let mut rng = ChaCha20Rng::seed_from_u64(seed as u64);
        let mut xs: Vec<_> = (0..9).map(|_| random(2 * bits, &mut rng) % &p.mm).collect();
        let mut e = p.enter(&xs);
        for round in 0..40 {
            let turn: Vec<_> = (0..9).map(|i| (i + round) % 9).collect();
            if round % 3 == 2 {
                e = p.ring.square(&e);
                xs = xs.iter().map(|x| x * x % &p.mm).collect();
            } else {
                e = p.ring.mul(&e, &e.gather(&turn));
                xs = (0..9).map(|i| &xs[i] * &xs[turn[i]] % &p.mm).collect();
            }
        }
        assert_eq!(p.leave(&e), xs, "{bits} bits");
    }
}

fn entering_wide_and_narrow_rows(kind: KernelKind) {
    for (seed, bits) in [64, 100, 1024, 1000, 2048].into_iter().enumerate() {
        let p = Pair::random(bits, seed as u64, kind);
        let mut rng = ChaCha20Rng::seed_from_u64(seed as u64);
        for width in [1, p.h, p.h + 1, 2 * p.h, 4 * p.h, 5 * p.h + 1, 9 * p.h] {
            let mut xs: Vec<_> = (0..3).map(|_| random(64 * width, &mut rng)).collect();
            xs.push((BigUint::one() << (64 * width)) - BigUint::one());
            xs.push(BigUint::ZERO);
            let rows: Vec<u64> = xs.iter().flat_map(|x| limbs(x, width)).collect();
            let expected: Vec<_> = xs.iter().map(|x| x % &p.mm).collect();
            assert_eq!(
                p.leave(&p.ring.enter(&rows, width)),
                expected,
                "{bits} bits, {width}"
            );
        }
    }
}

fn digits_in_and_out(kind: KernelKind) {
    for (seed, bits) in SIZES.into_iter().enumerate() {
        let p = Pair::random(bits, seed as u64, kind);
        let xs = p.samples(&mut ChaCha20Rng::seed_from_u64(seed as u64));
        let e = p.enter(&xs);
        let (u0, u1) = p.ring.digits(&e);
        for ((x, d0), d1) in xs.iter().zip(u0.chunks(p.h)).zip(u1.chunks(p.h)) {
            assert_eq!(
                (number(d0), number(d1)),
                (x % &p.m, x / &p.m),
                "{bits} bits"
            );
        }
        assert_eq!(p.leave(&p.ring.from_digits(&u0, &u1)), xs, "{bits} bits");
        // ρ·(1 + μm), with μ the second digits.
        let expected: Vec<_> = xs
            .iter()
            .zip(u1.chunks(p.h))
            .map(|(x, mu)| x * (number(mu) * &p.m + BigUint::one()) % &p.mm)
            .collect();
        assert_eq!(
            p.leave(&p.ring.mul_one_plus(&e, &u1)),
            expected,
            "{bits} bits"
        );
        let rows = p.ring.leave_one_plus(&e, &u1);
        let left: Vec<_> = rows.chunks(2 * p.h).map(number).collect();
        assert_eq!(left, expected, "{bits} bits");
        // Products modulo m of any h limbs.
        let a: Vec<u64> = xs
            .iter()
            .flat_map(|x| limbs(&(x % (BigUint::one() << (64 * p.h))), p.h))
            .collect();
        let b: Vec<u64> = a.iter().map(|l| l.wrapping_mul(3) ^ 0xff).collect();
        for ((a, b), c) in a
            .chunks(p.h)
            .zip(b.chunks(p.h))
            .zip(p.ring.mul_mod(&a, &b).chunks(p.h))
        {
            assert_eq!(number(c), number(a) * number(b) % &p.m, "{bits} bits");
        }
        assert_eq!(p.leave(&p.ring.one(2)), vec![BigUint::one(); 2]);
    }
}

fn powers(kind: KernelKind) {
    for (seed, bits) in [64, 191, 1024, 2047].into_iter().enumerate() {
        let p = Pair::random(bits, seed as u64, kind);
        let mut rng = ChaCha20Rng::seed_from_u64(seed as u64);
        let xs = p.samples(&mut rng);
        let e = p.enter(&xs);
        for exp_bits in [1, 2, 5, 63, 64, 65, 300] {
            let exp = random(exp_bits, &mut rng);
            let expected: Vec<_> = xs.iter().map(|x| x.modpow(&exp, &p.mm)).collect();
            for width in [exp_bits.div_ceil(64), exp_bits.div_ceil(64) + 1] {
                let row = limbs(&exp, width);
                assert_eq!(
                    p.leave(&p.ring.pow_secret(&e, &row)),
                    expected,
                    "{bits}, {exp}"
                );
                assert_eq!(
                    p.leave(&p.ring.pow_public(&e, &row)),
                    expected,
                    "{bits}, {exp}"
                );
            }
        }
        let ones = vec![BigUint::one(); xs.len()];
        assert_eq!(p.leave(&p.ring.pow_secret(&e, &[0])), ones);
        assert_eq!(p.leave(&p.ring.pow_secret(&e, &[])), ones);
        assert_eq!(p.leave(&p.ring.pow_public(&e, &[0, 0])), ones);
        assert_eq!(p.leave(&p.ring.pow2k(&e, 0)), xs);
        let expected: Vec<_> = xs
            .iter()
            .map(|x| x.modpow(&BigUint::from(128u32), &p.mm))
            .collect();
        assert_eq!(p.leave(&p.ring.pow2k(&e, 7)), expected);
        for (k, count) in [(7, 0), (7, 1), (0, 3), (1, 9), (13, 4)] {
            let power = |x: &BigUint, i: usize| x.modpow(&(BigUint::one() << (k * i)), &p.mm);
            let expected: Vec<_> = xs
                .iter()
                .flat_map(|x| (0..count).map(|i| power(x, i)))
                .collect();
            let found = p.ring.pow2k_runs(&e, k as u32, count);
            assert_eq!(p.leave(&found), expected, "{bits}, {k}, {count}");
        }
    }
}

fn combs(kind: KernelKind) {
    for (seed, bits) in [64, 1000, 2048].into_iter().enumerate() {
        let p = Pair::random(bits, seed as u64, kind);
        let mut rng = ChaCha20Rng::seed_from_u64(seed as u64);
        let base = random(2 * bits, &mut rng) % &p.mm;
        let e = p.enter(std::slice::from_ref(&base));
        for (exp_bits, uses) in [
            (1usize, 1usize),
            (7, 100),
            (64, 3),
            (200, 1),
            (200, 1000),
            (333, 50),
        ] {
            let width = exp_bits.div_ceil(64) + seed % 2;
            let mut exps: Vec<_> = (0..10).map(|_| random(exp_bits, &mut rng)).collect();
            exps.push(BigUint::ZERO);
            exps.push((BigUint::one() << exp_bits) - BigUint::one());
            exps.push(BigUint::one());
            let rows: Vec<u64> = exps.iter().flat_map(|x| limbs(x, width)).collect();
            let expected: Vec<_> = exps.iter().map(|x| base.modpow(x, &p.mm)).collect();
            let comb = Comb::new(&p.ring, &e, exp_bits as u32, uses);
            assert_eq!(
                p.leave(&comb.pow(&rows, width)),
                expected,
                "{bits}, {exp_bits}, {uses}"
            );
            let scanning = comb.scanning();
            assert_eq!(
                p.leave(&scanning.pow(&rows, width)),
                expected,
                "{bits}, {exp_bits}, {uses}"
            );
        }
    }
}

fn combs_of_several_bases(kind: KernelKind) {
    let p = Pair::random(300, 7, kind);
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    for (count, bits, uses) in [(1, 9, 1), (2, 64, 300), (7, 45, 30), (10, 3, 5)] {
        let bases: Vec<_> = (0..count).map(|_| random(600, &mut rng) % &p.mm).collect();
        let comb = Comb::of_several(&p.ring, &p.enter(&bases), bits, uses);
        for comb in [
            Comb::of_several(&p.ring, &p.enter(&bases), bits, uses).scanning(),
            comb,
        ] {
            let each = comb.exponent_bits() as usize / count;
            assert!(each >= bits as usize);
            let width = (each * count).div_ceil(64);
            let (mut rows, mut expected) = (Vec::new(), Vec::new());
            for _ in 0..11 {
                let exps: Vec<_> = (0..count).map(|_| random(each, &mut rng)).collect();
                let joined = exps
                    .iter()
                    .rev()
                    .fold(BigUint::ZERO, |all, e| (all << each) + e);
                rows.extend(limbs(&joined, width));
                let powers = bases.iter().zip(&exps).map(|(b, e)| b.modpow(e, &p.mm));
                expected.push(powers.fold(BigUint::one(), |all, x| all * x % &p.mm));
            }
            assert_eq!(
                p.leave(&comb.pow(&rows, width)),
                expected,
                "{count}, {bits}"
            );
        }
    }
}

fn comb_refuses_an_exponent_too_wide(kind: KernelKind) {
    let p = Pair::random(64, 1, kind);
    let comb = Comb::new(&p.ring, &p.ring.one(1), 63, 1);
    assert!(std::panic::catch_unwind(|| comb.pow(&[1 << 63], 1)).is_err());
    assert!(std::panic::catch_unwind(|| comb.pow(&[1, 1], 2)).is_err());
    assert_eq!(comb.pow(&[1, 0], 2).len(), 1);
}

fn inverses(kind: KernelKind) {
    for (seed, bits) in [64, 100, 1024, 2048].into_iter().enumerate() {
        let p = Pair::random(bits, seed as u64, kind);
        let mut rng = ChaCha20Rng::seed_from_u64(seed as u64);
        for count in [0, 1, 2, 3, 8, 13] {
            let mut xs = Vec::new();
            while xs.len() < count {
                let x = random(2 * bits, &mut rng) % &p.mm;
                if x.modinv(&p.m).is_some() {
                    xs.push(x);
                }
            }
            let e = p.enter(&xs);
            let expected: Vec<_> = xs
                .iter()
                .map(|x| x.modinv(&p.mm).expect("a unit"))
                .collect();
            assert_eq!(
                p.leave(&p.ring.invert(&e).expect("units")),
                expected,
                "{bits} bits"
            );
            assert_eq!(p.ring.all_units(&e), Ok(()));
        }
    }
}

fn a_non_unit_names_its_index(kind: KernelKind) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (f, g) = (
        BigUint::from(1_000_003u32),
        BigUint::from(18446744073709551557u64),
    );
    let p = Pair::new(&f * &g, kind);
    for count in [1, 2, 5, 8, 11, 30] {
        let units: Vec<_> = (0..count)
            .map(|_| (random(60, &mut rng) << 3 | BigUint::one()) % &p.m)
            .map(|x: BigUint| {
                if x.modinv(&p.m).is_none() {
                    BigUint::one()
                } else {
                    x
                }
            })
            .collect();
        for bad in [
            BigUint::ZERO,
            p.m.clone(),
            f.clone() * 7u32,
            &g * &g,
            &p.mm - &f,
        ] {
            for at in 0..count {
                let mut xs = units.clone();
                xs[at] = bad.clone() % &p.mm;
                // A second culprit further on is not the one reported.
                xs[count - 1] = if at + 1 < count {
                    f.clone()
                } else {
                    xs[at].clone()
                };
                let e = p.enter(&xs);
                assert_eq!(p.ring.all_units(&e), Err(at));
                assert_eq!(p.ring.invert(&e).map(|_| ()), Err(BignumError::NotUnit(at)));
            }
        }
    }
}

fn any_modulus_any_values(kind: KernelKind) {
    let config = ProptestConfig {
        cases: 96,
        ..ProptestConfig::default()
    };
    let word = prop_oneof![Just(0u64), Just(u64::MAX), Just(1), any::<u64>()];
    proptest!(config, |(
        m in prop::collection::vec(word.clone(), 1..40),
        x in prop::collection::vec(word.clone(), 80),
        y in prop::collection::vec(word, 80),
        exp: [u64; 2],
    )| {
        let mut m = number(&m);
        m.set_bit(0, true);
        prop_assume!(m > BigUint::one());
        let p = Pair::new(m, kind);
        let (x, y) = (number(&x) % &p.mm, number(&y) % &p.mm);
        let e = p.enter(&[x.clone(), y.clone()]);
        let swapped = e.gather(&[1, 0]);
        prop_assert_eq!(p.leave(&p.ring.mul(&e, &swapped))[1].clone(), &x * &y % &p.mm);
        prop_assert_eq!(p.leave(&p.ring.square(&e))[0].clone(), &x * &x % &p.mm);
        let power = number(&exp);
        prop_assert_eq!(
            p.leave(&p.ring.pow_secret(&e.slice(1..2), &exp))[0].clone(),
            y.modpow(&power, &p.mm)
        );
    });
}

/// Stamps the suite on a kernel; on a machine without it, it says so and
/// passes.
macro_rules! suite {
    ($kernel:ident, $kind:expr, [$($test:ident),* $(,)?]) => {
        mod $kernel {
            $(
                #[test]
                fn $test() {
                    let kind = $kind;
                    if kind.available() {
                        super::$test(kind);
                    } else {
                        eprintln!("skipped: no {} on this machine", kind.name());
                    }
                }
            )*
        }
    };
}
pub(super) use suite;

macro_rules! every_kernel {
    ($tests:tt) => {
        crate::bignum::tests::ring::suite!(portable, crate::bignum::KernelKind::Portable, $tests);
        crate::bignum::tests::ring::suite!(ifma, crate::bignum::KernelKind::Ifma, $tests);
    };
}
pub(super) use every_kernel;

fn sums_of_tables_enter_in_one_go(kind: KernelKind) {
    for (seed, bits) in [64, 100, 1024, 1999].into_iter().enumerate() {
        let p = Pair::random(bits, seed as u64, kind);
        let mut rng = ChaCha20Rng::seed_from_u64(2000 + seed as u64);
        let factors = p.samples(&mut rng);
        let factors = [&factors[0], &factors[12], &factors[6]];
        // Tables narrower than a digit, as wide as a residue, and wider.
        let widths = [1, 2 * p.h, 3 * p.h + 1];
        let tables = widths.map(|width| {
            let mut table: Vec<u64> = (0..11 * width).map(|_| rng.next_u64()).collect();
            table[..width].fill(u64::MAX);
            table
        });
        let entries = [0, 1, 2].map(|k| {
            let factor = p.enter(std::slice::from_ref(factors[k]));
            p.ring.entry(&factor, widths[k])
        });
        let terms: Vec<_> = (0..3)
            .map(|k| (&tables[k][..], widths[k], &entries[k]))
            .collect();
        let expected: Vec<BigUint> = (0..11)
            .map(|i| {
                let term =
                    |k: usize| factors[k] * number(&tables[k][i * widths[k]..(i + 1) * widths[k]]);
                (term(0) + term(1) + term(2)) % &p.mm
            })
            .collect();
        assert_eq!(p.leave(&p.ring.enter_sum(&terms)), expected, "{bits} bits");
    }
}

every_kernel!([
    sums_of_tables_enter_in_one_go,
    products,
    moduli_at_the_edge,
    multiples_of_a_prime_factor,
    chains,
    entering_wide_and_narrow_rows,
    digits_in_and_out,
    powers,
    combs,
    combs_of_several_bases,
    comb_refuses_an_exponent_too_wide,
    inverses,
    a_non_unit_names_its_index,
    any_modulus_any_values,
]);

#[test]
fn refuses_moduli_that_have_no_ring() {
    let even = Ring::with_kernel(&[10], KernelKind::Portable).map(|_| ());
    assert_eq!(even, Err(BignumError::EvenModulus));
    for tiny in [&[][..], &[0], &[1], &[1, 0]] {
        let ring = Ring::with_kernel(tiny, KernelKind::Portable).map(|_| ());
        assert_eq!(ring, Err(BignumError::TinyModulus));
    }
    let padded = Ring::with_kernel(&[7, 0, 0], KernelKind::Portable).expect("odd");
    assert_eq!(padded.limbs(), 1);
}

#[test]
fn debug_shows_no_number() {
    let p = Pair::random(64, 9, KernelKind::Portable);
    assert_eq!(format!("{:?}", p.ring), "Ring(1 limbs, portable)");
    assert_eq!(format!("{:?}", p.ring.one(3)), "Elements(3)");
}
