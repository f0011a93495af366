//! The ordinary ways to use the program.

use std::{fs, process::Stdio};

use pdnn::dataset::write_png;

use crate::place::{NET, Place, stderr};

#[test]
fn two_parties_exchange_files_until_the_label() {
    let place = Place::with_key();
    let encrypt = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "0.png",
        "--invert",
        "never",
    ];
    place.ok(&[&encrypt[..], &NET, &["-o", "query.pdnn"]].concat());
    let stages = place.network.profile().stages.len();
    for stage in 1..=stages {
        place.ok(&[&["infer", "query.pdnn", "-o", "reply.pdnn"][..], &NET].concat());
        let decrypt = [
            "decrypt",
            "--key",
            "alice.key.json",
            "reply.pdnn",
            "-o",
            "query.pdnn",
        ];
        let said = place.ok(&[&decrypt[..], &NET].concat());
        if stage < stages {
            assert_eq!(said, "", "stage {stage}");
        } else {
            assert_eq!(said.trim(), place.label(0));
        }
    }
}

#[test]
fn messages_go_through_pipes() {
    let place = Place::with_key();
    let png = fs::File::open(place.path("1.png")).expect("readable");
    let encrypt = [
        "encrypt",
        "--key",
        "alice.key.json",
        "-",
        "-o",
        "-",
        "--invert",
        "never",
    ];
    let query = place
        .command(&[&encrypt[..], &NET].concat())
        .stdin(png)
        .output()
        .expect("the program starts");
    assert!(query.status.success(), "{}", stderr(&query));
    fs::write(place.path("query"), &query.stdout).expect("writable");
    let reply = place
        .command(&["infer", "--json", "--network", "net", "-", "-o", "-"])
        .stdin(fs::File::open(place.path("query")).expect("readable"))
        .output()
        .expect("the program starts");
    assert!(reply.status.success(), "{}", stderr(&reply));
    fs::write(place.path("reply"), &reply.stdout).expect("writable");
    // With --json nothing but the message goes to standard output.
    let facts = place.json(&["inspect", "reply", "--json"]);
    assert_eq!(facts["kind"], "reply");
    assert_eq!(facts["stage"], 1);
}

