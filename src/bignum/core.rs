//! Ring operations over any kernel: set-up, element-wise products, and the way
//! into and out of Montgomery form, all by products alone. No division occurs,
//! so nothing here depends in time on a secret modulus or residue.

use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use super::{
    elements::Elements,
    kernel::{Lanes, add_product},
};

/// Least number of products that is worth waking the other threads for.
pub(super) const PARALLEL_PRODUCTS: usize = 12;

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

/// What a thread needs between plain digits and blocks; wiped when dropped.
struct Room<K: Lanes> {
    /// Both digits of a row.
    digits: Zeroizing<Vec<u64>>,
    /// The rows of a block.
    rows: Zeroizing<Vec<u64>>,
    block: Zeroizing<K::Block>,
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
        let double = |block: &mut K::Block| {
            let copy = block.clone();
            k.add_assign(block, &copy);
        };
        // R mod m², by doubling the highest power of two below m.
        let top = super::power::bit_length(m) - 1;
        let mut power = vec![0; h];
        power[top / 64] = 1 << (top % 64);
        let mut row = vec![0; stride];
        k.pack(&power, &vec![0; h], &mut row);
        k.gather(&mut block, &[&row]);
        for _ in top..k.radix_bits() as usize {
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

    /// Makes `count` elements block by block: [`Core::fill`] on rows of this
    /// ring.
    pub(super) fn build<S>(
        &self,
        count: usize,
        work: usize,
        state: impl Fn() -> S + Sync,
        f: impl Fn(&mut S, usize, &mut [u64]) + Sync,
    ) -> Elements {
        let mut out = Elements::zeroed(self.stride(), count);
        self.fill(&mut out.rows, self.stride(), work, state, f);
        out
    }

    /// Fills `out`, rows of `width` words, a block of rows at a time: `f(state,
    /// first, rows)` fills rows `first..`, at most a block of them. `work` is
    /// the cost of a block in products; small jobs stay on this thread.
    pub(super) fn fill<S>(
        &self,
        out: &mut [u64],
        width: usize,
        work: usize,
        state: impl Fn() -> S + Sync,
        f: impl Fn(&mut S, usize, &mut [u64]) + Sync,
    ) {
        if out.is_empty() {
            // Nothing to make room for.
            return;
        }
        let chunk = K::LANES * width;
        let blocks = out.len().div_ceil(chunk);
        if blocks < 2 || blocks.saturating_mul(work) < PARALLEL_PRODUCTS {
            let mut s = state();
            for (b, rows) in out.chunks_mut(chunk).enumerate() {
                f(&mut s, b * K::LANES, rows);
            }
        } else {
            // A thread takes at least a few products at a time.
            let least = (PARALLEL_PRODUCTS / 2).div_ceil(work.max(1));
            out.par_chunks_mut(chunk)
                .enumerate()
                .with_min_len(least)
                .for_each_init(&state, |s, (b, rows)| f(s, b * K::LANES, rows));
        }
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
            rows: self.one.repeat(count).into(),
        }
    }

    pub(super) fn mul(&self, a: &Elements, b: &Elements) -> Elements {
        self.zip(a, b, |x, y| self.k.mul_assign(x, y))
    }

    pub(super) fn square(&self, a: &Elements) -> Elements {
        self.map(a, 1, |x| self.k.sqr_assign(x))
    }

    /// Room between plain digits and blocks.
    fn room(&self) -> Room<K> {
        Room {
            digits: Zeroizing::new(vec![0; 2 * self.k.limbs()]),
            rows: Zeroizing::new(vec![0; K::LANES * self.stride()]),
            block: Zeroizing::new(self.k.block()),
        }
    }

