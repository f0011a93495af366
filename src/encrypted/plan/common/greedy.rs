//! The search for common pairs.
//!
//! The number of sets that a given pair shares only ever falls, so the best
//! partner of an element is looked for again only when the element is next in
//! line by what it had before: most elements wait for long.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::paillier::Csr;

/// A pair must be in so many sets to be worth its product.
const WORTH: usize = 2;

/// Pairs in the order made, numbered from `elements` on, and what is left of
/// every set. The same sets always give the same answer.
pub(super) fn find(elements: usize, sets: &Csr) -> (Vec<[u32; 2]>, Vec<Vec<u32>>) {
    let mut search = Search::new(elements, sets);
    let mut pairs = Vec::new();
    // By sets shared with the best partner, or more; then the oldest.
    let mut queue: BinaryHeap<(usize, Reverse<u32>)> = (0u32..)
        .zip(&search.of_element)
        .map(|(element, of)| (of.len(), Reverse(element)))
        .collect();
    while let Some((most, Reverse(element))) = queue.pop() {
        let Some((shared, partner)) = search.best_partner(element) else {
            continue;
        };
        if shared < most && queue.peek().is_some_and(|&(next, _)| next > shared) {
            queue.push((shared, Reverse(element)));
            continue;
        }
        let pair = search.join(element, partner);
        pairs.push([element, partner]);
        // The pair's other partners share at most what both had.
        queue.push((shared, Reverse(pair)));
        queue.push((shared, Reverse(element)));
    }
    (pairs, search.sets)
}

struct Search {
    sets: Vec<Vec<u32>>,
    /// The sets that have an element, ascending.
    of_element: Vec<Vec<u32>>,
    /// How many products deep an element is.
    depth: Vec<u32>,
    /// Sets shared with the element in question; 0 between questions.
    shared: Vec<u32>,
    /// Elements whose `shared` is not 0.
    met: Vec<u32>,
}

impl Search {
    fn new(elements: usize, sets: &Csr) -> Search {
        let sets: Vec<Vec<u32>> = (0..sets.len()).map(|s| sets.row(s).to_vec()).collect();
        let mut of_element = vec![Vec::new(); elements];
        for (s, set) in (0u32..).zip(&sets) {
            for &element in set {
                of_element[element as usize].push(s);
            }
        }
        Search {
            sets,
            of_element,
            depth: vec![0; elements],
            shared: vec![0; elements],
            met: Vec::new(),
        }
    }

    /// The element that shares most sets with this one (the shallowest of
    /// them, then the oldest), and how many; `None` if that is not worth it.
    fn best_partner(&mut self, element: u32) -> Option<(usize, u32)> {
        if self.of_element[element as usize].len() < WORTH {
            return None;
        }
        for &s in &self.of_element[element as usize] {
            for &other in &self.sets[s as usize] {
                let shared = &mut self.shared[other as usize];
                if *shared == 0 {
                    self.met.push(other);
                }
                *shared += 1;
            }
        }
        let mut best = None;
        for other in self.met.drain(..) {
            let shared = std::mem::take(&mut self.shared[other as usize]);
            if other != element {
                let key = (shared, Reverse(self.depth[other as usize]), Reverse(other));
                best = best.max(Some(key));
            }
        }
        best.map(|(shared, _, Reverse(other))| (shared as usize, other))
            .filter(|&(shared, _)| shared >= WORTH)
    }

    /// Makes a pair of the two: it takes their place wherever both are.
    fn join(&mut self, a: u32, b: u32) -> u32 {
        let pair = self.of_element.len() as u32;
        let (of_a, of_b) = (&self.of_element[a as usize], &self.of_element[b as usize]);
        let both: Vec<u32> = of_a
            .iter()
            .copied()
            .filter(|s| of_b.binary_search(s).is_ok())
            .collect();
        for element in [a, b] {
            self.of_element[element as usize].retain(|s| both.binary_search(s).is_err());
        }
        for &s in &both {
            let set = &mut self.sets[s as usize];
            set.retain(|&element| element != a && element != b);
            set.push(pair);
        }
        self.of_element.push(both);
        let depth = self.depth[a as usize].max(self.depth[b as usize]) + 1;
        self.depth.push(depth);
        self.shared.push(0);
        pair
    }
}
