//! The masked protocol against the ideal functionality, through the bytes of
//! its messages and stores on disk.

mod common;

use std::path::Path;

use common::networks::{boxed_network, images, mixed_network};
use pdnn::{
    network::Network,
    paillier::SecretKey,
    protocol::masked::{
        Answer, Client, MaskedError, Preparation, Query, Reply, Request, SILENT, Server, Step,
    },
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha20Rng};
use tempfile::TempDir;

/// Both sides with a store each, and masks for `count` predictions.
struct Sides {
    client: Client,
    server: Server,
    preparation: Preparation,
    folder: TempDir,
}

fn store(folder: &Path, side: &str) -> std::path::PathBuf {
    folder.join(side)
}

impl Sides {
    fn new(network: &Network, key: &SecretKey) -> Sides {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (of_client, of_server) = (
            store(folder.path(), "client"),
            store(folder.path(), "server"),
        );
        let profile = network.profile().clone();
        let server = Server::new(network.clone(), &of_server, true).expect("a server");
        let extra = server.extra_bits(key.public().bits());
        let preparation =
            Preparation::new(profile.clone(), key.clone(), &of_client, extra).expect("a store");
        let client = Client::new(profile, key.public().fingerprint(), &of_client).expect("a store");
        Sides {
            client,
            server,
            preparation,
            folder,
        }
    }

    fn prepare(&self, count: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let request = self.preparation.ask(count, rng, SILENT).expect("a request");
        let request = Request::from_bytes(&request.to_bytes()).expect("a request");
        let answer = self
            .server
            .prepare(&request, rng, SILENT)
            .expect("an answer");
        let bytes = answer.answer.to_bytes();
        let answer = Answer::from_bytes(&bytes).expect("an answer");
        self.preparation.finish(&answer, SILENT).expect("masks");
        bytes
    }

    /// The logits, and every reply on the way.
    fn classify(&self, images: &[Vec<i64>], rng: &mut ChaCha20Rng) -> Vec<Vec<i64>> {
        let mut query = self.client.query(images, rng).expect("a query");
        loop {
            let query_read = Query::from_bytes(&query.to_bytes()).expect("a query");
            let reply = self.server.answer(&query_read).expect("a reply");
            let reply = Reply::from_bytes(&reply.to_bytes()).expect("a reply");
            match self.client.receive(&reply).expect("a step") {
                Step::Next(next) => query = next,
                Step::Done(logits) => return logits,
            }
        }
    }
}

fn key(bits: u32, rng: &mut ChaCha20Rng) -> SecretKey {
    SecretKey::generate_insecure(bits, rng).expect("an even size")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn logits_equal_the_clear_network_bit_for_bit(
        seed: u64,
        bits in prop::sample::select(vec![256u32, 384, 512]),
        counts in prop::collection::vec(1usize..9, 1..3),
        boxed: bool,
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let network = if boxed { boxed_network(&mut rng) } else { mixed_network(&mut rng) };
        let sides = Sides::new(&network, &key(bits, &mut rng));
        for &count in &counts {
            sides.prepare(count, &mut rng);
        }
        let total: usize = counts.iter().sum();
        prop_assert_eq!(sides.client.left().expect("a store"), total);
        let images = images(&network, total, &mut rng);
        // Odd pieces, so that queries take their masks from several batches.
        for piece in images.chunks(3) {
            prop_assert_eq!(sides.classify(piece, &mut rng), network.forward_all(piece));
        }
        prop_assert_eq!(sides.client.left().expect("a store"), 0);
    }
}

/// Chi-square of counts against a uniform distribution.
fn chi_square(counts: &[u32]) -> f64 {
    let mean = counts.iter().sum::<u32>() as f64 / counts.len() as f64;
    let square = |&n: &u32| (f64::from(n) - mean).powi(2) / mean;
    counts.iter().map(square).sum()
}

