//! Malformed lists of features: each is refused, in words that say why.

use serde_json::{Value, json};

use crate::network::{InputSpec, Linear, Profile, Range, Shape, Stage};

/// The error that a small profile with features gives after `change`.
#[track_caller]
fn assert_features_refused(words: &str, change: impl FnOnce(&mut Value)) {
    let linear = Linear::Dense {
        inputs: 2,
        outputs: 2,
    };
    let stage = Stage {
        name: "dense1".into(),
        linear,
        range: Range::new(0, 0),
        then: vec![],
    };
    let input = InputSpec {
        shape: Shape::vector(2),
        min: 0,
        max: 100,
    };
    let labels = vec!["no".into(), "yes".into()];
    let profile = Profile::new("table", input, vec![stage], labels, 1.0);
    let mut value: Value = serde_json::from_str(&profile.to_json()).expect("JSON");
    assert!(value.get("features").is_none(), "absent without a feature");
    value["features"] = json!([
        {"name": "age", "number": {"from": "0", "to": "120"}},
        {"name": "sex", "categories": [{"text": "f", "value": 0}, {"text": "m", "value": 100}]},
    ]);
    let read = Profile::from_json(&value.to_string()).expect("valid");
    assert_eq!(Profile::from_json(&read.to_json()).expect("valid"), read);
    assert_ne!(read.fingerprint(), profile.fingerprint());
    change(&mut value);
    let text = Profile::from_json(&value.to_string())
        .expect_err("malformed")
        .to_string();
    assert!(text.contains(words), "{text:?} does not say {words:?}");
}

#[test]
fn features_that_do_not_cover_the_input() {
    assert_features_refused("there are 1 features, expected 2", |p| {
        p["features"].as_array_mut().expect("a list").pop();
    });
}

#[test]
fn features_of_one_name() {
    assert_features_refused("two features have the name \"age\"", |p| {
        p["features"][1]["name"] = json!("age");
    });
}

#[test]
fn a_feature_without_a_name() {
    assert_features_refused("a feature's name is \"\"", |p| {
        p["features"][0]["name"] = json!("");
    });
}

#[test]
fn a_feature_that_takes_nothing() {
    assert_features_refused("neither a scale for numbers nor categories", |p| {
        p["features"][1]["categories"] = json!([]);
    });
}

#[test]
fn a_feature_with_an_empty_scale() {
    assert_features_refused("\"age\" has no sensible scale", |p| {
        p["features"][0]["number"]["to"] = json!("0.0");
    });
}

#[test]
fn a_feature_with_a_scale_in_words() {
    assert_features_refused("no decimal number", |p| {
        p["features"][0]["number"]["to"] = json!("many");
    });
}

#[test]
fn a_category_twice() {
    assert_features_refused("has the category \"f\" twice", |p| {
        p["features"][1]["categories"][1]["text"] = json!("f");
    });
}

#[test]
fn a_category_with_white_space_around_it() {
    assert_features_refused("white space", |p| {
        p["features"][1]["categories"][1]["text"] = json!("m ");
    });
}

#[test]
fn a_category_outside_the_input_range() {
    assert_features_refused("stands for 101, which lies outside 0..=100", |p| {
        p["features"][1]["categories"][1]["value"] = json!(101);
    });
}

#[test]
fn more_categories_than_a_column_may_have() {
    assert_features_refused("has 5000 categories", |p| {
        let many = (0..5000).map(|n| json!({"text": n.to_string(), "value": 0}));
        p["features"][1]["categories"] = many.collect();
    });
}
