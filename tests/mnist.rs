//! The committed LeNet-5s on real images, at real key sizes: encrypted and clear
//! logits are the same, and the counts are those that the README states.

mod common;

use std::path::{Path, PathBuf};

use common::{classify::classify, optional_data};
use pdnn::{
    dataset::{Dataset, Selection, load_idx_pair},
    encrypted::layout::Packing,
    file::{load_network, plan::load_plans},
    network::{Linear, Network, Op, Shape, argmax},
    paillier::SecretKey,
    protocol::{
        exchange::best_chunk,
        two_party_dnn::{Client, ClientKeys, LayoutChoice, Server, traffic},
    },
};
use rand::{SeedableRng, rngs::ChaCha20Rng};

/// The committed networks for MNIST.
const NETWORKS: [&str; 2] = ["lenet5", "lenet5-fast"];

fn folder(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    models.join(name)
}

fn network(name: &str) -> Network {
    load_network(&folder(name)).expect("the committed model")
}

fn card(name: &str) -> String {
    std::fs::read_to_string(folder(name).join("README.md")).expect("a card")
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
    check_network("lenet5", test, bits, first, count, layout);
}

fn check_network(
    name: &str,
    test: &str,
    bits: u32,
    first: usize,
    count: usize,
    layout: LayoutChoice,
) {
    let Some(images) = some_images(test, first, count) else {
        return;
    };
    check_images(network(name), &images, bits, layout);
}

/// The test images from number `first` on.
fn some_images(test: &str, first: usize, count: usize) -> Option<Vec<Vec<i64>>> {
    let data = test_images(test)?;
    let selection: Selection = format!("{first}..{}", first + count)
        .parse()
        .expect("a range");
    Some(values(&data.select(selection).expect("10,000 images")))
}

fn check_images(network: Network, images: &[Vec<i64>], bits: u32, layout: LayoutChoice) {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(bits));
    let key = SecretKey::generate(bits, &mut rng).expect("a key");
    let client = Client::new(network.profile().clone(), ClientKeys::Owner(key)).for_whole_run();
    let server = planned(network.clone()).for_whole_run();
    let logits = classify(&client, &server, images, layout, &mut rng);
    assert_eq!(logits, network.forward_all(images));
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
fn one_digit_with_the_fast_network() {
    let test = "one_digit_with_the_fast_network";
    check_network("lenet5-fast", test, 2048, 4, 1, LayoutChoice::Latency);
}

#[test]
fn a_batch_with_the_fast_network() {
    let test = "a_batch_with_the_fast_network";
    let layout = LayoutChoice::Throughput;
    check_network("lenet5-fast", test, 2048, 200, 20, layout);
}

/// The committed LeNet-5 with its poolings moved before the activations: as
/// poolings, and as box sums.
fn pooled_first() -> (Network, Network) {
    let (mut pooled, layers) = network("lenet5").into_parts();
    let sums = Op::SumPool { size: 2, stride: 1 };
    for stage in &mut pooled.stages[..2] {
        stage.then.swap(0, 1);
        assert_eq!(stage.then[0], Op::SumPool { size: 2, stride: 2 });
    }
    let mut boxed = pooled.clone();
    boxed.prepare = vec![Op::Pad { size: 1 }, sums.clone()];
    for (stage, padding) in boxed.stages[..2].iter_mut().zip([1, 0]) {
        stage.then.remove(0);
        let Linear::Conv { input, outputs, .. } = stage.linear else {
            panic!("LeNet-5 begins with convolutions");
        };
        // 29x29 sums of the padded image, 13x13 of the first activations.
        let side = if padding == 1 { 29 } else { 13 };
        stage.linear = Linear::Conv {
            input: Shape::new(input.channels, side, side),
            outputs,
            kernel: (5, 5),
            stride: 2,
            padding,
        };
    }
    boxed.stages[0].then.push(sums);
    let mut four_times = layers.clone();
    for layer in &mut four_times[..2] {
        layer.bias.iter_mut().for_each(|bias| *bias *= 4);
    }
    let network = |profile, layers| Network::new(profile, layers).expect("a network");
    (network(pooled, layers), network(boxed, four_times))
}