/// Chi-square of two samples against one distribution for both.
fn two_samples(a: &[u32], b: &[u32]) -> f64 {
    let (sum_a, sum_b) = (a.iter().sum::<u32>() as f64, b.iter().sum::<u32>() as f64);
    let ratio = (sum_b / sum_a).sqrt();
    a.iter()
        .zip(b)
        .filter(|(a, b)| *a + *b > 0)
        .map(|(&a, &b)| {
            let (a, b) = (f64::from(a), f64::from(b));
            (a * ratio - b / ratio).powi(2) / (a + b)
        })
        .sum()
}

/// Above this with probability below 10^−6 for `freedom` degrees of freedom
/// (Wilson and Hilferty's approximation).
fn limit(freedom: usize) -> f64 {
    let k = freedom as f64;
    k * (1.0 - 2.0 / (9.0 * k) + 4.75 * (2.0 / (9.0 * k)).sqrt()).powi(3)
}

/// Four inputs, two results in a ring of 6 bits, one layer.
fn one_layer() -> Network {
    use pdnn::network::{InputSpec, Linear, Profile, Range, Shape, Stage, Weights};
    let stage = Stage {
        name: "dense".into(),
        linear: Linear::Dense {
            inputs: 4,
            outputs: 2,
        },
        range: Range::new(0, 0),
        then: vec![],
    };
    let input = InputSpec {
        shape: Shape::new(1, 2, 2),
        min: 0,
        max: 7,
    };
    let labels = vec!["a".to_string(), "b".to_string()];
    let profile = Profile::new("one", input, vec![stage], labels, 0.1);
    let weights = Weights {
        weights: vec![1, -2, 2, 1, 3, 1, -1, 2],
        bias: vec![4, -9],
    };
    Network::new(profile, vec![weights]).expect("a sound network")
}

/// What either side saw of `runs` classifications of `image`: counts of each
/// element of z, of v, and of u = y − v, by value.
struct Views {
    z: Vec<Vec<u32>>,
    v: Vec<Vec<u32>>,
    u: Vec<Vec<u32>>,
}

const BITS: u32 = 6;

fn views(image: [i64; 4], runs: usize, seed: u64) -> Views {
    use pdnn::mpc::{Ring, bits};
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let network = one_layer();
    let width = pdnn::protocol::masked::widths(network.profile())[0];
    assert_eq!(width.ring.bits(), BITS);
    let ring = Ring::new(BITS).expect("6 bits");
    let sides = Sides::new(&network, &key(256, &mut rng));
    sides.prepare(runs, &mut rng);
    let query = sides.client.query(&vec![image.to_vec(); runs], &mut rng);
    let query = query.expect("a query");
    let reply = sides.server.answer(&query).expect("a reply");
    let y = network.forward(&image);
    let zeros = |count: usize| vec![vec![0; 1 << BITS]; count];
    let mut views = Views {
        z: zeros(4),
        v: zeros(2),
        u: zeros(2),
    };
    for row in query.elements().chunks(bits::row_bytes(ring, 4)) {
        bits::unpack(ring, row, 4, |i, z| views.z[i][z as usize] += 1);
    }
    for row in reply.elements().chunks(bits::row_bytes(ring, 2)) {
        bits::unpack(ring, row, 2, |i, v| {
            views.v[i][v as usize] += 1;
            views.u[i][ring.enter(y[i].wrapping_sub(v as i64)) as usize] += 1;
        });
    }
    let Step::Done(logits) = sides.client.receive(&reply).expect("a step") else {
        panic!("one layer only");
    };
    assert!(logits.iter().all(|of| *of == y));
    views
}

#[test]
fn the_server_s_view_of_two_different_inputs_is_one_distribution() {
    let runs = 4000;
    let (dark, light) = (views([0; 4], runs, 11), views([7, 0, 7, 3], runs, 12));
    let freedom = (1 << BITS) - 1;
    for (dark, light) in dark.z.iter().zip(&light.z) {
        assert!(chi_square(dark) < limit(freedom));
        assert!(chi_square(light) < limit(freedom));
        assert!(two_samples(dark, light) < limit(freedom));
    }
    // The control: the inputs themselves, and masks from half of the ring.
    let unmasked = |x: usize| {
        let mut counts = vec![0; 1 << BITS];
        counts[x] = runs as u32;
        counts
    };
    assert!(two_samples(&unmasked(0), &unmasked(7)) > limit(freedom));
    let shift = |x: usize| -> Vec<u32> {
        let half = 1 << (BITS - 1);
        let mut counts = vec![0; 1 << BITS];
        for run in 0..runs {
            counts[(x + run % half) % (1 << BITS)] += 1;
        }
        counts
    };
    assert!(two_samples(&shift(0), &shift(7)) > limit(freedom));
}

