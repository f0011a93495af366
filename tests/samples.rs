//! The sample digits are what their script draws, and enough of them.

use std::path::Path;

use pdnn::dataset::{Invert, read_folder};

#[path = "../examples/draw_samples.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod draw_samples;

#[test]
fn the_committed_digits_are_those_that_the_script_draws() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample");
    let set = read_folder(&folder, 28, 28, Invert::No, true).expect("the samples are there");
    let mut drawn: Vec<(String, Vec<u8>)> = draw_samples::samples().collect();
    drawn.sort();
    assert_eq!(set.len(), drawn.len());
    for (index, (name, pixels)) in drawn.iter().enumerate() {
        assert_eq!(&set.names[index], name);
        assert!(
            set.images.get(index) == pixels,
            "{name}: run `cargo run --example draw_samples`"
        );
    }
}

#[test]
fn every_class_has_at_least_two_digits_in_the_form_that_a_network_takes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample");
    let set = read_folder(&folder, 28, 28, Invert::Auto, true).expect("the samples are there");
    assert!(set.notes.is_empty(), "nothing to convert: {:?}", set.notes);
    let labels = set.labels.expect("labels are in the names");
    for class in 0..10 {
        let count = labels.iter().filter(|label| **label == class).count();
        assert!(count >= 2, "{count} digits {class}");
    }
}
