//! Malformed profiles and inputs: a test for each malformation, named after it.

use serde_json::{Value, json};

use super::{lenet5, lenet5_profile, random_weights, seeded};
use crate::network::{Function, Network, NetworkError, Op, Profile, Range, Weights};

/// The JSON of a profile that is valid.
fn valid() -> Value {
    let network = lenet5(&mut seeded(20));
    serde_json::from_str(&network.profile().to_json()).expect("JSON")
}

/// The error that reading the valid profile gives after `change`.
fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut value = valid();
    change(&mut value);
    let error = Profile::from_json(&value.to_string()).expect_err("malformed");
    let text = error.to_string();
    assert!(!text.contains('\n'), "more than one line: {text}");
    text
}

/// Asserts that reading the profile after `change` fails, with `words` in the
/// message.
#[track_caller]
fn assert_refused(words: &str, change: impl FnOnce(&mut Value)) {
    let text = refused(change);
    assert!(text.contains(words), "{text:?} does not say {words:?}");
}

/// Step `step` of stage `stage`.
fn step(profile: &mut Value, stage: usize, step: usize) -> &mut Value {
    &mut profile["stages"][stage]["then"][step]
}

#[test]
fn a_valid_profile_survives_the_round_trip() {
    let profile = lenet5(&mut seeded(20)).profile().clone();
    let again = Profile::from_json(&profile.to_json()).expect("valid");
    assert_eq!(again, profile);
    assert_eq!(again.fingerprint(), profile.fingerprint());
    let canonical = Profile::from_json(&profile.canonical_json()).expect("valid");
    assert_eq!(canonical, profile);
}

#[test]
fn every_operation_survives_the_round_trip() {
    let arguments = Range::new(-2, 2);
    let lookup = Op::lookup(Function::Sigmoid, arguments, 0.5, 0.01).expect("a table");
    let (size, stride) = (2, 3);
    let requantise = Op::Requantise {
        multipliers: vec![3, -4],
        shift: 5,
        min: -6,
        max: 7,
    };
    let ops = [
        (Op::Relu, json!({"op": "relu"})),
        (Op::Square, json!({"op": "square"})),
        (Op::Flatten, json!({"op": "flatten"})),
        (
            Op::AveragePool { size, stride },
            json!({"op": "average_pool", "size": 2, "stride": 3}),
        ),
        (
            Op::SumPool { size, stride },
            json!({"op": "sum_pool", "size": 2, "stride": 3}),
        ),
        (
            Op::MaxPool { size, stride },
            json!({"op": "max_pool", "size": 2, "stride": 3}),
        ),
        (
            requantise,
            json!({"op": "requantise", "multipliers": [3, -4], "shift": 5, "min": -6, "max": 7}),
        ),
        (
            lookup,
            json!({"op": "lookup", "function": "sigmoid", "min": -2,
                   "table": [27, 38, 50, 62, 73]}),
        ),
    ];
    for (op, expected) in ops {
        let value = serde_json::to_value(&op).expect("plain data");
        assert_eq!(value, expected);
        assert_eq!(value["op"], op.name());
        assert_eq!(serde_json::from_value::<Op>(value).expect("an op"), op);
    }
}

#[test]
fn fingerprint_survives_any_logit_scale() {
    let mut profile = lenet5(&mut seeded(21)).profile().clone();
    let mut scale = 1e-30;
    while scale < 1e30 {
        scale *= 1.37;
        profile.logit_scale = scale;
        let again = Profile::from_json(&profile.to_json()).expect("valid");
        assert_eq!(again.fingerprint(), profile.fingerprint(), "{scale:e}");
    }
}

#[test]
fn fingerprint_depends_on_every_part() {
    let profile = lenet5(&mut seeded(22)).profile().clone();
    let mut prints = vec![profile.fingerprint()];
    let changes: [fn(&mut Profile); 7] = [
        |p| p.name.push('x'),
        |p| p.input.max = 254,
        |p| p.stages[0].name.push('x'),
        |p| p.stages[0].range.max += 1,
        |p| p.stages[3].then.truncate(1),
        |p| p.labels.swap(0, 1),
        |p| p.logit_scale *= 2.0,
    ];
    for change in changes {
        let mut changed = profile.clone();
        change(&mut changed);
        let print = changed.fingerprint();
        assert!(!prints.contains(&print));
        prints.push(print);
    }
}

