//! Bayesian networks: what is drawn, its bounds, and each malformation.

use proptest::prelude::*;
use rand::RngExt;
use serde_json::json;

use super::{
    lenet5,
    ranges::{every_input, tiny},
    seeded,
};
use crate::network::{
    BayesianNetwork, Deviations, Linear, Network, NetworkError, Posterior, Problem, Profile, Range,
    Weights,
};

/// Deviations from 0 to `most` for `layers`.
fn random_deviations(layers: &[Weights], most: u32, seed: u64) -> Vec<Deviations> {
    let mut rng = seeded(seed);
    let mut up_to = |most: u32| rng.random_range(0..=most);
    let of = |layer: &Weights| Deviations {
        weights: layer.weights.iter().map(|_| up_to(most)).collect(),
        bias: layer.bias.iter().map(|_| up_to(10 * most).into()).collect(),
    };
    layers.iter().map(of).collect()
}

/// Profile, means and deviations of `network` as the means of a Bayesian one.
fn parts(network: Network, most: u32, truncation: u32) -> (Profile, Vec<Weights>, Vec<Deviations>) {
    let (mut profile, means) = network.into_parts();
    profile.posterior = Some(Posterior { truncation });
    let deviations = random_deviations(&means, most, 31);
    (profile, means, deviations)
}

fn bayesian(network: Network, most: u32, truncation: u32) -> BayesianNetwork {
    let (profile, means, deviations) = parts(network, most, truncation);
    BayesianNetwork::new(profile, means, deviations).expect("a small network")
}

fn random_input(profile: &Profile, rng: &mut impl rand::Rng) -> Vec<i64> {
    let input = profile.input;
    (0..input.shape.len())
        .map(|_| rng.random_range(input.min..=input.max))
        .collect()
}

/// Asserts that no weight is further from its mean than it may be.
fn assert_within_reach(network: &BayesianNetwork, drawn: &[Weights], truncation: u64) {
    let layers = network.means().iter().zip(network.deviations()).zip(drawn);
    for ((means, deviations), drawn) in layers {
        for (at, weight) in drawn.weights.iter().enumerate() {
            let off = u64::from(weight.abs_diff(means.weights[at]));
            assert!(off <= truncation * u64::from(deviations.weights[at]));
        }
        for (at, bias) in drawn.bias.iter().enumerate() {
            let off = bias.abs_diff(means.bias[at]);
            assert!(off <= truncation * deviations.bias[at]);
        }
    }
}

