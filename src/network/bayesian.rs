//! Bayesian networks: a distribution for each weight, and networks drawn from
//! it.
//!
//! The posterior is a mean-field Gaussian (Blundell et al., *Weight Uncertainty
//! in Neural Networks*, 2015): every weight and bias by itself has a mean and a
//! standard deviation σ, both integers at the layer's scale. What is drawn is
//! the mean plus a truncated discrete [`Gaussian`], so it is an integer as well
//! and never further than τσ from its mean, τ being [`Posterior::truncation`].
//! The ranges of the profile are bounds over all that can be drawn, not over
//! what is likely.

use std::fmt;

use rand::CryptoRng;
use rayon::prelude::*;

use super::{
    Gaussian, Network, NetworkError, Posterior, Problem, Profile, RandomBits, Range, Stage,
    Weights, evaluate::ranges,
};

/// Standard deviations of a layer's weights and biases, in the order of
/// [`Weights`]: integers at the layer's scale, 0 for a weight that is fixed. The
/// server's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Deviations {
    /// One for each weight.
    pub weights: Vec<u32>,
    /// One for each bias.
    pub bias: Vec<u64>,
}

impl fmt::Debug for Deviations {
    /// Only the counts are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Deviations({} weights, {} biases)",
            self.weights.len(),
            self.bias.len()
        )
    }
}

/// A profile with a posterior, and means and standard deviations of the
/// weights, checked against each other.
///
/// With given weights it is the ideal functionality that a protocol must equal
/// bit for bit ([`BayesianNetwork::forward`]).
#[derive(Clone)]
pub struct BayesianNetwork {
    profile: Profile,
    posterior: Posterior,
    means: Vec<Weights>,
    deviations: Vec<Deviations>,
    /// At each deviation up to [`Gaussian::LARGEST_TABLE`] that a weight has:
    /// its distribution. It follows from the members above.
    tables: Vec<Option<Gaussian>>,
}

impl PartialEq for BayesianNetwork {
    fn eq(&self, other: &BayesianNetwork) -> bool {
        self.profile == other.profile
            && self.means == other.means
            && self.deviations == other.deviations
    }
}

impl fmt::Debug for BayesianNetwork {
    /// The profile, and the counts of the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BayesianNetwork")
            .field("profile", &self.profile)
            .field("means", &self.means)
            .field("deviations", &self.deviations)
            .finish_non_exhaustive()
    }
}

impl BayesianNetwork {
    /// The network of `means` and `deviations`, one for each stage; the ranges
    /// in `profile` are computed from them, whatever they were.
    ///
    /// # Errors
    ///
    /// What [`Profile::validate`] refuses, a profile without a posterior, means
    /// or deviations that do not fit their layer, a weight or another value
    /// that may leave its type.
    pub fn new(
        profile: Profile,
        means: Vec<Weights>,
        deviations: Vec<Deviations>,
    ) -> Result<BayesianNetwork, NetworkError> {
        let posterior = profile.posterior.ok_or(NetworkError::NotBayesian)?;
        let ranges = drawn_ranges(&profile, posterior, &means, &deviations)?;
        let profile = profile.with_ranges(ranges)?;
        Ok(BayesianNetwork::of_checked(
            profile, posterior, means, deviations,
        ))
    }

    /// The network of `means` and `deviations`, one for each stage, if the
    /// ranges in `profile` are those that follow from them.
    ///
    /// # Errors
    ///
    /// As [`BayesianNetwork::new`], and [`Problem::RangeMismatch`].
    pub fn check(
        profile: Profile,
        means: Vec<Weights>,
        deviations: Vec<Deviations>,
    ) -> Result<BayesianNetwork, NetworkError> {
        profile.validate()?;
        let posterior = profile.posterior.ok_or(NetworkError::NotBayesian)?;
        profile.expect_ranges(drawn_ranges(&profile, posterior, &means, &deviations)?)?;
        Ok(BayesianNetwork::of_checked(
            profile, posterior, means, deviations,
        ))
    }