#[test]
fn no_json() {
    let error = Profile::from_json("28x28, please").expect_err("malformed");
    assert!(error.to_string().contains("cannot be read"));
    assert!(Profile::from_json("").is_err());
    assert!(Profile::from_json("{}").is_err());
}

#[test]
fn truncated_json() {
    let text = valid().to_string();
    for len in [1, text.len() / 2, text.len() - 1] {
        assert!(Profile::from_json(&text[..len]).is_err());
    }
}

#[test]
fn wrong_format() {
    assert_refused(
        "expected format \"pdnn-profile\", found \"pdnn-model\"",
        |p| {
            p["format"] = "pdnn-model".into();
        },
    );
}

#[test]
fn wrong_version_even_with_unknown_fields() {
    assert_refused("version 2, expected 1", |p| {
        p["version"] = 2.into();
        p["novelty"] = true.into();
    });
}

#[test]
fn unknown_field() {
    assert_refused("unknown field `novelty`", |p| p["novelty"] = true.into());
    assert_refused("unknown field `novelty`", |p| {
        p["input"]["novelty"] = true.into();
    });
    assert_refused("unknown field `novelty`", |p| {
        p["stages"][0]["novelty"] = true.into();
    });
    assert_refused("unknown field `novelty`", |p| {
        p["stages"][0]["linear"]["novelty"] = true.into();
    });
    assert_refused("unknown field `novelty`", |p| {
        p["stages"][0]["range"]["novelty"] = true.into();
    });
}

#[test]
fn unknown_field_in_an_operation() {
    for index in 0..3 {
        assert_refused("unknown field `novelty`", |p| {
            step(p, 0, index)["novelty"] = true.into();
        });
    }
}

#[test]
fn unknown_field_with_a_line_feed_in_its_name() {
    assert_refused("unknown field `two lines`", |p| p["two\nlines"] = 1.into());
}

#[test]
fn unknown_operation() {
    assert_refused("unknown variant `gelu`", |p| {
        step(p, 0, 0)["op"] = "gelu".into();
    });
}

#[test]
fn missing_field() {
    assert_refused("missing field `labels`", |p| {
        p.as_object_mut().expect("an object").remove("labels");
    });
}

#[test]
fn layer_shapes_that_do_not_chain() {
    assert_refused(
        "stage conv2: expected an input of 6x14x15, found 6x14x14",
        |p| p["stages"][1]["linear"]["input"]["width"] = 15.into(),
    );
    assert_refused(
        "stage fc2: expected an input of 121x1x1, found 120x1x1",
        |p| {
            p["stages"][3]["linear"]["inputs"] = 121.into();
        },
    );
    assert_refused("stage conv1: expected an input of 1x28x28", |p| {
        p["input"]["shape"]["height"] = 27.into();
    });
}

#[test]
fn too_many_products_over_all_stages() {
    // Each layer has 2^26 products, the most that its weights allow; the
    // seventeenth has one too many.
    let words = "stage layer17: the number of products and values read";
    assert_refused(words, |p| {
        p["input"]["shape"] = json!({"channels": 8192, "height": 1, "width": 1});
        let mut stage = p["stages"][2].clone();
        stage["linear"]["inputs"] = 8192.into();
        stage["linear"]["outputs"] = 8192.into();
        stage["then"] = json!([]);
        let stages = (1..=17).map(|i| {
            let mut stage = stage.clone();
            stage["name"] = format!("layer{i}").into();
            stage
        });
        p["stages"] = stages.collect();
    });
}

#[test]
fn zero_stride() {
    assert_refused("stage conv1: the stride is 0", |p| {
        p["stages"][0]["linear"]["stride"] = 0.into();
    });
    assert_refused("stage conv1, step 2 (sum_pool): the stride is 0", |p| {
        step(p, 0, 1)["stride"] = 0.into();
    });
}

#[test]
fn zero_extent() {
    assert_refused("stage conv1: the kernel's height is 0", |p| {
        p["stages"][0]["linear"]["kernel"] = json!([0, 5]);
    });
    assert_refused("stage fc1: the number of outputs is 0", |p| {
        p["stages"][2]["linear"]["outputs"] = 0.into();
    });
    assert_refused("input: the number of values is 0", |p| {
        p["input"]["shape"]["channels"] = 0.into();
    });
    assert_refused("(sum_pool): the size of the pooling window is 0", |p| {
        step(p, 0, 1)["size"] = 0.into();
    });
}

