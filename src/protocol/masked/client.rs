//! The client's online part: owns the images and the masks. It needs no key.

use std::{path::Path, sync::Arc};

use rand::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{mpc::bits, network::Profile, paillier::Fingerprint, protocol::exchange::QueryId};

use super::{
    Header, MAX_COUNT, MaskedError, Query, Reply, Segment, Width,
    batch::{expect_key, expect_network},
    material::ClientMaterial,
    store::Store,
    widths::widths,
};

/// A client of one network, with one store.
pub struct Client {
    profile: Profile,
    network: [u8; 32],
    key: Fingerprint,
    widths: Vec<Width>,
    store: Store<ClientMaterial>,
}

/// What a reply led to.
pub enum Step {
    /// The next query.
    Next(Query),
    /// The integer logits of every image.
    Done(Vec<Vec<i64>>),
}

/// An unmasked reply, its activations ready for the next layer.
pub struct Opened {
    query_id: QueryId,
    segments: Vec<Segment>,
    /// The stage that the values are for; the number of stages at the end.
    next: usize,
    values: Vec<Vec<i64>>,
}

/// Where the masks of an image are: batch and place.
type Place = (Arc<ClientMaterial>, usize);

impl Client {
    /// A client of the network that `profile` describes, with the masks in the
    /// store `folder` that were prepared under `key`.
    ///
    /// # Errors
    ///
    /// If there is no such folder.
    pub fn new(profile: Profile, key: Fingerprint, folder: &Path) -> Result<Client, MaskedError> {
        Ok(Client {
            network: profile.fingerprint(),
            widths: widths(&profile),
            profile,
            key,
            store: Store::open(folder, false)?,
        })
    }

