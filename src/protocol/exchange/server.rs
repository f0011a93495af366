//! What every server of the exchange does, wherever its weights come from. It
//! takes public keys only; nothing on its path can name a secret one.

use std::{
    ops::{Deref, Range},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::CryptoRng;

use crate::{
    encrypted::{layer::Layer, layout::StageLayout, plan::Method},
    network::Profile,
    paillier::{Ahead, Ciphertexts, Counts, PublicKey, Randomise, Rerandomiser},
};

use super::{
    super::Protocol, Progress, ProtocolError, Query, Reply, error::short, layouts::traffic,
    messages::refused,
};

/// The part of a server that checks queries, evaluates layers on them and
/// re-randomises the results.
pub struct Responder {
    protocol: Protocol,
    profile: Profile,
    network: [u8; 32],
    whole_run: bool,
    scans: bool,
    kept: Mutex<Option<Arc<Kept>>>,
}

/// The re-randomiser of the key that was served last, and what it makes in the
/// background.
struct Kept {
    key: PublicKey,
    /// For how many results the tables were made.
    uses: usize,
    ahead: Ahead<Rerandomiser>,
}

impl Kept {
    fn new(uses: usize, rerandomiser: Rerandomiser) -> Arc<Kept> {
        Arc::new(Kept {
            key: rerandomiser.public().clone(),
            uses,
            ahead: Ahead::new(Arc::new(rerandomiser)),
        })
    }
}

/// A reply, and what it cost.
pub struct Answer {
    /// What goes back to the client.
    pub reply: Reply,
    /// Products, squarings and inversions of the layer itself.
    pub counts: Counts,
    /// How they were arranged, on each path.
    pub methods: Vec<Method>,
}

/// What an evaluation took.
#[derive(Default)]
struct Spent {
    counts: Counts,
    methods: Vec<Method>,
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
            scans: false,
            kept: Mutex::new(None),
        }
    }

    /// Says that whole classifications will be served, so that tables are made
    /// once, for all layers, rather than for one.
    pub(in crate::protocol) fn for_whole_run(mut self) -> Responder {
        self.whole_run = true;
        self
    }

    /// Has tables read whole for every look-up if `scans`, so that what is looked
    /// up does not show in the cache: slower.
    pub(in crate::protocol) fn scanning_tables(mut self, scans: bool) -> Responder {
        self.scans = scans;
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
        Query::read(bytes, self.known().as_ref())
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
        layer: impl FnMut(usize) -> L,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Answer, ProtocolError> {
        let layout = self.check(query)?;
        let kept = self.rerandomiser(&query.key, self.uses(query, &layout)?, rng);
        let mut outgoing = Outgoing::new(&kept, query, &layout, rng);
        let spent = evaluate(query, &layout, layer, progress, |results| {
            outgoing.add(&results);
        })?;
        Ok(outgoing.finish(query, spent))
    }

    /// [`Responder::read`] and [`Responder::answer`] in one: where the key is to
    /// be checked, that and the tables that it needs are made beside the
    /// evaluation. Nothing leaves before the key has passed.
    ///
    /// # Errors
    ///
    /// As the two of them.
    pub(in crate::protocol) fn respond<L: Deref<Target = Layer>>(
        &self,
        bytes: &[u8],
        layer: impl FnMut(usize) -> L + Send,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Answer, ProtocolError> {
        let (query, candidate) = Query::read_unchecked(bytes, self.known().as_ref())?;
        let Some(candidate) = candidate else {
            return self.answer(&query, layer, rng, progress);
        };
        let asked = self.check(&query).and_then(|layout| {
            let uses = self.uses(&query, &layout)?;
            Ok((layout, uses))
        });
        let (layout, uses) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                candidate.check().map_err(refused)?;
                return Err(error);
            }
        };
        let admit = Rerandomiser::admitting(&candidate, uses, rng);
        let mut results = Vec::new();
        let (admitted, spent) = rayon::join(admit, || {
            evaluate(&query, &layout, layer, progress, |part| results.push(part))
        });
        let kept = self.keep(
            Kept::new(uses, admitted.map_err(refused)?.scanning(self.scans)),
            rng,
        );
        let spent = spent?;
        let mut outgoing = Outgoing::new(&kept, &query, &layout, rng);
        results.iter().for_each(|part| outgoing.add(part));
        Ok(outgoing.finish(&query, spent))
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

    /// The key that was served last.
    fn known(&self) -> Option<PublicKey> {
        self.lock().as_ref().map(|kept| kept.key.clone())
    }

    /// The re-randomiser for `key`, its tables made for at least a quarter of
    /// `uses`. Every reply ciphertext gets randomness of its own in any case.
    fn rerandomiser(&self, key: &PublicKey, uses: usize, rng: &mut impl CryptoRng) -> Arc<Kept> {
        let fits = |kept: &&Arc<Kept>| kept.key == *key && kept.uses * 4 >= uses;
        if let Some(kept) = self.lock().as_ref().filter(fits) {
            return Arc::clone(kept);
        }
        // No lock is held where other threads are waited for.
        self.keep(
            Kept::new(uses, Rerandomiser::new(key, uses, rng).scanning(self.scans)),
            rng,
        )
    }

    /// Keeps a re-randomiser for queries to come, and has it work for them.
    fn keep(&self, kept: Arc<Kept>, rng: &mut impl CryptoRng) -> Arc<Kept> {
        if self.whole_run {
            kept.ahead.prepare(kept.uses, rng);
        }
        *self.lock() = Some(Arc::clone(&kept));
        kept
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Evaluates the layers of all paths, on as many groups at once as they ask for,
/// and hands the results to `sink`; they are *not* re-randomised.
fn evaluate<L: Deref<Target = Layer>>(
    query: &Query,
    layout: &StageLayout,
    mut layer: impl FnMut(usize) -> L,
    progress: Progress<'_>,
    mut sink: impl FnMut(Ciphertexts),
) -> Result<Spent, ProtocolError> {
    let header = &query.header;
    let mut inputs = Inputs::new(query, layout);
    let mut spent = Spent::default();
    let (mut done, all) = (0, header.samples * layout.outputs());
    for path in 0..header.samples {
        let layer = layer(header.stage);
        spent.methods.push(layer.method(layout));
        let at_once = layer.groups_at_once(layout);
        let mut first = 0;
        while first < layout.groups() {
            let groups = first..(first + at_once).min(layout.groups());
            let read = inputs.read(path, groups.clone())?;
            let (results, cost) = layer.evaluate(layout, groups.clone(), &read)?;
            spent.counts = spent.counts + cost;
            first = groups.end;
            done += results.len();
            sink(results);
            progress(done, all);
        }
    }
    Ok(spent)
}

/// Results on their way out: re-randomised, each with randomness of its own.
struct Outgoing<'a, R> {
    kept: &'a Kept,
    rng: &'a mut R,
    /// Evaluated, not re-randomised.
    waiting: Ciphertexts,
    /// Re-randomised, as bytes.
    rows: Vec<u8>,
}

impl<'a, R: CryptoRng> Outgoing<'a, R> {
    fn new(kept: &'a Kept, query: &Query, layout: &StageLayout, rng: &'a mut R) -> Self {
        let all = query.header.samples * layout.outputs();
        Outgoing {
            kept,
            rng,
            waiting: Ciphertexts::empty(&query.key),
            rows: Vec::with_capacity(all * Ciphertexts::width(&query.key)),
        }
    }

    fn add(&mut self, results: &Ciphertexts) {
        self.waiting.extend(results);
        if self.waiting.len() >= AT_ONCE {
            self.send();
        }
    }

    fn send(&mut self) {
        let empty = Ciphertexts::empty(self.waiting.key());
        let results = std::mem::replace(&mut self.waiting, empty);
        let ahead = &self.kept.ahead;
        let fresh = ahead.randomisers(results.len(), self.rng);
        let results = ahead.maker().apply_with(&results, fresh);
        self.rows.extend_from_slice(&results.to_bytes());
    }

    fn finish(mut self, query: &Query, spent: Spent) -> Answer {
        self.send();
        Answer {
            reply: Reply {
                header: query.header.clone(),
                width: Ciphertexts::width(&query.key),
                rows: self.rows,
            },
            counts: spent.counts,
            methods: spent.methods,
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
