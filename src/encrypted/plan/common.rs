//! Common pairs: what several sets share is multiplied once.
//!
//! Greedy elimination of common subexpressions (Paar, "Optimized arithmetic for
//! Reed-Solomon encoders", ISIT 1997): the pair of elements that most sets have
//! in common becomes an element of its own and takes the pair's place in those
//! sets; so on, with the new elements too, until no pair is in two sets.
//!
//! Of the methods this leaves the fewest products by far, and it is the only one
//! that takes longer to find than it saves in a single run. So it is found once
//! and kept ([`Common`] holds no key, and [`Common::fits`] proves cheaply that it
//! belongs to given weights).

mod greedy;

use rayon::prelude::*;

use crate::paillier::{Counts, Csr, ProgramStage as Stage};

use super::{super::rows::Rows, Method, Planes, arena::Arena, compare, planes::Sets, time};

/// A layer's sets after their common pairs have been taken out.
#[derive(Clone, PartialEq, Eq)]
pub struct Common {
    /// How the weights were written.
    pub planes: Planes,
    /// The pairs in the order in which they were made. Elements are numbered:
    /// inputs, their inverses (if the planes use any), pairs.
    pub pairs: Vec<[u32; 2]>,
    /// What is left of every set, in the order of output, sign and plane.
    pub sets: Csr,
}

/// Counts only: the rest follows from a server's weights.
impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (pairs, sets) = (self.pairs.len(), self.sets.len());
        write!(
            f,
            "Common({}, {pairs} pairs, {sets} sets)",
            self.planes.name()
        )
    }
}

impl Common {
    /// The method that these are for.
    pub fn method(&self) -> Method {
        Method::Common {
            planes: self.planes,
        }
    }

    /// The common pairs of these rows. Takes seconds for the largest layers.
    pub fn find(rows: &Rows, planes: Planes) -> Common {
        let sets = Sets::new(rows, planes);
        let (pairs, left) = greedy::find(sets.elements(), &sets.sets);
        Common {
            planes,
            pairs,
            sets: left.into_iter().collect(),
        }
    }

    /// The common pairs of these rows for the planes that leave the least to
    /// do, if that is less than with any method that needs no search.
    pub fn find_best(rows: &Rows) -> Option<Common> {
        let directly = compare(rows).iter().map(|(_, counts)| time(counts)).min();
        let found: Vec<(u64, Common)> = Planes::ALL
            .into_par_iter()
            .map(|planes| {
                let common = Common::find(rows, planes);
                (time(&common.counts(rows, 1)), common)
            })
            .collect();
        let best = found.into_iter().min_by_key(|(time, _)| *time);
        best.filter(|(time, _)| directly.is_none_or(|directly| *time < directly))
            .map(|(_, common)| common)
    }

    /// Whether this computes exactly these rows: every set, taken apart again,
    /// must be the rows' own. However it was made, nothing else passes, and the
    /// check takes no longer than writing the rows' sets down.
    pub fn fits(&self, rows: &Rows) -> bool {
        self.fits_sets(&Sets::new(rows, self.planes))
    }

    fn fits_sets(&self, sets: &Sets) -> bool {
        let elements = sets.elements();
        let earlier = |(made, pair): (usize, &[u32; 2])| {
            pair.iter().all(|&part| (part as usize) < elements + made)
        };
        let of_sets = |s| {
            let members = self.sets.row(s).iter();
            members
                .map(|&member| member as usize)
                .all(|member| member < elements + self.pairs.len())
        };
        if self.sets.len() != sets.sets.len()
            || !self.pairs.iter().enumerate().all(earlier)
            || !(0..self.sets.len()).all(of_sets)
        {
            return false;
        }
        // For every element the last set, counted from 1, that has it and in
        // which it has not been met yet.
        let mut expected = vec![0; elements];
        let mut open = Vec::new();
        (0..self.sets.len()).all(|s| {
            let set = sets.sets.row(s);
            for &element in set {
                expected[element as usize] = s + 1;
            }
            let mut met = 0;
            open.extend_from_slice(self.sets.row(s));
            while let Some(element) = open.pop() {
                let element = element as usize;
                if let Some(pair) = element.checked_sub(elements) {
                    // More open elements than members: pairs of pairs without end.
                    if open.len() > set.len() {
                        return false;
                    }
                    open.extend_from_slice(&self.pairs[pair]);
                } else if expected[element] == s + 1 {
                    expected[element] = 0;
                    met += 1;
                } else {
                    return false;
                }
            }
            met == set.len()
        })
    }

    /// What [`Common::compile`] comes to.
    pub(super) fn counts(&self, rows: &Rows, copies: usize) -> Counts {
        let left = (0..self.sets.len()).map(|s| self.sets.row(s).len().saturating_sub(1));
        let counts = Counts {
            products: ((self.pairs.len() + left.sum::<usize>()) * copies) as u64,
            ..Counts::default()
        };
        counts + Sets::new(rows, self.planes).counts(copies)
    }

    /// The outputs of every copy of `rows`, appended to the arena.
    pub(super) fn compile(&self, arena: &mut Arena, rows: &Rows, copies: usize) -> Vec<u32> {
        let sets = Sets::new(rows, self.planes);
        debug_assert!(self.fits_sets(&sets), "these are another layer's pairs");
        let (first, made) = (sets.elements(), self.pairs.len());
        let elements = sets.place(arena, copies);
        let mut places = vec![0u32; copies * made];
        let at = |places: &[u32], copy: usize, element: u32| match (element as usize)
            .checked_sub(first)
        {
            None => elements[copy * first + element as usize],
            Some(pair) => places[copy * made + pair],
        };
        for level in self.levels(first) {
            let copied = (0..copies).flat_map(|copy| level.iter().map(move |&pair| (copy, pair)));
            let pairs = copied.clone().map(|(copy, pair)| {
                let [a, b] = self.pairs[pair].map(|element| at(&places, copy, element));
                (a, b)
            });
            let pairs = pairs.collect();
            for ((copy, pair), result) in copied.zip(arena.push(Stage::Powers(pairs))..) {
                places[copy * made + pair] = result;
            }
        }
        let mut lists = arena.lists();
        let mut of_sets = Vec::with_capacity(copies * self.sets.len());
        let mut factors = Vec::new();
        for copy in 0..copies {
            for s in 0..self.sets.len() {
                factors.clear();
                let set = self.sets.row(s).iter();
                factors.extend(set.map(|&element| at(&places, copy, element)));
                of_sets.push(lists.place(&factors));
            }
        }
        arena.products(lists);
        sets.join(arena, copies, &of_sets)
    }

    /// Pairs by depth: those of a level depend on the levels before it only.
    fn levels(&self, first: usize) -> Vec<Vec<usize>> {
        let mut depth: Vec<usize> = Vec::with_capacity(self.pairs.len());
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for (made, pair) in self.pairs.iter().enumerate() {
            let of = |&part: &u32| (part as usize).checked_sub(first).map_or(0, |p| depth[p]);
            let level = pair.iter().map(of).max().unwrap_or(0);
            depth.push(level + 1);
            if levels.len() <= level {
                levels.resize(level + 1, Vec::new());
            }
            levels[level].push(made);
        }
        levels
    }
}
