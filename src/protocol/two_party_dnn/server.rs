//! The server: owns the weights. It takes public keys only; nothing on its path
//! can name a secret one.

use std::sync::{Arc, Mutex, PoisonError};

use rand::CryptoRng;

use crate::{
    encrypted::layer::Layer,
    network::{Network, Profile},
    paillier::{Ciphertexts, Counts, PublicKey, Rerandomiser},
};

use super::{Progress, ProtocolError, Query, Reply, SILENT, error::short, layouts::traffic};

/// A server of one network.
pub struct Server {
    profile: Profile,
    network: [u8; 32],
    layers: Vec<Layer>,
    whole_run: bool,
    rerandomiser: Mutex<Option<Kept>>,
}

/// The re-randomiser of the key that was served last.
struct Kept {
    key: PublicKey,
    uses: usize,
    rerandomiser: Arc<Rerandomiser>,
}

/// A reply, and what it cost.
pub struct Answer {
    /// What goes back to the client.
    pub reply: Reply,
    /// Products, squarings and inversions of the layer itself.
    pub counts: Counts,
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
            network: profile.fingerprint(),
            profile,
            layers,
            whole_run: false,
            rerandomiser: Mutex::new(None),
        }
    }

    /// Says that whole classifications will be served, so that tables are made
    /// once, for all layers, rather than for one.
    pub fn for_whole_run(mut self) -> Server {
        self.whole_run = true;
        self
    }

    /// The profile that clients of this server need.
    pub fn profile(&self) -> &Profile {
        &self.profile
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
        let known = self
            .rerandomiser
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|kept| kept.key.clone());
        Query::read(bytes, known.as_ref())
    }

    /// Evaluates one layer on a query.
    ///
    /// # Errors
    ///
    /// A query for another network or stage, with slots or ciphertexts that are
    /// not those of the layer, or with an invalid ciphertext.
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
        let kind = Query::KIND;
        let header = &query.header;
        if header.network != self.network {
            return Err(ProtocolError::OtherNetwork {
                kind: kind.name,
                expected: short(&self.network),
                found: short(&header.network),
            });
        }
        let key = &query.key;
        let layout = header.layout(kind, &self.profile, key.bits())?;
        let width = Ciphertexts::width(key);
        header.expect_ciphertexts(
            kind,
            &self.profile,
            (layout.inputs(), width),
            (query.ciphertexts(), width),
        )?;

        let layer = &self.layers[header.stage];
        let uses = if self.whole_run {
            traffic(&self.profile, key.bits(), header.images, header.packing)?[header.stage..]
                .iter()
                .map(|stage| stage.outputs)
                .sum()
        } else {
            layout.outputs()
        };
        let rerandomiser = self.rerandomiser(key, uses, rng);

        let at_once = layer.groups_at_once(&layout);
        let per_group = layout.inputs_per_group() * width;
        let mut counts = Counts::default();
        let mut rows = Vec::with_capacity(layout.outputs() * width);
        let mut first = 0;
        while first < layout.groups() {
            let groups = first..(first + at_once).min(layout.groups());
            let bytes = &query.rows[first * per_group..groups.end * per_group];
            let inputs = Ciphertexts::from_bytes(key, bytes)?;
            let (results, cost) = layer.evaluate(&layout, groups.clone(), &inputs)?;
            counts = counts + cost;
            rows.extend_from_slice(&rerandomiser.apply(&results, rng).to_bytes());
            first = groups.end;
            progress(first * layout.outputs_per_group(), layout.outputs());
        }
        Ok(Answer {
            reply: Reply {
                header: header.clone(),
                width,
                rows,
            },
            counts,
        })
    }

    /// The re-randomiser for `key`, its tables made for at least a quarter of
    /// `uses`. Every reply ciphertext gets randomness of its own in any case.
    fn rerandomiser(
        &self,
        key: &PublicKey,
        uses: usize,
        rng: &mut impl CryptoRng,
    ) -> Arc<Rerandomiser> {
        let mut kept = self
            .rerandomiser
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(kept) if kept.key == *key && kept.uses * 4 >= uses => {
                Arc::clone(&kept.rerandomiser)
            }
            _ => {
                let rerandomiser = Arc::new(Rerandomiser::new(key, uses, rng));
                *kept = Some(Kept {
                    key: key.clone(),
                    uses,
                    rerandomiser: Arc::clone(&rerandomiser),
                });
                rerandomiser
            }
        }
    }
}