#[test]
fn beyond_the_results_the_client_s_view_is_uniform() {
    let views = views([1, 2, 3, 4], 4000, 13);
    let freedom = (1 << BITS) - 1;
    for counts in views.v.iter().chain(&views.u) {
        assert!(chi_square(counts) < limit(freedom));
    }
    // The control: without s the client would see one value again and again.
    let mut constant = vec![0; 1 << BITS];
    constant[5] = 4000;
    assert!(chi_square(&constant) > limit(freedom));
}

#[test]
fn online_bytes_are_the_elements_times_their_width() {
    let mut rng = ChaCha20Rng::seed_from_u64(21);
    let network = mixed_network(&mut rng);
    let sides = Sides::new(&network, &key(256, &mut rng));
    let count = 1000;
    for _ in 0..count / 250 {
        sides.prepare(250, &mut rng);
    }
    let images = images(&network, count, &mut rng);
    let widths = pdnn::protocol::masked::widths(network.profile());
    let (mut elements, mut files, mut bits) = (0, 0, 0);
    let mut query = sides.client.query(&images, &mut rng).expect("a query");
    loop {
        let width = widths[query.header().stage];
        bits += (width.inputs + width.outputs) * width.ring.bits() as usize * count;
        let reply = sides.server.answer(&query).expect("a reply");
        elements += query.elements().len() + reply.elements().len();
        files += query.to_bytes().len() + reply.to_bytes().len();
        match sides.client.receive(&reply).expect("a step") {
            Step::Next(next) => query = next,
            Step::Done(_) => break,
        }
    }
    let least = bits / 8;
    assert!(
        elements >= least && elements * 100 <= least * 105,
        "{elements} of {least}"
    );
    assert!(files * 100 <= least * 105, "{files} of {least}");
}

#[test]
fn the_committed_lenet_5_on_real_images() {
    let test = "the_committed_lenet_5_on_real_images";
    let Some(folder) = common::optional_data(test, "mnist", "t10k-images-idx3-ubyte") else {
        return;
    };
    let data = pdnn::dataset::load_idx_pair(&folder, "t10k").expect("MNIST's test set");
    let images: Vec<Vec<i64>> = data
        .images
        .iter()
        .skip(200)
        .take(26)
        .map(|image| image.iter().map(|&v| i64::from(v)).collect())
        .collect();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lenet5");
    let network = pdnn::file::load_network(&model).expect("the committed model");
    let mut rng = ChaCha20Rng::seed_from_u64(22);
    let key = SecretKey::generate(2048, &mut rng).expect("a key");
    let sides = Sides::new(&network, &key);
    sides.prepare(images.len(), &mut rng);
    assert_eq!(
        sides.classify(&images, &mut rng),
        network.forward_all(&images)
    );
}

/// A message with one thing changed, and what is said to it.
fn changed(bytes: &[u8], change: impl FnOnce(&mut pdnn::file::Container)) -> Vec<u8> {
    let mut container = pdnn::file::Container::read_any(bytes, u64::MAX).expect("whole");
    change(&mut container);
    container.metadata.remove("digest");
    container.to_bytes().expect("whole tensors")
}

struct Exchange {
    sides: Sides,
    request: Vec<u8>,
    answer: Vec<u8>,
    query: Vec<u8>,
    rng: ChaCha20Rng,
}

