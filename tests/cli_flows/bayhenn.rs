//! A Bayesian network through the program: alone, over files, in a session.

use std::fs;

use pdnn::{
    dataset::{Images, write_idx_images, write_idx_labels},
    file::{Overwrite, folder::save_bayesian},
};

use crate::{bayesian::bayesian, kernels::kernels, place::Place};

const NET: [&str; 2] = ["--network", "bayes"];

fn place() -> Place {
    let place = Place::with_key();
    fs::create_dir(place.path("bayes")).expect("writable");
    let network = bayesian(&place.network);
    save_bayesian(&place.path("bayes"), &network, Overwrite::Never).expect("writable");
    place
}

#[test]
fn run_says_entropy_samples_and_draws() {
    let place = place();
    let args = ["run", "--key", "alice.key.json", "0.png", "--samples", "3"];
    let text = place.ok(&[&args[..], &NET].concat());
    assert!(text.contains("entropy "), "{text}");
    assert!(text.contains(" of 3 samples"), "{text}");
    let said = place.json(&[&args[..], &NET, &["--json"]].concat());
    assert_eq!(said["protocol"], "bayhenn");
    assert_eq!(said["samples"], 3);
    let image = &said["images"][0];
    assert_eq!(image["sample_logits"].as_array().map(Vec::len), Some(3));
    let probabilities: Vec<f64> =
        serde_json::from_value(image["probabilities"].clone()).expect("numbers");
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(image["entropy"].as_f64() >= Some(0.0));
    // Three times each weight and bias, and the first layer's inputs once.
    let network = bayesian(&place.network);
    let weights: usize = network
        .means()
        .iter()
        .map(|layer| layer.weights.len() + layer.bias.len())
        .sum();
    assert_eq!(said["total"]["drawn"], 3 * weights);
    let one = [
        "run",
        "--key",
        "alice.key.json",
        "0.png",
        "--samples",
        "1",
        "--json",
    ];
    let one = place.json(&[&one[..], &NET].concat());
    let sent =
        |said: &serde_json::Value, stage: usize| said["stages"][stage]["ciphertexts_up"].as_u64();
    assert_eq!(sent(&said, 0), sent(&one, 0));
    assert_eq!(sent(&said, 1), sent(&one, 1).map(|count| 3 * count));
}

/// Each arithmetic that the machine has: what it cannot run says so.
#[test]
fn evaluate_equals_the_clear_with_every_kernel() {
    let place = place();
    let count = 12;
    let pixels = crate::tiny::images(count, 9);
    let images = Images::new(8, 8, pixels.concat()).expect("whole images");
    fs::write(
        place.path("set.idx"),
        write_idx_images(&images).expect("small"),
    )
    .expect("writable");
    let labels: Vec<u8> = (0..count).map(|image| (image % 10) as u8).collect();
    fs::write(
        place.path("set.labels"),
        write_idx_labels(&labels).expect("small"),
    )
    .expect("writable");
    let data = ["evaluate", "--data", "set.idx", "--labels", "set.labels"];
    let mut args = [
        &data[..],
        &NET,
        &["--samples", "2", "--chunk", "5", "--json"],
    ]
    .concat();

    let clear = place.json(&args);
    assert_eq!(clear["bayesian"]["samples"], 2);
    assert_eq!(
        clear["bayesian"]["reliability"].as_array().map(Vec::len),
        Some(10)
    );
    assert_eq!(clear["bayesian"]["referrals"][2]["percent"], 20);
    assert!(clear["encrypted"].is_null());

    args.extend(["--encrypted", "--key", "alice.key.json"]);
    for kernel in kernels() {
        let output = place
            .command(&args)
            .env("PDNN_KERNEL", kernel)
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{kernel}");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(said["encrypted"]["differing"], 0, "{kernel}");
        assert_eq!(said["images"], count);
    }

    let text = place.ok(&[&data[..], &NET, &["--csv", "rows.csv"]].concat());
    assert!(text.contains("accuracy of the rest"), "{text}");
    assert!(text.contains("expected calibration error"), "{text}");
    let rows = fs::read_to_string(place.path("rows.csv")).expect("text");
    assert_eq!(rows.lines().count(), count + 1);
    assert!(
        rows.starts_with("image,truth,label,differs,logits,probability,entropy\n"),
        "{rows}"
    );
}

#[test]
fn files_go_back_and_forth() {
    let place = place();
    let encrypt = ["encrypt", "--key", "alice.pub.json", "--samples", "2"];
    place.ok(&[&encrypt[..], &NET, &["0.png", "1.png", "-o", "query.pdnn"]].concat());
    let facts = place.json(&["inspect", "query.pdnn", "--json"]);
    assert_eq!(
        (&facts["protocol"], &facts["samples"]),
        (&"bayhenn".into(), &2.into())
    );
    for stage in 1..=3 {
        // Without a network, what to do is said.
        let error = place.fails(&["infer", "query.pdnn", "-o", "reply.pdnn"]);
        assert!(error.contains("name its folder with --network"), "{error}");
        place.ok(&[&["infer", "query.pdnn", "-o", "reply.pdnn"][..], &NET].concat());
        let mut decrypt = vec!["decrypt", "--key", "alice.key.json", "reply.pdnn"];
        // In place: the query is checked before the next one replaces it.
        decrypt.extend(["--query", "query.pdnn", "-o", "query.pdnn"]);
        let said = place.ok(&[&decrypt[..], &NET].concat());
        if stage == 3 {
            assert_eq!(said.lines().count(), 2, "{said}");
            assert!(said.contains("entropy"), "{said}");
        }
    }
}

#[test]
fn a_session_keeps_its_samples() {
    let place = place();
    let start = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "--samples",
        "3",
        "--session",
        "monday",
    ];
    place.ok(&[&start[..], &NET, &["0.png"]].concat());
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(place.path("monday/session.json")).expect("text"))
            .expect("JSON");
    assert_eq!(
        (&record["protocol"], &record["samples"]),
        (&"bayhenn".into(), &3.into())
    );
    let decrypt = [
        "decrypt",
        "--key",
        "alice.key.json",
        "--session",
        "monday",
        "--json",
    ];
    place.ok(&[&["infer", "--session", "monday"][..], &NET].concat());

    // A server that answers with fewer samples is found out.
    let reply = place.path("monday/1-reply.pdnn");
    let honest = fs::read(&reply).expect("the reply");
    let mut other =
        pdnn::file::Container::from_bytes(&honest, pdnn::file::Kind::REPLY).expect("sound");
    other.set("samples", 2);
    fs::write(&reply, other.to_bytes().expect("sound")).expect("writable");
    let error = place.fails(&decrypt);
    assert!(
        error.contains("2 samples") && error.contains("3 samples"),
        "{error}"
    );
    fs::write(&reply, honest).expect("writable");

    place.ok(&decrypt);
    for _ in 0..2 {
        place.ok(&[&["infer", "--session", "monday"][..], &NET].concat());
        let said = place.ok(&decrypt);
        if said.contains("\"done\"") {
            let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
            assert_eq!(said["images"][0]["samples"], 3);
            assert_eq!(said["images"][0]["image"], "0.png");
            return;
        }
    }
    panic!("three layers, three replies");
}

#[test]
fn a_plan_for_a_bayesian_network_is_refused() {
    let place = place();
    let error = place.fails(&["plan", "bayes"]);
    assert!(
        error.contains("expected a network of fixed weights"),
        "{error}"
    );
    assert!(!place.path("bayes/plan.safetensors").exists());
}
