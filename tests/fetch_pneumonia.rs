//! `scripts/fetch-pneumonia.sh` takes PneumoniaMNIST and nothing else, and
//! leaves nothing half. No test uses the network.

#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use pdnn::dataset::load_idx_pair;

/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:1/pneumoniamnist.npz";

/// Writes an archive of NumPy arrays of the set's shapes to the path named, and
/// prints its MD5.
const MAKE_ARCHIVE: &str = r#"
import hashlib, struct, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as packed:
    for part, count in {"train": 4708, "val": 524, "test": 624}.items():
        for name, shape, data in [
            ("images", (count, 28, 28), bytes(i % 251 for i in range(count * 784))),
            ("labels", (count, 1), bytes(i % 2 for i in range(count))),
        ]:
            head = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
            head += b" " * (-(len(head) + 11) % 64) + b"\n"
            packed.writestr(f"{part}_{name}.npy",
                b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)
print(hashlib.md5(open(sys.argv[1], "rb").read()).hexdigest(), end="")
"#;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fetch-pneumonia.sh")
}

fn fetch(script: &Path, url: &str, arguments: &[&Path]) -> Output {
    Command::new(script)
        .args(arguments)
        .env("PDNN_PNEUMONIA_URL", url)
        .output()
        .expect("the script runs")
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).expect("readable").count()
}

/// Fails with one clear line at the end that holds `part`.
fn assert_fails(output: &Output, part: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("fetch-pneumonia: ") && text.contains(part),
        "{text}"
    );
}

#[test]
fn arrays_become_idx_files() {
    let place = tempfile::tempdir().expect("a folder");
    let archive = place.path().join("pneumoniamnist.npz");
    let made = Command::new("python3")
        .args(["-c", MAKE_ARCHIVE, archive.to_str().expect("text")])
        .output()
        .expect("python3");
    assert!(made.status.success(), "{made:?}");
    // The script with this archive's checksum in place of the real one's.
    let text = fs::read_to_string(script()).expect("readable");
    let md5 = String::from_utf8(made.stdout).expect("text");
    let changed = text.replace("28209eda62fecd6e6a2d98b1501bb15f", &md5);
    assert_ne!(text, changed);
    let script = place.path().join("fetch.sh");
    fs::write(&script, changed).expect("writable");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("executable");

    let to = place.path().join("set");
    let arguments = ["--from".as_ref(), archive.as_path(), "--to".as_ref(), &to];
    let output = fetch(&script, NOWHERE, &arguments);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(count(&to), 6);
    for (prefix, images) in [("train", 4708), ("val", 524), ("test", 624)] {
        let set = load_idx_pair(&to, prefix).expect("sound");
        assert_eq!(set.len(), images);
        assert_eq!(set.images.get(0)[..3], [0, 1, 2]);
        assert_eq!(set.labels.expect("labels")[..3], [0, 1, 0]);
    }
    // Again: all there, nothing needed.
    let output = fetch(&script, NOWHERE, &["--to".as_ref(), &to]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn another_archive_is_refused_and_nothing_is_left() {
    let place = tempfile::tempdir().expect("a folder");
    let (archive, to) = (place.path().join("other.npz"), place.path().join("set"));
    fs::write(&archive, b"PK").expect("writable");
    let arguments = ["--from".as_ref(), archive.as_path(), "--to".as_ref(), &to];
    let output = fetch(&script(), NOWHERE, &arguments);
    assert_fails(&output, "checksum does not match");
    assert_eq!(count(&to), 0);
}

#[test]
fn without_a_network_it_says_so_and_leaves_nothing() {
    let to = tempfile::tempdir().expect("a folder");
    let output = fetch(&script(), NOWHERE, &["--to".as_ref(), to.path()]);
    assert_fails(&output, "is there a network?");
    assert_eq!(count(to.path()), 0);
}

#[test]
fn wrong_arguments() {
    let nowhere = Path::new("/no/such/file");
    let output = fetch(&script(), NOWHERE, &["--from".as_ref(), nowhere]);
    assert_fails(&output, "no file");
    let output = fetch(&script(), NOWHERE, &["--from".as_ref()]);
    assert_fails(&output, "needs a path");
    let output = fetch(&script(), NOWHERE, &["--fast".as_ref()]);
    assert_fails(&output, "unknown argument");
}
