//! Keys, ciphertexts, packed plaintexts.
//!
//! Paillier's scheme with g = 1 + n (EUROCRYPT 1999) and the randomisers of
//! Damgård, Jurik and Nielsen ("A generalization of Paillier's public-key
//! system with applications to electronic voting", Int. J. Inf. Secur. 2010,
//! §4.2, DJN from here on). A ciphertext of x is
//!
//! ```text
//! c = (1 + x·n)·ρ mod n²,    ρ an n-th power modulo n²
//! ```
//!
//! so that the product of ciphertexts is a ciphertext of the sum, and c^w one of
//! w·x. Everything acts on vectors: a single item is a vector of one.
//!
//! | file | holds |
//! |---|---|
//! | `scheme` | what keys draw randomisers from; what subgroup keys are |
//! | `generate`, `subgroup` | new primes, and the conditions on them |
//! | `public`, `check`, `steps` | the public key; what is checked when one is read, and how that takes less time |
//! | `secret`, `crt` | the secret key, decryption; arithmetic modulo p² and q² |
//! | `plaintext`, `packing` | signed integers; many of them in one plaintext |
//! | `ciphertexts` | vectors of ciphertexts, and sums of them |
//! | `randomise`, `ahead` | makers of randomisers; making them in the background |
//! | `randomisers` | randomisers by themselves: drawn before there is anything to encrypt |
//! | `encrypt` | encryption, with either key |
//! | `rerandomise` | what a server does to every result before it leaves |
//! | `limbs`, `primality` | helpers |
//!
//! # Secrets
//!
//! p, q, what follows from them, plaintexts and randomisers live in limbs that
//! are wiped when dropped, not in big integers (which leave copies behind), and
//! in no `Debug`, `Display` or error text. Not wiped are intermediate values of
//! the arithmetic (a kernel's scratch is when its thread ends), the z of which
//! a re-randomiser takes a Jacobi symbol, and values once they are unpacked.
//! Long-term exponents (p − 1, q − 1, 2α_p, 2α_q) go through exponentiation in constant
//! time; trial division and the primality test, which run whenever a secret key
//! is made or read, do not take constant time. Combs for one-time
//! exponents do a fixed sequence of products but index their tables directly,
//! which a co-resident attacker who watches the cache could see, unless they are
//! asked to scan them ([`PublicEncryptor::scanning`]); see
//! [`Comb`](crate::bignum::Comb).

mod ahead;
mod check;
mod ciphertexts;
mod crt;
mod encrypt;
mod error;
mod generate;
mod limbs;
mod packing;
mod plaintext;
mod primality;
mod public;
mod randomise;
mod randomisers;
mod rerandomise;
mod scheme;
mod secret;
mod steps;
mod subgroup;

pub use ahead::Ahead;
pub use check::Candidate;
pub use ciphertexts::Ciphertexts;
pub use encrypt::{Encrypt, OwnerEncryptor, PublicEncryptor};
pub use error::PaillierError;
pub use packing::{PackError, SlotLayout, pack, pack_unsigned, unpack, unpack_unsigned};
pub use plaintext::Plaintext;
pub use public::{Fingerprint, PublicKey};
pub use randomise::{Randomise, Seeds, Stock};
pub use randomisers::Randomisers;
pub use rerandomise::Rerandomiser;
pub use scheme::Scheme;
pub use secret::SecretKey;

pub use crate::bignum::{Counts, Csr, ONE, Program, Stage as ProgramStage};

/// Key sizes that are generated without further ado, in bits of n: 112, 128
/// and about 152 bits of security.
pub const STANDARD_BITS: [u32; 3] = [2048, 3072, 4096];

/// The size of a new key unless another is asked for.
pub const DEFAULT_BITS: u32 = 3072;

/// The shortest n that is accepted at all. Anything below 2048 bits can be
/// factored or soon will be: such keys serve tests
/// ([`PublicKey::is_insecure`]).
pub const MIN_BITS: u32 = 128;

/// The longest n that is accepted, so that a hostile key file cannot keep the
/// machine busy for long.
pub const MAX_BITS: u32 = 8192;
