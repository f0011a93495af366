//! Between rows (one number after the other) and lanes (one limb after the
//! other), eight words of eight numbers at a time.

use core::arch::x86_64::*;

use super::lane::Lane;

/// lanes\[w\] holds word w of each row. All rows have `lanes.len()` words, at
/// least eight.
#[target_feature(enable = "avx512f")]
pub(super) fn gather(rows: &[&[u64]; 8], lanes: &mut [Lane]) {
    let words = lanes.len();
    assert!(words >= 8 && rows.iter().all(|row| row.len() == words));
    for at in starts(words) {
        let mut square = [_mm512_setzero_si512(); 8];
        for (line, row) in square.iter_mut().zip(rows) {
            let part = &row[at..at + 8];
            // SAFETY: `part` is 64 readable bytes; no alignment is asked for.
            *line = unsafe { _mm512_loadu_si512(part.as_ptr().cast()) };
        }
        let square = transpose(square);
        for (lane, line) in lanes[at..at + 8].iter_mut().zip(square) {
            lane.set(line);
        }
    }
}

/// The inverse of [`gather`] for the first lanes: `out` holds 1 to 8 rows of
/// `lanes.len()` words.
#[target_feature(enable = "avx512f")]
pub(super) fn scatter(lanes: &[Lane], out: &mut [u64]) {
    let words = lanes.len();
    assert!(words >= 8);
    for at in starts(words) {
        let mut square = [_mm512_setzero_si512(); 8];
        for (line, lane) in square.iter_mut().zip(&lanes[at..at + 8]) {
            *line = lane.get();
        }
        let square = transpose(square);
        for (row, line) in out.chunks_exact_mut(words).zip(square) {
            let part = &mut row[at..at + 8];
            // SAFETY: `part` is 64 writable bytes; no alignment is asked for.
            unsafe { _mm512_storeu_si512(part.as_mut_ptr().cast(), line) };
        }
    }
}

/// Where groups of eight begin; the last one overlaps if eight does not divide
/// the row.
fn starts(words: usize) -> impl Iterator<Item = usize> {
    (0..words / 8)
        .map(|i| 8 * i)
        .chain((!words.is_multiple_of(8)).then(|| words - 8))
}

/// 8×8 words: 1×1, then 2×2, then 4×4 blocks change places.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(r: [__m512i; 8]) -> [__m512i; 8] {
    let pair = |a, b| (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let (a0, a1) = pair(r[0], r[1]);
    let (a2, a3) = pair(r[2], r[3]);
    let (a4, a5) = pair(r[4], r[5]);
    let (a6, a7) = pair(r[6], r[7]);
    // Lanes 0 and 2 (of four 128-bit lanes) of both, then 1 and 3.
    let quad = |a, b| {
        (
            _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b),
        )
    };
    let (b0, b1) = quad(a0, a2);
    let (b2, b3) = quad(a1, a3);
    let (b4, b5) = quad(a4, a6);
    let (b6, b7) = quad(a5, a7);
    let (c0, c4) = quad(b0, b4);
    let (c1, c5) = quad(b2, b6);
    let (c2, c6) = quad(b1, b5);
    let (c3, c7) = quad(b3, b7);
    [c0, c1, c2, c3, c4, c5, c6, c7]
}
