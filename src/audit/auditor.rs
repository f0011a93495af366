//! The client that an auditor plays, and how it reaches the server.

use rand::CryptoRng;

use crate::{
    network::Profile,
    paillier::Plaintext,
    protocol::{
        bayhenn,
        exchange::{
            Client, LayoutChoice, Packing, Progress, ProtocolError, Query, QueryId, Reply,
            StageLayout,
        },
        two_party_dnn,
    },
};

use super::{AuditError, Seen, Service, Traffic};

/// How a query becomes a reply.
pub trait Exchange {
    /// Sends a query; the reply. `progress` is told the part of the server's
    /// work that is done, 0 to 1, where that is known.
    ///
    /// # Errors
    ///
    /// Whatever keeps the reply away.
    fn send(&mut self, query: &Query, progress: &(dyn Fn(f64) + Sync))
    -> Result<Reply, AuditError>;
}

/// A server of one of the protocols that are audited.
pub trait Serve {
    /// Answers the bytes of a query, with weights from `draws` where weights
    /// are drawn.
    ///
    /// # Errors
    ///
    /// Whatever the server refuses.
    fn serve(
        &self,
        query: &[u8],
        draws: &mut impl CryptoRng,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Reply, ProtocolError>;
}

impl Serve for two_party_dnn::Server {
    fn serve(
        &self,
        query: &[u8],
        _draws: &mut impl CryptoRng,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Reply, ProtocolError> {
        Ok(self.answer_with(&self.read(query)?, rng, progress)?.reply)
    }
}

impl Serve for bayhenn::Server {
    fn serve(
        &self,
        query: &[u8],
        draws: &mut impl CryptoRng,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Reply, ProtocolError> {
        let query = self.read(query)?;
        Ok(self.answer_with(&query, draws, rng, progress)?.reply)
    }
}

/// The real server in this process, with nothing between but the bytes of the
/// messages.
pub struct InProcess<S, R> {
    server: S,
    draws: R,
    rng: R,
}

impl<S: Serve, R: CryptoRng> InProcess<S, R> {
    /// A server with generators of its own: for weights, where they are drawn,
    /// and for everything else.
    pub fn new(server: S, draws: R, rng: R) -> InProcess<S, R> {
        InProcess { server, draws, rng }
    }
}

impl<S: Serve, R: CryptoRng> Exchange for InProcess<S, R> {
    fn send(
        &mut self,
        query: &Query,
        progress: &(dyn Fn(f64) + Sync),
    ) -> Result<Reply, AuditError> {
        let progress = |done: usize, all: usize| progress(done as f64 / all as f64);
        let (draws, rng) = (&mut self.draws, &mut self.rng);
        let reply = self
            .server
            .serve(&query.to_bytes(), draws, rng, &progress)?;
        Ok(Reply::from_bytes(&reply.to_bytes())?)
    }
}

/// An auditor: a client with a key, and a way to the server.
pub struct Auditor<E, R> {
    client: Client,
    exchange: E,
    rng: R,
    /// All messages carry one id, as those of an ordinary classification do.
    query_id: QueryId,
    traffic: Vec<Traffic>,
}

impl<E: Exchange, R: CryptoRng> Auditor<E, R> {
    /// An auditor who plays `client`, which must own its key.
    pub fn new(client: Client, exchange: E, mut rng: R) -> Auditor<E, R> {
        Auditor {
            traffic: vec![Traffic::default(); client.profile().stages.len()],
            client: client.for_whole_run(),
            exchange,
            query_id: QueryId::random(&mut rng),
            rng,
        }
    }

    fn send(
        &mut self,
        query: &Query,
        progress: &(dyn Fn(f64) + Sync),
    ) -> Result<Reply, AuditError> {
        let reply = self.exchange.send(query, progress)?;
        if reply.header() != query.header() {
            return Err(AuditError::OtherQuery);
        }
        let traffic = &mut self.traffic[query.header().stage];
        traffic.messages += 1;
        traffic.ciphertexts_up += query.ciphertexts() as u64;
        traffic.ciphertexts_down += reply.ciphertexts() as u64;
        Ok(reply)
    }
}

impl<E: Exchange, R: CryptoRng> Service for Auditor<E, R> {
    fn profile(&self) -> &Profile {
        self.client.profile()
    }

    fn key_bits(&self) -> u32 {
        self.client.public_key().bits()
    }

    fn draws(&self) -> usize {
        self.client.samples()
    }

    fn layout(
        &self,
        stage: usize,
        packing: Packing,
        images: usize,
    ) -> Result<StageLayout, ProtocolError> {
        self.client.layout(stage, packing, images)
    }

    fn ask(
        &mut self,
        stage: usize,
        layout: &StageLayout,
        plaintexts: &[Plaintext],
    ) -> Result<Vec<Vec<Plaintext>>, AuditError> {
        let (id, rng) = (self.query_id, &mut self.rng);
        let query = self
            .client
            .query_plaintexts(stage, layout, plaintexts, id, rng);
        let reply = self.send(&query, &|_| {})?;
        let mut opened = self.client.open_plaintexts(&reply, &|_, _| {})?;
        let mut draws = Vec::with_capacity(self.draws());
        while !opened.is_empty() {
            let rest = opened.split_off(layout.outputs());
            draws.push(std::mem::replace(&mut opened, rest));
        }
        Ok(draws)
    }

    fn classify(
        &mut self,
        images: &[Vec<i64>],
        see: &mut dyn FnMut(Seen<'_>),
        progress: &(dyn Fn(usize, f64) + Sync),
    ) -> Result<(), AuditError> {
        let mut query = self
            .client
            .query(images, LayoutChoice::Auto, &mut self.rng)?;
        loop {
            let stage = query.header().stage;
            let reply = self.send(&query, &|part| progress(stage, part))?;
            let mut show = |draw: usize, image: usize, results: &[i64]| {
                see(Seen {
                    draw,
                    stage,
                    image,
                    results,
                });
            };
            let opened = self.client.open_seeing(&reply, &mut show, &|_, _| {})?;
            if opened.logits(&self.client).is_some() {
                return Ok(());
            }
            query = self.client.seal(&opened, &mut self.rng)?;
        }
    }

    fn traffic(&self) -> &[Traffic] {
        &self.traffic
    }
}
