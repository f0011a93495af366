//! `scripts/fetch-mnist.sh` takes MNIST and nothing else, and leaves nothing
//! half. No test uses the network.

#![cfg(unix)]

mod common;

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use flate2::{Compression, write::GzEncoder};

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];
/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

fn fetch(mirrors: &str, arguments: &[&Path]) -> Output {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fetch-mnist.sh"))
        .args(arguments)
        .env("PDNN_MNIST_MIRRORS", mirrors)
        .output()
        .expect("the script runs")
}

fn from(folder: &Path, to: &Path) -> Output {
    fetch(NOWHERE, &["--from".as_ref(), folder, "--to".as_ref(), to])
}

/// Fails with one clear line at the end that holds `part`.
fn assert_fails(output: &Output, part: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("fetch-mnist: ") && last.contains(part),
        "{text}"
    );
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("readable")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// A file of MNIST's form and size that is not MNIST's.
fn look_alike() -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1, 0, 0, 0x27, 0x10];
    bytes.resize(10_008, 5);
    bytes
}

fn real(test: &str) -> Option<PathBuf> {
    common::optional_data(test, "mnist", FILES[0])
}

#[test]
fn good_copies_are_taken() {
    let Some(real) = real("good_copies_are_taken") else {
        return;
    };
    let to = tempfile::tempdir().expect("a folder");
    let output = from(&real, to.path());
    assert!(output.status.success(), "{output:?}");
    let mut expected = FILES;
    expected.sort_unstable();
    assert_eq!(names(to.path()), expected);
    // Again: all there, nothing needed.
    let output = fetch(NOWHERE, &["--to".as_ref(), to.path()]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_bad_mirror_is_passed_over_for_a_good_one() {
    let Some(real) = real("a_bad_mirror_is_passed_over_for_a_good_one") else {
        return;
    };
    let bad = tempfile::tempdir().expect("a folder");
    let good = tempfile::tempdir().expect("a folder");
    let to = tempfile::tempdir().expect("a folder");
    for file in FILES {
        let name = format!("{file}.gz");
        fs::write(bad.path().join(&name), gzip(&look_alike())).expect("writable");
        let bytes = match fs::read(real.join(&name)) {
            Ok(bytes) => bytes,
            Err(_) => gzip(&fs::read(real.join(file)).expect("plain, if not gzip")),
        };
        fs::write(good.path().join(&name), bytes).expect("writable");
    }
    // wget knows no file URLs.
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(
            env::var_os("CI").is_none(),
            "no curl, and nothing is skipped here"
        );
        eprintln!("skipped a_bad_mirror_is_passed_over_for_a_good_one: no curl");
        return;
    }
    let mirrors = format!(
        "{NOWHERE} file://{} file://{}",
        bad.path().display(),
        good.path().display()
    );
    let output = fetch(&mirrors, &["--to".as_ref(), to.path()]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("refused"), "{text}");
    assert_eq!(names(to.path()).len(), 4);
}

#[test]
fn a_look_alike_is_refused_and_nothing_is_left() {
    for packed in [false, true] {
        let source = tempfile::tempdir().expect("a folder");
        let to = tempfile::tempdir().expect("a folder");
        for file in FILES {
            let (name, bytes) = match packed {
                true => (format!("{file}.gz"), gzip(&look_alike())),
                false => (file.to_string(), look_alike()),
            };
            fs::write(source.path().join(name), bytes).expect("writable");
        }
        assert_fails(&from(source.path(), to.path()), "checksum does not match");
        assert!(names(to.path()).is_empty(), "{:?}", names(to.path()));
    }
}

#[test]
fn a_damaged_archive_is_refused_and_nothing_is_left() {
    let source = tempfile::tempdir().expect("a folder");
    let to = tempfile::tempdir().expect("a folder");
    let mut bytes = gzip(&look_alike());
    bytes.truncate(bytes.len() / 2);
    fs::write(source.path().join(format!("{}.gz", FILES[0])), bytes).expect("writable");
    assert_fails(&from(source.path(), to.path()), "checksum does not match");
    assert!(names(to.path()).is_empty());
}

#[test]
fn a_wrong_file_that_is_there_stays_until_the_right_one_comes() {
    let to = tempfile::tempdir().expect("a folder");
    fs::write(to.path().join(FILES[0]), b"mine").expect("writable");
    let output = fetch(NOWHERE, &["--to".as_ref(), to.path()]);
    assert_fails(&output, "no mirror gave");
    assert_eq!(
        fs::read(to.path().join(FILES[0])).expect("readable"),
        b"mine"
    );
    assert_eq!(names(to.path()), [FILES[0]]);
}

#[test]
fn a_missing_file_is_named() {
    let source = tempfile::tempdir().expect("a folder");
    let to = tempfile::tempdir().expect("a folder");
    assert_fails(&from(source.path(), to.path()), FILES[0]);
    assert!(names(to.path()).is_empty());
}

#[test]
fn without_a_network_it_says_so_and_leaves_nothing() {
    let to = tempfile::tempdir().expect("a folder");
    let output = fetch(NOWHERE, &["--to".as_ref(), to.path()]);
    assert_fails(&output, "is there a network?");
    assert!(names(to.path()).is_empty());
}

#[test]
fn wrong_arguments() {
    let nowhere = Path::new("/no/such/folder");
    assert_fails(&fetch(NOWHERE, &["--from".as_ref(), nowhere]), "no folder");
    assert_fails(&fetch(NOWHERE, &["--from".as_ref()]), "needs a folder");
    assert_fails(&fetch(NOWHERE, &["--fast".as_ref()]), "unknown argument");
}
