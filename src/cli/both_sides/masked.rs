//! Both sides of the masked protocol: for each set of images, the preparation
//! and then the online phase, with stores in a temporary folder.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    network::{Network, Profile},
    paillier::SecretKey,
    protocol::masked::{
        Answer, Client, Preparation, Query, Reply, Request, SILENT, Server, Step, batch_size,
    },
    report::{RunCost, StageCost},
};

use super::{
    super::{
        error::{CliResult, Explain},
        scratch::Scratch,
    },
    BothSides, Classified, Clock, Phases, random,
};

/// The row of the preparation in tables.
const PREPARATION: &str = "preparation";

/// A client, a server, their stores, and what their exchanges have cost so far.
pub(super) struct Sides {
    preparation: Preparation,
    client: Client,
    server: Server,
    key_bits: u32,
    /// Predictions of the largest preparation.
    batch: usize,
    spent: Mutex<Spent>,
    _stores: Scratch,
}

/// What all exchanges have cost so far.
#[derive(Clone, Default)]
struct Spent {
    cost: RunCost,
    phases: Phases,
}

impl Sides {
    /// The two sides of `network`.
    pub(super) fn new(network: Network, key: SecretKey) -> CliResult<Sides> {
        let stores = Scratch::new()?;
        let (of_client, of_server) = (stores.path().join("client"), stores.path().join("server"));
        let profile = network.profile().clone();
        let server = Server::new(network, &of_server, true).explain()?;
        let (key_bits, fingerprint) = (key.public().bits(), key.public().fingerprint());
        let extra = server.extra_bits(key_bits);
        let preparation = Preparation::new(profile.clone(), key, &of_client, extra).explain()?;
        Ok(Sides {
            batch: batch_size(&profile, key_bits).explain()?,
            client: Client::new(profile, fingerprint, &of_client).explain()?,
            preparation,
            server,
            key_bits,
            spent: Mutex::default(),
            _stores: stores,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Masks for `count` predictions, in both stores.
    fn prepare(
        &self,
        count: usize,
        rng: &mut random::System,
        step: &(dyn Fn(usize) + Sync),
    ) -> CliResult {
        let stages = self.client.profile().stages.len();
        let mut clock = Clock::start();
        let request = self.preparation.ask(count, rng, SILENT).explain()?;
        let up = request.to_bytes();
        let mut cost = StageCost {
            stage: PREPARATION.to_string(),
            ciphertexts_up: request.ciphertexts() as u64,
            bytes_up: up.len() as u64,
            ..StageCost::default()
        };
        drop(request);
        cost.encrypt_ms = clock.lap();
        step(stages / 8);

        let request = Request::from_bytes(&up).explain()?;
        let prepared = self.server.prepare(&request, rng, SILENT).explain()?;
        drop((up, request));
        let down = prepared.answer.to_bytes();
        cost.ciphertexts_down = prepared.answer.ciphertexts() as u64;
        cost.bytes_down = down.len() as u64;
        cost.products = prepared.counts.products;
        cost.squarings = prepared.counts.squarings;
        cost.inversions = prepared.counts.inversions;
        drop(prepared);
        cost.server_ms = clock.lap();
        step(stages / 2);

        let answer = Answer::from_bytes(&down).explain()?;
        self.preparation.finish(&answer, SILENT).explain()?;
        cost.decrypt_ms = clock.lap();
        let mut spent = self.lock();
        spent.phases.preparation_ms += cost.total_ms();
        spent.cost.add(&cost);
        Ok(())
    }
}

impl BothSides for Sides {
    fn profile(&self) -> &Profile {
        self.client.profile()
    }

    fn key_bits(&self) -> u32 {
        self.key_bits
    }

    fn cost(&self) -> RunCost {
        self.lock().cost.clone()
    }

    fn phases(&self) -> Option<Phases> {
        Some(self.lock().phases)
    }

    /// The stores are taken from in turn.
    fn overlaps(&self) -> bool {
        false
    }

    fn classify(
        &self,
        images: &[Vec<i64>],
        rng: &mut random::System,
        step: &(dyn Fn(usize) + Sync),
    ) -> CliResult<Classified> {
        // A large set takes several preparations.
        for part in images.chunks(self.batch) {
            self.prepare(part.len(), rng, step)?;
        }
        let mut clock = Clock::start();
        let mut query = self.client.query(images, rng).explain()?;
        loop {
            let stage = query.header().stage;
            let up = query.to_bytes();
            let mut cost = StageCost {
                stage: self.client.profile().stages[stage].name.clone(),
                bytes_up: up.len() as u64,
                ..StageCost::default()
            };
            drop(query);
            cost.encrypt_ms = clock.lap();

            // The server has the message's bytes, its model and its store.
            let read = Query::from_bytes(&up).explain()?;
            let down = self.server.answer(&read).explain()?.to_bytes();
            drop((up, read));
            cost.bytes_down = down.len() as u64;
            cost.server_ms = clock.lap();

            let reply = Reply::from_bytes(&down).explain()?;
            let next = self.client.receive(&reply).explain()?;
            cost.decrypt_ms = clock.lap();
            let mut spent = self.lock();
            spent.phases.online_ms += cost.total_ms();
            spent.cost.add(&cost);
            match next {
                Step::Next(next) => query = next,
                Step::Done(logits) => {
                    spent.cost.images += images.len() as u64;
                    drop(spent);
                    step(self.client.profile().stages.len());
                    return Ok(Classified { logits, seed: None });
                }
            }
        }
    }
}
