//! The networks for COVID-19 symptoms give what their cards state.

mod common;

use std::{path::Path, process::Command};

use pdnn::file::load_network;
use serde_json::Value;

const RAW: &str = "corona_tested_individuals_ver_006.english.csv";

/// Each network with its split.
const NETWORKS: [(&str, &str); 2] = [
    ("covid-symptoms", "by-date"),
    ("covid-symptoms-random", "random"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_networks_take_eight_named_columns() {
    for (name, _) in NETWORKS {
        let network = load_network(&root().join("models").join(name)).expect("a network");
        let profile = network.profile();
        let features: Vec<&str> = profile.features.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(
            features,
            [
                "cough",
                "fever",
                "sore_throat",
                "shortness_of_breath",
                "head_ache",
                "age_60_and_above",
                "sex",
                "contact"
            ]
        );
        assert_eq!(profile.labels, ["negative", "positive"]);
    }
}

#[test]
fn the_test_rows_give_what_the_cards_state() {
    let test = "the_test_rows_give_what_the_cards_state";
    let Some(data) = common::optional_data(test, "covid_symptoms", RAW) else {
        return;
    };
    let raw = [data.join(RAW), data.join(format!("{RAW}.gz"))];
    let raw = raw.iter().find(|path| path.is_file()).expect("found above");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prepared = Command::new("python3")
        .arg(root().join("scripts/prepare-covid-symptoms.py"))
        .arg("--raw")
        .arg(raw)
        .arg("--out")
        .arg(folder.path())
        .status();
    assert!(prepared.expect("python3 runs").success());
    for (name, split) in NETWORKS {
        let network = root().join("models").join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_pdnn"))
            .args(["evaluate", "--json", "--network"])
            .arg(&network)
            .arg("--data")
            .arg(folder.path().join(split).join("test.csv"))
            .output()
            .expect("the program runs");
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let card = std::fs::read_to_string(network.join("README.md")).expect("a card");
        let number = |member: &str| found[member].as_f64().expect(member);
        let row = format!("| test ({}) |", found["images"]);
        let accuracy = format!("| **{:.2} %** |", 100.0 * number("accuracy"));
        let measures = format!(
            "| test | {:.2} % | {:.4} | {:.2} % (negative) |",
            100.0 * number("balanced_accuracy"),
            number("roc_auc"),
            100.0 * number("majority_share"),
        );
        let stated = |line: &str| line.starts_with(&row) && line.ends_with(&accuracy);
        assert!(card.lines().any(stated), "{name}: {row} … {accuracy}");
        assert!(card.contains(&measures), "{name}: {measures}");
    }
}
