//! 2P-DNN equals the integer network bit for bit, and refuses what it must.
//!
//! Keys are short here (the arithmetic is the same at every size); the full
//! sizes are in `tests/mnist.rs`, on real images.

mod common;

use common::networks::{boxed_network, images, mixed_network};
use pdnn::{
    encrypted::layout::Packing,
    file::Kind,
    network::Network,
    paillier::SecretKey,
    protocol::two_party_dnn::{
        Client, ClientKeys, LayoutChoice, ProtocolError, Query, Reply, Server, Step,
    },
};
use rand::{SeedableRng, rngs::ChaCha20Rng};

const KEY_BITS: u32 = 512;

struct Parties {
    client: Client,
    server: Server,
    network: Network,
    rng: ChaCha20Rng,
}

fn parties(seed: u64) -> Parties {
    parties_of(seed, mixed_network)
}

fn parties_of(seed: u64, network: fn(&mut ChaCha20Rng) -> Network) -> Parties {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let network = network(&mut rng);
    let key = SecretKey::generate_insecure(KEY_BITS, &mut rng).expect("a short key");
    Parties {
        client: Client::new(network.profile().clone(), ClientKeys::Owner(key)),
        server: Server::new(network.clone()),
        network,
        rng,
    }
}

fn classify(parties: &mut Parties, images: &[Vec<i64>], layout: LayoutChoice) -> Vec<Vec<i64>> {
    common::classify::classify(
        &parties.client,
        &parties.server,
        images,
        layout,
        &mut parties.rng,
    )
}

fn check(count: usize, layout: LayoutChoice) {
    check_parties(parties(1000 + count as u64), count, layout);
}

fn check_parties(mut parties: Parties, count: usize, layout: LayoutChoice) {
    let images = images(&parties.network, count, &mut parties.rng);
    let logits = classify(&mut parties, &images, layout);
    assert_eq!(logits.len(), count);
    for (image, logits) in images.iter().zip(&logits) {
        assert_eq!(*logits, parties.network.forward(image));
    }
}

#[test]
fn one_image_for_latency() {
    check(1, LayoutChoice::Latency);
}

#[test]
fn one_image_for_throughput() {
    check(1, LayoutChoice::Throughput);
}

#[test]
fn box_sums_in_either_layout() {
    for (seed, count, layout) in [
        (20, 1, LayoutChoice::Latency),
        (21, 5, LayoutChoice::Latency),
        (22, 1, LayoutChoice::Throughput),
        (23, 40, LayoutChoice::Throughput),
    ] {
        check_parties(parties_of(seed, boxed_network), count, layout);
    }
}

#[test]
fn the_work_of_a_query_is_known_before_it() {
    let mut parties = parties(7);
    for (count, packing, layout) in [
        (1, Packing::Latency, LayoutChoice::Latency),
        (41, Packing::Latency, LayoutChoice::Latency),
        (1, Packing::Throughput, LayoutChoice::Throughput),
        (41, Packing::Throughput, LayoutChoice::Throughput),
    ] {
        let images = images(&parties.network, count, &mut parties.rng);
        let (client, server, rng) = (&parties.client, &parties.server, &mut parties.rng);
        let work = server.work(KEY_BITS, count, packing).expect("layouts");
        let mut query = client.query(&images, layout, rng).expect("a query");
        for stage in work {
            let answer = server.answer(&query, rng).expect("an answer");
            assert_eq!(stage.counts, answer.counts);
            assert_eq!(stage.traffic.inputs, query.ciphertexts());
            assert_eq!(stage.traffic.outputs, answer.reply.ciphertexts());
            match client.receive(&answer.reply, rng).expect("the reply opens") {
                Step::Next(next) => query = next,
                Step::Done(_) => break,
            }
        }
    }
}

#[test]
fn a_few_images_for_latency() {
    check(3, LayoutChoice::Latency);
}

#[test]
fn more_images_than_slots_for_latency() {
    check(41, LayoutChoice::Latency);
}

#[test]
fn more_images_than_slots_for_throughput() {
    check(41, LayoutChoice::Throughput);
}

