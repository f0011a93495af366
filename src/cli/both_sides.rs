//! Client and server in one process, with nothing between them but the bytes
//! of their messages, and what every stage costs.

use std::time::Instant;

use rand::CryptoRng;

use crate::{
    protocol::two_party_dnn::{Client, LayoutChoice, ProtocolError, Reply, Server},
    report::{RunCost, StageCost},
};

/// A client, a server, and what their exchanges have cost so far.
pub(crate) struct BothSides {
    client: Client,
    server: Server,
    cost: RunCost,
}

impl BothSides {
    /// The two sides of a network.
    pub(crate) fn new(client: Client, server: Server) -> BothSides {
        BothSides {
            client: client.for_whole_run(),
            server: server.for_whole_run(),
            cost: RunCost::default(),
        }
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What has been classified so far, and its cost.
    pub(crate) fn cost(&self) -> &RunCost {
        &self.cost
    }

    /// Classifies `images` encrypted; their integer logits. `step` is called
    /// after each of the network's stages.
    pub(crate) fn classify(
        &mut self,
        images: &[Vec<i64>],
        layout: LayoutChoice,
        rng: &mut impl CryptoRng,
        mut step: impl FnMut(usize),
    ) -> Result<Vec<Vec<i64>>, ProtocolError> {
        let mut clock = Clock::start();
        let mut query = self.client.query(images, layout, rng)?;
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
            let answer = self.server.answer(&self.server.read(&up)?, rng)?;
            drop(up);
            let down = answer.reply.to_bytes();
            cost.ciphertexts_down = answer.reply.ciphertexts() as u64;
            cost.bytes_down = down.len() as u64;
            cost.products = answer.counts.products;
            cost.squarings = answer.counts.squarings;
            cost.inversions = answer.counts.inversions;
            drop(answer);
            cost.server_ms = clock.lap();

            let opened = self.client.open(&Reply::from_bytes(&down)?)?;
            drop(down);
            cost.decrypt_ms = clock.lap();
            self.cost.add(&cost);
            step(stage);

            if let Some(logits) = opened.logits(&self.client) {
                self.cost.images += images.len() as u64;
                return Ok(logits.to_vec());
            }
            query = self.client.seal(&opened, rng)?;
        }
    }
}

/// Measures consecutive pieces of work.
struct Clock(Instant);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Milliseconds since the last lap or the start.
    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let elapsed = now - self.0;
        self.0 = now;
        elapsed.as_secs_f64() * 1e3
    }
}
