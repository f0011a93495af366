//! Every help text, every wrong call and every bad input that shows on the
//! command line, as snapshots under `tests/cmd/`.

#[path = "common/bad.rs"]
mod bad;
#[path = "common/bayesian.rs"]
mod bayesian;
#[path = "common/tiny.rs"]
mod tiny;

use std::{fs, path::Path};

use pdnn::file::container::hex;

#[test]
fn command_line_snapshots() {
    // The files that the calls are given. `trycmd` runs a case in the folder of
    // its name with `.in`.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd/bad_input.in");
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("it is ours");
    }
    fs::create_dir(&folder).expect("tests/cmd is writable");
    let made = bad::Bad::fill(&folder);

    // What depends on how keys are drawn stays out of the snapshots.
    let short = |fingerprint: &[u8]| hex(fingerprint)[..16].to_string();
    let alice = short(made.alice.public().fingerprint().as_bytes());
    let bob = short(made.bob.public().fingerprint().as_bytes());
    let cases = trycmd::TestCases::new();
    cases
        // Help is wrapped to the terminal's width: give it one.
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .insert_var("[ALICE]", alice)
        .and_then(|cases| cases.insert_var("[BOB]", bob))
        .expect("names of variables")
        .case("tests/cmd/*.trycmd");
    // Runs the cases.
    drop(cases);
    let _ = fs::remove_dir_all(&folder);
}