#[test]
fn box_sums_are_the_pooled_convolution_on_real_images() {
    let test = "box_sums_are_the_pooled_convolution_on_real_images";
    let Some(images) = some_images(test, 400, 100) else {
        return;
    };
    let (pooled, boxed) = pooled_first();
    assert_eq!(pooled.forward_all(&images), boxed.forward_all(&images));
    let decrypted = |network: &Network| -> usize {
        let stages = &network.profile().stages;
        stages.iter().map(|s| s.linear.output_shape().len()).sum()
    };
    assert_eq!((decrypted(&pooled), decrypted(&boxed)), (6518, 1790));
    check_images(boxed.clone(), &images[..1], 2048, LayoutChoice::Latency);
    check_images(boxed, &images[1..21], 2048, LayoutChoice::Throughput);
}

/// How many of the predictions are the label.
fn right(classes: impl IntoIterator<Item = usize>, data: &Dataset) -> usize {
    let labels = data.labels.as_ref().expect("labels");
    let both = classes.into_iter().zip(labels);
    both.filter(|(class, label)| *class == usize::from(**label))
        .count()
}

#[test]
fn integer_accuracy_on_the_test_set_is_at_least_99_4_percent() {
    let Some(data) = test_images("integer_accuracy_on_the_test_set") else {
        return;
    };
    for name in NETWORKS {
        let logits = network(name).forward_all(&values(&data));
        let correct = right(logits.iter().map(|logits| argmax(logits)), &data);
        assert!(correct >= 9940, "{name}: {correct} of 10,000");
        let stated = format!("**{:.2} %** |", correct as f64 / 100.0);
        let card = card(name);
        assert!(card.contains(&stated), "{name}: no {stated} in the card");
    }
}

#[cfg(feature = "train")]
#[test]
fn float_accuracy_on_the_test_set_is_what_the_card_states() {
    use pdnn::{file::checkpoint::Checkpoint, train::FloatNetwork};

    let Some(data) = test_images("float_accuracy_on_the_test_set") else {
        return;
    };
    for name in NETWORKS {
        let path = folder(name).join("checkpoint.safetensors");
        let file = std::fs::File::open(path).expect("the committed checkpoint");
        let checkpoint = Checkpoint::read(file).expect("a checkpoint");
        let network = FloatNetwork::restore(&checkpoint).expect("of a known topology");
        let classes = network.classify(&values(&data)).expect("28x28");
        let correct = right(classes.iter().map(|(class, _)| *class), &data);
        let stated = format!("| test (10000) | {:.2} % |", correct as f64 / 100.0);
        let card = card(name);
        assert!(card.contains(&stated), "{name}: no {stated} in the card");
    }
}

/// The counts of one image that the README states, from the layouts alone.
#[test]
fn one_image_sends_as_many_ciphertexts_as_the_readme_states() {
    let network = network("lenet5");
    let readme = include_str!("../README.md");
    for bits in [2048, 3072, 4096] {
        let stages = traffic(network.profile(), bits, 1, 1, Packing::Latency).expect("slots");
        let up: usize = stages.iter().map(|stage| stage.inputs).sum();
        let down: usize = stages.iter().map(|stage| stage.outputs).sum();
        let row = format!("| {bits} | {up} | {down} |");
        assert!(readme.contains(&row), "the README lacks the row {row}");
    }
}

/// A server of a network, with the plans beside the model if it is committed.
fn planned(network: Network) -> Server {
    let folder = folder(&network.profile().name);
    let plans = load_plans(&folder, &network);
    let mut server = Server::new(network);
    let given = server.give_plans(plans.unwrap_or_default());
    given.expect("of its layers");
    server
}

/// Method, products and squarings of every layer at 2048 bits, one inversion a
/// layer: they follow from the weights and change only if the plans do.
fn check_work(name: &str, packing: Packing, images: usize, expected: &[(&str, u64, u64)]) {
    let server = planned(network(name));
    let work = server.work(2048, images, packing).expect("slots");
    let found: Vec<(String, u64, u64)> = work
        .iter()
        .map(|stage| {
            assert_eq!(stage.counts.inversions, 1);
            let method = stage.method.to_string();
            (method, stage.counts.products, stage.counts.squarings)
        })
        .collect();
    let expected = expected.iter().map(|&(m, p, s)| (m.to_string(), p, s));
    assert_eq!(found, expected.collect::<Vec<_>>(), "{name}, {packing}");
    let methods = server.methods(2048, images, packing).expect("slots");
    for (stage, methods) in work.iter().zip(methods) {
        assert_eq!(stage.method, methods[0].0, "the quickest is used");
    }
}

