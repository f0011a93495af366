//! Sums, which occur when a ring is set up and when rows enter it: simple
//! rather than fast.

use core::arch::x86_64::*;

use super::lane::{Lane, Tile, carry, low};

/// a ← a + b, digits kept below 4m.
///
/// Digit 0 is below 8m and loses 4m if it holds as much, which passes 4 to
/// digit 1; that one is then below 8m + 4 and loses 4m up to twice.
#[target_feature(enable = "avx512f")]
pub(super) fn add_assign(a: &mut [Tile], b: &[Tile], m4: &[Tile]) {
    let t = m4.len();
    let m4 = m4.as_flattened();
    let (a0, a1) = a.split_at_mut(t);
    let (a0, a1) = (a0.as_flattened_mut(), a1.as_flattened_mut());
    let (b0, b1) = b.split_at(t);

    add(a0, b0.as_flattened(), _mm512_setzero_si512());
    let taken = take_off(a0, m4);
    let four = _mm512_maskz_set1_epi64(taken, 4);
    add(a1, b1.as_flattened(), four);
    take_off(a1, m4);
    take_off(a1, m4);
}

/// a ← a + b + small.
#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: &mut [Lane], b: &[Lane], small: __m512i) {
    let mut over = small;
    for (a, b) in a.iter_mut().zip(b) {
        let sum = _mm512_add_epi64(_mm512_add_epi64(a.get(), b.get()), over);
        a.set(low(sum));
        over = carry(sum);
    }
}

/// Takes `m4` off in the lanes that hold at least as much; tells which.
#[inline]
#[target_feature(enable = "avx512f")]
fn take_off(a: &mut [Lane], m4: &[Lane]) -> __mmask8 {
    let mut over = _mm512_setzero_si512();
    for (a, m) in a.iter().zip(m4) {
        over = carry(_mm512_add_epi64(_mm512_sub_epi64(a.get(), m.get()), over));
    }
    // The last carry is 0, or −1 where `a` is less.
    let taken = _mm512_testn_epi64_mask(over, over);
    let mut over = _mm512_setzero_si512();
    for (a, m) in a.iter_mut().zip(m4) {
        let m = _mm512_maskz_mov_epi64(taken, m.get());
        let less = _mm512_add_epi64(_mm512_sub_epi64(a.get(), m), over);
        a.set(low(less));
        over = carry(less);
    }
    taken
}
