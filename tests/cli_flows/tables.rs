//! Networks that take rows of a table.

use std::fs;

use pdnn::{
    file::{Overwrite, folder::save_network},
    network::{
        Category, Decimal, Feature, InputSpec, Linear, Network, Op, Profile, Range, Scale, Shape,
        Stage, Weights,
    },
};

use crate::place::Place;

/// A network of two columns: a number and a word.
fn network() -> Network {
    let stage = |name: &str, inputs, outputs, then| Stage {
        name: name.into(),
        linear: Linear::Dense { inputs, outputs },
        range: Range::new(0, 0),
        then,
    };
    let requantise = Op::Requantise {
        multipliers: vec![1],
        shift: 2,
        min: 0,
        max: 255,
    };
    let stages = vec![
        stage("dense1", 2, 3, vec![Op::Relu, requantise]),
        stage("dense2", 3, 2, vec![]),
    ];
    let layers = vec![
        Weights {
            weights: vec![3, -1, -2, 5, 1, 1],
            bias: vec![10, -20, 0],
        },
        Weights {
            weights: vec![2, -1, 3, -4, 5, 1],
            bias: vec![7, -300],
        },
    ];
    let input = InputSpec {
        shape: Shape::vector(2),
        min: 0,
        max: 100,
    };
    let number = |text| Decimal::parse(text).expect("a number");
    let category = |text: &str, value| Category {
        text: text.into(),
        value,
    };
    let features = vec![
        Feature {
            name: "age".into(),
            number: Some(Scale {
                from: number("0"),
                to: number("120"),
            }),
            categories: vec![],
        },
        Feature {
            name: "sex".into(),
            number: None,
            categories: vec![category("female", 0), category("male", 100)],
        },
    ];
    let labels = vec!["negative".into(), "positive".into()];
    let profile = Profile::new("table", input, stages, labels, 0.01).with_features(features);
    Network::new(profile, layers).expect("a sound network")
}

/// What the rows of `ROWS` stand for: 60 of 120 is 50 of 100.
const VALUES: [[i64; 2]; 4] = [[50, 0], [0, 100], [100, 100], [1, 0]];
const ROWS: &str = "sex,label,age\nfemale,positive,60\nmale,negative,0\nmale,1,120\nfemale,0,0.6\n";
const TABLE: [&str; 2] = ["--network", "table"];

fn place() -> Place {
    let place = Place::with_key();
    fs::create_dir(place.path("table")).expect("writable");
    save_network(&place.path("table"), &network(), Overwrite::Never).expect("writable");
    fs::write(place.path("rows.csv"), ROWS).expect("writable");
    place
}

/// The error that `encrypt` gives for a file that holds `text`.
fn refused(text: &str) -> String {
    let place = place();
    fs::write(place.path("wrong.csv"), text).expect("writable");
    let args = ["encrypt", "--key", "alice.pub.json", "wrong.csv", "-o", "q"];
    let error = place.fails(&[&args[..], &TABLE].concat());
    assert!(!place.path("q").exists());
    error
}

#[test]
fn rows_are_classified_as_in_the_clear() {
    let place = place();
    let run = ["run", "rows.csv", "--key", "alice.key.json", "--json"];
    let result = place.json(&[&run[..], &TABLE].concat());
    let network = network();
    for (row, values) in VALUES.iter().enumerate() {
        let logits = network.forward(values);
        assert_eq!(result["images"][row]["logits"], serde_json::json!(logits));
        assert_eq!(result["images"][row]["image"], row.to_string());
    }
}

#[test]
fn two_classes_are_measured() {
    let place = place();
    let evaluate = ["evaluate", "--data", "rows.csv", "--json"];
    let clear = place.json(&[&evaluate[..], &TABLE].concat());
    let network = network();
    let scores = VALUES.map(|values| {
        let logits = network.forward(&values);
        logits[1] - logits[0]
    });
    // Rows 0 and 2 are positive.
    let pair = |p: usize, n: usize| match scores[p].cmp(&scores[n]) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let area = (pair(0, 1) + pair(0, 3) + pair(2, 1) + pair(2, 3)) / 4.0;
    assert_eq!(clear["roc_auc"], area);
    assert_eq!(clear["majority_share"], 0.5);
    assert!(clear["balanced_accuracy"].is_number());
    let encrypted = ["--encrypted", "--key", "alice.key.json"];
    let encrypted = place.json(&[&evaluate[..], &TABLE, &encrypted].concat());
    assert_eq!(encrypted["encrypted"]["differing"], 0);
    assert_eq!(encrypted["roc_auc"], clear["roc_auc"]);
    let text = place.ok(&[&evaluate[..3], &TABLE].concat());
    assert!(text.contains("area under the ROC curve"), "{text}");
}

#[test]
fn the_label_column_may_have_another_name() {
    let place = place();
    fs::write(place.path("other.csv"), ROWS.replace("label", "result")).expect("writable");
    let evaluate = ["evaluate", "--data", "other.csv"];
    let error = place.fails(&[&evaluate[..], &TABLE].concat());
    assert!(error.contains("other.csv: no column \"label\""), "{error}");
    let named = [&evaluate[..], &TABLE, &["--label-column", "result"]].concat();
    assert!(place.ok(&named).contains("right"));
    let feature = [&evaluate[..], &TABLE, &["--label-column", "age"]].concat();
    assert!(place.fails(&feature).contains("is a feature"));
}

#[test]
fn a_label_that_is_no_class() {
    let place = place();
    for wrong in ["maybe", "2", ""] {
        let text = ROWS.replace("negative", wrong);
        fs::write(place.path("wrong.csv"), text).expect("writable");
        let error = place.fails(&[&["evaluate", "--data", "wrong.csv"][..], &TABLE].concat());
        let says = format!("CSV line 3, column \"label\": \"{wrong}\" is none of the labels");
        assert!(error.contains(&says), "{error}");
    }
}

#[test]
fn an_unknown_column_is_named() {
    let error = refused("age,weight,sex\n60,70,male\n");
    assert_eq!(
        error,
        "error: wrong.csv: unknown column \"weight\"; expected age, sex, in any order; remove the \
         column"
    );
}

#[test]
fn a_missing_column_is_named() {
    let error = refused("age\n60\n");
    assert!(error.contains("no column \"sex\""), "{error}");
}

#[test]
fn a_value_that_is_no_number_is_named_by_row_and_column() {
    let error = refused("sex,age\nmale,60\nmale,old\n");
    assert!(
        error.ends_with("CSV line 3, column \"age\": \"old\" is no number"),
        "{error}"
    );
}

#[test]
fn a_value_outside_its_scale_is_named() {
    let error = refused("sex,age\nmale,121\n");
    assert!(
        error.ends_with("column \"age\": \"121\" lies outside 0 to 120"),
        "{error}"
    );
}

#[test]
fn an_unknown_word_is_named() {
    let error = refused("sex,age\nwoman,60\n");
    assert!(
        error.ends_with("column \"sex\": \"woman\" is none of \"female\", \"male\""),
        "{error}"
    );
}

#[test]
fn a_row_that_is_too_short_is_named() {
    let error = refused("sex,age\nmale,60\nmale\n");
    assert!(error.contains("CSV line 3 has 1 columns"), "{error}");
}

#[test]
fn a_picture_for_a_network_that_takes_tables() {
    let place = place();
    let error = place.fails(&[&["run", "0.png", "--key", "alice.key.json"][..], &TABLE].concat());
    assert!(error.contains("0.png: is no table"), "{error}");
}
