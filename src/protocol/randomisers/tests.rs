use std::{collections::HashSet, fs, path::PathBuf};

use rand::{SeedableRng, rngs::ChaCha20Rng};
use tempfile::TempDir;

use super::{Store, StoreError, store::BATCH};
use crate::{
    mpc::ledger::LedgerError,
    paillier::{OwnerEncryptor, Plaintext, PublicEncryptor, PublicKey, Scheme, SecretKey},
};

fn key(seed: u64) -> (SecretKey, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = SecretKey::generate_insecure(128, &mut rng).expect("an even size");
    (key, rng)
}

/// A store with `count` randomisers of a small key.
fn filled(count: usize) -> (TempDir, Store, SecretKey) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (key, mut rng) = key(1);
    let store = Store::create(&folder.path().join("ahead")).expect("a new folder");
    let by = OwnerEncryptor::new(&key, count);
    store
        .fill(&by, count, &mut rng, &|_, _| {})
        .expect("room on the disk");
    (folder, store, key)
}

fn files(store: &Store, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.folder()).expect("readable");
    entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect()
}

fn left(store: &Store) -> usize {
    store.contents().expect("a whole store").left
}

#[test]
fn what_is_taken_encrypts_and_is_never_the_same() {
    let (_folder, store, key) = filled(50);
    let mut seen = HashSet::new();
    for wanted in [1, 0, 7, 20, 100] {
        let before = left(&store);
        let taken = store.take(key.public(), wanted).expect("a whole store");
        assert_eq!(taken.len(), wanted.min(before));
        assert_eq!(left(&store), before - taken.len());
        for row in taken.to_bytes().chunks(32) {
            assert!(seen.insert(row.to_vec()), "given out twice");
        }
        let plain: Vec<Plaintext> = (0..taken.len() as i64).map(Plaintext::from).collect();
        assert!(key.decrypt(&taken.encrypt(&plain)) == plain);
    }
    assert_eq!(seen.len(), 50);
}

#[test]
fn a_store_grows_by_further_batches() {
    let (_folder, store, key) = filled(BATCH + 3);
    let contents = store.contents().expect("a whole store");
    assert_eq!((contents.left, contents.batches), (BATCH + 3, 2));
    let origin = contents.origin.expect("there are randomisers");
    assert_eq!(origin.key, key.public().fingerprint());
    assert_eq!((origin.scheme, origin.bits), (Scheme::Djn, 128));
    let by = PublicEncryptor::new(key.public(), 10);
    store
        .fill(&by, 10, &mut key_rng(), &|_, _| {})
        .expect("room");
    assert_eq!(left(&store), BATCH + 13);
}

fn key_rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(99)
}

#[test]
fn used_places_are_erased_and_used_batches_deleted() {
    let (_folder, store, key) = filled(20);
    let path = files(&store, ".randomisers").remove(0);
    let taken = store.take(key.public(), 5).expect("a whole store");
    let on_disk = fs::read(&path).expect("readable");
    assert!(on_disk[128..128 + 5 * 48].iter().all(|&byte| byte == 0));
    for row in taken.to_bytes().chunks(32) {
        assert!(!on_disk.windows(32).any(|window| window == row));
    }
    store.take(key.public(), 15).expect("a whole store");
    assert!(files(&store, ".randomisers").is_empty() && files(&store, ".used").is_empty());
    let contents = store.contents().expect("an empty store");
    assert_eq!((contents.origin, contents.left), (None, 0));
    // It is still a store, and can be filled again.
    assert!(Store::is_at(store.folder()));
}

#[test]
fn threads_that_race_for_one_store_get_different_randomisers() {
    let (_folder, store, key) = filled(200);
    let taken: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let take = || {
            store
                .take(key.public(), 30)
                .expect("a whole store")
                .to_bytes()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().expect("no panic");
        let bytes: Vec<zeroize::Zeroizing<Vec<u8>>> = threads.into_iter().map(join).collect();
        bytes
            .iter()
            .flat_map(|bytes| bytes.chunks(32).map(<[u8]>::to_vec).collect::<Vec<_>>())
            .collect()
    });
    assert_eq!(taken.len(), 200);
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 200);
}

#[test]
fn a_store_of_another_key_is_refused() {
    let (_folder, store, _) = filled(3);
    let (other, mut rng) = key(2);
    let found = store.take(other.public(), 1);
    assert!(matches!(found, Err(StoreError::OtherKey { .. })));
    let by = OwnerEncryptor::new(&other, 1);
    let found = store.fill(&by, 1, &mut rng, &|_, _| {});
    assert!(matches!(found, Err(StoreError::OtherKey { .. })));
    assert_eq!(left(&store), 3);
}

