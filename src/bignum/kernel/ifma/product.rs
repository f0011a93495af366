//! Products of digits, tile by tile, with Karatsuba's trick between tiles.
//!
//! A digit is t tiles a_i in base B = 2^520. For i < j
//!
//! ```text
//! a_i·b_j + a_j·b_i = (a_i + a_j)·(b_i + b_j) − a_i·b_i − a_j·b_j
//! ```
//!
//! so t(t+1)/2 tile products replace t². The sums and differences cost time
//! too, most of all where they are stored: short digits are multiplied tile by
//! tile (`direct`). Measured on Zen 4, where a 512-bit store takes two cycles
//! and `vpmadd52` one, Karatsuba's trick within tiles, or between halves of a
//! digit, gained nothing over this.
//!
//! # No column overflows
//!
//! Columns are 64-bit sums of halves of products, each half below 2^52, and are
//! carried only at the end. Sums are exact modulo 2^64, so what happens on the
//! way is harmless; a finished column must fit, read as a signed number. In
//! units of 2^52:
//! - a tile product adds at most 20 halves to a column, and overflow bits of
//!   its factors at most 2 limbs;
//! - a block of ten columns receives the lower columns of at most t/2 pairs and
//!   the upper ones of as many: less than 22·t;
//! - the diagonals taken away are t times two tiles at most: 40·t; the one
//!   given back counts twice: 40;
//! - so a product stays within ±(40·t + 40), a sum of two or a doubled one
//!   within ±(80·t + 80);
//! - reduction adds 10·t products, 20·t halves, takes away a limb and passes a
//!   carry below 2^12.
//!
//! Together below (100·t + 82)·2^52, which is less than 2^63 for t up to
//! [`MAX_TILES`].

use core::arch::x86_64::*;

use super::lane::{
    BITS, Lane, TILE, Tile, cross_products, double, each, load_tile, low, multiply_tile, nonzero,
    squares,
};

/// Most tiles of a digit for which the bound above holds.
pub(super) const MAX_TILES: usize = 19;
const _: () = assert!(100 * MAX_TILES + 82 < 1 << 11);

/// a_i + a_j as ten limbs and, in the last, 0 or 1 that did not fit.
pub(super) type Sum = [Lane; TILE + 1];

/// Pairs i < j of t tiles.
pub(super) const fn pairs(t: usize) -> usize {
    t * (t - 1) / 2
}

/// Where the pair i < j stands among the sums.
fn pair(i: usize, j: usize) -> usize {
    j * (j - 1) / 2 + i
}

/// Pairs i < j below t with i + j = b.
fn pairs_of(b: usize, t: usize) -> impl Iterator<Item = usize> {
    ((b + 1).saturating_sub(t)..b.div_ceil(2)).map(move |i| pair(i, b - i))
}

/// A digit with its sums of pairs.
#[derive(Clone, Copy)]
pub(super) struct Digit<'a> {
    pub(super) tiles: &'a [Tile],
    pub(super) sums: &'a [Sum],
}

impl<'a> Digit<'a> {
    /// Fills `sums`, one for each pair of `tiles`.
    #[target_feature(enable = "avx512f")]
    pub(super) fn new(tiles: &'a [Tile], sums: &'a mut [Sum]) -> Digit<'a> {
        for (j, b) in tiles.iter().enumerate() {
            for (a, sum) in tiles[..j].iter().zip(&mut sums[pair(0, j.max(1))..]) {
                let mut over = _mm512_setzero_si512();
                each!(L => {
                    let s = _mm512_add_epi64(_mm512_add_epi64(a[L].get(), b[L].get()), over);
                    sum[L].set(low(s));
                    over = _mm512_srli_epi64::<BITS>(s);
                });
                sum[TILE].set(over);
            }
        }
        Digit { tiles, sums }
    }
}

