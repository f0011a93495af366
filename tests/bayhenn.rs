//! BAYHENN equals the integer networks that were drawn bit for bit, costs what
//! it says, and refuses what it must.
//!
//! Keys are short here, except for the real images at the end.

mod common;

use common::{
    bayesian::bayesian,
    messages::with_metadata,
    networks::{images, mixed_network},
    optional_data,
};
use pdnn::{
    dataset::load_idx_pair,
    encrypted::{
        layer::Layer,
        layout::{Packing, StageLayout},
    },
    file::{Kind, load_network},
    network::{BayesianNetwork, Network, Weights},
    paillier::SecretKey,
    protocol::{
        bayhenn::{self, DEFAULT_SAMPLES, MAX_IMAGES, MAX_SAMPLES, Server, draw_paths},
        exchange::{Client, ClientKeys, LayoutChoice, ProtocolError, Query, Reply, Step, traffic},
        two_party_dnn,
    },
};
use rand::{SeedableRng, rngs::ChaCha20Rng};

const KEY_BITS: u32 = 512;

struct Parties {
    client: Client,
    server: Server,
    /// The network of the means, for its images.
    means: Network,
    network: BayesianNetwork,
    key: SecretKey,
    rng: ChaCha20Rng,
}

fn parties(seed: u64, samples: usize) -> Parties {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let means = mixed_network(&mut rng);
    let network = bayesian(&means);
    let key = SecretKey::generate_insecure(KEY_BITS, &mut rng).expect("a short key");
    Parties {
        client: client(&network, &key, samples),
        server: Server::new(network.clone()),
        means,
        network,
        key,
        rng,
    }
}

fn client(network: &BayesianNetwork, key: &SecretKey, samples: usize) -> Client {
    let keys = ClientKeys::Owner(key.clone());
    bayhenn::client(network.profile().clone(), keys, samples).expect("1 to 64 samples")
}

/// What a classification sent and cost.
#[derive(Default)]
struct Cost {
    up: Vec<usize>,
    down: Vec<usize>,
    /// Products and squarings.
    products: Vec<u64>,
    drawn: u64,
}

/// The logits that the two parties arrive at, every message through its bytes;
/// weights are drawn from `draws`.
fn classify(
    client: &Client,
    server: &Server,
    images: &[Vec<i64>],
    layout: LayoutChoice,
    draws: &mut ChaCha20Rng,
    rng: &mut ChaCha20Rng,
) -> (Vec<Vec<i64>>, Cost) {
    let mut cost = Cost::default();
    let mut query = client.query(images, layout, rng).expect("a query");
    loop {
        let received = server.read(&query.to_bytes()).expect("the query reads");
        let answer = server.answer(&received, draws, rng).expect("an answer");
        let reply = Reply::from_bytes(&answer.reply.to_bytes()).expect("the reply reads");
        let answers = query.header().expect_answer(reply.header());
        answers.expect("the reply answers the query");
        cost.up.push(query.ciphertexts());
        cost.down.push(reply.ciphertexts());
        cost.products
            .push(answer.counts.products + answer.counts.squarings);
        cost.drawn += answer.drawn;
        match client.receive(&reply, rng).expect("the reply opens") {
            Step::Next(next) => query = next,
            Step::Done(logits) => return (logits, cost),
        }
    }
}

/// The weights of every path that a generator of this seed gives.
fn recorded(network: &BayesianNetwork, samples: usize, seed: u64) -> Vec<Vec<Weights>> {
    draw_paths(network, samples, &mut ChaCha20Rng::seed_from_u64(seed))
}

fn in_the_clear(
    network: &BayesianNetwork,
    paths: &[Vec<Weights>],
    images: &[Vec<i64>],
) -> Vec<Vec<i64>> {
    let mut logits = Vec::new();
    for weights in paths {
        logits.extend(images.iter().map(|image| network.forward(weights, image)));
    }
    logits
}

fn check(count: usize, samples: usize, layout: LayoutChoice) {
    let mut here = parties(100 + count as u64, samples);
    let images = images(&here.means, count, &mut here.rng);
    let mut draws = ChaCha20Rng::seed_from_u64(5);
    let (logits, _) = classify(
        &here.client,
        &here.server,
        &images,
        layout,
        &mut draws,
        &mut here.rng,
    );
    let paths = recorded(&here.network, samples, 5);
    assert_eq!(logits, in_the_clear(&here.network, &paths, &images));
    if samples > 1 {
        assert_ne!(logits[..count], logits[count..2 * count], "paths differ");
    }
}

