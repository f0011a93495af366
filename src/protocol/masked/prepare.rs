//! The client's part of a preparation: ask, and take in the answer.

use std::{path::Path, sync::OnceLock};

use rand::CryptoRng;
use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    encrypted::layout::StageLayout,
    mpc::{
        bits,
        expand::{Purpose, Seed},
    },
    network::Profile,
    paillier::{
        Ciphertexts, Encrypt, OwnerEncryptor, Plaintext, SecretKey, SlotLayout, unpack_unsigned,
    },
};

use super::{
    Answer, Batch, BatchId, MAX_COUNT, MAX_MESSAGE, MaskedError, Progress, Request, Width,
    batch::expect_layers,
    material::{Asked, ClientMaterial},
    store::Store,
    widths::{layout, widths},
};

/// A client that prepares: it has the key, a store, and no input yet.
pub struct Preparation {
    profile: Profile,
    network: [u8; 32],
    key: SecretKey,
    encryptor: OnceLock<OwnerEncryptor>,
    store: Store<ClientMaterial>,
    widths: Vec<Width>,
    slots: Vec<SlotLayout>,
}

/// Ciphertexts that are encrypted or decrypted in one go.
const AT_ONCE: usize = 4096;

/// u while it is put together: a vector a prediction.
type Rows = Zeroizing<Vec<Vec<u64>>>;

impl Preparation {
    /// For the network of `profile`, under `key`, with the store in `folder`,
    /// which is made if it is not there. Slots are `extra_bits` wider than the
    /// profile demands.
    ///
    /// # Errors
    ///
    /// A key without room for a slot; a folder that cannot be made.
    pub fn new(
        profile: Profile,
        key: SecretKey,
        folder: &Path,
        extra_bits: u32,
    ) -> Result<Preparation, MaskedError> {
        let widths = widths(&profile);
        let bits = key.public().bits();
        let slots: Result<Vec<SlotLayout>, MaskedError> =
            widths.iter().map(|w| w.slots(bits, extra_bits)).collect();
        Ok(Preparation {
            network: profile.fingerprint(),
            profile,
            encryptor: OnceLock::new(),
            key,
            store: Store::open(folder, true)?,
            widths,
            slots: slots?,
        })
    }

    /// The network's profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Bits of the key.
    pub fn key_bits(&self) -> u32 {
        self.key.public().bits()
    }

