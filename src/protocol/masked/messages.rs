//! The two messages of the online phase, and their form on disk.
//!
//! Safetensors files with one tensor, `elements`: a packed row of ring elements
//! for every prediction.

use crate::{
    file::{
        Container, Kind, Tensor,
        container::{Dtype, hex},
    },
    mpc::bits,
    network::Profile,
    paillier::Fingerprint,
    protocol::exchange::QueryId,
};

use super::{
    MAX_COUNT, MaskedError, PROTOCOL, Segment, Width,
    batch::{segments_from_text, segments_to_text},
    fields::Fields,
    widths::widths,
};

/// What a message says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Fingerprint of the key under which the masks were prepared.
    pub key: Fingerprint,
    /// Fingerprint of the network's profile.
    pub network: [u8; 32],
    /// Which linear layer, from 0.
    pub stage: usize,
    /// Which classification.
    pub query_id: QueryId,
    /// How many predictions.
    pub images: usize,
    /// Which masks, in the order of the predictions.
    pub segments: Vec<Segment>,
}

/// From client to server: z = x − r of a layer.
#[derive(Clone)]
pub struct Query {
    pub(super) header: Header,
    pub(super) elements: Vec<u8>,
}

/// From server to client: v = W z + b − s.
#[derive(Clone)]
pub struct Reply {
    pub(super) header: Header,
    pub(super) elements: Vec<u8>,
}

const ELEMENTS: &str = "elements";

macro_rules! message {
    ($message:ident, $kind:ident) => {
        impl $message {
            /// The kind of file.
            pub const KIND: Kind = Kind::$kind;

            /// What the message says about itself.
            pub fn header(&self) -> &Header {
                &self.header
            }

            /// The packed ring elements: a row a prediction.
            pub fn elements(&self) -> &[u8] {
                &self.elements
            }

            /// The message as a file.
            pub fn to_bytes(&self) -> Vec<u8> {
                write($message::KIND, &self.header, &self.elements)
            }

            /// Reads a message; whether it fits a network is checked when it
            /// is used.
            ///
            /// # Errors
            ///
            /// Whatever is wrong with the file or its header.
            pub fn from_bytes(bytes: &[u8]) -> Result<$message, MaskedError> {
                let (header, elements) = read($message::KIND, bytes)?;
                Ok($message { header, elements })
            }
        }
    };
}
message!(Query, QUERY);
message!(Reply, REPLY);

impl Header {
    /// Checks stage and size of a message whose rows have as many elements as
    /// `of` says; the width of the stage.
    pub(super) fn expect(
        &self,
        kind: &'static str,
        profile: &Profile,
        elements: &[u8],
        of: impl Fn(&Width) -> usize,
    ) -> Result<Width, MaskedError> {
        let widths = widths(profile);
        let shape = |expected: String, found: String| MaskedError::Shape {
            kind,
            expected,
            found,
        };
        let Some(width) = widths.get(self.stage) else {
            let expected = format!("one of layers 1 to {}", widths.len());
            return Err(shape(expected, format!("layer {}", self.stage + 1)));
        };
        let (count, ring) = (of(width), width.ring);
        let row = bits::row_bytes(ring, count);
        if elements.len() != row * self.images {
            return Err(shape(
                format!(
                    "rows of {row} bytes, {count} elements of {} bits",
                    ring.bits()
                ),
                format!("rows of {} bytes", elements.len() / self.images),
            ));
        }
        let clean = |row| bits::ends_clean(ring, row, count);
        if !elements.chunks(row).all(clean) {
            return Err(shape(
                format!("{count} elements of {} bits a row", ring.bits()),
                "bits behind the last element of a row".into(),
            ));
        }
        Ok(*width)
    }
}

fn write(kind: Kind, header: &Header, elements: &[u8]) -> Vec<u8> {
    let mut container = Container::new(kind);
    container.set("protocol", PROTOCOL);
    container.set("key", hex(header.key.as_bytes()));
    container.set("network", hex(&header.network));
    container.set("stage", header.stage + 1);
    container.set("query_id", header.query_id);
    container.set("images", header.images);
    container.set("masks", segments_to_text(&header.segments));
    let shape = [header.images, elements.len() / header.images];
    container.push(Tensor::from_bytes(ELEMENTS, &shape, elements.to_vec()));
    container
        .to_bytes()
        .expect("one tensor of whole rows and a short header")
}

fn read(kind: Kind, bytes: &[u8]) -> Result<(Header, Vec<u8>), MaskedError> {
    let mut container = Container::from_bytes(bytes, kind)?;
    let mut fields = Fields::of(&mut container, kind)?;
    let header = Header {
        key: fields.key()?,
        network: fields.bytes("network")?,
        stage: fields.number("stage", 1..=1 << 16)? - 1,
        query_id: QueryId(fields.bytes("query_id")?),
        images: fields.number("images", 1..=MAX_COUNT)?,
        segments: segments_from_text(&fields.text("masks")?).ok_or_else(|| fields.bad("masks"))?,
    };
    let places: usize = header.segments.iter().map(|s| s.indices.len()).sum();
    if places != header.images {
        return Err(fields.bad("masks"));
    }
    let tensor = match (container.tensors.pop(), container.tensors.is_empty()) {
        (Some(tensor), true) if tensor.name == ELEMENTS => tensor,
        _ => return Err(fields.bad(ELEMENTS)),
    };
    let rows = tensor.shape.len() == 2 && tensor.shape[0] == header.images;
    if tensor.dtype != Dtype::U8 || !rows || tensor.data.is_empty() {
        return Err(fields.bad(ELEMENTS));
    }
    fields.end()?;
    Ok((header, tensor.data))
}
