//! What both sides agree on: sizes, and how many bits numbers have.

use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{DotError, Scale};
use crate::{
    file::container::hex,
    network::{InputSpec, Linear, Profile, Range, Shape, Stage},
    paillier::SlotLayout,
    protocol::masked::widths,
};

/// What the member `format` says.
const FORMAT: &str = "pdnn-dot";

/// Most bits of either side's integers without their sign: the server's are
/// weights of 32 bits.
pub const MAX_BITS: u32 = 31;

/// Most numbers of a vector, and most vectors of a server.
const MAX_EXTENT: usize = 1 << 20;

/// The terms of scalar products, written by the server and known to both
/// sides; nothing in them is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    format: String,
    version: u32,
    /// 16 random bytes in hexadecimal digits: which terms these are.
    id: String,
    /// k, the numbers of a vector.
    pub length: usize,
    /// m, the vectors of the server.
    pub vectors: usize,
    /// The client's integers are below 2^this, without their sign.
    pub client_bits: u32,
    /// The server's integers are below 2^this, without their sign.
    pub server_bits: u32,
    /// What the server's integers are to be divided by.
    pub server_scale: Scale,
}

impl Terms {
    /// New terms.
    ///
    /// # Errors
    ///
    /// [`DotError::TooWide`] if the products would not fit 64 bits or their
    /// masks a slot; [`DotError::Terms`] for sizes without sense.
    pub fn new(
        [length, vectors]: [usize; 2],
        [client_bits, server_bits]: [u32; 2],
        server_scale: Scale,
        rng: &mut impl CryptoRng,
    ) -> Result<Terms, DotError> {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let terms = Terms {
            format: FORMAT.to_string(),
            version: 1,
            id: hex(&id),
            length,
            vectors,
            client_bits,
            server_bits,
            server_scale,
        };
        terms.check()?;
        Ok(terms)
    }

    /// Reads terms and checks them.
    ///
    /// # Errors
    ///
    /// As [`Terms::new`], and JSON that is none of ours.
    pub fn from_json(text: &str) -> Result<Terms, DotError> {
        let terms: Terms = serde_json::from_str(text).map_err(|error| {
            let text: String = error.to_string().chars().take(200).collect();
            DotError::Terms(text.replace(char::is_control, " "))
        })?;
        terms.check()?;
        Ok(terms)
    }

    /// The terms as JSON for a file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("terms are plain data") + "\n"
    }

    /// Which terms these are: 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn check(&self) -> Result<(), DotError> {
        let wrong = |what: &str| Err(DotError::Terms(what.to_string()));
        if self.format != FORMAT {
            return wrong("another format");
        }
        if self.version != 1 {
            return wrong("another version, expected 1");
        }
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if self.id.len() != 32 || !self.id.bytes().all(digit) {
            return wrong("id is no 32 hexadecimal digits");
        }
        let extents = 1..=MAX_EXTENT;
        if !extents.contains(&self.length) || !extents.contains(&self.vectors) {
            return wrong("a length or a number of vectors that is 0 or above 2^20");
        }
        let bits = 1..=MAX_BITS;
        if !bits.contains(&self.client_bits) || !bits.contains(&self.server_bits) {
            return wrong("numbers of no bits or more than 31");
        }
        if self.server_scale.exponent > Scale::MAX_EXPONENT {
            return wrong("a scale above 120");
        }
        let too_wide = |what: String| DotError::TooWide {
            length: self.length,
            client: self.client_bits,
            server: self.server_bits,
            what,
        };
        let range = self.bound().checked_mul(2).and_then(|span| {
            // L is at most 64: what the ring has.
            u64::try_from(span).ok()
        });
        if range.is_none() {
            return Err(too_wide("results of more than 64 bits".to_string()));
        }
        let slot = widths(&self.profile()?)[0].least_bits();
        if slot > SlotLayout::MAX_BITS {
            return Err(too_wide(format!(
                "slots of {slot} bits in the preparation, of {} that there are",
                SlotLayout::MAX_BITS
            )));
        }
        Ok(())
    }

    /// No result is further from 0 than this: k·(2^a − 1)·(2^b − 1).
    fn bound(&self) -> u128 {
        let most = |bits: u32| (1_u128 << bits) - 1;
        // 20, 31 and 31 bits.
        self.length as u128 * most(self.client_bits) * most(self.server_bits)
    }

    /// L, the bits of a ring element.
    pub fn ring_bits(&self) -> u32 {
        u128::BITS - (2 * self.bound()).leading_zeros()
    }

    /// The range of the client's integers.
    pub fn client_range(&self) -> Range {
        let most = (1_i64 << self.client_bits) - 1;
        Range::new(-most, most)
    }

    /// The products as one layer of a network: k inputs, m outputs, and a range
    /// that follows from these terms alone.
    ///
    /// # Errors
    ///
    /// What a profile refuses: more numbers than a layer may have.
    pub fn profile(&self) -> Result<Profile, DotError> {
        let most = i64::try_from(self.bound()).unwrap_or(i64::MAX);
        let client = self.client_range();
        let input = InputSpec {
            shape: Shape::vector(self.length),
            min: client.min,
            max: client.max,
        };
        let stage = Stage {
            name: "dot".to_string(),
            linear: Linear::Dense {
                inputs: self.length,
                outputs: self.vectors,
            },
            range: Range::new(-most, most),
            then: Vec::new(),
        };
        let labels = (1..=self.vectors).map(|n| n.to_string()).collect();
        // The name ties all terms to the fingerprint that every message bears.
        let name = format!("dot {}", hex(&Sha256::digest(self.to_json())));
        let profile = Profile::new(name, input, vec![stage], labels, 1.0);
        profile.validate()?;
        Ok(profile)
    }
}

/// The most bits of the client's numbers when the server's have `server_bits`
/// and vectors are of `length`: such that results fit 64 bits and masks a slot.
/// 0 if there is no room.
pub fn most_bits(length: usize, server_bits: u32) -> u32 {
    let log = usize::BITS - length.saturating_sub(1).leading_zeros();
    let ring = 62_u32.saturating_sub(server_bits + log);
    // A slot is a ring element, the norm of a vector and 40 bits of hiding.
    let slot = SlotLayout::MAX_BITS.saturating_sub(43 + 2 * server_bits + 2 * log);
    ring.min(slot).min(MAX_BITS)
}
