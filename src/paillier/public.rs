//! The public key.

use std::{fmt, sync::Arc};

use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use super::{PaillierError, Plaintext, check, limbs};
use crate::bignum::Ring;

/// SHA-256 of n (its minimal big-endian bytes): names a key in messages and
/// errors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// From the 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Fingerprint {
        Fingerprint(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A public key: n, arithmetic modulo n², and for keys that have them DJN's h
/// and h_s. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey {
    inner: Arc<Inner>,
}

struct Inner {
    n: BigUint,
    limbs: Vec<u64>,
    ring: Ring,
    djn: Option<Djn>,
    fingerprint: Fingerprint,
}

/// h, h_s.
struct Djn {
    h: BigUint,
    h_s: BigUint,
}

impl PublicKey {
    /// A key from elsewhere: n, and h with h_s if it has them (keys made by
    /// python-paillier do not).
    ///
    /// # Errors
    ///
    /// Names the check that failed: n too short or too long, even, with a
    /// factor below 2^16, a prime or a perfect power; h or h_s not below its
    /// modulus, ±1 or no unit; h_s not h^n mod n². These checks do not prove
    /// that n is well formed.
    pub fn from_parts(
        n: &BigUint,
        generators: Option<(&BigUint, &BigUint)>,
    ) -> Result<PublicKey, PaillierError> {
        let limbs = check::modulus(n)?;
        let ring = Ring::new(&limbs)?;
        if let Some((h, h_s)) = generators {
            check::generators(n, h, h_s, &ring)?;
        }
        let djn = generators.map(|(h, h_s)| Djn {
            h: h.clone(),
            h_s: h_s.clone(),
        });
        Ok(PublicKey::assemble(limbs, ring, djn))
    }

    /// A key that has just been generated.
    pub(super) fn trusted(
        n: Vec<u64>,
        generators: Option<(Vec<u64>, Vec<u64>)>,
    ) -> Result<PublicKey, PaillierError> {
        let ring = Ring::new(&n)?;
        let djn = generators.map(|(h, h_s)| Djn {
            h: limbs::to_biguint(&h),
            h_s: limbs::to_biguint(&h_s),
        });
        Ok(PublicKey::assemble(n, ring, djn))
    }

    fn assemble(limbs: Vec<u64>, ring: Ring, djn: Option<Djn>) -> PublicKey {
        let n = limbs::to_biguint(&limbs);
        let fingerprint = Fingerprint(Sha256::digest(n.to_bytes_be()).into());
        PublicKey {
            inner: Arc::new(Inner {
                n,
                limbs,
                ring,
                djn,
                fingerprint,
            }),
        }
    }

    /// n.
    pub fn n(&self) -> &BigUint {
        &self.inner.n
    }

    /// DJN's h, below n, if the key has it.
    pub fn h(&self) -> Option<&BigUint> {
        self.inner.djn.as_ref().map(|djn| &djn.h)
    }

    /// h_s = h^n mod n², if the key has it.
    pub fn h_s(&self) -> Option<&BigUint> {
        self.inner.djn.as_ref().map(|djn| &djn.h_s)
    }

    /// Length of n in bits.
    pub fn bits(&self) -> u32 {
        self.inner.n.bits() as u32
    }

    /// Whether the key is shorter than the shortest standard size, 2048 bits,
    /// so that it protects nothing.
    pub fn is_insecure(&self) -> bool {
        self.bits() < super::STANDARD_BITS[0]
    }

    /// SHA-256 of n.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// Whether a plaintext lies between −n/2 and n/2, so that it can be
    /// encrypted and comes back as it was.
    pub fn holds(&self, plaintext: &Plaintext) -> bool {
        plaintext.fits(&self.inner.limbs)
    }

    /// n as limbs, as many as the ring's digits have.
    pub(super) fn limbs(&self) -> &[u64] {
        &self.inner.limbs
    }

    /// Arithmetic modulo n².
    pub(super) fn ring(&self) -> &Ring {
        &self.inner.ring
    }
}

/// Equal if n, h and h_s are.
impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
            || (self.n() == other.n() && self.h() == other.h() && self.h_s() == other.h_s())
    }
}

impl Eq for PublicKey {}

/// Size and fingerprint.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("bits", &self.bits())
            .field("fingerprint", &self.fingerprint().to_string())
            .finish_non_exhaustive()
    }
}
