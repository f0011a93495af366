//! What a key draws its randomisers from.
//!
//! *Subgroup keys* follow Ma, Han and Lei, "Optimized Paillier's Cryptosystem
//! with Fast Encryption and Decryption" (ACSAC 2021). With κ bits of security,
//!
//! ```text
//! p = 2·α_p·β_p + 1,  q = 2·α_q·β_q + 1      α_p, α_q primes of 2κ bits
//! α = α_p·α_q,  β = β_p·β_q                  gcd(p − 1, q − 1) = 2, gcd(α, β) = 1
//! h = −y^(2β) mod n,  h_s = h^n mod n²       of order 2α
//! c = (1 + x·n)·h_s^r mod n²                 r uniform below 2^(4κ)
//! c^(2α) = 1 + 2α·x·n mod n²
//! ```
//!
//! The paper's sizes are 4κ = 448 bits for n of 2048 (κ = 112) and 512 for 3072
//! (κ = 128). It has none for 4096 (κ about 152): the same rule gives 608.
//!
//! *Why 2κ bits a prime.* h is public and of order 2·α_p modulo p, so that
//! anyone finds p in about √α_p steps from a collision among powers of h
//! (Coron, Joux, Mandal, Naccache and Tibouchi, PKC 2011, of a similar scheme
//! by Groth, TCC 2005); so do discrete logarithms in the subgroup. β_p and β_q
//! are primes here, stronger than the odd numbers that the scheme asks for:
//! then all conditions on common divisors hold as soon as the four primes
//! differ, and no part of p − 1 is smooth.
//!
//! *The further assumption*: that powers of h_s, with such short exponents,
//! cannot be told from any n-th powers modulo n². It is younger, and has been
//! looked at less, than Paillier's.

use super::{MAX_BITS, STANDARD_BITS};

/// What a key draws its randomisers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// r^n with r uniform modulo n (Paillier 1999): keys of other programs.
    Uniform,
    /// h_s^r, h = −x² (Damgård, Jurik and Nielsen 2010): the default.
    Djn,
    /// h_s^r with a short r, h from a small subgroup (Ma, Han and Lei 2021).
    Subgroup,
}

impl Scheme {
    /// Its name in reports and messages.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Uniform => "uniform",
            Scheme::Djn => "djn",
            Scheme::Subgroup => "subgroup",
        }
    }
}

/// Bits of α, the order of the subgroup, for an n of `bits` bits; `None` for
/// sizes that have no subgroup keys. Below 2048 bits, where keys protect
/// nothing, about a quarter of n.
pub(super) fn order_bits(bits: u32) -> Option<u32> {
    const ORDERS: [u32; 3] = [448, 512, 608];
    match STANDARD_BITS.iter().position(|&standard| standard == bits) {
        Some(at) => Some(ORDERS[at]),
        None if bits < STANDARD_BITS[0] => Some(2 * bits.div_ceil(8)),
        None => {
            debug_assert!(bits <= MAX_BITS);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_four_times_the_bits_of_security() {
        let orders = [(2048, 448), (3072, 512), (4096, 608)];
        for (bits, order) in orders {
            assert_eq!(order_bits(bits), Some(order));
        }
        assert_eq!(order_bits(128), Some(32));
        assert_eq!(order_bits(130), Some(34));
        assert_eq!(order_bits(2050), None);
        assert_eq!(order_bits(8192), None);
    }
}
