//! Scalar products of two parties.

use std::fs;

use crate::place::{Place, stderr};

/// The arguments of a line.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Two parties with their files: the client's three vectors of three numbers,
/// the server's two.
fn parties() -> Place {
    let place = Place::with_key();
    let write = |name: &str, text: &str| fs::write(place.path(name), text).expect("writable");
    write("x.csv", "a,b,c\n0.5,2,-1\n10,0.25,0\n0,0,0\n");
    write("w.csv", "1.5,-2,3\n0.001,1,1\n");
    place
}

const PREPARE: [&str; 4] = [
    "dot prepare --data w.csv -o terms.json",
    "dot prepare --terms terms.json --key alice.key.json --store alice --count 5 -o ask.pdnn",
    "dot prepare --terms terms.json --data w.csv --store bob ask.pdnn -o answer.pdnn",
    "dot prepare --terms terms.json --key alice.key.json --store alice answer.pdnn",
];
const MASK: &str =
    "dot mask --terms terms.json --key alice.pub.json --store alice x.csv -o query.pdnn";
const ANSWER: &str =
    "dot answer --terms terms.json --data w.csv --store bob query.pdnn -o reply.pdnn";
const OPEN: &str = "dot open --terms terms.json --key alice.pub.json --store alice reply.pdnn";

fn prepared() -> Place {
    let place = parties();
    for line in PREPARE {
        place.ok(&words(line));
    }
    place
}

#[test]
fn two_parties_compute_products_through_files() {
    let place = prepared();
    let query = place.run(&words(MASK));
    assert!(
        stderr(&query).contains("masks for 2 more"),
        "{}",
        stderr(&query)
    );
    place.ok(&words(ANSWER));
    // 0.75 − 4 − 3, 0.0005 + 2 − 1; 15 − 0.5, 0.01 + 0.25; nothing.
    assert_eq!(place.ok(&words(OPEN)), "-6.25,1.0005\n14.5,0.26\n0,0\n");
    let json = place.json(&words(&format!("{OPEN} --json")));
    assert_eq!(json["products"][0][0], "-6.25");
    assert_eq!(json["scales"], serde_json::json!(["10^2", "10^3"]));
    place.ok(&words(&format!("{OPEN} -o products.csv")));
    let text = fs::read_to_string(place.path("products.csv")).expect("written");
    assert_eq!(text, "-6.25,1.0005\n14.5,0.26\n0,0\n");
    // A dash is standard output, not a file.
    assert_eq!(place.ok(&words(&format!("{OPEN} -o -"))), text);
    let terms = place.ok(&words("dot prepare --data w.csv -o -"));
    let terms: serde_json::Value = serde_json::from_str(&terms).expect("JSON");
    assert_eq!(terms["length"], 3);
    assert!(!place.path("-").exists());
    place.ok(&words(&format!("{OPEN} -o products.npy")));
    let npy = pdnn::dataset::read_npy(&fs::read(place.path("products.npy")).expect("written"));
    assert_eq!(npy.map(|npy| (npy.rows, npy.columns)).ok(), Some((3, 2)));
    let error = place.fails(&words(&format!("{OPEN} -o products.npy")));
    assert!(error.contains("products.npy"), "{error}");
}

#[test]
fn every_step_says_as_json_what_it_wrote() {
    let place = parties();
    place.ok(&words(PREPARE[0]));
    let says = |line: &str| place.json(&words(&format!("{line} --json")));
    for (line, status, vectors) in [
        (PREPARE[1], "request", 5),
        (PREPARE[2], "answer", 5),
        (MASK, "query", 3),
        (ANSWER, "reply", 3),
    ] {
        if line == MASK {
            place.ok(&words(PREPARE[3]));
        }
        let said = says(line);
        assert_eq!(said["status"], status);
        assert_eq!(said["vectors"], vectors, "{line}");
        let written = said["written"].as_str().expect("a path");
        let bytes = fs::metadata(place.path(written)).expect("written").len();
        assert_eq!(said["bytes"], bytes);
    }
    let said = says(&format!("{OPEN} -o products.csv"));
    assert_eq!((&said["rows"], &said["columns"]), (&3.into(), &2.into()));
}

#[test]
fn npy_files_are_taken_as_csv_files_are() {
    let place = prepared();
    let x = pdnn::dataset::write_npy(1, 3, &[0.5, 2.0, -1.0]);
    fs::write(place.path("x.npy"), x).expect("writable");
    place.ok(&words(&MASK.replace("x.csv", "x.npy")));
    place.ok(&words(ANSWER));
    assert_eq!(place.ok(&words(OPEN)), "-6.25,1.0005\n");
    // A column is one vector.
    fs::write(place.path("column.csv"), "0.5\n2\n-1\n").expect("writable");
    place.ok(&words(&MASK.replace("x.csv", "column.csv")));
    place.ok(&words(ANSWER));
    assert_eq!(place.ok(&words(OPEN)), "-6.25,1.0005\n");
}

