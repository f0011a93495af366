//! The two messages, and their form on disk.
//!
//! Both are safetensors files. The header's metadata says what the message is
//! for; one tensor, `ciphertexts`, holds the ciphertexts as fixed-width
//! big-endian rows. A query also carries the public key under which it was
//! made, as the JSON of a public key file.

use std::collections::BTreeMap;

use rand::CryptoRng;

use crate::{
    encrypted::layout::{Packing, StageLayout},
    file::{
        Container, Kind, Tensor,
        container::{DIGEST, Dtype, FORMAT_VERSION, KIND, hex},
        key,
    },
    network::Profile,
    paillier::{Candidate, Ciphertexts, Fingerprint, PublicKey},
};

use super::{super::Protocol, MAX_IMAGES, MAX_SAMPLES, ProtocolError, layouts::stage_layout};

/// Ties the messages of one classification together: 16 random bytes, drawn by
/// the client, repeated by every message that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryId(pub [u8; 16]);

impl QueryId {
    /// A new one.
    pub fn random(rng: &mut impl CryptoRng) -> QueryId {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        QueryId(bytes)
    }
}

impl std::fmt::Display for QueryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// What a message says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which protocol.
    pub protocol: Protocol,
    /// Fingerprint of the public key.
    pub key: Fingerprint,
    /// Fingerprint of the network's profile.
    pub network: [u8; 32],
    /// Which linear layer, from 0.
    pub stage: usize,
    /// Which classification.
    pub query_id: QueryId,
    /// How values share ciphertexts.
    pub packing: Packing,
    /// How many images.
    pub images: usize,
    /// How many paths through the network: 1 in 2P-DNN.
    pub samples: usize,
    /// Bits of a slot.
    pub slot_bits: u32,
}

/// From client to server: the encrypted inputs of a layer.
#[derive(Clone)]
pub struct Query {
    pub(super) header: Header,
    pub(super) key: PublicKey,
    pub(super) rows: Vec<u8>,
}

/// From server to client: the encrypted pre-activations of a layer.
#[derive(Clone)]
pub struct Reply {
    pub(super) header: Header,
    /// Bytes of a ciphertext.
    pub(super) width: usize,
    pub(super) rows: Vec<u8>,
}

const CIPHERTEXTS: &str = "ciphertexts";
const PUBLIC_KEY: &str = "public_key";

impl Query {
    /// The kind of file that holds a query.
    pub const KIND: Kind = Kind::QUERY;

    /// What the query says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The public key under which it was made.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// How many ciphertexts it holds.
    pub fn ciphertexts(&self) -> usize {
        self.rows.len() / Ciphertexts::width(&self.key)
    }

    /// The query as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut metadata = self.header.to_metadata();
        metadata.insert(PUBLIC_KEY.into(), key::public_to_json(&self.key));
        write(
            Query::KIND,
            metadata,
            Ciphertexts::width(&self.key),
            &self.rows,
        )
    }

    /// Reads a query; its ciphertexts are checked when they are used.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the file, its header or the key inside.
    pub fn from_bytes(bytes: &[u8]) -> Result<Query, ProtocolError> {
        Query::read(bytes, None)
    }

    /// [`Query::from_bytes`], sparing the checks of the key inside if it is
    /// `known`: they cost several exponentiations.
    pub(super) fn read(bytes: &[u8], known: Option<&PublicKey>) -> Result<Query, ProtocolError> {
        let (query, candidate) = Query::read_unchecked(bytes, known)?;
        if let Some(candidate) = candidate {
            candidate.admit().map_err(refused)?;
        }
        Ok(query)
    }

    /// [`Query::read`], but a key that is not `known` is still to be checked:
    /// nothing that is computed with it may leave before that.
    pub(super) fn read_unchecked(
        bytes: &[u8],
        known: Option<&PublicKey>,
    ) -> Result<(Query, Option<Candidate>), ProtocolError> {
        let (metadata, width, rows) = read(Query::KIND, bytes)?;
        let header = Header::from_metadata(Query::KIND, &metadata)?;
        let json = member(Query::KIND, &metadata, PUBLIC_KEY)?;
        let (key, candidate) = match known {
            Some(known) if key::public_to_json(known) == json => (known.clone(), None),
            _ => {
                let candidate = key::candidate_from_json(json).map_err(refused)?;
                (candidate.unchecked().clone(), Some(candidate))
            }
        };
        // Worse than a key that does not fit the message is no key.
        let after_the_key = |error| match candidate.as_ref().map(Candidate::check) {
            Some(Err(of_key)) => refused(of_key),
            _ => error,
        };
        if key.fingerprint() != header.key {
            return Err(after_the_key(refused(
                "it does not have the fingerprint that the header names",
            )));
        }
        if width != Ciphertexts::width(&key) {
            return Err(after_the_key(ProtocolError::OtherLayout {
                kind: Query::KIND.name,
                layer: format!("stage {}", header.stage + 1),
                expected: format!("ciphertexts of {} bytes", Ciphertexts::width(&key)),
                found: format!("ciphertexts of {width} bytes"),
            }));
        }
        Ok((Query { header, key, rows }, candidate))
    }
}