#[test]
fn a_store_of_another_scheme_of_the_same_n_is_refused() {
    let (_folder, store, key) = filled(3);
    let n = key.public().n();
    let plain = PublicKey::from_parts(n, None).expect("a valid n");
    let found = store.take(&plain, 1);
    let scheme = |found, expected| matches!((found, expected), (Scheme::Djn, Scheme::Uniform));
    assert!(
        matches!(found, Err(StoreError::OtherScheme { found, expected, .. }) if scheme(found, expected))
    );
    let h_s = key.public().h_s().expect("a generated key has h_s");
    let h = key.public().h().expect("a generated key has h");
    let small = PublicKey::from_subgroup_parts(n, h, h_s, None).expect("a valid h");
    let found = store.take(&small, 1);
    assert!(matches!(found, Err(StoreError::OtherScheme { .. })));
    assert_eq!(left(&store), 3);
}

#[test]
fn a_folder_of_something_else_is_no_store() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = Store::open(&folder.path().join("x"));
    assert!(matches!(missing, Err(StoreError::Missing { .. })));
    let empty = Store::open(folder.path());
    assert!(matches!(empty, Err(StoreError::NoStore { .. })));
    fs::write(folder.path().join("thesis.tex"), "mine").expect("writable");
    for found in [Store::open(folder.path()), Store::create(folder.path())] {
        assert!(matches!(found, Err(StoreError::NoStore { .. })));
    }
    let file = Store::create(&folder.path().join("thesis.tex"));
    assert!(matches!(file, Err(StoreError::NoStore { .. })));
}

#[test]
fn a_batch_without_its_ledger_counts_as_used_up() {
    let (_folder, store, key) = filled(3);
    fs::remove_file(files(&store, ".used").remove(0)).expect("it is there");
    assert_eq!(left(&store), 0);
    assert!(store.take(key.public(), 1).expect("a store").is_empty());
}

#[test]
fn what_interrupted_processes_left_is_swept_away() {
    let (_folder, store, key) = filled(3);
    fs::write(store.folder().join(".pdnn-abc.part"), [7; 99]).expect("writable");
    let orphan = format!("{}.used", "ab".repeat(16));
    fs::write(store.folder().join(orphan), "half a led").expect("writable");
    assert_eq!(left(&store), 3);
    let by = OwnerEncryptor::new(&key, 2);
    store
        .fill(&by, 2, &mut key_rng(), &|_, _| {})
        .expect("room");
    assert_eq!(
        (files(&store, ".part").len(), files(&store, ".used").len()),
        (0, 2)
    );
    assert_eq!(left(&store), 5);
}

/// What a store says whose batch was changed, or its ledger.
fn changed(end: &str, change: impl FnOnce(&mut Vec<u8>)) -> StoreError {
    let (_folder, store, key) = filled(5);
    let path = files(&store, end).remove(0);
    let mut bytes = fs::read(&path).expect("readable");
    change(&mut bytes);
    fs::write(&path, bytes).expect("writable");
    let ledger = fs::read(files(&store, ".used").remove(0)).expect("readable");
    let error = store.take(key.public(), 3).expect_err("a damaged store");
    // Nothing was marked.
    let after = fs::read(files(&store, ".used").remove(0)).expect("readable");
    assert_eq!(ledger, after);
    error
}

