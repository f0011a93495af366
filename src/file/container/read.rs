//! Reading a container: every claim of the header is checked before memory
//! is taken for it.

use std::{collections::BTreeMap, io::Read};

use safetensors::tensor::TensorInfo;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    BLANK_DIGEST, Container, ContainerError, DIGEST, FORMAT_VERSION, KIND, Kind, MAX_HEADER,
    Tensor, hex, tensor::needed,
};

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

/// First bytes of files that a person may hand over by mistake.
const OTHER_FORMATS: &[(&[u8], &str)] = &[
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a ZIP file"),
    (b"\0\0\x08\x01", "an IDX label file"),
    (b"\0\0\x08\x03", "an IDX image file"),
    (b"{\"", "a JSON file (a key or a profile?)"),
    (b"{\n", "a JSON file (a key or a profile?)"),
    (b"{\r\n", "a JSON file (a key or a profile?)"),
    (b"{ ", "a JSON file (a key or a profile?)"),
];

impl Container {
    /// Reads a container of the kind `expected` from bytes in memory.
    ///
    /// # Errors
    /// Every malformed input has its own [`ContainerError`].
    pub fn from_bytes(bytes: &[u8], expected: Kind) -> Result<Container, ContainerError> {
        // No limit is needed: no more memory is taken than there are bytes.
        Container::read(bytes, expected, u64::MAX)
    }

    /// Reads a container of the kind `expected`, of at most `limit` bytes,
    /// from any source, and checks that the source ends with it.
    ///
    /// # Errors
    /// Every malformed input has its own [`ContainerError`].
    pub fn read(
        source: impl Read,
        expected: Kind,
        limit: u64,
    ) -> Result<Container, ContainerError> {
        read(source, Some(expected), limit)
    }

    /// Reads a container of any kind and version, for looking into it.
    ///
    /// # Errors
    /// As [`Container::read`], except for kind and version.
    pub fn read_any(source: impl Read, limit: u64) -> Result<Container, ContainerError> {
        read(source, None, limit)
    }
}

fn read(
    mut source: impl Read,
    expected: Option<Kind>,
    limit: u64,
) -> Result<Container, ContainerError> {
    let prefix = take(&mut source, 8)?;
    for (magic, found) in OTHER_FORMATS {
        if prefix.starts_with(magic) {
            return Err(ContainerError::OtherFormat { found });
        }
    }
    let Ok(length) = <[u8; 8]>::try_from(prefix.as_slice()) else {
        return Err(ContainerError::Truncated {
            expected: 8,
            found: prefix.len() as u64,
        });
    };
    let length = u64::from_le_bytes(length);
    if !(2..=MAX_HEADER).contains(&length) {
        return Err(ContainerError::HeaderLength { found: length });
    }
    let text = take(&mut source, length)?;
    let mut have = 8 + text.len() as u64;
    if (text.len() as u64) < length {
        return Err(ContainerError::Truncated {
            expected: 8 + length,
            found: have,
        });
    }
    let header: Header = serde_json::from_slice(&text).map_err(|error| ContainerError::Header {
        reason: error.to_string(),
    })?;

    let mut container = Container {
        metadata: header.metadata,
        tensors: Vec::new(),
    };
    check_kind(&container, expected)?;
    let found_digest = container.get(DIGEST)?.to_string();
    let places = places(header.tensors)?;
    let total = places
        .iter()
        .try_fold(8 + length, |sum, (.., size)| sum.checked_add(*size))
        .unwrap_or(u64::MAX);
    if total > limit {
        return Err(ContainerError::TooLarge { size: total, limit });
    }

    for (name, info, size) in places {
        let data = take(&mut source, size)?;
        have += data.len() as u64;
        if (data.len() as u64) < size {
            return Err(ContainerError::Truncated {
                expected: total,
                found: have,
            });
        }
        container.tensors.push(Tensor {
            name,
            dtype: info.dtype,
            shape: info.shape,
            data,
        });
    }
    if !take(&mut source, 1)?.is_empty() {
        return Err(ContainerError::Padded { expected: total });
    }

    if container.head(&found_digest)[8..] != text {
        return Err(ContainerError::NotCanonical);
    }
    let mut hasher = Sha256::new();
    hasher.update(container.head(BLANK_DIGEST));
    for tensor in &container.tensors {
        hasher.update(&tensor.data);
    }
    if hex(&hasher.finalize()) != found_digest {
        return Err(ContainerError::Digest);
    }
    Ok(container)
}

/// Up to `count` bytes; memory grows with what arrives, not with `count`.
fn take(source: &mut impl Read, count: u64) -> Result<Vec<u8>, ContainerError> {
    let mut bytes = Vec::new();
    source.by_ref().take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check_kind(container: &Container, expected: Option<Kind>) -> Result<(), ContainerError> {
    let kind = container.get(KIND)?;
    let version = container.get(FORMAT_VERSION)?;
    let Some(expected) = expected else {
        return Ok(());
    };
    if kind != expected.name {
        return Err(ContainerError::WrongKind {
            found: kind.to_string(),
            expected: expected.name,
        });
    }
    if version != expected.version.to_string() {
        return Err(ContainerError::WrongVersion {
            kind: kind.to_string(),
            found: version.to_string(),
            expected: expected.version,
        });
    }
    Ok(())
}

/// The tensors in the order of their bytes, each with its size: end to end,
/// and each of the size that its shape needs.
fn places(
    tensors: BTreeMap<String, TensorInfo>,
) -> Result<Vec<(String, TensorInfo, u64)>, ContainerError> {
    let mut tensors: Vec<_> = tensors.into_iter().collect();
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let mut at = 0;
    let mut places = Vec::with_capacity(tensors.len());
    for (name, info) in tensors {
        let (start, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        if start < at {
            return Err(ContainerError::Overlap { name });
        }
        if start > at {
            return Err(ContainerError::Gap { name });
        }
        if end < start {
            return Err(ContainerError::Backwards { name });
        }
        let needed = needed(&name, info.dtype, &info.shape)?;
        if needed != end - start {
            return Err(ContainerError::TensorSize {
                name,
                declared: end - start,
                needed,
            });
        }
        at = end;
        places.push((name, info, needed));
    }
    Ok(places)
}
