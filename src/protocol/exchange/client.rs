//! The client: owns the images and the key.

mod crafted;

use std::sync::{Arc, Mutex, PoisonError};

use rand::CryptoRng;

use crate::{
    encrypted::layout::{Packing, StageLayout},
    network::Profile,
    paillier::{Ciphertexts, Plaintext, PublicKey, Randomisers, SecretKey, Stock},
};

use super::{
    super::Protocol,
    Header, LayoutChoice, MAX_IMAGES, Progress, ProtocolError, Query, QueryId, Reply, SILENT,
    encryptor::Encryptor,
    error::short,
    layouts::{choose, stage_layout, traffic},
};

/// The keys that a client works with.
pub enum ClientKeys {
    /// Enough to make the first query.
    Public(PublicKey),
    /// Decrypts, and encrypts faster.
    Owner(SecretKey),
}

/// A client of one network, with one key.
pub struct Client {
    protocol: Protocol,
    samples: usize,
    profile: Profile,
    network: [u8; 32],
    keys: ClientKeys,
    whole_run: bool,
    scans: bool,
    encryptor: Mutex<Option<Arc<Encryptor>>>,
    stock: Option<Arc<dyn Stock>>,
    /// What was taken from the stock for the queries to come.
    held: Mutex<Option<Randomisers>>,
}

/// What a reply led to.
pub enum Step {
    /// The next query.
    Next(Query),
    /// The integer logits of every image; on several paths, those of all
    /// images on the first path, then on the second, and so on.
    Done(Vec<Vec<i64>>),
}

/// A decrypted reply, its activations ready for the next layer.
pub struct Opened {
    query_id: QueryId,
    packing: Packing,
    /// The stage that the values are for; the number of stages at the end.
    next: usize,
    /// Those of every image on the first path, then on the second, and so on.
    values: Vec<Vec<i64>>,
}

impl Opened {
    /// The integer logits after the last layer, as in [`Step::Done`].
    pub fn logits(&self, client: &Client) -> Option<&[Vec<i64>]> {
        (self.next == client.profile.stages.len()).then_some(&self.values)
    }
}

/// Ciphertexts that are encrypted or decrypted in one go: enough for every
/// core, few enough that memory stays flat.
const AT_ONCE: usize = 2048;

impl Client {
    /// A client of 2P-DNN, for the network that `profile` describes.
    pub fn new(profile: Profile, keys: ClientKeys) -> Client {
        Client::speaking(Protocol::TwoPartyDnn, 1, profile, keys)
    }

    /// A client that speaks `protocol` and asks for `samples` paths.
    pub(in crate::protocol) fn speaking(
        protocol: Protocol,
        samples: usize,
        profile: Profile,
        keys: ClientKeys,
    ) -> Client {
        Client {
            protocol,
            samples,
            network: profile.fingerprint(),
            profile,
            keys,
            whole_run: false,
            scans: false,
            encryptor: Mutex::new(None),
            stock: None,
            held: Mutex::new(None),
        }
    }

    /// Says that this client will see whole classifications through, so that
    /// its tables are made once, for all layers, rather than for one.
    pub fn for_whole_run(mut self) -> Client {
        self.whole_run = true;
        self
    }

    /// Has this client take its randomisers from `stock` first, and make itself
    /// only what the stock has not.
    pub fn with_stock(mut self, stock: Arc<dyn Stock>) -> Client {
        self.stock = Some(stock);
        self
    }

    /// Has this client, if `scans`, read its tables whole for every look-up, so
    /// that what it looks up does not show in the cache: slower.
    pub fn scanning_tables(mut self, scans: bool) -> Client {
        self.scans = scans;
        self
    }