fn damaged(end: &str, change: impl FnOnce(&mut Vec<u8>)) -> &'static str {
    match changed(end, change) {
        StoreError::Damaged { what, .. } => what,
        StoreError::Ledger(LedgerError::Damaged { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

/// Writes the header's digest anew.
fn sealed(bytes: &mut [u8]) {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(&bytes[..112]);
    bytes[112..128].copy_from_slice(&digest[..16]);
}

const BATCH_FILE: &str = ".randomisers";

#[test]
fn an_empty_file() {
    assert_eq!(damaged(BATCH_FILE, Vec::clear), "shorter than its header");
}

#[test]
fn a_batch_cut_in_its_header() {
    assert_eq!(
        damaged(BATCH_FILE, |b| b.truncate(127)),
        "shorter than its header"
    );
}

#[test]
fn a_batch_cut_in_its_records() {
    let length = "not as long as its header says";
    assert_eq!(damaged(BATCH_FILE, |b| b.truncate(300)), length);
}

#[test]
fn a_padded_batch() {
    let length = "not as long as its header says";
    assert_eq!(damaged(BATCH_FILE, |b| b.push(0)), length);
}

#[test]
fn a_batch_with_a_flipped_header_bit() {
    let digest = "its header's digest does not match";
    for at in [20, 40, 70, 96, 104, 120] {
        assert_eq!(damaged(BATCH_FILE, |b| b[at] ^= 1), digest, "byte {at}");
    }
}

#[test]
fn a_batch_with_a_flipped_bit_in_a_randomiser_or_its_digest() {
    let digest = "a record's digest does not match";
    for at in [128, 159, 160, 175, 128 + 2 * 48] {
        assert_eq!(damaged(BATCH_FILE, |b| b[at] ^= 0x10), digest, "byte {at}");
    }
}

#[test]
fn a_batch_whose_records_changed_places() {
    let swap = |b: &mut Vec<u8>| {
        let first = b[128..176].to_vec();
        b.copy_within(176..224, 128);
        b[176..224].copy_from_slice(&first);
    };
    assert_eq!(
        damaged(BATCH_FILE, swap),
        "a record's digest does not match"
    );
}

#[test]
fn an_erased_record_that_is_not_marked() {
    let erase = |b: &mut Vec<u8>| b[128..176].fill(0);
    assert_eq!(
        damaged(BATCH_FILE, erase),
        "a record's digest does not match"
    );
}

#[test]
fn a_batch_with_a_lying_count() {
    let lie = |count: u64| {
        move |b: &mut Vec<u8>| {
            b[104..112].copy_from_slice(&count.to_le_bytes());
            sealed(b);
        }
    };
    let length = "not as long as its header says";
    assert_eq!(damaged(BATCH_FILE, lie(4)), length);
    assert_eq!(damaged(BATCH_FILE, lie(6)), length);
    assert_eq!(damaged(BATCH_FILE, lie(u64::MAX)), "a header without sense");
    // With records to match it, the ledger still says otherwise.
    let grown = |b: &mut Vec<u8>| {
        let record = b[128..176].to_vec();
        b.extend(record);
        lie(6)(b);
    };
    assert_eq!(damaged(BATCH_FILE, grown), "its ledger is of another batch");
}

#[test]
fn a_batch_of_a_scheme_that_there_is_not() {
    let change = |b: &mut Vec<u8>| {
        b[100] = 3;
        sealed(b);
    };
    assert_eq!(damaged(BATCH_FILE, change), "a header without sense");
}

#[test]
fn a_batch_of_another_kind() {
    assert_eq!(
        damaged(BATCH_FILE, |b| b[0] ^= 1),
        "no batch of randomisers"
    );
}

#[test]
fn a_batch_of_another_version() {
    let found = changed(BATCH_FILE, |b| b[12] = b'2');
    assert!(matches!(&found, StoreError::Version { found, .. } if found == "2"));
    assert!(
        found
            .to_string()
            .contains("version 2, this pdnn reads version 1")
    );
}

#[test]
fn a_batch_under_another_name() {
    let (_folder, store, key) = filled(3);
    for end in [BATCH_FILE, ".used"] {
        let to = store.folder().join(format!("{}{end}", "cd".repeat(16)));
        fs::rename(files(&store, end).remove(0), to).expect("it is there");
    }
    let found = store.take(key.public(), 1);
    assert!(matches!(
        found,
        Err(StoreError::Ledger(LedgerError::Damaged { .. }))
    ));
}

#[test]
fn a_ledger_of_another_batch() {
    assert_eq!(
        damaged(".used", |b| b.truncate(20)),
        "shorter than its header"
    );
    assert_eq!(damaged(".used", |b| b.push(0)), "a wrong length");
    let other = |b: &mut Vec<u8>| {
        b[70] ^= 1;
        sealed(b);
    };
    assert_eq!(damaged(".used", other), "its ledger is of another batch");
}

#[test]
fn an_unreadable_batch() {
    let (_folder, store, key) = filled(3);
    let path = files(&store, BATCH_FILE).remove(0);
    fs::remove_file(&path).expect("it is there");
    fs::create_dir(&path).expect("writable");
    let found = store.take(key.public(), 1);
    assert!(matches!(found, Err(StoreError::Io { .. })), "{found:?}");
}

#[test]
fn a_number_that_is_no_randomiser_of_the_key() {
    let (_folder, store, key) = filled(3);
    let path = files(&store, BATCH_FILE).remove(0);
    let mut bytes = fs::read(&path).expect("readable");
    // 0, with the right digest.
    bytes[128..160].fill(0);
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(&bytes[16..32]);
    hasher.update(0u64.to_le_bytes());
    hasher.update([0; 32]);
    bytes[160..176].copy_from_slice(&hasher.finalize()[..16]);
    fs::write(&path, bytes).expect("writable");
    let found = store.take(key.public(), 1);
    assert!(
        matches!(found, Err(StoreError::Damaged { .. })),
        "{found:?}"
    );
    assert_eq!(left(&store), 3);
}

#[test]
fn no_text_holds_a_randomiser() {
    let (_folder, store, key) = filled(2);
    let bytes = fs::read(files(&store, BATCH_FILE).remove(0)).expect("readable");
    let rho = num_bigint::BigUint::from_bytes_be(&bytes[128..160]);
    let taken = store.take(key.public(), 1).expect("a whole store");
    let (_other, other_store, _) = filled(2);
    let path = files(&other_store, BATCH_FILE).remove(0);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[170] ^= 1;
    fs::write(&path, bytes).expect("writable");
    let error = other_store.take(key.public(), 1).expect_err("damaged");
    let shown = format!(
        "{taken:?} {store:?} {:?} {error:?} {error}",
        store.contents()
    );
    for spelling in [rho.to_str_radix(10), rho.to_str_radix(16)] {
        assert!(!shown.contains(&spelling[..12]), "{shown}");
    }
}
