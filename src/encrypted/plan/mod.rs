//! Product plans: in which order the powers of a layer are multiplied.
//!
//! The server knows its weights long before a query comes, so it can look for
//! the cheapest way to compute all `y_j = Π x_i^(w_ji)` of a layer at once.
//! Four families are counted, exactly, and the cheapest is taken; the choice
//! depends on weights and layout alone, never on a key or a query.
//!
//! * *Tables*: for every input, the powers `x, x², x³ …` that any output needs,
//!   made once by an addition chain and used by all outputs; then an output is
//!   one product a weight. Best where many outputs share an input and few
//!   inputs an output.
//! * *Buckets*: for every output, the inputs of equal weight are multiplied
//!   first, and the buckets are then combined by running products (the bucket
//!   method of multi-exponentiation). Best where an output has many inputs and
//!   weights repeat within it.
//! * *Subsets*: weights as bit planes; products over subsets of a few inputs are
//!   shared by all outputs and planes (the Four Russians).
//! * *Common pairs*: weights as bit planes; what any two sets of inputs have in
//!   common is multiplied once (greedy elimination of common subexpressions).
//!   Cheapest nearly everywhere, but slow to find: used where it was found
//!   beforehand.
//!
//! Tables and buckets can split weights into signed digits of a few bits, joined
//! by squarings (Straus). Negative weights cost inversions, of inputs or of
//! outputs: [`Planes`] says which. Inversions are made in batches, which costs
//! three products each and one true inversion a stage.

mod arena;
mod buckets;
mod common;
mod digits;
mod planes;
mod subsets;
mod tables;
#[cfg(test)]
mod tests;

use crate::paillier::{Counts, Program};

use super::rows::Rows;
use arena::Arena;
use subsets::Subsets;

pub use common::Common;
pub use planes::Planes;
use planes::Sets;

/// How the products of a layer are arranged; see the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Powers of every input, shared by all outputs; weights in signed digits
    /// of this many bits (`None`: whole weights).
    Tables {
        /// Bits of a digit, 2 or more, or `None` for whole weights.
        digit_bits: Option<u32>,
    },
    /// Inputs of equal weight collected for every output; weights in signed
    /// digits of this many bits (`None`: whole weights).
    Buckets {
        /// Bits of a digit, 2 or more, or `None` for whole weights.
        digit_bits: Option<u32>,
    },
    /// Products over subsets of a group of inputs, shared by all outputs and
    /// planes.
    Subsets {
        /// How weights are written.
        planes: Planes,
        /// Inputs in a group, 2 to 16.
        size: u32,
    },
    /// Pairs that several outputs or planes have in common, made once.
    Common {
        /// How weights are written.
        planes: Planes,
    },
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, digits) = match self {
            Method::Tables { digit_bits } => ("tables", digit_bits),
            Method::Buckets { digit_bits } => ("buckets", digit_bits),
            Method::Subsets { planes, size } => {
                return write!(f, "subsets of {size}, {}", planes.name());
            }
            Method::Common { planes } => return write!(f, "common pairs, {}", planes.name()),
        };
        match digits {
            None => write!(f, "{name}"),
            Some(bits) => write!(f, "{name}, {bits}-bit digits"),
        }
    }
}

/// Tables and buckets.
const DIRECT: [Method; 4] = [
    Method::Tables { digit_bits: None },
    Method::Tables {
        digit_bits: Some(4),
    },
    Method::Buckets { digit_bits: None },
    Method::Buckets {
        digit_bits: Some(4),
    },
];

/// What a layer's products take, in hundredths of a product modulo n²: a square
/// takes 0.79 of a product's time.
pub fn time(counts: &Counts) -> u64 {
    100 * counts.products + 79 * counts.squarings
}

/// The methods that can be had for these rows without a search, with what they
/// come to. How outputs are packed makes no difference: it costs the same with
/// every method.
pub fn compare(rows: &Rows) -> Vec<(Method, Counts)> {
    let (planes, size) = subsets::choose(rows);
    // Short digits of short weights are the weights.
    let small = rows
        .rows
        .iter()
        .flatten()
        .all(|(_, w)| (-7..=8).contains(w));
    DIRECT
        .into_iter()
        .filter(|method| !(small && method.has_digits()))
        .chain([Method::Subsets { planes, size }])
        .map(|method| (method, method.counts(rows, 1, None)))
        .collect()
}

