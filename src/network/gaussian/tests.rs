//! Both samplers against the exact probabilities, with fixed seeds.

use std::convert::Infallible;

use num_bigint::BigUint;
use rand::{SeedableRng, TryCryptoRng, TryRng, rngs::ChaCha20Rng};

use super::{Gaussian, RandomBits, table::thresholds};

const SAMPLES: usize = 200_000;

/// P(k) for k from −τσ to τσ, by the definition.
fn probabilities(deviation: u64, truncation: u32) -> Vec<f64> {
    let reach = (deviation * u64::from(truncation)) as i64;
    let weights: Vec<f64> = (-reach..=reach)
        .map(|k| (-0.5 * (k as f64 / deviation as f64).powi(2)).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

fn draw(gaussian: &Gaussian, count: usize, seed: u64) -> Vec<i64> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut bits = RandomBits::new(&mut rng);
    (0..count).map(|_| gaussian.sample(&mut bits)).collect()
}

/// Whether a chi-square test at one in a million accepts that the numbers
/// `seen` have the probabilities `expected`, those of −reach, …, reach. Bins
/// with fewer than 10 expected numbers are joined with their neighbours.
fn fits(seen: &[i64], expected: &[f64]) -> bool {
    let reach = (expected.len() / 2) as i64;
    let mut counts = vec![0u64; expected.len()];
    for k in seen {
        assert!(k.abs() <= reach, "{k} is beyond {reach}");
        counts[(k + reach) as usize] += 1;
    }
    let mut bins = vec![(0u64, 0f64)];
    for (count, probability) in counts.iter().zip(expected) {
        let bin = bins.last_mut().expect("never empty");
        bin.0 += count;
        bin.1 += probability * seen.len() as f64;
        if bin.1 >= 10.0 {
            bins.push((0, 0.0));
        }
    }
    let rest = bins.pop().expect("never empty");
    let last = bins.last_mut().expect("a bin of 10");
    (last.0, last.1) = (last.0 + rest.0, last.1 + rest.1);
    let statistic: f64 = bins
        .iter()
        .map(|&(count, expected)| (count as f64 - expected).powi(2) / expected)
        .sum();
    // Wilson and Hilferty's approximation of the quantile; 4.753 is the
    // normal distribution's.
    let freedom = (bins.len() - 1) as f64;
    let ninth = 2.0 / (9.0 * freedom);
    statistic <= freedom * (1.0 - ninth + 4.753 * ninth.sqrt()).powi(3)
}

const CASES: [(u64, u32); 7] = [(1, 1), (1, 8), (2, 3), (7, 4), (20, 6), (100, 8), (255, 2)];

#[test]
fn both_samplers_have_the_exact_probabilities() {
    for (deviation, truncation) in CASES {
        let expected = probabilities(deviation, truncation);
        let samplers = [
            Gaussian::new(deviation, truncation),
            Gaussian::without_table(deviation, truncation),
        ];
        for (seed, gaussian) in (1..).zip(&samplers) {
            let seen = draw(gaussian, SAMPLES, seed);
            assert!(
                fits(&seen, &expected),
                "σ = {deviation}, τ = {truncation}, sampler {seed}"
            );
        }
    }
}

#[test]
fn the_test_tells_wrong_samplers_apart() {
    let expected = probabilities(7, 4);
    let good = draw(&Gaussian::new(7, 4), SAMPLES, 3);
    assert!(fits(&good, &expected));
    // Without the negative zeros' refusal, 0 comes twice as often.
    let heavy: Vec<i64> = (good.iter().enumerate())
        .map(|(at, &k)| if at % 17 == 0 { 0 } else { k })
        .collect();
    assert!(!fits(&heavy, &expected));
    // A bias by a fortieth of a deviation.
    let shifted: Vec<i64> = (good.iter().enumerate())
        .map(|(at, &k)| if at % 6 == 0 { (k + 1).min(28) } else { k })
        .collect();
    assert!(!fits(&shifted, &expected));
    // A little too wide, truncated alike.
    let mut wide = draw(&Gaussian::new(8, 4), SAMPLES, 4);
    wide.retain(|k| k.abs() <= 28);
    assert!(!fits(&wide, &expected));
    // A continuous Gaussian, rounded: its variance is greater by 1/12.
    let rounded = |k: i64| {
        let density = |x: f64| (-x * x / 2.0).exp();
        (0..100)
            .map(|i| density(k as f64 - 0.495 + 0.01 * f64::from(i)))
            .sum::<f64>()
    };
    let weights: Vec<f64> = (-8..=8).map(rounded).collect();
    let sum: f64 = weights.iter().sum();
    let wrong: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
    assert!(!fits(&draw(&Gaussian::new(1, 8), SAMPLES, 5), &wrong));
}

#[test]
fn a_deviation_of_0_draws_0_and_no_randomness() {
    let mut rng = Script(vec![]);
    let mut bits = RandomBits::new(&mut rng);
    for truncation in 1..=8 {
        assert_eq!(Gaussian::new(0, truncation).sample(&mut bits), 0);
        assert_eq!(Gaussian::without_table(0, truncation).sample(&mut bits), 0);
    }
}

#[test]
fn the_truncation_point_is_reached_and_never_passed() {
    for truncation in 1..=4 {
        for gaussian in [
            Gaussian::new(1, truncation),
            Gaussian::without_table(1, truncation),
        ] {
            assert_eq!(gaussian.reach(), u64::from(truncation));
            let seen = draw(&gaussian, SAMPLES, 6);
            assert_eq!(seen.iter().max(), Some(&i64::from(truncation)));
            assert_eq!(seen.iter().min(), Some(&-i64::from(truncation)));
        }
    }
}

/// Mean, variance and fourth moment, in units of σ.
fn moments(seen: &[i64], deviation: u64) -> [f64; 3] {
    [1, 2, 4].map(|power| {
        let scaled = seen
            .iter()
            .map(|&k| (k as f64 / deviation as f64).powi(power));
        scaled.sum::<f64>() / seen.len() as f64
    })
}

#[test]
fn moments_are_those_of_the_distribution() {
    for (deviation, truncation) in [(1, 8), (3, 8), (200, 8), (12, 1), (5, 2)] {
        let expected = probabilities(deviation, truncation);
        let reach = (expected.len() / 2) as f64;
        let moment = |power| {
            let terms = expected.iter().enumerate();
            let of =
                |(at, p): (usize, &f64)| p * ((at as f64 - reach) / deviation as f64).powi(power);
            terms.map(of).sum::<f64>()
        };
        let seen = draw(&Gaussian::new(deviation, truncation), SAMPLES, 7);
        for (power, found) in [1, 2, 4].into_iter().zip(moments(&seen, deviation)) {
            // Five standard errors.
            let error = ((moment(2 * power) - moment(power).powi(2)) / SAMPLES as f64).sqrt();
            let off = (found - moment(power)).abs();
            assert!(
                off < 5.0 * error,
                "σ = {deviation}, moment {power} is off by {off}"
            );
        }
    }
}

#[test]
fn large_deviations_have_the_shape_of_a_gaussian() {
    for deviation in [256, 1 << 20, (1 << 40) + 12_345, (1 << 60) - 1] {
        let gaussian = Gaussian::new(deviation, 8);
        let seen = draw(&gaussian, SAMPLES / 4, 8);
        let [mean, variance, fourth] = moments(&seen, deviation);
        let count = seen.len() as f64;
        assert!(mean.abs() < 5.0 / count.sqrt());
        assert!((variance - 1.0).abs() < 5.0 * (2.0 / count).sqrt());
        assert!((fourth - 3.0).abs() < 5.0 * (96.0 / count).sqrt());
        // In quarters of a deviation: the midpoint rule on 100 parts is far
        // more exact than the test.
        let quarters: Vec<i64> = seen
            .iter()
            .map(|&k| (4.0 * k as f64 / deviation as f64).floor() as i64)
            .collect();
        let weight = |quarter: i32| -> f64 {
            let part = |i: i32| (f64::from(quarter) + (f64::from(i) + 0.5) / 100.0) / 4.0;
            (0..100).map(|i| (-part(i).powi(2) / 2.0).exp()).sum()
        };
        let weights: Vec<f64> = (-32..=32).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let expected: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
        // At 256 a quarter holds 64 integers, and its edges show; so the
        // bins are compared only where they do not.
        assert!(
            deviation == 256 || fits(&quarters, &expected),
            "σ = {deviation}"
        );
    }
}

#[test]
fn tables_hold_the_probabilities_to_the_last_bit() {
    for (deviation, truncation) in CASES {
        let reach = deviation * u64::from(truncation);
        let coarse = thresholds(deviation, reach, 63);
        let fine = thresholds(deviation, reach, 191);
        let probabilities = probabilities(deviation, truncation);
        let middle = reach as usize;
        let mut sum = probabilities[middle];
        for m in 0..middle {
            assert_eq!(coarse[m], &fine[m] >> 128);
            let threshold = u64::try_from(&coarse[m]).expect("63 bits") as f64 / 2f64.powi(63);
            assert!(
                (threshold - sum).abs() < 1e-12,
                "C({m}) for σ = {deviation}"
            );
            sum += 2.0 * probabilities[middle + m + 1];
        }
    }
}

/// C(0) = 1/(1 + 2e^(−1/2)) for σ = 1, τ = 1, to 30 digits from another
/// program.
#[test]
fn the_first_threshold_of_the_least_table_is_known() {
    let scaled = &thresholds(1, 1, 160)[0] * BigUint::from(10u32).pow(30);
    assert_eq!(
        (scaled >> 160u32).to_string(),
        "451862761877606043814185154403"
    );
}

/// A generator that gives the words it was told to, and then fails.
struct Script(Vec<u64>);

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("words only")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("many bytes at a time")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        assert!(!self.0.is_empty(), "no randomness was to be taken");
        let (words, _) = bytes.as_chunks_mut();
        for (to, word) in words.iter_mut().zip(self.0.drain(..)) {
            *to = word.to_le_bytes();
        }
        Ok(())
    }
}