#[test]
fn one_image_takes_as_many_products_as_it_did() {
    let expected = [
        ("common pairs, two's complement", 2387, 336),
        ("common pairs, signed", 6333, 428),
        ("common pairs, signed", 50513, 4225),
        ("common pairs, signed, inputs inverted", 12881, 2260),
        ("common pairs, two's complement", 1307, 250),
    ];
    check_work("lenet5", Packing::Latency, 1, &expected);
    let expected = [
        ("common pairs, binary", 209, 24),
        ("common pairs, binary", 2074, 232),
        ("common pairs, binary", 12664, 1519),
        ("common pairs, binary", 717, 157),
    ];
    check_work("lenet5-fast", Packing::Latency, 1, &expected);
}

#[test]
fn a_full_batch_takes_as_many_products_as_it_did() {
    let expected = [
        ("tables", 177008, 868),
        ("common pairs, two's complement", 271829, 11200),
        ("common pairs, signed", 50401, 1649),
        ("common pairs, signed, inputs inverted", 12805, 588),
        ("common pairs, two's complement", 1298, 70),
    ];
    check_work("lenet5", Packing::Throughput, 88, &expected);
    let expected = [
        ("common pairs, binary, inputs inverted", 31557, 2352),
        ("common pairs, binary", 47032, 1600),
        ("common pairs, binary", 12585, 334),
        ("common pairs, binary", 708, 40),
    ];
    check_work("lenet5-fast", Packing::Throughput, 136, &expected);
}

/// Chunks that leave little room in ciphertexts: the server returns no more of
/// them than for chunks of a thousand.
#[test]
fn chunks_are_cut_so_that_they_fill_ciphertexts() {
    let networks = [network("lenet5"), network("lenet5-fast")];
    let cases = networks
        .iter()
        .flat_map(|network| [2048, 3072].map(|bits| (network.profile(), bits)));
    for (profile, bits) in cases {
        let chunk = |images| best_chunk(profile, bits, images, 1, LayoutChoice::Auto, 1000);
        assert_eq!((chunk(1), chunk(999), chunk(1000)), (1, 999, 1000));
        let returned = |images: usize| -> usize {
            if images == 0 {
                return 0;
            }
            let stages = traffic(profile, bits, images, 1, Packing::Throughput).expect("slots");
            stages.iter().map(|stage| stage.outputs).sum()
        };
        let all = |chunk: usize| 10_000 / chunk * returned(chunk) + returned(10_000 % chunk);
        let (best, name) = (chunk(10_000), &profile.name);
        assert!((500..=1000).contains(&best), "{name}, {bits}: {best}");
        assert!(all(best) <= all(1000), "{name}, {bits}: {best}");
    }
    // No layout: the client says why.
    let profile = networks[0].profile();
    assert_eq!(
        best_chunk(profile, 16, 5000, 1, LayoutChoice::Auto, 1000),
        1000
    );
}

/// The rows that the cards state, that of the fast network side by side.
#[test]
fn the_cards_state_what_a_prediction_takes() {
    check_card("lenet5", &["lenet5"]);
    check_card("lenet5-fast", &["lenet5", "lenet5-fast"]);
}

fn check_card(of: &str, networks: &[&str]) {
    let card = card(of);
    for &name in networks {
        let server = planned(network(name));
        let room = server.room(2048).expect("slots");
        for (packing, images, what) in [
            (Packing::Latency, 1, "one image".to_string()),
            (Packing::Throughput, room, format!("full batch of {room}")),
        ] {
            let work = server.work(2048, images, packing).expect("slots");
            let up: usize = work.iter().map(|stage| stage.traffic.inputs).sum();
            let down: usize = work.iter().map(|stage| stage.traffic.outputs).sum();
            let products: u64 = work.iter().map(|stage| stage.counts.products).sum();
            let squarings: u64 = work.iter().map(|stage| stage.counts.squarings).sum();
            let row = format!("| {name}, {what} | {up} | {down} | {products} | {squarings} |");
            assert!(card.contains(&row), "the card lacks the row {row}");
        }
    }
}