proptest! {
    /// Every input of small networks, random weights drawn at random.
    #[test]
    fn results_stay_within_the_ranges_whatever_is_drawn(
        seed: u64, padding in 0..2usize, most in 0..12u32, truncation in 1..=8u32,
    ) {
        let network = bayesian(tiny(seed, padding), most, truncation);
        let mut rng = seeded(seed ^ 1);
        for _ in 0..4 {
            let drawn = network.draw(&mut rng);
            assert_within_reach(&network, &drawn, truncation.into());
            for input in every_input(4, -1, 1) {
                let trace = network.trace(&drawn, &input);
                for (results, stage) in trace.iter().zip(&network.profile().stages) {
                    prop_assert!(results.iter().all(|&v| stage.range.contains(v)));
                }
            }
        }
    }

    /// The networks at the very ends of what can be drawn stay within the
    /// ranges too, and attain those of the first layer.
    #[test]
    fn the_ranges_are_attained_and_not_passed_by_extreme_weights(
        seed: u64, padding in 0..2usize, truncation in 1..=8u32,
    ) {
        let network = bayesian(tiny(seed, padding), 9, truncation);
        let first = &network.profile().stages[0];
        let mut seen: Option<Range> = None;
        // Each sign of the inputs asks for its own extreme weights.
        for input in every_input(4, -1, 1) {
            for sign in [-1, 1] {
                let towards = |x: i64| sign * if x < 0 { -1 } else { 1 };
                // A weight that meets several inputs is extreme for one
                // output position at a time.
                for position in 0..first.linear.positions() {
                    let mut drawn: Vec<Weights> = network.means().to_vec();
                    let taps = first.linear.taps();
                    let (means, deviations) = (&mut drawn[0], &network.deviations()[0]);
                    for (at, weight) in means.weights.iter_mut().enumerate() {
                        let met = first.linear.tap_input(position, at % taps);
                        let up = met.map_or(1, |index| towards(input[index]));
                        let reach = truncation as i32 * deviations.weights[at] as i32;
                        *weight += up as i32 * reach;
                    }
                    for (at, bias) in means.bias.iter_mut().enumerate() {
                        *bias += sign * i64::from(truncation) * deviations.bias[at] as i64;
                    }
                    let results = &network.trace(&drawn, &input)[0];
                    for &value in results {
                        prop_assert!(first.range.contains(value));
                        let point = Range::new(value, value);
                        seen = Some(seen.map_or(point, |seen| seen.union(point)));
                    }
                }
            }
        }
        prop_assert_eq!(seen, Some(first.range));
    }

    /// By trying every weight and every input.
    #[test]
    fn bounds_of_interval_weights_are_exact(corners: [(i8, i8); 5]) {
        let linear = Linear::Dense { inputs: 2, outputs: 1 };
        let [a, b, bias, x, y] = corners.map(|(p, q)| {
            let (p, q) = (i64::from(p % 4), i64::from(q % 4));
            Range::new(p.min(q), p.max(q))
        });
        let weights = |a: i64, b: i64, bias| Weights {
            weights: vec![a as i32, b as i32],
            bias: vec![bias],
        };
        let all = |range: Range| range.min..=range.max;
        let mut seen: Option<Range> = None;
        for (a, b, bias) in all(a).flat_map(|a| all(b).flat_map(move |b| all(bias).map(move |c| (a, b, c)))) {
            for (x, y) in all(x).flat_map(|x| all(y).map(move |y| (x, y))) {
                let value = linear.forward(&weights(a, b, bias), &[x, y])[0];
                let point = Range::new(value, value);
                seen = Some(seen.map_or(point, |seen| seen.union(point)));
            }
        }
        let least = weights(a.min, b.min, bias.min);
        let greatest = weights(a.max, b.max, bias.max);
        let bounds = linear.bounds_between(&least, &greatest, &[x, y]).expect("small numbers");
        prop_assert_eq!(Some(bounds[0]), seen);
    }
}

#[test]
fn lenet5_drawn_at_random_stays_within_its_ranges() {
    let network = bayesian(lenet5(&mut seeded(32)), 9, 6);
    let mut rng = seeded(33);
    for _ in 0..4 {
        let drawn = network.draw(&mut rng);
        assert_within_reach(&network, &drawn, 6);
        let input = random_input(network.profile(), &mut rng);
        let trace = network.trace(&drawn, &input);
        for (results, stage) in trace.iter().zip(&network.profile().stages) {
            assert!(results.iter().all(|&v| stage.range.contains(v)));
        }
        // The last stage has no operations: its results are the logits.
        assert_eq!(trace.last(), Some(&network.forward(&drawn, &input)));
    }
}

#[test]
fn deviations_of_0_give_the_mean_network() {
    let fixed = lenet5(&mut seeded(34));
    let network = bayesian(fixed.clone(), 0, 8);
    let drawn = network.draw(&mut seeded(35));
    assert_eq!(drawn, fixed.layers());
    assert_eq!(network.mean_network(), fixed);
    let input = random_input(fixed.profile(), &mut seeded(36));
    assert_eq!(network.forward(&drawn, &input), fixed.forward(&input));
}

#[test]
fn the_mean_network_has_narrower_ranges_and_another_fingerprint() {
    let network = bayesian(lenet5(&mut seeded(37)), 5, 4);
    let mean = network.mean_network();
    assert_eq!(mean.layers(), network.means());
    assert_ne!(
        mean.profile().fingerprint(),
        network.profile().fingerprint()
    );
    let stages = network.profile().stages.iter().zip(&mean.profile().stages);
    for (drawn, mean) in stages {
        assert!(drawn.range.covers(mean.range) && drawn.range != mean.range);
    }
}