#[test]
fn one_sample_of_one_image_for_latency() {
    check(1, 1, LayoutChoice::Latency);
}

#[test]
fn three_samples_of_one_image_for_latency() {
    check(1, 3, LayoutChoice::Latency);
}

#[test]
fn three_samples_of_three_images_for_latency() {
    check(3, 3, LayoutChoice::Latency);
}

#[test]
fn three_samples_of_two_images_for_throughput() {
    check(2, 3, LayoutChoice::Throughput);
}

#[test]
fn two_samples_of_more_images_than_slots() {
    check(41, 2, LayoutChoice::Throughput);
    check(41, 2, LayoutChoice::Latency);
}

#[test]
fn one_sample_of_more_images_than_slots() {
    check(41, 1, LayoutChoice::Auto);
}

/// Inputs at the ends of their range, and every weight as far from its mean as
/// can be drawn: the profile's ranges hold, so the client refuses nothing.
#[test]
fn many_draws_stay_inside_their_slots() {
    let samples = 16;
    let mut here = parties(7, samples);
    let input = here.network.profile().input;
    let images: Vec<Vec<i64>> = [input.min, input.max]
        .iter()
        .map(|&value| vec![value; input.shape.len()])
        .collect();
    let mut draws = ChaCha20Rng::seed_from_u64(6);
    let layout = LayoutChoice::Latency;
    let Parties {
        client,
        server,
        rng,
        ..
    } = &mut here;
    let (logits, _) = classify(client, server, &images, layout, &mut draws, rng);
    let paths = recorded(&here.network, samples, 6);
    assert_eq!(logits, in_the_clear(&here.network, &paths, &images));
}

/// The same query answered twice: other ciphertexts, and other results in them.
#[test]
fn weights_are_new_for_every_answer() {
    let mut here = parties(8, 2);
    let images = images(&here.means, 1, &mut here.rng);
    let query = here
        .client
        .query(&images, LayoutChoice::Latency, &mut here.rng)
        .expect("a query");
    let mut draws = ChaCha20Rng::seed_from_u64(9);
    let mut logits = Vec::new();
    for _ in 0..2 {
        let answer = here.server.answer(&query, &mut draws, &mut here.rng);
        let answer = answer.expect("an answer");
        let weights = here.network.profile().stages[0].linear.weight_shape();
        let biases = here.network.profile().stages[0].linear.channels();
        let of_stage = weights.iter().product::<usize>() + biases;
        assert_eq!(answer.drawn, 2 * of_stage as u64);
        let key = &here.key;
        let container = pdnn::file::Container::from_bytes(&answer.reply.to_bytes(), Kind::REPLY)
            .expect("well formed");
        let rows = &container.tensors[0].data;
        let ciphertexts =
            pdnn::paillier::Ciphertexts::from_bytes(key.public(), rows).expect("valid");
        logits.push(key.decrypt(&ciphertexts));
    }
    assert!(logits[0] != logits[1]);
    // Nor do the two paths of an answer share weights.
    let half = logits[0].len() / 2;
    assert!(logits[0][..half] != logits[0][half..]);
}

