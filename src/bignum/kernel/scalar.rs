//! Product and square in digits, row by row ([`Rows`]), for the portable
//! kernel. All functions are inlined into a caller that knows h.

use super::{
    limbs::{adc, add_small, reduce_once, sbb, sub_assign},
    rows::Rows,
};

/// [`product`] with a constant size: the compiler knows every bound.
#[inline(never)]
pub(super) fn product_at<R: Rows, const H: usize>(
    rows: R,
    x: &mut [u64],
    y: &[u64],
    m: &[u64],
    k0: u64,
) {
    product(rows, H, [[0; H]; 4].as_flattened_mut(), x, y, m, k0);
}

/// [`square`] with a constant size.
#[inline(never)]
pub(super) fn square_at<R: Rows, const H: usize>(rows: R, x: &mut [u64], m: &[u64], k0: u64) {
    square(rows, H, [[0; H]; 4].as_flattened_mut(), x, m, k0);
}

/// x ← x·y·R⁻¹ mod m², in digits. `scratch` has 4h limbs.
#[inline(always)]
pub(super) fn product<R: Rows>(
    rows: R,
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

    multiply(rows, h, x0, y0, t);
    let top = reduce(rows, h, t, m, k0, q);
    z0.copy_from_slice(&t[h..]);

    multiply(rows, h, x0, y1, t);
    let cross = multiply_add(rows, h, x1, y0, t);

    let (_, carry) = reduce_once(top, z0, m, x0);
    x0.copy_from_slice(z0);
    close(rows, h, cross, carry, x1, m, k0, t, q);
}

/// x ← x·x·R⁻¹ mod m², in digits. `scratch` has 4h limbs.
#[inline(always)]
pub(super) fn square<R: Rows>(
    rows: R,
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

    square_plain(rows, h, x0, t);
    let top = reduce(rows, h, t, m, k0, q);
    z0.copy_from_slice(&t[h..]);

    multiply(rows, h, x0, x1, t);
    let mut cross = 0;
    for t in t.iter_mut() {
        (*t, cross) = (*t << 1 | cross, *t >> 63);
    }

    let (_, carry) = reduce_once(top, z0, m, x0);
    x0.copy_from_slice(z0);
    close(rows, h, cross, carry, x1, m, k0, t, q);
}

/// Digit 1: z1 ← REDC((cross, t) − q) + carry mod m. `q` is overwritten.
///
/// With digits below m (or one raw operand below R beside a zero digit 1) the
/// reduction ends in 0..3m, hence two subtractions; a `cross` that goes
/// negative by the borrow is made good by the reduction's own carry, for its
/// result is a whole number above −1.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // a cut through one function, not an interface
fn close<R: Rows>(
    rows: R,
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
    let top = reduce(rows, h, t, m, k0, q).wrapping_add(top);
    z1.copy_from_slice(&t[h..]);
    let top = top.wrapping_add(add_small(z1, carry));
    let (top, _) = reduce_once(top, z1, m, q);
    reduce_once(top, z1, m, q);
}

/// t ← a·b.
#[inline(always)]
fn multiply<R: Rows>(rows: R, h: usize, a: &[u64], b: &[u64], t: &mut [u64]) {
    let (a, b, t) = (&a[..h], &b[..h], &mut t[..2 * h]);
    t[..h].fill(0);
    for i in 0..h {
        let carry = rows.mac(&mut t[i..i + h], a[i], b, 0);
        t[i + h] = carry;
    }
}

/// t ← t + a·b, giving the carry out.
#[inline(always)]
fn multiply_add<R: Rows>(rows: R, h: usize, a: &[u64], b: &[u64], t: &mut [u64]) -> u64 {
    let (a, b, t) = (&a[..h], &b[..h], &mut t[..2 * h]);
    let mut over = 0;
    for i in 0..h {
        let carry = rows.mac(&mut t[i..i + h], a[i], b, 0);
        (t[i + h], over) = adc(t[i + h], carry, over);
    }
    over
}

/// t ← a·a: each cross product once, doubled, then the squares of the limbs.
#[inline(always)]
fn square_plain<R: Rows>(rows: R, h: usize, a: &[u64], t: &mut [u64]) {
    let (a, t) = (&a[..h], &mut t[..2 * h]);
    t.fill(0);
    for i in 0..h {
        t[i + h] = rows.mac(&mut t[2 * i + 1..i + h], a[i], &a[i + 1..], 0);
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
fn reduce<R: Rows>(rows: R, h: usize, t: &mut [u64], m: &[u64], k0: u64, q: &mut [u64]) -> u64 {
    let (t, m, q) = (&mut t[..2 * h], &m[..h], &mut q[..h]);
    let mut over = 0;
    for i in 0..h {
        q[i] = t[i].wrapping_mul(k0);
        let carry = rows.mac(&mut t[i..i + h], q[i], m, 0);
        (t[i + h], over) = adc(t[i + h], carry, over);
    }
    over
}
