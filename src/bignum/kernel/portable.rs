//! The portable kernel: one residue a block, 64-bit limbs, plain Rust.
//!
//! R = 2^(64h), so a row is two digits of h limbs and packing copies. Digits
//! stay below m: a modulus that fills its top limb leaves no room for more.
//! One body serves every size; for the sizes of keys and of their primes it is
//! stamped with a constant h, so that the compiler knows every bound.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{
    Lanes,
    limbs::{adc, add_assign, mac, negative_inverse, reduce_once, sbb, sub_assign},
};

/// Modulus and Montgomery constant; secret for a ring over p, so zeroised.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in crate::bignum) struct Portable {
    m: Vec<u64>,
    /// −m⁻¹ mod 2^64.
    k0: u64,
}

impl Portable {
    /// `m` odd, its top limb not 0.
    pub(in crate::bignum) fn new(m: &[u64]) -> Portable {
        Portable {
            m: m.to_vec(),
            k0: negative_inverse(m[0]),
        }
    }
}

/// Calls `$body::<fixed>` with constant sizes where there is a stamp for them.
macro_rules! by_size {
    ($h:expr, $fixed:ident($($arg:expr),*), $other:expr) => {
        match $h {
            16 => $fixed::<16>($($arg),*),
            24 => $fixed::<24>($($arg),*),
            32 => $fixed::<32>($($arg),*),
            48 => $fixed::<48>($($arg),*),
            64 => $fixed::<64>($($arg),*),
            _ => $other,
        }
    };
}

impl Lanes for Portable {
    const LANES: usize = 1;
    type Block = Vec<u64>;

    fn limbs(&self) -> usize {
        self.m.len()
    }

    fn words(&self) -> usize {
        self.m.len()
    }

    fn radix_bits(&self) -> u32 {
        64 * self.m.len() as u32
    }

    fn pack(&self, u0: &[u64], u1: &[u64], row: &mut [u64]) {
        let (r0, r1) = row.split_at_mut(self.m.len());
        r0.copy_from_slice(u0);
        r1.copy_from_slice(u1);
    }

    fn unpack(&self, row: &[u64], u0: &mut [u64], u1: &mut [u64]) {
        let (r0, r1) = row.split_at(self.m.len());
        u0.copy_from_slice(r0);
        u1.copy_from_slice(r1);
    }

    fn block(&self) -> Vec<u64> {
        vec![0; 2 * self.m.len()]
    }

    fn gather(&self, block: &mut Vec<u64>, rows: &[&[u64]]) {
        block.copy_from_slice(rows[0]);
    }

    fn scatter(&self, block: &Vec<u64>, out: &mut [u64]) {
        out.copy_from_slice(block);
    }

    fn mul_assign(&self, a: &mut Vec<u64>, b: &Vec<u64>) {
        let h = self.m.len();
        by_size!(h, product_fixed(a, b, &self.m, self.k0), {
            product(h, a, b, &self.m, self.k0, &mut vec![0; 4 * h]);
        });
    }

    fn sqr_assign(&self, a: &mut Vec<u64>) {
        let h = self.m.len();
        by_size!(h, square_fixed(a, &self.m, self.k0), {
            square(h, a, &self.m, self.k0, &mut vec![0; 4 * h]);
        });
    }

    fn add_assign(&self, a: &mut Vec<u64>, b: &Vec<u64>) {
        let h = self.m.len();
        let mut spare = vec![0; h];
        let (a0, a1) = a.split_at_mut(h);
        let (b0, b1) = b.split_at(h);
        let top = add_assign(a0, b0);
        let (_, carry) = reduce_once(top, a0, &self.m, &mut spare);
        let top = add_assign(a1, b1) + add_small(a1, carry);
        // Up to 2m − 1 after the digits, m when the carry arrives last.
        reduce_once(top, a1, &self.m, &mut spare);
        spare.zeroize();
    }

    fn select(&self, a: &mut Vec<u64>, b: &Vec<u64>, masks: &[u64]) {
        let mask = core::hint::black_box(masks[0]);
        for (a, &b) in a.iter_mut().zip(b) {
            *a ^= (*a ^ b) & mask;
        }
    }
}

/// a += small, giving the carry out.
#[inline(always)]
fn add_small(a: &mut [u64], small: u64) -> u64 {
    let mut carry = small;
    for a in a {
        let (s, c) = a.overflowing_add(carry);
        (*a, carry) = (s, c as u64);
    }
    carry
}

fn product_fixed<const H: usize>(x: &mut [u64], y: &[u64], m: &[u64], k0: u64) {
    product(H, x, y, m, k0, [[0; H]; 4].as_flattened_mut());
}

fn square_fixed<const H: usize>(x: &mut [u64], m: &[u64], k0: u64) {
    square(H, x, m, k0, [[0; H]; 4].as_flattened_mut());
}