fn exchange() -> Exchange {
    let mut rng = ChaCha20Rng::seed_from_u64(31);
    let network = mixed_network(&mut rng);
    let sides = Sides::new(&network, &key(256, &mut rng));
    sides.prepare(4, &mut rng);
    let query = sides
        .client
        .query(&images(&network, 2, &mut rng), &mut rng)
        .expect("a query")
        .to_bytes();
    let request = sides
        .preparation
        .ask(2, &mut rng, SILENT)
        .expect("a request")
        .to_bytes();
    let read = Request::from_bytes(&request).expect("a request");
    let answer = sides
        .server
        .prepare(&read, &mut rng, SILENT)
        .expect("an answer");
    Exchange {
        sides,
        request,
        answer: answer.answer.to_bytes(),
        query,
        rng,
    }
}

impl Exchange {
    fn query(&self, change: impl FnOnce(&mut pdnn::file::Container)) -> String {
        let bytes = changed(&self.query, change);
        let refused = Query::from_bytes(&bytes).and_then(|query| self.sides.server.answer(&query));
        refused.map(|_| ()).expect_err("it is wrong").to_string()
    }

    fn request(&mut self, change: impl FnOnce(&mut pdnn::file::Container)) -> String {
        let bytes = changed(&self.request, change);
        let refused = Request::from_bytes(&bytes)
            .and_then(|request| self.sides.server.prepare(&request, &mut self.rng, SILENT));
        refused.map(|_| ()).expect_err("it is wrong").to_string()
    }

    fn answer(&self, change: impl FnOnce(&mut pdnn::file::Container)) -> String {
        let bytes = changed(&self.answer, change);
        let refused = Answer::from_bytes(&bytes)
            .and_then(|answer| self.sides.preparation.finish(&answer, SILENT));
        refused.expect_err("it is wrong").to_string()
    }
}

#[test]
fn a_query_of_another_protocol() {
    let said = exchange().query(|c| c.set("protocol", "2p-dnn"));
    assert!(said.contains("speaks protocol \"2p-dnn\""), "{said}");
}

#[test]
fn a_query_for_another_network() {
    let said = exchange().query(|c| c.set("network", "00".repeat(32)));
    assert!(said.contains("is for network 0000000000000000"), "{said}");
}

#[test]
fn a_query_under_another_key() {
    let said = exchange().query(|c| c.set("key", "00".repeat(32)));
    assert!(
        said.contains("belongs to key 0000000000000000") || said.contains("to 0000000000000000"),
        "{said}"
    );
}

#[test]
fn a_query_for_another_layer() {
    let said = exchange().query(|c| c.set("stage", 2));
    assert!(said.contains("expected rows of"), "{said}");
}

#[test]
fn a_query_for_a_layer_that_does_not_exist() {
    let said = exchange().query(|c| c.set("stage", 9));
    assert!(said.contains("one of layers 1 to 4"), "{said}");
}

#[test]
fn a_query_with_an_unknown_member() {
    let said = exchange().query(|c| c.set("extra", 1));
    assert!(said.contains("\"extra\""), "{said}");
}

#[test]
fn a_query_with_a_number_that_is_not_canonical() {
    let said = exchange().query(|c| c.set("images", "02"));
    assert!(said.contains("\"images\""), "{said}");
}

#[test]
fn a_query_with_fewer_masks_than_images() {
    let said = exchange().query(|c| {
        let masks = c
            .get("masks")
            .expect("it has masks")
            .replace("0..2", "0..1");
        c.set("masks", masks);
    });
    assert!(said.contains("\"masks\""), "{said}");
}

#[test]
fn a_query_that_names_a_mask_twice() {
    let said = exchange().query(|c| {
        let id = c.get("masks").expect("it has masks")[..32].to_string();
        c.set("masks", format!("{id}:0..1,{id}:0..1"));
    });
    assert!(said.contains("\"masks\""), "{said}");
}

#[test]
fn a_query_with_a_batch_that_the_server_does_not_have() {
    let said = exchange().query(|c| c.set("masks", format!("{}:0..2", "ab".repeat(16))));
    assert!(said.contains("has no batch abab"), "{said}");
}

#[test]
fn a_query_beyond_the_end_of_its_batch() {
    let said = exchange().query(|c| {
        let masks = c
            .get("masks")
            .expect("it has masks")
            .replace("0..2", "3..5");
        c.set("masks", masks);
    });
    assert!(said.contains("has no batch"), "{said}");
}

