//! A network: profile and weights together.

use rayon::prelude::*;

use super::{NetworkError, Problem, Profile, Range, Weights, prepare};

/// A profile and the weights that belong to it, checked against each other:
/// the ideal functionality that every protocol must equal bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    profile: Profile,
    layers: Vec<Weights>,
}

impl Network {
    /// The network of `layers`, one for each stage; the ranges in `profile` are
    /// computed from them, whatever they were.
    ///
    /// # Errors
    ///
    /// What [`Profile::validate`] refuses, a Bayesian profile, weights that do
    /// not fit their layer, a value that may leave 64 bits.
    pub fn new(profile: Profile, layers: Vec<Weights>) -> Result<Network, NetworkError> {
        let ranges = fixed_ranges(&profile, &layers)?;
        let profile = profile.with_ranges(ranges)?;
        Ok(Network { profile, layers })
    }

    /// The network of `layers`, one for each stage, if the ranges in `profile`
    /// are those that follow from them.
    ///
    /// # Errors
    ///
    /// As [`Network::new`], and [`Problem::RangeMismatch`].
    pub fn check(profile: Profile, layers: Vec<Weights>) -> Result<Network, NetworkError> {
        profile.validate()?;
        profile.expect_ranges(fixed_ranges(&profile, &layers)?)?;
        Ok(Network { profile, layers })
    }

    /// What a client may know of the network.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The weights, one layer for each stage.
    pub fn layers(&self) -> &[Weights] {
        &self.layers
    }

    /// Profile and weights.
    pub fn into_parts(self) -> (Profile, Vec<Weights>) {
        (self.profile, self.layers)
    }

    /// Results of the linear layer of stage `stage` for `input`, both flat in
    /// the order channel, row, column.
    ///
    /// # Panics
    ///
    /// If there is no such stage, or `input` is not of its shape.
    pub fn pre_activations(&self, stage: usize, input: &[i64]) -> Vec<i64> {
        self.profile.stages[stage]
            .linear
            .forward(&self.layers[stage], input)
    }

    /// The integer logits for `input`.
    ///
    /// # Panics
    ///
    /// If [`Profile::check_input`] refuses the input.
    pub fn forward(&self, input: &[i64]) -> Vec<i64> {
        self.profile.walk(&self.layers, input, |_| {})
    }

    /// The pre-activations of every stage for `input`, first stage first.
    ///
    /// # Panics
    ///
    /// As [`Network::forward`].
    pub fn trace(&self, input: &[i64]) -> Vec<Vec<i64>> {
        let mut trace = Vec::with_capacity(self.layers.len());
        self.profile
            .walk(&self.layers, input, |results| trace.push(results.to_vec()));
        trace
    }

    /// The integer logits for each of `inputs`, on all cores.
    ///
    /// # Panics
    ///
    /// As [`Network::forward`].
    pub fn forward_all(&self, inputs: &[Vec<i64>]) -> Vec<Vec<i64>> {
        inputs.par_iter().map(|input| self.forward(input)).collect()
    }
}

impl Profile {
    /// The logits that the weights `layers` give for `input`; `see` is shown
    /// the pre-activations on the way.
    ///
    /// # Panics
    ///
    /// If [`Profile::check_input`] refuses the input, or `layers` are not of
    /// the profile's shapes and ranges.
    pub(super) fn walk(
        &self,
        layers: &[Weights],
        input: &[i64],
        mut see: impl FnMut(&[i64]),
    ) -> Vec<i64> {
        assert_eq!(layers.len(), self.stages.len(), "layers of weights");
        let mut values = self.prepared(input);
        for (stage, weights) in self.stages.iter().zip(layers) {
            let results = stage.linear.forward(weights, &values);
            see(&results);
            values = stage.finish(&results);
        }
        values
    }

    /// The profile with the ranges of its stages replaced, if it is valid then.
    pub(super) fn with_ranges(mut self, ranges: Vec<Range>) -> Result<Profile, NetworkError> {
        for (stage, range) in self.stages.iter_mut().zip(ranges) {
            stage.range = range;
        }
        self.validate()?;
        Ok(self)
    }

    /// Refuses any other ranges of the stages than `computed`.
    pub(super) fn expect_ranges(&self, computed: Vec<Range>) -> Result<(), NetworkError> {
        for (stage, computed) in self.stages.iter().zip(computed) {
            if stage.range != computed {
                let stated = stage.range;
                return Err(Problem::RangeMismatch { stated, computed }.at(stage.place()));
            }
        }
        Ok(())
    }
}

/// The exact range of every stage's results, from weights that are fixed.
fn fixed_ranges(profile: &Profile, layers: &[Weights]) -> Result<Vec<Range>, NetworkError> {
    if profile.posterior.is_some() {
        return Err(NetworkError::Bayesian);
    }
    ranges(profile, layers, layers)
}

/// The exact range of every stage's results, for weights from `least` to
/// `greatest`.
pub(super) fn ranges(
    profile: &Profile,
    least: &[Weights],
    greatest: &[Weights],
) -> Result<Vec<Range>, NetworkError> {
    profile.check_shapes()?;
    if least.len() != profile.stages.len() {
        return Err(NetworkError::LayerCount {
            expected: profile.stages.len(),
            found: least.len(),
        });
    }
    let inputs = vec![profile.input.range(); profile.input.shape.len()];
    let place = |step| profile.place_of_preparation(step);
    let mut inputs = prepare::bounds(&profile.prepare, profile.input.shape, inputs, place)?;
    let mut ranges = Vec::with_capacity(least.len());
    for (stage, (low, high)) in profile.stages.iter().zip(least.iter().zip(greatest)) {
        let at = |problem: Problem| problem.at(stage.place());
        stage.linear.check_weights(low).map_err(at)?;
        let results = stage
            .linear
            .bounds_between(low, high, &inputs)
            .map_err(at)?;
        // A checked layer has at least one output.
        let range = Range::of_all(&results).unwrap_or(Range::new(0, 0));
        ranges.push(range);
        inputs = stage.bounds(results)?;
    }
    Ok(ranges)
}

/// The index of the greatest logit, the lowest one on ties; 0 if there is none.
pub fn argmax(logits: &[i64]) -> usize {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = index;
        }
    }
    best
}

/// Probabilities of the classes: `e^{logit·scale}`, divided by their sum. For
/// people; every decision is made on the integers.
pub fn softmax(logits: &[i64], scale: f64) -> Vec<f64> {
    // Differences to the greatest logit are at most 0: no power overflows.
    let greatest = logits.iter().copied().max().unwrap_or(0) as f64;
    let powers: Vec<f64> = logits
        .iter()
        .map(|&logit| ((logit as f64 - greatest) * scale).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
