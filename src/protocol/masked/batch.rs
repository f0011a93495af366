//! What identifies prepared material: its batch, and places in it.

use std::ops::Range;

use rand::CryptoRng;

use crate::{
    file::{
        Container,
        container::{hex, unhex},
    },
    mpc::bits,
    network::Profile,
    paillier::Fingerprint,
};

use super::{
    MAX_COUNT, MaskedError, PROTOCOL, Width,
    error::short,
    fields::{Fields, canonical},
};

/// One preparation: 16 random bytes, drawn by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub [u8; 16]);

impl BatchId {
    /// A new one.
    pub fn random(rng: &mut impl CryptoRng) -> BatchId {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        BatchId(bytes)
    }
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// What the messages and files of a preparation say about themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which preparation.
    pub id: BatchId,
    /// Fingerprint of the client's key.
    pub key: Fingerprint,
    /// Fingerprint of the network's profile.
    pub network: [u8; 32],
    /// Predictions that it has masks for.
    pub count: usize,
}

impl Batch {
    pub(super) fn write(&self, container: &mut Container) {
        container.set("protocol", PROTOCOL);
        container.set("batch", self.id);
        container.set("key", hex(self.key.as_bytes()));
        container.set("network", hex(&self.network));
        container.set("count", self.count);
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Batch, MaskedError> {
        Ok(Batch {
            id: fields.batch()?,
            key: fields.key()?,
            network: fields.bytes("network")?,
            count: fields.number("count", 1..=MAX_COUNT)?,
        })
    }

    /// Refuses what was made for another network.
    pub(super) fn expect_network(
        &self,
        kind: &'static str,
        network: &[u8; 32],
    ) -> Result<(), MaskedError> {
        expect_network(kind, network, &self.network)
    }

    /// Refuses what was made under another key.
    pub(super) fn expect_key(
        &self,
        kind: &'static str,
        key: Fingerprint,
    ) -> Result<(), MaskedError> {
        expect_key(kind, key, self.key)
    }
}

pub(super) fn expect_network(
    kind: &'static str,
    expected: &[u8; 32],
    found: &[u8; 32],
) -> Result<(), MaskedError> {
    if expected == found {
        return Ok(());
    }
    Err(MaskedError::OtherNetwork {
        kind,
        expected: short(expected),
        found: short(found),
    })
}

pub(super) fn expect_key(
    kind: &'static str,
    expected: Fingerprint,
    found: Fingerprint,
) -> Result<(), MaskedError> {
    if expected == found {
        return Ok(());
    }
    Err(MaskedError::OtherKey {
        kind,
        expected: short(expected.as_bytes()),
        found: short(found.as_bytes()),
    })
}

/// Consecutive predictions of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The batch.
    pub batch: BatchId,
    /// Places in it; not empty.
    pub indices: Range<usize>,
}

/// As `id:0..31,id:40..41`.
pub(super) fn segments_to_text(segments: &[Segment]) -> String {
    let parts: Vec<String> = segments
        .iter()
        .map(|s| format!("{}:{}..{}", s.batch, s.indices.start, s.indices.end))
        .collect();
    parts.join(",")
}

/// What [`segments_to_text`] wrote; `None` for anything else, an empty segment
/// or a place that is named twice.
pub(super) fn segments_from_text(text: &str) -> Option<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::new();
    for part in text.split(',') {
        let (batch, indices) = part.split_once(':')?;
        let (start, end) = indices.split_once("..")?;
        let segment = Segment {
            batch: BatchId(unhex(batch)?),
            indices: canonical(start)?..canonical(end)?,
        };
        if segment.indices.is_empty() || segment.indices.end > MAX_COUNT {
            return None;
        }
        segments.push(segment);
    }
    let mut order: Vec<&Segment> = segments.iter().collect();
    order.sort_by_key(|s| (s.batch, s.indices.start));
    let apart = |pair: &[&Segment]| {
        pair[0].batch != pair[1].batch || pair[0].indices.end <= pair[1].indices.start
    };
    order.windows(2).all(apart).then_some(segments)
}

/// The tensor of a layer.
pub(super) fn layer_name(layer: usize) -> String {
    format!("layer{}", layer + 1)
}

/// Bytes of a prediction's results, for every layer.
pub(super) fn result_rows(widths: &[Width]) -> Vec<usize> {
    let row = |width: &Width| bits::row_bytes(width.ring, width.outputs);
    widths.iter().map(row).collect()
}

/// The number of layers, for reading files before a profile is known.
pub(super) fn expect_layers(
    kind: &'static str,
    profile: &Profile,
    found: usize,
) -> Result<(), MaskedError> {
    if found == profile.stages.len() {
        return Ok(());
    }
    Err(MaskedError::Shape {
        kind,
        expected: format!("{} layers", profile.stages.len()),
        found: format!("{found} layers"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<usize> {
        segments_from_text(text).map(|segments| segments.len())
    }

    #[test]
    fn segments_come_back_and_overlaps_are_refused() {
        let id = |byte: u8| BatchId([byte; 16]);
        let segments = vec![
            Segment {
                batch: id(2),
                indices: 5..9,
            },
            Segment {
                batch: id(1),
                indices: 0..3,
            },
            Segment {
                batch: id(2),
                indices: 0..5,
            },
        ];
        let text = segments_to_text(&segments);
        assert_eq!(segments_from_text(&text), Some(segments));
        let one = id(1);
        assert_eq!(parsed(&format!("{one}:0..4,{one}:3..5")), None);
        assert_eq!(parsed(&format!("{one}:4..4")), None);
        assert_eq!(parsed(&format!("{one}:04..5")), None);
        assert_eq!(parsed(&format!("{one}:0..99999999")), None);
        assert_eq!(parsed(""), None);
        assert_eq!(parsed("abc:0..1"), None);
    }
}