#[test]
fn as_many_images_as_the_choice_changes() {
    for count in [2, 6, 12, 24] {
        check(count, LayoutChoice::Auto);
    }
}

#[test]
fn a_subgroup_key_classifies_alike() {
    for layout in [LayoutChoice::Latency, LayoutChoice::Throughput] {
        let mut parties = parties(8);
        let key = SecretKey::generate_subgroup_insecure(KEY_BITS, &mut parties.rng);
        let keys = ClientKeys::Owner(key.expect("a short key"));
        parties.client = Client::new(parties.network.profile().clone(), keys);
        let images = images(&parties.network, 5, &mut parties.rng);
        let logits = classify(&mut parties, &images, layout);
        for (image, logits) in images.iter().zip(&logits) {
            assert_eq!(*logits, parties.network.forward(image));
        }
    }
}

#[test]
fn extreme_images_stay_inside_their_slots() {
    let mut parties = parties(7);
    let input = parties.network.profile().input;
    let images: Vec<Vec<i64>> = [input.min, input.max]
        .iter()
        .map(|&value| vec![value; input.shape.len()])
        .collect();
    for layout in [LayoutChoice::Latency, LayoutChoice::Throughput] {
        let logits = classify(&mut parties, &images, layout);
        for (image, logits) in images.iter().zip(&logits) {
            assert_eq!(*logits, parties.network.forward(image));
        }
    }
}

#[test]
fn one_image_goes_by_taps_and_many_by_slots() {
    let mut parties = parties(8);
    for (count, expected) in [(1, Packing::Latency), (200, Packing::Throughput)] {
        let images = images(&parties.network, count, &mut parties.rng);
        let query = parties
            .client
            .query(&images, LayoutChoice::Auto, &mut parties.rng)
            .expect("a query");
        assert_eq!(query.header().packing, expected, "{count} images");
    }
}

