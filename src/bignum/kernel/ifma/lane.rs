//! One 52-bit limb of eight numbers, and the few instructions that act on it.

use core::arch::x86_64::*;

use zeroize::Zeroize;

/// Bits of a limb.
pub(super) const BITS: u32 = 52;

/// A full limb.
pub(super) const MASK: u64 = (1 << BITS) - 1;

/// Limbs of a tile.
pub(super) const TILE: usize = 10;

/// One limb of eight numbers, a number in each 64-bit lane: an AVX-512 register
/// as it lies in memory.
#[derive(Clone, Copy, Default, Zeroize)]
#[repr(C, align(64))]
pub(super) struct Lane(pub(super) [u64; 8]);

/// Ten limbs: what the kernel multiplies at a time.
pub(super) type Tile = [Lane; TILE];

impl Lane {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn get(&self) -> __m512i {
        // SAFETY: a `Lane` is 64 initialised bytes, aligned to 64 (repr above).
        unsafe { _mm512_load_si512(self.0.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn set(&mut self, value: __m512i) {
        // SAFETY: a `Lane` is 64 writable bytes, aligned to 64 (repr above).
        unsafe { _mm512_store_si512(self.0.as_mut_ptr().cast(), value) }
    }

    /// The same word in all lanes.
    pub(super) fn splat(word: u64) -> Lane {
        Lane([word; 8])
    }
}

/// The lower 52 bits of each lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn low(x: __m512i) -> __m512i {
    _mm512_and_si512(x, _mm512_set1_epi64(MASK as i64))
}

/// What a column passes on to the next: its bits from 52 up, with its sign.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn carry(x: __m512i) -> __m512i {
    _mm512_srai_epi64::<BITS>(x)
}

/// The lanes that are not 0.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn nonzero(x: __m512i) -> __mmask8 {
    _mm512_test_epi64_mask(x, x)
}

/// Runs a statement for each limb of a tile, with the index a constant: the
/// accumulators stay in registers only if every index is one.
macro_rules! each {
    ($i:ident => $body:expr) => {
        each!(@ $i, $body, 0 1 2 3 4 5 6 7 8 9)
    };
    (@ $i:ident, $body:expr, $($n:literal)*) => {
        $({
            const $i: usize = $n;
            $body;
        })*
    };
}
pub(super) use each;

/// acc\[i + j\] += a\[i\]·b\[j\] for a tile of each; `b` in registers. The lower
/// halves of the products go to column i + j, the upper to the next.
macro_rules! multiply_tile {
    ($acc:ident, $a:expr, $b:ident) => {
        let a: &Tile = $a;
        each!(I => {
            let limb = a[I].get();
            each!(J => $acc[I + J] = _mm512_madd52lo_epu64($acc[I + J], limb, $b[J]));
            each!(J => $acc[I + J + 1] = _mm512_madd52hi_epu64($acc[I + J + 1], limb, $b[J]));
        });
    };
}
pub(super) use multiply_tile;

/// A tile in registers.
macro_rules! load_tile {
    ($tile:expr) => {{
        let tile: &Tile = $tile;
        [
            tile[0].get(),
            tile[1].get(),
            tile[2].get(),
            tile[3].get(),
            tile[4].get(),
            tile[5].get(),
            tile[6].get(),
            tile[7].get(),
            tile[8].get(),
            tile[9].get(),
        ]
    }};
}
pub(super) use load_tile;

/// acc\[i + j\] += a\[i\]·a\[j\] for i < j.
macro_rules! cross_products {
    ($acc:ident, $a:ident) => {
        each!(I => each!(J => if I < J {
            $acc[I + J] = _mm512_madd52lo_epu64($acc[I + J], $a[I], $a[J]);
        }));
        each!(I => each!(J => if I < J {
            $acc[I + J + 1] = _mm512_madd52hi_epu64($acc[I + J + 1], $a[I], $a[J]);
        }));
    };
}
pub(super) use cross_products;

/// acc\[2i\] += a\[i\]².
macro_rules! squares {
    ($acc:ident, $a:expr) => {
        each!(I => {
            let limb = $a[I].get();
            $acc[2 * I] = _mm512_madd52lo_epu64($acc[2 * I], limb, limb);
            $acc[2 * I + 1] = _mm512_madd52hi_epu64($acc[2 * I + 1], limb, limb);
        });
    };
}
pub(super) use squares;

/// acc ← 2·acc.
macro_rules! double {
    ($acc:ident) => {
        each!(L => $acc[L] = _mm512_add_epi64($acc[L], $acc[L]));
        each!(L => $acc[TILE + L] = _mm512_add_epi64($acc[TILE + L], $acc[TILE + L]));
    };
}
pub(super) use double;
