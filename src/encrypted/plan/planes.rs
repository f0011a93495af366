//! Bit planes: a layer's weights as sets of inputs. An output is
//!
//! ```text
//! y = Π_p (Π_{i in S_p} x_i)^(2^p)   over its planes p,
//! ```
//!
//! so what is left to arrange are plain products over sets, which have much in
//! common; joining them is a squaring and a product a plane.

use crate::paillier::{Counts, Csr, ONE, ProgramStage as Stage};

use super::{super::rows::Rows, arena::Arena};

/// How weights are written as bit planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Planes {
    /// Bits of the magnitude; positive and negative weights make two products,
    /// the second of which is inverted: an inversion an output.
    Binary,
    /// Digits −1, 0, 1, no two neighbours of which are not 0 (the non-adjacent
    /// form, a third of all digits where binary has a half); signs as with
    /// [`Planes::Binary`].
    Signed,
    /// Two's complement. The top plane is negative, and inverted: an inversion
    /// an output that has negative weights, and one product to join it.
    TwosComplement,
    /// As [`Planes::Binary`], but with inverted inputs for negative weights: an
    /// inversion an input, and half as many planes to join.
    BinaryInverses,
    /// As [`Planes::Signed`], with inverted inputs.
    SignedInverses,
}

impl Planes {
    /// All of them.
    pub const ALL: [Planes; 5] = [
        Planes::Binary,
        Planes::Signed,
        Planes::TwosComplement,
        Planes::BinaryInverses,
        Planes::SignedInverses,
    ];

    /// The word for it in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Planes::Binary => "binary",
            Planes::Signed => "signed",
            Planes::TwosComplement => "two's complement",
            Planes::BinaryInverses => "binary, inputs inverted",
            Planes::SignedInverses => "signed, inputs inverted",
        }
    }

    /// The planes of this name.
    pub fn named(name: &str) -> Option<Planes> {
        Planes::ALL.into_iter().find(|planes| planes.name() == name)
    }

    fn inverts_inputs(self) -> bool {
        matches!(self, Planes::BinaryInverses | Planes::SignedInverses)
    }

    /// Planes of a weight that hold a digit other than 0, lowest first, and
    /// whether it is −1. `top` is the negative plane of two's complement.
    fn digits(self, weight: i32, top: u32) -> impl Iterator<Item = (u32, bool)> {
        let magnitude = i64::from(weight).abs();
        // With these, w = plus − minus and no bit is in both.
        let (plus, minus) = match self {
            Planes::Binary | Planes::BinaryInverses => (magnitude, 0),
            Planes::Signed | Planes::SignedInverses => {
                // The non-adjacent form: the bits in which 3w and w differ.
                let (triple, half) = (3 * magnitude, magnitude);
                ((triple & !half) >> 1, (half & !triple) >> 1)
            }
            Planes::TwosComplement => {
                let low = (1i64 << top) - 1;
                (i64::from(weight) & low, i64::from(weight < 0) << top)
            }
        };
        let flip = self != Planes::TwosComplement && weight < 0;
        let mut rest = plus | minus;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let plane = rest.trailing_zeros();
            rest &= rest - 1;
            Some((plane, (minus >> plane & 1 == 1) != flip))
        })
    }
}

/// The sets of a layer, for one way to write its weights.
pub(super) struct Sets {
    pub(super) planes: Planes,
    inputs: usize,
    /// By output, then positive before negative, then plane from the lowest.
    /// Elements ascend; from `inputs` on they are inverses of inputs.
    pub(super) sets: Csr,
    of_output: Vec<Run>,
    /// The inputs of which an inverse is used, ascending.
    inverted: Vec<u32>,
}

/// The sets of an output.
struct Run {
    /// Positive and negative sets: planes up to the highest that is not empty,
    /// but for two's complement, where the only negative plane is the top one.
    sets: [u32; 2],
    /// The negative plane of two's complement.
    top: u32,
}

impl Sets {
    pub(super) fn new(rows: &Rows, planes: Planes) -> Sets {
        let mut sets = Sets {
            planes,
            inputs: rows.inputs,
            sets: Csr::new(),
            of_output: Vec::with_capacity(rows.rows.len()),
            inverted: Vec::new(),
        };
        let mut inverted = vec![false; rows.inputs];
        let mut parts: [Vec<Vec<u32>>; 2] = Default::default();
        for row in &rows.rows {
            let magnitude = |&(_, weight): &(u32, i32)| weight ^ (weight >> 31);
            let largest = row.iter().map(magnitude).max().unwrap_or(0);
            let top = i32::BITS - largest.leading_zeros();
            for &(input, weight) in row {
                for (plane, negative) in planes.digits(weight, top) {
                    let mut element = input;
                    let mut part = &mut parts[usize::from(negative)];
                    let mut plane = plane as usize;
                    if negative && planes == Planes::TwosComplement {
                        plane = 0;
                    } else if negative && planes.inverts_inputs() {
                        inverted[input as usize] = true;
                        element += rows.inputs as u32;
                        part = &mut parts[0];
                    }
                    if part.len() <= plane {
                        part.resize(plane + 1, Vec::new());
                    }
                    part[plane].push(element);
                }
            }
            let used = parts.each_mut().map(|part| {
                let top = part.iter().rposition(|set| !set.is_empty());
                let used = top.map_or(0, |top| top + 1);
                for set in &mut part[..used] {
                    set.sort_unstable();
                    sets.sets.push(set.drain(..));
                }
                used as u32
            });
            sets.of_output.push(Run { sets: used, top });
        }
        let inverted = (0u32..).zip(inverted).filter(|(_, used)| *used);
        sets.inverted = inverted.map(|(input, _)| input).collect();
        sets
    }

