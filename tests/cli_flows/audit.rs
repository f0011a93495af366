//! `pdnn audit`: in one process and over a session.

use std::{
    fs,
    process::{Child, Stdio},
};

use pdnn::dataset::{Images, write_idx_images, write_idx_labels};

use crate::{
    place::{NET, Place, stderr},
    tiny,
};

const SHORT: [&str; 3] = ["--bits", "512", "--insecure"];

/// A place with a data set of `count` images.
fn with_images(count: usize) -> Place {
    let place = Place::new();
    let pixels = tiny::images(count, 11).concat();
    let images = Images::new(8, 8, pixels).expect("whole images");
    let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
    for (name, bytes) in [
        ("set.idx", write_idx_images(&images)),
        ("set.labels", write_idx_labels(&labels)),
    ] {
        fs::write(place.path(name), bytes.expect("small")).expect("writable");
    }
    place
}

const SET: [&str; 4] = ["--images", "set.idx", "--labels", "set.labels"];

#[test]
fn an_audit_recovers_2p_dnn_and_writes_what_it_found() {
    let place = with_images(160);
    let files = ["--csv", "a.csv", "--plot", "a.svg", "--queries", "100"];
    let args = [&["audit", "--json"][..], &NET, &SHORT, &SET, &files];
    let found = place.json(&args.concat());
    assert_eq!(found["protocol"], "2p-dnn");
    let [chosen, natural] = [&found["attacks"][0], &found["attacks"][1]];
    assert_eq!(chosen["attack"], "chosen");
    for layer in chosen["points"][0]["layers"].as_array().expect("layers") {
        assert_eq!(layer["traffic"]["messages"], 1, "{layer}");
        assert_eq!(layer["largest_error_all"], 0.0, "{layer}");
    }
    let recovered = &chosen["points"][0]["recovered"];
    assert_eq!(recovered["agreeing"], recovered["images"]);
    assert_eq!(natural["attack"], "natural");
    let last = natural["points"].as_array().expect("points").last();
    let last = last.expect("a point");
    assert_eq!(last["answers"], 100);
    assert_eq!(last["recovered"]["images"], 60);

    let mut csv = csv::Reader::from_path(place.path("a.csv")).expect("readable");
    assert_eq!(&csv.headers().expect("headings")[4], "answers");
    // 1 and 8 points of 3 layers: 1, 2, 4, … 64 and 100.
    let rows: Vec<_> = csv.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 3 * (1 + 8));
    let svg = fs::read_to_string(place.path("a.svg")).expect("readable");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));

    let again = place.fails(&["audit", "--csv", "a.csv"]);
    assert!(again.contains("a.csv"), "{again}");
}

#[test]
fn an_audit_over_a_session_needs_no_model() {
    let place = Place::new();
    fs::create_dir(place.path("client")).expect("writable");
    fs::copy(
        place.path("net/profile.json"),
        place.path("client/profile.json"),
    )
    .expect("writable");
    let start = |args: &[&str]| -> Child {
        place
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    };
    let follow = ["infer", "--session", "s", "--follow", "--timeout", "120"];
    let server = start(&[&follow[..], &NET].concat());
    let audit = ["audit", "--session", "s", "--network", "client", "--json"];
    let found = place.json(&[&audit[..], &SHORT].concat());
    let server = server.wait_with_output().expect("it ends");
    assert!(server.status.success(), "{}", stderr(&server));
    assert_eq!(found["scored"], false);
    for layer in found["attacks"][0]["points"][0]["layers"]
        .as_array()
        .expect("layers")
    {
        assert_eq!(layer["explains"], true, "{layer}");
        assert_eq!(layer["determined"], layer["unknowns"], "{layer}");
    }
    let again = place.fails(&[&audit[..], &SHORT].concat());
    assert!(again.contains("already holds a session"), "{again}");
}

#[test]
fn an_audit_without_enough_images_is_refused() {
    let place = with_images(20);
    let few = place.fails(&[&["audit"][..], &NET, &SHORT, &SET].concat());
    assert!(few.contains("holds 20 images"), "{few}");
}

#[test]
fn an_audit_without_model_or_session_is_refused() {
    let place = Place::new();
    fs::remove_file(place.path("net/model.safetensors")).expect("it is there");
    let error = place.fails(&[&["audit"][..], &NET, &SHORT].concat());
    assert!(error.contains("model.safetensors"), "{error}");
}

#[test]
fn a_session_has_room_for_one_attack() {
    let place = with_images(20);
    let both = ["--attack", "chosen,natural", "--session", "s"];
    let error = place.fails(&[&["audit"][..], &both, &NET, &SHORT, &SET].concat());
    assert!(error.contains("room for one attack"), "{error}");
    assert!(!place.path("s").exists());
}
