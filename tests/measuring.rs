//! The scripts that measure and lay out tables say what they do, and refuse
//! what they do not understand before anything is built or measured.

#![cfg(unix)]

use std::{
    path::Path,
    process::{Command, Output},
};

/// Those that measure: they have the options `-r` and `-o` in common.
const SCRIPTS: [&str; 2] = ["measure.sh", "bench-peers.sh"];

fn script(name: &str, arguments: &[&str]) -> Output {
    script_with(name, arguments, &[])
}

/// With environment variables; none of those that the scripts read is inherited.
fn script_with(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    Command::new(folder.join(name))
        .args(arguments)
        .env_remove("PDNN")
        .env_remove("PDNN_DATA")
        .envs(environment.iter().copied())
        .output()
        .expect("bash")
}

/// Fails with 2 and, at the end, one line that holds `expected`; prints nothing.
fn assert_refused(name: &str, arguments: &[&str], output: &Output, expected: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(2),
        "{name} {arguments:?}: {text}"
    );
    assert!(text.contains(expected), "{name} {arguments:?}: {text}");
    assert_eq!(
        text.matches("error: ").count(),
        1,
        "{name} {arguments:?}: {text}"
    );
    assert!(output.stdout.is_empty(), "{name} {arguments:?}");
}

#[test]
fn help_is_printed() {
    for name in [
        "measure.sh",
        "bench-peers.sh",
        "interop-phe.sh",
        "latency-bayhenn.sh",
        "table-2pdnn.sh",
        "table-bayhenn.sh",
        "table-networks.sh",
        "table-scalar-product.sh",
    ] {
        for option in ["-h", "--help"] {
            let output = script(name, &[option]);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{name} {option}");
            let runs = if SCRIPTS.contains(&name) {
                " [-r RUNS]"
            } else {
                ""
            };
            assert!(text.contains(&format!("scripts/{name}{runs}")), "{text}");
            assert!(!text.contains("set -eu"), "{text}");
        }
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let cases = [
        (&["-r", "0"][..], "expected a number from 1 on"),
        (&["-r", "two"][..], "expected a number from 1 on"),
        (&["-r", "00"][..], "expected a number from 1 on"),
        (&["-o", "no/such/folder"][..], "no such folder"),
        (&["images"][..], "unexpected argument: images"),
        (&["-x"][..], "-h"),
    ];
    for name in SCRIPTS {
        for (arguments, expected) in cases {
            assert_refused(name, arguments, &script(name, arguments), expected);
        }
    }
}

#[test]
fn wrong_options_of_one_script_are_refused() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("measure.sh", &["-n", "many"], "-n many: expected a number"),
        ("measure.sh", &["-n", ""], "-n : expected a number"),
        ("measure.sh", &["-n", "10001"], "from 0 to 10000"),
        ("measure.sh", &["-m", ""], "-m: expected at least one"),
        ("measure.sh", &["-m", " "], "-m: expected at least one"),
        ("measure.sh", &["-m", "none"], "no network in models/none"),
        (
            "measure.sh",
            &["-d", "no/such/folder"],
            "no MNIST test images in no/such/folder",
        ),
        // A folder, but of something else.
        (
            "measure.sh",
            &["-d", "tests"],
            "no MNIST test images in tests",
        ),
        (
            "table-2pdnn.sh",
            &["-d", "tests"],
            "no MNIST test images in tests",
        ),
        (
            "table-networks.sh",
            &["-d", "tests"],
            "no t10k-images-idx3-ubyte in tests",
        ),
        (
            "table-networks.sh",
            &["-d", "tests", "-v"],
            "no train-images-idx3-ubyte in tests",
        ),
        ("table-networks.sh", &["-b", "512"], "-b 512: expected 2048"),
        ("table-scalar-product.sh", &["-n", ""], "-n : expected"),
        ("table-scalar-product.sh", &["-t", ""], "-t : expected"),
        ("table-scalar-product.sh", &["-t", "0"], "-t 0: expected"),
        ("table-scalar-product.sh", &["-k", ""], "-k: expected keys"),
        ("table-scalar-product.sh", &["-k", ","], "-k : expected"),
        ("table-scalar-product.sh", &["-k", "2048 3072"], "expected"),
        (
            "table-scalar-product.sh",
            &["-d", "tests"],
            "none of the data sets is in 'tests'",
        ),
        ("latency-bayhenn.sh", &["-r", ""], "-r : expected a number"),
        ("latency-bayhenn.sh", &["-t", ""], "-t: expected numbers"),
        ("latency-bayhenn.sh", &["-t", "1 x"], "-t x: expected"),
        ("latency-bayhenn.sh", &["-t", "0"], "-t 0: expected"),
        ("latency-bayhenn.sh", &["-b", ""], "-b: expected 2048"),
        ("latency-bayhenn.sh", &["-b", "2048 x"], "-b x: expected"),
        ("interop-phe.sh", &["all"], "unexpected argument: all"),
    ];
    for (name, arguments, expected) in cases {
        assert_refused(name, arguments, &script(name, arguments), expected);
    }
}

#[test]
fn a_pdnn_that_is_no_program_is_refused() {
    let folder = env!("CARGO_MANIFEST_DIR");
    for name in ["latency-bayhenn.sh", "table-bayhenn.sh", "interop-phe.sh"] {
        for wrong in ["no/such/pdnn", "no-such-pdnn", folder] {
            let output = script_with(name, &[], &[("PDNN", wrong)]);
            assert_refused(name, &[], &output, "PDNN: no program");
        }
    }
}
