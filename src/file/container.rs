//! The container: what queries, replies and models are on disk.
//!
//! The layout is that of [safetensors](https://github.com/huggingface/safetensors):
//!
//! ```text
//! ┌─────────────┬───────────────────────────────────┬──────────────────────┐
//! │ header      │ header: JSON, padded with spaces  │ the tensors' bytes,  │
//! │ length, u64 │ {"__metadata__": {…}, "name":     │ end to end, nothing  │
//! │ LE, 8 bytes │ {"dtype", "shape", "offsets"}, …} │ between or behind    │
//! └─────────────┴───────────────────────────────────┴──────────────────────┘
//! ```
//!
//! so that any safetensors reader opens it. Three things are added. The
//! metadata always names the file's kind and format version, so that a reply
//! is never taken for a model. It holds a digest (SHA-256 of the whole file,
//! with the digest's own 64 hexadecimal characters replaced by `0`), so that
//! no accident on the way goes unseen; it is no signature. And there is one
//! way to write given contents, and only that way is read: the metadata in
//! the order of their keys, the tensors by falling width of their elements
//! and then by name. So nothing can hide between two readings of one file.
//!
//! Reading takes memory only as bytes arrive, and only after the sizes that
//! the header claims have been checked against each other and a limit.

mod error;
mod read;
mod tensor;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

pub use error::ContainerError;
pub use safetensors::Dtype;
pub use tensor::Tensor;

/// Longest header that is read or written, in bytes: room for thousands of
/// tensors, far below what would hurt.
pub const MAX_HEADER: u64 = 1 << 20;

/// A limit on a whole file for callers without a better one: 1 GiB.
pub const DEFAULT_LIMIT: u64 = 1 << 30;

/// Metadata key of the kind of file.
pub const KIND: &str = "kind";
/// Metadata key of the version of that kind's format.
pub const FORMAT_VERSION: &str = "format_version";
/// Metadata key of the digest.
pub const DIGEST: &str = "digest";

/// What a file is, and the version of its format that this program writes
/// and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The word in the metadata, and in messages.
    pub name: &'static str,
    /// Version of the format.
    pub version: u32,
}

impl Kind {
    /// A network's weights.
    pub const MODEL: Kind = Kind::new("model", 1);
    /// A client's ciphertexts, on their way to a server.
    pub const QUERY: Kind = Kind::new("query", 2);
    /// A server's ciphertexts, on their way back.
    pub const REPLY: Kind = Kind::new("reply", 2);

    /// A kind called `name` in format `version`.
    pub const fn new(name: &'static str, version: u32) -> Kind {
        Kind { name, version }
    }
}

/// Contents of a container file: text metadata and named tensors.
///
/// The metadata hold `kind` and `format_version` from the start, and `digest`
/// once the container was read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Text by key, written in the order of the keys.
    pub metadata: BTreeMap<String, String>,
    /// The tensors; names are distinct.
    pub tensors: Vec<Tensor>,
}

impl Container {
    /// A container of the given kind, with no tensors yet.
    pub fn new(kind: Kind) -> Container {
        Container {
            metadata: BTreeMap::from([
                (KIND.to_string(), kind.name.to_string()),
                (FORMAT_VERSION.to_string(), kind.version.to_string()),
            ]),
            tensors: Vec::new(),
        }
    }

