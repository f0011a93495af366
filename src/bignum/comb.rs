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
//! How large the tables are worth being depends on how many powers are ahead:
//! the constructor counts products for both.

use zeroize::{Zeroize, Zeroizing};

use super::{Elements, Ring, core::Core, kernel::Lanes, power::bits_at, ring::on};

/// Largest total of the tables, in bytes: beyond it the cache loses what a few
/// saved products gain.
const TABLE_BYTES: usize = 8 << 20;

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
}

impl Shape {
    /// The cheapest shape for `uses` powers with exponents of `bits` bits.
    fn choose(bits: usize, uses: usize, row_bytes: usize, most_teeth: usize) -> Shape {
        let mut best = (
            usize::MAX,
            Shape {
                teeth: 1,
                blocks: 1,
                width: bits,
            },
        );
        for teeth in 1..=most_teeth.min(bits) {
            let columns = bits.div_ceil(teeth);
            for blocks in 1..=columns {
                let width = columns.div_ceil(blocks);
                if blocks > 1 && (blocks << teeth).saturating_mul(row_bytes) > TABLE_BYTES {
                    break;
                }
                let shape = Shape {
                    teeth,
                    blocks,
                    width,
                };
                let cost = shape
                    .products_to_build()
                    .saturating_add(uses.saturating_mul(shape.products_per_power()));
                if cost < best.0 {
                    best = (cost, shape);
                }
            }
        }
        best.1
    }

    fn products_to_build(&self) -> usize {
        let entries = (1usize << self.teeth) - self.teeth - 1;
        self.teeth * self.blocks * self.width + self.blocks * entries
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
    uses: usize,
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
        Comb::with_teeth(ring, base, exponent_bits as usize, uses, INDEXING_TEETH)
    }

    fn with_teeth(ring: &Ring, base: &Elements, bits: usize, uses: usize, most: usize) -> Comb {
        assert_eq!(base.len(), 1, "a comb has one base");
        assert!(bits > 0, "exponents of no bits");
        let shape = Shape::choose(bits, uses, 8 * base.stride, most);
        Comb {
            ring: ring.clone(),
            shape,
            exponent_bits: bits,
            uses,
            scans: false,
            tables: Zeroizing::new(on!(ring, core => build(core, base, shape))),
        }
    }

    /// The same comb reading every entry of a table for each column, so that
    /// memory accesses do not depend on the exponent. Its tables are small.
    pub fn scanning(self) -> Comb {
        // Pattern 1 of table 0 is the base itself.
        let base = Zeroizing::new(self.tables.slice(1..2));
        let mut comb = Comb::with_teeth(
            &self.ring,
            &base,
            self.exponent_bits,
            self.uses,
            SCANNING_TEETH,
        );
        comb.scans = true;
        comb
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
        } = self.shape;
        let columns = blocks * width;
        let pattern = |lane: usize, column: usize| {
            let exp = &exponents[lane * exp_width..(lane + 1) * exp_width];
            (0..teeth).fold(0, |p, t| p | bits_at(exp, t * columns + column, 1) << t)
        };
        core.build(
            exponents.len() / exp_width,
            self.products_per_power(),
            || {
                (
                    Zeroizing::new(core.k.block()),
                    Zeroizing::new(core.k.block()),
                )
            },
            |(acc, entry), first, out| {
                let count = out.len() / core.stride();
                for c in (0..width).rev() {
                    if c + 1 < width {
                        core.k.sqr_assign(acc);
                    }
                    for j in 0..blocks {
                        let start = c + 1 == width && j == 0;
                        let into: &mut K::Block = if start { acc } else { entry };
                        let at = |lane| pattern(first + lane, j * width + c);
                        if self.scans {
                            self.scan(core, into, j, count, at);
                        } else {
                            core.load_by(into, count, |lane| {
                                self.tables.row((j << teeth) + at(lane))
                            });
                        }
                        if !start {
                            core.k.mul_assign(acc, entry);
                        }
                    }
                }
                core.k.scatter(acc, out);
            },
        )
    }

    /// Entry `at(lane)` of table j in each lane, after reading all of them.
    fn scan<K: Lanes>(
        &self,
        core: &Core<K>,
        into: &mut K::Block,
        j: usize,
        count: usize,
        at: impl Fn(usize) -> usize,
    ) {
        let mut wanted = vec![0; K::LANES];
        for (lane, w) in wanted[..count].iter_mut().enumerate() {
            *w = at(lane) as u64;
        }
        let (teeth, stride) = (self.shape.teeth, core.stride());
        let table = &self.tables.rows[(j << teeth) * stride..((j + 1) << teeth) * stride];
        core.k.pick_row(into, table, &wanted);
        wanted.zeroize();
    }
}

