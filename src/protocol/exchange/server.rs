//! What every server of the exchange does, wherever its weights come from. It
//! takes public keys only; nothing on its path can name a secret one.

use std::{
    ops::{Deref, Range},
    sync::{Arc, Mutex, PoisonError},
};

use rand::CryptoRng;

use crate::{
    encrypted::{layer::Layer, layout::StageLayout},
    network::Profile,
    paillier::{Ciphertexts, Counts, PublicKey, Rerandomiser},
};

use super::{
    super::Protocol, Progress, ProtocolError, Query, Reply, error::short, layouts::traffic,
};

/// The part of a server that checks queries, evaluates layers on them and
/// re-randomises the results.
pub struct Responder {
    protocol: Protocol,
    profile: Profile,
    network: [u8; 32],
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

/// Results that are re-randomised in one go at most: enough for every core and
/// lane, also where a path has but a few, and few enough that memory stays
/// flat.
const AT_ONCE: usize = 2048;

impl Responder {
    /// The responder of a server that speaks `protocol`, for the network of
    /// `profile`.
    pub(in crate::protocol) fn new(protocol: Protocol, profile: Profile) -> Responder {
        Responder {
            protocol,
            network: profile.fingerprint(),
            profile,
            whole_run: false,
            rerandomiser: Mutex::new(None),
        }
    }

    /// Says that whole classifications will be served, so that tables are made
    /// once, for all layers, rather than for one.
    pub(in crate::protocol) fn for_whole_run(mut self) -> Responder {
        self.whole_run = true;
        self
    }

    /// The profile that clients of this server need.
    pub(in crate::protocol) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Reads a query: [`Query::from_bytes`], except that a key which was served
    /// last is not checked again.
    ///
    /// # Errors
    ///
    /// As [`Query::from_bytes`].
    pub(in crate::protocol) fn read(&self, bytes: &[u8]) -> Result<Query, ProtocolError> {
        let known = self
            .rerandomiser
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|kept| kept.key.clone());
        Query::read(bytes, known.as_ref())
    }

    /// Evaluates on every path of `query` the layer that `layer` gives for the
    /// query's stage. It is asked once for each path, in their order, and not
    /// before the query has been checked. Progress is in result ciphertexts.
    ///
    /// # Errors
    ///
    /// A query of another protocol, for another network or stage, with slots or
    /// ciphertexts that are not those of the layer, or with an invalid
    /// ciphertext.
    pub(in crate::protocol) fn answer<L: Deref<Target = Layer>>(
        &self,
        query: &Query,
        mut layer: impl FnMut(usize) -> L,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Answer, ProtocolError> {
        let layout = self.check(query)?;
        let header = &query.header;
        let key = &query.key;
        let samples = header.samples;
        let rerandomiser = self.rerandomiser(key, self.uses(query, &layout)?, rng);

        let mut inputs = Inputs::new(query, &layout);
        let mut counts = Counts::default();
        let mut rows = Vec::with_capacity(samples * layout.outputs() * Ciphertexts::width(key));
        let (mut done, all) = (0, samples * layout.outputs());
        let mut waiting = Ciphertexts::empty(key);
        for path in 0..samples {
            let layer = layer(header.stage);
            let at_once = layer.groups_at_once(&layout);
            let mut first = 0;
            while first < layout.groups() {
                let groups = first..(first + at_once).min(layout.groups());
                let read = inputs.read(path, groups.clone())?;
                let (results, cost) = layer.evaluate(&layout, groups.clone(), &read)?;
                counts = counts + cost;
                waiting.extend(&results);
                first = groups.end;
                if waiting.len() >= AT_ONCE || (path + 1 == samples && first == layout.groups()) {
                    rows.extend_from_slice(&rerandomiser.apply(&waiting, rng).to_bytes());
                    waiting = Ciphertexts::empty(key);
                }
                done += results.len();
                progress(done, all);
            }
        }
        Ok(Answer {
            reply: Reply {
                header: header.clone(),
                width: Ciphertexts::width(key),
                rows,
            },
            counts,
        })
    }

    /// Checks what a query says of itself; the layout of each of its paths.
    fn check(&self, query: &Query) -> Result<StageLayout, ProtocolError> {
        let kind = Query::KIND;
        let header = &query.header;
        header.expect_protocol(kind, self.protocol)?;
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
            (header.input_sets() * layout.inputs(), width),
            (query.ciphertexts(), width),
        )?;
        Ok(layout)
    }

    /// For how many results the re-randomiser's tables are made.
    fn uses(&self, query: &Query, layout: &StageLayout) -> Result<usize, ProtocolError> {
        let header = &query.header;
        if !self.whole_run {
            return Ok(header.samples * layout.outputs());
        }
        let (bits, packing) = (query.key.bits(), header.packing);
        let stages = traffic(&self.profile, bits, header.images, header.samples, packing)?;
        Ok(stages[header.stage..].iter().map(|s| s.outputs).sum())
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

/// The input ciphertexts of a query, read a run of groups at a time.
struct Inputs<'a> {
    query: &'a Query,
    layout: &'a StageLayout,
    /// What all paths share, once the first of them has read it: each run of
    /// groups with its first one.
    shared: Vec<(usize, Arc<Ciphertexts>)>,
}

impl<'a> Inputs<'a> {
    fn new(query: &'a Query, layout: &'a StageLayout) -> Inputs<'a> {
        Inputs {
            query,
            layout,
            shared: Vec::new(),
        }
    }

    /// The inputs of `groups` on `path`. Each path asks for the same runs of
    /// groups, from first to last.
    fn read(
        &mut self,
        path: usize,
        groups: Range<usize>,
    ) -> Result<Arc<Ciphertexts>, ProtocolError> {
        let header = &self.query.header;
        let set = path.min(header.input_sets() - 1);
        let kept = self
            .shared
            .iter()
            .find(|(first, _)| path > set && *first == groups.start);
        if let Some((_, kept)) = kept {
            return Ok(Arc::clone(kept));
        }
        let per_group = self.layout.inputs_per_group() * Ciphertexts::width(&self.query.key);
        let offset = set * self.layout.groups();
        let bytes = (offset + groups.start) * per_group..(offset + groups.end) * per_group;
        let read = Ciphertexts::from_bytes(&self.query.key, &self.query.rows[bytes])?;
        let read = Arc::new(read);
        if header.input_sets() < header.samples {
            self.shared.push((groups.start, Arc::clone(&read)));
        }
        Ok(read)
    }
}
