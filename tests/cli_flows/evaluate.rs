//! Whole data sets.

use std::fs;
#[cfg(unix)]
use std::{
    io::Write,
    process::{Command, Stdio},
};

use pdnn::{
    dataset::{Images, write_idx_images, write_idx_labels},
    network::argmax,
};

use crate::{
    place::{NET, Place, stderr},
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

#[cfg(target_os = "linux")]
#[test]
fn a_csv_file_that_cannot_be_written_is_said_before_the_work() {
    let place = Place::with_key();
    // The data set is not even looked for.
    let args = ["evaluate", "--data", "missing", "--csv", "/proc/rows.csv"];
    let error = place.fails(&[&args[..], &NET].concat());
    assert!(error.contains("/proc/rows.csv"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_csv_file_that_fails_at_the_end_does_not_take_the_result_along() {
    let place = Place::with_key();
    idx_set(&place, 5);
    let labels = fs::read(place.path("t10k-labels-idx1-ubyte")).expect("readable");
    let pipe = place.path("labels");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is there").success());
    let args = [
        "evaluate",
        "--data",
        "t10k-images-idx3-ubyte",
        "--labels",
        "labels",
        "--csv",
        "rows.csv",
        "--json",
    ];
    let program = place
        .command(&[&args[..], &NET].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // Opens once the program reads, and so after it has tried the CSV file.
    let mut pipe = fs::File::options().write(true).open(pipe).expect("a pipe");
    fs::write(place.path("rows.csv"), "mine").expect("writable");
    pipe.write_all(&labels).expect("it reads");
    drop(pipe);
    let output = program.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("rows.csv: exists"));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["images"], 5);
    let rows = fs::read(place.path("rows.csv")).expect("readable");
    assert_eq!(rows, b"mine");
}

#[test]
fn options_of_encryption_need_encrypted() {
    let place = Place::with_key();
    idx_set(&place, 2);
    let evaluate = [&["evaluate", "--data", "."][..], &NET].concat();
    for option in [
        &["--key", "alice.key.json"][..],
        &["--bits", "2048"],
        &["--insecure"],
        &["--layout", "latency"],
    ] {
        let output = place.run(&[&evaluate[..], option].concat());
        assert_eq!(output.status.code(), Some(2), "{option:?}");
        assert!(stderr(&output).contains("--encrypted"), "{option:?}");
    }
    place.ok(&evaluate);
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
