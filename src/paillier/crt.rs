//! Arithmetic modulo p² and q², and back: what only the owner can do.
//!
//! With L_p(u) = (u − 1)/p and g = 1 + n (Paillier 1999, §7):
//!
//! ```text
//! m_p = L_p(c^{p−1} mod p²)·h_p mod p,    h_p = L_p(g^{p−1} mod p²)^{−1} = (−q)^{−1} mod p
//! m   = m_q + q·((m_p − m_q)·q^{−1} mod p)                    (Garner)
//! x   = x_q + q²·((x_p − x_q)·(q²)^{−1} mod p²) mod n²         (randomisers)
//! ```
//!
//! In canonical digits u = u0 + u1·p, L_p(u) is u1. Everything runs in constant
//! time; p and q may differ in length.

use zeroize::Zeroizing;

use super::{PaillierError, limbs, primality};
use crate::bignum::{Elements, Ring};

type Secret = Zeroizing<Vec<u64>>;

/// One of the two primes.
pub(super) struct Half {
    /// Arithmetic modulo p².
    pub(super) ring: Ring,
    /// p, in as many limbs as the ring's digits.
    pub(super) prime: Secret,
    /// p − 1.
    order: Secret,
    /// p².
    square: Secret,
    /// h_p.
    unscale: Secret,
}

/// Both primes, and what joins them.
pub(super) struct Crt {
    pub(super) p: Half,
    pub(super) q: Half,
    /// q^{−1} mod p.
    q_inverse: Secret,
    /// (q²)^{−1} mod p².
    q_square_inverse: Zeroizing<Elements>,
}

impl Half {
    fn new(prime: Secret, other: &[u64]) -> Result<Half, PaillierError> {
        let ring = Ring::new(&prime)?;
        let mut order = prime.clone();
        order[0] -= 1;
        let mut square = Zeroizing::new(vec![0; 2 * prime.len()]);
        limbs::mul_add(&mut square, &prime, &prime, &[]);
        // −q^{−1} = p − q^{−1} mod p.
        let mut unscale = prime.clone();
        let inverse = inverse_in(&ring, &prime, other)?;
        limbs::sub_masked(&mut unscale, &inverse, u64::MAX);
        Ok(Half {
            ring,
            prime,
            order,
            square,
            unscale,
        })
    }

    /// Plaintexts modulo this prime, of ciphertexts in rows of `width` limbs.
    fn decrypt(&self, rows: &[u64], width: usize) -> Secret {
        let c = self.ring.enter(rows, width);
        let power = Zeroizing::new(self.ring.pow_secret(&c, &self.order));
        let (ones, scaled) = self.ring.digits(&power);
        let (_, scaled) = (Zeroizing::new(ones), Zeroizing::new(scaled));
        let unscale = limbs::repeat(&self.unscale, c.len());
        Zeroizing::new(self.ring.mul_mod(&scaled, &unscale))
    }

    /// Rows of `width` limbs modulo this prime.
    fn reduce(&self, rows: &[u64], width: usize) -> Secret {
        let entered = Zeroizing::new(self.ring.enter(rows, width));
        let (low, high) = self.ring.digits(&entered);
        let (low, _) = (Zeroizing::new(low), Zeroizing::new(high));
        low
    }
}

/// other^{−1} modulo the ring's own secret prime.
fn inverse_in(ring: &Ring, prime: &[u64], other: &[u64]) -> Result<Secret, PaillierError> {
    let entered = Zeroizing::new(ring.enter(other, other.len()));
    let (low, high) = ring.digits(&entered);
    let (low, _) = (Zeroizing::new(low), Zeroizing::new(high));
    primality::invert(&low, prime).ok_or(PaillierError::PrimesEqual)
}

impl Crt {
    /// For primes p ≠ q, each in as few limbs as it needs.
    pub(super) fn new(p: Secret, q: Secret) -> Result<Crt, PaillierError> {
        let (half_p, half_q) = (Half::new(p.clone(), &q)?, Half::new(q.clone(), &p)?);
        let q_inverse = inverse_in(&half_p.ring, &p, &q)?;

        let ring = &half_p.ring;
        let entered = Zeroizing::new(ring.enter(&half_q.square, half_q.square.len()));
        let reduced = Zeroizing::new(ring.leave(&entered));
        let inverse =
            primality::invert(&reduced, &half_p.square).ok_or(PaillierError::PrimesEqual)?;
        let q_square_inverse = Zeroizing::new(ring.enter(&inverse, inverse.len()));
        Ok(Crt {
            p: half_p,
            q: half_q,
            q_inverse,
            q_square_inverse,
        })
    }

    /// Plaintexts mod n, in rows of `n_limbs`, of ciphertexts in rows of
    /// 2·`n_limbs` limbs.
    pub(super) fn decrypt(&self, rows: &[u64], n_limbs: usize) -> Secret {
        let width = 2 * n_limbs;
        let count = rows.len() / width;
        let (mut m_p, m_q) = rayon::join(
            || self.p.decrypt(rows, width),
            || self.q.decrypt(rows, width),
        );
        let (p, q) = (&self.p.prime, &self.q.prime);
        let m_q_mod_p = self.p.reduce(&m_q, q.len());
        for (a, b) in m_p
            .chunks_exact_mut(p.len())
            .zip(m_q_mod_p.chunks_exact(p.len()))
        {
            limbs::sub_mod(a, b, p);
        }
        let inverse = limbs::repeat(&self.q_inverse, count);
        let t = Zeroizing::new(self.p.ring.mul_mod(&m_p, &inverse));
        join(&m_q, &t, q, p.len(), n_limbs)
    }

    /// The residues mod n², in rows of 2·`n_limbs` limbs, that are `x_p` mod p²
    /// and `x_q` mod q².
    pub(super) fn combine(&self, x_p: &Elements, x_q: &Elements, n_limbs: usize) -> Secret {
        let (ring_p, ring_q) = (&self.p.ring, &self.q.ring);
        let mut difference = Zeroizing::new(ring_p.leave(x_p));
        let x_q = Zeroizing::new(ring_q.leave(x_q));
        let entered = Zeroizing::new(ring_p.enter(&x_q, self.q.square.len()));
        let reduced = Zeroizing::new(ring_p.leave(&entered));
        let width = self.p.square.len();
        for (a, b) in difference
            .chunks_exact_mut(width)
            .zip(reduced.chunks_exact(width))
        {
            limbs::sub_mod(a, b, &self.p.square);
        }
        let mut t = Zeroizing::new(ring_p.enter(&difference, width));
        let inverse = Zeroizing::new(self.q_square_inverse.gather(&vec![0; t.len()]));
        ring_p.mul_assign(&mut t, &inverse);
        let t = Zeroizing::new(ring_p.leave(&t));
        join(&x_q, &t, &self.q.square, width, 2 * n_limbs)
    }
}

/// low + factor·t for every row, in rows of `width` limbs, which must be enough.
fn join(low: &[u64], t: &[u64], factor: &[u64], t_width: usize, width: usize) -> Secret {
    let mut joined = Zeroizing::new(vec![0; t.len() / t_width * width]);
    let mut row = Zeroizing::new(vec![0; factor.len() + t_width]);
    for ((out, low), t) in joined
        .chunks_exact_mut(width)
        .zip(low.chunks_exact(factor.len()))
        .zip(t.chunks_exact(t_width))
    {
        limbs::mul_add(&mut row, factor, t, low);
        let kept = width.min(row.len());
        out[..kept].copy_from_slice(&row[..kept]);
    }
    joined
}
