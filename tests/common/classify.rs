//! A whole classification, every message through its bytes.

use pdnn::protocol::two_party_dnn::{Client, LayoutChoice, Reply, Server, Step};
use rand::CryptoRng;

/// The logits that the two parties arrive at.
pub(crate) fn classify(
    client: &Client,
    server: &Server,
    images: &[Vec<i64>],
    layout: LayoutChoice,
    rng: &mut impl CryptoRng,
) -> Vec<Vec<i64>> {
    let mut query = client.query(images, layout, rng).expect("a query");
    loop {
        let received = server.read(&query.to_bytes()).expect("the query reads");
        let answer = server.answer(&received, rng).expect("an answer");
        let reply = Reply::from_bytes(&answer.reply.to_bytes()).expect("the reply reads");
        assert_eq!(reply.header().query_id, query.header().query_id);
        match client.receive(&reply, rng).expect("the reply opens") {
            Step::Next(next) => query = next,
            Step::Done(logits) => return logits,
        }
    }
}