    fn of_checked(
        profile: Profile,
        posterior: Posterior,
        means: Vec<Weights>,
        deviations: Vec<Deviations>,
    ) -> BayesianNetwork {
        let mut found = [false; Gaussian::LARGEST_TABLE as usize + 1];
        for &deviation in deviations.iter().flat_map(|layer| &layer.weights) {
            if let Some(found) = found.get_mut(deviation as usize) {
                *found = true;
            }
        }
        let tables = (0..)
            .zip(found)
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(deviation, found)| found.then(|| Gaussian::new(deviation, posterior.truncation)))
            .collect();
        BayesianNetwork {
            profile,
            posterior,
            means,
            deviations,
            tables,
        }
    }

    /// What a client may know of the network.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The means of the weights, one layer for each stage.
    pub fn means(&self) -> &[Weights] {
        &self.means
    }

    /// The standard deviations of the weights, one layer for each stage.
    pub fn deviations(&self) -> &[Deviations] {
        &self.deviations
    }

    /// Profile, means and standard deviations.
    pub fn into_parts(self) -> (Profile, Vec<Weights>, Vec<Deviations>) {
        (self.profile, self.means, self.deviations)
    }

    /// Weights of stage `stage`, drawn anew: each by itself, its mean plus a
    /// [`Gaussian`].
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    pub fn draw_stage(&self, stage: usize, rng: &mut impl CryptoRng) -> Weights {
        let (means, deviations) = (&self.means[stage], &self.deviations[stage]);
        let mut bits = RandomBits::new(rng);
        // The sums fit their types: that was checked when the network was made.
        let weights = means.weights.iter().zip(&deviations.weights);
        let weights = weights
            .map(|(&mean, &deviation)| {
                let drawn = match self.tables.get(deviation as usize) {
                    Some(Some(gaussian)) => gaussian.sample(&mut bits),
                    _ => self.without_table(deviation.into()).sample(&mut bits),
                };
                mean + drawn as i32
            })
            .collect();
        let bias = means.bias.iter().zip(&deviations.bias);
        let bias = bias
            .map(|(&mean, &deviation)| mean + self.without_table(deviation).sample(&mut bits))
            .collect();
        Weights { weights, bias }
    }

    /// Weights of all stages, drawn anew.
    pub fn draw(&self, rng: &mut impl CryptoRng) -> Vec<Weights> {
        (0..self.means.len())
            .map(|stage| self.draw_stage(stage, rng))
            .collect()
    }

    fn without_table(&self, deviation: u64) -> Gaussian {
        Gaussian::without_table(deviation, self.posterior.truncation)
    }

    /// The integer logits that the network with `weights`, drawn from this one,
    /// gives for `input`: what a protocol must equal.
    ///
    /// # Panics
    ///
    /// If [`Profile::check_input`] refuses the input, or `weights` have other
    /// shapes. Weights that cannot be drawn may lead out of the profile's
    /// ranges, which panics as well.
    pub fn forward(&self, weights: &[Weights], input: &[i64]) -> Vec<i64> {
        self.profile.walk(weights, input, |_| {})
    }

    /// The pre-activations of every stage, first stage first, that `weights`
    /// give for `input`.
    ///
    /// # Panics
    ///
    /// As [`BayesianNetwork::forward`].
    pub fn trace(&self, weights: &[Weights], input: &[i64]) -> Vec<Vec<i64>> {
        let mut trace = Vec::with_capacity(weights.len());
        self.profile
            .walk(weights, input, |results| trace.push(results.to_vec()));
        trace
    }

    /// The network whose every weight is its mean: what is left if each
    /// deviation is taken as 0. Its profile has no posterior and narrower
    /// ranges, so another fingerprint.
    pub fn mean_network(&self) -> Network {
        let mut profile = self.profile.clone();
        profile.posterior = None;
        // Its values lie within bounds that were checked.
        Network::new(profile, self.means.clone()).expect("a network that can be drawn")
    }
}

/// The exact range of every stage's results, over all weights that can be
/// drawn.
fn drawn_ranges(
    profile: &Profile,
    posterior: Posterior,
    means: &[Weights],
    deviations: &[Deviations],
) -> Result<Vec<Range>, NetworkError> {
    profile.check_shapes()?;
    for found in [means.len(), deviations.len()] {
        let expected = profile.stages.len();
        if found != expected {
            return Err(NetworkError::LayerCount { expected, found });
        }
    }
    let layers = profile.stages.iter().zip(means.iter().zip(deviations));
    let (least, greatest): (Vec<Weights>, Vec<Weights>) = layers
        .map(|(stage, (means, deviations))| {
            extremes(stage, posterior.truncation, means, deviations)
                .map_err(|problem| problem.at(stage.place()))
        })
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    ranges(profile, &least, &greatest)
}

/// The least and the greatest value that each weight of a stage can be drawn
/// with: its mean minus and plus τσ.
fn extremes(
    stage: &Stage,
    truncation: u32,
    means: &Weights,
    deviations: &Deviations,
) -> Result<(Weights, Weights), Problem> {
    stage.linear.check_weights(means)?;
    let counts = [
        ("weights", means.weights.len(), deviations.weights.len()),
        ("biases", means.bias.len(), deviations.bias.len()),
    ];
    for (what, expected, found) in counts {
        if found != expected {
            return Err(Problem::DeviationCount {
                what,
                expected,
                found,
            });
        }
    }
    let overflowing = |what, bits| Problem::OverflowingDeviations {
        what,
        truncation,
        bits,
    };
    let shifted = |sign: i128| -> Result<Weights, Problem> {
        let reach = sign * i128::from(truncation);
        let weights = means
            .weights
            .iter()
            .zip(&deviations.weights)
            .map(|(&mean, &deviation)| i128::from(mean) + reach * i128::from(deviation))
            .map(|weight| {
                weight
                    .try_into()
                    .map_err(|_| overflowing("weights", i32::BITS))
            })
            .collect::<Result<_, _>>()?;
        let bias = means
            .bias
            .iter()
            .zip(&deviations.bias)
            .map(|(&mean, &deviation)| i128::from(mean) + reach * i128::from(deviation))
            .map(|bias| {
                bias.try_into()
                    .map_err(|_| overflowing("biases", i64::BITS))
            })
            .collect::<Result<_, _>>()?;
        Ok(Weights { weights, bias })
    };
    Ok((shifted(-1)?, shifted(1)?))
}
