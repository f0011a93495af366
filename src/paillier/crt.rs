//! Arithmetic modulo p² and q², and back: what only the owner can do.
//!
//! With L_p(u) = (u − 1)/p, g = 1 + n and e_p = p − 1 (Paillier 1999, §7):
//!
//! ```text
//! m_p = L_p(c^{e_p} mod p²)·h_p mod p,    h_p = L_p(g^{e_p} mod p²)^{−1} = (e_p·q)^{−1} mod p
//! m   = m_q + q·((m_p − m_q)·q^{−1} mod p)                    (Garner)
//! x   = x_p·e + x_q·(1 − e) mod n²,    e = q²·((q²)^{−1} mod p²)      (randomisers)
//! ```
//!
//! In canonical digits u = u0 + u1·p, L_p(u) is u1. Everything runs in constant
//! time; p and q may differ in length.
//!
//! For a subgroup key e_p = 2α_p does as well, provided that the ciphertext's
//! randomiser is a power of h_s. It need not be: others who know n only
//! (python-paillier, a server that distrusts h_s) multiply by r^n. Then u0 is
//! not 1, and those ciphertexts are decrypted again by p − 1. How many they
//! are shows in the time; it depends on what their makers multiplied in, not on
//! any plaintext, and tells no more of the key than that.

use std::sync::OnceLock;

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
    /// p².
    square: Secret,
    /// p − 1.
    full: Exponent,
    /// For a subgroup key.
    subgroup: Option<Subgroup>,
}

/// An exponent that takes randomisers to 1.
struct Exponent {
    /// e_p.
    value: Secret,
    /// Bits of it that show.
    bits: u32,
    /// h_p.
    unscale: Secret,
}

/// α_p, and what follows from it.
struct Subgroup {
    /// Arithmetic modulo α_p².
    ring: Ring,
    /// α_p, in as many limbs as the ring's digits.
    order: Secret,
    /// Bits of α_p.
    bits: u32,
    /// 2α_p.
    short: Exponent,
}

/// Both primes, and what joins them.
pub(super) struct Crt {
    pub(super) p: Half,
    pub(super) q: Half,
    /// q^{−1} mod p.
    q_inverse: Secret,
    /// e and 1 − e modulo n²: 1 modulo p² and 0 modulo q², and the reverse.
    idempotents: [Secret; 2],
    /// Constants by which residues modulo p² and q² enter the ring of n² times
    /// those; made when they are first needed.
    entries: OnceLock<[Zeroizing<Elements>; 2]>,
}

impl Exponent {
    /// `value`, of at most `bits` bits, below `prime` and as wide; `other` is
    /// the other prime.
    fn new(
        ring: &Ring,
        prime: &[u64],
        other: &[u64],
        mut value: Secret,
        bits: u32,
    ) -> Result<Exponent, PaillierError> {
        let scale = ring.mul_mod(&reduce(ring, other, other.len()), &value);
        let unscale = primality::invert(&Zeroizing::new(scale), prime);
        value.truncate(limbs::limbs_for(bits));
        Ok(Exponent {
            value,
            bits,
            unscale: unscale.ok_or(PaillierError::PrimesEqual)?,
        })
    }
}

impl Half {
    /// For a prime and the other one, both in as few limbs as they need, and
    /// of a subgroup key α_p.
    fn new(prime: Secret, other: &[u64], order: Option<Secret>) -> Result<Half, PaillierError> {
        let ring = Ring::new(&prime)?;
        let mut square = Zeroizing::new(vec![0; 2 * prime.len()]);
        limbs::mul_add(&mut square, &prime, &prime, &[]);
        let mut all = prime.clone();
        all[0] -= 1;
        let bits = limbs::bits_vartime(&prime);
        let full = Exponent::new(&ring, &prime, other, all, bits)?;
        let subgroup = order
            .map(|order| -> Result<Subgroup, PaillierError> {
                let bits = limbs::bits_vartime(&order);
                let mut twice = Zeroizing::new(vec![0; prime.len()]);
                twice[..order.len()].copy_from_slice(&order);
                limbs::add_masked(&mut twice, &order, u64::MAX);
                Ok(Subgroup {
                    ring: Ring::new(&order)?,
                    short: Exponent::new(&ring, &prime, other, twice, bits + 1)?,
                    order,
                    bits,
                })
            })
            .transpose()?;
        Ok(Half {
            ring,
            prime,
            square,
            full,
            subgroup,
        })
    }