#[test]
fn a_query_with_bits_behind_its_last_element() {
    // 112 elements end at a whole byte at any width; the second layer's 36 of
    // an odd width do not.
    let network = {
        let mut rng = ChaCha20Rng::seed_from_u64(31);
        mixed_network(&mut rng)
    };
    let widths = pdnn::protocol::masked::widths(network.profile());
    let Some((stage, width)) = widths
        .iter()
        .enumerate()
        .find(|(_, w)| !(w.inputs * w.ring.bits() as usize).is_multiple_of(8))
    else {
        return;
    };
    let row = (width.inputs * width.ring.bits() as usize).div_ceil(8);
    let said = exchange().query(|c| {
        c.set("stage", stage + 1);
        c.tensors[0].shape = vec![2, row];
        c.tensors[0].data = vec![0xff; 2 * row];
    });
    assert!(said.contains("bits behind the last element"), "{said}");
}

#[test]
fn a_query_that_was_answered() {
    let exchange = exchange();
    let query = Query::from_bytes(&exchange.query).expect("a query");
    exchange.sides.server.answer(&query).expect("a reply");
    let refused = exchange.sides.server.answer(&query);
    assert!(matches!(refused, Err(MaskedError::Ledger(_))));
    // Nor by another server with the same store.
    let mut rng = ChaCha20Rng::seed_from_u64(31);
    let network = mixed_network(&mut rng);
    let folder = store(exchange.sides.folder.path(), "server");
    let restarted = Server::new(network, &folder, false).expect("a store");
    assert!(matches!(
        restarted.answer(&query),
        Err(MaskedError::Ledger(_))
    ));
}

#[test]
fn a_reply_to_a_query_that_was_never_made() {
    let exchange = exchange();
    let query = Query::from_bytes(&exchange.query).expect("a query");
    let reply = exchange
        .sides
        .server
        .answer(&query)
        .expect("a reply")
        .to_bytes();
    let bytes = changed(&reply, |c| {
        let masks = c
            .get("masks")
            .expect("it has masks")
            .replace("0..2", "2..4");
        c.set("masks", masks);
    });
    let reply = Reply::from_bytes(&bytes).expect("a reply");
    let refused = exchange.sides.client.receive(&reply).map(|_| ());
    assert!(matches!(refused, Err(MaskedError::NotAsked { .. })));
}

#[test]
fn a_reply_outside_the_layer_s_range() {
    let exchange = exchange();
    let query = Query::from_bytes(&exchange.query).expect("a query");
    let reply = exchange
        .sides
        .server
        .answer(&query)
        .expect("a reply")
        .to_bytes();
    // Of 336 random elements, some lie where the layer has no result.
    use rand::Rng;
    let bytes = changed(&reply, |c| {
        ChaCha20Rng::seed_from_u64(5).fill_bytes(&mut c.tensors[0].data);
    });
    let reply = Reply::from_bytes(&bytes).expect("a reply");
    let refused = exchange.sides.client.receive(&reply).map(|_| ());
    assert!(matches!(refused, Err(MaskedError::Dishonest { .. })));
}

#[test]
fn a_request_with_slots_too_narrow_to_hide() {
    let said = exchange().request(|c| {
        let slots: Vec<String> = c
            .get("slots")
            .expect("it has slots")
            .split(',')
            .map(String::from)
            .collect();
        let fits = 254 / (254 / slots[0].parse::<u32>().expect("a number"));
        assert!(fits > 30);
        // As many slots as before, so that the ciphertexts fit.
        let narrow: Vec<String> = slots
            .iter()
            .map(|bits| (254 / (254 / bits.parse::<u32>().expect("a number") + 1) + 1).to_string())
            .collect();
        c.set("slots", narrow.join(","));
    });
    assert!(
        said.contains("do not hide") || said.contains("expected"),
        "{said}"
    );
}