/// What the server multiplies for T samples is what T servers of 2P-DNN would
/// for the drawn weights, with the same slots and their best plans; and only
/// the first layer's inputs are shared.
#[test]
fn a_query_costs_at_most_as_many_2p_dnn_queries_less_the_shared_inputs() {
    let samples = 3;
    for packing in [Packing::Latency, Packing::Throughput] {
        let mut here = parties(10, samples);
        let images = images(&here.means, 2, &mut here.rng);
        let layout = match packing {
            Packing::Latency => LayoutChoice::Latency,
            Packing::Throughput => LayoutChoice::Throughput,
        };
        let mut draws = ChaCha20Rng::seed_from_u64(11);
        let (_, cost) = classify(
            &here.client,
            &here.server,
            &images,
            layout,
            &mut draws,
            &mut here.rng,
        );
        let profile = here.network.profile();
        let one = traffic(profile, KEY_BITS, 2, 1, packing).expect("slots");
        let all = traffic(profile, KEY_BITS, 2, samples, packing).expect("slots");
        let paths = recorded(&here.network, samples, 11);
        let mut drawn = 0;
        for (number, stage) in profile.stages.iter().enumerate() {
            let sets = if number == 0 { 1 } else { samples };
            assert_eq!(cost.up[number], sets * one[number].inputs);
            assert_eq!(cost.down[number], samples * one[number].outputs);
            assert_eq!(all[number].inputs, cost.up[number]);
            assert_eq!(all[number].outputs, cost.down[number]);
            let layout = StageLayout::new(
                &stage.linear,
                profile.input_range(number),
                stage.range,
                KEY_BITS,
                2,
                packing,
            )
            .expect("slots");
            let of_2p_dnn: u64 = paths
                .iter()
                .map(|weights| {
                    let weights = weights[number].clone();
                    drawn += (weights.weights.len() + weights.bias.len()) as u64;
                    let layer = Layer::new(stage.clone(), weights);
                    let at_once = layer.groups_at_once(&layout);
                    (0..layout.groups())
                        .step_by(at_once)
                        .map(|first| {
                            let groups = at_once.min(layout.groups() - first);
                            let counts = layer.plan(&layout, groups).counts;
                            counts.products + counts.squarings
                        })
                        .sum::<u64>()
                })
                .sum();
            assert!(
                cost.products[number] <= of_2p_dnn,
                "{}: {} products, {of_2p_dnn} in 2P-DNN",
                stage.name,
                cost.products[number]
            );
        }
        assert_eq!(cost.drawn, drawn);
    }
}

fn first_query(here: &mut Parties) -> Query {
    let images = images(&here.means, 2, &mut here.rng);
    here.client
        .query(&images, LayoutChoice::Latency, &mut here.rng)
        .expect("a query")
}

fn first_reply(here: &mut Parties) -> (Query, Reply) {
    let query = first_query(here);
    let mut draws = ChaCha20Rng::seed_from_u64(1);
    let answer = here.server.answer(&query, &mut draws, &mut here.rng);
    (query, answer.expect("an answer").reply)
}

#[test]
fn no_samples_and_absurdly_many_are_refused() {
    let here = parties(20, 1);
    for samples in [0, MAX_SAMPLES + 1, usize::MAX] {
        let keys = ClientKeys::Owner(here.key.clone());
        let refused = bayhenn::client(here.network.profile().clone(), keys, samples);
        match refused.map(|_| ()) {
            Err(ProtocolError::Samples(found)) => assert_eq!(found, samples),
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=MAX_SAMPLES).contains(&DEFAULT_SAMPLES));
}

#[test]
fn a_header_with_no_samples_or_absurdly_many_is_refused() {
    let mut here = parties(20, 2);
    let bytes = first_query(&mut here).to_bytes();
    for value in ["0", "65", "-1", "two", "18446744073709551617"] {
        let changed = with_metadata(&bytes, Kind::QUERY, "samples", value);
        match Query::from_bytes(&changed).map(|_| ()) {
            Err(ProtocolError::Header { member, .. }) => assert_eq!(member, "samples"),
            other => panic!("{value}: {other:?}"),
        }
    }
    let changed = with_metadata(&bytes, Kind::QUERY, "samples", "02");
    let refused = Query::from_bytes(&changed).map(|_| ());
    assert!(matches!(refused, Err(ProtocolError::NotCanonical { .. })));
}

