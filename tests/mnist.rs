//! The committed LeNet-5 on real images, at real key sizes: encrypted and clear
//! logits are the same, and the counts are those that the README states.

mod common;

use std::path::Path;

use common::{classify::classify, optional_data};
use pdnn::{
    dataset::{Dataset, Selection, load_idx_pair},
    file::load_network,
    network::{Network, argmax},
    paillier::SecretKey,
    protocol::two_party_dnn::{Client, ClientKeys, LayoutChoice, Server},
};
use rand::{SeedableRng, rngs::ChaCha20Rng};

fn lenet5() -> Network {
    load_network(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lenet5"))
        .expect("the committed model")
}

fn test_images(test: &str) -> Option<Dataset> {
    let folder = optional_data(test, "mnist", "t10k-images-idx3-ubyte")?;
    Some(load_idx_pair(&folder, "t10k").expect("MNIST's test set"))
}

fn values(data: &Dataset) -> Vec<Vec<i64>> {
    data.images
        .iter()
        .map(|image| image.iter().map(|&v| i64::from(v)).collect())
        .collect()
}

fn check(test: &str, bits: u32, first: usize, count: usize, layout: LayoutChoice) {
    let Some(data) = test_images(test) else {
        return;
    };
    let selection: Selection = format!("{first}..{}", first + count)
        .parse()
        .expect("a range");
    let images = values(&data.select(selection).expect("10,000 images"));
    let network = lenet5();
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(bits));
    let key = SecretKey::generate(bits, &mut rng).expect("a key");
    let client = Client::new(network.profile().clone(), ClientKeys::Owner(key)).for_whole_run();
    let server = Server::new(network.clone()).for_whole_run();
    let logits = classify(&client, &server, &images, layout, &mut rng);
    assert_eq!(logits, network.forward_all(&images));
}

#[test]
fn one_digit_at_2048_bits() {
    check("one_digit_at_2048_bits", 2048, 0, 1, LayoutChoice::Auto);
}

#[test]
fn one_digit_at_3072_bits() {
    check("one_digit_at_3072_bits", 3072, 1, 1, LayoutChoice::Auto);
}

#[test]
fn one_digit_at_4096_bits() {
    check("one_digit_at_4096_bits", 4096, 2, 1, LayoutChoice::Auto);
}

#[test]
fn three_digits_share_ciphertexts() {
    let test = "three_digits_share_ciphertexts";
    check(test, 2048, 3, 3, LayoutChoice::Latency);
}

#[test]
fn a_batch_with_a_slot_an_image() {
    let test = "a_batch_with_a_slot_an_image";
    check(test, 2048, 100, 100, LayoutChoice::Throughput);
}

#[test]
fn integer_accuracy_on_the_test_set_is_at_least_99_4_percent() {
    let Some(data) = test_images("integer_accuracy_on_the_test_set") else {
        return;
    };
    let labels = data.labels.as_ref().expect("labels");
    let logits = lenet5().forward_all(&values(&data));
    let correct = logits
        .iter()
        .zip(labels)
        .filter(|(logits, label)| argmax(logits) == usize::from(**label))
        .count();
    assert!(correct >= 9940, "{correct} of 10,000");
}