    /// Sets the metadata `key` to the text of `value`.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        self.metadata.insert(key.to_string(), value.to_string());
    }

    /// Adds a tensor.
    pub fn push(&mut self, tensor: Tensor) {
        self.tensors.push(tensor);
    }

    /// The kind that the metadata name.
    pub fn kind(&self) -> &str {
        self.metadata.get(KIND).map_or("", String::as_str)
    }

    /// The metadata under `key`.
    ///
    /// # Errors
    /// [`ContainerError::MissingMetadata`] if there is none.
    pub fn get(&self, key: &str) -> Result<&str, ContainerError> {
        self.metadata
            .get(key)
            .map(String::as_str)
            .ok_or_else(|| ContainerError::MissingMetadata {
                key: key.to_string(),
            })
    }

    /// The metadata under `key`, read as a `T`; `expected` says in a few words
    /// what it should be ("a whole number").
    ///
    /// # Errors
    /// If it is missing or does not parse.
    pub fn parse<T: std::str::FromStr>(
        &self,
        key: &str,
        expected: &'static str,
    ) -> Result<T, ContainerError> {
        let found = self.get(key)?;
        found.parse().map_err(|_| ContainerError::BadMetadata {
            key: key.to_string(),
            found: found.to_string(),
            expected,
        })
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`ContainerError::MissingTensor`] if there is none.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, ContainerError> {
        self.tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| ContainerError::MissingTensor {
                name: name.to_string(),
            })
    }

    /// The file's bytes. The same contents give the same bytes, in whatever
    /// order the tensors were added.
    ///
    /// # Errors
    /// If a tensor's data do not fit its shape, two tensors share a name, or
    /// the header would be longer than [`MAX_HEADER`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, ContainerError> {
        let order = self.order();
        for (at, tensor) in order.iter().enumerate() {
            let needed = tensor.needed()?;
            if needed != tensor.data.len() as u64 {
                return Err(ContainerError::TensorSize {
                    name: tensor.name.clone(),
                    declared: tensor.data.len() as u64,
                    needed,
                });
            }
            let same_name = |other: &&Tensor| other.name == tensor.name;
            if tensor.name == METADATA || order[..at].iter().any(same_name) {
                return Err(ContainerError::TensorName {
                    name: tensor.name.clone(),
                });
            }
        }
        let body = || order.iter().map(|tensor| tensor.data.as_slice());
        let mut hasher = Sha256::new();
        hasher.update(self.head(BLANK_DIGEST));
        body().for_each(|data| hasher.update(data));
        let head = self.head(&hex(&hasher.finalize()));
        let header_length = (head.len() - 8) as u64;
        if header_length > MAX_HEADER {
            return Err(ContainerError::HeaderLength {
                found: header_length,
            });
        }
        let mut bytes = Vec::with_capacity(head.len() + body().map(<[u8]>::len).sum::<usize>());
        bytes.extend_from_slice(&head);
        body().for_each(|data| bytes.extend_from_slice(data));
        Ok(bytes)
    }

    /// The tensors in the order in which they are written: wide elements
    /// first, so that each starts at a multiple of its element's width.
    fn order(&self) -> Vec<&Tensor> {
        let mut order: Vec<&Tensor> = self.tensors.iter().collect();
        order.sort_by(|a, b| (b.dtype, &a.name).cmp(&(a.dtype, &b.name)));
        order
    }

    /// Length and header, with `digest` for the digest.
    fn head(&self, digest: &str) -> Vec<u8> {
        let mut metadata = self.metadata.clone();
        metadata.insert(DIGEST.to_string(), digest.to_string());
        let mut header = serde_json::Map::new();
        header.insert(METADATA.to_string(), serde_json::json!(metadata));
        let mut start = 0;
        for tensor in self.order() {
            let end = start + tensor.data.len();
            let entry = serde_json::json!({
                "dtype": tensor.dtype,
                "shape": tensor.shape,
                "data_offsets": [start, end],
            });
            header.insert(tensor.name.clone(), entry);
            start = end;
        }
        let mut text = serde_json::Value::Object(header).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut head = (text.len() as u64).to_le_bytes().to_vec();
        head.append(&mut text);
        head
    }
}

/// The header's own name for its metadata.
const METADATA: &str = "__metadata__";

/// What stands for the digest while the digest is computed.
const BLANK_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The `N` bytes of as many pairs of lower-case hexadecimal digits.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (hex(&bytes) == text).then_some(bytes)
}
