//! The masked protocol against the ideal functionality, through the bytes of
//! its messages and stores on disk.

mod common;

use std::path::Path;

use common::networks::{images, mixed_network};
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
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let network = mixed_network(&mut rng);
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
