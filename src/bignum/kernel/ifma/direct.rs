//! Products of digits, every tile with every tile. Ten columns are finished
//! before the next are begun. Their bounds are within those of `product`.

use core::arch::x86_64::*;

use super::lane::{
    Lane, TILE, Tile, cross_products, double, each, load_tile, multiply_tile, squares,
};

/// out ← Σ a·b over `factors`; columns not carried. Factors have n tiles, `out`
/// 2n.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn multiply<const N: usize>(factors: [(&[Tile], &[Tile]); N], out: &mut [Tile]) {
    let n = out.len() / 2;
    let mut acc = [_mm512_setzero_si512(); 2 * TILE];
    for (k, out) in out.iter_mut().enumerate() {
        for (a, b) in &factors {
            for i in (k + 1).saturating_sub(n)..n.min(k + 1) {
                let b = load_tile!(&b[k - i]);
                multiply_tile!(acc, &a[i], b);
            }
        }
        each!(L => {
            out[L].set(acc[L]);
            acc[L] = acc[TILE + L];
            acc[TILE + L] = _mm512_setzero_si512();
        });
    }
}

/// out ← a²: each product of two limbs is made once and doubled.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn square(a: &[Tile], out: &mut [Tile]) {
    let n = a.len();
    let mut rest = [Lane::default(); TILE];
    for (k, out) in out.iter_mut().enumerate() {
        let mut acc = [_mm512_setzero_si512(); 2 * TILE];
        for i in (k + 1).saturating_sub(n)..k.div_ceil(2) {
            let b = load_tile!(&a[k - i]);
            multiply_tile!(acc, &a[i], b);
        }
        let middle = k.is_multiple_of(2).then(|| &a[k / 2]);
        if let Some(tile) = middle {
            let limbs = load_tile!(tile);
            cross_products!(acc, limbs);
        }
        double!(acc);
        if let Some(tile) = middle {
            squares!(acc, tile);
        }
        each!(L => {
            out[L].set(_mm512_add_epi64(acc[L], rest[L].get()));
            rest[L].set(acc[TILE + L]);
        });
    }
}
