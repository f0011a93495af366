//! Both sides of 2P-DNN.

use crate::{
    network::{Network, Profile},
    paillier::SecretKey,
    protocol::two_party_dnn::{Client, ClientKeys, LayoutChoice, Reply, Server},
    report::{RunCost, StageCost},
};

use super::{
    super::error::{CliResult, Explain},
    BothSides, Clock, random,
};

/// A client, a server, and what their exchanges have cost so far.
pub(super) struct Sides {
    client: Client,
    server: Server,
    layout: LayoutChoice,
    cost: RunCost,
}

impl Sides {
    /// The two sides of `network`.
    pub(super) fn new(network: Network, key: SecretKey, layout: LayoutChoice) -> Sides {
        let client = Client::new(network.profile().clone(), ClientKeys::Owner(key));
        Sides {
            client: client.for_whole_run(),
            server: Server::new(network).for_whole_run(),
            layout,
            cost: RunCost::default(),
        }
    }
}

impl BothSides for Sides {
    fn profile(&self) -> &Profile {
        self.client.profile()
    }

    fn key_bits(&self) -> u32 {
        self.client.public_key().bits()
    }

    fn cost(&self) -> &RunCost {
        &self.cost
    }

    fn classify(
        &mut self,
        images: &[Vec<i64>],
        rng: &mut random::System,
        step: &mut dyn FnMut(usize),
    ) -> CliResult<Vec<Vec<i64>>> {
        let mut clock = Clock::start();
        let mut query = self.client.query(images, self.layout, rng).explain()?;
        loop {
            let stage = query.header().stage;
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
            let query_read = self.server.read(&up).explain()?;
            let answer = self.server.answer(&query_read, rng).explain()?;
            drop((up, query_read));
            let down = answer.reply.to_bytes();
            cost.ciphertexts_down = answer.reply.ciphertexts() as u64;
            cost.bytes_down = down.len() as u64;
            cost.products = answer.counts.products;
            cost.squarings = answer.counts.squarings;
            cost.inversions = answer.counts.inversions;
            drop(answer);
            cost.server_ms = clock.lap();

            let reply = Reply::from_bytes(&down).explain()?;
            let opened = self.client.open(&reply).explain()?;
            drop((down, reply));
            cost.decrypt_ms = clock.lap();
            self.cost.add(&cost);
            step(stage + 1);

            if let Some(logits) = opened.logits(&self.client) {
                self.cost.images += images.len() as u64;
                return Ok(logits.to_vec());
            }
            query = self.client.seal(&opened, rng).explain()?;
        }
    }
}
