//! Programs, against the same products in plain numbers.

use super::{ring::every_kernel, *};
use crate::bignum::{BignumError, Counts, Csr, ONE, Program, Stage};

/// What the program means, by num-bigint.
fn naive(program: &Program, inputs: &[BigUint], mm: &BigUint) -> Vec<BigUint> {
    let mut arena = inputs.to_vec();
    for stage in program.stages() {
        let at = |i: u32| {
            if i == ONE {
                BigUint::one()
            } else {
                arena[i as usize].clone()
            }
        };
        let results: Vec<BigUint> = match stage {
            Stage::Products(rows) => (0..rows.len())
                .map(|j| {
                    rows.row(j)
                        .iter()
                        .fold(BigUint::one(), |acc, &i| acc * at(i) % mm)
                })
                .collect(),
            Stage::Powers(pairs) => pairs.iter().map(|&(a, b)| at(a) * at(b) % mm).collect(),
            Stage::Weighted(rows) => rows
                .iter()
                .map(|row| {
                    row.iter().fold(BigUint::one(), |acc, &(i, w)| {
                        acc * at(i).modpow(&w.into(), mm) % mm
                    })
                })
                .collect(),
            Stage::Horner { rows, digit_bits } => (0..rows.len())
                .map(|j| {
                    rows.row(j)
                        .iter()
                        .enumerate()
                        .fold(BigUint::one(), |acc, (t, &i)| {
                            let exp = BigUint::one() << (t as u32 * digit_bits);
                            acc * at(i).modpow(&exp, mm) % mm
                        })
                })
                .collect(),
            Stage::Invert(list) => list
                .iter()
                .map(|&i| at(i).modinv(mm).expect("a unit"))
                .collect(),
        };
        arena.extend(results);
    }
    program
        .outputs()
        .iter()
        .map(|&i| {
            if i == ONE {
                BigUint::one()
            } else {
                arena[i as usize].clone()
            }
        })
        .collect()
}

/// A program that uses every stage, with rows of many lengths.
pub(super) fn motley(inputs: u32, rng: &mut ChaCha20Rng) -> Program {
    let mut program = Program::new(inputs as usize).expect("few inputs");
    let mut pick = move |below: u32| rng.next_u32() % below;
    let mut lists = Csr::new();
    lists.push([]);
    lists.push([2]);
    for j in 0..13 {
        lists.push((0..j % 7).map(|_| pick(inputs)).collect::<Vec<_>>());
    }
    let ones = Csr::from_iter([vec![ONE, 3, ONE, 1], vec![2, ONE]]);
    program.push(Stage::Products(ones)).expect("in range");
    let first = program.push(Stage::Products(lists)).expect("in range");
    let mut arena = first.end;
    let pairs = (0..9).map(|i| (pick(arena), if i % 3 == 0 { ONE } else { pick(arena) }));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.push((4, 4));
    pairs.push((ONE, ONE));
    arena = program.push(Stage::Powers(pairs)).expect("in range").end;
    let mut rows = vec![
        vec![],
        vec![(3, 1)],
        vec![(3, 255)],
        vec![(0, 127), (1, 127), (2, 5), (3, 5), (4, 1)],
        vec![(ONE, 9), (1, 2)],
    ];
    for _ in 0..7 {
        let mut row: Vec<_> = (0..pick(12)).map(|_| (pick(arena), 1 + pick(60))).collect();
        row.sort_by_key(|&(_, w)| std::cmp::Reverse(w));
        rows.push(row);
    }
    let weighted = program.push(Stage::Weighted(rows)).expect("in range");
    arena = weighted.end;
    let mut rows = Csr::new();
    rows.push([]);
    rows.push([5]);
    rows.push([ONE, ONE, 3]);
    rows.push([3, ONE, ONE]);
    for _ in 0..6 {
        rows.push((0..1 + pick(5)).map(|_| pick(arena)).collect::<Vec<_>>());
    }
    let horner = program
        .push(Stage::Horner {
            rows,
            digit_bits: 4,
        })
        .expect("in range");
    let inverses = program
        .push(Stage::Invert(vec![0, weighted.start + 3, horner.start + 2]))
        .expect("in range");
    let last = program
        .push(Stage::Products(Csr::from_iter([
            vec![inverses.start, 0],
            vec![inverses.start + 1, weighted.start + 3, 1],
        ])))
        .expect("in range");
    let mut outputs: Vec<u32> = (0..last.end).step_by(2).collect();
    outputs.extend([ONE, 1, 1, last.start, last.start + 1]);
    program.set_outputs(outputs).expect("in range");
    program
}

fn units(p: &Pair, count: usize, rng: &mut ChaCha20Rng) -> Vec<BigUint> {
    let mut xs = Vec::new();
    while xs.len() < count {
        let x = random(2 * 64 * p.h, rng) % &p.mm;
        if x.modinv(&p.m).is_some() {
            xs.push(x);
        }
    }
    xs
}

fn programs_mean_their_products(kind: KernelKind) {
    for (seed, bits) in [64, 127, 1024].into_iter().enumerate() {
        let p = Pair::random(bits, seed as u64, kind);
        let mut rng = ChaCha20Rng::seed_from_u64(seed as u64);
        let xs = units(&p, 7, &mut rng);
        let program = motley(7, &mut rng);
        let out = p.ring.run(&program, &p.enter(&xs)).expect("units");
        assert_eq!(p.leave(&out), naive(&program, &xs, &p.mm), "{bits} bits");
    }
}