    /// A raw block of plain digits, which `row(lane, u0, u1)` writes for the
    /// first `count` lanes.
    fn load_digits<'a>(
        &self,
        room: &'a mut Room<K>,
        count: usize,
        row: impl Fn(usize, &mut [u64], &mut [u64]),
    ) -> &'a mut K::Block {
        let stride = self.stride();
        let (u0, u1) = room.digits.split_at_mut(self.k.limbs());
        for (lane, raw) in room.rows.chunks_mut(stride).take(count).enumerate() {
            row(lane, u0, u1);
            self.k.pack(u0, u1, raw);
        }
        let rows = &room.rows[..];
        self.load_by(&mut room.block, count, |lane| {
            &rows[lane * stride..(lane + 1) * stride]
        });
        &mut room.block
    }

    /// Rows of `width` words of `out` that `f(u0, u1, row)` makes of the
    /// canonical digits of the block's first lanes as they stand, Montgomery
    /// form or not.
    fn store_digits(
        &self,
        room: &mut Room<K>,
        out: &mut [u64],
        width: usize,
        f: &impl Fn(&[u64], &[u64], &mut [u64]),
    ) {
        let stride = self.stride();
        let rows = &mut room.rows[..out.len() / width * stride];
        self.k.scatter(&room.block, rows);
        let (u0, u1) = room.digits.split_at_mut(self.k.limbs());
        for (row, out) in rows.chunks(stride).zip(out.chunks_mut(width)) {
            self.k.unpack(row, u0, u1);
            f(u0, u1, out);
        }
    }

    /// Plain digits, which `row(i, u0, u1)` writes for row i, times `factor`.
    fn packed_times(
        &self,
        count: usize,
        factor: &K::Block,
        row: impl Fn(usize, &mut [u64], &mut [u64]) + Sync,
    ) -> Elements {
        self.build(
            count,
            2,
            || self.room(),
            |room, first, out| {
                let count = out.len() / self.stride();
                let block = self.load_digits(room, count, |lane, u0, u1| row(first + lane, u0, u1));
                self.k.mul_assign(block, factor);
                self.k.scatter(block, out);
            },
        )
    }

    /// Rows of `width` words that `f(u0, u1, row)` makes of the canonical
    /// digits of each element.
    fn unpacked(
        &self,
        e: &Elements,
        width: usize,
        f: impl Fn(&[u64], &[u64], &mut [u64]) + Sync,
    ) -> Vec<u64> {
        self.check(e);
        let strip = self.splat(&self.raw_one);
        let mut out = vec![0; width * e.len()];
        self.fill(
            &mut out,
            width,
            2,
            || self.room(),
            |room, first, out| {
                self.load(&mut room.block, e, first, out.len() / width);
                self.k.mul_assign(&mut room.block, &strip);
                self.store_digits(room, out, width, &f);
            },
        );
        out
    }

    pub(super) fn enter(&self, rows: &[u64], width: usize) -> Elements {
        let constants = Zeroizing::new(self.entries(width.div_ceil(self.k.limbs())));
        self.enter_sum(&[(rows, width, &constants)])
    }

    /// The sums of rows of several tables, row by row: `(rows, width, constants
    /// by which they enter)`.
    pub(super) fn enter_sum(&self, terms: &[(&[u64], usize, &Elements)]) -> Elements {
        let h = self.k.limbs();
        let stride = self.stride();
        let mut count = None;
        let mut parts = Vec::new();
        for &(rows, width, constants) in terms {
            self.check(constants);
            assert!(width > 0, "rows must be at least one limb wide");
            assert_eq!(rows.len() % width, 0, "rows must be {width} limbs wide");
            assert_eq!(constants.len(), width.div_ceil(h), "a constant a chunk");
            let here = rows.len() / width;
            assert_eq!(*count.get_or_insert(here), here, "as many rows");
            for j in 0..constants.len() {
                let constant = Zeroizing::new(self.splat(constants.row(j)));
                parts.push((rows, width, j * h, constant));
            }
        }
        self.build(
            count.unwrap_or(0),
            parts.len(),
            || (self.room(), Zeroizing::new(self.k.block())),
            |(room, sum), first, out| {
                let count = out.len() / stride;
                let sum: &mut K::Block = sum;
                for (j, (rows, width, at, constant)) in parts.iter().enumerate() {
                    let term = self.load_digits(room, count, |lane, u0, u1| {
                        let row = &rows[(first + lane) * width..(first + lane + 1) * width];
                        let part = &row[*at..(*width).min(at + h)];
                        u0[..part.len()].copy_from_slice(part);
                        u0[part.len()..].fill(0);
                        u1.fill(0);
                    });
                    self.k.mul_assign(term, constant);
                    if j == 0 {
                        sum.clone_from(term);
                    } else {
                        self.k.add_assign(sum, term);
                    }
                }
                self.k.scatter(sum, out);
            },
        )
    }

    /// Constants by which the first `chunks` chunks of h limbs enter.
    pub(super) fn entries(&self, chunks: usize) -> Elements {
        let mut constants = Elements::zeroed(self.stride(), chunks);
        let mut next = Zeroizing::new(self.k.block());
        for (j, row) in constants.rows.chunks_mut(self.stride()).enumerate() {
            match self.entry.get(j) {
                Some(known) => row.copy_from_slice(known),
                None => {
                    self.k.mul_assign(&mut next, &self.splat(&self.shift));
                    self.k.scatter(&next, row);
                }
            }
            self.k.gather(&mut next, &[row]);
        }
        constants
    }

    pub(super) fn leave(&self, e: &Elements) -> Vec<u64> {
        self.unpacked(e, 2 * self.k.limbs(), |u0, u1, row| self.join(u0, u1, row))
    }

    /// u0 + u1·m, in twice as many limbs.
    fn join(&self, u0: &[u64], u1: &[u64], row: &mut [u64]) {
        let (low, high) = row.split_at_mut(u0.len());
        low.copy_from_slice(u0);
        high.fill(0);
        add_product(u1, &self.m, row);
    }

    pub(super) fn join_digits(&self, u0: &[u64], u1: &[u64]) -> Elements {
        let h = self.k.limbs();
        assert_eq!(u0.len(), u1.len(), "as many first as second digits");
        assert_eq!(u0.len() % h, 0, "rows must be {h} limbs wide");
        let entry = Zeroizing::new(self.splat(&self.entry[0]));
        self.packed_times(u0.len() / h, &entry, |i, d0, d1| {
            d0.copy_from_slice(&u0[i * h..(i + 1) * h]);
            d1.copy_from_slice(&u1[i * h..(i + 1) * h]);
            self.check_digit(d0);
            self.check_digit(d1);
        })
    }

    pub(super) fn digits(&self, e: &Elements) -> (Vec<u64>, Vec<u64>) {
        let h = self.k.limbs();
        let both = Zeroizing::new(self.unpacked(e, 2 * h, |u0, u1, row| {
            row[..h].copy_from_slice(u0);
            row[h..].copy_from_slice(u1);
        }));
        let half = |at: usize| {
            let mut digits = Vec::with_capacity(h * e.len());
            for row in both.chunks_exact(2 * h) {
                digits.extend_from_slice(&row[at..at + h]);
            }
            digits
        };
        (half(0), half(h))
    }

    pub(super) fn mul_one_plus(&self, rho: &Elements, u_rows: &[u64]) -> Elements {
        self.check(rho);
        let entry = Zeroizing::new(self.splat(&self.entry[0]));
        self.build(
            self.count_of(rho, u_rows),
            2,
            || (self.room(), self.k.block()),
            |(room, product), first, out| {
                let count = out.len() / self.stride();
                let factor = self.load_one_plus(room, u_rows, first, count);
                self.k.mul_assign(factor, &entry);
                self.load(product, rho, first, count);
                self.k.mul_assign(product, factor);
                self.k.scatter(product, out);
            },
        )
    }

    /// See [`Ring::leave_one_plus`](super::Ring::leave_one_plus): one product
    /// each, for a factor that has not entered takes R off the other.
    pub(super) fn leave_one_plus(&self, rho: &Elements, u_rows: &[u64]) -> Vec<u64> {
        self.check(rho);
        let width = 2 * self.k.limbs();
        let mut out = vec![0; width * self.count_of(rho, u_rows)];
        self.fill(
            &mut out,
            width,
            1,
            || (self.room(), Zeroizing::new(self.k.block())),
            |(room, element), first, out| {
                let count = out.len() / width;
                self.load(element, rho, first, count);
                let product = self.load_one_plus(room, u_rows, first, count);
                self.k.mul_assign(product, element);
                self.store_digits(
                    room,
                    out,
                    width,
                    &|u0: &[u64], u1: &[u64], row: &mut [u64]| {
                        self.join(u0, u1, row);
                    },
                );
            },
        );
        out
    }

    /// Elements of `rho`, for each of which `u_rows` has a row of h limbs.
    fn count_of(&self, rho: &Elements, u_rows: &[u64]) -> usize {
        let h = self.k.limbs();
        assert_eq!(u_rows.len(), h * rho.len(), "one row for each element");
        rho.len()
    }

    /// The raw block 1 + u·m for rows `first..` of h limbs.
    fn load_one_plus<'a>(
        &self,
        room: &'a mut Room<K>,
        u_rows: &[u64],
        first: usize,
        count: usize,
    ) -> &'a mut K::Block {
        let h = self.k.limbs();
        self.load_digits(room, count, |lane, d0, d1| {
            d0.fill(0);
            d0[0] = 1;
            d1.copy_from_slice(&u_rows[(first + lane) * h..][..h]);
            self.check_digit(d1);
        })
    }

    pub(super) fn mul_mod(&self, a: &[u64], b: &[u64]) -> Vec<u64> {
        assert_eq!(a.len(), b.len(), "vectors of different lengths");
        let h = self.k.limbs();
        assert_eq!(a.len() % h, 0, "rows must be {h} limbs wide");
        // Digit 0 of a row is the residue modulo m; digit 1 is not looked at.
        let entry = Zeroizing::new(self.splat(&self.entry[0]));
        let mut out = vec![0; a.len()];
        self.fill(
            &mut out,
            h,
            2,
            || (self.room(), Zeroizing::new(self.k.block())),
            |(room, product), first, out| {
                let count = out.len() / h;
                let product: &mut K::Block = product;
                let row = |x: &[u64], lane: usize, u0: &mut [u64], u1: &mut [u64]| {
                    u0.copy_from_slice(&x[(first + lane) * h..][..h]);
                    u1.fill(0);
                };
                let block = self.load_digits(room, count, |lane, u0, u1| row(a, lane, u0, u1));
                product.clone_from(block);
                self.k.mul_assign(product, &entry);
                let block = self.load_digits(room, count, |lane, u0, u1| row(b, lane, u0, u1));
                self.k.mul_assign(block, product);
                self.store_digits(room, out, h, &|u0: &[u64], _: &[u64], row: &mut [u64]| {
                    row.copy_from_slice(u0);
                });
            },
        );
        out
    }

    fn check_digit(&self, digit: &[u64]) {
        assert!(
            self.below_modulus(digit),
            "a digit is not below the modulus"
        );
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