    /// Unused predictions in the store under this key and network.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn left(&self) -> Result<usize, MaskedError> {
        self.store
            .left(self.key.public().fingerprint(), &self.network)
    }

    fn layout(&self, stage: usize, slots: &[SlotLayout], count: usize) -> StageLayout {
        layout(&self.profile, stage, slots[stage], count)
    }

    /// Refuses a number of predictions whose messages would be too large.
    fn check(&self, count: usize) -> Result<(), MaskedError> {
        if count == 0 {
            return Err(MaskedError::NoPredictions);
        }
        if count > MAX_COUNT {
            return Err(MaskedError::TooMany(count));
        }
        let width = Ciphertexts::width(self.key.public());
        let bytes = |count: usize| {
            let layouts = (0..self.slots.len()).map(|stage| self.layout(stage, &self.slots, count));
            let (up, down) = layouts.fold((0, 0), |(up, down), layout| {
                (up + layout.inputs(), down + layout.outputs())
            });
            up.max(down) * width
        };
        let size = bytes(count);
        if size > MAX_MESSAGE {
            let most = (1..count).rev().find(|&count| bytes(count) <= MAX_MESSAGE);
            return Err(MaskedError::TooLarge {
                count,
                mebibytes: size >> 20,
                most: most.unwrap_or(0),
            });
        }
        Ok(())
    }

    /// Asks for masks for `count` predictions. What the answer needs is in the
    /// store when this returns.
    ///
    /// # Errors
    ///
    /// A count that is 0 or too large; a store that cannot be written.
    pub fn ask(
        &self,
        count: usize,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Request, MaskedError> {
        self.check(count)?;
        let asked = Asked {
            batch: Batch {
                id: BatchId::random(rng),
                key: self.key.public().fingerprint(),
                network: self.network,
                count,
            },
            seed: Seed::random(rng),
            slots: self.slots.clone(),
        };
        let all: usize = (0..self.slots.len())
            .map(|stage| self.layout(stage, &self.slots, count).inputs())
            .sum();
        let encryptor = self
            .encryptor
            .get_or_init(|| OwnerEncryptor::new(&self.key, all));
        let (mut done, mut layers) = (0, Vec::new());
        for stage in 0..self.slots.len() {
            let layout = self.layout(stage, &self.slots, count);
            let r = self.masks(&asked.seed, stage, count);
            let per_group = layout.inputs_per_group();
            let mut rows =
                Vec::with_capacity(layout.inputs() * Ciphertexts::width(self.key.public()));
            for groups in steps(layout.groups(), per_group) {
                let plaintexts: Vec<Plaintext> = groups
                    .into_par_iter()
                    .flat_map_iter(|group| layout.pack_group(group, &r))
                    .collect();
                rows.extend_from_slice(&encryptor.encrypt(&plaintexts, rng).to_bytes());
                done += plaintexts.len();
                progress(done, all);
            }
            layers.push(rows);
        }
        self.store.ask(&asked)?;
        Ok(Request {
            batch: asked.batch,
            key: self.key.public().clone(),
            slots: asked.slots,
            layers,
        })
    }

    /// r of a layer, −2^(L−1) ≤ r < 2^(L−1), a vector a prediction.
    fn masks(&self, seed: &Seed, stage: usize, count: usize) -> Zeroizing<Vec<Vec<i64>>> {
        let width = &self.widths[stage];
        let of_prediction = |index| {
            let mut r = vec![0; width.inputs];
            let mut scratch = Zeroizing::new(Vec::new());
            let place = (stage, index);
            seed.elements(width.ring, place, width.inputs, &mut scratch, |i, e| {
                r[i] = width.ring.signed(e);
            });
            r
        };
        Zeroizing::new((0..count).into_par_iter().map(of_prediction).collect())
    }

    /// Whether the answer to request `batch` is in the store, used or not.
    pub fn has(&self, batch: BatchId) -> bool {
        self.store.has(batch)
    }

    /// Whether the store waits for the answer to request `batch`.
    pub fn waits_for(&self, batch: BatchId) -> bool {
        self.store.asked(batch, self.key.public().bits()).is_ok()
    }

    /// Takes in an answer: its masks are in the store when this returns.
    ///
    /// # Errors
    ///
    /// An answer to no request of this store, under another key, for another
    /// network; ciphertexts that are not those of the request or are invalid;
    /// plaintexts that are no sums of masks.
    pub fn finish(&self, answer: &Answer, progress: Progress<'_>) -> Result<(), MaskedError> {
        let kind = Answer::KIND.name;
        let public = self.key.public();
        answer.batch.expect_key(kind, public.fingerprint())?;
        answer.batch.expect_network(kind, &self.network)?;
        let asked = self.store.asked(answer.batch.id, public.bits())?;
        let count = asked.batch.count;
        if answer.batch != asked.batch {
            return Err(MaskedError::Shape {
                kind,
                expected: format!("{count} predictions"),
                found: format!("{} predictions", answer.batch.count),
            });
        }
        let width = Ciphertexts::width(public);
        expect_layers(Request::KIND.name, &self.profile, asked.slots.len())?;
        answer.expect(&self.profile, &asked.slots, width)?;

        let all = answer.ciphertexts();
        let (mut done, mut u) = (0, Vec::new());
        for (stage, of) in self.widths.iter().enumerate() {
            let layout = self.layout(stage, &asked.slots, count);
            let per_group = layout.outputs_per_group();
            let row = bits::row_bytes(of.ring, of.outputs);
            let mut packed = Zeroizing::new(vec![0; row * count]);
            for groups in steps(layout.groups(), per_group) {
                let places = groups.start * per_group * width..groups.end * per_group * width;
                let rows = &answer.layers[stage][places];
                let plaintexts = self.key.decrypt(&Ciphertexts::from_bytes(public, rows)?);
                done += plaintexts.len();
                for (group, of_group) in groups.zip(plaintexts.chunks(per_group)) {
                    let images = layout.images_of(group);
                    let values = shares(of_group, &layout, images.len())?;
                    let place = &mut packed[images.start * row..images.end * row];
                    place
                        .par_chunks_mut(row)
                        .zip(values.par_iter())
                        .for_each(|(row, values)| bits::pack(of.ring, values.iter().copied(), row));
                }
                progress(done, all);
            }
            u.push(packed);
        }
        let material = ClientMaterial {
            batch: asked.batch,
            seed: asked.seed,
            u,
        };
        self.store.answered(material, &self.profile)
    }
}

/// The low 64 bits of every slot of a group's results: a vector a prediction.
fn shares(
    plaintexts: &[Plaintext],
    layout: &StageLayout,
    images: usize,
) -> Result<Rows, MaskedError> {
    let slots: Result<Vec<_>, _> = plaintexts
        .par_iter()
        .map(|plaintext| unpack_unsigned(plaintext, layout.slots(), images))
        .collect();
    let slots = slots?;
    let of_image = |image: usize| slots.iter().map(|of| of[image] as u64).collect();
    Ok(Zeroizing::new((0..images).map(of_image).collect()))
}

/// Runs of groups with about [`AT_ONCE`] ciphertexts each.
fn steps(groups: usize, per_group: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let step = (AT_ONCE / per_group).max(1);
    (0..groups)
        .step_by(step)
        .map(move |first| first..(first + step).min(groups))
}

/// The masks s of a group's predictions and what covers their carries, as the
/// digits that the server adds: a vector a prediction.
pub(super) fn covers(
    seed: &Seed,
    stage: usize,
    width: &Width,
    (values, offset): (u128, u128),
    images: std::ops::Range<usize>,
) -> Zeroizing<Vec<Vec<u128>>> {
    let of_prediction = |index| {
        let mut digits = vec![0u128; width.outputs];
        let mut scratch = Zeroizing::new(Vec::new());
        let place = (stage, index);
        seed.elements(width.ring, place, width.outputs, &mut scratch, |i, s| {
            digits[i] = u128::from(s);
        });
        let mut stream = seed.stream(Purpose::Cover, stage, index);
        for digit in &mut digits {
            let mut t = below(values, &mut stream);
            *digit += (offset + t) << width.ring.bits();
            t.zeroize();
        }
        digits
    };
    Zeroizing::new(images.into_par_iter().map(of_prediction).collect())
}

/// A uniform number below `end`.
fn below(end: u128, rng: &mut impl rand::Rng) -> u128 {
    let mask = u128::MAX >> (end - 1).leading_zeros().min(127);
    loop {
        let drawn = (u128::from(rng.next_u64()) | (u128::from(rng.next_u64()) << 64)) & mask;
        if drawn < end {
            return drawn;
        }
    }
}
