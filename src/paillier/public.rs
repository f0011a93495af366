//! The public key.

use std::{fmt, sync::Arc};

use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use super::{PaillierError, Plaintext, Scheme, check::Candidate, limbs, scheme::order_bits};
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

/// A public key: n, arithmetic modulo n², and for keys that have them h and h_s
/// with their [`Scheme`]. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey {
    inner: Arc<Inner>,
}

struct Inner {
    n: BigUint,
    limbs: Vec<u64>,
    ring: Ring,
    generators: Option<Generators>,
    fingerprint: Fingerprint,
}

/// What randomisers are made of.
pub(super) struct Generators {
    pub(super) h: BigUint,
    pub(super) h_s: BigUint,
    /// Whether h generates a small subgroup; otherwise it is DJN's.
    pub(super) small: bool,
    /// Powers of h by which h_s is checked ([`steps`](super::steps)).
    pub(super) steps: Option<Vec<BigUint>>,
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
        Candidate::from_parts(n, generators)?.admit()
    }

    /// A [`Scheme::Subgroup`] key from elsewhere, with its steps
    /// ([`PublicKey::h_steps`]) if it has them.
    ///
    /// # Errors
    ///
    /// As [`PublicKey::from_parts`]; [`PaillierError::SubgroupSize`] for a size
    /// without such keys; steps that are not those of h. Whether h is of the
    /// right order can be checked by the owner only.
    pub fn from_subgroup_parts(
        n: &BigUint,
        h: &BigUint,
        h_s: &BigUint,
        steps: Option<&[BigUint]>,
    ) -> Result<PublicKey, PaillierError> {
        Candidate::from_subgroup_parts(n, h, h_s, steps)?.admit()
    }

    /// A key that has just been generated.
    pub(super) fn trusted(n: Vec<u64>, generators: Generators) -> Result<PublicKey, PaillierError> {
        let ring = Ring::new(&n)?;
        Ok(PublicKey::assemble(n, ring, Some(generators)))
    }

    /// A key of n and what it has beside it, as they are.
    pub(super) fn assemble(
        limbs: Vec<u64>,
        ring: Ring,
        generators: Option<Generators>,
    ) -> PublicKey {
        let n = limbs::to_biguint(&limbs);
        let fingerprint = Fingerprint(Sha256::digest(n.to_bytes_be()).into());
        PublicKey {
            inner: Arc::new(Inner {
                n,
                limbs,
                ring,
                generators,
                fingerprint,
            }),
        }
    }

    /// n.
    pub fn n(&self) -> &BigUint {
        &self.inner.n
    }

    /// What randomisers are drawn from.
    pub fn scheme(&self) -> Scheme {
        match &self.inner.generators {
            None => Scheme::Uniform,
            Some(Generators { small: false, .. }) => Scheme::Djn,
            Some(Generators { small: true, .. }) => Scheme::Subgroup,
        }
    }

    /// Bits of the exponents of h_s that hide a plaintext: half of n's
    /// ([`Scheme::Djn`]) or those of the subgroup's order
    /// ([`Scheme::Subgroup`]); of r's, which is uniform modulo n, without h_s.
    pub fn exponent_bits(&self) -> u32 {
        match self.scheme() {
            Scheme::Uniform => self.bits(),
            Scheme::Djn => self.bits().div_ceil(2),
            Scheme::Subgroup => order_bits(self.bits()).expect("checked when the key was made"),
        }
    }

    /// h, below n, if the key has it.
    pub fn h(&self) -> Option<&BigUint> {
        self.inner.generators.as_ref().map(|pair| &pair.h)
    }

    /// h_s = h^n mod n², if the key has it.
    pub fn h_s(&self) -> Option<&BigUint> {
        self.inner.generators.as_ref().map(|pair| &pair.h_s)
    }

    /// The steps, if the key has them: h^(2^(k·i)) mod n² for i = 1..7, where k
    /// is an eighth of n's length in bits, rounded up. With them, h_s is checked
    /// in an eighth of the time; they say nothing that h does not.
    pub fn h_steps(&self) -> Option<&[BigUint]> {
        self.inner.generators.as_ref()?.steps.as_deref()
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

/// Equal if n, scheme, h and h_s are: steps follow from h.
impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
            || (self.n() == other.n()
                && self.scheme() == other.scheme()
                && self.h() == other.h()
                && self.h_s() == other.h_s())
    }
}

impl Eq for PublicKey {}

/// Size, scheme and fingerprint.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("bits", &self.bits())
            .field("scheme", &self.scheme())
            .field("fingerprint", &self.fingerprint().to_string())
            .finish_non_exhaustive()
    }
}
