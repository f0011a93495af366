//! Powers of a fixed base (Lim and Lee, CRYPTO '94, §3).
//!
//! The exponent's bits are written in `teeth` rows of `blocks · width` columns.
//! Table j holds, for each pattern of teeth, the product of the powers of the
//! base that the pattern stands for in the first column of block j. A power
//! takes one table entry for each column, and `width − 1` squarings in all:
//!
//! ```text
//! for c in (0..width).rev() { acc = acc²; for j in 0..blocks { acc = acc · table_j[column (j, c)] } }
//! ```
//!
//! Products of powers of *several* bases are the same thing: their exponents
//! are written one after the other, and where the next one begins, so does a
//! row of the next base. The squarings that the tables begin with then run side
//! by side in lanes, an exponent's length of them instead of all exponents'.
//!
//! How large the tables are worth being depends on how many powers are ahead:
//! the constructor counts products for both.

use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use super::{
    Elements, Ring,
    core::{Core, MAX_LANES},
    kernel::Lanes,
    power::bits_at,
    ring::on,
};

/// Largest total of the tables, in bytes: beyond it the cache loses what a few
/// saved products gain.
const TABLE_BYTES: usize = 8 << 20;

/// What an entry of a table costs beside its product, in products: fresh memory
/// for it.
const ENTRY_PRODUCTS: usize = 1;

/// Most teeth if tables are scanned: reading 2^5 entries costs about an eighth
/// of a product.
const SCANNING_TEETH: usize = 5;

/// Most teeth if tables are indexed.
const INDEXING_TEETH: usize = 12;

/// The shape of a comb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    teeth: usize,
    blocks: usize,
    width: usize,
    /// Bases.
    bases: usize,
    /// Runs of `width` bits in the exponent of a base.
    runs: usize,
}

/// What a comb is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Purpose {
    bases: usize,
    /// Bits of the exponent of each base.
    bits: usize,
    /// Powers ahead.
    uses: usize,
    /// Residues that the kernel multiplies at once.
    lanes: usize,
    row_bytes: usize,
}

impl Shape {
    /// The cheapest shape for `purpose`.
    fn choose(purpose: Purpose, most_teeth: usize) -> Shape {
        let Purpose { bases, bits, .. } = purpose;
        let mut best: Option<(usize, Shape)> = None;
        for teeth in 1..=most_teeth.min(bases * bits) {
            for blocks in 1..=(bases * bits).div_ceil(teeth) {
                if blocks > 1 && (blocks << teeth).saturating_mul(purpose.row_bytes) > TABLE_BYTES {
                    break;
                }
                let room = teeth * blocks / bases;
                if room == 0 {
                    continue;
                }
                let width = bits.div_ceil(room);
                let shape = Shape {
                    teeth,
                    blocks,
                    width,
                    bases,
                    runs: bits.div_ceil(width),
                };
                let cost = shape.cost(purpose);
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, shape));
                }
            }
        }
        best.expect("teeth of one block for each base fit").1
    }

    /// Products to build the tables and for all powers. The squarings of the
    /// bases are one chain of blocks that are filled by the bases at most.
    fn cost(&self, purpose: Purpose) -> usize {
        let Purpose { uses, lanes, .. } = purpose;
        let entries = (1usize << self.teeth) - self.teeth - 1;
        let chain = (self.runs - 1) * self.width * self.bases.next_multiple_of(lanes);
        let powers = uses.saturating_mul(self.products_per_power());
        let tables = self.blocks * entries * (1 + ENTRY_PRODUCTS);
        (chain + tables).saturating_add(powers)
    }

    /// Where base `base` stands by itself: in which table, under which pattern.
    fn place(&self, base: usize) -> (usize, usize) {
        let row = base * self.runs;
        (row % self.blocks, 1 << (row / self.blocks))
    }

    /// Bits of the exponents of all bases, one after the other.
    fn exponent_bits(&self) -> usize {
        self.bases * self.runs * self.width
    }

    fn products_per_power(&self) -> usize {
        self.blocks * self.width + self.width - 2
    }
}

/// Precomputed powers of one element, for many powers of it.
///
/// The sequence of products is the same for every exponent. By default the
/// tables are *indexed* by exponent bits: fast, but visible to whoever shares
/// the processor's cache, which is acceptable for exponents that are used once
/// (randomisers). [`Comb::scanning`] reads whole tables instead.
///
/// The tables are wiped on drop: for a ring over a secret prime they give it
/// away.
pub struct Comb {
    ring: Ring,
    shape: Shape,
    exponent_bits: usize,
    purpose: Purpose,
    scans: bool,
    /// Table j, pattern d at (j << teeth) + d.
    tables: Zeroizing<Elements>,
}

impl Comb {
    /// Tables for powers of `base` (one element) with exponents below
    /// 2^`exponent_bits`, sized so that building them and raising to `uses`
    /// powers takes the fewest products.
    ///
    /// # Panics
    /// If `base` is not exactly one element or `exponent_bits` is 0.
    pub fn new(ring: &Ring, base: &Elements, exponent_bits: u32, uses: usize) -> Comb {
        assert_eq!(base.len(), 1, "a comb has one base");
        let mut comb = Comb::of_several(ring, base, exponent_bits, uses);
        comb.exponent_bits = exponent_bits as usize;
        comb
    }

