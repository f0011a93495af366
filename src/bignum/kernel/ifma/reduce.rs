//! Montgomery reduction, ten columns at a time.

use core::arch::x86_64::*;

use super::lane::{Lane, TILE, Tile, carry, each, load_tile, low, multiply_tile};

/// q ← −columns·m⁻¹ mod R, z ← (columns + q·m)/R, both in full limbs.
///
/// `columns` are 2t tiles, not carried, and `k0` is −m⁻¹ mod 2^52 in every
/// lane. z is exact if it is known to lie in 0..R (see `super`): carries keep
/// their sign.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn reduce(columns: &[Tile], m: &[Tile], k0: &Lane, q: &mut [Tile], z: &mut [Tile]) {
    let t = m.len();
    let (columns, q, z) = (&columns[..2 * t], &mut q[..t], &mut z[..t]);
    let zero = _mm512_setzero_si512();
    let mut acc = [zero; 2 * TILE];
    for k in 0..t {
        each!(L => acc[L] = _mm512_add_epi64(acc[L], columns[k][L].get()));
        for i in 0..k {
            let b = load_tile!(&m[k - i]);
            multiply_tile!(acc, &q[i], b);
        }
        // Each limb of q makes one column divisible by 2^52.
        let k0 = k0.get();
        each!(I => {
            let limb = _mm512_madd52lo_epu64(zero, acc[I], k0);
            q[k][I].set(limb);
            acc[I] = _mm512_madd52lo_epu64(acc[I], limb, m[0][0].get());
            acc[I + 1] = _mm512_madd52hi_epu64(acc[I + 1], limb, m[0][0].get());
            acc[I + 1] = _mm512_add_epi64(acc[I + 1], carry(acc[I]));
            each!(J => if J != 0 {
                acc[I + J] = _mm512_madd52lo_epu64(acc[I + J], limb, m[0][J].get());
            });
            each!(J => if J != 0 {
                acc[I + J + 1] = _mm512_madd52hi_epu64(acc[I + J + 1], limb, m[0][J].get());
            });
        });
        each!(L => acc[L] = acc[TILE + L]);
        each!(L => acc[TILE + L] = zero);
    }
    let mut over = zero;
    for k in t..2 * t {
        each!(L => acc[L] = _mm512_add_epi64(acc[L], columns[k][L].get()));
        for i in k - t + 1..t {
            let b = load_tile!(&m[k - i]);
            multiply_tile!(acc, &q[i], b);
        }
        each!(L => {
            let column = _mm512_add_epi64(acc[L], over);
            z[k - t][L].set(low(column));
            over = carry(column);
        });
        each!(L => acc[L] = acc[TILE + L]);
        each!(L => acc[TILE + L] = zero);
    }
}
