//! The server: owns the weights.

use rand::CryptoRng;

use crate::{
    encrypted::layer::Layer,
    network::{Network, Profile},
};

use super::{
    super::Protocol,
    super::exchange::{Responder, SILENT},
    Answer, Progress, ProtocolError, Query,
};

/// A server of one network.
pub struct Server {
    responder: Responder,
    layers: Vec<Layer>,
}

impl Server {
    /// A server of `network`.
    pub fn new(network: Network) -> Server {
        let (profile, weights) = network.into_parts();
        let layers = profile
            .stages
            .iter()
            .cloned()
            .zip(weights)
            .map(|(stage, weights)| Layer::new(stage, weights))
            .collect();
        Server {
            responder: Responder::new(Protocol::TwoPartyDnn, profile),
            layers,
        }
    }

    /// Says that whole classifications will be served, so that tables are made
    /// once, for all layers, rather than for one.
    pub fn for_whole_run(mut self) -> Server {
        self.responder = self.responder.for_whole_run();
        self
    }

    /// The profile that clients of this server need.
    pub fn profile(&self) -> &Profile {
        self.responder.profile()
    }

    /// The network's layers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
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

    /// Evaluates one layer on a query.
    ///
    /// # Errors
    ///
    /// A query of another protocol, for another network or stage, with slots or
    /// ciphertexts that are not those of the layer, or with an invalid
    /// ciphertext.
    pub fn answer(&self, query: &Query, rng: &mut impl CryptoRng) -> Result<Answer, ProtocolError> {
        self.answer_with(query, rng, SILENT)
    }

    /// [`Server::answer`] with progress, in result ciphertexts.
    ///
    /// # Errors
    ///
    /// As [`Server::answer`].
    pub fn answer_with(
        &self,
        query: &Query,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Answer, ProtocolError> {
        let layer = |stage: usize| &self.layers[stage];
        self.responder.answer(query, layer, rng, progress)
    }
}