impl Method {
    /// Exactly what [`Plan::compile`] comes to with this method for so many
    /// copies of `rows`, without compiling (or searching, if `common` holds
    /// what a search would find).
    pub fn counts(self, rows: &Rows, copies: usize, common: Option<&Common>) -> Counts {
        match self {
            Method::Tables { digit_bits } => tables::counts(&rows.repeat(copies), digit_bits),
            Method::Buckets { digit_bits } => buckets::counts(&rows.repeat(copies), digit_bits),
            Method::Subsets { planes, size } => {
                Subsets::new(&Sets::new(rows, planes), size).counts(copies)
            }
            Method::Common { planes } => {
                with_common(rows, planes, common, |common| common.counts(rows, copies))
            }
        }
    }

    fn has_digits(self) -> bool {
        let (Method::Tables { digit_bits } | Method::Buckets { digit_bits }) = self else {
            return false;
        };
        digit_bits.is_some()
    }

    /// The method of [`compare`] that takes the least time.
    pub fn cheapest(rows: &Rows) -> Method {
        compare(rows)
            .into_iter()
            .min_by_key(|(_, counts)| time(counts))
            .map(|(method, _)| method)
            .expect("there are methods")
    }
}

/// `f` of the common pairs of `rows`: those given if they are for `planes`, or
/// else newly found ones.
fn with_common<T>(
    rows: &Rows,
    planes: Planes,
    common: Option<&Common>,
    f: impl FnOnce(&Common) -> T,
) -> T {
    match common.filter(|common| common.planes == planes) {
        Some(common) => f(common),
        None => f(&Common::find(rows, planes)),
    }
}

/// Outputs packed into one ciphertext after they are computed: output `t` of
/// each run of `outputs` is shifted by `t · shift_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackOutputs {
    /// How many outputs share a ciphertext.
    pub outputs: usize,
    /// How many bits lie between them.
    pub shift_bits: u32,
}

impl PackOutputs {
    /// The outputs of one copy that share a ciphertext, run by run.
    fn runs<T>(self, outputs: &[T]) -> impl Iterator<Item = &[T]> {
        outputs.chunks(self.outputs.max(1))
    }

    /// What packing costs for so many copies. An output without weights is 1,
    /// which costs nothing but the shifts of what is above it.
    pub fn counts(self, rows: &Rows, copies: usize) -> Counts {
        let mut counts = Counts::default();
        for run in self.runs(&rows.rows) {
            if let Some(top) = run.iter().rposition(|row| !row.is_empty()) {
                let used = run.iter().filter(|row| !row.is_empty()).count();
                counts.products += used as u64 - 1;
                counts.squarings += top as u64 * u64::from(self.shift_bits);
            }
        }
        counts.products *= copies as u64;
        counts.squarings *= copies as u64;
        counts
    }
}

/// A compiled plan.
pub struct Plan {
    /// What to multiply.
    pub program: Program,
    /// How it was arranged.
    pub method: Method,
    /// What it costs.
    pub counts: Counts,
}

impl Plan {
    /// The plan that `method` gives for so many independent copies of `rows`,
    /// the outputs of each packed by `pack` if that is given. `common` is as in
    /// [`Method::counts`].
    pub fn compile(
        rows: &Rows,
        copies: usize,
        method: Method,
        common: Option<&Common>,
        pack: Option<PackOutputs>,
    ) -> Plan {
        let mut arena = Arena::new(rows.inputs * copies);
        let mut outputs = match method {
            Method::Tables { digit_bits } => {
                tables::compile(&mut arena, &rows.repeat(copies), digit_bits)
            }
            Method::Buckets { digit_bits } => {
                buckets::compile(&mut arena, &rows.repeat(copies), digit_bits)
            }
            Method::Subsets { planes, size } => {
                Subsets::new(&Sets::new(rows, planes), size).compile(&mut arena, copies)
            }
            Method::Common { planes } => with_common(rows, planes, common, |common| {
                common.compile(&mut arena, rows, copies)
            }),
        };
        if let Some(pack) = pack {
            let mut lists = arena.lists();
            let of_copies = outputs.chunks(rows.rows.len().max(1));
            let runs = of_copies.flat_map(|of_copy| pack.runs(of_copy));
            let packed = runs.map(|run| lists.place(run)).collect();
            arena.horner(lists, pack.shift_bits);
            outputs = packed;
        }
        let program = arena.finish(outputs);
        let counts = program.counts();
        Plan {
            program,
            method,
            counts,
        }
    }
}