    /// Tables for products of powers of all `bases`, one power of each, with
    /// exponents of at least `exponent_bits` bits each. A row of exponents has
    /// [`Comb::exponent_bits`] bits: equally many for each base, in their order.
    ///
    /// # Panics
    /// If there are no bases or `exponent_bits` is 0.
    pub fn of_several(ring: &Ring, bases: &Elements, exponent_bits: u32, uses: usize) -> Comb {
        let purpose = Purpose {
            bases: bases.len(),
            bits: exponent_bits as usize,
            uses,
            lanes: ring.lanes(),
            row_bytes: 8 * bases.stride,
        };
        Comb::with_teeth(ring, bases, purpose, INDEXING_TEETH)
    }

    fn with_teeth(ring: &Ring, bases: &Elements, purpose: Purpose, most: usize) -> Comb {
        assert!(!bases.is_empty(), "a comb has a base");
        assert!(purpose.bits > 0, "exponents of no bits");
        let shape = Shape::choose(purpose, most);
        Comb {
            ring: ring.clone(),
            shape,
            exponent_bits: shape.exponent_bits(),
            purpose,
            scans: false,
            tables: Zeroizing::new(on!(ring, core => build(core, bases, shape))),
        }
    }

    /// The same comb reading every entry of a table for each column, so that
    /// memory accesses do not depend on the exponent. Its tables are small.
    pub fn scanning(self) -> Comb {
        let at: Vec<usize> = (0..self.shape.bases)
            .map(|base| self.shape.place(base))
            .map(|(table, pattern)| (table << self.shape.teeth) + pattern)
            .collect();
        let bases = Zeroizing::new(self.tables.gather(&at));
        let mut comb = Comb::with_teeth(&self.ring, &bases, self.purpose, SCANNING_TEETH);
        if self.shape.bases == 1 {
            comb.exponent_bits = self.exponent_bits;
        }
        comb.scans = true;
        comb
    }

    /// Bits of a row of exponents: those of all bases.
    pub fn exponent_bits(&self) -> u32 {
        self.exponent_bits as u32
    }

    /// Products and squarings of one power.
    pub fn products_per_power(&self) -> usize {
        self.shape.products_per_power()
    }

    /// base^e for each row e of `exponents`, `width` limbs wide.
    ///
    /// # Panics
    /// If an exponent has more bits than the comb was made for.
    pub fn pow(&self, exponents: &[u64], width: usize) -> Elements {
        assert!(width > 0, "rows must be at least one limb wide");
        assert_eq!(
            exponents.len() % width,
            0,
            "rows must be {width} limbs wide"
        );
        let mut excess = 0;
        for row in exponents.chunks(width) {
            for (i, limb) in row.iter().enumerate() {
                let kept = self.exponent_bits.saturating_sub(64 * i).min(64);
                excess |= limb & (u64::MAX.checked_shl(kept as u32).unwrap_or(0));
            }
        }
        assert_eq!(excess, 0, "an exponent exceeds {} bits", self.exponent_bits);
        on!(self.ring, core => self.pow_on(core, exponents, width))
    }

    fn pow_on<K: Lanes>(&self, core: &Core<K>, exponents: &[u64], exp_width: usize) -> Elements {
        let Shape {
            teeth,
            blocks,
            width,
            ..
        } = self.shape;
        let columns = blocks * width;
        core.build(
            exponents.len() / exp_width,
            self.products_per_power(),
            || {
                (
                    Zeroizing::new(core.k.block()),
                    Zeroizing::new(core.k.block()),
                    Zeroizing::new(vec![0; K::LANES * columns]),
                )
            },
            |(acc, entry, patterns), first, out| {
                let count = out.len() / core.stride();
                let exponents = &exponents[first * exp_width..(first + count) * exp_width];
                for (exp, patterns) in exponents
                    .chunks_exact(exp_width)
                    .zip(patterns.chunks_exact_mut(columns))
                {
                    read_columns(exp, teeth, patterns);
                }
                // Entries of step s = 0, 1, …: from the last column down, of
                // each the one of every block.
                let mut at = [0; MAX_LANES];
                let look = |s: usize, at: &mut [usize; MAX_LANES]| {
                    let (c, j) = (width - 1 - s / blocks, s % blocks);
                    for (lane, at) in at[..count].iter_mut().enumerate() {
                        *at = patterns[lane * columns + j * width + c] as usize;
                        if !self.scans {
                            *at += j << teeth;
                            core.k.prefetch(self.tables.row(*at));
                        }
                    }
                };
                look(0, &mut at);
                for s in 0..columns {
                    if s > 0 && s % blocks == 0 {
                        core.k.sqr_assign(acc);
                    }
                    let into: &mut K::Block = if s == 0 { acc } else { entry };
                    if self.scans {
                        self.scan(core, into, s % blocks, &at[..count]);
                    } else {
                        core.load_by(into, count, |lane| self.tables.row(at[lane]));
                    }
                    // What comes next is fetched while this is multiplied.
                    if s + 1 < columns {
                        look(s + 1, &mut at);
                    }
                    if s > 0 {
                        core.k.mul_assign(acc, entry);
                    }
                }
                at.zeroize();
                core.k.scatter(acc, out);
            },
        )
    }

