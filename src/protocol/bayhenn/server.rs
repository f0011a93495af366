//! The server: owns the posterior, draws weights and forgets them.

use rand::CryptoRng;

use crate::{
    encrypted::{layer::Layer, plan::Method},
    network::{BayesianNetwork, Profile},
    paillier::Counts,
};

use super::{
    super::Protocol,
    super::exchange::{Responder, SILENT},
    Progress, ProtocolError, Query, Reply,
};

/// A server of one Bayesian network.
pub struct Server {
    responder: Responder,
    network: BayesianNetwork,
}

/// A reply, and what it cost.
pub struct Answer {
    /// What goes back to the client.
    pub reply: Reply,
    /// Products, squarings and inversions of the layers themselves.
    pub counts: Counts,
    /// How they were arranged, on each path.
    pub methods: Vec<Method>,
    /// Weights and biases that were drawn.
    pub drawn: u64,
}

impl Server {
    /// A server of `network`.
    pub fn new(network: BayesianNetwork) -> Server {
        Server {
            responder: Responder::new(Protocol::Bayhenn, network.profile().clone()),
            network,
        }
    }

    /// Says that whole classifications will be served, so that tables are made
    /// once, for all layers, rather than for one.
    pub fn for_whole_run(mut self) -> Server {
        self.responder = self.responder.for_whole_run();
        self
    }

    /// Has the re-randomiser's tables read whole for every look-up if `scans`, so
    /// that what is looked up does not show in the cache of a machine that is
    /// shared: slower.
    pub fn scanning_tables(mut self, scans: bool) -> Server {
        self.responder = self.responder.scanning_tables(scans);
        self
    }

    /// The profile that clients of this server need.
    pub fn profile(&self) -> &Profile {
        self.responder.profile()
    }

    /// Reads a query: [`Query::from_bytes`], except that a key which this server
    /// has just served is not checked again.
    ///
    /// # Errors
    ///
    /// As [`Query::from_bytes`].
    pub fn read(&self, bytes: &[u8]) -> Result<Query, ProtocolError> {
        self.responder.read(bytes)
    }

    /// Evaluates one layer on a query: for each of its paths, one after the
    /// other, with weights that [`BayesianNetwork::draw_stage`] takes from
    /// `draws`; nothing else does. Randomisers come from `rng`.
    ///
    /// Both have to be cryptographic generators that nobody else knows the
    /// state of. They are two so that what was drawn can be drawn again, where
    /// that is wanted: to compare with the clear.
    ///
    /// # Errors
    ///
    /// A query of another protocol, for another network or stage, with slots or
    /// ciphertexts that are not those of the layer, or with an invalid
    /// ciphertext.
    pub fn answer(
        &self,
        query: &Query,
        draws: &mut impl CryptoRng,
        rng: &mut impl CryptoRng,
    ) -> Result<Answer, ProtocolError> {
        self.answer_with(query, draws, rng, SILENT)
    }

    /// [`Server::answer`] with progress, in result ciphertexts.
    ///
    /// # Errors
    ///
    /// As [`Server::answer`].
    pub fn answer_with(
        &self,
        query: &Query,
        draws: &mut impl CryptoRng,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Answer, ProtocolError> {
        let mut drawn = 0;
        // Weights are new for every path, and gone with the layer behind it.
        let layer = |stage: usize| {
            let weights = self.network.draw_stage(stage, draws);
            drawn += (weights.weights.len() + weights.bias.len()) as u64;
            Box::new(Layer::new(self.profile().stages[stage].clone(), weights))
        };
        let answer = self.responder.answer(query, layer, rng, progress)?;
        Ok(Answer {
            reply: answer.reply,
            counts: answer.counts,
            methods: answer.methods,
            drawn,
        })
    }
}