    /// The network's profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Predictions for which the store has masks left.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn left(&self) -> Result<usize, MaskedError> {
        self.store.left(self.key, &self.network)
    }

    /// The first query: `images`, each one tensor of the network's input shape
    /// in the order channel, row, column. Their masks are taken from the store.
    ///
    /// # Errors
    ///
    /// No image or more than [`MAX_COUNT`]; an image of the wrong size or with
    /// values outside the input range; too few masks.
    pub fn query(
        &self,
        images: &[Vec<i64>],
        rng: &mut impl CryptoRng,
    ) -> Result<Query, MaskedError> {
        if images.is_empty() {
            return Err(MaskedError::NoPredictions);
        }
        if images.len() > MAX_COUNT {
            return Err(MaskedError::TooMany(images.len()));
        }
        for (image, values) in images.iter().enumerate() {
            self.profile
                .check_input(values)
                .map_err(|source| MaskedError::Image { image, source })?;
        }
        let segments = self.store.claim(self.key, &self.network, images.len())?;
        let query_id = QueryId::random(rng);
        let prepared = self.profile.prepared_all(images);
        self.mask(0, query_id, segments, &prepared)
    }

    /// Unmasks a reply and applies what the profile says comes after the layer.
    ///
    /// # Errors
    ///
    /// A reply for another key or network, or to no query that was made with
    /// this store; [`MaskedError::Dishonest`] for a result that the layer
    /// cannot have.
    pub fn open(&self, reply: &Reply) -> Result<Opened, MaskedError> {
        let kind = Reply::KIND.name;
        let header = &reply.header;
        expect_network(kind, &self.network, &header.network)?;
        expect_key(kind, self.key, header.key)?;
        let width = header.expect(kind, &self.profile, &reply.elements, |width| width.outputs)?;
        let stage = header.stage;
        let places = self.places(&header.segments)?;
        for segment in &header.segments {
            if !self.store.is_marked(stage, segment)? {
                return Err(MaskedError::NotAsked {
                    batch: segment.batch.to_string(),
                    layer: self.profile.stages[stage].name.clone(),
                });
            }
        }
        let row = bits::row_bytes(width.ring, width.outputs);
        let range = width.range;
        let open = |(v, (material, index)): (&[u8], &Place)| {
            let mut y = vec![0i64; width.outputs];
            bits::unpack(width.ring, v, width.outputs, |i, element| {
                y[i] = element as i64;
            });
            let u = material.row(stage, &width, *index);
            let mut inside = true;
            bits::unpack(width.ring, u, width.outputs, |i, element| {
                let sum = (y[i] as u64).wrapping_add(element);
                y[i] = width.ring.decode(sum, range.min);
                inside &= y[i] <= range.max;
            });
            inside.then(|| self.profile.finish(stage, &y))
        };
        let values: Option<Vec<Vec<i64>>> = reply
            .elements
            .par_chunks(row)
            .zip(&places)
            .map(open)
            .collect();
        let values = values.ok_or_else(|| MaskedError::Dishonest {
            layer: self.profile.stages[stage].name.clone(),
            range,
        })?;
        if stage + 1 == self.profile.stages.len() {
            self.done(&header.segments)?;
        }
        Ok(Opened {
            query_id: header.query_id,
            segments: header.segments.clone(),
            next: stage + 1,
            values,
        })
    }

    /// Notes that predictions are done, and deletes what is used up.
    fn done(&self, segments: &[Segment]) -> Result<(), MaskedError> {
        let last = self.profile.stages.len();
        for segment in segments {
            if !self.store.is_marked(last, segment)? {
                self.store.mark(last, std::slice::from_ref(segment))?;
            }
        }
        self.store.retire(last, segments)
    }

    /// The query for the next layer. The masks are marked used first.
    ///
    /// # Errors
    ///
    /// Masks that were used for this layer before, by whatever process: the
    /// prediction must then begin anew, with other masks.
    ///
    /// # Panics
    ///
    /// If there is no next layer.
    pub fn seal(&self, opened: &Opened) -> Result<Query, MaskedError> {
        assert!(
            opened.next < self.profile.stages.len(),
            "there is a next layer"
        );
        self.store.mark(opened.next, &opened.segments)?;
        let segments = opened.segments.clone();
        self.mask(opened.next, opened.query_id, segments, &opened.values)
    }

    /// Opens a reply and, unless it was the last, makes the next query.
    ///
    /// # Errors
    ///
    /// As [`Client::open`] and [`Client::seal`].
    pub fn receive(&self, reply: &Reply) -> Result<Step, MaskedError> {
        let opened = self.open(reply)?;
        if opened.next == self.profile.stages.len() {
            return Ok(Step::Done(opened.values));
        }
        Ok(Step::Next(self.seal(&opened)?))
    }

    /// z = x − r under masks that are marked used.
    fn mask(
        &self,
        stage: usize,
        query_id: QueryId,
        segments: Vec<Segment>,
        values: &[Vec<i64>],
    ) -> Result<Query, MaskedError> {
        let Width { ring, inputs, .. } = self.widths[stage];
        let places = self.places(&segments)?;
        let row = bits::row_bytes(ring, inputs);
        let mut elements = vec![0; row * values.len()];
        elements
            .par_chunks_mut(row)
            .zip(values)
            .zip(&places)
            .for_each_init(
                || (Zeroizing::new(Vec::new()), Zeroizing::new(vec![0; inputs])),
                |(scratch, z), ((row, x), (material, index))| {
                    let place = (stage, *index);
                    material
                        .seed
                        .elements(ring, place, inputs, scratch, |i, r| {
                            z[i] = ring.enter(x[i]).wrapping_sub(r);
                        });
                    bits::pack(ring, z.iter().copied(), row);
                },
            );
        Ok(Query {
            header: Header {
                key: self.key,
                network: self.network,
                stage,
                query_id,
                images: values.len(),
                segments,
            },
            elements,
        })
    }

    /// Batch and place of every prediction, in order.
    fn places(&self, segments: &[Segment]) -> Result<Vec<Place>, MaskedError> {
        let mut places = Vec::new();
        for segment in segments {
            let material = self.store.material(segment.batch)?;
            let kind = ClientMaterial::KIND.name;
            expect_key(kind, self.key, material.batch.key)?;
            expect_network(kind, &self.network, &material.batch.network)?;
            material.expect(&self.profile, &self.widths)?;
            if segment.indices.end > material.batch.count {
                return Err(self.store.no_batch(segment.batch));
            }
            let indices = segment.indices.clone();
            places.extend(indices.map(|index| (Arc::clone(&material), index)));
        }
        Ok(places)
    }
}
