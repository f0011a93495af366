//! The server: owns the network.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rand::CryptoRng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    encrypted::layer::Layer,
    file::key::public_to_json,
    mpc::expand::Seed,
    network::{Network, Profile, Weights},
    paillier::{Ciphertexts, Counts, Plaintext, PublicKey, Rerandomiser, pack_unsigned},
};

use super::{
    Answer, MaskedError, Progress, Query, Reply, Request, Width,
    answer::OnlineLayer,
    batch::{expect_key, expect_network},
    fields::slots_to_text,
    material::ServerMaterial,
    prepare::covers,
    store::Store,
    widths::{cover, layout, slot_bits, widths},
};

/// A server of one network, with one store.
pub struct Server {
    profile: Profile,
    network: [u8; 32],
    /// Digest of the weights.
    weights: [u8; 32],
    widths: Vec<Width>,
    /// Without biases: those are added online.
    layers: Vec<Layer>,
    norms: Vec<u64>,
    online: Vec<OnlineLayer>,
    store: Store<ServerMaterial>,
    rerandomiser: Mutex<Option<(PublicKey, usize, Arc<Rerandomiser>)>>,
}

/// An answer to a request, and what it cost.
pub struct Prepared {
    /// What goes back to the client.
    pub answer: Answer,
    /// Products, squarings and inversions of the layers.
    pub counts: Counts,
}

impl Server {
    /// A server of `network` with the store in `folder`; with `create` it is
    /// made if it is not there.
    ///
    /// # Errors
    ///
    /// No such folder, or one that cannot be made.
    pub fn new(network: Network, folder: &Path, create: bool) -> Result<Server, MaskedError> {
        let (profile, weights) = network.into_parts();
        Server::of(profile, weights, folder, create)
    }

    /// The same for a profile whose ranges may be wider than the weights need,
    /// so that they say nothing about the weights.
    ///
    /// # Errors
    ///
    /// As [`Server::new`].
    ///
    /// # Panics
    ///
    /// If the weights are not those of the profile's layers.
    pub(in crate::protocol) fn of(
        profile: Profile,
        weights: Vec<Weights>,
        folder: &Path,
        create: bool,
    ) -> Result<Server, MaskedError> {
        let store = Store::open(folder, create)?;
        let widths = widths(&profile);
        let mut digest = Sha256::new();
        for weight in weights.iter().flat_map(|layer| &layer.weights) {
            digest.update(weight.to_le_bytes());
        }
        let stages = profile.stages.iter().zip(weights);
        let (mut layers, mut norms, mut online) = (Vec::new(), Vec::new(), Vec::new());
        for ((stage, weights), width) in stages.zip(&widths) {
            online.push(OnlineLayer::new(&stage.linear, &weights, width));
            norms.push(norm(&weights, stage.linear.taps()));
            let unbiased = Weights {
                bias: vec![0; weights.bias.len()],
                ..weights
            };
            layers.push(Layer::new(stage.clone(), unbiased));
        }
        Ok(Server {
            network: profile.fingerprint(),
            profile,
            weights: digest.finalize().into(),
            widths,
            layers,
            norms,
            online,
            store,
            rerandomiser: Mutex::default(),
        })
    }

    /// The profile that clients of this server need.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// How many bits wider than the profile demands a client's slots must be:
    /// nearly always 0.
    pub fn extra_bits(&self, key_bits: u32) -> u32 {
        let missing = self.widths.iter().zip(&self.norms).map(|(width, &norm)| {
            let needed = slot_bits(width.ring, norm);
            let found = width.slots(key_bits, 0).map_or(needed, |slots| slots.bits);
            if found >= needed {
                return 0;
            }
            needed - width.least_bits()
        });
        missing.max().unwrap_or(0)
    }