/// Rows of ciphertexts, and which of them two messages have in common.
fn equal_rows(kind: Kind, first: &[u8], second: &[u8]) -> (usize, usize) {
    let rows = |bytes: &[u8]| {
        let container = pdnn::file::Container::from_bytes(bytes, kind).expect("well formed");
        let tensor = &container.tensors[0];
        let rows = tensor.data.chunks(tensor.shape[1]);
        rows.map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let (first, second) = (rows(first), rows(second));
    assert_eq!(first.len(), second.len());
    let equal = first.iter().filter(|row| second.contains(row)).count();
    (first.len(), equal)
}

/// In every layer and packing, for few ciphertexts and for many: no ciphertext
/// of a query or a reply comes again when the same is asked again.
#[test]
fn every_ciphertext_is_fresh() {
    for (count, layout) in [
        (1, LayoutChoice::Latency),
        (1, LayoutChoice::Throughput),
        (9, LayoutChoice::Latency),
    ] {
        let mut parties = parties(9);
        let images = images(&parties.network, count, &mut parties.rng);
        let Parties {
            client,
            server,
            rng,
            ..
        } = &mut parties;
        let mut query = client.query(&images, layout, rng).expect("a query");
        let again = client.query(&images, layout, rng).expect("a query");
        let (rows, equal) = equal_rows(Kind::QUERY, &query.to_bytes(), &again.to_bytes());
        assert!(
            rows > 0 && equal == 0,
            "{equal} of {rows} ciphertexts again"
        );
        loop {
            let reply = server.answer(&query, rng).expect("an answer").reply;
            let again = server.answer(&query, rng).expect("an answer").reply;
            let (rows, equal) = equal_rows(Kind::REPLY, &reply.to_bytes(), &again.to_bytes());
            assert!(
                rows > 0 && equal == 0,
                "{equal} of {rows} ciphertexts again"
            );
            let opened = client.open(&reply).expect("an honest reply");
            if opened.logits(client).is_some() {
                break;
            }
            query = client.seal(&opened, rng).expect("a query");
            let again = client.seal(&opened, rng).expect("a query");
            let (rows, equal) = equal_rows(Kind::QUERY, &query.to_bytes(), &again.to_bytes());
            assert!(
                rows > 0 && equal == 0,
                "{equal} of {rows} ciphertexts again"
            );
        }
    }
}

fn first_query(parties: &mut Parties) -> Query {
    let images = images(&parties.network, 2, &mut parties.rng);
    parties
        .client
        .query(&images, LayoutChoice::Latency, &mut parties.rng)
        .expect("a query")
}

#[test]
fn a_query_without_images_is_refused() {
    let mut parties = parties(10);
    let refused = parties
        .client
        .query(&[], LayoutChoice::Auto, &mut parties.rng);
    assert!(matches!(refused, Err(ProtocolError::NoImages)));
}

#[test]
fn a_query_with_too_many_images_is_refused() {
    let mut parties = parties(10);
    let refused = parties.client.query(
        &vec![Vec::new(); 4097],
        LayoutChoice::Auto,
        &mut parties.rng,
    );
    assert!(matches!(refused, Err(ProtocolError::TooManyImages(4097))));
}

#[test]
fn a_message_that_would_be_too_large_is_refused() {
    let network = pdnn::file::load_network(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lenet5"),
    )
    .expect("the committed model");
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let key = SecretKey::generate_insecure(KEY_BITS, &mut rng).expect("a key");
    let client = Client::new(network.profile().clone(), ClientKeys::Owner(key));
    let images = vec![vec![0; 784]; 4096];
    let refused = client.query(&images, LayoutChoice::Latency, &mut rng);
    assert!(matches!(refused, Err(ProtocolError::TooLarge { .. })));
}

/// A network whose first layer's results are narrower than its inputs.
#[test]
fn inputs_wider_than_the_results_keep_their_slots() {
    use pdnn::network::{InputSpec, Linear, Op, Profile, Range, Shape, Stage, Weights};

    let stage = Stage {
        name: "only".into(),
        linear: Linear::Dense {
            inputs: 2,
            outputs: 2,
        },
        range: Range::new(0, 0),
        then: vec![],
    };
    let input = |min| InputSpec {
        shape: Shape::vector(2),
        min,
        max: 255,
    };
    let profile = |min| {
        let labels = vec!["a".into(), "b".into()];
        Profile::new("narrow", input(min), vec![stage.clone()], labels, 1.0)
    };
    let weights = Weights {
        weights: vec![1, 0, 0, -1],
        bias: vec![-128, 127],
    };
    let network = Network::new(profile(0), vec![weights.clone()]).expect("sound");
    let mut rng = ChaCha20Rng::seed_from_u64(30);
    let key = SecretKey::generate_insecure(KEY_BITS, &mut rng).expect("a key");
    let client = Client::new(network.profile().clone(), ClientKeys::Owner(key));
    let server = Server::new(network.clone());
    let images = vec![vec![0, 255], vec![255, 0], vec![7, 8]];
    for layout in [LayoutChoice::Latency, LayoutChoice::Throughput] {
        let logits = common::classify::classify(&client, &server, &images, layout, &mut rng);
        assert_eq!(logits, network.forward_all(&images));
    }

    let exact = |network: Network, rng: &mut ChaCha20Rng| {
        let key = SecretKey::generate_insecure(KEY_BITS, rng).expect("a key");
        let owner = Client::new(network.profile().clone(), ClientKeys::Owner(key));
        let server = Server::new(network.clone());
        let layout = LayoutChoice::Latency;
        let logits = common::classify::classify(&owner, &server, &images, layout, rng);
        assert_eq!(logits, network.forward_all(&images));
    };

    // A bias outside the range of the results, because an input is never 0.
    let first = Stage {
        then: vec![Op::Requantise {
            multipliers: vec![1],
            shift: 1,
            min: 0,
            max: 127,
        }],
        ..stage.clone()
    };
    let constant = Weights {
        weights: vec![0, 0, 0, 1],
        bias: vec![200, 0],
    };
    let second = Stage {
        name: "second".into(),
        ..stage.clone()
    };
    let weights_of_second = Weights {
        weights: vec![100, 0, 0, 1],
        bias: vec![-10_000, 0],
    };
    let labels = vec!["a".into(), "b".into()];
    let shifted = Profile::new("shifted", input(0), vec![first, second], labels, 1.0);
    let shifted = Network::new(shifted, vec![constant, weights_of_second]).expect("sound");
    exact(shifted, &mut rng);

    // The same where all ranges would fit slots of one bit, which hold no 1.
    let first = Stage {
        then: vec![Op::Requantise {
            multipliers: vec![1],
            shift: 1,
            min: -1,
            max: 0,
        }],
        ..stage.clone()
    };
    let constant = Weights {
        weights: vec![0, 0, 0, 0],
        bias: vec![-200, 0],
    };
    let second = Stage {
        name: "second".into(),
        ..stage.clone()
    };
    let weights_of_second = Weights {
        weights: vec![3, 0, 0, 0],
        bias: vec![3, 0],
    };
    let labels = vec!["a".into(), "b".into()];
    let bits = Profile::new("bits", input(0), vec![first, second], labels, 1.0);
    let bits = Network::new(bits, vec![constant, weights_of_second]).expect("sound");
    assert_eq!(bits.profile().stages[1].range, Range::new(0, 0));
    exact(bits, &mut rng);

    // Slots without a value hold 0: a layer that does not take it is refused.
    let network = Network::new(profile(1), vec![weights]).expect("sound");
    let public = ClientKeys::Public(client.public_key().clone());
    let client = Client::new(network.profile().clone(), public);
    let refused = client.query(&[vec![1, 2]], LayoutChoice::Auto, &mut rng);
    assert!(matches!(refused, Err(ProtocolError::NoZero { .. })));
}

#[test]
fn an_image_of_another_size_is_refused() {
    let mut parties = parties(10);
    let refused = parties
        .client
        .query(&[vec![0; 5]], LayoutChoice::Auto, &mut parties.rng);
    assert!(matches!(
        refused,
        Err(ProtocolError::Image { image: 0, .. })
    ));
}

#[test]
fn an_image_outside_the_input_range_is_refused() {
    let mut parties = parties(10);
    let mut images = images(&parties.network, 1, &mut parties.rng);
    images[0][3] = parties.network.profile().input.max + 1;
    let refused = parties
        .client
        .query(&images, LayoutChoice::Auto, &mut parties.rng);
    assert!(matches!(
        refused,
        Err(ProtocolError::Image { image: 0, .. })
    ));
}

#[test]
fn a_query_for_another_network_is_refused() {
    let mut here = parties(11);
    let query = first_query(&mut here);
    let mut there = parties(12);
    let refused = there.server.answer(&query, &mut there.rng);
    assert!(matches!(refused, Err(ProtocolError::OtherNetwork { .. })));
}

#[test]
fn a_reply_for_another_network_is_refused() {
    let mut here = parties(11);
    let query = first_query(&mut here);
    let reply = here
        .server
        .answer(&query, &mut here.rng)
        .expect("an answer");
    let there = parties(12);
    let refused = there.client.open(&reply.reply);
    assert!(matches!(refused, Err(ProtocolError::OtherNetwork { .. })));
}

#[test]
fn a_reply_under_another_key_is_refused() {
    let mut here = parties(13);
    let query = first_query(&mut here);
    let reply = here
        .server
        .answer(&query, &mut here.rng)
        .expect("an answer");
    let other = SecretKey::generate_insecure(KEY_BITS, &mut here.rng).expect("a key");
    let other = Client::new(here.network.profile().clone(), ClientKeys::Owner(other));
    let refused = other.open(&reply.reply);
    assert!(matches!(refused, Err(ProtocolError::OtherKey { .. })));
}

#[test]
fn a_reply_is_not_opened_without_the_secret_key() {
    let mut here = parties(14);
    let query = first_query(&mut here);
    let reply = here
        .server
        .answer(&query, &mut here.rng)
        .expect("an answer");
    let public = ClientKeys::Public(query.key().clone());
    let public = Client::new(here.network.profile().clone(), public);
    let refused = public.open(&reply.reply);
    assert!(matches!(refused, Err(ProtocolError::NoSecretKey)));
}

#[test]
fn the_public_key_alone_makes_a_query_that_is_answered() {
    let mut here = parties(15);
    let images = images(&here.network, 2, &mut here.rng);
    let public = ClientKeys::Public(here.client.public_key().clone());
    let public = Client::new(here.network.profile().clone(), public);
    let query = public
        .query(&images, LayoutChoice::Auto, &mut here.rng)
        .expect("a query");
    let reply = here
        .server
        .answer(&query, &mut here.rng)
        .expect("an answer");
    let step = here.client.receive(&reply.reply, &mut here.rng);
    assert!(matches!(step, Ok(Step::Next(_))));
}

#[test]
fn a_reply_of_a_wrong_stage_is_refused() {
    // The stage in the header is changed: the ciphertexts of the first layer
    // pass for those of the third.
    let mut here = parties(16);
    let query = first_query(&mut here);
    let reply = here
        .server
        .answer(&query, &mut here.rng)
        .expect("an answer");
    let changed =
        common::messages::with_metadata(&reply.reply.to_bytes(), Kind::REPLY, "stage", "3");
    let reply = Reply::from_bytes(&changed).expect("well formed");
    let refused = here.client.open(&reply);
    assert!(matches!(refused, Err(ProtocolError::OtherLayout { .. })));
}

#[test]
fn a_stage_that_does_not_exist_is_refused() {
    let mut here = parties(16);
    let query = first_query(&mut here);
    let changed = common::messages::with_metadata(&query.to_bytes(), Kind::QUERY, "stage", "9");
    let query = Query::from_bytes(&changed).expect("well formed");
    let refused = here.server.answer(&query, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::NoSuchStage { .. })));
}

