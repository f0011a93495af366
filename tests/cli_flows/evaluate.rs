//! Whole data sets.

use std::fs;

use pdnn::{
    dataset::{Images, write_idx_images, write_idx_labels},
    network::argmax,
};

use crate::{
    place::{NET, Place},
    tiny,
};

/// Writes an IDX set whose labels are the network's own answers, but for the
/// first.
fn idx_set(place: &Place, count: usize) {
    let images = tiny::images(count, 21);
    let labels: Vec<u8> = images
        .iter()
        .enumerate()
        .map(|(number, pixels)| {
            let values: Vec<i64> = pixels.iter().map(|&p| p.into()).collect();
            let class = argmax(&place.network.forward(&values)) as u8;
            if number == 0 { (class + 1) % 10 } else { class }
        })
        .collect();
    let images = Images::new(8, 8, images.concat()).expect("whole images");
    let images = write_idx_images(&images).expect("small");
    fs::write(place.path("t10k-images-idx3-ubyte"), images).expect("writable");
    let labels = write_idx_labels(&labels).expect("small");
    fs::write(place.path("t10k-labels-idx1-ubyte"), labels).expect("writable");
}

#[test]
fn evaluate_in_the_clear_and_encrypted() {
    let place = Place::with_key();
    idx_set(&place, 25);
    let clear = place.json(&[&["evaluate", "--data", ".", "--json"][..], &NET].concat());
    assert_eq!(clear["images"], 25);
    assert_eq!(clear["right"], 24);
    assert!(clear["encrypted"].is_null());
    // In chunks that do not divide the number of images.
    let args = [
        "evaluate",
        "--data",
        "t10k-images-idx3-ubyte",
        "--labels",
        "t10k-labels-idx1-ubyte",
        "--encrypted",
        "--key",
        "alice.key.json",
        "--chunk",
        "7",
        "--limit",
        "20",
        "--json",
        "--csv",
        "rows.csv",
    ];
    let encrypted = place.json(&[&args[..], &NET].concat());
    assert_eq!(encrypted["images"], 20);
    assert_eq!(encrypted["right"], 19);
    assert_eq!(encrypted["encrypted"]["differing"], 0);
    let confusion: Vec<Vec<usize>> =
        serde_json::from_value(encrypted["confusion"].clone()).expect("counts");
    assert_eq!(confusion.concat().iter().sum::<usize>(), 20);
    let rows = fs::read_to_string(place.path("rows.csv")).expect("text");
    assert_eq!(rows.lines().count(), 21);
    assert_eq!(
        rows.lines().next(),
        Some("image,truth,label,differs,logits")
    );
    // The file stays as it is the second time.
    let error = place.fails(&[&args[..], &NET].concat());
    assert!(error.contains("rows.csv"), "{error}");
}

#[test]
fn evaluate_reads_labels_from_file_names() {
    let place = Place::new();
    fs::create_dir(place.path("digits")).expect("writable");
    for number in 0..3 {
        let from = place.path(&format!("{number}.png"));
        let to = place.path(&format!("digits/{}-{number}.png", place.label(number)));
        fs::copy(from, to).expect("writable");
    }
    let said = place.json(
        &[
            &[
                "evaluate", "--data", "digits", "--invert", "never", "--json",
            ][..],
            &NET,
        ]
        .concat(),
    );
    assert_eq!((&said["images"], &said["right"]), (&3.into(), &3.into()));
}

/// The digits that the project drew, without a word about the network.
#[test]
fn the_built_in_network_reads_the_sample_digits() {
    let place = Place::with_key();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    let said = place.json(&["evaluate", "--data", sample, "--json"]);
    assert!(said["images"].as_u64() >= Some(20), "{said}");
    assert_eq!(said["right"], said["images"], "{said}");
    let seven = format!("{sample}/7-a.png");
    let said = place.json(&["run", "--key", "alice.key.json", &seven, "--json"]);
    assert_eq!(said["images"][0]["label"], "7");
    // The same over files.
    place.ok(&[
        "encrypt",
        "--key",
        "alice.pub.json",
        &seven,
        "--session",
        "s",
    ]);
    let mut label = String::new();
    while label.is_empty() {
        place.ok(&["infer", "--session", "s"]);
        label = place.ok(&["decrypt", "--key", "alice.key.json", "--session", "s"]);
    }
    assert_eq!(label, "7\n");
}
