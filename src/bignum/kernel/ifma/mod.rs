//! The AVX-512 IFMA kernel: eight residues at a time, a number in each lane.
//!
//! Digits are numbers of H limbs of 52 bits, H a multiple of ten, and
//! R = 2^(52·H). Limb i of all eight numbers is one [`Lane`], ten of those a
//! [`Tile`], and a block the t = H/10 tiles of digit 0, then those of digit 1.
//! `vpmadd52` multiplies limbs of eight numbers and adds the lower or upper
//! half of the products to 64-bit columns.
//!
//! # Bounds
//!
//! H is chosen so that R ≥ 2^(64h + 6), hence 64·m < R. A *reduced* digit is
//! below 4m. Nothing has to be subtracted after a product:
//!
//! ```text
//! z0 = (x0·y0 + q·m)/R             < 16·m²/R + m ≤ 1.25·m
//! z1 = (x0·y1 + x1·y0 − q + q'·m)/R < 32·m²/R + m ≤ 1.5·m
//! ```
//!
//! and z1 ≥ 0, because it is an integer above −q/R > −1. With a raw factor
//! (x0 below 2^(64h) ≤ R/64, x1 = 0; or both below m) the first terms are at
//! most 4m/64 each. So products are below 2m, and their sums below 4m.
//!
//! Every operation takes the same instructions and addresses whatever the
//! numbers are.

mod add;
mod direct;
mod lane;
mod pick;
mod product;
mod reduce;
mod rows;
mod transpose;

use core::arch::x86_64::*;
use std::cell::RefCell;

use zeroize::{Zeroize, ZeroizeOnDrop};

use self::{
    lane::{BITS, Lane, MASK, TILE, Tile},
    product::{Digit, MAX_TILES, Sum, pairs},
};
use super::{Lanes, limbs::negative_inverse};

/// Fewest tiles of a digit for which Karatsuba's trick saves time in a product,
/// and in a square.
const KARATSUBA_PRODUCT: usize = 3;
const KARATSUBA_SQUARE: usize = 4;

/// Bits that R has more than 64h, at least.
const SPARE: usize = 6;

/// Whether this processor has the instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

/// Modulus and Montgomery constant; secret for a ring over p, so zeroised.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in crate::bignum) struct Ifma {
    /// 64-bit limbs of m.
    limbs: usize,
    /// m and 2m in h + 1 limbs.
    m1: Vec<u64>,
    m2: Vec<u64>,
    /// m in every lane.
    m: Vec<Tile>,
    /// 4m in every lane.
    m4: Vec<Tile>,
    /// −m⁻¹ mod 2^52.
    k0: Lane,
}

/// Tiles of a digit modulo an m of h limbs.
fn tiles(h: usize) -> usize {
    (64 * h + SPARE).div_ceil(BITS as usize * TILE)
}

impl Ifma {
    /// Whether moduli of h limbs are short enough for the columns not to
    /// overflow.
    pub(in crate::bignum) fn takes(h: usize) -> bool {
        tiles(h) <= MAX_TILES
    }

    /// `m` odd, its top limb not 0.
    ///
    /// # Panics
    /// If the processor has no IFMA or m is too long; the caller asks first.
    pub(in crate::bignum) fn new(m: &[u64]) -> Ifma {
        // All unsafe calls below rely on this.
        assert!(available(), "no AVX-512 IFMA");
        assert!(Ifma::takes(m.len()), "the modulus is too long");
        let shifted = |by: u32| {
            let mut wide = m.to_vec();
            wide.push(0);
            for i in (0..wide.len()).rev() {
                let below = if i > 0 { wide[i - 1] } else { 0 };
                wide[i] = ((wide[i] as u128) << by) as u64 | ((below as u128) << by >> 64) as u64;
            }
            wide
        };
        let spread = |limbs: &[u64]| {
            let mut words = vec![0; TILE * tiles(m.len())];
            rows::to_words(limbs, &mut words);
            let lanes: Vec<Lane> = words.iter().map(|&w| Lane::splat(w)).collect();
            words.zeroize();
            lanes.as_chunks().0.to_vec()
        };
        let mut m4 = shifted(2);
        let kernel = Ifma {
            limbs: m.len(),
            m1: shifted(0),
            m2: shifted(1),
            m: spread(m),
            m4: spread(&m4),
            k0: Lane::splat(negative_inverse(m[0]) & MASK),
        };
        m4.zeroize();
        kernel
    }
}

/// Eight residues, lane-major: t tiles of digit 0, t tiles of digit 1.
#[derive(Clone, Zeroize)]
pub(in crate::bignum) struct Block(Vec<Tile>);

/// Intermediate values of a product. One for each thread, kept from product to
/// product; wiped when it grows and when its thread ends.
#[derive(Default)]
struct Scratch {
    sums: Vec<Sum>,
    tiles: Vec<Tile>,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.sums.zeroize();
        self.tiles.zeroize();
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// Room for digits of t tiles.
    fn fit(&mut self, t: usize) {
        if self.tiles.len() < 7 * t {
            *self = Scratch {
                sums: vec![[Lane::default(); TILE + 1]; 4 * pairs(t)],
                tiles: vec![[Lane::default(); TILE]; 7 * t],
            };
        }
    }
}

impl Lanes for Ifma {
    const LANES: usize = 8;
    type Block = Block;

    fn limbs(&self) -> usize {
        self.limbs
    }

    fn words(&self) -> usize {
        TILE * self.m.len()
    }

    fn radix_bits(&self) -> u32 {
        BITS * self.words() as u32
    }

    fn pack(&self, u0: &[u64], u1: &[u64], row: &mut [u64]) {
        let (r0, r1) = row.split_at_mut(self.words());
        rows::to_words(u0, r0);
        rows::to_words(u1, r1);
    }

