//! What a client can learn of the server's weights, measured.
//!
//! A client of these protocols decrypts every pre-activation of every layer.
//! The auditor plays such a client against the real server code, with real
//! messages, and writes down how much of the model it has in its hands after so
//! many queries. Three attacks, each in a file of its own:
//!
//! * [`chosen`]: plaintexts of the auditor's choice, many weights to a
//!   ciphertext. One message a layer gives every weight of a deterministic
//!   server exactly.
//! * [`natural`]: a client that only classifies images it has, and solves least
//!   squares for the weights of every layer.
//! * [`repeat`]: chosen queries over and over, to average out the noise of a
//!   server that draws its weights anew (Wong et al., IJCAI 2020, on BAYHENN).
//!
//! The attacks know a protocol only as a [`Service`]; [`score`] compares what
//! they recover with the truth, where the truth is at hand.

mod auditor;
pub mod chosen;
mod linear_system;
pub mod natural;
pub mod repeat;
pub mod score;

#[cfg(test)]
mod tests;

use crate::{
    network::{Linear, Profile, Weights},
    paillier::Plaintext,
    protocol::exchange::{MAX_IMAGES, Packing, ProtocolError, StageLayout},
};

pub use auditor::{Auditor, Exchange, InProcess, Serve};

/// Why an audit ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A message was not made, or was refused.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The server could not be reached, or said no.
    #[error("{0}")]
    Exchange(String),
    /// A reply to something else.
    #[error("the reply is not to the query at hand; the server mixes up its clients")]
    OtherQuery,
    /// The key is too short for a crafted query.
    #[error(
        "a key of {key_bits} bits has no room for one weight and the bias of layer {layer:?}; use \
         a longer key"
    )]
    KeyTooShort {
        /// The layer's name.
        layer: String,
        /// Bits of the key.
        key_bits: u32,
    },
    /// One group of crafted queries takes more images than a query may have.
    #[error(
        "a query that recovers layer {layer:?} takes {images} images for each of {draws} samples, \
         more than {MAX_IMAGES} in all; ask for fewer with --samples, or use a shorter key"
    )]
    TooManyImages {
        /// The layer's name.
        layer: String,
        /// Images of the smallest such query.
        images: usize,
        /// Sets of weights that answer it.
        draws: usize,
    },
}

/// A server as its client sees it, and how a client of its protocol asks.
pub trait Service {
    /// What the client knows of the network.
    fn profile(&self) -> &Profile;

    /// Bits of the client's key.
    fn key_bits(&self) -> u32;

    /// How many sets of weights answer one query side by side.
    fn draws(&self) -> usize;

    /// Where the values of `images` images stand in the ciphertexts of a stage.
    ///
    /// # Errors
    ///
    /// A key without room for a slot, or messages that would be too large.
    fn layout(
        &self,
        stage: usize,
        packing: Packing,
        images: usize,
    ) -> Result<StageLayout, ProtocolError>;

    /// Sends `plaintexts`, one for each input ciphertext of `layout`, as a
    /// query for `stage`; what the reply decrypts to, for each set of weights.
    ///
    /// # Errors
    ///
    /// Whatever keeps the client from a valid reply.
    fn ask(
        &mut self,
        stage: usize,
        layout: &StageLayout,
        plaintexts: &[Plaintext],
    ) -> Result<Vec<Vec<Plaintext>>, AuditError>;

    /// Classifies `images` as an honest client does. `see` is shown what the
    /// client decrypts on the way, stage after stage, the images of a stage in
    /// order; `progress` the part of a stage that is done, 0 to 1.
    ///
    /// # Errors
    ///
    /// Whatever keeps the client from a valid reply.
    fn classify(
        &mut self,
        images: &[Vec<i64>],
        see: &mut dyn FnMut(Seen<'_>),
        progress: &(dyn Fn(usize, f64) + Sync),
    ) -> Result<(), AuditError>;

    /// What has been sent so far, by stage.
    fn traffic(&self) -> &[Traffic];
}

/// The results of one layer for one image.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Which of the sets of weights, below [`Service::draws`].
    pub draw: usize,
    /// Which layer, from 0.
    pub stage: usize,
    /// Which image, from 0.
    pub image: usize,
    /// Its pre-activations.
    pub results: &'a [i64],
}

/// What an attack has sent to one layer, and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// Queries, each with its reply.
    pub messages: u64,
    /// Ciphertexts from client to server.
    pub ciphertexts_up: u64,
    /// Ciphertexts from server to client.
    pub ciphertexts_down: u64,
}

/// What the auditor believes of one layer's weights.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// In the order of [`Weights`].
    pub weights: Vec<f64>,
    /// One for each output channel.
    pub bias: Vec<f64>,
    /// For each tap, and last for the bias, whether the answers determine it.
    /// The same for every output channel, which all meet the same inputs.
    pub determined: Vec<bool>,
    /// Whether the rounded estimate explains every answer exactly: what the
    /// auditor can tell without knowing the truth. `None` where answers are
    /// not expected to agree.
    pub explains: Option<bool>,
    /// Standard deviations of the answers, in the order of the weights, then
    /// of the biases, where they were estimated.
    pub deviations: Option<Vec<f64>>,
}

impl Estimate {
    /// Rounded to integers; `None` if one leaves its type.
    pub fn rounded(&self) -> Option<Weights> {
        let integer = |&value: &f64| {
            let value = value.round();
            (value.abs() < 9e15).then_some(value as i64)
        };
        Some(Weights {
            weights: self
                .weights
                .iter()
                .map(|value| i32::try_from(integer(value)?).ok())
                .collect::<Option<_>>()?,
            bias: self.bias.iter().map(integer).collect::<Option<_>>()?,
        })
    }
}

/// One estimate for each layer.
pub type Model = Vec<Estimate>;

/// Reports the part of an attack that is done, 0 to 1.
pub type Fraction<'a> = &'a (dyn Fn(f64) + Sync);

/// Products of a weight and an input in one evaluation: what a stage's time is
/// about proportional to.
fn products(linear: &Linear) -> f64 {
    linear.taps() as f64 * linear.output_shape().len() as f64
}

/// Whether a curve has a point at `count` of `all`: at powers of two, and at
/// the end.
fn is_point(count: usize, all: usize) -> bool {
    count.is_power_of_two() || count == all
}
