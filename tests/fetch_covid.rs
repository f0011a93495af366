//! `scripts/fetch-covid.sh` takes the table it knows and nothing else, and
//! leaves nothing half. No test uses the network.

#![cfg(unix)]

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const RAW: &str = "corona_tested_individuals_ver_006.english.csv";

fn fetch(arguments: &[&Path]) -> Output {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fetch-covid.sh"))
        .args(arguments)
        // Nothing listens there.
        .env("PDNN_COVID_URL", "http://127.0.0.1:1")
        .output()
        .expect("the script runs")
}

/// Fails with one clear line at the end that holds `part`, and leaves `to` empty.
fn assert_fails(arguments: &[&Path], part: &str, to: &Path) {
    let output = fetch(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("fetch-covid: ") && last.contains(part),
        "{text}"
    );
    assert_eq!(fs::read_dir(to).expect("readable").count(), 0, "{text}");
}

#[test]
fn another_table_is_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (from, to) = (place.path().join("x.csv"), place.path().join("to"));
    fs::create_dir(&to).expect("writable");
    let arguments = ["--from".as_ref(), from.as_path(), "--to".as_ref(), &to];
    for bytes in [
        &b"test_date,cough\n2020-04-30,0\n"[..],
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"",
    ] {
        fs::write(&from, bytes).expect("writable");
        assert_fails(&arguments, "checksum does not match", &to);
    }
}

#[test]
fn a_network_that_gives_nothing_is_said() {
    let place = tempfile::tempdir().expect("a temporary folder");
    assert_fails(
        &["--to".as_ref(), place.path()],
        "use --from FILE",
        place.path(),
    );
}

#[test]
fn the_table_is_taken_and_kept() {
    let test = "the_table_is_taken_and_kept";
    let Some(data) = common::optional_data(test, "covid_symptoms", RAW) else {
        return;
    };
    let packed = [data.join(format!("{RAW}.gz")), data.join(RAW)];
    let from = packed
        .iter()
        .find(|path| path.is_file())
        .expect("found above");
    let place = tempfile::tempdir().expect("a temporary folder");
    for says in ["checked", "is there"] {
        let output = fetch(&["--from".as_ref(), from, "--to".as_ref(), place.path()]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(says), "{text}");
        assert_eq!(fs::read_dir(place.path()).expect("readable").count(), 1);
    }
}