    fn unpack(&self, row: &[u64], u0: &mut [u64], u1: &mut [u64]) {
        rows::canonical(row, &self.m1, &self.m2, u0, u1);
    }

    fn block(&self) -> Block {
        Block(vec![[Lane::default(); TILE]; 2 * self.m.len()])
    }

    fn gather(&self, block: &mut Block, rows: &[&[u64]]) {
        let mut all = [rows[0]; 8];
        all[..rows.len()].copy_from_slice(rows);
        // SAFETY: `Ifma::new` found AVX-512F.
        unsafe { transpose::gather(&all, block.0.as_flattened_mut()) };
    }

    fn prefetch(&self, row: &[u64]) {
        for line in row.chunks(8) {
            // SAFETY: a hint, which every x86-64 has; the address is in `row`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }

    fn scatter(&self, block: &Block, out: &mut [u64]) {
        // SAFETY: `Ifma::new` found AVX-512F.
        unsafe { transpose::scatter(block.0.as_flattened(), out) };
    }

    fn mul_assign(&self, a: &mut Block, b: &Block) {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.fit(self.m.len());
            // SAFETY: `Ifma::new` found AVX-512F and IFMA.
            unsafe { self.product(&mut a.0, &b.0, scratch) };
        });
    }

    fn sqr_assign(&self, a: &mut Block) {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.fit(self.m.len());
            // SAFETY: `Ifma::new` found AVX-512F and IFMA.
            unsafe { self.square(&mut a.0, scratch) };
        });
    }

    fn add_assign(&self, a: &mut Block, b: &Block) {
        // SAFETY: `Ifma::new` found AVX-512F.
        unsafe { add::add_assign(&mut a.0, &b.0, &self.m4) };
    }

    fn select(&self, a: &mut Block, b: &Block, masks: &[u64]) {
        let masks = masks.first_chunk().expect("a mask for each lane");
        // SAFETY: `Ifma::new` found AVX-512F.
        unsafe { pick::select(a.0.as_flattened_mut(), b.0.as_flattened(), masks) };
    }

    fn pick(&self, a: &mut Block, table: &[Block], wanted: &[u64]) {
        let wanted = wanted.first_chunk().expect("an index for each lane");
        // SAFETY: `Ifma::new` found AVX-512F.
        unsafe { pick::pick(&mut a.0, table, wanted) };
    }

    fn pick_row(&self, a: &mut Block, rows: &[u64], wanted: &[u64]) {
        let wanted = wanted.first_chunk().expect("an index for each lane");
        // SAFETY: `Ifma::new` found AVX-512F.
        unsafe { pick::pick_row(&mut a.0, rows, wanted) };
    }
}

impl Ifma {
    /// x ← x·y·R⁻¹.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn product(&self, x: &mut [Tile], y: &[Tile], scratch: &mut Scratch) {
        let t = self.m.len();
        let (diagonal, rest) = scratch.tiles[..7 * t].split_at_mut(2 * t);
        let (columns, rest) = rest.split_at_mut(2 * t);
        let (cross, q) = rest.split_at_mut(2 * t);
        let (sx0, rest) = scratch.sums[..4 * pairs(t)].split_at_mut(pairs(t));
        let (sx1, rest) = rest.split_at_mut(pairs(t));
        let (sy0, sy1) = rest.split_at_mut(pairs(t));

        let (x0, x1) = x.split_at_mut(t);
        let (y0, y1) = y.split_at(t);
        if t < KARATSUBA_PRODUCT {
            direct::multiply([(&*x0, y0)], columns);
            direct::multiply([(&*x0, y1), (&*x1, y0)], cross);
        } else {
            let (x0, x1) = (Digit::new(x0, sx0), Digit::new(x1, sx1));
            let (y0, y1) = (Digit::new(y0, sy0), Digit::new(y1, sy1));
            product::multiply::<1, 0>([(x0, y0)], diagonal, columns);
            product::multiply::<2, 0>([(x0, y1), (x1, y0)], diagonal, cross);
        }
        self.close(columns, cross, q, x0, x1);
    }

    /// x ← x·x·R⁻¹.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn square(&self, x: &mut [Tile], scratch: &mut Scratch) {
        let t = self.m.len();
        let (diagonal, rest) = scratch.tiles[..7 * t].split_at_mut(2 * t);
        let (columns, rest) = rest.split_at_mut(2 * t);
        let (cross, q) = rest.split_at_mut(2 * t);
        let (s0, s1) = scratch.sums[..2 * pairs(t)].split_at_mut(pairs(t));

        let (x0, x1) = x.split_at_mut(t);
        if t < KARATSUBA_SQUARE {
            direct::square(x0, columns);
            direct::multiply([(&*x0, &*x1)], cross);
            for c in cross.as_flattened_mut() {
                c.set(_mm512_slli_epi64::<1>(c.get()));
            }
        } else {
            let (x0, x1) = (Digit::new(x0, s0), Digit::new(x1, s1));
            product::square(x0, diagonal, columns);
            product::multiply::<1, 1>([(x0, x1)], diagonal, cross);
        }
        self.close(columns, cross, q, x0, x1);
    }

    /// z0 ← REDC(columns), with quotient q; z1 ← REDC(cross − q).
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn close(
        &self,
        columns: &[Tile],
        cross: &mut [Tile],
        q: &mut [Tile],
        z0: &mut [Tile],
        z1: &mut [Tile],
    ) {
        reduce::reduce(columns, &self.m, &self.k0, q, z0);
        for (c, q) in cross.as_flattened_mut().iter_mut().zip(q.as_flattened()) {
            c.set(_mm512_sub_epi64(c.get(), q.get()));
        }
        reduce::reduce(cross, &self.m, &self.k0, q, z1);
    }
}
