//! Marks on disk: what was used once is not used again.
//!
//! A ledger is a small file beside one batch of masks or randomisers: a bit for
//! every (row, index), 0 while that one is unused. A mark is on the disk
//! (`fdatasync`) before what it stands for is used, so whatever ends the
//! process, it is either marked or was never used. Bits only go from 0 to 1: a write that is cut
//! short marks fewer, none of which was used.
//!
//! All reading and marking happens under the folder's lock ([`FolderLock`],
//! `flock` on the file `lock`): the system releases it when its holder ends, by
//! whatever end. Processes that race take turns.
//!
//! ```text
//! "pdnn marks 1\n\0\0\0" 16 │ batch 16 │ key 32 │ purpose 32 │ rows u64 │ count
//! u64 │ SHA-256 of the 112 bytes before, its first 16 │ row 0: ⌈count/8⌉ bytes │
//! row 1 │ …
//! ```
//!
//! Restoring an old copy of a ledger would forget marks; nothing on the same
//! disk can prevent that. Marks carry no digest: a disk that turns a 1 into a 0
//! frees a place unnoticed, and then only the other side's ledger refuses it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

const MAGIC: &[u8; 16] = b"pdnn marks 1\n\0\0\0";
const HEADER: usize = 128;
/// More indices or rows than any batch has: a hostile header takes no memory.
const MOST: u64 = 1 << 24;

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The file is no ledger, is cut short or damaged, or of another batch.
    #[error("{path}: is no ledger of its batch ({what}); nothing of that is used")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A mark is there already.
    #[error("element {index} of layer {} is used already; nothing is used twice", .row + 1)]
    Used {
        /// The row, from 0.
        row: usize,
        /// The first index that is marked.
        index: usize,
    },
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> LedgerError + '_ {
    |source| LedgerError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// The right to read and change the ledgers of a folder, for one process at a
/// time.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Waits until no other process has it.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn take(folder: &Path) -> Result<FolderLock, LedgerError> {
        let path = folder.join("lock");
        let file = private(OpenOptions::new().write(true).create(true))
            .open(&path)
            .map_err(io_error(&path))?;
        file.lock().map_err(io_error(&path))?;
        Ok(FolderLock { _file: file })
    }
}

/// Files of a store are for their owner only.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// What a ledger is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The batch's number.
    pub batch: [u8; 16],
    /// Fingerprint of the key that it was prepared under.
    pub key: [u8; 32],
    /// Fingerprint of what it was prepared for: a network, a scheme.
    pub purpose: [u8; 32],
}

/// The marks of one batch: some rows (layers) of `count` indices each.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
    subject: Subject,
    rows: usize,
    count: usize,
    bits: Vec<u8>,
}

