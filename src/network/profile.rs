//! The profile: everything about a network that a client must know, and no
//! weight.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{Feature, Linear, NetworkError, Op, Range, Shape, prepare};

/// What the field `format` of a profile says.
pub const PROFILE_FORMAT: &str = "pdnn-profile";
/// The version of the profile's format that this program reads and writes.
pub const PROFILE_VERSION: u32 = 1;

/// A network without its weights: shapes, the operations between the linear
/// layers, the range of each layer's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Always [`PROFILE_FORMAT`].
    pub format: String,
    /// Always [`PROFILE_VERSION`].
    pub version: u32,
    /// The network's name, for people.
    pub name: String,
    /// What the network takes.
    pub input: InputSpec,
    /// What the client does with an input before the first layer, in this
    /// order; empty, and absent from the JSON, if the layer takes it as it is.
    ///
    /// Here, and behind a layer as the last of [`Stage::then`], stand *box
    /// sums*: sums of neighbours, [`Op::SumPool`] at stride 1. Pooling by means
    /// before the activation costs a prediction the pre-activations that are
    /// pooled away: each is blinded, sent and decrypted. But a sum of the
    /// results of a convolution at s×s neighbouring positions is the same
    /// kernel's result on the sums of its inputs. So a convolution at stride 1
    /// and s×s sum pooling are one convolution at stride s on box sums of s×s,
    /// with the bias s² times, to the last integer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepare: Vec<Op>,
    /// Linear layers, each with what the client does behind it.
    pub stages: Vec<Stage>,
    /// The classes: one label for each logit.
    pub labels: Vec<String>,
    /// A logit as a real number is its integer times this. Kept in single
    /// precision, whose shortest decimal form every reader turns back into the
    /// same number.
    #[serde(serialize_with = "write_scale", deserialize_with = "read_scale")]
    pub logit_scale: f64,
    /// How weights are drawn, if the network is Bayesian: if they are drawn anew
    /// for every query. `None` for a network of fixed weights, and then absent
    /// from the JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posterior: Option<Posterior>,
    /// The columns of a table that the network takes, one for each element of
    /// the input; empty, and absent from the JSON, if it takes images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
}

/// The distribution of a Bayesian network's weights, as far as a client knows
/// it. Means and deviations are the server's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posterior {
    /// No weight is drawn further than this many standard deviations from its
    /// mean: 1 to [`Posterior::MAX_TRUNCATION`].
    pub truncation: u32,
}

impl Posterior {
    /// The greatest truncation. What a Gaussian has beyond 8 deviations is
    /// below 2^-49.
    pub const MAX_TRUNCATION: u32 = 8;
}

/// What a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Shape of the input.
    pub shape: Shape,
    /// Least value of an element.
    pub min: i64,
    /// Greatest value of an element.
    pub max: i64,
}

/// A linear layer, and what the client does with its results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name: letters, digits, `_` and `-`; unique within the network.
    pub name: String,
    /// The layer that the server evaluates.
    pub linear: Linear,
    /// Exact bounds of the layer's results (pre-activations), over all of its
    /// outputs, for every input within the profile's range.
    pub range: Range,
    /// What the client does with the results, in this order.
    pub then: Vec<Op>,
}

/// Writes the scale in single precision.
fn write_scale<S: Serializer>(scale: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(*scale as f32)
}

/// Reads the scale in single precision: JSON readers differ in the last bit of
/// a double.
fn read_scale<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    f64::deserialize(deserializer).map(|scale| f64::from(scale as f32))
}

impl InputSpec {
    /// The range of every element.
    pub const fn range(&self) -> Range {
        Range::new(self.min, self.max)
    }
}

impl Stage {
    /// Shape of what the stage's operations make of the layer's results.
    ///
    /// # Panics
    ///
    /// If the profile that the stage is of does not pass
    /// [`Profile::validate`].
    pub fn output_shape(&self) -> Shape {
        self.then
            .iter()
            .fold(self.linear.output_shape(), |shape, op| {
                op.shape_behind(shape)
            })
    }

    /// Applies the stage's operations to the layer's results, both flat in the
    /// order channel, row, column.
    ///
    /// # Panics
    ///
    /// If the number of results is not the layer's, if one lies outside
    /// [`Stage::range`] (whoever takes results from elsewhere checks that
    /// first), or if the profile does not pass [`Profile::validate`].
    pub fn finish(&self, pre_activations: &[i64]) -> Vec<i64> {
        let shape = self.linear.output_shape();
        assert_eq!(pre_activations.len(), shape.len(), "number of results");
        assert!(
            pre_activations.iter().all(|&v| self.range.contains(v)),
            "a result of stage {} lies outside its range",
            self.name
        );
        prepare::apply(&self.then, shape, pre_activations.to_vec())
    }

