//! What can be wrong with a network, a profile or an input.

use thiserror::Error;

use super::{Range, Shape};

/// A network, a profile or an input that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// The profile is no JSON, or a field is missing, unknown or of a wrong
    /// type.
    #[error("the profile cannot be read: {0}; expected the JSON that this program writes")]
    Json(String),
    /// The JSON is something else than a profile.
    #[error("the file is not a network profile: expected format {expected:?}, found {found:?}")]
    Format {
        /// The format that a profile states.
        expected: &'static str,
        /// The format that was stated.
        found: String,
    },
    /// The profile has a version that this program does not know.
    #[error(
        "the profile has version {found}, expected {expected}; use a version of this program that knows it"
    )]
    Version {
        /// The version that this program reads.
        expected: u32,
        /// The version that was stated.
        found: u64,
    },
    /// The profile as a whole contradicts itself.
    #[error("the profile is inconsistent: {0}")]
    Profile(String),
    /// One layer is wrong.
    #[error("{place}: {problem}")]
    Layer {
        /// `stage NAME`, or `stage NAME, step K (op)`; steps count from 1.
        place: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The profile and the weights have different numbers of layers.
    #[error("the profile has {expected} stages but there are weights for {found}")]
    LayerCount {
        /// Stages of the profile.
        expected: usize,
        /// Layers with weights.
        found: usize,
    },
    /// A Bayesian profile where one of fixed weights is needed.
    #[error(
        "the network is Bayesian (its profile has a posterior), expected one of fixed weights; use it with --protocol bayhenn"
    )]
    Bayesian,
    /// A profile of fixed weights where a Bayesian one is needed.
    #[error(
        "a model without deviations: the profile has no posterior, expected a Bayesian network, as pdnn train --bayesian makes one"
    )]
    NotBayesian,
    /// An input has the wrong number of elements.
    #[error("the input has {found} values, expected {expected} ({shape})")]
    InputLength {
        /// Elements of the network's input.
        expected: usize,
        /// Elements of what was given.
        found: usize,
        /// Shape of the network's input.
        shape: Shape,
    },
    /// A value of an input lies outside the range of the profile.
    ///
    /// The value itself is the client's secret, so only its place is told.
    #[error("value {index} of the input lies outside {range}, the range of this network's inputs")]
    InputValue {
        /// Flat index of the value.
        index: usize,
        /// The range of the profile.
        range: Range,
    },
}

/// What is wrong with a layer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// A layer does not fit behind the one before it.
    #[error("expected an input of {expected}, found {found} from the layer before")]
    InputShape {
        /// What the layer is made for.
        expected: Shape,
        /// What arrives.
        found: Shape,
    },
    /// A tensor has an extent of 0.
    #[error("{what} is 0, expected at least 1")]
    Zero {
        /// Which number.
        what: &'static str,
    },
    /// A kernel or pooling window does not fit into the (padded) input.
    #[error("a window of {height}x{width} is larger than its input of {found}, padding included")]
    WindowTooLarge {
        /// Rows of the window.
        height: usize,
        /// Columns of the window.
        width: usize,
        /// The padded input.
        found: Shape,
    },
    /// A size that no sensible network has.
    #[error("{what} would be {found}, the limit is {limit}")]
    TooLarge {
        /// Which size.
        what: &'static str,
        /// Its value; `usize::MAX` stands for anything beyond.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Neither one multiplier nor one a channel.
    #[error("{found} multipliers for {channels} channels, expected 1 or {channels}")]
    MultiplierCount {
        /// Channels of the tensor.
        channels: usize,
        /// Multipliers that there are.
        found: usize,
    },
    /// A shift by 0 or by more than 62 bits.
    #[error("a shift by {0} bits, expected 1 to 62")]
    Shift(u32),
    /// A range or clamp whose minimum is above its maximum.
    #[error("{what} runs from {min} to {max}, expected the smaller number first")]
    Inverted {
        /// Which range.
        what: &'static str,
        /// Its minimum.
        min: i64,
        /// Its maximum.
        max: i64,
    },
    /// A look-up table that does not have an entry for every value.
    #[error("the table covers {covered}, but values of {needed} arrive")]
    Table {
        /// What the table has entries for.
        covered: Range,
        /// What the range analysis says arrives.
        needed: Range,
    },
    /// A look-up table without entries, or reaching past 64 bits.
    #[error("the table has {entries} entries from {min}, expected at least 1 within 64 bits")]
    TableExtent {
        /// Entries of the table.
        entries: usize,
        /// Argument of the first.
        min: i64,
    },
    /// A value may leave the range of 64-bit integers.
    #[error("{what} may need more than 64 bits; use smaller weights, multipliers or inputs")]
    Overflow {
        /// Which value.
        what: &'static str,
    },
    /// The number of weights does not match the layer.
    #[error("{found} weights, expected {expected}")]
    WeightCount {
        /// Weights of the layer.
        expected: usize,
        /// Weights that there are.
        found: usize,
    },
    /// The number of biases does not match the layer.
    #[error("{found} biases, expected {expected}")]
    BiasCount {
        /// Output channels of the layer.
        expected: usize,
        /// Biases that there are.
        found: usize,
    },
    /// The number of standard deviations does not match the layer.
    #[error("{found} standard deviations of {what}, expected {expected}")]
    DeviationCount {
        /// Weights or biases.
        what: &'static str,
        /// Weights or biases of the layer.
        expected: usize,
        /// Deviations that there are.
        found: usize,
    },
    /// A drawn weight or bias might not fit its type.
    #[error(
        "overflowing deviations: {what} up to {truncation} standard deviations from their means may need more than {bits} bits"
    )]
    OverflowingDeviations {
        /// Weights or biases.
        what: &'static str,
        /// Where the profile truncates.
        truncation: u32,
        /// Bits of the type.
        bits: u32,
    },
    /// The range in the profile is not the one that the weights give.
    #[error(
        "the profile says that values run over {stated}, but the weights give {computed}; take profile and model from the same export"
    )]
    RangeMismatch {
        /// What the profile says.
        stated: Range,
        /// What follows from the weights.
        computed: Range,
    },
}

impl Problem {
    /// The problem, at the layer that has it.
    pub(super) fn at(self, place: impl Into<String>) -> NetworkError {
        NetworkError::Layer {
            place: place.into(),
            problem: self,
        }
    }
}
