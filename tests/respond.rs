//! A server that takes a query as it comes, its key unchecked, and a client
//! whose randomisers were made before.

mod common;

use std::{
    error::Error,
    sync::{Arc, Mutex},
};

use common::networks::{images, mixed_network};
use num_bigint::BigUint;
use pdnn::{
    file::{Kind, key},
    network::Network,
    paillier::{OwnerEncryptor, PublicKey, Randomise, Randomisers, SecretKey, Stock},
    protocol::two_party_dnn::{
        Client, ClientKeys, LayoutChoice, ProtocolError, Query, Reply, Server, Step,
    },
};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use sha2::{Digest, Sha256};

fn network_and_key(seed: u64) -> (Network, SecretKey, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let network = mixed_network(&mut rng);
    let key = SecretKey::generate_insecure(512, &mut rng).expect("a short key");
    (network, key, rng)
}

fn client(network: &Network, key: SecretKey) -> Client {
    Client::new(network.profile().clone(), ClientKeys::Owner(key)).for_whole_run()
}

/// The logits, every query answered as its bytes come.
fn classify(
    client: &Client,
    server: &Server,
    images: &[Vec<i64>],
    layout: LayoutChoice,
    rng: &mut ChaCha20Rng,
) -> Vec<Vec<i64>> {
    let mut query = client.query(images, layout, rng).expect("a query");
    loop {
        let answer = server.respond(&query.to_bytes(), rng).expect("an answer");
        let reply = Reply::from_bytes(&answer.reply.to_bytes()).expect("the reply reads");
        match client.receive(&reply, rng).expect("the reply opens") {
            Step::Next(next) => query = next,
            Step::Done(logits) => return logits,
        }
    }
}

#[test]
fn whole_runs_equal_the_clear() {
    let (network, key, mut rng) = network_and_key(41);
    let mut without_h = SecretKey::from_parts(
        PublicKey::from_parts(key.public().n(), None).expect("a valid n"),
        &key.primes()[0],
        &key.primes()[1],
    )
    .expect("valid primes");
    let subgroup = SecretKey::generate_subgroup_insecure(512, &mut rng).expect("a short key");
    for key in [&key, &subgroup, &mut without_h] {
        let client = client(&network, key.clone());
        let server = Server::new(network.clone()).for_whole_run();
        // The key is new to the server, then known.
        for (count, layout) in [
            (1, LayoutChoice::Latency),
            (2, LayoutChoice::Latency),
            (30, LayoutChoice::Throughput),
        ] {
            let images = images(&network, count, &mut rng);
            let logits = classify(&client, &server, &images, layout, &mut rng);
            assert_eq!(logits, network.forward_all(&images));
        }
    }
}

