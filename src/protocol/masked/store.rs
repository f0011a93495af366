//! Prepared material on disk, consumed once.
//!
//! A store is a folder of one side. Every batch is two files: its material,
//! written once and never changed, and its ledger, in which places are marked
//! before they are used. All looking and marking happens under the folder's
//! lock. So, whatever moment a process ends at, and whatever other processes
//! do: a place whose mark is not on the disk has not been used, and a place
//! whose mark is there is not used again, at worst not at all.
//!
//! A batch enters ledger first: a ledger without material is nothing, material
//! without its ledger counts as used up. When all of a batch is used its
//! material is deleted; the ledger stays, so that the batch cannot come again.
//!
//! Do not copy or restore a store: an old copy does not know what was used
//! since. Both sides would refuse nothing, and masks would be used twice.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    file::{
        atomic::{Mode, Overwrite, write_atomic},
        container::unhex,
        input,
    },
    mpc::ledger::{FolderLock, Ledger, Subject},
    network::Profile,
    paillier::Fingerprint,
};

use super::{
    Batch, BatchId, MAX_FILE, MaskedError, Segment,
    error::short,
    material::{Asked, ClientMaterial, Secret, ServerMaterial},
};

/// Batches whose material is kept in memory.
const KEPT: usize = 16;

/// Material of either side.
pub(super) trait Material: Sized + Send + Sync {
    /// Part of the names of its files, so that both sides may share a folder.
    const SIDE: &str;
    fn read(bytes: &[u8]) -> Result<Self, MaskedError>;
    fn write(&self) -> Secret;
    fn batch(&self) -> &Batch;
    /// Rows of the ledger for a network of `layers` layers.
    fn rows(layers: usize) -> usize;
}

impl Material for ClientMaterial {
    const SIDE: &str = "client";
    fn read(bytes: &[u8]) -> Result<ClientMaterial, MaskedError> {
        ClientMaterial::from_bytes(bytes)
    }
    fn write(&self) -> Secret {
        self.to_bytes()
    }
    fn batch(&self) -> &Batch {
        &self.batch
    }
    /// One more: predictions that are done.
    fn rows(layers: usize) -> usize {
        layers + 1
    }
}

impl Material for ServerMaterial {
    const SIDE: &str = "server";
    fn read(bytes: &[u8]) -> Result<ServerMaterial, MaskedError> {
        ServerMaterial::from_bytes(bytes)
    }
    fn write(&self) -> Secret {
        self.to_bytes()
    }
    fn batch(&self) -> &Batch {
        &self.batch
    }
    fn rows(layers: usize) -> usize {
        layers
    }
}

/// A folder of one side's material.
pub(super) struct Store<M> {
    folder: PathBuf,
    kept: Mutex<HashMap<BatchId, Arc<M>>>,
}

impl<M: Material> Store<M> {
    /// The store in `folder`.
    ///
    /// # Errors
    ///
    /// If there is no such folder, and it may not or cannot be made.
    pub(super) fn open(folder: &Path, create: bool) -> Result<Store<M>, MaskedError> {
        let store = Store {
            folder: folder.to_path_buf(),
            kept: Mutex::default(),
        };
        if !folder.is_dir() {
            if !create {
                return Err(store.problem("there is no such store; make one with `pdnn prepare`"));
            }
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder
                .create(folder)
                .map_err(|error| store.problem(&format!("cannot make this folder: {error}")))?;
        }
        Ok(store)
    }

    fn problem(&self, problem: &str) -> MaskedError {
        MaskedError::Store {
            store: self.name(),
            problem: problem.to_string(),
        }
    }

    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn path(&self, batch: BatchId, end: &str) -> PathBuf {
        self.folder.join(format!("{batch}.{}.{end}", M::SIDE))
    }

    pub(super) fn no_batch(&self, batch: BatchId) -> MaskedError {
        MaskedError::NoBatch {
            store: self.name(),
            batch: batch.to_string(),
        }
    }

    fn lock(&self) -> Result<FolderLock, MaskedError> {
        Ok(FolderLock::take(&self.folder)?)
    }

    fn read(&self, path: &Path) -> Result<Secret, MaskedError> {
        input::read_all(path, MAX_FILE)
            .map(Secret::new)
            .map_err(|source| MaskedError::Read {
                path: path.display().to_string(),
                source,
            })
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), MaskedError> {
        write_atomic(path, bytes, Overwrite::Never, Mode::Private).map_err(|source| {
            MaskedError::Write {
                path: path.display().to_string(),
                source,
            }
        })
    }

    /// The material of a batch.
    pub(super) fn material(&self, batch: BatchId) -> Result<Arc<M>, MaskedError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(material) = kept.get(&batch) {
            return Ok(Arc::clone(material));
        }
        let path = self.path(batch, "material");
        if !path.is_file() {
            return Err(self.no_batch(batch));
        }
        let material = M::read(&self.read(&path)?)
            .map_err(|error| self.problem(&format!("{}: {error}", path.display())))?;
        if material.batch().id != batch {
            return Err(self.problem(&format!("{batch}.material is of another batch")));
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let material = Arc::new(material);
        kept.insert(batch, Arc::clone(&material));
        Ok(material)
    }

