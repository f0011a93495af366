//! The server: owns the weights.

use rand::CryptoRng;
use rayon::prelude::*;

use crate::{
    encrypted::{
        layer::Layer,
        layout::{Packing, StageLayout},
        plan::Method,
    },
    network::{Network, Profile},
    paillier::Counts,
};

use super::{
    super::Protocol,
    super::exchange::{Responder, SILENT, choose, stage_layout},
    Answer, LayoutChoice, MAX_IMAGES, Progress, ProtocolError, Query, StageTraffic,
};

/// A server of one network.
pub struct Server {
    responder: Responder,
    layers: Vec<Layer>,
}

/// What a stage of a query takes, known from the weights before there is one.
#[derive(Clone, Debug)]
pub struct StageWork {
    /// How the server arranges its products.
    pub method: Method,
    /// Its products, squarings and inversions.
    pub counts: Counts,
    /// The ciphertexts both ways.
    pub traffic: StageTraffic,
    /// Values that a ciphertext has room for.
    pub slots: usize,
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

    /// Has the re-randomiser's tables read whole for every look-up if `scans`, so
    /// that what is looked up does not show in the cache of a machine that is
    /// shared: slower.
    pub fn scanning_tables(mut self, scans: bool) -> Server {
        self.responder = self.responder.scanning_tables(scans);
        self
    }

    /// Compiles the plans for queries of so many images under keys of `key_bits`,
    /// packed as their client would, and takes the memory to run them in: what a
    /// server that knows these numbers can do before there is a query. Nothing is
    /// different without it, but the first query waits for it.
    ///
    /// # Errors
    ///
    /// If there is no layout for one of the stages.
    pub fn prepare(
        &self,
        key_bits: u32,
        images: usize,
        layout: LayoutChoice,
    ) -> Result<(), ProtocolError> {
        let packing = choose(self.profile(), key_bits, images, 1, layout)?;
        (0..self.layers.len())
            .into_par_iter()
            .try_for_each(|stage| {
                let layout = self.layout(stage, key_bits, images, packing)?;
                self.layers[stage].prepare(&layout, key_bits);
                Ok(())
            })
    }

    /// The profile that clients of this server need.
    pub fn profile(&self) -> &Profile {
        self.responder.profile()
    }

    /// The network's layers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    pub(super) fn layers_mut(&mut self) -> &mut [Layer] {
        &mut self.layers
    }

    /// The methods that were compared for every stage of a query for `images`
    /// images, quickest first, each with what it takes for one group of
    /// ciphertexts.
    ///
    /// # Errors
    ///
    /// If there is no layout for one of the stages.
    pub fn methods(
        &self,
        key_bits: u32,
        images: usize,
        packing: Packing,
    ) -> Result<Vec<Vec<(Method, Counts)>>, ProtocolError> {
        let of_stage = |(stage, layer): (usize, &Layer)| {
            let layout = self.layout(stage, key_bits, images, packing)?;
            Ok(layer.compare(&layout))
        };
        self.layers.iter().enumerate().map(of_stage).collect()
    }

    /// What every stage of a query for `images` images takes, exactly.
    ///
    /// # Errors
    ///
    /// If there is no layout for one of the stages.
    pub fn work(
        &self,
        key_bits: u32,
        images: usize,
        packing: Packing,
    ) -> Result<Vec<StageWork>, ProtocolError> {
        let of_stage = |(stage, layer): (usize, &Layer)| {
            let layout = self.layout(stage, key_bits, images, packing)?;
            let (method, counts) = layer.counts(&layout);
            Ok(StageWork {
                method,
                counts,
                traffic: StageTraffic {
                    inputs: layout.inputs(),
                    outputs: layout.outputs(),
                },
                slots: layout.slots().slots,
            })
        };
        self.layers.iter().enumerate().map(of_stage).collect()
    }

    /// Images of which every layer's ciphertexts have room for a value: the
    /// slots of the widest range.
    ///
    /// # Errors
    ///
    /// If there is no layout for one of the stages.
    pub fn room(&self, key_bits: u32) -> Result<usize, ProtocolError> {
        let mut room = MAX_IMAGES;
        for stage in 0..self.layers.len() {
            let layout = self.layout(stage, key_bits, 1, Packing::Throughput)?;
            room = room.min(layout.slots().slots);
        }
        Ok(room)
    }

    fn layout(
        &self,
        stage: usize,
        key_bits: u32,
        images: usize,
        packing: Packing,
    ) -> Result<StageLayout, ProtocolError> {
        stage_layout(self.profile(), stage, key_bits, images, 1, packing)
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

    /// Reads a query and evaluates its layer: [`Server::read`] and
    /// [`Server::answer`], with the checks of the key inside beside the
    /// evaluation.
    ///
    /// # Errors
    ///
    /// As the two of them.
    pub fn respond(&self, bytes: &[u8], rng: &mut impl CryptoRng) -> Result<Answer, ProtocolError> {
        self.respond_with(bytes, rng, SILENT)
    }

    /// [`Server::respond`] with progress, in result ciphertexts.
    ///
    /// # Errors
    ///
    /// As [`Server::respond`].
    pub fn respond_with(
        &self,
        bytes: &[u8],
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Answer, ProtocolError> {
        let layer = |stage: usize| &self.layers[stage];
        self.responder.respond(bytes, layer, rng, progress)
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