    /// How an error speaks of this stage.
    pub(super) fn place(&self) -> String {
        format!("stage {}", self.name)
    }

    /// How an error speaks of an operation of this stage.
    pub(super) fn place_of(&self, step: usize) -> String {
        let op = self.then[step].name();
        format!("stage {}, step {} ({op})", self.name, step + 1)
    }
}

impl Profile {
    /// A profile of the current format and version, of a network of fixed
    /// weights.
    pub fn new(
        name: impl Into<String>,
        input: InputSpec,
        stages: Vec<Stage>,
        labels: Vec<String>,
        logit_scale: f64,
    ) -> Profile {
        Profile {
            format: PROFILE_FORMAT.to_owned(),
            version: PROFILE_VERSION,
            name: name.into(),
            input,
            prepare: Vec::new(),
            stages,
            labels,
            logit_scale: f64::from(logit_scale as f32),
            posterior: None,
            features: Vec::new(),
        }
    }

    /// The same for a network that takes rows of a table with these columns.
    pub fn with_features(self, features: Vec<Feature>) -> Profile {
        Profile { features, ..self }
    }

    /// The same for a network whose client does this before the first layer.
    pub fn with_preparation(self, prepare: Vec<Op>) -> Profile {
        Profile { prepare, ..self }
    }

    /// Reads a profile and validates it.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Json`], [`NetworkError::Format`],
    /// [`NetworkError::Version`], or whatever [`Profile::validate`] finds.
    pub fn from_json(text: &str) -> Result<Profile, NetworkError> {
        /// What every version of the format has, so that a profile of another
        /// version is told from a damaged one.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u64,
        }
        let head: Head = serde_json::from_str(text).map_err(json_error)?;
        if head.format != PROFILE_FORMAT {
            return Err(NetworkError::Format {
                expected: PROFILE_FORMAT,
                found: head.format.chars().take(64).collect(),
            });
        }
        if head.version != u64::from(PROFILE_VERSION) {
            return Err(NetworkError::Version {
                expected: PROFILE_VERSION,
                found: head.version,
            });
        }
        let profile: Profile = serde_json::from_str(text).map_err(json_error)?;
        profile.validate()?;
        Ok(profile)
    }

    /// The profile as JSON for a file: indented, a line feed at the end.
    pub fn to_json(&self) -> String {
        // Strings, integers and a float that is written by hand: nothing here
        // can fail to serialise.
        let mut text = serde_json::to_string_pretty(self).expect("a profile is plain data");
        text.push('\n');
        text
    }

    /// The canonical JSON: no white space, fields in the order of the types'
    /// declarations.
    pub fn canonical_json(&self) -> String {
        serde_json::to_string(self).expect("a profile is plain data")
    }

    /// SHA-256 of the canonical JSON. It ties a model, a query and a reply to
    /// this very profile.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.canonical_json()).into()
    }

    /// The classes: logits that the network gives.
    pub fn classes(&self) -> usize {
        self.labels.len()
    }

    /// What the client does with the results of stage `stage`:
    /// [`Stage::finish`].
    ///
    /// # Panics
    ///
    /// As [`Stage::finish`], or if there is no such stage.
    pub fn finish(&self, stage: usize, pre_activations: &[i64]) -> Vec<i64> {
        self.stages[stage].finish(pre_activations)
    }

    /// The range of what stage `stage` takes: of what the client makes of the
    /// network's input, or of the results of the stage before.
    ///
    /// # Panics
    ///
    /// If there is no such stage, or the profile does not pass
    /// [`Profile::validate`].
    pub fn input_range(&self, stage: usize) -> Range {
        let (range, ops) = match stage.checked_sub(1) {
            None => (self.input.range(), &self.prepare),
            Some(before) => (self.stages[before].range, &self.stages[before].then),
        };
        ops.iter()
            .fold(range, |range, op| match op.uniform_bounds(range) {
                Ok(range) => range,
                Err(problem) => panic!("{problem}"),
            })
    }

    /// Checks the length and every value of an input.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InputLength`] or [`NetworkError::InputValue`].
    pub fn check_input(&self, input: &[i64]) -> Result<(), NetworkError> {
        let shape = self.input.shape;
        if input.len() != shape.len() {
            return Err(NetworkError::InputLength {
                expected: shape.len(),
                found: input.len(),
                shape,
            });
        }
        let range = self.input.range();
        match input.iter().position(|&value| !range.contains(value)) {
            Some(index) => Err(NetworkError::InputValue { index, range }),
            None => Ok(()),
        }
    }
}

/// What serde says, on one line of bounded length: it quotes the file.
fn json_error(error: serde_json::Error) -> NetworkError {
    let text: String = error
        .to_string()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    NetworkError::Json(text)
}
