//! Choosing without telling: every candidate is read, and masks keep the one
//! that is wanted.

use core::arch::x86_64::*;

use super::{
    Block,
    lane::{Lane, TILE, Tile, each, nonzero},
};

/// a ← b in the lanes whose mask is not 0.
#[target_feature(enable = "avx512f")]
pub(super) fn select(a: &mut [Lane], b: &[Lane], masks: &[u64; 8]) {
    let chosen = nonzero(Lane(*masks).get());
    for (a, b) in a.iter_mut().zip(b) {
        a.set(_mm512_mask_mov_epi64(a.get(), chosen, b.get()));
    }
}

/// Lane i of `a` becomes lane i of `table[wanted[i]]`.
#[target_feature(enable = "avx512f")]
pub(super) fn pick(a: &mut [Tile], table: &[Block], wanted: &[u64; 8]) {
    let wanted = Lane(*wanted).get();
    for (at, a) in a.iter_mut().enumerate() {
        // Ten limbs stay in registers while the table goes by.
        let mut chosen = [_mm512_setzero_si512(); TILE];
        for (d, candidate) in table.iter().enumerate() {
            let equal = _mm512_cmpeq_epi64_mask(wanted, _mm512_set1_epi64(d as i64));
            let tile = &candidate.0[at];
            each!(L => chosen[L] = _mm512_mask_mov_epi64(chosen[L], equal, tile[L].get()));
        }
        each!(L => a[L].set(chosen[L]));
    }
}

/// Lane i of `a` becomes row `wanted[i]` of `rows`.
#[target_feature(enable = "avx512f")]
pub(super) fn pick_row(a: &mut [Tile], rows: &[u64], wanted: &[u64; 8]) {
    let wanted = Lane(*wanted).get();
    let stride = TILE * a.len();
    for (at, a) in a.iter_mut().enumerate() {
        let mut chosen = [_mm512_setzero_si512(); TILE];
        for (d, row) in rows.chunks_exact(stride).enumerate() {
            let equal = _mm512_cmpeq_epi64_mask(wanted, _mm512_set1_epi64(d as i64));
            let words: &[u64; TILE] = row[at * TILE..].first_chunk().expect("a whole tile");
            each!(L => {
                chosen[L] = _mm512_mask_set1_epi64(chosen[L], equal, words[L] as i64);
            });
        }
        each!(L => a[L].set(chosen[L]));
    }
}