#[test]
fn kernel_larger_than_input() {
    assert_refused(
        "stage conv2: a window of 15x5 is larger than its input of 6x14x14",
        |p| p["stages"][1]["linear"]["kernel"] = json!([15, 5]),
    );
}

#[test]
fn pooling_window_larger_than_input() {
    assert_refused(
        "stage conv2, step 2 (sum_pool): a window of 11x11 is larger than its input of 16x10x10",
        |p| step(p, 1, 1)["size"] = 11.into(),
    );
}

#[test]
fn negative_size() {
    assert_refused("cannot be read", |p| {
        p["stages"][0]["linear"]["padding"] = (-1).into();
    });
}

#[test]
fn absurd_sizes() {
    let huge = u64::MAX;
    assert_refused("the limit is", |p| {
        p["input"]["shape"] = json!({"channels": huge, "height": huge, "width": huge});
    });
    assert_refused("stage conv1: the padding would be", |p| {
        p["stages"][0]["linear"]["padding"] = huge.into();
    });
    assert_refused("stage conv1: the number of outputs would be", |p| {
        p["stages"][0]["linear"]["outputs"] = huge.into();
    });
    assert_refused("stage conv1: the number of outputs would be", |p| {
        p["stages"][0]["linear"]["padding"] = 4_000_000.into();
    });
    assert_refused("stage conv1: a window of", |p| {
        p["stages"][0]["linear"]["kernel"] = json!([huge, huge]);
    });
    assert_refused("stage fc1: the number of outputs would be", |p| {
        p["stages"][2]["linear"]["outputs"] = huge.into();
    });
    assert_refused("(sum_pool): a window of", |p| {
        step(p, 0, 1)["size"] = huge.into()
    });
}

#[test]
fn too_many_weights() {
    assert_refused("stage fc1: the number of weights would be 400000000", |p| {
        p["stages"][2]["linear"]["outputs"] = 1_000_000.into();
    });
}

#[test]
fn too_many_steps() {
    assert_refused("stage conv1: the number of steps would be 33", |p| {
        p["stages"][0]["then"] = vec![json!({"op": "relu"}); 33].into();
    });
}

#[test]
fn multiplier_count_wrong() {
    assert_refused(
        "stage conv1, step 3 (requantise): 5 multipliers for 6 channels, expected 1 or 6",
        |p| step(p, 0, 2)["multipliers"] = json!([1, 1, 1, 1, 1]),
    );
    assert_refused("0 multipliers", |p| {
        step(p, 0, 2)["multipliers"] = json!([]);
    });
}

#[test]
fn shift_of_0_or_above_62() {
    for shift in [0, 63, 64, 4_000_000_000u32] {
        assert_refused(
            &format!("stage fc1, step 2 (requantise): a shift by {shift} bits, expected 1 to 62"),
            |p| step(p, 2, 1)["shift"] = shift.into(),
        );
    }
}

#[test]
fn inverted_clamp() {
    assert_refused(
        "stage fc1, step 2 (requantise): the clamp runs from 256 to 255",
        |p| step(p, 2, 1)["min"] = 256.into(),
    );
}

#[test]
fn inverted_range() {
    assert_refused("stage fc3: the range runs from 9 to -9", |p| {
        p["stages"][4]["range"] = json!({"min": 9, "max": -9});
    });
    assert_refused("input: the range runs from 256 to 255", |p| {
        p["input"]["min"] = 256.into();
    });
}

#[test]
fn range_that_overflows_behind_the_layer() {
    assert_refused(
        "stage conv1, step 2 (sum_pool): a pooled sum may need more",
        |p| {
            p["stages"][0]["range"] = json!({"min": 0, "max": i64::MAX});
        },
    );
}

#[test]
fn multiplier_that_overflows() {
    assert_refused(
        "stage fc1, step 2 (requantise): a requantised product may need more than 64 bits",
        |p| step(p, 2, 1)["multipliers"] = json!([i64::MAX]),
    );
}

#[test]
fn lookup_table_too_short_for_the_range() {
    let table = |entries: usize| json!({"op": "lookup", "function": "tanh", "min": 0, "table": vec![1; entries]});
    assert_refused(
        "stage fc1, step 3 (lookup): the table covers 0..=254, but values of 0..=255 arrive",
        |p| {
            p["stages"][2]["then"]
                .as_array_mut()
                .expect("a list")
                .push(table(255))
        },
    );
    let mut value = valid();
    let then = value["stages"][2]["then"].as_array_mut().expect("a list");
    then.push(table(256));
    Profile::from_json(&value.to_string()).expect("long enough");
}

