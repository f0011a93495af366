//! Tables: the powers of every input that any output needs, made once by an
//! addition chain and shared; then an output is one product a digit.

use std::collections::HashMap;

use crate::paillier::{Counts, ProgramStage as Stage};

use super::{
    super::{
        chain::{Step, addition_chain},
        rows::Rows,
    },
    arena::Arena,
    digits::digits,
};

/// Most digits of a weight of 32 bits, of at least 2 bits each.
const MOST_DIGITS: usize = 17;

/// For every input the exponents that some digit asks for, ascending.
fn needed(rows: &Rows, digit_bits: Option<u32>) -> Vec<Vec<u32>> {
    let mut needed = vec![Vec::new(); rows.inputs];
    for &(input, weight) in rows.rows.iter().flatten() {
        let found = digits(weight, digit_bits).map(|(_, digit)| digit.unsigned_abs());
        needed[input as usize].extend(found);
    }
    for set in &mut needed {
        set.sort_unstable();
        set.dedup();
    }
    needed
}

/// What [`compile`] comes to.
pub(super) fn counts(rows: &Rows, digit_bits: Option<u32>) -> Counts {
    let needed = needed(rows, digit_bits);
    let mut known: HashMap<&[u32], Counts> = HashMap::new();
    let of_chain = |set: &[u32]| -> Counts {
        let mut counts = Counts::default();
        for step in addition_chain(set) {
            if step.left == step.right {
                counts.squarings += 1;
            } else {
                counts.products += 1;
            }
        }
        counts
    };
    let chains = needed
        .iter()
        .map(|set| *known.entry(set).or_insert_with(|| of_chain(set)));
    let mut counts: Counts = chains.sum();
    let mut inverted = 0;
    for row in &rows.rows {
        let mut lengths = [[0u64; MOST_DIGITS]; 2];
        for &(_, weight) in row {
            for (place, digit) in digits(weight, digit_bits) {
                lengths[usize::from(digit < 0)][place] += 1;
            }
        }
        let mut signs = 0;
        for of_sign in &lengths {
            let Some(top) = of_sign.iter().rposition(|&length| length > 0) else {
                continue;
            };
            // A list of k factors takes k − 1 products, joining one a list more.
            counts.products += of_sign.iter().sum::<u64>() - 1;
            counts.squarings += top as u64 * u64::from(digit_bits.unwrap_or(0));
            signs += 1;
        }
        counts.products += u64::from(signs == 2);
        inverted += usize::from(lengths[1].iter().any(|&length| length > 0));
    }
    counts + Counts::of_inversions(inverted)
}

/// The outputs of `rows`, appended to the arena.
pub(super) fn compile(arena: &mut Arena, rows: &Rows, digit_bits: Option<u32>) -> Vec<u32> {
    let needed = needed(rows, digit_bits);
    let powers = Powers::new(arena, &needed);

    // For every output, sign and place a list of factors; the places of the
    // lists of an output and sign, one after the other, with their number.
    let mut lists = arena.lists();
    let mut joins: Vec<u32> = Vec::new();
    let mut lengths: Vec<usize> = Vec::with_capacity(2 * rows.rows.len());
    let mut factors: [Vec<Vec<u32>>; 2] = Default::default();
    for row in &rows.rows {
        for &(input, weight) in row {
            for (place, digit) in digits(weight, digit_bits) {
                let of_sign = &mut factors[usize::from(digit < 0)];
                if of_sign.len() <= place {
                    of_sign.resize(place + 1, Vec::new());
                }
                of_sign[place].push(powers.at(input, digit.unsigned_abs()));
            }
        }
        for of_sign in &mut factors {
            let top = of_sign.iter().rposition(|list| !list.is_empty());
            let used = top.map_or(0, |top| top + 1);
            lengths.push(used);
            for list in &mut of_sign[..used] {
                joins.push(lists.place(list));
                list.clear();
            }
        }
    }
    arena.products(lists);

    let mut lists = arena.lists();
    let mut rest = &joins[..];
    let mut parts = lengths.iter().map(|&length| {
        let (run, after) = rest.split_at(length);
        rest = after;
        lists.place(run)
    });
    let pairs = std::iter::from_fn(|| Some([parts.next()?, parts.next()?]));
    let pairs: Vec<[u32; 2]> = pairs.collect();
    arena.horner(lists, digit_bits.unwrap_or(0));
    arena.divide(&pairs)
}

/// Where the powers of every input stand in the arena.
struct Powers {
    chains: Vec<Chain>,
    /// For every input its chain, and where its powers begin in `places`.
    of_input: Vec<(u32, u32)>,
    places: Vec<u32>,
}

/// The powers of an input beyond the first.
struct Chain {
    /// By ascending value, so that every step follows those that it uses.
    steps: Vec<Step>,
    /// Steps by depth: those of a level depend on the levels before it only.
    levels: Vec<Vec<u32>>,
}

impl Chain {
    fn new(needed: &[u32]) -> Chain {
        let mut chain = Chain {
            steps: addition_chain(needed),
            levels: Vec::new(),
        };
        let mut depth: Vec<usize> = Vec::with_capacity(chain.steps.len());
        for (i, step) in (0u32..).zip(&chain.steps) {
            let of = |value| chain.step(value).map_or(0, |at| depth[at]);
            let level = of(step.left).max(of(step.right));
            depth.push(level + 1);
            if chain.levels.len() <= level {
                chain.levels.resize(level + 1, Vec::new());
            }
            chain.levels[level].push(i);
        }
        chain
    }

    /// The step that reaches this exponent; `None` for 1.
    fn step(&self, exponent: u32) -> Option<usize> {
        let found = self.steps.binary_search_by_key(&exponent, |s| s.value);
        found.ok()
    }
}

impl Powers {
    /// Makes the powers: one stage a level.
    fn new(arena: &mut Arena, needed: &[Vec<u32>]) -> Powers {
        // Inputs with the same needs share a chain: in a convolution nearly
        // all do.
        let mut known: HashMap<&[u32], u32> = HashMap::new();
        let mut powers = Powers {
            chains: Vec::new(),
            of_input: Vec::with_capacity(needed.len()),
            places: Vec::new(),
        };
        for set in needed {
            let chain = *known.entry(set).or_insert_with(|| {
                powers.chains.push(Chain::new(set));
                powers.chains.len() as u32 - 1
            });
            let first = powers.places.len();
            powers.of_input.push((chain, first as u32));
            let steps = powers.chains[chain as usize].steps.len();
            powers.places.resize(first + steps, 0);
        }
        let deepest = powers.chains.iter().map(|chain| chain.levels.len()).max();
        for level in 0..deepest.unwrap_or(0) {
            let (mut pairs, mut made) = (Vec::new(), Vec::new());
            for (input, &(chain, first)) in (0u32..).zip(&powers.of_input) {
                let chain = &powers.chains[chain as usize];
                for &i in chain.levels.get(level).into_iter().flatten() {
                    let step = chain.steps[i as usize];
                    pairs.push((powers.at(input, step.left), powers.at(input, step.right)));
                    made.push(first + i);
                }
            }
            let results = arena.push(Stage::Powers(pairs));
            for (at, place) in made.into_iter().zip(results..) {
                powers.places[at as usize] = place;
            }
        }
        powers
    }

    /// Where this power is.
    fn at(&self, input: u32, exponent: u32) -> u32 {
        let (chain, first) = self.of_input[input as usize];
        match self.chains[chain as usize].step(exponent) {
            Some(step) => self.places[first as usize + step],
            None => input,
        }
    }
}