    /// Plaintexts modulo this prime, of ciphertexts in rows of `width` limbs,
    /// and what is left of their randomisers: 1, or the plaintext is wrong.
    fn decrypt(&self, rows: &[u64], width: usize, exponent: &Exponent) -> (Secret, Secret) {
        let c = self.ring.enter(rows, width);
        let power = self
            .ring
            .pow_secret_below(&c, &exponent.value, exponent.bits);
        let (left, scaled) = self.ring.digits(&Zeroizing::new(power));
        let (left, scaled) = (Zeroizing::new(left), Zeroizing::new(scaled));
        let unscale = limbs::repeat(&exponent.unscale, c.len());
        let plain = self.ring.mul_mod(&scaled, &unscale);
        (Zeroizing::new(plain), left)
    }

    /// Exponents of h_s, in rows of `width` limbs, modulo the order of h_s
    /// modulo p², which is 2α_p; with the bits and limbs of the results.
    /// `None` if that is not known to be short.
    pub(super) fn reduce_exponents(
        &self,
        exponents: &[u64],
        width: usize,
    ) -> Option<(Secret, usize)> {
        let Subgroup { ring, order, .. } = self.subgroup.as_ref()?;
        let residues = reduce(ring, exponents, width);
        let short = limbs::limbs_for(self.exponent_bits()?);
        let mut out = Zeroizing::new(vec![0; exponents.len() / width * short]);
        for ((out, residue), exponent) in out
            .chunks_exact_mut(short)
            .zip(residues.chunks_exact(order.len()))
            .zip(exponents.chunks_exact(width))
        {
            // α_p is odd: the residue modulo α_p of the right parity.
            out[..order.len()].copy_from_slice(residue);
            let odd = (residue[0] ^ exponent[0]) & 1;
            limbs::add_masked(out, order, odd.wrapping_neg());
        }
        Some((out, short))
    }

    /// Bits of what [`Half::reduce_exponents`] gives.
    pub(super) fn exponent_bits(&self) -> Option<u32> {
        self.subgroup.as_ref().map(|subgroup| subgroup.bits + 1)
    }

    /// α_p, if this is half of a subgroup key.
    pub(super) fn order(&self) -> Option<&[u64]> {
        self.subgroup.as_ref().map(|subgroup| &subgroup.order[..])
    }

    /// Whether h, in any number of limbs, has the order 2α_p modulo p: with an
    /// odd prime α_p, whether h^{α_p} is −1 but h is not. Then α_p divides
    /// p − 1. Does not take constant time.
    pub(super) fn has_order(&self, h: &[u64]) -> bool {
        let Some(subgroup) = &self.subgroup else {
            return false;
        };
        let mut minus_one = self.prime.clone();
        minus_one[0] -= 1;
        let h = Zeroizing::new(self.ring.enter(h, h.len()));
        let power = self
            .ring
            .pow_secret_below(&h, &subgroup.order, subgroup.bits);
        let low = |e| Zeroizing::new(self.ring.digits(e).0);
        *low(&h) != *minus_one && *low(&Zeroizing::new(power)) == *minus_one
    }
}

/// Rows of `width` limbs modulo the ring's own number.
fn reduce(ring: &Ring, rows: &[u64], width: usize) -> Secret {
    let entered = Zeroizing::new(ring.enter(rows, width));
    let (low, high) = ring.digits(&entered);
    let (low, _) = (Zeroizing::new(low), Zeroizing::new(high));
    low
}

impl Crt {
    /// For primes p ≠ q, each in as few limbs as it needs, and of a subgroup
    /// key α_p and α_q likewise.
    pub(super) fn new(
        p: Secret,
        q: Secret,
        orders: Option<[Secret; 2]>,
    ) -> Result<Crt, PaillierError> {
        let [order_p, order_q] = orders.map_or([None, None], |orders| orders.map(Some));
        let half_p = Half::new(p.clone(), &q, order_p)?;
        let half_q = Half::new(q.clone(), &p, order_q)?;
        let q_mod_p = reduce(&half_p.ring, &q, q.len());
        let q_inverse = primality::invert(&q_mod_p, &p).ok_or(PaillierError::PrimesEqual)?;

        let ring = &half_p.ring;
        let entered = Zeroizing::new(ring.enter(&half_q.square, half_q.square.len()));
        let reduced = Zeroizing::new(ring.leave(&entered));
        let inverse =
            primality::invert(&reduced, &half_p.square).ok_or(PaillierError::PrimesEqual)?;
        let mut e = Zeroizing::new(vec![0; half_q.square.len() + inverse.len()]);
        limbs::mul_add(&mut e, &half_q.square, &inverse, &[]);
        // n² + 1 − e: neither of them is 0.
        let mut other = Zeroizing::new(vec![0; e.len()]);
        limbs::mul_add(&mut other, &half_q.square, &half_p.square, &[1]);
        limbs::sub_masked(&mut other, &e, u64::MAX);
        Ok(Crt {
            p: half_p,
            q: half_q,
            q_inverse,
            idempotents: [e, other],
            entries: OnceLock::new(),
        })
    }