#[test]
fn a_wrong_protocol_is_refused() {
    let mut here = parties(16);
    let query = first_query(&mut here);
    let changed = common::messages::with_metadata(&query.to_bytes(), Kind::QUERY, "protocol", "3p");
    let refused = Query::from_bytes(&changed);
    assert!(matches!(refused, Err(ProtocolError::OtherProtocol { .. })));
}

#[test]
fn every_unusable_header_member_is_named() {
    let mut here = parties(16);
    let bytes = first_query(&mut here).to_bytes();
    for (name, value) in [
        ("stage", "0"),
        ("stage", "-1"),
        ("images", "0"),
        ("images", "4097"),
        ("images", "1e3"),
        ("slot_bits", ""),
        ("packing", "tight"),
        ("query_id", "00"),
        ("query_id", "+0000000000000000000000000000000"),
        ("network", "zz"),
        ("key", "ab"),
    ] {
        let changed = common::messages::with_metadata(&bytes, Kind::QUERY, name, value);
        match Query::from_bytes(&changed).map(|_| ()) {
            Err(ProtocolError::Header { member, .. }) => assert_eq!(member, name),
            other => panic!("{name} = {value:?}: {other:?}"),
        }
    }
}

#[test]
fn header_members_that_are_not_canonical_are_refused() {
    let mut here = parties(16);
    let query = first_query(&mut here);
    let bytes = query.to_bytes();
    let upper = query.header().query_id.to_string().to_uppercase();
    let slots = format!("0{}", query.header().slot_bits);
    for (name, value) in [
        ("stage", "01"),
        ("stage", "+1"),
        ("images", "01"),
        ("slot_bits", slots.as_str()),
        ("query_id", upper.as_str()),
    ] {
        let changed = common::messages::with_metadata(&bytes, Kind::QUERY, name, value);
        match Query::from_bytes(&changed).map(|_| ()) {
            Err(ProtocolError::NotCanonical { member, .. }) => assert_eq!(member, name),
            other => panic!("{name} = {value:?}: {other:?}"),
        }
    }
}

