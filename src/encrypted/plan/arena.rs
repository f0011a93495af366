//! A program while it is built, and what all methods do to it.

use crate::paillier::{Csr, ONE, Program, ProgramStage as Stage};

/// Plans refer to elements that they made themselves, and networks are small
/// enough (the profile's limits) for 32-bit indices.
const OWN_INDICES: &str = "a plan's own indices are in its arena";

/// The program while it is built.
pub(super) struct Arena {
    program: Program,
    /// Elements so far.
    len: u32,
}

impl Arena {
    pub(super) fn new(inputs: usize) -> Arena {
        Arena {
            program: Program::new(inputs).expect(OWN_INDICES),
            len: u32::try_from(inputs).expect(OWN_INDICES),
        }
    }

    /// Appends a stage, unless it has no results; the place of its first one.
    pub(super) fn push(&mut self, stage: Stage) -> u32 {
        let first = self.len;
        if stage.results() > 0 {
            self.len = self.program.push(stage).expect(OWN_INDICES).end;
        }
        first
    }

    /// Lists for one stage that comes next.
    pub(super) fn lists(&self) -> Lists {
        Lists {
            next: self.len,
            rows: Csr::new(),
        }
    }

    /// The product of every list.
    pub(super) fn products(&mut self, lists: Lists) {
        self.push(Stage::Products(lists.rows));
    }

    /// Every list joined as digits, the lowest first.
    pub(super) fn horner(&mut self, lists: Lists, digit_bits: u32) {
        let rows = lists.rows;
        self.push(Stage::Horner { rows, digit_bits });
    }

    /// The quotient of every pair, either part of which may be [`ONE`].
    pub(super) fn divide(&mut self, parts: &[[u32; 2]]) -> Vec<u32> {
        let negative = parts.iter().map(|pair| pair[1]).filter(|&part| part != ONE);
        let negative: Vec<u32> = negative.collect();
        let mut inverse = self.push(Stage::Invert(negative));
        let mut pairs = Vec::new();
        let quotients = parts.iter().map(|&[positive, negative]| {
            if negative == ONE {
                return Quotient::Made(positive);
            }
            inverse += 1;
            if positive == ONE {
                return Quotient::Made(inverse - 1);
            }
            pairs.push((positive, inverse - 1));
            Quotient::Pair(pairs.len() as u32 - 1)
        });
        let quotients: Vec<Quotient> = quotients.collect();
        let first = self.push(Stage::Powers(pairs));
        let place = |quotient| match quotient {
            Quotient::Made(at) => at,
            Quotient::Pair(pair) => first + pair,
        };
        quotients.into_iter().map(place).collect()
    }

    /// The program, with these outputs.
    pub(super) fn finish(mut self, outputs: Vec<u32>) -> Program {
        self.program.set_outputs(outputs).expect(OWN_INDICES);
        self.program
    }
}

/// Where a quotient will be found.
enum Quotient {
    /// It needs no product.
    Made(u32),
    /// The product with this number.
    Pair(u32),
}

/// Lists of factors or digits on their way into one stage. A list of nothing
/// is [`ONE`] and a list of one element that element: neither needs the stage.
pub(super) struct Lists {
    next: u32,
    rows: Csr,
}

impl Lists {
    /// Where the result of `list` will be once its stage is pushed.
    pub(super) fn place(&mut self, list: &[u32]) -> u32 {
        match *list {
            [] => ONE,
            [only] => only,
            _ => {
                self.rows.push(list.iter().copied());
                self.next += 1;
                self.next - 1
            }
        }
    }
}
