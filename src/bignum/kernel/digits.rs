//! Products of digits of h limbs, for the portable kernel: plain Rust here,
//! special instructions in `tiles`.

use super::limbs::{adc, mac};

/// A way to multiply digits. Constant time.
pub(super) trait Digits: Copy + Send + Sync {
    /// t ← a·b. Factors have h limbs, `t` has 2h.
    fn multiply(self, a: &[u64], b: &[u64], t: &mut [u64]);
    /// t ← t + a·b, giving the carry out.
    fn multiply_add(self, a: &[u64], b: &[u64], t: &mut [u64]) -> u64;
    /// t ← a·a.
    fn square(self, a: &[u64], t: &mut [u64]);
    /// Montgomery reduction: q ← the h limbs for which the lower half of
    /// t + q·m is 0, upper half of t ← that of t + q·m; gives the carry out.
    /// The lower half of t is lost. `k0` is −m⁻¹ mod 2^64.
    fn reduce(self, t: &mut [u64], m: &[u64], k0: u64, q: &mut [u64]) -> u64;
}

/// Plain Rust, row by row, on every machine.
#[derive(Clone, Copy)]
pub(super) struct Plain;

/// t ← t + a·b over as many limbs as `b` has, giving the carry out.
#[inline(always)]
fn row(t: &mut [u64], a: u64, b: &[u64]) -> u64 {
    let mut carry = 0;
    for (t, &b) in t.iter_mut().zip(b) {
        (*t, carry) = mac(*t, a, b, carry);
    }
    carry
}

impl Digits for Plain {
    #[inline(always)]
    fn multiply(self, a: &[u64], b: &[u64], t: &mut [u64]) {
        let h = a.len();
        let (b, t) = (&b[..h], &mut t[..2 * h]);
        t[..h].fill(0);
        for i in 0..h {
            t[i + h] = row(&mut t[i..i + h], a[i], b);
        }
    }

    #[inline(always)]
    fn multiply_add(self, a: &[u64], b: &[u64], t: &mut [u64]) -> u64 {
        let h = a.len();
        let (b, t) = (&b[..h], &mut t[..2 * h]);
        let mut over = 0;
        for i in 0..h {
            let carry = row(&mut t[i..i + h], a[i], b);
            (t[i + h], over) = adc(t[i + h], carry, over);
        }
        over
    }

    /// Each product of two limbs once, doubled, then the squares of the limbs.
    #[inline(always)]
    fn square(self, a: &[u64], t: &mut [u64]) {
        let h = a.len();
        let t = &mut t[..2 * h];
        t.fill(0);
        for i in 0..h {
            t[i + h] = row(&mut t[2 * i + 1..i + h], a[i], &a[i + 1..]);
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

    #[inline(always)]
    fn reduce(self, t: &mut [u64], m: &[u64], k0: u64, q: &mut [u64]) -> u64 {
        let h = m.len();
        let (t, q) = (&mut t[..2 * h], &mut q[..h]);
        let mut over = 0;
        for i in 0..h {
            q[i] = t[i].wrapping_mul(k0);
            let carry = row(&mut t[i..i + h], q[i], m);
            (t[i + h], over) = adc(t[i + h], carry, over);
        }
        over
    }
}
