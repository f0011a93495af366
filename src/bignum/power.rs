//! Powers with an exponent that all elements share.

use zeroize::Zeroizing;

use super::{
    core::{Core, MAX_LANES},
    elements::Elements,
    kernel::Lanes,
};

/// Bits `at..at + count` (count below 64) of a little-endian number; bits
/// beyond its end are 0. Reads the same limbs whatever they hold.
pub(super) fn bits_at(limbs: &[u64], at: usize, count: usize) -> usize {
    let (limb, shift) = (at / 64, at % 64);
    let low = limbs.get(limb).copied().unwrap_or(0) as u128;
    let high = limbs.get(limb + 1).copied().unwrap_or(0) as u128;
    ((low | high << 64) >> shift) as usize & ((1 << count) - 1)
}

/// Number of significant bits.
pub(super) fn bit_length(limbs: &[u64]) -> usize {
    match limbs.iter().rposition(|&l| l != 0) {
        Some(i) => 64 * i + 64 - limbs[i].leading_zeros() as usize,
        None => 0,
    }
}

/// Width of a fixed window that needs fewest products for a `bits`-bit
/// exponent, its table of 2^w entries included. At most 5: scanning a larger
/// table would cost more than it saves.
fn fixed_window(bits: usize) -> usize {
    (1..=5)
        .min_by_key(|&w| (1usize << w) + bits.div_ceil(w))
        .unwrap_or(5)
}

/// Width of a sliding window: 2^(w−1) table entries, a product about every
/// w + 1 bits.
fn sliding_window(bits: usize) -> usize {
    (1..=8)
        .min_by_key(|&w| (1usize << (w - 1)) + bits / (w + 1))
        .unwrap_or(5)
}

impl<K: Lanes> Core<K> {
    /// Fixed windows from the top, for an exponent below 2^`bits`; each entry
    /// is fetched by reading the whole table. Only `bits` shows.
    pub(super) fn pow_secret(&self, base: &Elements, exp: &[u64], bits: usize) -> Elements {
        self.check(base);
        let w = fixed_window(bits);
        let windows = bits.div_ceil(w);
        let one = self.splat(&self.one);
        self.build(
            base.len(),
            bits,
            || {
                let table = Zeroizing::new(vec![one.clone(); 1 << w]);
                (
                    table,
                    Zeroizing::new(one.clone()),
                    Zeroizing::new(one.clone()),
                )
            },
            |(table, acc, entry), first, out| {
                let (acc, entry): (&mut K::Block, &mut K::Block) = (acc, entry);
                let count = out.len() / self.stride();
                self.load(&mut table[1], base, first, count);
                for i in 2..1 << w {
                    let (done, next) = table.split_at_mut(i);
                    next[0].clone_from(&done[i / 2]);
                    self.k.sqr_assign(&mut next[0]);
                    if i % 2 == 1 {
                        self.k.mul_assign(&mut next[0], &done[1]);
                    }
                }
                entry.clone_from(&one);
                acc.clone_from(&table[0]);
                for i in (0..windows).rev() {
                    let digit = bits_at(exp, i * w, w);
                    let wanted = &[digit as u64; MAX_LANES][..K::LANES];
                    self.k.pick(entry, table, wanted);
                    if i + 1 == windows {
                        acc.clone_from(entry);
                        continue;
                    }
                    for _ in 0..w {
                        self.k.sqr_assign(acc);
                    }
                    self.k.mul_assign(acc, entry);
                }
                self.k.scatter(acc, out);
            },
        )
    }

    /// Sliding windows over odd powers.
    pub(super) fn pow_public(&self, base: &Elements, exp: &[u64]) -> Elements {
        self.check(base);
        let bits = bit_length(exp);
        if bits == 0 {
            return self.one(base.len());
        }
        let w = sliding_window(bits);
        self.build(
            base.len(),
            bits,
            || (vec![self.k.block(); 1 << (w - 1)], self.k.block()),
            |(odd, acc), first, out| {
                self.load(&mut odd[0], base, first, out.len() / self.stride());
                acc.clone_from(&odd[0]);
                self.k.sqr_assign(acc);
                for i in 1..odd.len() {
                    let (done, next) = odd.split_at_mut(i);
                    next[0].clone_from(&done[i - 1]);
                    self.k.mul_assign(&mut next[0], acc);
                }
                let mut started = false;
                let mut top = bits;
                while top > 0 {
                    if bits_at(exp, top - 1, 1) == 0 {
                        self.k.sqr_assign(acc);
                        top -= 1;
                        continue;
                    }
                    // The longest window that begins here and ends in a 1.
                    let mut low = top.saturating_sub(w);
                    while bits_at(exp, low, 1) == 0 {
                        low += 1;
                    }
                    let power = &odd[bits_at(exp, low, top - low) / 2];
                    if started {
                        for _ in low..top {
                            self.k.sqr_assign(acc);
                        }
                        self.k.mul_assign(acc, power);
                    } else {
                        acc.clone_from(power);
                        started = true;
                    }
                    top = low;
                }
                self.k.scatter(acc, out);
            },
        )
    }

    pub(super) fn pow2k(&self, base: &Elements, k: u32) -> Elements {
        self.map(base, k as usize, |x| {
            for _ in 0..k {
                self.k.sqr_assign(x);
            }
        })
    }

    /// Writes base^(2^(width·i)) for i below `count` to `out`: those of the
    /// first base, then those of the second, and so on.
    pub(super) fn runs(&self, bases: &Elements, width: usize, count: usize, out: &mut [u64]) {
        self.check(bases);
        let stride = self.stride();
        self.fill(
            out,
            count * stride,
            width * count,
            || {
                (
                    Zeroizing::new(self.k.block()),
                    Zeroizing::new(vec![0; K::LANES * stride]),
                )
            },
            |(block, rows), first, out| {
                let lanes = out.len() / (count * stride);
                self.load(block, bases, first, lanes);
                let rows = &mut rows[..lanes * stride];
                for run in 0..count {
                    if run > 0 {
                        for _ in 0..width {
                            self.k.sqr_assign(block);
                        }
                    }
                    self.k.scatter(block, rows);
                    for (row, powers) in rows.chunks(stride).zip(out.chunks_mut(count * stride)) {
                        powers[run * stride..(run + 1) * stride].copy_from_slice(row);
                    }
                }
            },
        );
    }

    pub(super) fn pow2k_runs(&self, base: &Elements, k: u32, count: usize) -> Elements {
        let mut out = Elements::zeroed(self.stride(), count * base.len());
        if count > 0 {
            self.runs(base, k as usize, count, &mut out.rows);
        }
        out
    }
}