impl TryCryptoRng for Script {}

/// What σ = 3, τ = 4 gives for the words, and the word after those it took.
fn scripted(words: &[u64]) -> (i64, u64) {
    let mut rng = Script([words, &[0xfeed]].concat());
    let mut bits = RandomBits::new(&mut rng);
    (Gaussian::new(3, 4).sample(&mut bits), bits.word())
}

#[test]
fn words_that_decide_are_the_only_ones_taken() {
    let thresholds = thresholds(3, 12, 63);
    for (m, threshold) in (0..).zip(&thresholds) {
        let threshold = u64::try_from(threshold).expect("63 bits");
        assert_eq!(scripted(&[(threshold - 1) << 1]), (m, 0xfeed));
        assert_eq!(scripted(&[(threshold + 1) << 1]), (m + 1, 0xfeed));
        assert_eq!(scripted(&[(threshold + 1) << 1 | 1]), (-m - 1, 0xfeed));
    }
    assert_eq!(scripted(&[u64::MAX]), (-12, 0xfeed));
}

#[test]
fn words_that_leave_it_open_are_refined_until_it_is_decided() {
    let (coarse, fine) = (thresholds(3, 12, 63), thresholds(3, 12, 191));
    for (m, (coarse, fine)) in (0..).zip(coarse.iter().zip(&fine)) {
        let first = u64::try_from(coarse).expect("63 bits") << 1;
        let digits = fine.to_u64_digits();
        // The words behind the first 63 bits of C(m).
        let (second, third) = (digits[1], digits[0]);
        assert_eq!(scripted(&[first, 0]), (m, 0xfeed));
        assert_eq!(scripted(&[first, u64::MAX]), (m + 1, 0xfeed));
        assert_eq!(scripted(&[first | 1, second - 1]), (-m, 0xfeed));
        assert_eq!(scripted(&[first, second, third - 1]), (m, 0xfeed));
        assert_eq!(scripted(&[first, second, third + 1]), (m + 1, 0xfeed));
    }
}

#[test]
fn no_word_of_the_generator_is_given_twice() {
    use rand::Rng;
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let mut bits = RandomBits::new(&mut rng);
    let words: Vec<u64> = (0..1000).map(|_| bits.word()).collect();
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let same: Vec<u64> = (0..1000).map(|_| rng.next_u64()).collect();
    assert_eq!(words, same);
}

#[test]
fn numbers_below_an_end_are_uniform() {
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let mut bits = RandomBits::new(&mut rng);
    for end in [1u128, 2, 3, 7, 64] {
        let mut counts = vec![0f64; end as usize];
        for _ in 0..64_000 {
            counts[bits.below(end) as usize] += 1.0;
        }
        let expected = 64_000.0 / end as f64;
        for count in counts {
            assert!((count - expected).abs() <= 5.0 * expected.sqrt());
        }
    }
    let end = 3 << 100;
    let tops: Vec<u128> = (0..3000).map(|_| bits.below(end) >> 100).collect();
    assert!((0..3).all(|top| tops.iter().filter(|&&t| t == top).count().abs_diff(1000) < 150));
}

#[test]
#[should_panic(expected = "below 2^63")]
fn a_reach_of_more_than_63_bits_is_refused() {
    Gaussian::without_table(1 << 62, 2);
}