#[test]
fn lookup_table_that_starts_too_late() {
    assert_refused("the table covers 1..=300", |p| {
        p["stages"][2]["then"]
            .as_array_mut()
            .expect("a list")
            .push(json!({"op": "lookup", "function": "tanh", "min": 1, "table": vec![0; 300]}));
    });
}

#[test]
fn lookup_table_without_entries_or_past_64_bits() {
    for (min, entries) in [(0, 0), (i64::MAX, 2), (i64::MIN, 0)] {
        assert_refused(
            &format!("the table has {entries} entries from {min}"),
            |p| {
                step(p, 2, 0).clone_from(
                &json!({"op": "lookup", "function": "tanh", "min": min, "table": vec![0; entries]}),
            );
            },
        );
    }
}

#[test]
fn unknown_function_of_a_table() {
    assert_refused("unknown variant `cosine`", |p| {
        step(p, 2, 0)
            .clone_from(&json!({"op": "lookup", "function": "cosine", "min": 0, "table": [0]}));
    });
}

#[test]
fn no_stages() {
    assert_refused("there are 0 stages", |p| p["stages"] = json!([]));
}

#[test]
fn stage_names_that_are_empty_repeated_or_unprintable() {
    assert_refused("two stages have the name conv1", |p| {
        p["stages"][1]["name"] = "conv1".into();
    });
    for name in ["", "a.b", "a b", "\u{1b}[2J", "../x"] {
        assert_refused("is not 1 to 128 letters", |p| {
            p["stages"][0]["name"] = name.into();
        });
    }
    assert_refused("is not 1 to 128 letters", |p| {
        p["stages"][0]["name"] = "x".repeat(129).into();
    });
}

#[test]
fn label_count_wrong() {
    assert_refused("there are 9 labels, expected 10", |p| {
        p["labels"].as_array_mut().expect("a list").pop();
    });
}

#[test]
fn labels_that_repeat_or_do_not_print() {
    assert_refused("a label occurs twice", |p| p["labels"][3] = "4".into());
    assert_refused("a label is", |p| p["labels"][3] = "\u{7}".into());
    assert_refused("the network's name is", |p| p["name"] = "".into());
}

#[test]
fn logit_scale_that_is_no_positive_number() {
    for scale in [0.0, -1.0, 1e39, 1e-60] {
        assert_refused("expected a positive number", |p| {
            p["logit_scale"] = scale.into()
        });
    }
    assert_refused("cannot be read", |p| p["logit_scale"] = "0.1".into());
}

#[test]
fn weights_of_the_wrong_count() {
    let profile = lenet5_profile();
    let layers: Vec<Weights> = profile
        .stages
        .iter()
        .map(|stage| random_weights(&stage.linear, 127, &mut seeded(23)))
        .collect();
    let refused = |layers| {
        let error = Network::new(profile.clone(), layers).expect_err("malformed");
        error.to_string()
    };
    let mut short = layers.clone();
    short[1].weights.pop();
    assert_eq!(refused(short), "stage conv2: 2399 weights, expected 2400");
    let mut short = layers.clone();
    short[1].bias.push(0);
    assert_eq!(refused(short), "stage conv2: 17 biases, expected 16");
    assert_eq!(
        refused(layers[..4].to_vec()),
        "the profile has 5 stages but there are weights for 4"
    );
}

#[test]
fn input_of_the_wrong_length_or_range() {
    let network = lenet5(&mut seeded(24));
    let check = |input: &[i64]| network.profile().check_input(input);
    assert_eq!(check(&[0; 784]), Ok(()));
    let error = check(&[0; 783]).expect_err("too short");
    assert_eq!(
        error.to_string(),
        "the input has 783 values, expected 784 (1x28x28)"
    );
    let mut input = vec![0; 784];
    input[5] = 4711;
    let error = check(&input).expect_err("out of range");
    assert!(matches!(error, NetworkError::InputValue { index: 5, .. }));
    // The value is the client's secret.
    assert!(!error.to_string().contains("4711"));
    assert!(error.to_string().contains("0..=255"));
}
