//! `scripts/measure.sh` and `scripts/bench-peers.sh` say what they do, and
//! refuse what they do not understand before anything is built or measured.

#![cfg(unix)]

use std::{
    path::Path,
    process::{Command, Output},
};

const SCRIPTS: [&str; 2] = ["measure.sh", "bench-peers.sh"];

fn script(name: &str, arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    Command::new(folder.join(name))
        .args(arguments)
        .output()
        .expect("bash")
}

#[test]
fn help_is_printed() {
    for name in SCRIPTS {
        for option in ["-h", "--help"] {
            let output = script(name, &[option]);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{name} {option}");
            assert!(
                text.contains(&format!("scripts/{name} [-r RUNS]")),
                "{text}"
            );
            assert!(!text.contains("set -euo"), "{text}");
        }
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let cases = [
        (&["-r", "0"][..], "expected a number from 1 on"),
        (&["-r", "two"][..], "expected a number from 1 on"),
        (&["-o", "no/such/folder"][..], "no such folder"),
        (&["images"][..], "unexpected argument: images"),
        (&["-x"][..], "-h"),
    ];
    for name in SCRIPTS {
        for (arguments, expected) in cases {
            let output = script(name, arguments);
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{name} {arguments:?}: {text}"
            );
            assert!(text.contains(expected), "{name} {arguments:?}: {text}");
        }
    }
}
