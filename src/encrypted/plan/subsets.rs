//! Subset products (the "Four Russians": Arlazarov, Dinic, Kronrod and
//! Faradžev, 1970; for multi-exponentiation Yen, Laih and Lenstra, 1994): the
//! inputs are cut into groups of a few; within a group the products over all
//! subsets that any set asks for are made once, so that a set is one product a
//! group.

use crate::paillier::{Counts, ProgramStage as Stage};

use super::{
    super::rows::{Row, Rows},
    Planes,
    arena::Arena,
    planes::Sets,
    time,
};

/// Groups of more elements are not tried: subsets double with each.
const LARGEST: u32 = 12;

/// Inputs from which planes and the size of a group are chosen: whole groups of
/// most sizes.
const SAMPLE: usize = 60;

/// The planes that are tried. Where inputs are inverted, groups have to reach
/// over twice as many elements.
const TRIED: [Planes; 3] = [Planes::Binary, Planes::Signed, Planes::TwosComplement];

/// The subsets that occur, for groups of a given size.
pub(super) struct Subsets<'a> {
    sets: &'a Sets,
    /// Bits of a subset: the size of a group.
    size: u32,
    /// For every set its parts, group by group; a part is the group's number
    /// above a bit for each of its elements.
    parts: Vec<u32>,
    ends: Vec<u32>,
    /// The parts of two elements or more that must be made, ascending: with
    /// each also the one without its lowest element.
    made: Vec<u32>,
}

/// The planes and the size of groups that are cheapest for the first few inputs
/// of these rows.
pub(super) fn choose(rows: &Rows) -> (Planes, u32) {
    let inputs = SAMPLE.min(rows.inputs);
    let below = |row: &Row| -> Row {
        let known = row.iter().filter(|(input, _)| (*input as usize) < inputs);
        known.copied().collect()
    };
    let sample = Rows {
        inputs,
        rows: rows.rows.iter().map(below).collect(),
    };
    let mut best: Option<(u64, Planes, u32)> = None;
    for planes in TRIED {
        let sets = Sets::new(&sample, planes);
        // All inputs are joined at once, but only the sample is multiplied.
        let join = time(&sets.counts(1)) * inputs as u64 / rows.inputs.max(1) as u64;
        for size in 2..=LARGEST {
            let subsets = Subsets::new(&sets, size);
            let products = (subsets.parts.len() + subsets.made.len()) as u64;
            let cost = 100 * products + join;
            if best.is_none_or(|(least, ..)| cost < least) {
                best = Some((cost, planes, size));
            }
        }
    }
    best.map(|(_, planes, size)| (planes, size))
        .expect("planes are tried")
}

impl<'a> Subsets<'a> {
    pub(super) fn new(sets: &'a Sets, size: u32) -> Subsets<'a> {
        let groups = sets.elements().div_ceil(size as usize);
        let mut needed = vec![false; groups << size];
        let (mut parts, mut ends) = (Vec::new(), Vec::with_capacity(sets.sets.len()));
        for set in 0..sets.sets.len() {
            let first = parts.len();
            for &element in sets.sets.row(set) {
                let (group, bit) = (element / size, 1 << (element % size));
                match parts[first..].last_mut() {
                    Some(part) if *part >> size == group => *part |= bit,
                    _ => parts.push(group << size | bit),
                }
            }
            for &part in &parts[first..] {
                needed[part as usize] = true;
            }
            ends.push(parts.len() as u32);
        }
        // Downwards, so that what a subset is made from is met after it.
        let mut made = Vec::new();
        for part in (0..needed.len() as u32).rev() {
            let subset = part & ((1 << size) - 1);
            if needed[part as usize] && !subset.is_power_of_two() && subset > 0 {
                needed[(part & (part - 1)) as usize] = true;
                made.push(part);
            }
        }
        made.reverse();
        Subsets {
            sets,
            size,
            parts,
            ends,
            made,
        }
    }

    fn parts_of(&self, set: usize) -> &[u32] {
        let first = set.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.parts[first as usize..self.ends[set] as usize]
    }

    /// What [`Subsets::compile`] comes to.
    pub(super) fn counts(&self, copies: usize) -> Counts {
        let full = (0..self.ends.len()).filter(|&set| !self.parts_of(set).is_empty());
        let products = self.made.len() + self.parts.len() - full.count();
        let counts = Counts {
            products: (products * copies) as u64,
            ..Counts::default()
        };
        counts + self.sets.counts(copies)
    }

    /// The outputs of every copy, appended to the arena.
    pub(super) fn compile(&self, arena: &mut Arena, copies: usize) -> Vec<u32> {
        let elements = self.sets.place(arena, copies);
        let of_copy = self.sets.elements();
        let mask = (1u32 << self.size) - 1;
        let mut places = vec![0u32; copies * self.made.len()];
        let at = |places: &[u32], copy: usize, part: u32| {
            let subset = part & mask;
            if subset.is_power_of_two() {
                let element = (part >> self.size) * self.size + subset.trailing_zeros();
                elements[copy * of_copy + element as usize]
            } else {
                let made = self.made.binary_search(&part).expect("it is needed");
                places[copy * self.made.len() + made]
            }
        };
        for ones in 2..=self.size {
            let mut pairs = Vec::new();
            let mut of_pairs = Vec::new();
            for copy in 0..copies {
                for (made, &part) in self.made.iter().enumerate() {
                    if (part & mask).count_ones() == ones {
                        let without = part & (part - 1);
                        let lowest = part & !mask | (part ^ without);
                        let pair = (at(&places, copy, without), at(&places, copy, lowest));
                        pairs.push(pair);
                        of_pairs.push(copy * self.made.len() + made);
                    }
                }
            }
            let results = arena.push(Stage::Powers(pairs));
            for (place, result) in of_pairs.into_iter().zip(results..) {
                places[place] = result;
            }
        }
        let mut lists = arena.lists();
        let mut of_sets = Vec::with_capacity(copies * self.ends.len());
        let mut factors = Vec::new();
        for copy in 0..copies {
            for set in 0..self.ends.len() {
                factors.clear();
                let parts = self.parts_of(set).iter();
                factors.extend(parts.map(|&part| at(&places, copy, part)));
                of_sets.push(lists.place(&factors));
            }
        }
        arena.products(lists);
        self.sets.join(arena, copies, &of_sets)
    }
}
