//! Both sides of 2P-DNN and BAYHENN, which differ at the server only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    encrypted::plan::Method,
    network::{BayesianNetwork, Profile, Weights},
    paillier::{Counts, SecretKey},
    protocol::{
        bayhenn,
        exchange::{Client, ClientKeys, LayoutChoice, ProtocolError, Reply, best_chunk},
        two_party_dnn,
    },
    report::{RunCost, StageCost},
};

use super::{
    super::{
        ahead::Ahead,
        error::{CliResult, Explain},
    },
    BothSides, Classified, Clock, random,
};

/// A client, a server, and what their exchanges have cost so far.
pub(super) struct Sides<S> {
    client: Client,
    server: S,
    layout: LayoutChoice,
    cost: Mutex<RunCost>,
}

impl<S> Sides<S> {
    fn of(client: Client, server: S, layout: LayoutChoice, ahead: &Ahead) -> Sides<S> {
        Sides {
            client: ahead.equip(client.for_whole_run()),
            server,
            layout,
            cost: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, RunCost> {
        self.cost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sides<two_party_dnn::Server> {
    /// The two sides of the network of `server`.
    pub(super) fn fixed(
        server: two_party_dnn::Server,
        key: SecretKey,
        layout: LayoutChoice,
        ahead: &Ahead,
    ) -> Self {
        let client = Client::new(server.profile().clone(), ClientKeys::Owner(key));
        let server = server.for_whole_run().scanning_tables(ahead.scan_tables);
        Sides::of(client, server, layout, ahead)
    }
}

impl Sides<Drawing> {
    /// The two sides of `network`, on `samples` paths.
    pub(super) fn drawn(
        network: BayesianNetwork,
        key: SecretKey,
        layout: LayoutChoice,
        samples: usize,
        ahead: &Ahead,
    ) -> Result<Self, ProtocolError> {
        let keys = ClientKeys::Owner(key);
        let client = bayhenn::client(network.profile().clone(), keys, samples)?;
        let server = bayhenn::Server::new(network.clone()).for_whole_run();
        let server = server.scanning_tables(ahead.scan_tables);
        let drawing = Drawing {
            server,
            network,
            samples,
        };
        Ok(Sides::of(client, drawing, layout, ahead))
    }
}

/// What a server does with the bytes of a query.
pub(super) trait Serve: Send + Sync {
    /// Reads the query, answers it with what was kept of the classification's
    /// earlier ones, and says what that took.
    fn serve(
        &self,
        query: &[u8],
        kept: &mut Option<Draws>,
        rng: &mut random::System,
    ) -> Result<Served, ProtocolError>;

    /// What can be done before there is a query, for so many images under a key
    /// of so many bits.
    fn prepare(&self, _key_bits: u32, _images: usize, _layout: LayoutChoice) {}

    /// As [`BothSides::drawn_in_the_clear`].
    fn drawn_in_the_clear(&self, _: &[Vec<i64>], _: &Classified) -> Option<Vec<Vec<i64>>> {
        None
    }
}

/// Where the weights of one classification come from.
pub(super) struct Draws {
    /// Where `from` began.
    seed: Zeroizing<[u8; 32]>,
    from: ChaCha20Rng,
}

/// A reply and its cost.
pub(super) struct Served {
    reply: Reply,
    counts: Counts,
    methods: Vec<Method>,
    drawn: u64,
}

impl Serve for two_party_dnn::Server {
    fn prepare(&self, key_bits: u32, images: usize, layout: LayoutChoice) {
        // What cannot be laid out, the client will say.
        let _ = two_party_dnn::Server::prepare(self, key_bits, images, layout);
    }

    fn serve(
        &self,
        query: &[u8],
        _: &mut Option<Draws>,
        rng: &mut random::System,
    ) -> Result<Served, ProtocolError> {
        let answer = self.respond(query, rng)?;
        Ok(Served {
            reply: answer.reply,
            counts: answer.counts,
            methods: answer.methods,
            drawn: 0,
        })
    }
}

/// A server of BAYHENN that can draw again what it drew for a query, for the
/// comparison with the clear.
pub(super) struct Drawing {
    server: bayhenn::Server,
    network: BayesianNetwork,
    samples: usize,
}

impl Serve for Drawing {
    fn serve(
        &self,
        query: &[u8],
        kept: &mut Option<Draws>,
        rng: &mut random::System,
    ) -> Result<Served, ProtocolError> {
        let query = self.server.read(query)?;
        let draws = kept.get_or_insert_with(|| {
            let seed = Zeroizing::new(rng.random());
            let from = ChaCha20Rng::from_seed(*seed);
            Draws { seed, from }
        });
        let answer = self.server.answer(&query, &mut draws.from, rng)?;
        Ok(Served {
            reply: answer.reply,
            counts: answer.counts,
            methods: answer.methods,
            drawn: answer.drawn,
        })
    }

    fn drawn_in_the_clear(
        &self,
        images: &[Vec<i64>],
        classified: &Classified,
    ) -> Option<Vec<Vec<i64>>> {
        let mut draws = ChaCha20Rng::from_seed(**classified.seed.as_ref()?);
        let paths = bayhenn::draw_paths(&self.network, self.samples, &mut draws);
        Some(forward_paths(&self.network, &paths, images))
    }
}

/// The logits of `images` in the clear: all on the first of `paths`, then on the
/// second, and so on.
pub(crate) fn forward_paths(
    network: &BayesianNetwork,
    paths: &[Vec<Weights>],
    images: &[Vec<i64>],
) -> Vec<Vec<i64>> {
    (0..paths.len() * images.len())
        .into_par_iter()
        .map(|at| network.forward(&paths[at / images.len()], &images[at % images.len()]))
        .collect()
}

impl<S: Serve> BothSides for Sides<S> {
    fn profile(&self) -> &Profile {
        self.client.profile()
    }

    fn key_bits(&self) -> u32 {
        self.client.public_key().bits()
    }

    fn cost(&self) -> RunCost {
        self.lock().clone()
    }

    fn drawn_in_the_clear(
        &self,
        images: &[Vec<i64>],
        classified: &Classified,
    ) -> Option<Vec<Vec<i64>>> {
        self.server.drawn_in_the_clear(images, classified)
    }

    fn best_chunk(&self, images: usize, most: usize) -> usize {
        let (bits, samples) = (self.key_bits(), self.client.samples());
        best_chunk(self.profile(), bits, images, samples, self.layout, most)
    }

    fn prepare(&self, images: usize) {
        self.server.prepare(self.key_bits(), images, self.layout);
    }

    fn classify(
        &self,
        images: &[Vec<i64>],
        rng: &mut random::System,
        step: &(dyn Fn(usize) + Sync),
    ) -> CliResult<Classified> {
        let mut kept = None;
        let mut clock = Clock::start();
        let mut query = self.client.query(images, self.layout, rng).explain()?;
        loop {
            let header = query.header().clone();
            let stage = header.stage;
            let up = query.to_bytes();
            let mut cost = StageCost {
                stage: self.client.profile().stages[stage].name.clone(),
                ciphertexts_up: query.ciphertexts() as u64,
                bytes_up: up.len() as u64,
                ..StageCost::default()
            };
            drop(query);
            cost.encrypt_ms = clock.lap();

            // The server has the message's bytes and its model, nothing else.
            let served = self.server.serve(&up, &mut kept, rng).explain()?;
            drop(up);
            let down = served.reply.to_bytes();
            cost.ciphertexts_down = served.reply.ciphertexts() as u64;
            cost.bytes_down = down.len() as u64;
            cost.products = served.counts.products;
            cost.squarings = served.counts.squarings;
            cost.inversions = served.counts.inversions;
            cost.drawn = served.drawn;
            cost.add_methods(&served.methods);
            drop(served);
            cost.server_ms = clock.lap();

            let reply = Reply::from_bytes(&down).explain()?;
            header.expect_answer(reply.header()).explain()?;
            let opened = self.client.open(&reply).explain()?;
            drop((down, reply));
            cost.decrypt_ms = clock.lap();
            self.lock().add(&cost);
            step(stage + 1);

            if let Some(logits) = opened.logits(&self.client) {
                self.lock().images += images.len() as u64;
                return Ok(Classified {
                    logits: logits.to_vec(),
                    seed: kept.map(|draws| draws.seed),
                });
            }
            query = self.client.seal(&opened, rng).explain()?;
        }
    }
}
