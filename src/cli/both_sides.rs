//! Client and server in one process, with nothing between them but the bytes
//! of their messages, and what every stage costs.
//!
//! `run` and `evaluate` know the protocols only by the trait [`BothSides`]: a
//! further protocol is one more file with an `impl` and one more arm in
//! [`both_sides`].

mod two_party_dnn;

use std::time::Instant;

use crate::{
    network::{Network, Profile},
    paillier::SecretKey,
    protocol::{Protocol, two_party_dnn::LayoutChoice},
    report::RunCost,
};

use super::{error::CliResult, random};

/// The two sides of a network, and what their exchanges have cost so far.
pub(crate) trait BothSides {
    /// What the client knows of the network.
    fn profile(&self) -> &Profile;

    /// Bits of the key.
    fn key_bits(&self) -> u32;

    /// What has been classified so far, and its cost.
    fn cost(&self) -> &RunCost;

    /// Classifies `images`; their integer logits. `step` is called with the
    /// number of stages that are done, after each of them.
    fn classify(
        &mut self,
        images: &[Vec<i64>],
        rng: &mut random::System,
        step: &mut dyn FnMut(usize),
    ) -> CliResult<Vec<Vec<i64>>>;
}

/// The two sides of `network` under `protocol`; the key is the client's.
pub(crate) fn both_sides(
    protocol: Protocol,
    network: Network,
    key: SecretKey,
    layout: LayoutChoice,
) -> Box<dyn BothSides> {
    match protocol {
        Protocol::TwoPartyDnn => Box::new(two_party_dnn::Sides::new(network, key, layout)),
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
