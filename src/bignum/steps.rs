//! What each row of a stage does, one product at a time, on a few registers.
//! Counting and running read the same steps, so counts are exact.

use super::program::{Counts, Csr, ONE, Stage};

/// The product so far.
const ACC: u8 = 0;
/// Running product of the weights down to the present one.
const RUN: u8 = 1;
/// A power of `RUN` in the making.
const POW: u8 = 2;
/// Registers of a row; the result is in register 0.
pub(super) const REGISTERS: usize = 3;

/// An operand: an element of the arena, or a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Arena(u32),
    Register(u8),
}

impl Source {
    /// The register, if it is one.
    pub(super) fn register(self) -> Option<u8> {
        match self {
            Source::Arena(_) => None,
            Source::Register(r) => Some(r),
        }
    }
}

/// One operation on the registers of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// register ← source.
    Copy(u8, Source),
    /// register ← register · source.
    Mul(u8, Source),
    /// register ← register².
    Square(u8),
}

/// A stage other than an inversion, seen row by row.
pub(super) enum Plan<'a> {
    Products(&'a Csr),
    Powers(&'a [(u32, u32)]),
    Weighted(&'a [Vec<(u32, u32)>]),
    Horner(&'a Csr, u32),
}

impl<'a> Plan<'a> {
    pub(super) fn new(stage: &'a Stage) -> Plan<'a> {
        match stage {
            Stage::Products(rows) => Plan::Products(rows),
            Stage::Powers(pairs) => Plan::Powers(pairs),
            Stage::Weighted(rows) => Plan::Weighted(rows),
            Stage::Horner { rows, digit_bits } => Plan::Horner(rows, *digit_bits),
            Stage::Invert(_) => unreachable!("an inversion has no rows of products"),
        }
    }

    /// The steps of row `j`.
    pub(super) fn steps(&self, j: usize, out: &mut Vec<Step>) {
        out.clear();
        let mut writer = Writer::new(out);
        match self {
            Plan::Products(rows) => {
                for &i in rows.row(j) {
                    writer.times(ACC, Source::Arena(i));
                }
            }
            Plan::Powers(pairs) => {
                let (a, b) = pairs[j];
                writer.times(ACC, Source::Arena(a));
                if a == b {
                    writer.square(ACC);
                } else {
                    writer.times(ACC, Source::Arena(b));
                }
            }
            Plan::Weighted(rows) => weighted(&rows[j], &mut writer),
            Plan::Horner(rows, digit_bits) => {
                let mut first = true;
                for &i in rows.row(j).iter().rev() {
                    for _ in 0..if first { 0 } else { *digit_bits } {
                        writer.square(ACC);
                    }
                    first = false;
                    writer.times(ACC, Source::Arena(i));
                }
            }
        }
        writer.finish();
    }

    /// About how long row `j` takes, in fifths of a product (a square takes
    /// four): rows with equal steps have equal costs.
    pub(super) fn cost(&self, j: usize) -> usize {
        match self {
            Plan::Products(rows) => 5 * rows.row(j).len(),
            Plan::Powers(pairs) => 5 - usize::from(pairs[j].0 == pairs[j].1),
            Plan::Weighted(rows) => {
                let row = &rows[j];
                let gaps = row.iter().enumerate().map(|(k, &(_, w))| {
                    match w - row.get(k + 1).map_or(0, |&(_, w)| w) {
                        0 => 0,
                        gap => 5 * gap.min(gap.ilog2() + gap.count_ones()) as usize,
                    }
                });
                5 * row.len() + gaps.sum::<usize>()
            }
            Plan::Horner(rows, digit_bits) => rows.row(j).len() * (5 + 4 * *digit_bits as usize),
        }
    }

    /// Operations of row `j`; `steps` is only room to work in.
    pub(super) fn counts(&self, j: usize, steps: &mut Vec<Step>) -> Counts {
        self.steps(j, steps);
        let mut counts = Counts::default();
        for step in steps {
            match step {
                Step::Copy(..) => {}
                Step::Mul(..) => counts.products += 1,
                Step::Square(_) => counts.squarings += 1,
            }
        }
        counts
    }
}

/// Writes steps, leaving out products by 1 and squares of 1.
struct Writer<'a> {
    out: &'a mut Vec<Step>,
    /// Whether a register still holds 1 (and nothing has been written to it).
    is_one: [bool; REGISTERS],
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<Step>) -> Writer<'a> {
        Writer {
            out,
            is_one: [true; REGISTERS],
        }
    }

    fn times(&mut self, register: u8, by: Source) {
        let one = match by {
            Source::Arena(i) => i == ONE,
            Source::Register(r) => self.is_one[r as usize],
        };
        if one {
            return;
        }
        self.out.push(if self.is_one[register as usize] {
            Step::Copy(register, by)
        } else {
            Step::Mul(register, by)
        });
        self.is_one[register as usize] = false;
    }

    fn square(&mut self, register: u8) {
        if !self.is_one[register as usize] {
            self.out.push(Step::Square(register));
        }
    }

    /// A row of nothing but ones still has a result.
    fn finish(self) {
        if self.is_one[ACC as usize] {
            self.out.push(Step::Copy(ACC, Source::Arena(ONE)));
        }
    }
}

/// Π x_i^{w_i} = Π_k S_k^{w_k − w_{k+1}} with S_k = x_1·…·x_k, w descending and
/// w_{K+1} = 0.
fn weighted(row: &[(u32, u32)], writer: &mut Writer<'_>) {
    for (k, &(i, w)) in row.iter().enumerate() {
        writer.times(RUN, Source::Arena(i));
        let next = row.get(k + 1).map_or(0, |&(_, w)| w);
        let gap = w - next;
        let by_squaring = gap.checked_ilog2().unwrap_or(0) + gap.count_ones();
        if gap <= by_squaring {
            for _ in 0..gap {
                writer.times(ACC, Source::Register(RUN));
            }
        } else if !writer.is_one[RUN as usize] {
            writer.is_one[POW as usize] = true;
            writer.times(POW, Source::Register(RUN));
            for bit in (0..gap.ilog2()).rev() {
                writer.square(POW);
                if gap >> bit & 1 == 1 {
                    writer.times(POW, Source::Register(RUN));
                }
            }
            writer.times(ACC, Source::Register(POW));
        }
    }
}