#[test]
fn an_unknown_header_member_is_named() {
    let mut here = parties(16);
    let mut container =
        pdnn::file::Container::from_bytes(&first_query(&mut here).to_bytes(), Kind::QUERY)
            .expect("well formed");
    container.set("price", "0");
    let bytes = container.to_bytes().expect("well formed");
    match Query::from_bytes(&bytes).map(|_| ()) {
        Err(ProtocolError::UnknownMember { member, .. }) => assert_eq!(member, "price"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_does_not_match_its_fingerprint_is_refused() {
    let mut here = parties(16);
    let bytes = first_query(&mut here).to_bytes();
    let changed = common::messages::with_metadata(&bytes, Kind::QUERY, "key", &"ab".repeat(32));
    assert!(matches!(
        Query::from_bytes(&changed),
        Err(ProtocolError::Key(_))
    ));
}

#[test]
fn a_wrong_slot_width_is_refused() {
    let mut here = parties(17);
    let query = first_query(&mut here);
    let changed =
        common::messages::with_metadata(&query.to_bytes(), Kind::QUERY, "slot_bits", "40");
    let query = Query::from_bytes(&changed).expect("well formed");
    let refused = here.server.answer(&query, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::OtherLayout { .. })));
}

#[test]
fn a_wrong_number_of_images_is_refused() {
    let mut here = parties(17);
    let query = first_query(&mut here);
    let changed = common::messages::with_metadata(&query.to_bytes(), Kind::QUERY, "images", "3000");
    let query = Query::from_bytes(&changed).expect("well formed");
    let refused = here.server.answer(&query, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::OtherLayout { .. })));
}