impl Ledger {
    /// A new ledger without marks, on the disk when this returns.
    ///
    /// # Errors
    ///
    /// If there is one already, or the disk refuses.
    pub fn create(
        _lock: &FolderLock,
        path: &Path,
        subject: Subject,
        rows: usize,
        count: usize,
    ) -> Result<Ledger, LedgerError> {
        let mut bytes = header(&subject, rows, count).to_vec();
        bytes.resize(HEADER + rows * count.div_ceil(8), 0);
        let mut file = private(OpenOptions::new().read(true).write(true).create_new(true))
            .open(path)
            .map_err(io_error(path))?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a ledger is of no use; on a full disk it is in the way.
            let _ = std::fs::remove_file(path);
            return Err(io_error(path)(error));
        }
        if let Some(folder) = path.parent().filter(|folder| folder.is_dir()) {
            // Some systems do not let folders be synchronised.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(Ledger {
            file,
            path: path.to_path_buf(),
            subject,
            rows,
            count,
            bits: bytes.split_off(HEADER),
        })
    }

    /// The ledger of `batch` as it stands.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Damaged`] for a file that is not that ledger.
    pub fn open(_lock: &FolderLock, path: &Path, batch: [u8; 16]) -> Result<Ledger, LedgerError> {
        let damaged = |what| LedgerError::Damaged {
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
            .map_err(|_| damaged("shorter than its header"))?;
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
        let (rows, count) = (number(96), number(104));
        if head[..16] != MAGIC[..] {
            return Err(damaged("another kind or version"));
        }
        if rows > MOST || count > MOST || rows * count > MOST {
            return Err(damaged("a header without sense"));
        }
        let (rows, count) = (rows as usize, count as usize);
        let subject = Subject {
            batch: head[16..32].try_into().expect("16 bytes"),
            key: head[32..64].try_into().expect("32 bytes"),
            purpose: head[64..96].try_into().expect("32 bytes"),
        };
        if head != header(&subject, rows, count) {
            return Err(damaged("its header's digest does not match"));
        }
        if subject.batch != batch {
            return Err(damaged("another batch"));
        }
        let length = rows * count.div_ceil(8);
        let mut bits = Vec::with_capacity(length + 1);
        (&mut file)
            .take(length as u64 + 1)
            .read_to_end(&mut bits)
            .map_err(io_error(path))?;
        if bits.len() != length {
            return Err(damaged("a wrong length"));
        }
        let width = count.div_ceil(8);
        let beyond = |row: &[u8]| !count.is_multiple_of(8) && row[width - 1] >> (count % 8) != 0;
        if width > 0 && bits.chunks(width).any(beyond) {
            return Err(damaged("marks beyond its end"));
        }
        Ok(Ledger {
            file,
            path: path.to_path_buf(),
            subject,
            rows,
            count,
            bits,
        })
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Indices of a row.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether (row, index) is marked.
    pub fn is_marked(&self, row: usize, index: usize) -> bool {
        assert!(
            row < self.rows && index < self.count,
            "a place of the ledger"
        );
        self.bits[row * self.count.div_ceil(8) + index / 8] >> (index % 8) & 1 == 1
    }

    /// How many of a row's indices are not marked.
    pub fn free(&self, row: usize) -> usize {
        let width = self.count.div_ceil(8);
        let marked: u32 = self.bits[row * width..][..width]
            .iter()
            .map(|byte| byte.count_ones())
            .sum();
        self.count - marked as usize
    }

    /// The first `want` unmarked indices of a row, or all there are, as runs.
    pub fn first_free(&self, row: usize, want: usize) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let free = (0..self.count).filter(|&index| !self.is_marked(row, index));
        for index in free.take(want) {
            match runs.last_mut() {
                Some(run) if run.end == index => run.end += 1,
                _ => runs.push(index..index + 1),
            }
        }
        runs
    }

    /// Marks all indices of `runs` in a row, and returns when the marks are on
    /// the disk. Only then may what they stand for be used.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Used`] if one is marked already; then none is.
    pub fn mark(
        &mut self,
        _lock: &FolderLock,
        row: usize,
        runs: &[Range<usize>],
    ) -> Result<(), LedgerError> {
        let indices = || runs.iter().cloned().flatten();
        if let Some(index) = indices().find(|&index| self.is_marked(row, index)) {
            return Err(LedgerError::Used { row, index });
        }
        let width = self.count.div_ceil(8);
        for index in indices() {
            self.bits[row * width + index / 8] |= 1 << (index % 8);
        }
        self.file
            .seek(SeekFrom::Start((HEADER + row * width) as u64))
            .and_then(|_| self.file.write_all(&self.bits[row * width..][..width]))
            .and_then(|()| self.file.sync_data())
            .map_err(io_error(&self.path))
    }
}

