//! Queries whose plaintexts are the caller's: what `pdnn audit` sends.
//!
//! The server cannot look into a ciphertext, so nothing binds a client to pack
//! the values of images. A crafted query is a well-formed message, made of the
//! same parts as an honest one, around plaintexts of the caller's choice; an
//! honest server answers it. Nobody who classifies images has a use for it.

use rand::CryptoRng;

use crate::{
    encrypted::layout::StageLayout,
    paillier::{Ciphertexts, Plaintext},
};

use super::{AT_ONCE, Client, ClientKeys, Header, Progress, ProtocolError, Query, QueryId, Reply};

impl Client {
    /// A query for stage `stage` that claims to hold the images of `layout`, and
    /// holds `plaintexts` instead: one for each of its input ciphertexts, group
    /// after group, the same on every path.
    ///
    /// # Panics
    ///
    /// If there is no such stage, if the number of plaintexts is not the
    /// layout's, or if one of them does not fit the key.
    pub fn query_plaintexts(
        &self,
        stage: usize,
        layout: &StageLayout,
        plaintexts: &[Plaintext],
        query_id: QueryId,
        rng: &mut impl CryptoRng,
    ) -> Query {
        assert_eq!(plaintexts.len(), layout.inputs(), "number of plaintexts");
        let key = self.public_key();
        // Paths share the inputs of the first stage, and only those.
        let sets = if stage == 0 { 1 } else { self.samples };
        let encryptor = self.encryptor(sets * plaintexts.len());
        let mut rows = Vec::new();
        for _ in 0..sets {
            for chunk in plaintexts.chunks(AT_ONCE) {
                rows.extend_from_slice(
                    &encryptor
                        .randomisers(chunk.len(), rng)
                        .encrypt(chunk)
                        .to_bytes(),
                );
            }
        }
        Query {
            header: Header {
                protocol: self.protocol,
                key: key.fingerprint(),
                network: self.network,
                stage,
                query_id,
                packing: layout.packing(),
                images: layout.images(),
                samples: self.samples,
                slot_bits: layout.slots().bits,
            },
            key: key.clone(),
            rows,
        }
    }

    /// What the ciphertexts of a reply decrypt to, whatever it is: those of the
    /// first path, group after group, then of the second, and so on.
    ///
    /// # Errors
    ///
    /// As [`Client::open`], except that no slot is looked at.
    pub fn open_plaintexts(
        &self,
        reply: &Reply,
        progress: Progress<'_>,
    ) -> Result<Vec<Plaintext>, ProtocolError> {
        let ClientKeys::Owner(key) = &self.keys else {
            return Err(ProtocolError::NoSecretKey);
        };
        self.check(reply)?;
        let width = Ciphertexts::width(key.public());
        let all = reply.rows.len() / width;
        let mut plaintexts = Vec::with_capacity(all);
        for rows in reply.rows.chunks(AT_ONCE * width) {
            let ciphertexts = Ciphertexts::from_bytes(key.public(), rows)?;
            plaintexts.extend(key.decrypt(&ciphertexts));
            progress(plaintexts.len(), all);
        }
        Ok(plaintexts)
    }
}
