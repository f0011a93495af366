//! The folder, and who gets which of its randomisers.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use rand::{CryptoRng, RngExt};
use zeroize::Zeroizing;

use crate::{
    file::{
        atomic::{Mode, Overwrite, write_atomic},
        container::{hex, unhex},
    },
    mpc::ledger::{FolderLock, Ledger, Subject},
    paillier::{Ciphertexts, PublicKey, Randomise, Randomisers, Stock},
};

use super::{
    Origin, StoreError,
    batch::{Batch, Draft, FAMILY, Id, io_error},
};

/// Randomisers of a batch at most: few enough that an interruption costs little
/// and used space is freed soon, enough that marks are small beside them.
pub(super) const BATCH: usize = 4096;

/// Randomisers that are made in one go: enough for every core and lane.
const AT_ONCE: usize = 512;

/// What the names of a batch's two files end in.
const MATERIAL: &str = "randomisers";
const LEDGER: &str = "used";

/// A folder of randomisers made ahead.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What the randomisers are for; `None` if all are used up.
    pub origin: Option<Origin>,
    /// How many can still be taken.
    pub left: usize,
    /// Batches that are not used up.
    pub batches: usize,
    /// Bytes that these take on disk, used places included.
    pub bytes: u64,
}

/// A batch and its marks.
struct Open {
    batch: Batch,
    ledger: Ledger,
}

