//! What files of the masked protocol hold.

use std::path::Path;

use super::{super::error::Explain, CliResult, Facts, hex};
use crate::{
    file::{Container, Kind},
    protocol::masked::{Answer, Batch, Header, PROTOCOL, Query, Reply, Request},
};

/// The facts of a container if it is of this protocol: messages and material.
pub(super) fn facts(container: &Container, bytes: &[u8], path: &Path) -> CliResult<Option<Facts>> {
    if container.get("protocol").ok() != Some(PROTOCOL) {
        return Ok(None);
    }
    let size = bytes.len();
    let kind = container.kind();
    if kind == Kind::QUERY.name {
        let query = Query::from_bytes(bytes).about_file(path)?;
        return Ok(Some(message("query", query.header(), size)));
    }
    if kind == Kind::REPLY.name {
        let reply = Reply::from_bytes(bytes).about_file(path)?;
        return Ok(Some(message("reply", reply.header(), size)));
    }
    if kind == Request::KIND.name {
        let request = Request::from_bytes(bytes).about_file(path)?;
        let facts = batch(kind, request.batch(), request.ciphertexts(), size);
        return Ok(Some(facts.with("key_bits", request.key().bits())));
    }
    if kind == Answer::KIND.name {
        let answer = Answer::from_bytes(bytes).about_file(path)?;
        return Ok(Some(batch(
            kind,
            answer.batch(),
            answer.ciphertexts(),
            size,
        )));
    }
    // A file of a store: nothing of what is in it is shown.
    let mut facts = Facts::new(kind)
        .with("protocol", PROTOCOL)
        .with("bytes", size);
    for member in ["batch", "count", "key", "network"] {
        if let Ok(value) = container.get(member) {
            facts = facts.with(member, value);
        }
    }
    Ok(Some(facts))
}

fn message(kind: &str, header: &Header, bytes: usize) -> Facts {
    Facts::new(kind)
        .with("protocol", PROTOCOL)
        .with("stage", header.stage + 1)
        .with("images", header.images)
        .with("bytes", bytes)
        .with("query_id", header.query_id.to_string())
        .with("key", hex(header.key.as_bytes()))
        .with("network", hex(&header.network))
}

fn batch(kind: &str, batch: &Batch, ciphertexts: usize, bytes: usize) -> Facts {
    Facts::new(kind)
        .with("protocol", PROTOCOL)
        .with("batch", batch.id.to_string())
        .with("count", batch.count)
        .with("ciphertexts", ciphertexts)
        .with("bytes", bytes)
        .with("key", hex(batch.key.as_bytes()))
        .with("network", hex(&batch.network))
}