impl Reply {
    /// The kind of file that holds a reply.
    pub const KIND: Kind = Kind::REPLY;

    /// What the reply says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many ciphertexts it holds.
    pub fn ciphertexts(&self) -> usize {
        self.rows.len() / self.width
    }

    /// The reply as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        write(
            Reply::KIND,
            self.header.to_metadata(),
            self.width,
            &self.rows,
        )
    }

    /// Reads a reply; its ciphertexts are checked when they are used.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the file or its header.
    pub fn from_bytes(bytes: &[u8]) -> Result<Reply, ProtocolError> {
        let (metadata, width, rows) = read(Reply::KIND, bytes)?;
        let header = Header::from_metadata(Reply::KIND, &metadata)?;
        Ok(Reply {
            header,
            width,
            rows,
        })
    }
}

impl Header {
    /// How many sets of inputs the query of this stage holds: the paths share
    /// what the first layer takes.
    pub fn input_sets(&self) -> usize {
        if self.stage == 0 { 1 } else { self.samples }
    }

    /// Refuses a message of another protocol.
    pub(super) fn expect_protocol(
        &self,
        kind: Kind,
        expected: Protocol,
    ) -> Result<(), ProtocolError> {
        if self.protocol == expected {
            return Ok(());
        }
        Err(ProtocolError::OtherProtocol {
            kind: kind.name,
            expected: expected.name().into(),
            found: self.protocol.name().into(),
        })
    }

    /// Checks that a message with the header `reply` answers the query with
    /// this one: that the two agree in everything.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::NoAnswer`] with the first member that differs.
    pub fn expect_answer(&self, reply: &Header) -> Result<(), ProtocolError> {
        let (asked, answered) = (self.to_metadata(), reply.to_metadata());
        // Members that only one of the two has go with the protocol, which comes
        // first of those that differ then.
        for (member, expected) in &asked {
            let found = answered.get(member).map_or("none", String::as_str);
            if found != expected {
                return Err(ProtocolError::NoAnswer {
                    member: member.replace('_', " "),
                    expected: expected.clone(),
                    found: found.to_string(),
                });
            }
        }
        Ok(())
    }

    /// The layout that one path has at the stage that the message is for,
    /// checked against what the message says of it.
    pub(super) fn layout(
        &self,
        kind: Kind,
        profile: &Profile,
        key_bits: u32,
    ) -> Result<StageLayout, ProtocolError> {
        let stages = profile.stages.len();
        let Some(stage) = profile.stages.get(self.stage) else {
            return Err(ProtocolError::NoSuchStage {
                kind: kind.name,
                found: self.stage + 1,
                stages,
            });
        };
        let layout = stage_layout(
            profile,
            self.stage,
            key_bits,
            self.images,
            self.samples,
            self.packing,
        )?;
        if layout.slots().bits != self.slot_bits {
            return Err(ProtocolError::OtherLayout {
                kind: kind.name,
                layer: stage.name.clone(),
                expected: format!("slots of {} bits", layout.slots().bits),
                found: format!("slots of {} bits", self.slot_bits),
            });
        }
        Ok(layout)
    }

    /// Checks count and width of a message's ciphertexts.
    pub(super) fn expect_ciphertexts(
        &self,
        kind: Kind,
        profile: &Profile,
        expected: (usize, usize),
        found: (usize, usize),
    ) -> Result<(), ProtocolError> {
        if expected == found {
            return Ok(());
        }
        let text = |(count, width): (usize, usize)| format!("{count} ciphertexts of {width} bytes");
        Err(ProtocolError::OtherLayout {
            kind: kind.name,
            layer: profile.stages[self.stage].name.clone(),
            expected: text(expected),
            found: text(found),
        })
    }

    fn to_metadata(&self) -> BTreeMap<String, String> {
        let samples = match self.protocol {
            // A masked message has a header of its own.
            Protocol::TwoPartyDnn | Protocol::Masked => None,
            Protocol::Bayhenn => Some(("samples", self.samples.to_string())),
        };
        [
            (Protocol::MEMBER, self.protocol.to_string()),
            ("key", hex(self.key.as_bytes())),
            ("network", hex(&self.network)),
            ("stage", (self.stage + 1).to_string()),
            ("query_id", self.query_id.to_string()),
            ("packing", self.packing.to_string()),
            ("images", self.images.to_string()),
            ("slot_bits", self.slot_bits.to_string()),
        ]
        .into_iter()
        .chain(samples)
        .map(|(name, value)| (name.to_string(), value))
        .collect()
    }