impl Store {
    /// The store in `folder`.
    ///
    /// # Errors
    ///
    /// No such folder, or one that holds something else.
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        let store = Store {
            folder: folder.to_path_buf(),
        };
        if !folder.exists() {
            return Err(StoreError::Missing {
                store: store.name(),
            });
        }
        if !folder.is_dir() || !is_store(&store.names()?) {
            return Err(StoreError::NoStore {
                store: store.name(),
            });
        }
        Ok(store)
    }

    /// The store in `folder`, made if there is no such folder or nothing is in
    /// it.
    ///
    /// # Errors
    ///
    /// A folder that holds something else, or that cannot be made.
    pub fn create(folder: &Path) -> Result<Store, StoreError> {
        if !folder.exists() {
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => StoreError::NoParent {
                    store: folder.display().to_string(),
                },
                _ => io_error(folder)(error),
            })?;
        }
        let store = Store {
            folder: folder.to_path_buf(),
        };
        if folder.is_dir() && store.names()?.is_empty() {
            // The lock's file tells from now on what the folder is.
            drop(store.lock()?);
        }
        Store::open(folder)
    }

    /// Whether a folder looks like a store, for a program that is handed any
    /// folder.
    pub fn is_at(folder: &Path) -> bool {
        Store::open(folder).is_ok()
    }

    /// Whether bytes are those of a file in a store.
    pub fn owns(bytes: &[u8]) -> bool {
        bytes.starts_with(FAMILY)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// A damaged file, or one that cannot be read.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        let lock = self.lock()?;
        let mut contents = Contents {
            origin: None,
            left: 0,
            batches: 0,
            bytes: 0,
        };
        for id in self.batches()? {
            let Some(Open { batch, ledger }) = self.batch(&lock, id)? else {
                continue;
            };
            contents.origin.get_or_insert(*batch.origin());
            contents.left += ledger.free(0);
            contents.batches += 1;
            contents.bytes += batch.bytes();
        }
        Ok(contents)
    }

    /// Checks that the store's randomisers, if it has any, are for `key`.
    ///
    /// # Errors
    ///
    /// [`StoreError::OtherKey`], [`StoreError::OtherScheme`]; a damaged file.
    pub fn expect(&self, key: &PublicKey) -> Result<(), StoreError> {
        let lock = self.lock()?;
        self.expect_under(&lock, key)
    }

    fn expect_under(&self, lock: &FolderLock, key: &PublicKey) -> Result<(), StoreError> {
        for id in self.batches()? {
            if let Some(open) = self.batch(lock, id)? {
                return self.check(open.batch.origin(), key);
            }
        }
        Ok(())
    }

    /// Makes `count` more randomisers with `by` and adds them, a batch at a
    /// time: whatever ends the process, the batches before stay. `progress` is
    /// called with how many are made and how many will be.
    ///
    /// # Errors
    ///
    /// A store that holds randomisers of another key; a full disk.
    pub fn fill<E: Randomise>(
        &self,
        by: &E,
        count: usize,
        rng: &mut impl CryptoRng,
        progress: &dyn Fn(usize, usize),
    ) -> Result<(), StoreError> {
        self.expect(by.public())?;
        let origin = Origin::of(by.public());
        let mut made = 0;
        while made < count {
            let mut draft = Draft::new(&origin, rng.random(), BATCH.min(count - made));
            while draft.missing() > 0 {
                draft.push(&by.randomisers(draft.missing().min(AT_ONCE), rng));
                progress(made + draft.count() - draft.missing(), count);
            }
            self.add(&draft, by.public())?;
            made += draft.count();
        }
        Ok(())
    }

    /// Adds a batch, on the disk when this returns.
    fn add(&self, draft: &Draft, key: &PublicKey) -> Result<(), StoreError> {
        let lock = self.lock()?;
        self.expect_under(&lock, key)?;
        self.sweep(&lock)?;
        let origin = Origin::of(key);
        let subject = Subject {
            batch: draft.id(),
            key: *origin.key.as_bytes(),
            purpose: origin.generators,
        };
        let ledger = self.path(draft.id(), LEDGER);
        Ledger::create(&lock, &ledger, subject, 1, draft.count())?;
        let path = self.path(draft.id(), MATERIAL);
        let written = write_atomic(&path, draft.bytes(), Overwrite::Never, Mode::Private);
        written.map_err(|source| {
            // Of no use by itself; the next batch would sweep it away as well.
            let _ = fs::remove_file(ledger);
            StoreError::Write {
                path: path.display().to_string(),
                source,
            }
        })
    }

    /// Takes `count` randomisers for `key` out of the store, or all that are
    /// left. They are marked used on the disk before this returns, and nobody
    /// gets them again.
    ///
    /// # Errors
    ///
    /// Randomisers of another key, a damaged file; then nothing was taken. If
    /// the disk fails later, some may be marked used that nobody got.
    pub fn take(&self, key: &PublicKey, count: usize) -> Result<Randomisers, StoreError> {
        if count == 0 {
            return Ok(Randomisers::empty(key));
        }
        let lock = self.lock()?;
        let (mut taken, mut wanted) = (Vec::new(), count);
        for id in self.batches()? {
            let Some(open) = self.batch(&lock, id)? else {
                continue;
            };
            self.check(open.batch.origin(), key)?;
            let runs = open.ledger.first_free(0, wanted);
            wanted -= runs.iter().map(ExactSizeIterator::len).sum::<usize>();
            taken.push((id, open, runs));
            if wanted == 0 {
                break;
            }
        }
        // Read before anything is marked: a damaged file costs nothing. In one
        // allocation: growing would leave a copy behind.
        let bytes = (count - wanted) * Ciphertexts::width(key);
        let mut rows = Zeroizing::new(Vec::with_capacity(bytes));
        for (_, open, runs) in &mut taken {
            for run in runs.iter() {
                open.batch.read(run.clone(), &mut rows)?;
            }
        }
        let randomisers = Randomisers::from_bytes(key, &rows).map_err(|_| StoreError::Damaged {
            path: self.name(),
            what: "numbers that are no randomisers of its key",
        })?;
        for (_, open, runs) in &mut taken {
            open.ledger.mark(&lock, 0, runs)?;
        }
        for (id, open, runs) in &mut taken {
            for run in runs.iter() {
                open.batch.erase(run.clone())?;
            }
            if open.ledger.free(0) == 0 {
                self.retire(*id, open)?;
            }
        }
        Ok(randomisers)
    }

    /// Deletes a batch that is used up.
    fn retire(&self, id: Id, open: &mut Open) -> Result<(), StoreError> {
        // All of it: whoever took a part may have ended before erasing it. And
        // a file that is deleted before its zeros are written out keeps the old
        // bytes on the disk.
        open.batch.erase(0..open.batch.count())?;
        open.batch.sync()?;
        // In this order: a batch without its ledger counts as used up.
        for end in [MATERIAL, LEDGER] {
            let path = self.path(id, end);
            fs::remove_file(&path).map_err(io_error(&path))?;
        }
        Ok(())
    }

    /// Deletes what processes left that ended while they added or retired a
    /// batch. Whoever else writes here holds the lock.
    fn sweep(&self, _lock: &FolderLock) -> Result<(), StoreError> {
        for name in self.names()? {
            let orphan = match of_batch(&name, LEDGER) {
                Some(id) => !self.path(id, MATERIAL).exists(),
                None => is_partial(&name),
            };
            if orphan {
                let path = self.folder.join(&name);
                fs::remove_file(&path).map_err(io_error(&path))?;
            }
        }
        Ok(())
    }

    /// A batch with its ledger; `None` without a ledger, for then it is not
    /// known what of it is used.
    fn batch(&self, lock: &FolderLock, id: Id) -> Result<Option<Open>, StoreError> {
        let path = self.path(id, LEDGER);
        if !path.exists() {
            return Ok(None);
        }
        let ledger = Ledger::open(lock, &path, id)?;
        let batch = Batch::open(&self.path(id, MATERIAL), id)?;
        let (subject, origin) = (ledger.subject(), batch.origin());
        let same = subject.key == *origin.key.as_bytes()
            && subject.purpose == origin.generators
            && (ledger.rows(), ledger.count()) == (1, batch.count());
        if !same {
            return Err(StoreError::Damaged {
                path: self.path(id, MATERIAL).display().to_string(),
                what: "its ledger is of another batch",
            });
        }
        Ok(Some(Open { batch, ledger }))
    }

    fn check(&self, found: &Origin, key: &PublicKey) -> Result<(), StoreError> {
        let expected = Origin::of(key);
        let short = |origin: &Origin| hex(&origin.key.as_bytes()[..8]);
        if found.key != expected.key || found.bits != expected.bits {
            return Err(StoreError::OtherKey {
                store: self.name(),
                found: short(found),
                expected: short(&expected),
            });
        }
        if *found != expected {
            return Err(StoreError::OtherScheme {
                store: self.name(),
                found: found.scheme,
                expected: expected.scheme,
            });
        }
        Ok(())
    }

    fn lock(&self) -> Result<FolderLock, StoreError> {
        Ok(FolderLock::take(&self.folder)?)
    }

    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn path(&self, id: Id, end: &str) -> PathBuf {
        self.folder.join(format!("{}.{end}", hex(&id)))
    }

    /// Batches that have randomisers, in the order of their numbers.
    fn batches(&self) -> Result<Vec<Id>, StoreError> {
        let names = self.names()?;
        let mut batches: Vec<Id> = names.iter().filter_map(|n| of_batch(n, MATERIAL)).collect();
        batches.sort_unstable();
        Ok(batches)
    }

    /// Names of the files in the folder.
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = fs::read_dir(&self.folder).map_err(io_error(&self.folder))?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, std::io::Error>>()
            .map_err(io_error(&self.folder))
    }
}

impl Stock for Store {
    fn take(
        &self,
        key: &PublicKey,
        most: usize,
    ) -> Result<Randomisers, Box<dyn Error + Send + Sync>> {
        Ok(Store::take(self, key, most)?)
    }
}

/// The batch of a file whose name ends in `end`.
fn of_batch(name: &str, end: &str) -> Option<Id> {
    unhex(name.strip_suffix(end)?.strip_suffix('.')?)
}

/// Whether a name is that of a file that was not finished.
fn is_partial(name: &str) -> bool {
    name.starts_with(".pdnn-") && name.ends_with(".part")
}

/// Whether names are those of a store: its lock, and batches if there is
/// anything else but the hidden files that file managers leave everywhere.
fn is_store(names: &[String]) -> bool {
    let lock = |name: &String| name == "lock";
    let ours = |name: &String| {
        of_batch(name, MATERIAL).is_some() || of_batch(name, LEDGER).is_some() || is_partial(name)
    };
    names.iter().any(lock)
        && (names.iter().all(|name| lock(name) || name.starts_with('.')) || names.iter().any(ours))
}