#[test]
fn every_weight_has_its_own_mean_and_deviation() {
    let network = bayesian(tiny(1, 1), 6, 8);
    let mut rng = seeded(38);
    let draws: Vec<Vec<Weights>> = (0..4000).map(|_| network.draw(&mut rng)).collect();
    for (stage, (means, deviations)) in
        (network.means().iter().zip(network.deviations())).enumerate()
    {
        let check = |mean: f64, deviation: f64, of: &dyn Fn(&Weights) -> f64| {
            let count = draws.len() as f64;
            let values: Vec<f64> = draws.iter().map(|draw| of(&draw[stage])).collect();
            let found = values.iter().sum::<f64>() / count;
            assert!((found - mean).abs() <= 5.0 * deviation / count.sqrt());
            let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            let error = 5.0 * deviation.powi(2) * (2.0 / count).sqrt();
            assert!((squares - deviation.powi(2)).abs() <= error);
        };
        for (at, &deviation) in deviations.weights.iter().enumerate() {
            let mean = means.weights[at].into();
            check(mean, deviation.into(), &|w| w.weights[at].into());
        }
        for (at, &deviation) in deviations.bias.iter().enumerate() {
            let mean = means.bias[at] as f64;
            check(mean, deviation as f64, &|w| w.bias[at] as f64);
        }
    }
}

#[test]
fn draws_follow_the_generator() {
    let network = bayesian(lenet5(&mut seeded(39)), 5, 4);
    let (mut a, mut b) = (seeded(40), seeded(40));
    let first = network.draw(&mut a);
    let stages = 0..network.profile().stages.len();
    let by_stage: Vec<Weights> = stages
        .map(|stage| network.draw_stage(stage, &mut b))
        .collect();
    assert_eq!(first, by_stage);
    assert_ne!(first, network.draw(&mut a));
}

#[test]
fn weights_at_the_ends_of_their_types_are_drawn() {
    let (mut profile, mut means) = tiny(1, 0).into_parts();
    profile.posterior = Some(Posterior { truncation: 1 });
    let mut deviations = random_deviations(&means, 0, 0);
    (means[0].weights[0], deviations[0].weights[0]) = (-1, i32::MAX as u32);
    (means[0].bias[1], deviations[0].bias[1]) = (1 << 40, 1 << 40);
    let network = BayesianNetwork::new(profile, means, deviations).expect("it fits");
    let drawn = network.draw_stage(0, &mut seeded(41));
    assert_ne!(drawn.weights[0], -1);
    assert!((0..=1 << 41).contains(&drawn.bias[1]));
}

#[test]
fn a_posterior_survives_the_round_trip_and_changes_the_fingerprint() {
    let fixed = tiny(2, 0);
    assert!(!fixed.profile().to_json().contains("posterior"));
    let profile = bayesian(fixed.clone(), 0, 5).profile().clone();
    let again = Profile::from_json(&profile.to_json()).expect("valid");
    assert_eq!(again, profile);
    assert_eq!(again.fingerprint(), profile.fingerprint());
    assert_ne!(fixed.profile().fingerprint(), profile.fingerprint());
}

#[test]
fn debug_shows_no_mean_and_no_deviation() {
    let (profile, mut means, mut deviations) = parts(tiny(3, 0), 2, 2);
    means[0].weights[0] = 98_765;
    deviations[0].weights[0] = 56_789;
    let network = BayesianNetwork::new(profile, means, deviations).expect("small");
    let text = format!("{network:?}");
    assert!(!text.contains("98765") && !text.contains("56789"));
}

/// The one line of an error.
fn line(error: &NetworkError) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n'), "more than one line: {text}");
    text
}

/// The error for a Bayesian network of small deviations, after `change`.
fn refused(
    change: impl FnOnce(&mut Profile, &mut Vec<Weights>, &mut Vec<Deviations>),
) -> NetworkError {
    let (mut profile, mut means, mut deviations) = parts(tiny(4, 0), 3, 4);
    change(&mut profile, &mut means, &mut deviations);
    let error = BayesianNetwork::new(profile, means, deviations).expect_err("malformed");
    line(&error);
    error
}

#[test]
fn model_without_deviations() {
    let error = refused(|profile, _, _| profile.posterior = None);
    assert_eq!(error, NetworkError::NotBayesian);
    assert!(line(&error).starts_with("a model without deviations"));
    let error = refused(|_, _, deviations| deviations.clear());
    assert!(matches!(error, NetworkError::LayerCount { found: 0, .. }));
}