fn header(subject: &Subject, rows: usize, count: usize) -> [u8; HEADER] {
    let mut head = [0; HEADER];
    head[..16].copy_from_slice(MAGIC);
    head[16..32].copy_from_slice(&subject.batch);
    head[32..64].copy_from_slice(&subject.key);
    head[64..96].copy_from_slice(&subject.purpose);
    head[96..104].copy_from_slice(&(rows as u64).to_le_bytes());
    head[104..112].copy_from_slice(&(count as u64).to_le_bytes());
    let digest = Sha256::digest(&head[..112]);
    head[112..].copy_from_slice(&digest[..16]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: [u8; 16] = [5; 16];
    const SUBJECT: Subject = Subject {
        batch: BATCH,
        key: [1; 32],
        purpose: [2; 32],
    };

    fn made() -> (tempfile::TempDir, FolderLock, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lock = FolderLock::take(folder.path()).expect("the lock");
        let path = folder.path().join("batch.used");
        Ledger::create(&lock, &path, SUBJECT, 3, 21).expect("a ledger");
        (folder, lock, path)
    }

    #[test]
    fn marks_stay_and_rows_are_apart() {
        let (_folder, lock, path) = made();
        let mut ledger = Ledger::open(&lock, &path, BATCH).expect("a ledger");
        ledger.mark(&lock, 1, &[3..6, 20..21]).expect("free");
        drop(ledger);
        let ledger = Ledger::open(&lock, &path, BATCH).expect("a ledger");
        for row in 0..3 {
            for index in 0..21 {
                let marked = row == 1 && (matches!(index, 3..6) || index == 20);
                assert_eq!(ledger.is_marked(row, index), marked, "{row} {index}");
            }
        }
        assert_eq!([ledger.free(0), ledger.free(1)], [21, 17]);
        assert_eq!(ledger.first_free(1, 5), [0..3, 6..8]);
        assert_eq!(ledger.first_free(1, 100), [0..3, 6..20]);
    }

    #[test]
    fn a_second_mark_is_refused_and_marks_nothing() {
        let (_folder, lock, path) = made();
        let mut ledger = Ledger::open(&lock, &path, BATCH).expect("a ledger");
        ledger.mark(&lock, 0, &[4..5, 9..10]).expect("free");
        let refused = ledger.mark(&lock, 0, &[0..3, 4..6]);
        assert!(matches!(
            refused,
            Err(LedgerError::Used { row: 0, index: 4 })
        ));
        let ledger = Ledger::open(&lock, &path, BATCH).expect("a ledger");
        assert_eq!(ledger.free(0), 19);
    }

    #[test]
    fn an_existing_ledger_is_never_made_anew() {
        let (_folder, lock, path) = made();
        assert!(Ledger::create(&lock, &path, SUBJECT, 3, 21).is_err());
    }

    fn damaged(change: impl FnOnce(&mut Vec<u8>)) -> &'static str {
        let (_folder, lock, path) = made();
        let mut bytes = std::fs::read(&path).expect("readable");
        change(&mut bytes);
        std::fs::write(&path, bytes).expect("writable");
        match Ledger::open(&lock, &path, BATCH) {
            Err(LedgerError::Damaged { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_ledger_cut_in_its_header() {
        assert_eq!(damaged(|b| b.truncate(127)), "shorter than its header");
    }

    #[test]
    fn a_ledger_cut_in_its_marks() {
        assert_eq!(damaged(|b| b.truncate(130)), "a wrong length");
    }

    #[test]
    fn a_padded_ledger() {
        assert_eq!(damaged(|b| b.push(0)), "a wrong length");
    }

    #[test]
    fn a_ledger_with_marks_beyond_its_end() {
        assert_eq!(damaged(|b| b[130] |= 0x80), "marks beyond its end");
    }

    #[test]
    fn a_ledger_of_another_kind() {
        assert_eq!(damaged(|b| b[0] ^= 1), "another kind or version");
    }

    #[test]
    fn a_ledger_with_a_flipped_header_bit() {
        let what = damaged(|b| b[104] ^= 1);
        assert_eq!(what, "its header's digest does not match");
    }

    #[test]
    fn a_ledger_with_a_huge_count() {
        assert_eq!(damaged(|b| b[111] = 0x7f), "a header without sense");
    }

    #[test]
    fn a_ledger_of_another_batch() {
        let subject = Subject {
            batch: [6; 16],
            ..SUBJECT
        };
        let other = |b: &mut Vec<u8>| b[..HEADER].copy_from_slice(&header(&subject, 3, 21));
        assert_eq!(damaged(other), "another batch");
    }
}