/// The query of `bytes` with the key of these numbers in place of its own.
fn with_key(bytes: &[u8], n: &BigUint, generators: Option<(&BigUint, &BigUint)>) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let number = |x: &BigUint| URL_SAFE_NO_PAD.encode(x.to_bytes_be());
    let generators = generators.map_or(String::new(), |(h, h_s)| {
        let (h, h_s) = (number(h), number(h_s));
        format!(r#","scheme":"DJN10","h":"{h}","h_s":"{h_s}""#)
    });
    let n64 = number(n);
    let json =
        format!(r#"{{"kty":"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],"n":"{n64}"{generators}}}"#);
    let fingerprint: String = Sha256::digest(n.to_bytes_be())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let bytes = common::messages::with_metadata(bytes, Kind::QUERY, "public_key", &json);
    common::messages::with_metadata(&bytes, Kind::QUERY, "key", &fingerprint)
}

#[test]
fn a_key_that_fails_its_checks_is_refused_as_when_it_is_read() {
    let (network, key, mut rng) = network_and_key(42);
    let server = Server::new(network.clone()).for_whole_run();
    let images = images(&network, 1, &mut rng);
    let query = client(&network, key.clone()).query(&images, LayoutChoice::Latency, &mut rng);
    let bytes = query.expect("a query").to_bytes();
    let public = key.public();
    let (n, h, h_s) = (public.n(), public.h(), public.h_s());
    let (h, h_s) = h.zip(h_s).expect("generated");
    let [p, _] = key.primes().map(|prime| BigUint::from_bytes_be(&prime));
    let one = BigUint::from(1u32);
    let wrong = [
        (n.clone(), Some((h, &(h_s + 1u32))), "h_s is not h^n"),
        (n.clone(), Some((&one, h_s)), "h is 1 or -1"),
        (n.clone(), Some((&p, h_s)), "h is not invertible"),
        (n.clone(), Some((h, &(h_s + n * n))), "h_s is not below"),
        (&p * &p, None, "perfect power (exponent 2)"),
        (&p * 65_521u32, None, "divisible by 65521"),
        ((&one << 521) - 1u32, None, "is a prime"),
        ((&one << 521) - 1u32, Some((h, h_s)), "is a prime"),
        (n + 1u32, None, "is even"),
        (&one << 9000, None, "9001 bits"),
    ];
    for (n, generators, expected) in wrong {
        let bytes = with_key(&bytes, &n, generators);
        let read = Query::from_bytes(&bytes)
            .err()
            .expect("refused")
            .to_string();
        assert!(read.contains(expected), "{read}");
        match server.respond(&bytes, &mut rng).map(|_| ()) {
            Err(error @ ProtocolError::Key(_)) => assert_eq!(error.to_string(), read),
            other => panic!("{expected}: {other:?}"),
        }
    }
    // The same query with its own key, after all those.
    assert!(server.respond(&bytes, &mut rng).is_ok());
    let sound = with_key(&bytes, n, Some((h, h_s)));
    assert!(server.respond(&sound, &mut rng).is_ok());
    assert!(key::public_from_json(&key::public_to_json(public)).is_ok());
}

#[test]
fn steps_of_a_key_are_checked_if_a_query_has_them() {
    let (network, _, mut rng) = network_and_key(45);
    let key = SecretKey::generate_subgroup_insecure(512, &mut rng).expect("a short key");
    let images = images(&network, 1, &mut rng);
    let query = client(&network, key.clone()).query(&images, LayoutChoice::Latency, &mut rng);
    let bytes = query.expect("a query").to_bytes();
    let json = key::public_to_json(key.public());
    let with_json =
        |json: &str| common::messages::with_metadata(&bytes, Kind::QUERY, "public_key", json);
    let stripped = json.replacen("h_steps", "ignored", 1);
    let text = json.split('"').skip_while(|&text| text != "h_steps").nth(2);
    let first = text.expect("a first step").to_string();
    let other = if first.as_bytes()[9] == b'A' {
        "B"
    } else {
        "A"
    };
    let wrong = json.replacen(&first, &[&first[..9], other, &first[10..]].concat(), 1);
    assert!(stripped != json && wrong != json);
    for (json, expected) in [
        (&json, None),
        (&stripped, None),
        (&wrong, Some("number 1 of")),
    ] {
        // New to each server.
        let server = Server::new(network.clone()).for_whole_run();
        let found = server.respond(&with_json(json), &mut rng).map(|_| ()).err();
        match (found, expected) {
            (None, None) => {}
            (Some(error @ ProtocolError::Key(_)), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (found, _) => panic!("{found:?}"),
        }
    }
    // A key that the server knows, with other steps than before.
    let server = Server::new(network.clone()).for_whole_run();
    for json in [&json, &stripped, &json] {
        assert!(server.respond(&with_json(json), &mut rng).is_ok());
    }
    assert!(server.respond(&with_json(&wrong), &mut rng).is_err());
}

/// A few randomisers, and how many were taken.
struct Few {
    left: Mutex<Randomisers>,
    taken: Arc<Mutex<usize>>,
}

impl Stock for Few {
    fn take(
        &self,
        key: &PublicKey,
        most: usize,
    ) -> Result<Randomisers, Box<dyn Error + Send + Sync>> {
        let mut left = self.left.lock().expect("no panic");
        if left.key() != key {
            return Err("another key".into());
        }
        let taken = left.take(most);
        *self.taken.lock().expect("no panic") += taken.len();
        Ok(taken)
    }
}

#[test]
fn a_stock_is_used_first_and_may_run_out() {
    let (network, key, mut rng) = network_and_key(43);
    let maker = OwnerEncryptor::new(&key, 20);
    let taken = Arc::new(Mutex::new(0));
    let stock = Few {
        left: Mutex::new(maker.randomisers(20, &mut rng)),
        taken: Arc::clone(&taken),
    };
    let client = client(&network, key).with_stock(Arc::new(stock));
    let server = Server::new(network.clone()).for_whole_run();
    let images = images(&network, 3, &mut rng);
    let logits = classify(&client, &server, &images, LayoutChoice::Latency, &mut rng);
    assert_eq!(logits, network.forward_all(&images));
    assert_eq!(*taken.lock().expect("no panic"), 20);
}

#[test]
fn a_stock_of_another_key_stops_the_query() {
    let (network, key, mut rng) = network_and_key(44);
    let other = SecretKey::generate_insecure(512, &mut rng).expect("a short key");
    let stock = Few {
        left: Mutex::new(OwnerEncryptor::new(&other, 1).randomisers(1, &mut rng)),
        taken: Arc::default(),
    };
    let client = client(&network, key).with_stock(Arc::new(stock));
    let images = images(&network, 1, &mut rng);
    match client.query(&images, LayoutChoice::Latency, &mut rng) {
        Err(ProtocolError::Stock(why)) => assert_eq!(why, "another key"),
        other => panic!("{:?}", other.map(|_| ())),
    }
}