#[test]
fn masks_that_are_used_or_used_up_are_refused() {
    let place = prepared();
    place.ok(&words(MASK));
    place.ok(&words(ANSWER));
    let error = place.fails(&words(&ANSWER.replace("reply.pdnn", "second.pdnn")));
    assert!(error.contains("used"), "{error}");
    assert!(!place.path("second.pdnn").exists());
    let error = place.fails(&words(&MASK.replace("query.pdnn", "more.pdnn")));
    assert!(!place.path("more.pdnn").exists());
    assert!(
        error.contains("mask") || error.contains("predictions"),
        "{error}"
    );
    // What is under way is not harmed.
    assert!(place.ok(&words(OPEN)).starts_with("-6.25,"));
}

#[cfg(unix)]
#[test]
fn what_a_side_keeps_is_private() {
    let place = prepared();
    place.ok(&words(MASK));
    let mut files = 0;
    for side in ["alice", "bob"] {
        assert_eq!(crate::place::mode(&place.path(side)), 0o700, "{side}");
        for file in fs::read_dir(place.path(side)).expect("a store") {
            let path = file.expect("readable").path();
            assert_eq!(crate::place::mode(&path), 0o600, "{}", path.display());
            files += 1;
        }
    }
    assert!(files >= 6, "{files}");
    // The client's scale stays with the client.
    let query = fs::read(place.path("query.pdnn")).expect("written");
    assert!(!query.windows(8).any(|w| w == b"exponent"));
}

#[test]
fn other_numbers_terms_keys_and_files_are_refused() {
    let place = prepared();
    place.ok(&words(MASK));
    fs::write(place.path("other.csv"), "1.5,-2,3\n0.001,1,2\n").expect("writable");
    let error = place.fails(&words(&ANSWER.replace("w.csv", "other.csv")));
    assert!(error.contains("not the numbers"), "{error}");
    place.ok(&words("dot prepare --data other.csv -o terms2.json"));
    let error = place.fails(&words(
        &ANSWER
            .replace("w.csv", "other.csv")
            .replace("terms.json", "terms2.json"),
    ));
    assert!(error.contains("for network"), "{error}");
    place.ok(&words("keygen --out eve --bits 512 --insecure"));
    let error = place.fails(&words(
        &MASK
            .replace("alice.pub", "eve.pub")
            .replace("query", "query2"),
    ));
    assert!(!error.is_empty());
    place.ok(&words(ANSWER));
    let error = place.fails(&words(&OPEN.replace("alice.pub", "eve.pub")));
    assert!(error.contains("key"), "{error}");
    let error = place.fails(&words(&OPEN.replace("reply", "query")));
    assert!(error.contains("query"), "{error}");
    // A reply opened elsewhere than it was masked.
    let copied = place.fails(&words(&OPEN.replace("--store alice", "--store bob")));
    assert!(copied.contains("scale"), "{copied}");
}

#[test]
fn numbers_that_are_none_are_named() {
    let place = parties();
    let refused = |text: &str| {
        fs::write(place.path("wrong.csv"), text).expect("writable");
        let error = place.fails(&words("dot prepare --data wrong.csv -o t.json"));
        assert!(!place.path("t.json").exists());
        error
    };
    let error = refused("1,2\n3,x\n");
    assert_eq!(
        error,
        "error: wrong.csv: CSV line 2, column 2: \"x\" is no number, or has more digits than are read"
    );
    assert!(refused("1,2\n3\n").contains("line 2 has 1 columns"));
    assert!(refused("").contains("no number"));
    assert!(refused("1,99999999999\n").contains("number 2 of vector 1 is too large"));
    fs::write(place.path("wrong.csv"), b"\x93NUMPY\x01\x00\x04").expect("writable");
    let error = place.fails(&words("dot prepare --data wrong.csv -o t.json"));
    assert!(error.contains(".npy file is cut short"), "{error}");
}

#[test]
fn vectors_of_another_length_are_refused() {
    let place = prepared();
    fs::write(place.path("short.csv"), "1,2\n3,4\n").expect("writable");
    let error = place.fails(&words(&MASK.replace("x.csv", "short.csv")));
    assert!(
        error.contains("vectors of 2 numbers, the terms are for 3"),
        "{error}"
    );
}

#[test]
fn numbers_are_rounded_only_with_a_note() {
    let place = parties();
    fs::write(place.path("w.csv"), "0.333333333333,1,1\n").expect("writable");
    let output = place.run(&words(PREPARE[0]));
    assert!(stderr(&output).contains("rounded"), "{}", stderr(&output));
    let place = parties();
    let output = place.run(&words(PREPARE[0]));
    assert!(!stderr(&output).contains("rounded"), "{}", stderr(&output));
}

#[test]
fn results_that_might_not_fit_are_refused() {
    let place = parties();
    fs::write(place.path("w.csv"), "2000000000,1,1\n").expect("writable");
    let wide = format!("{} --bits 31 --client-bits 31", PREPARE[0]);
    let error = place.fails(&words(&wide));
    assert!(error.contains("fewer bits"), "{error}");
}

#[test]
fn options_that_make_no_step_are_refused() {
    let place = prepared();
    let error = place.fails(&words("dot prepare --terms terms.json --store alice"));
    assert!(error.contains("make no step"), "{error}");
}