    /// Elements that sets may name: the inputs, and perhaps their inverses.
    pub(super) fn elements(&self) -> usize {
        self.inputs << u32::from(self.planes.inverts_inputs())
    }

    /// Where the elements of every copy are, copy by copy; the inverses that are
    /// needed are made.
    pub(super) fn place(&self, arena: &mut Arena, copies: usize) -> Vec<u32> {
        let inputs = self.inputs as u32;
        let copies = 0..copies as u32;
        let of_copy = |copy| self.inverted.iter().map(move |i| copy * inputs + i);
        let all = copies.clone().flat_map(of_copy).collect();
        let mut inverse = arena.push(Stage::Invert(all));
        let mut places = Vec::with_capacity(copies.len() * self.elements());
        for copy in copies {
            places.extend((0..inputs).map(|input| copy * inputs + input));
            let first = places.len();
            places.resize((copy as usize + 1) * self.elements(), ONE);
            for &input in &self.inverted {
                places[first + input as usize] = inverse;
                inverse += 1;
            }
        }
        places
    }

    /// The outputs of every copy, from where the products over its sets are
    /// (copy by copy).
    pub(super) fn join(&self, arena: &mut Arena, copies: usize, of_sets: &[u32]) -> Vec<u32> {
        let complements = self.planes == Planes::TwosComplement;
        let mut rest = of_sets;
        let mut take = |sets: u32| {
            let (run, after) = rest.split_at(sets as usize);
            rest = after;
            run
        };
        let outputs = std::iter::repeat_n(&self.of_output, copies).flatten();
        let runs: Vec<[&[u32]; 2]> = outputs.clone().map(|run| run.sets.map(&mut take)).collect();
        if !complements {
            let mut lists = arena.lists();
            let pairs: Vec<[u32; 2]> = runs
                .iter()
                .map(|run| run.map(|run| lists.place(run)))
                .collect();
            arena.horner(lists, 1);
            return arena.divide(&pairs);
        }
        let tops = runs.iter().flat_map(|run| run[1]).copied().collect();
        let mut inverse = arena.push(Stage::Invert(tops));
        let mut lists = arena.lists();
        let mut digits = Vec::new();
        let joined = outputs.zip(&runs).map(|(output, [low, top])| {
            digits.clear();
            digits.extend_from_slice(low);
            if !top.is_empty() {
                digits.resize(output.top as usize, ONE);
                digits.push(inverse);
                inverse += 1;
            }
            lists.place(&digits)
        });
        let joined = joined.collect();
        arena.horner(lists, 1);
        joined
    }

    /// What [`Sets::place`] and [`Sets::join`] come to.
    pub(super) fn counts(&self, copies: usize) -> Counts {
        let mut counts = Counts::default();
        let mut inverted = self.inverted.len();
        let mut first = 0;
        for run in &self.of_output {
            let mut parts = 0;
            for (negative, &sets) in run.sets.iter().enumerate() {
                let sets = sets as usize;
                let full = (first..first + sets).filter(|&s| !self.sets.row(s).is_empty());
                let full = full.count() as u64;
                first += sets;
                if full == 0 {
                    continue;
                }
                parts += 1;
                inverted += negative;
                counts.products += full - 1;
                if self.planes != Planes::TwosComplement {
                    counts.squarings += sets as u64 - 1;
                } else if negative == 1 || run.sets[1] == 0 {
                    let top = if negative == 1 {
                        run.top as usize
                    } else {
                        sets - 1
                    };
                    counts.squarings += top as u64;
                }
            }
            counts.products += u64::from(parts == 2);
        }
        let times = copies as u64;
        counts.products *= times;
        counts.squarings *= times;
        counts + Counts::of_inversions(inverted * copies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn planes_make_the_weight(weight: i32, small in -128..=127i32, more in 0u32..3) {
            for weight in [weight, small] {
                for planes in Planes::ALL {
                    let top = i32::BITS - (weight ^ (weight >> 31)).leading_zeros() + more;
                    let digits: Vec<(u32, bool)> = planes.digits(weight, top).collect();
                    let sum: i64 = digits.iter().map(|&(plane, negative)| {
                        if negative { -(1i64 << plane) } else { 1i64 << plane }
                    }).sum();
                    prop_assert_eq!(sum, i64::from(weight));
                    prop_assert!(digits.is_sorted_by(|a, b| a.0 < b.0), "one digit a plane");
                    if planes == Planes::Signed {
                        prop_assert!(digits.is_sorted_by(|a, b| a.0 + 1 < b.0), "not adjacent");
                    }
                }
            }
        }
    }
}