    /// Plaintexts mod n, in rows of `n_limbs`, of ciphertexts in rows of
    /// 2·`n_limbs` limbs.
    pub(super) fn decrypt(&self, rows: &[u64], n_limbs: usize) -> Secret {
        let (Some(p), Some(q)) = (&self.p.subgroup, &self.q.subgroup) else {
            return self
                .decrypt_by(rows, n_limbs, [&self.p.full, &self.q.full])
                .0;
        };
        let (mut plain, outside) = self.decrypt_by(rows, n_limbs, [&p.short, &q.short]);
        if !outside.is_empty() {
            let width = 2 * n_limbs;
            let row = |&at: &usize| &rows[at * width..(at + 1) * width];
            let again = outside.iter().flat_map(row).copied().collect::<Vec<_>>();
            let (again, _) = self.decrypt_by(&again, n_limbs, [&self.p.full, &self.q.full]);
            for (&at, row) in outside.iter().zip(again.chunks_exact(n_limbs)) {
                plain[at * n_limbs..(at + 1) * n_limbs].copy_from_slice(row);
            }
        }
        plain
    }

    /// Plaintexts by the exponents modulo p² and q², and the places of those
    /// that are wrong because the exponents do not take the randomisers to 1.
    fn decrypt_by(
        &self,
        rows: &[u64],
        n_limbs: usize,
        exponents: [&Exponent; 2],
    ) -> (Secret, Vec<usize>) {
        let width = 2 * n_limbs;
        let count = rows.len() / width;
        let ((mut m_p, left_p), (m_q, left_q)) = rayon::join(
            || self.p.decrypt(rows, width, exponents[0]),
            || self.q.decrypt(rows, width, exponents[1]),
        );
        let (p, q) = (&self.p.prime, &self.q.prime);
        let outside = left_p
            .chunks_exact(p.len())
            .zip(left_q.chunks_exact(q.len()))
            .enumerate()
            .filter(|(_, (p, q))| !(is_one(p) & is_one(q)))
            .map(|(at, _)| at)
            .collect();
        let m_q_mod_p = reduce(&self.p.ring, &m_q, q.len());
        for (a, b) in m_p
            .chunks_exact_mut(p.len())
            .zip(m_q_mod_p.chunks_exact(p.len()))
        {
            limbs::sub_mod(a, b, p);
        }
        let inverse = limbs::repeat(&self.q_inverse, count);
        let t = Zeroizing::new(self.p.ring.mul_mod(&m_p, &inverse));
        (join(&m_q, &t, q, p.len(), n_limbs), outside)
    }

    /// The residues of `ring`, that of n², that are `x_p` mod p² and `x_q` mod q².
    pub(super) fn combine(&self, x_p: &Elements, x_q: &Elements, ring: &Ring) -> Elements {
        let [of_p, of_q] = [&self.p.square, &self.q.square].map(|square| square.len());
        let [by_p, by_q] = self.entries.get_or_init(|| {
            let [e, other] = &self.idempotents;
            [(e, of_p), (other, of_q)].map(|(factor, width)| {
                let factor = Zeroizing::new(ring.enter(factor, factor.len()));
                Zeroizing::new(ring.entry(&factor, width))
            })
        });
        let x_p = Zeroizing::new(self.p.ring.leave(x_p));
        let x_q = Zeroizing::new(self.q.ring.leave(x_q));
        ring.enter_sum(&[(&x_p, of_p, by_p), (&x_q, of_q, by_q)])
    }
}

fn is_one(row: &[u64]) -> bool {
    row[0] ^ 1 | row[1..].iter().fold(0, |all, limb| all | limb) == 0
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