    /// The material of a batch if it is there.
    ///
    /// # Errors
    ///
    /// [`MaskedError::BatchExists`] if it was here and is used up.
    pub(super) fn find(&self, batch: BatchId) -> Result<Option<Arc<M>>, MaskedError> {
        let lock = self.lock()?;
        if self.path(batch, "material").is_file() {
            return self.material(batch).map(Some);
        }
        if self.path(batch, "used").is_file() && !untouched(&self.ledger(&lock, batch)?) {
            return Err(self.exists(batch));
        }
        Ok(None)
    }

    pub(super) fn exists(&self, batch: BatchId) -> MaskedError {
        MaskedError::BatchExists {
            store: self.name(),
            batch: batch.to_string(),
        }
    }

    /// Adds a batch with all places unused.
    ///
    /// # Errors
    ///
    /// [`MaskedError::BatchExists`] if it was here before, used up or not.
    pub(super) fn add(&self, material: M, layers: usize) -> Result<(), MaskedError> {
        let lock = self.lock()?;
        let (id, count) = (material.batch().id, material.batch().count);
        let (ledger, path) = (self.path(id, "used"), self.path(id, "material"));
        if path.exists() {
            return Err(self.exists(id));
        }
        if ledger.exists() {
            // Left by a process that ended here, or all that is left of a batch
            // that was used up.
            let ledger = Ledger::open(&lock, &ledger, id.0)?;
            let fits = ledger.rows() == M::rows(layers) && ledger.count() == count;
            if !fits || !untouched(&ledger) {
                return Err(self.exists(id));
            }
        } else {
            let subject = Subject {
                batch: id.0,
                key: *material.batch().key.as_bytes(),
                purpose: material.batch().network,
            };
            Ledger::create(&lock, &ledger, subject, M::rows(layers), count)?;
        }
        self.put(&path, &material.write())?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(id, Arc::new(material));
        Ok(())
    }

    fn ledger(&self, lock: &FolderLock, batch: BatchId) -> Result<Ledger, MaskedError> {
        let path = self.path(batch, "used");
        if !path.is_file() {
            // Which places are used is not known, so none is free.
            return Err(self.no_batch(batch));
        }
        Ok(Ledger::open(lock, &path, batch.0)?)
    }

    /// Marks `segments` used for row `row`; when this returns the marks are on
    /// the disk.
    ///
    /// # Errors
    ///
    /// If a place is marked already, or not a place of its batch; then no
    /// segment of that batch is marked.
    pub(super) fn mark(&self, row: usize, segments: &[Segment]) -> Result<(), MaskedError> {
        let lock = self.lock()?;
        let mut batches: Vec<BatchId> = segments.iter().map(|s| s.batch).collect();
        batches.sort_unstable();
        batches.dedup();
        let mut marks = Vec::new();
        for &batch in &batches {
            let ledger = self.ledger(&lock, batch)?;
            let of_batch = segments.iter().filter(|s| s.batch == batch);
            let runs: Vec<_> = of_batch.map(|s| s.indices.clone()).collect();
            if row >= ledger.rows() || runs.iter().any(|run| run.end > ledger.count()) {
                return Err(self.no_batch(batch));
            }
            // All batches are looked at before any is marked.
            let used = runs.iter().cloned().flatten();
            if let Some(index) = used.into_iter().find(|&index| ledger.is_marked(row, index)) {
                return Err(crate::mpc::ledger::LedgerError::Used { row, index }.into());
            }
            marks.push((ledger, runs));
        }
        for (mut ledger, runs) in marks {
            ledger.mark(&lock, row, &runs)?;
        }
        Ok(())
    }

    /// Whether all of `segments` is marked in row `row`.
    pub(super) fn is_marked(&self, row: usize, segment: &Segment) -> Result<bool, MaskedError> {
        let lock = self.lock()?;
        let ledger = self.ledger(&lock, segment.batch)?;
        if row >= ledger.rows() || segment.indices.end > ledger.count() {
            return Ok(false);
        }
        Ok(segment
            .indices
            .clone()
            .all(|index| ledger.is_marked(row, index)))
    }