/// x ← x·y·R⁻¹ mod m², in digits. `scratch` has 4h limbs.
#[inline(always)]
fn product(h: usize, x: &mut [u64], y: &[u64], m: &[u64], k0: u64, scratch: &mut [u64]) {
    let (x, y, m) = (&mut x[..2 * h], &y[..2 * h], &m[..h]);
    let (t, rest) = scratch[..4 * h].split_at_mut(2 * h);
    let (q, z0) = rest.split_at_mut(h);
    let (x0, x1) = x.split_at_mut(h);
    let (y0, y1) = y.split_at(h);

    multiply(h, x0, y0, t);
    let top = reduce(h, t, m, k0, q);
    z0.copy_from_slice(&t[h..]);

    multiply(h, x0, y1, t);
    let cross = multiply_add(h, x1, y0, t);

    let (_, carry) = reduce_once(top, z0, m, x0);
    x0.copy_from_slice(z0);
    close(h, cross, carry, x1, m, k0, t, q);
}

/// x ← x·x·R⁻¹ mod m², in digits. `scratch` has 4h limbs.
#[inline(always)]
fn square(h: usize, x: &mut [u64], m: &[u64], k0: u64, scratch: &mut [u64]) {
    let (x, m) = (&mut x[..2 * h], &m[..h]);
    let (t, rest) = scratch[..4 * h].split_at_mut(2 * h);
    let (q, z0) = rest.split_at_mut(h);
    let (x0, x1) = x.split_at_mut(h);

    square_plain(h, x0, t);
    let top = reduce(h, t, m, k0, q);
    z0.copy_from_slice(&t[h..]);

    multiply(h, x0, x1, t);
    let mut cross = 0;
    for t in t.iter_mut() {
        (*t, cross) = (*t << 1 | cross, *t >> 63);
    }

    let (_, carry) = reduce_once(top, z0, m, x0);
    x0.copy_from_slice(z0);
    close(h, cross, carry, x1, m, k0, t, q);
}

/// Digit 1: z1 ← REDC((cross, t) − q) + carry mod m. `q` is overwritten.
///
/// With digits below m (or one raw operand below R beside a zero digit 1) the
/// reduction ends in 0..3m, hence two subtractions; a `cross` that goes
/// negative by the borrow is made good by the reduction's own carry, for its
/// result is a whole number above −1.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // a cut through one function, not an interface
fn close(
    h: usize,
    cross: u64,
    carry: u64,
    z1: &mut [u64],
    m: &[u64],
    k0: u64,
    t: &mut [u64],
    q: &mut [u64],
) {
    let (low, high) = t.split_at_mut(h);
    let mut borrow = sub_assign(low, q);
    for t in high.iter_mut() {
        (*t, borrow) = sbb(*t, 0, borrow);
    }
    let top = cross.wrapping_sub(borrow);
    let top = reduce(h, t, m, k0, q).wrapping_add(top);
    z1.copy_from_slice(&t[h..]);
    let top = top.wrapping_add(add_small(z1, carry));
    let (top, _) = reduce_once(top, z1, m, q);
    reduce_once(top, z1, m, q);
}

/// t ← a·b.
#[inline(always)]
fn multiply(h: usize, a: &[u64], b: &[u64], t: &mut [u64]) {
    let (a, b, t) = (&a[..h], &b[..h], &mut t[..2 * h]);
    t[..h].fill(0);
    for i in 0..h {
        let mut carry = 0;
        for j in 0..h {
            (t[i + j], carry) = mac(t[i + j], a[i], b[j], carry);
        }
        t[i + h] = carry;
    }
}

/// t ← t + a·b, giving the carry out.
#[inline(always)]
fn multiply_add(h: usize, a: &[u64], b: &[u64], t: &mut [u64]) -> u64 {
    let (a, b, t) = (&a[..h], &b[..h], &mut t[..2 * h]);
    let mut over = 0;
    for i in 0..h {
        let mut carry = 0;
        for j in 0..h {
            (t[i + j], carry) = mac(t[i + j], a[i], b[j], carry);
        }
        (t[i + h], over) = adc(t[i + h], carry, over);
    }
    over
}

/// t ← a·a: each cross product once, doubled, then the squares of the limbs.
#[inline(always)]
fn square_plain(h: usize, a: &[u64], t: &mut [u64]) {
    let (a, t) = (&a[..h], &mut t[..2 * h]);
    t.fill(0);
    for i in 0..h {
        let mut carry = 0;
        for j in i + 1..h {
            (t[i + j], carry) = mac(t[i + j], a[i], a[j], carry);
        }
        t[i + h] = carry;
    }
    let (mut high_bit, mut carry) = (0, 0);
    for i in 0..h {
        let (lo, hi) = (t[2 * i], t[2 * i + 1]);
        let square = a[i] as u128 * a[i] as u128;
        (t[2 * i], carry) = adc(lo << 1 | high_bit, square as u64, carry);
        (t[2 * i + 1], carry) = adc(hi << 1 | lo >> 63, (square >> 64) as u64, carry);
        high_bit = hi >> 63;
    }
}

/// Montgomery reduction: adds q·m to t so that its lower half becomes 0, and
/// gives the carry out of the upper half.
#[inline(always)]
fn reduce(h: usize, t: &mut [u64], m: &[u64], k0: u64, q: &mut [u64]) -> u64 {
    let (t, m, q) = (&mut t[..2 * h], &m[..h], &mut q[..h]);
    let mut over = 0;
    for i in 0..h {
        q[i] = t[i].wrapping_mul(k0);
        let mut carry = 0;
        for j in 0..h {
            (t[i + j], carry) = mac(t[i + j], q[i], m[j], carry);
        }
        (t[i + h], over) = adc(t[i + h], carry, over);
    }
    over
}