#[test]
fn a_bayesian_profile_for_fixed_weights() {
    let (profile, means, _) = parts(tiny(5, 0), 1, 1);
    let errors = [
        Network::new(profile.clone(), means.clone()),
        Network::check(profile, means),
    ];
    for error in errors {
        assert_eq!(error, Err(NetworkError::Bayesian));
    }
}

#[test]
fn truncation_0_or_9() {
    for truncation in [0, 9, u32::MAX] {
        let posterior = Some(Posterior { truncation });
        let error = refused(|profile, _, _| profile.posterior = posterior);
        let text = line(&error);
        assert!(text.contains(&format!(
            "at {truncation} standard deviations, expected 1 to 8"
        )));
    }
}

#[test]
fn truncation_of_a_wrong_type_or_an_unknown_member() {
    let profile = bayesian(tiny(6, 0), 1, 3).profile().clone();
    let mut value: serde_json::Value = serde_json::from_str(&profile.to_json()).expect("JSON");
    for posterior in [
        json!({"truncation": -1}),
        json!({"truncation": 2.5}),
        json!({"truncation": 3, "kind": "laplace"}),
        json!({}),
        json!(3),
    ] {
        value["posterior"] = posterior;
        let error = Profile::from_json(&value.to_string()).expect_err("malformed");
        assert!(matches!(error, NetworkError::Json(_)));
    }
}

#[test]
fn wrong_number_of_deviations() {
    let error = refused(|_, _, deviations| {
        deviations[1].weights.pop();
    });
    assert!(line(&error).starts_with("stage second: "));
    assert!(line(&error).contains("standard deviations of weights, expected"));
    let error = refused(|_, _, deviations| deviations[0].bias.push(1));
    assert_eq!(
        line(&error),
        "stage first: 3 standard deviations of biases, expected 2"
    );
    let error = refused(|_, means, _| means[0].weights.push(1));
    assert!(line(&error).starts_with("stage first: 9 weights, expected 8"));
}

#[test]
fn overflowing_deviations() {
    let change = |mean: i32, deviation: u32| {
        refused(|_, means, deviations| {
            means[1].weights[0] = mean;
            deviations[1].weights[0] = deviation;
        })
    };
    for error in [
        change(0, 1 << 29),
        change(i32::MAX, 1),
        change(i32::MIN, 1),
        change(0, u32::MAX),
    ] {
        assert_eq!(
            line(&error),
            "stage second: overflowing deviations: weights up to 4 standard deviations from \
             their means may need more than 32 bits"
        );
    }
    for (mean, deviation) in [(0, 1 << 61), (i64::MAX, 1), (i64::MIN, 1), (0, u64::MAX)] {
        let error = refused(|_, means, deviations| {
            means[0].bias[1] = mean;
            deviations[0].bias[1] = deviation;
        });
        assert!(line(&error).starts_with("stage first: overflowing deviations: biases"));
        assert!(line(&error).contains("64 bits"));
    }
}

#[test]
fn deviations_that_leave_64_bits_together_with_the_inputs() {
    let error = refused(|profile, _, deviations| {
        profile.input.max = i64::MAX >> 20;
        deviations[0].weights[0] = 1 << 22;
    });
    assert!(line(&error).starts_with("stage first: a pre-activation may need more than 64 bits"));
}

#[test]
fn ranges_that_do_not_cover_what_can_be_drawn() {
    let network = bayesian(tiny(7, 0), 3, 4);
    let (profile, means, deviations) = network.clone().into_parts();
    let check = |profile: &Profile| {
        BayesianNetwork::check(profile.clone(), means.clone(), deviations.clone())
    };
    assert_eq!(check(&profile).as_ref(), Ok(&network));
    let mut of_means = network.mean_network().profile().clone();
    of_means.posterior = profile.posterior;
    let mut narrow = profile.clone();
    narrow.stages[1].range.max -= 1;
    let mut wide = profile.clone();
    wide.stages[0].range.min -= 1;
    let mut further = profile.clone();
    further.posterior = Some(Posterior { truncation: 5 });
    for profile in [of_means, narrow, wide, further] {
        let error = check(&profile).expect_err("other ranges");
        assert!(line(&error).contains("the profile says that values run over"));
        assert!(matches!(
            error,
            NetworkError::Layer {
                problem: Problem::RangeMismatch { .. },
                ..
            }
        ));
    }
}