    fn from_metadata(
        kind: Kind,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Header, ProtocolError> {
        let protocol = member(kind, metadata, Protocol::MEMBER)?;
        let protocol = match protocol.parse() {
            Ok(protocol @ (Protocol::TwoPartyDnn | Protocol::Bayhenn)) => protocol,
            _ => {
                return Err(ProtocolError::OtherProtocol {
                    kind: kind.name,
                    expected: format!("{} or {}", Protocol::TwoPartyDnn, Protocol::Bayhenn),
                    found: protocol.to_string(),
                });
            }
        };
        let number = |name: &'static str, min: usize, max: usize| {
            member(kind, metadata, name)?
                .parse::<usize>()
                .ok()
                .filter(|number| (min..=max).contains(number))
                .ok_or(ProtocolError::Header {
                    kind: kind.name,
                    member: name,
                })
        };
        fn bytes<const N: usize>(
            kind: Kind,
            metadata: &BTreeMap<String, String>,
            name: &'static str,
        ) -> Result<[u8; N], ProtocolError> {
            unhex(member(kind, metadata, name)?).ok_or(ProtocolError::Header {
                kind: kind.name,
                member: name,
            })
        }
        let samples = match protocol {
            Protocol::TwoPartyDnn | Protocol::Masked => 1,
            Protocol::Bayhenn => number("samples", 1, MAX_SAMPLES)?,
        };
        let header = Header {
            protocol,
            samples,
            key: Fingerprint::from_bytes(bytes(kind, metadata, "key")?),
            network: bytes(kind, metadata, "network")?,
            stage: number("stage", 1, 1 << 16)? - 1,
            query_id: QueryId(bytes(kind, metadata, "query_id")?),
            packing: member(kind, metadata, "packing")?.parse().map_err(|_| {
                ProtocolError::Header {
                    kind: kind.name,
                    member: "packing",
                }
            })?,
            images: number("images", 1, MAX_IMAGES / samples)?,
            slot_bits: number("slot_bits", 1, 1 << 16)? as u32,
        };
        header.expect_canonical(kind, metadata)?;
        Ok(header)
    }

    /// One way to write each message: nothing but what is known, and every
    /// member as [`Header::to_metadata`] writes it.
    fn expect_canonical(
        &self,
        kind: Kind,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), ProtocolError> {
        let canonical = self.to_metadata();
        for (name, found) in metadata {
            match canonical.get_key_value(name) {
                Some((_, expected)) if expected == found => {}
                Some((_, expected)) => {
                    return Err(ProtocolError::NotCanonical {
                        kind: kind.name,
                        member: name.clone(),
                        expected: expected.clone(),
                    });
                }
                None if [KIND, FORMAT_VERSION, DIGEST].contains(&name.as_str()) => {}
                None if kind == Kind::QUERY && name == PUBLIC_KEY => {}
                None => {
                    return Err(ProtocolError::UnknownMember {
                        kind: kind.name,
                        member: name.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The key inside a query was refused.
pub(super) fn refused(why: impl ToString) -> ProtocolError {
    ProtocolError::Key(why.to_string())
}

fn member<'a>(
    kind: Kind,
    metadata: &'a BTreeMap<String, String>,
    name: &'static str,
) -> Result<&'a str, ProtocolError> {
    metadata
        .get(name)
        .map(String::as_str)
        .ok_or(ProtocolError::Header {
            kind: kind.name,
            member: name,
        })
}

fn write(kind: Kind, metadata: BTreeMap<String, String>, width: usize, rows: &[u8]) -> Vec<u8> {
    let mut container = Container::new(kind);
    container.metadata.extend(metadata);
    container.push(Tensor::from_bytes(
        CIPHERTEXTS,
        &[rows.len() / width, width],
        rows.to_vec(),
    ));
    container
        .to_bytes()
        .expect("one tensor of whole rows and a short header")
}

/// Metadata, bytes of a ciphertext, and all ciphertexts.
type Parts = (BTreeMap<String, String>, usize, Vec<u8>);

fn read(kind: Kind, bytes: &[u8]) -> Result<Parts, ProtocolError> {
    let mut container = Container::from_bytes(bytes, kind)?;
    let no_tensor = || ProtocolError::Header {
        kind: kind.name,
        member: CIPHERTEXTS,
    };
    let tensor = container.tensors.pop().ok_or_else(no_tensor)?;
    let [count, width] = tensor.shape[..] else {
        return Err(no_tensor());
    };
    if !container.tensors.is_empty()
        || tensor.name != CIPHERTEXTS
        || tensor.dtype != Dtype::U8
        || count == 0
        || width == 0
    {
        return Err(no_tensor());
    }
    Ok((container.metadata, width, tensor.data))
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
