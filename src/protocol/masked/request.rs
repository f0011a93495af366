//! The two messages of a preparation, and their form on disk.
//!
//! Safetensors files, a tensor of ciphertexts for every layer. The request
//! carries the client's public key.

use crate::{
    file::{Container, Kind, Tensor, container::Dtype, key},
    network::Profile,
    paillier::{Ciphertexts, PublicKey, SlotLayout},
};

use super::{
    Batch, MaskedError,
    batch::{expect_layers, layer_name},
    fields::{Fields, slots_to_text},
    widths::layout,
};

/// From client to server: `[[r]]` of every layer and prediction.
pub struct Request {
    pub(super) batch: Batch,
    pub(super) key: PublicKey,
    pub(super) slots: Vec<SlotLayout>,
    pub(super) layers: Vec<Vec<u8>>,
}

/// From server to client: `[[W r + s′]]` of every layer and prediction.
pub struct Answer {
    pub(super) batch: Batch,
    pub(super) layers: Vec<Vec<u8>>,
    pub(super) width: usize,
}

impl Request {
    /// The kind of file that holds a request.
    pub const KIND: Kind = Kind::new("masked-request", 1);

    /// Which preparation.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The client's key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// How many ciphertexts it holds.
    pub fn ciphertexts(&self) -> usize {
        let bytes: usize = self.layers.iter().map(Vec::len).sum();
        bytes / Ciphertexts::width(&self.key)
    }

    /// The request as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut container = Container::new(Request::KIND);
        self.batch.write(&mut container);
        container.set("public_key", key::public_to_json(&self.key));
        container.set("slots", slots_to_text(&self.slots));
        write(container, &self.layers, Ciphertexts::width(&self.key))
    }

    /// Reads a request; its ciphertexts are checked when they are used.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the file, its header or the key inside.
    pub fn from_bytes(bytes: &[u8]) -> Result<Request, MaskedError> {
        let kind = Request::KIND;
        let mut container = Container::from_bytes(bytes, kind)?;
        let mut fields = Fields::of(&mut container, kind)?;
        let batch = Batch::read(&mut fields)?;
        let json = fields.text("public_key")?;
        let key = key::public_from_json(&json).map_err(|e| MaskedError::Key(e.to_string()))?;
        batch.expect_key(kind.name, key.fingerprint())?;
        let slots = fields.slots(key.bits())?;
        fields.end()?;
        let layers = read(container, kind, Ciphertexts::width(&key))?;
        if layers.len() != slots.len() {
            return Err(MaskedError::Shape {
                kind: kind.name,
                expected: format!("{} layers", slots.len()),
                found: format!("{} layers", layers.len()),
            });
        }
        Ok(Request {
            batch,
            key,
            slots,
            layers,
        })
    }

    /// Checks that every layer has as many ciphertexts as `profile` wants.
    pub(super) fn expect(&self, profile: &Profile) -> Result<(), MaskedError> {
        let kind = Request::KIND.name;
        expect_layers(kind, profile, self.layers.len())?;
        for (stage, (rows, &slots)) in self.layers.iter().zip(&self.slots).enumerate() {
            let expected = layout(profile, stage, slots, self.batch.count).inputs();
            expect_rows(kind, stage, rows, Ciphertexts::width(&self.key), expected)?;
        }
        Ok(())
    }
}

impl Answer {
    /// The kind of file that holds an answer.
    pub const KIND: Kind = Kind::new("masked-answer", 1);

    /// Which preparation.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// How many ciphertexts it holds.
    pub fn ciphertexts(&self) -> usize {
        let bytes: usize = self.layers.iter().map(Vec::len).sum();
        bytes / self.width
    }

    /// The answer as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut container = Container::new(Answer::KIND);
        self.batch.write(&mut container);
        container.set("width", self.width);
        write(container, &self.layers, self.width)
    }

    /// Reads an answer; its ciphertexts are checked when they are used.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the file or its header.
    pub fn from_bytes(bytes: &[u8]) -> Result<Answer, MaskedError> {
        let kind = Answer::KIND;
        let mut container = Container::from_bytes(bytes, kind)?;
        let mut fields = Fields::of(&mut container, kind)?;
        let batch = Batch::read(&mut fields)?;
        let width = fields.number("width", 1..=1 << 16)?;
        fields.end()?;
        let layers = read(container, kind, width)?;
        Ok(Answer {
            batch,
            layers,
            width,
        })
    }

    /// Checks that every layer has as many ciphertexts as `profile` wants.
    pub(super) fn expect(
        &self,
        profile: &Profile,
        slots: &[SlotLayout],
        width: usize,
    ) -> Result<(), MaskedError> {
        let kind = Answer::KIND.name;
        expect_layers(kind, profile, self.layers.len())?;
        for (stage, (rows, &slots)) in self.layers.iter().zip(slots).enumerate() {
            let expected = layout(profile, stage, slots, self.batch.count).outputs();
            expect_rows(kind, stage, rows, width, expected)?;
        }
        Ok(())
    }
}

fn expect_rows(
    kind: &'static str,
    stage: usize,
    rows: &[u8],
    width: usize,
    expected: usize,
) -> Result<(), MaskedError> {
    if rows.len() == expected * width {
        return Ok(());
    }
    Err(MaskedError::Shape {
        kind,
        expected: format!("{expected} ciphertexts of {width} bytes"),
        found: format!("{} bytes for layer {}", rows.len(), stage + 1),
    })
}

fn write(mut container: Container, layers: &[Vec<u8>], width: usize) -> Vec<u8> {
    for (layer, rows) in layers.iter().enumerate() {
        let shape = [rows.len() / width, width];
        container.push(Tensor::from_bytes(&layer_name(layer), &shape, rows.clone()));
    }
    container
        .to_bytes()
        .expect("tensors of whole rows and a short header")
}

/// The tensors layer1, layer2, … and nothing else.
fn read(mut container: Container, kind: Kind, width: usize) -> Result<Vec<Vec<u8>>, MaskedError> {
    let mut layers = Vec::with_capacity(container.tensors.len());
    for layer in 0..container.tensors.len() {
        let name = layer_name(layer);
        let bad = || MaskedError::Header {
            kind: kind.name,
            member: name.clone(),
        };
        let at = container.tensors.iter().position(|t| t.name == name);
        let tensor = container.tensors.swap_remove(at.ok_or_else(bad)?);
        if tensor.dtype != Dtype::U8 || tensor.shape.len() != 2 || tensor.shape[1] != width {
            return Err(bad());
        }
        layers.push(tensor.data);
    }
    Ok(layers)
}