#[test]
fn a_ciphertext_that_is_zero_is_refused() {
    let mut here = parties(18);
    let query = first_query(&mut here);
    let width = query.key().bits().div_ceil(8) as usize * 2;
    let changed = common::messages::with_row(&query.to_bytes(), Kind::QUERY, 1, &vec![0; width]);
    let query = Query::from_bytes(&changed).expect("well formed");
    let refused = here.server.answer(&query, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::Paillier(_))));
}

#[test]
fn a_ciphertext_not_below_n_squared_is_refused() {
    let mut here = parties(18);
    let query = first_query(&mut here);
    let width = query.key().bits().div_ceil(8) as usize * 2;
    let changed = common::messages::with_row(&query.to_bytes(), Kind::QUERY, 1, &vec![255; width]);
    let query = Query::from_bytes(&changed).expect("well formed");
    let refused = here.server.answer(&query, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::Paillier(_))));
}

#[test]
fn a_ciphertext_not_coprime_to_n_is_refused() {
    let mut here = parties(18);
    let query = first_query(&mut here);
    let n = query.key().n().to_bytes_be();
    let width = query.key().bits().div_ceil(8) as usize * 2;
    let mut row = vec![0; width - n.len()];
    row.extend(n);
    let changed = common::messages::with_row(&query.to_bytes(), Kind::QUERY, 1, &row);
    let query = Query::from_bytes(&changed).expect("well formed");
    let refused = here.server.answer(&query, &mut here.rng);
    assert!(matches!(refused, Err(ProtocolError::Paillier(_))));
}

#[test]
fn a_reply_with_slots_outside_the_range_is_refused() {
    // A server that returns an encryption of its own choice.
    let mut here = parties(19);
    let query = first_query(&mut here);
    let reply = here
        .server
        .answer(&query, &mut here.rng)
        .expect("an answer");
    let range = here.network.profile().stages[0].range;
    let bits = reply.reply.header().slot_bits;
    assert!(range.max < (1 << (bits - 1)) - 1 || range.min > -(1 << (bits - 1)));
    let beyond = if range.max < (1 << (bits - 1)) - 1 {
        range.max + 1
    } else {
        range.min - 1
    };
    for (plaintext, what) in [
        (num_bigint::BigInt::from(beyond), "a slot out of range"),
        (
            num_bigint::BigInt::from(1) << (KEY_BITS - 3),
            "high bits set",
        ),
    ] {
        let row = common::messages::encryption_of(query.key(), &plaintext, &mut here.rng);
        let changed = common::messages::with_row(&reply.reply.to_bytes(), Kind::REPLY, 0, &row);
        let reply = Reply::from_bytes(&changed).expect("well formed");
        match here.client.open(&reply).map(|_| ()) {
            Err(ProtocolError::Dishonest { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn no_error_shows_a_value_of_the_image() {
    let mut here = parties(20);
    let mut images = images(&here.network, 1, &mut here.rng);
    images[0][3] = 987_654_321;
    let refused = here
        .client
        .query(&images, LayoutChoice::Auto, &mut here.rng)
        .map(|_| ())
        .expect_err("out of range");
    assert!(!format!("{refused} {refused:?}").contains("987654321"));
}