/// Columns of a product, block by block: those of the pairs, which `$pairs`
/// adds to `$acc` (and what exceeds it to `$over`), minus running sums of the
/// diagonals, plus twice the diagonal of the block itself.
macro_rules! blocks {
    ($t:expr, $diagonal:expr, $out:expr, $shift:expr, |$acc:ident, $over:ident, $b:ident| $pairs:block) => {
        let (t, diagonal, out): (usize, &[Tile], &mut [Tile]) = ($t, $diagonal, $out);
        let mut running = [Lane::default(); TILE];
        let mut $acc = [_mm512_setzero_si512(); 2 * TILE];
        // What exceeds a pair's 20 columns belongs two blocks on.
        let mut due = _mm512_setzero_si512();
        let mut next = _mm512_setzero_si512();
        for $b in 0..2 * t {
            let mut $over = _mm512_setzero_si512();
            $pairs
            $acc[0] = _mm512_add_epi64($acc[0], due);
            (due, next) = (next, $over);
            // Columns b of Σ D_i·B^i: the lower half of D_b, the upper of
            // D_(b−1); and those that leave the window of t blocks.
            let parts = |b: usize, l: usize| {
                let mut f = _mm512_setzero_si512();
                if b < t {
                    f = diagonal[2 * b][l].get();
                }
                if b > 0 && b <= t {
                    f = _mm512_add_epi64(f, diagonal[2 * b - 1][l].get());
                }
                f
            };
            each!(L => {
                let mut g = running[L].get();
                if $b <= t {
                    g = _mm512_add_epi64(g, parts($b, L));
                }
                if $b >= t {
                    g = _mm512_sub_epi64(g, parts($b - t, L));
                }
                running[L].set(g);
                let twice = _mm512_slli_epi64::<1>(diagonal[$b][L].get());
                let column = _mm512_sub_epi64(_mm512_add_epi64($acc[L], twice), g);
                out[$b][L].set(_mm512_slli_epi64::<$shift>(column));
                $acc[L] = $acc[TILE + L];
                $acc[TILE + L] = _mm512_setzero_si512();
            });
        }
    };
}

/// out ← Σ a·b over `factors`, times 2^`SHIFT` (0 or 1); columns not carried.
/// `out` and `diagonal`, which is overwritten, have 2t tiles.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn multiply<const N: usize, const SHIFT: u32>(
    factors: [(Digit<'_>, Digit<'_>); N],
    diagonal: &mut [Tile],
    out: &mut [Tile],
) {
    for (i, halves) in diagonal.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let mut acc = [_mm512_setzero_si512(); 2 * TILE];
        for (a, b) in &factors {
            let b = load_tile!(&b.tiles[i]);
            multiply_tile!(acc, &a.tiles[i], b);
        }
        each!(L => halves[0][L].set(acc[L]));
        each!(L => halves[1][L].set(acc[TILE + L]));
    }
    let t = out.len() / 2;
    blocks!(t, diagonal, out, SHIFT, |acc, over, b| {
        for p in pairs_of(b, t) {
            for (x, y) in &factors {
                let (x, y) = (&x.sums[p], &y.sums[p]);
                let (over_x, over_y) = (nonzero(x[TILE].get()), nonzero(y[TILE].get()));
                let one = _mm512_set1_epi64(1);
                over = _mm512_mask_add_epi64(over, over_x & over_y, over, one);
                let y = load_tile!(y.first_chunk().expect("eleven lanes"));
                each!(L => {
                    acc[TILE + L] = _mm512_mask_add_epi64(acc[TILE + L], over_x, acc[TILE + L], y[L]);
                });
                each!(I => {
                    let limb = x[I].get();
                    acc[TILE + I] = _mm512_mask_add_epi64(acc[TILE + I], over_y, acc[TILE + I], limb);
                    each!(J => acc[I + J] = _mm512_madd52lo_epu64(acc[I + J], limb, y[J]));
                    each!(J => acc[I + J + 1] = _mm512_madd52hi_epu64(acc[I + J + 1], limb, y[J]));
                });
            }
        }
    });
}

/// out ← a²: each product of two limbs of a tile is made once and doubled.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn square(a: Digit<'_>, diagonal: &mut [Tile], out: &mut [Tile]) {
    let halves = diagonal.as_chunks_mut::<2>().0;
    for (tile, halves) in a.tiles.iter().zip(halves) {
        let mut acc = [_mm512_setzero_si512(); 2 * TILE];
        let limbs = load_tile!(tile);
        cross_products!(acc, limbs);
        double!(acc);
        squares!(acc, tile);
        each!(L => halves[0][L].set(acc[L]));
        each!(L => halves[1][L].set(acc[TILE + L]));
    }
    let t = out.len() / 2;
    blocks!(t, diagonal, out, 0, |acc, over, b| {
        let mut own = [_mm512_setzero_si512(); 2 * TILE];
        for p in pairs_of(b, t) {
            let sum = &a.sums[p];
            let limbs = load_tile!(sum.first_chunk().expect("eleven lanes"));
            cross_products!(own, limbs);
            // (s + B)² = s² + 2·s·B + B²; the doubling is still to come.
            let over_s = nonzero(sum[TILE].get());
            each!(L => {
                own[TILE + L] = _mm512_mask_add_epi64(own[TILE + L], over_s, own[TILE + L], limbs[L]);
            });
            over = _mm512_add_epi64(over, sum[TILE].get());
        }
        double!(own);
        for p in pairs_of(b, t) {
            squares!(own, &a.sums[p]);
        }
        each!(L => acc[L] = _mm512_add_epi64(acc[L], own[L]));
        each!(L => acc[TILE + L] = own[TILE + L]);
    });
}