    /// Entry `at[lane]` of table j in each lane, after reading all of them.
    fn scan<K: Lanes>(&self, core: &Core<K>, into: &mut K::Block, j: usize, at: &[usize]) {
        let mut wanted = vec![0; K::LANES];
        for (w, &at) in wanted.iter_mut().zip(at) {
            *w = at as u64;
        }
        let (teeth, stride) = (self.shape.teeth, core.stride());
        let table = &self.tables.rows[(j << teeth) * stride..((j + 1) << teeth) * stride];
        core.k.pick_row(into, table, &wanted);
        wanted.zeroize();
    }
}

/// The pattern of teeth in every column of an exponent.
fn read_columns(exp: &[u64], teeth: usize, patterns: &mut [u16]) {
    const { assert!(INDEXING_TEETH <= 16) };
    patterns.fill(0);
    let columns = patterns.len();
    for tooth in 0..teeth {
        for (part, patterns) in patterns.chunks_mut(32).enumerate() {
            let mut bits = bits_at(exp, tooth * columns + 32 * part, patterns.len());
            for pattern in patterns {
                *pattern |= ((bits & 1) as u16) << tooth;
                bits >>= 1;
            }
        }
    }
}

/// The powers base^(2^(i·width)) of all bases: those of the first base, then
/// those of the second, and so on; then ones, up to a row for each tooth of each
/// block.
fn runs<K: Lanes>(core: &Core<K>, bases: &Elements, shape: Shape) -> Zeroizing<Elements> {
    let mut powers = Zeroizing::new(core.one(shape.teeth * shape.blocks));
    let made = &mut powers.rows[..bases.len() * shape.runs * core.stride()];
    core.runs(bases, shape.width, shape.runs, made);
    powers
}

/// Fills the tables: the powers of the bases that stand at the first columns,
/// then each pattern from the one without its highest tooth, in place, so that
/// no copy is left behind.
fn build<K: Lanes>(core: &Core<K>, bases: &Elements, shape: Shape) -> Elements {
    core.check(bases);
    let Shape { teeth, blocks, .. } = shape;
    let stride = core.stride();
    let powers = runs(core, bases, shape);
    let mut tables = Elements::zeroed(stride, blocks << teeth);
    tables
        .rows
        .par_chunks_mut(stride << teeth)
        .enumerate()
        .for_each(|(j, table)| {
            let mut x = Zeroizing::new(core.k.block());
            table[..stride].copy_from_slice(&core.one);
            for t in 0..teeth {
                // Patterns 2^t..2^(t+1): the tooth alone, then with a lower pattern.
                let tooth = powers.row(t * blocks + j);
                let by = Zeroizing::new(core.splat(tooth));
                let (lower, upper) = table[..stride << (t + 1)].split_at_mut(stride << t);
                upper[..stride].copy_from_slice(tooth);
                let chunk = K::LANES * stride;
                for (lower, upper) in lower[stride..]
                    .chunks(chunk)
                    .zip(upper[stride..].chunks_mut(chunk))
                {
                    core.load_by(&mut x, lower.len() / stride, |lane| {
                        &lower[lane * stride..(lane + 1) * stride]
                    });
                    core.k.mul_assign(&mut x, &by);
                    core.k.scatter(&x, upper);
                }
            }
        });
    tables
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Shape};

    fn shape(bases: usize, bits: usize, uses: usize, row_bytes: usize) -> Shape {
        let purpose = Purpose {
            bases,
            bits,
            uses,
            lanes: 8,
            row_bytes,
        };
        Shape::choose(purpose, 12)
    }

    #[test]
    fn more_uses_mean_larger_tables_and_fewer_products() {
        let per_power: Vec<usize> = [1, 10, 1_000, 1_000_000]
            .iter()
            .map(|&uses| shape(1, 1024, uses, 512).products_per_power())
            .collect();
        assert!(per_power.is_sorted_by(|a, b| a > b), "{per_power:?}");
        assert!(per_power[3] <= 128, "{per_power:?}");
    }

    #[test]
    fn tables_stay_within_their_bound() {
        for row_bytes in [512, 768, 1024] {
            for (bases, bits) in [(1, 4096), (7, 600)] {
                let s = shape(bases, bits, 1 << 40, row_bytes);
                assert!(
                    (s.blocks << s.teeth) * row_bytes <= super::TABLE_BYTES,
                    "{s:?}"
                );
            }
        }
    }

    #[test]
    fn every_run_of_every_base_has_a_tooth() {
        for bases in [1, 2, 7, 9] {
            for bits in [1, 5, 64, 311] {
                for uses in [1, 30, 5_000] {
                    let s = shape(bases, bits, uses, 512);
                    assert!(s.runs * s.width >= bits, "{s:?}");
                    assert!(s.runs * s.bases <= s.teeth * s.blocks, "{s:?}");
                }
            }
        }
    }
}
