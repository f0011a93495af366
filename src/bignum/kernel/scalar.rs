//! Product and square of residues for the portable kernel, from products of
//! their digits ([`Digits`]). All functions are inlined into a caller that knows
//! h.

use super::{
    digits::Digits,
    limbs::{add_small, reduce_once, sbb, sub_assign},
};

/// [`product`] with a constant size: the compiler knows every bound.
#[inline(never)]
pub(super) fn product_at<D: Digits, const H: usize>(
    digits: D,
    x: &mut [u64],
    y: &[u64],
    m: &[u64],
    k0: u64,
) {
    product(digits, H, [[0; H]; 4].as_flattened_mut(), x, y, m, k0);
}

/// [`square`] with a constant size.
#[inline(never)]
pub(super) fn square_at<D: Digits, const H: usize>(digits: D, x: &mut [u64], m: &[u64], k0: u64) {
    square(digits, H, [[0; H]; 4].as_flattened_mut(), x, m, k0);
}

/// x ← x·y·R⁻¹ mod m², in digits. `scratch` has 4h limbs.
#[inline(always)]
pub(super) fn product<D: Digits>(
    digits: D,
    h: usize,
    scratch: &mut [u64],
    x: &mut [u64],
    y: &[u64],
    m: &[u64],
    k0: u64,
) {
    let (x, y, m) = (&mut x[..2 * h], &y[..2 * h], &m[..h]);
    let (t, rest) = scratch[..4 * h].split_at_mut(2 * h);
    let (q, z0) = rest.split_at_mut(h);
    let (x0, x1) = x.split_at_mut(h);
    let (y0, y1) = y.split_at(h);

    digits.multiply(x0, y0, t);
    let top = digits.reduce(t, m, k0, q);
    z0.copy_from_slice(&t[h..]);

    digits.multiply(x0, y1, t);
    let cross = digits.multiply_add(x1, y0, t);

    let (_, carry) = reduce_once(top, z0, m, x0);
    x0.copy_from_slice(z0);
    close(digits, h, cross, carry, x1, m, k0, t, q);
}

/// x ← x·x·R⁻¹ mod m², in digits. `scratch` has 4h limbs.
#[inline(always)]
pub(super) fn square<D: Digits>(
    digits: D,
    h: usize,
    scratch: &mut [u64],
    x: &mut [u64],
    m: &[u64],
    k0: u64,
) {
    let (x, m) = (&mut x[..2 * h], &m[..h]);
    let (t, rest) = scratch[..4 * h].split_at_mut(2 * h);
    let (q, z0) = rest.split_at_mut(h);
    let (x0, x1) = x.split_at_mut(h);

    digits.square(x0, t);
    let top = digits.reduce(t, m, k0, q);
    z0.copy_from_slice(&t[h..]);

    digits.multiply(x0, x1, t);
    let mut cross = 0;
    for t in t.iter_mut() {
        (*t, cross) = (*t << 1 | cross, *t >> 63);
    }

    let (_, carry) = reduce_once(top, z0, m, x0);
    x0.copy_from_slice(z0);
    close(digits, h, cross, carry, x1, m, k0, t, q);
}

/// Digit 1: z1 ← REDC((cross, t) − q) + carry mod m. `q` is overwritten.
///
/// With digits below m (or one raw operand below R beside a zero digit 1) the
/// reduction ends in 0..3m, hence two subtractions; a `cross` that goes
/// negative by the borrow is made good by the reduction's own carry, for its
/// result is a whole number above −1.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // a cut through one function, not an interface
fn close<D: Digits>(
    digits: D,
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
    let top = digits.reduce(t, m, k0, q).wrapping_add(top);
    z1.copy_from_slice(&t[h..]);
    let top = top.wrapping_add(add_small(z1, carry));
    let (top, _) = reduce_once(top, z1, m, q);
    reduce_once(top, z1, m, q);
}
