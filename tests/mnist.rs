//! The committed LeNet-5 on real images, at real key sizes: encrypted and clear
//! logits are the same, and the counts are those that the README states.

mod common;

use std::path::Path;

use common::{classify::classify, optional_data};
use pdnn::{
    dataset::{Dataset, Selection, load_idx_pair},
    encrypted::layout::{Packing, StageLayout},
    file::load_network,
    network::{Network, Range, argmax},
    paillier::SecretKey,
    protocol::two_party_dnn::{Client, ClientKeys, LayoutChoice, Server, traffic},
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
    let stated = format!("**{:.2} %** |", correct as f64 / 100.0);
    let card = include_str!("../models/lenet5/README.md");
    assert!(card.contains(&stated), "the card does not state {stated}");
}

#[cfg(feature = "train")]
#[test]
fn float_accuracy_on_the_test_set_is_what_the_card_states() {
    use pdnn::{file::checkpoint::Checkpoint, train::FloatNetwork};

    let Some(data) = test_images("float_accuracy_on_the_test_set") else {
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lenet5/checkpoint.safetensors");
    let file = std::fs::File::open(path).expect("the committed checkpoint");
    let checkpoint = Checkpoint::read(file).expect("a checkpoint");
    let network = FloatNetwork::restore(&checkpoint).expect("of a known topology");
    let labels = data.labels.as_ref().expect("labels");
    let classes = network.classify(&values(&data)).expect("28x28");
    let correct = classes
        .iter()
        .zip(labels)
        .filter(|((class, _), label)| *class == usize::from(**label))
        .count();
    let stated = format!("| test (10000) | {:.2} % |", correct as f64 / 100.0);
    let card = include_str!("../models/lenet5/README.md");
    assert!(card.contains(&stated), "the card does not state {stated}");
}

/// The counts of one image that the README states, from the layouts alone.
#[test]
fn one_image_sends_as_many_ciphertexts_as_the_readme_states() {
    let network = lenet5();
    let readme = include_str!("../README.md");
    for bits in [2048, 3072, 4096] {
        let stages = traffic(network.profile(), bits, 1, 1, Packing::Latency).expect("slots");
        let up: usize = stages.iter().map(|stage| stage.inputs).sum();
        let down: usize = stages.iter().map(|stage| stage.outputs).sum();
        let row = format!("| {bits} | {up} | {down} |");
        assert!(readme.contains(&row), "the README lacks the row {row}");
    }
}

/// The products that the plans of one image at 2048 bits take, layer by layer:
/// they follow from the weights and change only if the plans do.
#[test]
fn one_image_takes_as_many_products_as_it_did() {
    let server = Server::new(lenet5());
    let found: Vec<(u64, u64, u64)> = server
        .layers()
        .iter()
        .map(|layer| {
            let stage = layer.stage();
            let inputs = Range::new(0, 255);
            let packing = Packing::Latency;
            let layout = StageLayout::new(&stage.linear, inputs, stage.range, 2048, 1, packing);
            let layout = layout.expect("slots");
            let counts = layer.plan(&layout, layout.groups()).counts;
            (counts.products, counts.squarings, counts.inversions)
        })
        .collect();
    let expected = [
        (3451, 320, 1),
        (8281, 480, 1),
        (60100, 4051, 1),
        (16349, 1976, 1),
        (1866, 224, 1),
    ];
    assert_eq!(found, expected);
}