/// Fills the tables: the powers base^(2^i) that stand at the first columns by
/// squaring, then each pattern from the one without its highest tooth, all
/// tables side by side in lanes.
fn build<K: Lanes>(core: &Core<K>, base: &Elements, shape: Shape) -> Elements {
    core.check(base);
    let Shape {
        teeth,
        blocks,
        width,
    } = shape;
    // Row t·blocks + j is base^(2^((t·blocks + j)·width)).
    let mut powers = Zeroizing::new(base.clone());
    let mut block = Zeroizing::new(core.splat(base.row(0)));
    let mut row = Zeroizing::new(vec![0; core.stride()]);
    for _ in 1..teeth * blocks {
        for _ in 0..width {
            core.k.sqr_assign(&mut block);
        }
        core.k.scatter(&block, &mut row);
        powers.rows.extend_from_slice(&row);
    }
    let mut tables = Elements::zeroed(core.stride(), blocks << teeth);
    let stride = core.stride();
    let place = |tables: &mut Elements, j: usize, d: usize, row: &[u64]| {
        let at = ((j << teeth) + d) * stride;
        tables.rows[at..at + stride].copy_from_slice(row);
    };
    for j in 0..blocks {
        place(&mut tables, j, 0, &core.one);
    }
    for t in 0..teeth {
        // Patterns 2^t..2^(t+1): the tooth alone, or with a lower pattern.
        let lower: Vec<(usize, usize)> = (0..blocks)
            .flat_map(|j| (1..1usize << t).map(move |d| (j, d)))
            .collect();
        let products = Zeroizing::new(core.build(
            lower.len(),
            1,
            || {
                (
                    Zeroizing::new(core.k.block()),
                    Zeroizing::new(core.k.block()),
                )
            },
            |(x, y), first, out| {
                let count = out.len() / stride;
                let pairs = &lower[first..first + count];
                core.load_by(x, count, |lane| {
                    tables.row((pairs[lane].0 << teeth) + pairs[lane].1)
                });
                core.load_by(y, count, |lane| powers.row(t * blocks + pairs[lane].0));
                core.k.mul_assign(x, y);
                core.k.scatter(x, out);
            },
        ));
        for j in 0..blocks {
            place(&mut tables, j, 1 << t, powers.row(t * blocks + j));
        }
        for (i, &(j, d)) in lower.iter().enumerate() {
            place(&mut tables, j, d | 1 << t, products.row(i));
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn more_uses_mean_larger_tables_and_fewer_products() {
        let per_power: Vec<usize> = [1, 10, 1_000, 1_000_000]
            .iter()
            .map(|&uses| Shape::choose(1024, uses, 512, 12).products_per_power())
            .collect();
        assert!(per_power.is_sorted_by(|a, b| a > b), "{per_power:?}");
        assert!(per_power[3] <= 128, "{per_power:?}");
    }

    #[test]
    fn tables_stay_within_their_bound() {
        for row_bytes in [512, 768, 1024] {
            let s = Shape::choose(4096, 1 << 40, row_bytes, 12);
            assert!(
                (s.blocks << s.teeth) * row_bytes <= super::TABLE_BYTES,
                "{s:?}"
            );
        }
    }
}
