//! Client and server in one process, with nothing between them but the bytes
//! of their messages, and what every stage costs.
//!
//! `run` and `evaluate` know the protocols only by the trait [`BothSides`]: a
//! further protocol is one more file with an `impl` and one more arm in
//! [`both_sides`].

mod chunks;
mod exchange;
mod masked;

use std::{path::Path, time::Instant};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    file::folder::AnyNetwork,
    network::{NetworkError, Profile},
    paillier::SecretKey,
    protocol::{Protocol, exchange::LayoutChoice},
    report::{RunCost, count, duration},
};

pub(crate) use chunks::{Chunks, overlap_line};
pub(crate) use exchange::forward_paths;

use super::{
    ahead::Ahead,
    console::Console,
    error::{CliResult, Explain},
    network,
    options::Terms,
    random,
};

/// What images were classified as.
pub(crate) struct Classified {
    /// The integer logits: for several samples those of all images with the
    /// first, then with the second, and so on.
    pub(crate) logits: Vec<Vec<i64>>,
    /// Where the server's draws began, if it drew weights.
    seed: Option<Zeroizing<[u8; 32]>>,
}

/// The two sides of a network, and what their exchanges have cost so far.
pub(crate) trait BothSides: Send + Sync {
    /// What the client knows of the network.
    fn profile(&self) -> &Profile;

    /// Bits of the key.
    fn key_bits(&self) -> u32;

    /// What has been classified so far, and its cost.
    fn cost(&self) -> RunCost;

    /// Preparation and online phase apart, where a protocol has the two.
    fn phases(&self) -> Option<Phases> {
        None
    }

    /// What the clear gives for `images`, in the order of
    /// [`Classified::logits`], with the weights that were drawn when they were
    /// `classified`; `None` where nothing is drawn.
    fn drawn_in_the_clear(
        &self,
        images: &[Vec<i64>],
        classified: &Classified,
    ) -> Option<Vec<Vec<i64>>> {
        let _ = (images, classified);
        None
    }

    /// Whether several sets of images may be classified at the same time.
    fn overlaps(&self) -> bool {
        true
    }

    /// Into chunks of how many images, at most `most`, so many are best cut.
    fn best_chunk(&self, images: usize, most: usize) -> usize {
        most.min(images)
    }

    /// Has the server do what it can before it knows a query or a key, for chunks
    /// of so many images.
    fn prepare(&self, images: usize) {
        let _ = images;
    }

    /// Classifies `images`. `step` is called with the number of stages that are
    /// done, after each of them.
    fn classify(
        &self,
        images: &[Vec<i64>],
        rng: &mut random::System,
        step: &(dyn Fn(usize) + Sync),
    ) -> CliResult<Classified>;
}

/// The two sides of `network`, which is called `named`, under `terms`; the key
/// is the client's, and it comes by its randomisers as `ahead` says.
pub(crate) fn both_sides(
    terms: Terms,
    network: AnyNetwork,
    named: Option<&Path>,
    key: SecretKey,
    layout: LayoutChoice,
    ahead: &Ahead,
    console: &Console,
) -> CliResult<Box<dyn BothSides>> {
    Ok(match (terms.protocol, network) {
        (Protocol::TwoPartyDnn, AnyNetwork::Fixed(network)) => {
            let server = network::server(named, network, console);
            Box::new(exchange::Sides::fixed(server, key, layout, ahead))
        }
        (Protocol::Bayhenn, AnyNetwork::Bayesian(network)) => {
            let sides = exchange::Sides::drawn(network, key, layout, terms.samples, ahead);
            Box::new(sides.explain()?)
        }
        (Protocol::Masked, AnyNetwork::Fixed(network)) => {
            Box::new(masked::Sides::new(network, key)?)
        }
        // Whoever chose the terms has looked at the network.
        (_, AnyNetwork::Fixed(_)) => return Err(NetworkError::NotBayesian).explain(),
        (_, AnyNetwork::Bayesian(_)) => return Err(NetworkError::Bayesian).explain(),
    })
}

/// What the two phases of a protocol took so far, both sides together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Phases {
    /// Before the inputs are known, in milliseconds.
    pub(crate) preparation_ms: f64,
    /// From the inputs on, in milliseconds.
    pub(crate) online_ms: f64,
}

impl Phases {
    /// Times and predictions an hour of `count` predictions.
    pub(crate) fn json(&self, count: usize) -> Value {
        let hourly = |ms| count as f64 * 3.6e6 / ms;
        json!({
            "preparation_ms": self.preparation_ms,
            "online_ms": self.online_ms,
            "preparation_per_hour": hourly(self.preparation_ms),
            "online_per_hour": hourly(self.online_ms),
            "both_per_hour": hourly(self.preparation_ms + self.online_ms),
        })
    }

    /// The same as lines of text.
    pub(crate) fn lines(&self, predictions: usize) -> String {
        let line = |name: &str, ms: f64| {
            let hourly = count((predictions as f64 * 3.6e6 / ms) as u64);
            format!("{name} {}, {hourly} predictions an hour\n", duration(ms))
        };
        line("preparation", self.preparation_ms)
            + &line("online", self.online_ms)
            + &line("both", self.preparation_ms + self.online_ms)
    }
}

/// Measures consecutive pieces of work.
struct Clock(Instant);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Milliseconds since the last lap or the start.
    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let elapsed = now - self.0;
        self.0 = now;
        elapsed.as_secs_f64() * 1e3
    }
}