    /// The network's profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// How many paths each query asks for.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        match &self.keys {
            ClientKeys::Public(key) => key,
            ClientKeys::Owner(key) => key.public(),
        }
    }

    /// The first query: `images`, each one tensor of the network's input shape
    /// in the order channel, row, column.
    ///
    /// # Errors
    ///
    /// No image or more than [`MAX_IMAGES`]; an image of the wrong size or with
    /// values outside the input range; a key without room for a slot.
    pub fn query(
        &self,
        images: &[Vec<i64>],
        layout: LayoutChoice,
        rng: &mut impl CryptoRng,
    ) -> Result<Query, ProtocolError> {
        self.query_with(images, layout, rng, SILENT)
    }

    /// [`Client::query`] with progress, in ciphertexts.
    ///
    /// # Errors
    ///
    /// As [`Client::query`].
    pub fn query_with(
        &self,
        images: &[Vec<i64>],
        layout: LayoutChoice,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Query, ProtocolError> {
        if images.is_empty() {
            return Err(ProtocolError::NoImages);
        }
        let classified = images.len().saturating_mul(self.samples);
        if classified > MAX_IMAGES {
            return Err(ProtocolError::TooManyImages(classified));
        }
        for (image, values) in images.iter().enumerate() {
            self.profile
                .check_input(values)
                .map_err(|source| ProtocolError::Image { image, source })?;
        }
        let packing = choose(
            &self.profile,
            self.public_key().bits(),
            images.len(),
            self.samples,
            layout,
        )?;
        let query_id = QueryId::random(rng);
        let prepared = self.profile.prepared_all(images);
        self.encrypt(0, packing, query_id, &prepared, rng, progress)
    }

    /// Decrypts a reply and, unless it was the last, makes the next query.
    ///
    /// # Errors
    ///
    /// As [`Client::open`] and [`Client::seal`].
    pub fn receive(&self, reply: &Reply, rng: &mut impl CryptoRng) -> Result<Step, ProtocolError> {
        let opened = self.open(reply)?;
        if opened.next == self.profile.stages.len() {
            return Ok(Step::Done(opened.values));
        }
        Ok(Step::Next(self.seal(&opened, rng)?))
    }

    /// Decrypts a reply, checks every slot of it, and applies what the profile
    /// says comes after the layer.
    ///
    /// # Errors
    ///
    /// A reply for another key or network, one whose slots or ciphertexts are
    /// not those of its layer, an invalid ciphertext, and
    /// [`ProtocolError::Dishonest`] where a slot lies outside the layer's range.
    pub fn open(&self, reply: &Reply) -> Result<Opened, ProtocolError> {
        self.open_with(reply, SILENT)
    }

    /// [`Client::open`] with progress, in ciphertexts.
    ///
    /// # Errors
    ///
    /// As [`Client::open`].
    pub fn open_with(
        &self,
        reply: &Reply,
        progress: Progress<'_>,
    ) -> Result<Opened, ProtocolError> {
        self.open_seeing(reply, &mut |_, _, _| {}, progress)
    }

    /// [`Client::open_with`]; `see` is shown the pre-activations of every image
    /// on the way, with its path and its number; paths after one another.
    ///
    /// # Errors
    ///
    /// As [`Client::open`].
    pub fn open_seeing(
        &self,
        reply: &Reply,
        see: &mut dyn FnMut(usize, usize, &[i64]),
        progress: Progress<'_>,
    ) -> Result<Opened, ProtocolError> {
        let ClientKeys::Owner(key) = &self.keys else {
            return Err(ProtocolError::NoSecretKey);
        };
        let layout = self.check(reply)?;
        let stage = &self.profile.stages[reply.header.stage];
        let width = Ciphertexts::width(key.public());
        let per_group = layout.outputs_per_group();
        let at_once = (AT_ONCE / per_group).max(1);

        let outputs = stage.linear.output_shape().len();
        let mut raw: Vec<Vec<i64>> = vec![Vec::new(); layout.images()];
        let mut finished: Vec<Vec<i64>> = vec![Vec::new(); self.samples * layout.images()];
        // Groups are counted through, over all paths.
        let all = self.samples * layout.groups();
        let mut first = 0;
        while first < all {
            let groups = first..(first + at_once).min(all);
            let rows = &reply.rows[first * per_group * width..groups.end * per_group * width];
            let ciphertexts = Ciphertexts::from_bytes(key.public(), rows)?;
            let plaintexts = key.decrypt(&ciphertexts);
            for (at, of_group) in groups.clone().zip(plaintexts.chunks(per_group)) {
                let (path, group) = (at / layout.groups(), at % layout.groups());
                let images = layout.images_of(group);
                for image in images.clone() {
                    raw[image].resize(outputs, 0);
                }
                layout
                    .unpack_group(group, of_group, stage.range, &mut raw)
                    .map_err(|source| ProtocolError::Dishonest {
                        layer: stage.name.clone(),
                        source,
                    })?;
                // An image is complete once no later group holds a part of it.
                let complete = match layout.groups() {
                    groups if group + 1 < groups => layout.images_of(group + 1).start,
                    _ => layout.images(),
                };
                for image in images.start..complete {
                    let values = std::mem::take(&mut raw[image]);
                    see(path, image, &values);
                    finished[path * layout.images() + image] =
                        self.profile.finish(reply.header.stage, &values);
                }
            }
            first = groups.end;
            progress(first * per_group, all * per_group);
        }
        Ok(Opened {
            query_id: reply.header.query_id,
            packing: reply.header.packing,
            next: reply.header.stage + 1,
            values: finished,
        })
    }

    /// The query for the next layer.
    ///
    /// # Errors
    ///
    /// A key without room for a slot of that layer.
    ///
    /// # Panics
    ///
    /// If there is no next layer.
    pub fn seal(&self, opened: &Opened, rng: &mut impl CryptoRng) -> Result<Query, ProtocolError> {
        self.seal_with(opened, rng, SILENT)
    }

    /// [`Client::seal`] with progress, in ciphertexts.
    ///
    /// # Errors
    ///
    /// As [`Client::seal`].
    ///
    /// # Panics
    ///
    /// If there is no next layer.
    pub fn seal_with(
        &self,
        opened: &Opened,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Query, ProtocolError> {
        self.encrypt(
            opened.next,
            opened.packing,
            opened.query_id,
            &opened.values,
            rng,
            progress,
        )
    }

    /// Checks what a reply says of itself; the layout that it must have.
    fn check(&self, reply: &Reply) -> Result<StageLayout, ProtocolError> {
        let kind = Reply::KIND;
        let header = &reply.header;
        let key = self.public_key();
        header.expect_protocol(kind, self.protocol)?;
        if header.samples != self.samples {
            return Err(ProtocolError::OtherSamples {
                expected: self.samples,
                found: header.samples,
            });
        }
        if header.network != self.network {
            return Err(ProtocolError::OtherNetwork {
                kind: kind.name,
                expected: short(&self.network),
                found: short(&header.network),
            });
        }
        if header.key != key.fingerprint() {
            return Err(ProtocolError::OtherKey {
                kind: kind.name,
                expected: short(key.fingerprint().as_bytes()),
                found: short(header.key.as_bytes()),
            });
        }
        let layout = header.layout(kind, &self.profile, key.bits())?;
        header.expect_ciphertexts(
            kind,
            &self.profile,
            (self.samples * layout.outputs(), Ciphertexts::width(key)),
            (reply.rows.len() / reply.width, reply.width),
        )?;
        Ok(layout)
    }

    /// Where one path of a query for `images` images has its values in the
    /// ciphertexts of stage `stage` (from 0).
    ///
    /// # Errors
    ///
    /// A key without room for a slot; a message that would be too large.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    pub fn layout(
        &self,
        stage: usize,
        packing: Packing,
        images: usize,
    ) -> Result<StageLayout, ProtocolError> {
        let bits = self.public_key().bits();
        stage_layout(&self.profile, stage, bits, images, self.samples, packing)
    }

    fn encrypt(
        &self,
        stage: usize,
        packing: Packing,
        query_id: QueryId,
        values: &[Vec<i64>],
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Query, ProtocolError> {
        let key = self.public_key();
        let sets = if stage == 0 { 1 } else { self.samples };
        let images = values.len() / sets;
        let layout = self.layout(stage, packing, images)?;
        let uses = if self.whole_run {
            traffic(&self.profile, key.bits(), images, self.samples, packing)?[stage..]
                .iter()
                .map(|stage| stage.inputs)
                .sum()
        } else {
            sets * layout.inputs()
        };
        let per_group = layout.inputs_per_group();
        let at_once = (AT_ONCE / per_group).max(1);
        // Groups are counted through, over all paths.
        let all = sets * layout.groups();
        let mut rows = Vec::with_capacity(all * per_group * Ciphertexts::width(key));
        let needed = all * per_group;
        let prepared = self.prepared(needed, uses.max(needed))?;
        // Tables for what has to be made; none if nothing has.
        let missing = uses.max(needed) - prepared.len();
        let encryptor = (prepared.len() < needed).then(|| self.encryptor(missing));
        if let (Some(encryptor), true) = (&encryptor, self.whole_run) {
            encryptor.prepare(missing, rng);
        }
        let mut prepared = prepared.split(at_once * per_group).into_iter();
        let mut first = 0;
        while first < all {
            let groups = first..(first + at_once).min(all);
            let plaintexts: Vec<Plaintext> = groups
                .clone()
                .flat_map(|at| {
                    let (set, group) = (at / layout.groups(), at % layout.groups());
                    layout.pack_group(group, &values[set * images..][..images])
                })
                .collect();
            let mut randomisers = prepared.next().unwrap_or_else(|| Randomisers::empty(key));
            if let (Some(encryptor), 1..) = (&encryptor, plaintexts.len() - randomisers.len()) {
                let missing = plaintexts.len() - randomisers.len();
                randomisers.append(encryptor.randomisers(missing, rng));
            }
            rows.extend_from_slice(&randomisers.encrypt_to_bytes(&plaintexts));
            first = groups.end;
            progress(first * per_group, all * per_group);
        }
        Ok(Query {
            header: Header {
                protocol: self.protocol,
                samples: self.samples,
                key: key.fingerprint(),
                network: self.network,
                stage,
                query_id,
                packing,
                images,
                slot_bits: layout.slots().bits,
            },
            key: key.clone(),
            rows,
        })
    }

    /// Randomisers for `needed` ciphertexts, or as many as the stock has; `ahead`
    /// of them, these included, are wanted before this client is done. They are
    /// taken all at once, for each time costs a wait for the disk.
    fn prepared(&self, needed: usize, ahead: usize) -> Result<Randomisers, ProtocolError> {
        let key = self.public_key();
        let Some(stock) = &self.stock else {
            return Ok(Randomisers::empty(key));
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.get_or_insert_with(|| Randomisers::empty(key));
        if held.len() < needed {
            let more = stock.take(key, ahead - held.len());
            held.append(more.map_err(|error| ProtocolError::Stock(error.to_string()))?);
        }
        Ok(held.take(needed))
    }

    /// The encryptor, its tables made for at least a quarter of `uses`.
    fn encryptor(&self, uses: usize) -> Arc<Encryptor> {
        let lock = || {
            self.encryptor
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(kept) = lock().as_ref().filter(|kept| kept.uses * 4 >= uses) {
            return Arc::clone(kept);
        }
        // No lock is held where other threads are waited for.
        let encryptor = Arc::new(Encryptor::new(&self.keys, uses, self.scans));
        *lock() = Some(Arc::clone(&encryptor));
        encryptor
    }
}
