//! Ring operations over any kernel: set-up, element-wise products, and the way
//! into and out of Montgomery form, all by products alone. No division occurs,
//! so nothing here depends in time on a secret modulus or residue.

use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use super::{elements::Elements, kernel::Lanes};

/// Least number of products that is worth waking the other threads for.
const PARALLEL_PRODUCTS: usize = 24;

/// Chunks of h limbs in the widest row that is entered without extending the
/// table of constants: 4h for c mod n² entering a ring mod p², and spare.
const READY_CHUNKS: usize = 5;

/// Room for the widest kernel that may come.
pub(super) const MAX_LANES: usize = 16;

/// A ring Z/m² and the constants of one kernel for it.
pub(super) struct Core<K: Lanes> {
    pub(super) k: K,
    /// m in 64-bit limbs.
    pub(super) m: Vec<u64>,
    /// R mod m²: the element 1.
    pub(super) one: Vec<u64>,
    /// The raw row 1, whose product with an element strips the factor R.
    raw_one: Vec<u64>,
    /// B·R mod m² with B = 2^(64h): the element B.
    shift: Vec<u64>,
    /// Row j is B^j·R² mod m²: raw chunk j times this enters chunk·B^j.
    entry: Vec<Vec<u64>>,
}

impl<K: Lanes> Drop for Core<K> {
    fn drop(&mut self) {
        self.m.zeroize();
        self.one.zeroize();
        self.raw_one.zeroize();
        self.shift.zeroize();
        self.entry.zeroize();
    }
}

impl<K: Lanes> Core<K> {
    /// `m` are the limbs that `k` was made for.
    pub(super) fn new(k: K, m: &[u64]) -> Core<K> {
        let h = k.limbs();
        let stride = 2 * k.words();
        let mut unit = vec![0; h];
        unit[0] = 1;
        let mut raw_one = vec![0; stride];
        k.pack(&unit, &vec![0; h], &mut raw_one);

        let row_of = |block: &K::Block| {
            let mut row = vec![0; stride];
            k.scatter(block, &mut row);
            row
        };
        let mut block = k.block();
        k.gather(&mut block, &[&raw_one]);
        let double = |block: &mut K::Block| {
            let copy = block.clone();
            k.add_assign(block, &copy);
        };
        for _ in 0..k.radix_bits() {
            double(&mut block);
        }
        let one = row_of(&block);
        // The element 2^e, from the top bit of e down.
        let power_of_two = |e: u32| {
            let mut acc = block.clone();
            for bit in (0..32).rev() {
                k.sqr_assign(&mut acc);
                if e >> bit & 1 == 1 {
                    double(&mut acc);
                }
            }
            acc
        };
        let shift_block = power_of_two(64 * h as u32);
        let shift = row_of(&shift_block);
        let mut entry_block = power_of_two(k.radix_bits());
        let mut entry = Vec::with_capacity(READY_CHUNKS);
        for _ in 0..READY_CHUNKS {
            entry.push(row_of(&entry_block));
            k.mul_assign(&mut entry_block, &shift_block);
        }
        Core {
            k,
            m: m.to_vec(),
            one,
            raw_one,
            shift,
            entry,
        }
    }

    /// Residues of a block.
    pub(super) fn lanes(&self) -> usize {
        K::LANES
    }

    /// Words of a row.
    pub(super) fn stride(&self) -> usize {
        2 * self.k.words()
    }

    /// A block of one row in every lane.
    pub(super) fn splat(&self, row: &[u64]) -> K::Block {
        let mut block = self.k.block();
        self.k.gather(&mut block, &[row]);
        block
    }

    /// The block of elements `first..first + count`.
    pub(super) fn load(&self, block: &mut K::Block, e: &Elements, first: usize, count: usize) {
        self.load_by(block, count, |lane| e.row(first + lane));
    }