#[test]
fn a_request_with_a_ciphertext_that_is_zero() {
    let mut exchange = exchange();
    let fresh = exchange.sides.preparation.ask(2, &mut exchange.rng, SILENT);
    exchange.request = fresh.expect("a request").to_bytes();
    let said = exchange.request(|c| c.tensors[0].data[..64].fill(0));
    assert!(said.contains("ciphertext refused"), "{said}");
}

#[test]
fn a_request_for_another_network() {
    let said = exchange().request(|c| c.set("network", "00".repeat(32)));
    assert!(said.contains("is for network 0000000000000000"), "{said}");
}

#[test]
fn a_request_without_a_layer() {
    let said = exchange().request(|c| drop(c.tensors.pop()));
    assert!(said.contains("layer"), "{said}");
}

#[test]
fn a_request_with_another_request_s_batch() {
    let mut exchange = exchange();
    let other = exchange.sides.preparation.ask(2, &mut exchange.rng, SILENT);
    let id = other.expect("a request").batch().id;
    let used = Request::from_bytes(&exchange.request)
        .expect("a request")
        .batch()
        .id;
    assert_ne!(id, used);
    // The same batch with other ciphertexts: refused, or the client would see
    // two sums under one mask.
    let said = exchange.request(|c| {
        let rows = &mut c.tensors[0].data;
        let (first, second) = rows.split_at_mut(64);
        first.swap_with_slice(&mut second[..64]);
    });
    assert!(said.contains("already"), "{said}");
}

#[test]
fn the_same_ciphertexts_with_other_slots_are_another_request() {
    // The same seed in slots of another width would show its masks.
    let said = exchange().request(|c| {
        let narrower: Vec<String> = c
            .get("slots")
            .expect("it has slots")
            .split(',')
            .map(|bits| (bits.parse::<u32>().expect("a number") - 1).to_string())
            .collect();
        c.set("slots", narrower.join(","));
    });
    assert!(said.contains("already"), "{said}");
}

#[test]
fn the_same_request_is_answered_again_with_the_same_masks() {
    let mut exchange = exchange();
    let request = Request::from_bytes(&exchange.request).expect("a request");
    let again = exchange
        .sides
        .server
        .prepare(&request, &mut exchange.rng, SILENT)
        .expect("the same masks")
        .answer;
    assert_ne!(again.to_bytes(), exchange.answer, "re-randomised");
    exchange
        .sides
        .preparation
        .finish(&again, SILENT)
        .expect("masks");
    let mut rng = ChaCha20Rng::seed_from_u64(31);
    let network = mixed_network(&mut rng);
    let images = images(&network, 4, &mut rng);
    assert_eq!(
        exchange.sides.classify(&images, &mut rng),
        network.forward_all(&images)
    );
}

#[test]
fn an_answer_to_another_request() {
    let said = exchange().answer(|c| c.set("batch", "ab".repeat(16)));
    assert!(said.contains("has no batch abab"), "{said}");
}

#[test]
fn an_answer_for_another_number_of_predictions() {
    let said = exchange().answer(|c| c.set("count", 3));
    assert!(said.contains("expected 2 predictions"), "{said}");
}

#[test]
fn an_answer_without_a_layer() {
    let said = exchange().answer(|c| drop(c.tensors.pop()));
    assert!(said.contains("layer"), "{said}");
}

#[test]
fn an_answer_with_something_above_its_slots() {
    // An unused slot is 0 in an honest answer: a ciphertext of a random number
    // of the key's size is no sum of masks. A ciphertext of the request has
    // negative numbers in it, or at least borrows.
    let exchange = exchange();
    let request = pdnn::file::Container::read_any(&exchange.request[..], u64::MAX).expect("whole");
    let foreign: Vec<Vec<u8>> = request.tensors[0]
        .data
        .chunks(64)
        .map(<[u8]>::to_vec)
        .collect();
    let refused = foreign.iter().any(|row| {
        let bytes = changed(&exchange.answer, |c| {
            c.tensors[0].data[..64].copy_from_slice(row)
        });
        let answer = Answer::from_bytes(&bytes).expect("an answer");
        matches!(
            exchange.sides.preparation.finish(&answer, SILENT),
            Err(MaskedError::Answer(_))
        )
    });
    assert!(refused);
}
