//! The committed networks beside the LeNet-5: each loads, and classifies the
//! test images as its card says.

mod common;

use std::{fs, path::PathBuf};

use common::optional_data;
use pdnn::{
    dataset::{Dataset, load_idx_pair, test_prefix},
    file::{AnyNetwork, load_any},
    network::{BayesianNetwork, Network, argmax, softmax},
};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use rayon::prelude::*;

/// Images that share drawn weights, as on the cards.
const CHUNK: usize = 100;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(name)
}

fn test_images(test: &str, set: &str, file: &str) -> Option<(Vec<Vec<i64>>, Vec<usize>)> {
    let folder = optional_data(test, set, file)?;
    let Dataset { images, labels, .. } =
        load_idx_pair(&folder, test_prefix(&folder)).expect("a test set");
    let integers = |image: &[u8]| image.iter().map(|&v| i64::from(v)).collect();
    let labels = labels.expect("labels").into_iter().map(usize::from);
    Some((images.iter().map(integers).collect(), labels.collect()))
}

/// What the card says of the test images in integers, in percent; `draws` is
/// how its row goes on behind their number.
fn card(name: &str, draws: &str) -> f64 {
    let text = fs::read_to_string(folder(name).join("README.md")).expect("a card");
    assert!(text.contains("cargo run --release --features train -- train"));
    let row = text
        .lines()
        .find(|line| line.starts_with("| test (") && line.contains(&format!("){draws} |")));
    let cells: Vec<&str> = row.expect("a row of test images").split('|').collect();
    let figure = cells[4].trim().trim_matches('*').trim_end_matches('%');
    figure.trim().parse().expect("a percentage")
}

fn percent(right: usize, all: usize) -> f64 {
    100.0 * right as f64 / all as f64
}

fn fixed(name: &str) -> Network {
    match load_any(&folder(name)).expect("the committed model") {
        AnyNetwork::Fixed(network) => network,
        AnyNetwork::Bayesian(_) => panic!("{name} is Bayesian"),
    }
}

fn bayesian(name: &str) -> BayesianNetwork {
    match load_any(&folder(name)).expect("the committed model") {
        AnyNetwork::Bayesian(network) => network,
        AnyNetwork::Fixed(_) => panic!("{name} is not Bayesian"),
    }
}

/// A network of fixed weights is as accurate as its card says, to the image.
fn check_fixed(test: &str, name: &str, set: &str, file: &str) {
    let network = fixed(name);
    assert_eq!(network.profile().name, name);
    let Some((images, labels)) = test_images(test, set, file) else {
        return;
    };
    let logits = network.forward_all(&images);
    let right = logits.iter().zip(&labels);
    let right = right.filter(|(l, label)| argmax(l) == **label).count();
    let accuracy = percent(right, labels.len());
    assert!((accuracy - card(name, "")).abs() < 0.006, "{accuracy} %");
}

/// Accuracy in percent with `draws` fresh weights for every [`CHUNK`] images.
fn drawn_accuracy(
    network: &BayesianNetwork,
    images: &[Vec<i64>],
    labels: &[usize],
    draws: usize,
) -> f64 {
    let scale = network.profile().logit_scale;
    let chunks = images.par_chunks(CHUNK).zip(labels.par_chunks(CHUNK));
    let right = chunks.enumerate().map(|(at, (images, labels))| {
        let mut rng = ChaCha20Rng::seed_from_u64(at as u64);
        let mut sums = vec![vec![0.0; network.profile().classes()]; images.len()];
        for _ in 0..draws {
            let weights = network.draw(&mut rng);
            for (sum, image) in sums.iter_mut().zip(images) {
                let probabilities = softmax(&network.forward(&weights, image), scale);
                sum.iter_mut().zip(probabilities).for_each(|(s, p)| *s += p);
            }
        }
        let top = |sum: &Vec<f64>| {
            let better = |best: usize, i: usize| if sum[i] > sum[best] { i } else { best };
            (1..sum.len()).fold(0, better)
        };
        let both = sums.iter().zip(labels);
        both.filter(|(sum, label)| top(sum) == **label).count()
    });
    percent(right.sum(), labels.len())
}

#[test]
fn lenet5_square() {
    let file = "t10k-images-idx3-ubyte";
    check_fixed("lenet5_square", "lenet5-square", "mnist", file);
}

#[test]
fn pneumonia_normal() {
    let file = "test-images-idx3-ubyte";
    check_fixed("pneumonia_normal", "pneumonia-normal", "pneumonia", file);
}

#[test]
fn pneumonia_square() {
    let file = "test-images-idx3-ubyte";
    check_fixed("pneumonia_square", "pneumonia-square", "pneumonia", file);
}

#[test]
fn pneumonia_bayes() {
    let network = bayesian("pneumonia-bayes");
    assert_eq!(network.profile().labels, ["normal", "pneumonia"]);
    let set = test_images("pneumonia_bayes", "pneumonia", "test-images-idx3-ubyte");
    let Some((images, labels)) = set else { return };
    let accuracy = drawn_accuracy(&network, &images, &labels, 4);
    // Other weights than the card's: 624 images leave room for some luck.
    let claimed = card("pneumonia-bayes", ", 4 draws");
    assert!(
        (accuracy - claimed).abs() < 3.0,
        "{accuracy} %, {claimed} %"
    );
}

#[test]
fn lenet5_bayes() {
    let network = bayesian("lenet5-bayes");
    assert_eq!(network.profile().name, "lenet5-bayes");
    assert!(card("lenet5-bayes", ", 4 draws") >= 99.2);
    assert!(card("lenet5-bayes", ", 8 draws") >= 99.3);
    let set = test_images("lenet5_bayes", "mnist", "t10k-images-idx3-ubyte");
    let Some((images, labels)) = set else { return };
    let accuracy = drawn_accuracy(&network, &images, &labels, 4);
    assert!(accuracy >= 99.2, "{accuracy} %");
}