#[test]
fn run_plays_all_roles() {
    let place = Place::new();
    let args = [
        "run",
        "--bits",
        "512",
        "--insecure",
        "--invert",
        "never",
        "--json",
        "0.png",
        "1.png",
    ];
    let said = place.json(&[&args[..], &NET].concat());
    for number in 0..2 {
        assert_eq!(said["images"][number]["label"], place.label(number));
    }
    let stages = said["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 3);
    for stage in stages {
        for figure in [
            "ciphertexts_up",
            "ciphertexts_down",
            "bytes_up",
            "bytes_down",
            "products",
        ] {
            assert!(stage[figure].as_u64() > Some(0), "{figure} of {stage}");
        }
    }
    assert!(said["key_generation_ms"].as_f64() > Some(0.0));
    let text = place.ok(&[&args[..6], &NET, &["0.png"]].concat());
    assert!(text.contains("margin"), "{text}");
    assert!(
        text.lines().next().is_some_and(|l| l.contains("server")),
        "{text}"
    );
}

#[test]
fn every_layout_gives_the_clear_logits() {
    let place = Place::with_key();
    for layout in ["auto", "latency", "throughput"] {
        let args = [
            "run",
            "--key",
            "alice.key.json",
            "--invert",
            "never",
            "--json",
            "--layout",
        ];
        let said = place.json(&[&args[..], &[layout], &NET, &["0.png", "1.png", "2.png"]].concat());
        for number in 0..3 {
            let logits: Vec<i64> =
                serde_json::from_value(said["images"][number]["logits"].clone()).expect("integers");
            assert_eq!(logits, place.logits(number), "{layout}");
        }
    }
}

#[test]
fn man_pages_of_everything_go_into_a_folder() {
    let place = Place::new();
    let said = place.ok(&["man", "--out", "man"]);
    for page in ["pdnn", "pdnn-encrypt", "pdnn-number-add"] {
        assert!(said.contains(&format!("man/{page}.1")), "{said}");
        let text = fs::read_to_string(place.path(&format!("man/{page}.1"))).expect("text");
        assert!(text.contains(".SH NAME"), "{text}");
    }
    let one = place.ok(&["man", "number", "add"]);
    assert!(one.contains("PDNN-NUMBER-ADD"), "{one}");
}

#[test]
fn completions_know_every_subcommand() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.ok(&["completions", shell]);
        for subcommand in ["keygen", "encrypt", "infer", "decrypt", "run", "evaluate"] {
            assert!(script.contains(subcommand), "{shell} {subcommand}");
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["man"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_picture_that_is_converted_is_noted() {
    let place = Place::with_key();
    let png = write_png(&[200; 20 * 12], 12, 20).expect("20x12 pixels");
    fs::write(place.path("wide.png"), png).expect("writable");
    let args = ["run", "--key", "alice.key.json", "wide.png"];
    let args = [&args[..], &NET].concat();
    let output = place.run(&args);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("note: wide.png: "), "{said}");
    let output = place.run(&[&args[..], &["--quiet"]].concat());
    assert!(!stderr(&output).contains("note: "));
}

#[test]
fn a_subgroup_key_is_made_shown_and_used() {
    let place = Place::new();
    let keygen = "keygen --out alice --bits 512 --insecure --scheme subgroup --json";
    let made = place.json(&keygen.split(' ').collect::<Vec<_>>());
    assert_eq!(made["scheme"], "subgroup");
    for file in ["alice.pub.json", "alice.key.json"] {
        let shown = place.json(&["inspect", "--json", file]);
        assert_eq!(shown["scheme"], "subgroup");
        let text = shown["randomisers"].as_str().expect("a text");
        assert!(text.contains("a further assumption"), "{text}");
    }
    let run = ["run", "--key", "alice.key.json", "0.png", "--json"];
    let answer = place.json(&[&run[..], &NET].concat());
    assert_eq!(answer["images"][0]["label"], place.label(0));
    // A key that exists has its scheme already.
    let both = ["run", "--key", "alice.key.json", "--scheme", "djn", "0.png"];
    let output = place.run(&both);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot be used with"));
}

#[test]
fn inspect_knows_every_file() {
    let place = Place::with_key();
    let encrypt = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "0.png",
        "1.png",
        "-o",
        "q",
    ];
    place.ok(&[&encrypt[..], &NET].concat());
    place.ok(&[&["infer", "q", "-o", "r"][..], &NET].concat());
    let inspect = |file: &str| place.json(&["inspect", "--json", file]);
    let (public, secret) = (inspect("alice.pub.json"), inspect("alice.key.json"));
    assert_eq!(
        (&public["kind"], &secret["kind"]),
        (&"public key".into(), &"secret key".into())
    );
    assert_eq!(public["fingerprint"], secret["fingerprint"]);
    assert_eq!(public["bits"], 512);
    let (query, reply) = (inspect("q"), inspect("r"));
    assert_eq!(
        (&query["kind"], &reply["kind"]),
        (&"query".into(), &"reply".into())
    );
    for message in [&query, &reply] {
        assert_eq!(message["images"], 2);
        assert_eq!(message["stage"], 1);
        assert_eq!(message["key"], public["fingerprint"]);
    }
    let (profile, model) = (
        inspect("net/profile.json"),
        inspect("net/model.safetensors"),
    );
    assert_eq!(profile["fingerprint"], query["network"]);
    assert_eq!(model["network"], query["network"]);
    assert_eq!(profile["layers"][0]["output"], "2x8x8");
    assert_eq!(profile["weights"], 18 + 32 * 12 + 12 * 10);
    // As text, each layer is a line.
    let text = place.ok(&["inspect", "net/profile.json"]);
    assert!(
        text.lines().any(|line| line.starts_with("dense2")),
        "{text}"
    );
}

#[test]
fn inspect_knows_beforehand_what_a_run_takes() {
    let place = Place::with_key();
    let line = ["inspect", "net", "--bits", "512", "--insecure"];
    let known = place.json(&[&line[..], &["--json"]].concat());
    assert_eq!(known["kind"], "profile");
    let work = &known["work"][0];
    assert_eq!(
        (&work["images"], &work["packing"]),
        (&1.into(), &"latency".into())
    );
    let args = ["run", "0.png", "--key", "alice.key.json", "--json"];
    let run = place.json(&[&args[..], &NET].concat());
    let stages = run["stages"].as_array().expect("stages");
    for (known, met) in work["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .zip(stages)
    {
        for member in [
            "stage",
            "ciphertexts_up",
            "ciphertexts_down",
            "products",
            "squarings",
            "inversions",
        ] {
            assert_eq!(known[member], met[member], "{member}");
        }
    }
    assert_eq!(work["total"]["products"], run["total"]["products"]);
    let text = place.ok(&line);
    assert!(
        text.contains("1 image, packed for latency, key of 512 bits"),
        "{text}"
    );

    let error = place.fails(&["inspect", "net/profile.json", "--bits", "2048"]);
    assert!(error.contains("is no folder"), "{error}");
}