fn outputs_default_to_the_last_results(kind: KernelKind) {
    let p = Pair::random(64, 3, kind);
    let xs = units(&p, 2, &mut ChaCha20Rng::seed_from_u64(3));
    let mut program = Program::new(2).expect("two inputs");
    assert_eq!(
        p.leave(&p.ring.run(&program, &p.enter(&xs)).expect("runs")),
        xs
    );
    program.push(Stage::Powers(vec![(0, 1)])).expect("in range");
    let out = p.ring.run(&program, &p.enter(&xs)).expect("runs");
    assert_eq!(p.leave(&out), vec![&xs[0] * &xs[1] % &p.mm]);
}

fn a_non_unit_in_a_program_names_its_index(kind: KernelKind) {
    let p = Pair::new(BigUint::from(15u32), kind);
    let xs = [2u32, 4, 7, 5].map(BigUint::from);
    let mut program = Program::new(4).expect("four inputs");
    program
        .push(Stage::Invert(vec![2, 3, 0]))
        .expect("in range");
    let error = p
        .ring
        .run(&program, &p.enter(&xs))
        .expect_err("5 divides 15");
    assert_eq!(error, BignumError::NotUnit(3));
    let error = p
        .ring
        .run(&program, &p.ring.one(3))
        .expect_err("four inputs");
    assert_eq!(
        error,
        BignumError::WrongInputs {
            expected: 4,
            found: 3
        }
    );
}

every_kernel!([
    programs_mean_their_products,
    outputs_default_to_the_last_results,
    a_non_unit_in_a_program_names_its_index,
]);

#[test]
fn counts_of_small_programs() {
    let counts = |stage: Stage| {
        let mut program = Program::new(4).expect("four inputs");
        program.push(stage).expect("in range");
        let c = program.counts();
        (c.products, c.squarings, c.inversions)
    };
    let lists = Csr::from_iter([vec![], vec![1], vec![0, 1, 2], vec![ONE, 3], vec![2, 2]]);
    assert_eq!(counts(Stage::Products(lists)), (3, 0, 0));
    assert_eq!(
        counts(Stage::Powers(vec![(0, 1), (2, 2), (ONE, 3)])),
        (1, 1, 0)
    );
    // x³·y²·z: S1 = x, S2 = xy, S3 = xyz, S1·S2·S3.
    let row = vec![vec![(0, 3), (1, 2), (2, 1)]];
    assert_eq!(counts(Stage::Weighted(row)), (4, 0, 0));
    assert_eq!(
        counts(Stage::Weighted(vec![vec![(0, 1)], vec![]])),
        (0, 0, 0)
    );
    // x^16 by squaring.
    assert_eq!(counts(Stage::Weighted(vec![vec![(0, 16)]])), (0, 4, 0));
    let rows = Csr::from_iter([vec![0, 1, 2], vec![3]]);
    assert_eq!(
        counts(Stage::Horner {
            rows,
            digit_bits: 5
        }),
        (2, 10, 0)
    );
    assert_eq!(counts(Stage::Invert(vec![])), (0, 0, 0));
    assert_eq!(counts(Stage::Invert(vec![0, 1, 2])).2, 1);
    assert_eq!(Counts::default(), [].into_iter().sum());
}

#[test]
fn programs_that_read_the_future_are_refused() {
    let mut program = Program::new(2).expect("two inputs");
    let error = BignumError::BadIndex {
        index: 2,
        available: 2,
    };
    let csr = || Csr::from_iter([vec![0, 2]]);
    assert_eq!(program.push(Stage::Products(csr())), Err(error.clone()));
    assert_eq!(
        program.push(Stage::Powers(vec![(2, 0)])),
        Err(error.clone())
    );
    assert_eq!(
        program.push(Stage::Weighted(vec![vec![(2, 1)]])),
        Err(error.clone())
    );
    let horner = Stage::Horner {
        rows: csr(),
        digit_bits: 1,
    };
    assert_eq!(program.push(horner), Err(error.clone()));
    assert_eq!(program.push(Stage::Invert(vec![2])), Err(error.clone()));
    assert_eq!(program.set_outputs(vec![2]), Err(error));
    let no_one = BignumError::BadIndex {
        index: ONE,
        available: 2,
    };
    assert_eq!(program.push(Stage::Invert(vec![ONE])), Err(no_one));
}

#[test]
fn weights_zero_or_ascending_are_refused() {
    let mut program = Program::new(2).expect("two inputs");
    let ascending = Stage::Weighted(vec![vec![], vec![(0, 1), (1, 2)]]);
    assert_eq!(program.push(ascending), Err(BignumError::BadWeights(1)));
    let zero = Stage::Weighted(vec![vec![(0, 1), (1, 0)]]);
    assert_eq!(program.push(zero), Err(BignumError::BadWeights(0)));
}

#[test]
fn debug_shows_counts_and_no_weights() {
    let mut program = Program::new(12_345).expect("few inputs");
    let stages = [
        Stage::Products(Csr::from_iter([vec![9_871, 9_872], vec![ONE]])),
        Stage::Powers(vec![(9_873, 9_874)]),
        Stage::Weighted(vec![vec![(9_875, 9_876)]]),
        Stage::Horner {
            rows: Csr::from_iter([vec![9_877, 9_878]]),
            digit_bits: 4,
        },
        Stage::Invert(vec![9_879]),
    ];
    for stage in stages {
        program.push(stage).expect("in range");
    }
    let text = format!("{program:?} {:?}", Csr::from_iter([vec![9_880]]));
    assert!(text.contains("12345") && text.contains("Weighted(1 results)"));
    assert!(!text.contains("98"), "{text}");
}