    /// Deletes the material of batches of `segments` whose row `row`, the last,
    /// is marked throughout.
    pub(super) fn retire(&self, row: usize, segments: &[Segment]) -> Result<(), MaskedError> {
        let lock = self.lock()?;
        for segment in segments {
            if self.ledger(&lock, segment.batch)?.free(row) > 0 {
                continue;
            }
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.remove(&segment.batch);
            match fs::remove_file(self.path(segment.batch, "material")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.problem(&format!("cannot delete used material: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Batches that have material, in the order of their names.
    fn batches(&self) -> Result<Vec<BatchId>, MaskedError> {
        let entries = fs::read_dir(&self.folder)
            .map_err(|error| self.problem(&format!("cannot read this folder: {error}")))?;
        let mut batches: Vec<BatchId> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let name = name.to_str()?.strip_suffix(".material")?;
                let id = name.strip_suffix(M::SIDE)?.strip_suffix('.')?;
                Some(BatchId(unhex(id)?))
            })
            .collect();
        batches.sort_unstable();
        Ok(batches)
    }

    /// The ledgers of batches with unused places: those under `key` and for
    /// `network`, as far as they are needed for `wanted` predictions, and how
    /// many others there are in the ones looked at, with the first of them.
    fn with_free(
        &self,
        lock: &FolderLock,
        (key, network): (Fingerprint, &[u8; 32]),
        wanted: usize,
    ) -> Result<Free, MaskedError> {
        let mut free = Free::default();
        for batch in self.batches()? {
            let ledger = match self.ledger(lock, batch) {
                // Material without its ledger counts as used up.
                Err(MaskedError::NoBatch { .. }) => continue,
                ledger => ledger?,
            };
            let here = ledger.free(0);
            let subject = *ledger.subject();
            if here == 0 {
                continue;
            }
            if subject.key != *key.as_bytes() || subject.purpose != *network {
                free.others += here;
                free.other.get_or_insert(subject);
                continue;
            }
            free.left += here;
            free.ours.push((batch, ledger));
            if free.left >= wanted {
                break;
            }
        }
        Ok(free)
    }

    /// How many predictions the store has unused masks for, under `key` and for
    /// the network of `profile`.
    pub(super) fn left(&self, key: Fingerprint, network: &[u8; 32]) -> Result<usize, MaskedError> {
        let lock = self.lock()?;
        Ok(self.with_free(&lock, (key, network), usize::MAX)?.left)
    }

    /// Takes `count` unused predictions: marks them in row 0, on the disk when
    /// this returns.
    ///
    /// # Errors
    ///
    /// [`MaskedError::Short`], [`MaskedError::OtherStore`]; then nothing is
    /// marked.
    pub(super) fn claim(
        &self,
        key: Fingerprint,
        network: &[u8; 32],
        count: usize,
    ) -> Result<Vec<Segment>, MaskedError> {
        let lock = self.lock()?;
        let free = self.with_free(&lock, (key, network), count)?;
        if let (0, Some(other)) = (free.left, &free.other) {
            let pair = |key: &[u8], network: &[u8]| {
                format!("key {}, network {}", short(key), short(network))
            };
            return Err(MaskedError::OtherStore {
                store: self.name(),
                others: free.others,
                found: pair(&other.key, &other.purpose),
                expected: pair(key.as_bytes(), network),
            });
        }
        if free.left < count {
            return Err(MaskedError::Short {
                store: self.name(),
                left: free.left,
                needed: count,
            });
        }
        let (mut segments, mut wanted) = (Vec::new(), count);
        for (batch, mut ledger) in free.ours {
            // Read before it is marked: damaged material costs no mask.
            self.material(batch)?;
            let runs = ledger.first_free(0, wanted);
            ledger.mark(&lock, 0, &runs)?;
            wanted -= runs.iter().map(ExactSizeIterator::len).sum::<usize>();
            segments.extend(runs.into_iter().map(|indices| Segment { batch, indices }));
        }
        Ok(segments)
    }
}

/// Unused places.
#[derive(Default)]
struct Free {
    ours: Vec<(BatchId, Ledger)>,
    left: usize,
    others: usize,
    other: Option<Subject>,
}

/// Whether nothing of a batch is used.
fn untouched(ledger: &Ledger) -> bool {
    (0..ledger.rows()).all(|row| ledger.free(row) == ledger.count())
}

impl Store<ClientMaterial> {
    /// Keeps a request until its answer comes.
    pub(super) fn ask(&self, asked: &Asked) -> Result<(), MaskedError> {
        self.put(&self.path(asked.batch.id, "asked"), &asked.to_bytes())
    }

    /// The request with the number `batch`, if it was made here and is not
    /// answered yet.
    pub(super) fn asked(&self, batch: BatchId, key_bits: u32) -> Result<Asked, MaskedError> {
        let path = self.path(batch, "asked");
        if !path.is_file() {
            return Err(self.no_batch(batch));
        }
        let asked = Asked::from_bytes(&self.read(&path)?, key_bits)?;
        if asked.batch.id != batch {
            return Err(self.problem(&format!("{batch}.asked is of another batch")));
        }
        Ok(asked)
    }

    /// Whether the answer to a request is in.
    pub(super) fn has(&self, batch: BatchId) -> bool {
        self.path(batch, "used").is_file() && !self.path(batch, "asked").is_file()
    }

    /// Adds the batch that was asked for, and forgets the request.
    pub(super) fn answered(
        &self,
        material: ClientMaterial,
        profile: &Profile,
    ) -> Result<(), MaskedError> {
        let id = material.batch.id;
        match self.add(material, profile.stages.len()) {
            Ok(()) => {}
            // A process ended between adding and forgetting.
            Err(MaskedError::BatchExists { .. }) => {}
            Err(error) => return Err(error),
        }
        fs::remove_file(self.path(id, "asked"))
            .map_err(|error| self.problem(&format!("cannot delete the request: {error}")))
    }
}
