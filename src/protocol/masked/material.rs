//! What either side keeps of a preparation, and its files in a store.
//!
//! | file | side | holds |
//! |---|---|---|
//! | `ID.asked` | client | the seed of r, while the answer is awaited |
//! | `ID.client.material` | client | the seed of r, and u for every layer and prediction |
//! | `ID.server.material` | server | the seed of s, and the digest of the request that it answered |
//! | `ID.used` | both | which places are used ([`Ledger`](crate::mpc::ledger::Ledger)) |
//!
//! Containers with version and digest, mode 0600; what is read of them is wiped
//! from memory when it is dropped.

use zeroize::{Zeroize, Zeroizing};

use crate::{
    file::{Container, Kind, Tensor},
    mpc::{bits, expand::Seed},
    network::Profile,
    paillier::SlotLayout,
};

use super::{
    Batch, MaskedError, Width,
    batch::{expect_layers, layer_name, result_rows},
    fields::{Fields, slots_to_text},
};

const SEED: &str = "seed";

/// A request under way: what the client keeps until the answer comes.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Which preparation.
    pub(super) batch: Batch,
    /// Where r comes from.
    pub(super) seed: Seed,
    /// The slots of every layer.
    pub(super) slots: Vec<SlotLayout>,
}

/// The client's half of a batch.
pub(super) struct ClientMaterial {
    /// Which preparation.
    pub(super) batch: Batch,
    /// Where r comes from.
    pub(super) seed: Seed,
    /// u of every layer: a packed row a prediction.
    pub(super) u: Vec<Zeroizing<Vec<u8>>>,
}

/// The server's half of a batch.
#[derive(Debug)]
pub(super) struct ServerMaterial {
    /// Which preparation.
    pub(super) batch: Batch,
    /// Where s comes from.
    pub(super) seed: Seed,
    /// SHA-256 of the request.
    pub(super) request: [u8; 32],
}

impl std::fmt::Debug for ClientMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientMaterial({:?})", self.batch)
    }
}

/// The secret bytes of a file.
pub(super) type Secret = Zeroizing<Vec<u8>>;

fn start(kind: Kind, batch: &Batch, seed: &Seed) -> Container {
    let mut container = Container::new(kind);
    batch.write(&mut container);
    container.push(Tensor::from_bytes(SEED, &[32], seed.as_bytes().to_vec()));
    container
}

fn end(mut container: Container) -> Secret {
    let bytes = container.to_bytes();
    for tensor in &mut container.tensors {
        tensor.data.zeroize();
    }
    Zeroizing::new(bytes.expect("whole tensors and a short header"))
}

/// Reads a file of `kind`; the seed is taken out of the tensors.
fn open(kind: Kind, bytes: &[u8]) -> Result<(Container, Fields, Batch, Seed), MaskedError> {
    let mut container = Container::from_bytes(bytes, kind)?;
    let mut fields = Fields::of(&mut container, kind)?;
    let batch = Batch::read(&mut fields)?;
    let place = container.tensors.iter().position(|t| t.name == SEED);
    let seed = place.and_then(|place| {
        let data = Zeroizing::new(container.tensors.remove(place).data);
        Some(Seed::from_bytes(data.as_slice().try_into().ok()?))
    });
    match seed {
        Some(seed) => Ok((container, fields, batch, seed)),
        None => Err(fields.bad(SEED)),
    }
}

fn no_more(container: &Container, fields: Fields) -> Result<(), MaskedError> {
    if let Some(tensor) = container.tensors.first() {
        return Err(fields.bad(&tensor.name));
    }
    fields.end()
}

impl Asked {
    const KIND: Kind = Kind::new("masked-asked", 1);

    pub(super) fn to_bytes(&self) -> Secret {
        let mut container = start(Asked::KIND, &self.batch, &self.seed);
        container.set("slots", slots_to_text(&self.slots));
        end(container)
    }

    /// Reads a request made under a key of `key_bits`.
    pub(super) fn from_bytes(bytes: &[u8], key_bits: u32) -> Result<Asked, MaskedError> {
        let (container, mut fields, batch, seed) = open(Asked::KIND, bytes)?;
        let slots = fields.slots(key_bits)?;
        no_more(&container, fields)?;
        Ok(Asked { batch, seed, slots })
    }
}

impl ServerMaterial {
    pub(super) const KIND: Kind = Kind::new("masked-server", 1);

    pub(super) fn to_bytes(&self) -> Secret {
        let mut container = start(ServerMaterial::KIND, &self.batch, &self.seed);
        container.set("request", crate::file::container::hex(&self.request));
        end(container)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<ServerMaterial, MaskedError> {
        let (container, mut fields, batch, seed) = open(ServerMaterial::KIND, bytes)?;
        let request = fields.bytes("request")?;
        no_more(&container, fields)?;
        Ok(ServerMaterial {
            batch,
            seed,
            request,
        })
    }
}

impl ClientMaterial {
    pub(super) const KIND: Kind = Kind::new("masked-client", 1);

    pub(super) fn to_bytes(&self) -> Secret {
        let mut container = start(ClientMaterial::KIND, &self.batch, &self.seed);
        for (layer, u) in self.u.iter().enumerate() {
            let shape = [self.batch.count, u.len() / self.batch.count];
            container.push(Tensor::from_bytes(&layer_name(layer), &shape, u.to_vec()));
        }
        end(container)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<ClientMaterial, MaskedError> {
        let (container, fields, batch, seed) = open(ClientMaterial::KIND, bytes)?;
        let mut tensors = container.tensors;
        tensors.sort_by_key(|tensor| (tensor.name.len(), tensor.name.clone()));
        let mut u = Vec::with_capacity(tensors.len());
        for (layer, tensor) in tensors.into_iter().enumerate() {
            let of_layer = tensor.name == layer_name(layer)
                && tensor.shape.len() == 2
                && tensor.shape[0] == batch.count;
            if !of_layer || tensor.as_bytes().is_err() {
                return Err(fields.bad(&tensor.name));
            }
            u.push(Zeroizing::new(tensor.data));
        }
        fields.end()?;
        Ok(ClientMaterial { batch, seed, u })
    }

    /// Checks that it has a row of the right length for every layer.
    pub(super) fn expect(&self, profile: &Profile, widths: &[Width]) -> Result<(), MaskedError> {
        let kind = ClientMaterial::KIND.name;
        expect_layers(kind, profile, self.u.len())?;
        for (u, row) in self.u.iter().zip(result_rows(widths)) {
            if u.len() != row * self.batch.count {
                return Err(MaskedError::Shape {
                    kind,
                    expected: format!("rows of {row} bytes"),
                    found: format!("{} bytes for {} rows", u.len(), self.batch.count),
                });
            }
        }
        Ok(())
    }

    /// The packed u of a prediction.
    pub(super) fn row(&self, layer: usize, width: &Width, index: usize) -> &[u8] {
        let row = bits::row_bytes(width.ring, width.outputs);
        &self.u[layer][index * row..][..row]
    }
}
