//! A batch of randomisers in a file.
//!
//! ```text
//! "pdnn powers 1\n\0\0" 16 │ batch 16 │ key 32 │ generators 32 │ bits u32 │ scheme u32 │
//! count u64 │ SHA-256 of the 112 bytes before, its first 16 │ record 0 │ record 1 │ …
//! record: ρ, big-endian, as wide as a ciphertext │ SHA-256 of batch, index (u64) and ρ,
//!         its first 16; all zeros once it was given out
//! ```
//!
//! Integers are little-endian but for ρ. A digest a record, so that a few can be
//! read, and erased, without the others.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::paillier::{Ciphertexts, Fingerprint, MAX_BITS, PublicKey, Randomisers, Scheme};

use super::StoreError;

const MAGIC: &[u8; 16] = b"pdnn powers 1\n\0\0";
/// What the magic of every version begins with.
pub(super) const FAMILY: &[u8] = b"pdnn powers ";
const HEADER: usize = 128;
const TAG: usize = 16;
/// More than any batch has: a hostile header takes no memory.
const MOST: u64 = 1 << 24;

/// A batch's number, drawn at random.
pub(super) type Id = [u8; 16];

/// What randomisers were drawn for: a key, and what it draws them from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The key's fingerprint.
    pub key: Fingerprint,
    /// Bits of its n.
    pub bits: u32,
    /// Its scheme.
    pub scheme: Scheme,
    /// SHA-256 of h_s, of nothing where there is none.
    pub generators: [u8; 32],
}

impl Origin {
    /// What randomisers for `key` are drawn for.
    pub fn of(key: &PublicKey) -> Origin {
        let h_s = key.h_s().map(|h_s| h_s.to_bytes_be());
        Origin {
            key: key.fingerprint(),
            bits: key.bits(),
            scheme: key.scheme(),
            generators: Sha256::digest(h_s.unwrap_or_default()).into(),
        }
    }

    /// Bytes of a randomiser.
    fn width(&self) -> usize {
        (2 * self.bits as usize).div_ceil(8)
    }

    fn record(&self) -> usize {
        self.width() + TAG
    }
}

/// A batch being made.
pub(super) struct Draft {
    id: Id,
    count: usize,
    record: usize,
    bytes: Zeroizing<Vec<u8>>,
}

impl Draft {
    /// A batch of `count` randomisers, none of which is there yet.
    pub(super) fn new(origin: &Origin, id: Id, count: usize) -> Draft {
        // Never grown: that would leave a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + count * origin.record()));
        bytes.extend_from_slice(&header(id, origin, count));
        Draft {
            id,
            count,
            record: origin.record(),
            bytes,
        }
    }

    /// How many are missing.
    pub(super) fn missing(&self) -> usize {
        self.count - (self.bytes.len() - HEADER) / self.record
    }