    /// A block of the rows that `row` gives for lanes `0..count`.
    pub(super) fn load_by<'a>(
        &self,
        block: &mut K::Block,
        count: usize,
        row: impl Fn(usize) -> &'a [u64],
    ) {
        const { assert!(K::LANES <= MAX_LANES) };
        let mut rows: [&[u64]; MAX_LANES] = [&[]; MAX_LANES];
        for (lane, slot) in rows[..count].iter_mut().enumerate() {
            *slot = row(lane);
        }
        self.k.gather(block, &rows[..count]);
    }

    /// Makes `count` elements block by block: `f(state, first, out)` fills the
    /// rows of elements `first..`, at most a block of them. `work` is the cost
    /// of a block in products; small jobs stay on this thread.
    pub(super) fn build<S>(
        &self,
        count: usize,
        work: usize,
        state: impl Fn() -> S + Sync,
        f: impl Fn(&mut S, usize, &mut [u64]) + Sync,
    ) -> Elements {
        let mut out = Elements::zeroed(self.stride(), count);
        let chunk = K::LANES * self.stride();
        let blocks = count.div_ceil(K::LANES);
        if blocks < 2 || blocks.saturating_mul(work) < PARALLEL_PRODUCTS {
            let mut s = state();
            for (b, rows) in out.rows.chunks_mut(chunk).enumerate() {
                f(&mut s, b * K::LANES, rows);
            }
        } else {
            // A thread takes at least a few products at a time.
            let least = (PARALLEL_PRODUCTS / 2).div_ceil(work.max(1));
            out.rows
                .par_chunks_mut(chunk)
                .enumerate()
                .with_min_len(least)
                .for_each_init(&state, |s, (b, rows)| f(s, b * K::LANES, rows));
        }
        out
    }

    /// `f` on every block of `a`, in place.
    pub(super) fn map(
        &self,
        a: &Elements,
        work: usize,
        f: impl Fn(&mut K::Block) + Sync,
    ) -> Elements {
        self.check(a);
        self.build(
            a.len(),
            work,
            || self.k.block(),
            |block, first, out| {
                self.load(block, a, first, out.len() / self.stride());
                f(block);
                self.k.scatter(block, out);
            },
        )
    }

    /// `f` on every pair of blocks.
    fn zip(
        &self,
        a: &Elements,
        b: &Elements,
        f: impl Fn(&mut K::Block, &K::Block) + Sync,
    ) -> Elements {
        self.check(a);
        self.check(b);
        assert_eq!(a.len(), b.len(), "vectors of different lengths");
        self.build(
            a.len(),
            1,
            || (self.k.block(), self.k.block()),
            |(x, y), first, out| {
                let count = out.len() / self.stride();
                self.load(x, a, first, count);
                self.load(y, b, first, count);
                f(x, y);
                self.k.scatter(x, out);
            },
        )
    }

    pub(super) fn check(&self, e: &Elements) {
        assert_eq!(e.stride, self.stride(), "elements of another ring");
    }

    pub(super) fn one(&self, count: usize) -> Elements {
        Elements {
            stride: self.stride(),
            rows: self.one.repeat(count),
        }
    }

    pub(super) fn mul(&self, a: &Elements, b: &Elements) -> Elements {
        self.zip(a, b, |x, y| self.k.mul_assign(x, y))
    }

    pub(super) fn square(&self, a: &Elements) -> Elements {
        self.map(a, 1, |x| self.k.sqr_assign(x))
    }

    /// Every element times the same row.
    fn mul_row(&self, a: &Elements, row: &[u64]) -> Elements {
        let row = self.splat(row);
        self.map(a, 1, |x| self.k.mul_assign(x, &row))
    }

    /// Plain digits as raw rows; `u1` empty stands for zeros.
    fn raw(&self, u0: &[u64], u1: &[u64]) -> Elements {
        let h = self.k.limbs();
        assert_eq!(u0.len() % h, 0, "rows must be {h} limbs wide");
        let zeros = vec![0; if u1.is_empty() { h } else { 0 }];
        let mut out = Elements::zeroed(self.stride(), u0.len() / h);
        for (i, row) in out.rows.chunks_mut(self.stride()).enumerate() {
            let d1 = if u1.is_empty() {
                &zeros[..]
            } else {
                &u1[i * h..(i + 1) * h]
            };
            self.k.pack(&u0[i * h..(i + 1) * h], d1, row);
        }
        out
    }

    /// Canonical digits of the rows as they stand, Montgomery form or not.
    fn unpack(&self, e: &Elements) -> (Vec<u64>, Vec<u64>) {
        let h = self.k.limbs();
        let (mut u0, mut u1) = (vec![0; h * e.len()], vec![0; h * e.len()]);
        for (i, row) in e.rows.chunks(self.stride()).enumerate() {
            let at = i * h..(i + 1) * h;
            self.k.unpack(row, &mut u0[at.clone()], &mut u1[at]);
        }
        (u0, u1)
    }

    pub(super) fn enter(&self, rows: &[u64], width: usize) -> Elements {
        assert!(width > 0, "rows must be at least one limb wide");
        assert_eq!(rows.len() % width, 0, "rows must be {width} limbs wide");
        let h = self.k.limbs();
        let stride = self.stride();
        let chunks = width.div_ceil(h);
        let mut constants: Vec<K::Block> = Vec::with_capacity(chunks);
        for j in 0..chunks {
            constants.push(match self.entry.get(j) {
                Some(row) => self.splat(row),
                None => {
                    let mut next = constants[j - 1].clone();
                    self.k.mul_assign(&mut next, &self.splat(&self.shift));
                    next
                }
            });
        }
        let zeros = vec![0; h];
        let out = self.build(
            rows.len() / width,
            chunks,
            || {
                let raw = Zeroizing::new(vec![0; stride * K::LANES]);
                let chunk = Zeroizing::new(vec![0; h]);
                (
                    raw,
                    chunk,
                    Zeroizing::new(self.k.block()),
                    Zeroizing::new(self.k.block()),
                )
            },
            |(raw, chunk, sum, term), first, out| {
                let count = out.len() / stride;
                for (j, constant) in constants.iter().enumerate() {
                    for (lane, raw) in raw.chunks_mut(stride).take(count).enumerate() {
                        let row = &rows[(first + lane) * width..(first + lane + 1) * width];
                        let part = &row[j * h..width.min((j + 1) * h)];
                        chunk[..part.len()].copy_from_slice(part);
                        chunk[part.len()..].fill(0);
                        self.k.pack(chunk, &zeros, raw);
                    }
                    let raw = &raw[..];
                    let into: &mut K::Block = if j == 0 { sum } else { term };
                    self.load_by(into, count, |lane| &raw[lane * stride..(lane + 1) * stride]);
                    self.k.mul_assign(into, constant);
                    if j > 0 {
                        self.k.add_assign(sum, term);
                    }
                }
                self.k.scatter(sum, out);
            },
        );
        constants.zeroize();
        out
    }

    pub(super) fn leave(&self, e: &Elements) -> Vec<u64> {
        let h = self.k.limbs();
        let (u0, u1) = self.digits(e);
        let (u0, u1) = (Zeroizing::new(u0), Zeroizing::new(u1));
        let mut out = vec![0; 2 * h * e.len()];
        for (i, row) in out.chunks_mut(2 * h).enumerate() {
            row[..h].copy_from_slice(&u0[i * h..(i + 1) * h]);
            for (a, &digit) in u1[i * h..(i + 1) * h].iter().enumerate() {
                let mut carry = 0u64;
                for (r, &m) in row[a..].iter_mut().zip(&self.m) {
                    let t = *r as u128 + digit as u128 * m as u128 + carry as u128;
                    (*r, carry) = (t as u64, (t >> 64) as u64);
                }
                // Row a ends where nothing has been written yet.
                row[a + h] = carry;
            }
        }
        out
    }

    pub(super) fn join_digits(&self, u0: &[u64], u1: &[u64]) -> Elements {
        let h = self.k.limbs();
        assert_eq!(u0.len(), u1.len(), "as many first as second digits");
        for digit in u0.chunks(h).chain(u1.chunks(h)) {
            assert!(
                self.below_modulus(digit),
                "a digit is not below the modulus"
            );
        }
        let raw = Zeroizing::new(self.raw(u0, u1));
        self.mul_row(&raw, &self.entry[0])
    }

    pub(super) fn digits(&self, e: &Elements) -> (Vec<u64>, Vec<u64>) {
        let plain = Zeroizing::new(self.mul_row(e, &self.raw_one));
        self.unpack(&plain)
    }

    pub(super) fn mul_one_plus(&self, rho: &Elements, m_rows: &[u64]) -> Elements {
        let h = self.k.limbs();
        assert_eq!(m_rows.len(), h * rho.len(), "one row for each element");
        let mut ones = vec![0; m_rows.len()];
        for row in ones.chunks_mut(h) {
            row[0] = 1;
        }
        let factor = Zeroizing::new(self.join_digits(&ones, m_rows));
        self.mul(rho, &factor)
    }

    pub(super) fn mul_mod(&self, a: &[u64], b: &[u64]) -> Vec<u64> {
        assert_eq!(a.len(), b.len(), "vectors of different lengths");
        // Digit 0 of a row is the residue modulo m; digit 1 is not looked at.
        let a = Zeroizing::new(self.raw(a, &[]));
        let entered = Zeroizing::new(self.mul_row(&a, &self.entry[0]));
        let b = Zeroizing::new(self.raw(b, &[]));
        let product = Zeroizing::new(self.mul(&entered, &b));
        self.unpack(&product).0
    }

    /// Whether a row of h limbs is below m, in constant time.
    fn below_modulus(&self, digit: &[u64]) -> bool {
        let mut borrow = 0u64;
        for (&d, &m) in digit.iter().zip(&self.m) {
            let t = (d as u128)
                .wrapping_sub(m as u128)
                .wrapping_sub(borrow as u128);
            borrow = (t >> 127) as u64;
        }
        borrow == 1
    }
}
