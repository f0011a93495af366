//! What can be wrong with a key or a ciphertext.
//!
//! No message holds p, q, a randomiser or a plaintext.

use super::{MAX_BITS, MIN_BITS, steps::STEPS};
use crate::bignum::BignumError;

/// Why a key or a ciphertext was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PaillierError {
    /// A key size that is not generated.
    #[error(
        "keys of {0} bits are not generated; take 2048, 3072 or 4096, or ask for an insecure key \
         of an even size from {MIN_BITS} bits"
    )]
    UnsupportedSize(u32),
    /// n is too short or too long.
    #[error(
        "the public key's n has {0} bits; expected {MIN_BITS} to {MAX_BITS}: it is no usable key"
    )]
    KeySize(u64),
    /// n is even.
    #[error(
        "the public key's n is even; expected a product of two odd primes: it is no Paillier key"
    )]
    KeyEven,
    /// n has a prime factor that trial division finds.
    #[error(
        "the public key's n is divisible by {0}; expected two large primes: it is no Paillier key"
    )]
    KeySmallFactor(u32),
    /// n is a prime.
    #[error("the public key's n is a prime; expected a product of two: it is no Paillier key")]
    KeyPrime,
    /// n is a perfect power.
    #[error(
        "the public key's n is a perfect power (exponent {0}); expected a product of two different \
         primes: it is no Paillier key"
    )]
    KeyPower(u32),
    /// `h` ≥ n or `h_s` ≥ n².
    #[error(
        "the public key's {0} is not below its modulus; the key file is damaged or was tampered with"
    )]
    GeneratorRange(&'static str),
    /// `h` or `h_s` is 1 or −1: every ciphertext would show its plaintext.
    #[error(
        "the public key's {0} is 1 or -1, which would hide nothing; ask the owner for a new key file"
    )]
    GeneratorTrivial(&'static str),
    /// `h` or `h_s` shares a factor with n.
    #[error("the public key's {0} is not invertible; the key file is damaged or was tampered with")]
    GeneratorNotUnit(&'static str),
    /// `h_s` ≠ h^n mod n².
    #[error("the public key's h_s is not h^n mod n^2; h and h_s do not belong to this n")]
    GeneratorMismatch,
    /// Another number of steps than keys have.
    #[error(
        "the public key's h_steps are {0} numbers; expected {STEPS}: the key file is damaged or was \
         tampered with"
    )]
    StepCount(usize),
    /// A step ≥ n²; counted from 1.
    #[error(
        "number {0} of the public key's h_steps is not below n^2; the key file is damaged or was \
         tampered with"
    )]
    StepRange(usize),
    /// A step is not the power of h that it should be; counted from 1.
    #[error(
        "number {0} of the public key's h_steps is not the power of h that should stand there; the \
         key file is damaged or was tampered with"
    )]
    StepMismatch(usize),
    /// A size without subgroup keys.
    #[error(
        "there are no subgroup keys of {0} bits; expected 2048, 3072 or 4096, or an insecure key \
         below 2048"
    )]
    SubgroupSize(u32),
    /// A subgroup key without the orders.
    #[error(
        "the secret key is a subgroup key without alpha_p and alpha_q; the key file is damaged"
    )]
    SubgroupOrdersMissing,
    /// The orders beside a key of another scheme.
    #[error("the secret key has alpha_p and alpha_q, but its public key is of another scheme")]
    SubgroupOrdersUnexpected,
    /// `alpha_p` or `alpha_q` is not as long as it should be.
    #[error("the secret key's {name} is not a number of {expected} bits; the key file is damaged")]
    SubgroupOrderSize {
        /// Which one.
        name: &'static str,
        /// Bits that it should have.
        expected: u32,
    },
    /// `alpha_p` or `alpha_q` is not a prime.
    #[error("the secret key's {0} is not a prime; the key file is damaged")]
    SubgroupOrderNotPrime(&'static str),
    /// `alpha_p` = `alpha_q`.
    #[error("the secret key's alpha_p and alpha_q are equal; expected two different primes")]
    SubgroupOrdersEqual,
    /// `alpha_p` does not divide p − 1, or `alpha_q` q − 1.
    #[error("the secret key's {0} does not divide its prime minus 1; it belongs to another key")]
    SubgroupOrderNotDividing(&'static str),
    /// h does not have the order that the secret key says.
    #[error(
        "the public key's h does not have the order 2*{0} that the secret key says; the two do not \
         belong together"
    )]
    SubgroupOrderOfH(&'static str),
    /// p or q is not a prime.
    #[error("the secret key's {0} is not a prime; the key file is damaged")]
    NotPrime(&'static str),
    /// p = q.
    #[error("the secret key's p and q are equal; expected two different primes")]
    PrimesEqual,
    /// p·q ≠ n.
    #[error(
        "the secret key's p and q do not give the public key's n; they belong to different keys"
    )]
    ProductMismatch,
    /// p divides q − 1 or the other way round: decryption would not be unique.
    #[error(
        "one of the secret key's primes divides the other minus 1; expected gcd(n, phi(n)) = 1"
    )]
    PrimesDependent,
    /// The rows of ciphertexts are cut off.
    #[error("ciphertexts take {expected} bytes each, but {found} bytes are no multiple of that")]
    CiphertextBytes {
        /// Bytes of a ciphertext under this key.
        expected: usize,
        /// Bytes found in all.
        found: usize,
    },
    /// A ciphertext is 0.
    #[error("ciphertext {0} is 0; it was not made by encryption")]
    CiphertextZero(usize),
    /// A ciphertext is n² or more.
    #[error("ciphertext {0} is not below n^2; it is damaged or was made under another key")]
    CiphertextRange(usize),
    /// A ciphertext shares a factor with n.
    #[error("ciphertext {0} is not invertible modulo n; it was not made by encryption")]
    CiphertextNotUnit(usize),
    /// The rows of randomisers are cut off.
    #[error("randomisers take {expected} bytes each, but {found} bytes are no multiple of that")]
    RandomiserBytes {
        /// Bytes of a randomiser under this key.
        expected: usize,
        /// Bytes found in all.
        found: usize,
    },
    /// A randomiser is 0, or n² or more.
    #[error("randomiser {0} is not between 0 and n^2; it is damaged or is for another key")]
    RandomiserRange(usize),
    /// A plaintext does not lie between −n/2 and n/2.
    #[error("the number does not fit a key of {0} bits; use a smaller number or a longer key")]
    PlaintextRange(u32),
    /// The arithmetic refused its input.
    #[error(transparent)]
    Arithmetic(#[from] BignumError),
}