#[test]
fn images_of_every_sample_count() {
    let mut here = parties(21, 64);
    let most = MAX_IMAGES / 64;
    let image = images(&here.means, 1, &mut here.rng).remove(0);
    let refused = here.client.query(
        &vec![image; most + 1],
        LayoutChoice::Throughput,
        &mut here.rng,
    );
    match refused.map(|_| ()) {
        Err(ProtocolError::TooManyImages(found)) => assert_eq!(found, MAX_IMAGES + 64),
        other => panic!("{other:?}"),
    }
    let bytes = first_query(&mut here).to_bytes();
    let changed = with_metadata(&bytes, Kind::QUERY, "images", &(most + 1).to_string());
    match Query::from_bytes(&changed).map(|_| ()) {
        Err(ProtocolError::Header { member, .. }) => assert_eq!(member, "images"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_network_without_deviations_is_refused() {
    let here = parties(22, 1);
    let keys = ClientKeys::Owner(here.key.clone());
    let refused = bayhenn::client(here.means.profile().clone(), keys, 4);
    assert!(matches!(refused, Err(ProtocolError::NotBayesian(_))));
}

#[test]
fn a_query_with_fewer_ciphertexts_than_samples_need_is_refused() {
    // A first query shares its inputs; the second has a set for each path.
    let mut here = parties(23, 2);
    let (_, reply) = first_reply(&mut here);
    let Step::Next(second) = here.client.receive(&reply, &mut here.rng).expect("honest") else {
        panic!("there are more layers");
    };
    let changed = with_metadata(&second.to_bytes(), Kind::QUERY, "samples", "3");
    let query = Query::from_bytes(&changed).expect("well formed");
    let mut draws = ChaCha20Rng::seed_from_u64(1);
    let refused = here.server.answer(&query, &mut draws, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::OtherLayout { .. })));
}

#[test]
fn a_reply_with_another_number_of_samples_is_refused() {
    let mut here = parties(24, 3);
    let (query, reply) = first_reply(&mut here);
    let other = client(&here.network, &here.key, 2);
    match other.open(&reply).map(|_| ()) {
        Err(ProtocolError::OtherSamples { expected, found }) => {
            assert_eq!((expected, found), (2, 3))
        }
        other => panic!("{other:?}"),
    }
    // A header that only says so has the wrong number of ciphertexts.
    let changed = with_metadata(&reply.to_bytes(), Kind::REPLY, "samples", "2");
    let reply = Reply::from_bytes(&changed).expect("well formed");
    let refused = other.open(&reply).map(|_| ());
    assert!(matches!(refused, Err(ProtocolError::OtherLayout { .. })));
    let refused = query.header().expect_answer(reply.header());
    assert!(matches!(refused, Err(ProtocolError::NoAnswer { .. })));
}

#[test]
fn a_reply_to_another_query_is_refused() {
    let mut here = parties(25, 2);
    let (query, reply) = first_reply(&mut here);
    query
        .header()
        .expect_answer(reply.header())
        .expect("its answer");
    let (_, other) = first_reply(&mut here);
    match query.header().expect_answer(other.header()) {
        Err(ProtocolError::NoAnswer { member, .. }) => assert_eq!(member, "query id"),
        other => panic!("{other:?}"),
    }
    for (name, value) in [("stage", "2"), ("images", "1"), ("packing", "throughput")] {
        let changed = with_metadata(&reply.to_bytes(), Kind::REPLY, name, value);
        let reply = Reply::from_bytes(&changed).expect("well formed");
        match query.header().expect_answer(reply.header()) {
            Err(ProtocolError::NoAnswer { member, .. }) => assert_eq!(member, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn messages_of_2p_dnn_are_refused_and_refuse() {
    let mut here = parties(26, 1);
    let images = images(&here.means, 1, &mut here.rng);
    let keys = ClientKeys::Owner(here.key.clone());
    let fixed = two_party_dnn::Client::new(here.means.profile().clone(), keys);
    let server = two_party_dnn::Server::new(here.means.clone());
    let query = fixed
        .query(&images, LayoutChoice::Latency, &mut here.rng)
        .expect("a query");
    let mut draws = ChaCha20Rng::seed_from_u64(1);
    let refused = here.server.answer(&query, &mut draws, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::OtherProtocol { .. })));
    let (query, reply) = first_reply(&mut here);
    let refused = server.answer(&query, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::OtherProtocol { .. })));
    let refused = fixed.open(&reply);
    assert!(matches!(refused, Err(ProtocolError::OtherProtocol { .. })));
}

/// The committed LeNet-5 with deviations, on real images, at a real key size.
#[test]
fn real_digits_at_2048_bits() {
    let Some(folder) = optional_data("real_digits", "mnist", "t10k-images-idx3-ubyte") else {
        return;
    };
    let means =
        load_network(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lenet5"))
            .expect("the committed model");
    let network = bayesian(&means);
    let data = load_idx_pair(&folder, "t10k").expect("MNIST's test set");
    let images: Vec<Vec<i64>> = data
        .images
        .iter()
        .take(2)
        .map(|image| image.iter().map(|&v| i64::from(v)).collect())
        .collect();
    let mut rng = ChaCha20Rng::seed_from_u64(30);
    let key = SecretKey::generate(2048, &mut rng).expect("a key");
    let client = client(&network, &key, 2).for_whole_run();
    let server = Server::new(network.clone()).for_whole_run();
    let mut draws = ChaCha20Rng::seed_from_u64(31);
    let layout = LayoutChoice::Latency;
    let (logits, _) = classify(&client, &server, &images, layout, &mut draws, &mut rng);
    let paths = recorded(&network, 2, 31);
    assert_eq!(logits, in_the_clear(&network, &paths, &images));
}