    /// Answers a request. What the online phase needs is in the store when this
    /// returns. The same request again, after its answer was lost, is answered
    /// with the same masks.
    ///
    /// # Errors
    ///
    /// A request for another network, with slots that do not hide the weights,
    /// with ciphertexts that are not those of the layers or invalid; a batch
    /// that was answered for another request, or is used up.
    pub fn prepare(
        &self,
        request: &Request,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Prepared, MaskedError> {
        let batch = &request.batch;
        batch.expect_network(Request::KIND.name, &self.network)?;
        request.expect(&self.profile)?;
        let mut hiding = Vec::new();
        for (stage, (width, &norm)) in self.widths.iter().zip(&self.norms).enumerate() {
            let found = request.slots[stage].bits;
            let needed = slot_bits(width.ring, norm);
            let narrow = || MaskedError::Narrow {
                layer: self.profile.stages[stage].name.clone(),
                found,
                needed,
                extra: needed.saturating_sub(width.least_bits()),
            };
            hiding.push(cover(width.ring, norm, found).ok_or_else(narrow)?);
        }
        // All that decides where the masks of a seed go and what they hide: other
        // slots or another matrix under the same seed would show the seed's masks.
        let mut hasher = Sha256::new();
        hasher.update(self.weights);
        hasher.update(slots_to_text(&request.slots));
        hasher.update(public_to_json(&request.key));
        request.layers.iter().for_each(|rows| hasher.update(rows));
        let digest: [u8; 32] = hasher.finalize().into();
        let known = self.store.find(batch.id)?;
        if let Some(known) = &known
            && (known.request != digest || known.batch != *batch)
        {
            return Err(self.store.exists(batch.id));
        }
        let seed = match &known {
            Some(known) => known.seed.clone(),
            None => Seed::random(rng),
        };

        let width = Ciphertexts::width(&request.key);
        let layouts: Vec<_> = (0..self.layers.len())
            .map(|stage| layout(&self.profile, stage, request.slots[stage], batch.count))
            .collect();
        let all: usize = layouts.iter().map(|layout| layout.outputs()).sum();
        let rerandomiser = self.rerandomiser(&request.key, all, rng);
        let (mut done, mut counts, mut layers) = (0, Counts::default(), Vec::new());
        for (stage, layout) in layouts.iter().enumerate() {
            let layer = &self.layers[stage];
            let at_once = layer.groups_at_once(layout);
            let per_group = layout.inputs_per_group() * width;
            let mut rows = Vec::with_capacity(layout.outputs() * width);
            let mut first = 0;
            while first < layout.groups() {
                let groups = first..(first + at_once).min(layout.groups());
                let bytes = &request.layers[stage][first * per_group..groups.end * per_group];
                let inputs = Ciphertexts::from_bytes(&request.key, bytes)?;
                let (results, cost) = layer.evaluate(layout, groups.clone(), &inputs)?;
                counts = counts + cost;
                let masks: Vec<Plaintext> = groups
                    .clone()
                    .flat_map(|group| {
                        let images = layout.images_of(group);
                        let of = &self.widths[stage];
                        let digits = covers(&seed, stage, of, hiding[stage], images);
                        let slots = layout.slots();
                        (0..of.outputs)
                            .into_par_iter()
                            .map(|output| {
                                let of_slots: Zeroizing<Vec<u128>> =
                                    Zeroizing::new(digits.iter().map(|d| d[output]).collect());
                                pack_unsigned(&of_slots, slots)
                            })
                            .collect::<Vec<_>>()
                    })
                    .collect();
                let masked = results.add_plain(&masks);
                rows.extend_from_slice(&rerandomiser.apply(&masked, rng).to_bytes());
                done += masked.len();
                first = groups.end;
                progress(done, all);
            }
            layers.push(rows);
        }
        if known.is_none() {
            let material = ServerMaterial {
                batch: batch.clone(),
                seed,
                request: digest,
            };
            self.store.add(material, self.layers.len())?;
        }
        Ok(Prepared {
            answer: Answer {
                batch: batch.clone(),
                layers,
                width,
            },
            counts,
        })
    }

    /// The re-randomiser for `key`, its tables made for at least a quarter of
    /// `uses`. Every ciphertext gets randomness of its own in any case.
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
            Some((of, for_uses, made)) if of == key && for_uses * 4 >= uses => Arc::clone(made),
            _ => {
                let made = Arc::new(Rerandomiser::new(key, uses, rng));
                *kept = Some((key.clone(), uses, Arc::clone(&made)));
                made
            }
        }
    }

    /// Evaluates one layer on a query: v = W z + b − s for every prediction. The
    /// places are marked used before anything is computed.
    ///
    /// # Errors
    ///
    /// A query for another key or network, with another number of elements than
    /// the layer has; places that this store does not have, or that were used
    /// before.
    pub fn answer(&self, query: &Query) -> Result<Reply, MaskedError> {
        let kind = Query::KIND.name;
        let header = &query.header;
        expect_network(kind, &self.network, &header.network)?;
        let stage = header.stage;
        header.expect(kind, &self.profile, &query.elements, |width| width.inputs)?;
        let mut seeds = Vec::with_capacity(header.images);
        for segment in &header.segments {
            let material = self.store.material(segment.batch)?;
            expect_network(
                ServerMaterial::KIND.name,
                &self.network,
                &material.batch.network,
            )?;
            expect_key(kind, material.batch.key, header.key)?;
            let indices = segment.indices.clone();
            seeds.extend(indices.map(|index| (Arc::clone(&material), index)));
        }
        self.store.mark(stage, &header.segments)?;
        let of = |image: usize| {
            let (material, index) = &seeds[image];
            (&material.seed, *index)
        };
        let elements = self.online[stage].answer(stage, header.images, &query.elements, of);
        if stage + 1 == self.layers.len() {
            self.store.retire(stage, &header.segments)?;
        }
        Ok(Reply {
            header: header.clone(),
            elements,
        })
    }
}

/// The largest L1 norm of an output channel's weights.
fn norm(weights: &Weights, taps: usize) -> u64 {
    let of_channel = |channel: &[i32]| -> u64 {
        channel
            .iter()
            .map(|weight| u64::from(weight.unsigned_abs()))
            .sum()
    };
    let norms = weights.weights.chunks(taps).map(of_channel);
    norms.max().unwrap_or(0).max(1)
}