    /// Adds randomisers.
    ///
    /// # Panics
    ///
    /// If they are more than are missing.
    pub(super) fn push(&mut self, randomisers: &Randomisers) {
        let index = self.count - self.missing();
        assert!(index + randomisers.len() <= self.count, "a full batch");
        let width = Ciphertexts::width(randomisers.key());
        for (i, row) in randomisers.to_bytes().chunks_exact(width).enumerate() {
            self.bytes.extend_from_slice(row);
            self.bytes.extend_from_slice(&tag(self.id, index + i, row));
        }
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The file.
    ///
    /// # Panics
    ///
    /// If any are missing.
    pub(super) fn bytes(&self) -> &[u8] {
        assert_eq!(self.missing(), 0, "a batch that is not full");
        &self.bytes
    }
}

/// A batch's file.
pub(super) struct Batch {
    file: File,
    path: PathBuf,
    id: Id,
    origin: Origin,
    count: usize,
}

impl Batch {
    /// Opens the file of batch `id` and checks all but the records themselves.
    ///
    /// # Errors
    ///
    /// A file that is no such batch, of another version, cut short or padded.
    pub(super) fn open(path: &Path, id: Id) -> Result<Batch, StoreError> {
        let damaged = |what| StoreError::Damaged {
            path: path.display().to_string(),
            what,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io_error(path))?;
        let mut head = [0; HEADER];
        file.read_exact(&mut head)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => damaged("shorter than its header"),
                _ => io_error(path)(error),
            })?;
        if head[..16] != MAGIC[..] {
            let Some(version) = head[..16].strip_prefix(FAMILY) else {
                return Err(damaged("no batch of randomisers"));
            };
            let digits = version.iter().take_while(|byte| byte.is_ascii_digit());
            return Err(StoreError::Version {
                path: path.display().to_string(),
                found: digits.map(|&byte| char::from(byte)).collect(),
            });
        }
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("4 bytes"));
        let count = u64::from_le_bytes(head[104..112].try_into().expect("8 bytes"));
        let (bits, scheme) = (word(96), scheme_of(word(100)));
        let (Some(scheme), true) = (scheme, bits <= MAX_BITS && count <= MOST) else {
            return Err(damaged("a header without sense"));
        };
        let found = head[16..32].try_into().expect("16 bytes");
        let origin = Origin {
            key: Fingerprint::from_bytes(head[32..64].try_into().expect("32 bytes")),
            bits,
            scheme,
            generators: head[64..96].try_into().expect("32 bytes"),
        };
        let count = count as usize;
        if head != header(found, &origin, count) {
            return Err(damaged("its header's digest does not match"));
        }
        if found != id {
            return Err(damaged("another batch"));
        }
        let length = file.metadata().map_err(io_error(path))?.len();
        if length != (HEADER + count * origin.record()) as u64 {
            return Err(damaged("not as long as its header says"));
        }
        Ok(Batch {
            file,
            path: path.to_path_buf(),
            id,
            origin,
            count,
        })
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> u64 {
        (HEADER + self.count * self.origin.record()) as u64
    }

    /// Appends the randomisers of `run` to `rows`, which has room for them.
    ///
    /// # Errors
    ///
    /// A record that is not what was written.
    pub(super) fn read(&mut self, run: Range<usize>, rows: &mut Vec<u8>) -> Result<(), StoreError> {
        let (record, width) = (self.origin.record(), self.origin.width());
        let mut bytes = Zeroizing::new(vec![0; run.len() * record]);
        self.seek(run.start)
            .and_then(|()| self.file.read_exact(&mut bytes))
            .map_err(io_error(&self.path))?;
        for (index, record) in run.zip(bytes.chunks_exact(record)) {
            let (row, found) = record.split_at(width);
            if tag(self.id, index, row) != found {
                return Err(StoreError::Damaged {
                    path: self.path.display().to_string(),
                    what: "a record's digest does not match",
                });
            }
            rows.extend_from_slice(row);
        }
        Ok(())
    }

    /// Overwrites the records of `run` with zeros.
    pub(super) fn erase(&mut self, run: Range<usize>) -> Result<(), StoreError> {
        let zeros = vec![0; run.len() * self.origin.record()];
        self.seek(run.start)
            .and_then(|()| self.file.write_all(&zeros))
            .map_err(io_error(&self.path))
    }

    /// Returns when all that was erased is erased on the disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(io_error(&self.path))
    }

    fn seek(&mut self, index: usize) -> io::Result<()> {
        let at = HEADER + index * self.origin.record();
        self.file.seek(SeekFrom::Start(at as u64)).map(drop)
    }
}

pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    |source| StoreError::Io {
        path: path.display().to_string(),
        source,
    }
}

fn tag(id: Id, index: usize, row: &[u8]) -> [u8; TAG] {
    let mut hasher = Sha256::new();
    hasher.update(id);
    hasher.update((index as u64).to_le_bytes());
    hasher.update(row);
    hasher.finalize()[..TAG].try_into().expect("16 of 32 bytes")
}

/// The schemes by their numbers in a header.
const SCHEMES: [Scheme; 3] = [Scheme::Uniform, Scheme::Djn, Scheme::Subgroup];

fn scheme_of(number: u32) -> Option<Scheme> {
    SCHEMES.get(number as usize).copied()
}

fn header(id: Id, origin: &Origin, count: usize) -> [u8; HEADER] {
    let scheme = SCHEMES.iter().position(|&scheme| scheme == origin.scheme);
    let mut head = [0; HEADER];
    head[..16].copy_from_slice(MAGIC);
    head[16..32].copy_from_slice(&id);
    head[32..64].copy_from_slice(origin.key.as_bytes());
    head[64..96].copy_from_slice(&origin.generators);
    head[96..100].copy_from_slice(&origin.bits.to_le_bytes());
    head[100..104].copy_from_slice(&(scheme.expect("all are listed") as u32).to_le_bytes());
    head[104..112].copy_from_slice(&(count as u64).to_le_bytes());
    let digest = Sha256::digest(&head[..112]);
    head[112..].copy_from_slice(&digest[..16]);
    head
}
