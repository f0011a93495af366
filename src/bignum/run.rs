//! Running a [`Program`] on a kernel.
//!
//! Rows of a stage are independent. They are sorted by cost and dealt to the
//! lanes of a block, so that lanes end together; threads take the next block
//! that is left, the most expensive first. The arena is kept stage by stage, and
//! a stage's results are dropped as soon as nothing later reads them.

use std::sync::{Mutex, PoisonError};

use super::{
    BignumError, Program,
    core::{Core, MAX_LANES, PARALLEL_PRODUCTS},
    elements::Elements,
    kernel::Lanes,
    program::{Csr, ONE, Stage},
    steps::{Plan, REGISTERS, Source, Step},
};

/// The elements made so far, stage by stage.
struct Arena<'a> {
    inputs: &'a Elements,
    one: &'a [u64],
    /// Results of each stage and the index of the first; `None` once freed.
    stages: Vec<(u32, Option<Elements>)>,
}

impl Arena<'_> {
    #[inline]
    fn row(&self, index: u32) -> &[u64] {
        if (index as usize) < self.inputs.len() {
            return self.inputs.row(index as usize);
        }
        if index == ONE {
            return self.one;
        }
        // There are few stages, and most reads are of the latest.
        let made = self.stages.iter().rev().find(|(first, _)| *first <= index);
        let (first, results) = made.expect("checked when the program was made");
        results
            .as_ref()
            .expect("freed only after the last stage that reads it")
            .row((index - first) as usize)
    }

    fn gather(&self, indices: &[u32]) -> Elements {
        let mut out = Elements::with_capacity(self.inputs.stride, indices.len());
        for &i in indices {
            out.rows.extend_from_slice(self.row(i));
        }
        out
    }
}

impl<K: Lanes> Core<K> {
    pub(super) fn run(
        &self,
        program: &Program,
        inputs: &Elements,
    ) -> Result<Elements, BignumError> {
        self.check(inputs);
        if inputs.len() != program.inputs() {
            return Err(BignumError::WrongInputs {
                expected: program.inputs(),
                found: inputs.len(),
            });
        }
        let uses = program.uses();
        let mut is_output = vec![false; uses.len()];
        for &index in program.outputs().iter().filter(|&&index| index != ONE) {
            if let Some(stage) = uses.iter().rposition(|made| made.first <= index) {
                is_output[stage] = true;
            }
        }
        let mut arena = Arena {
            inputs,
            one: &self.one,
            stages: Vec::with_capacity(uses.len()),
        };
        for (s, (stage, made)) in program.stages().iter().zip(uses).enumerate() {
            let results = match stage {
                Stage::Invert(indices) => {
                    self.invert(&arena.gather(indices))
                        .map_err(|error| match error {
                            BignumError::NotUnit(at) => BignumError::NotUnit(indices[at] as usize),
                            other => other,
                        })?
                }
                // A product by 1 is left out, which a chain cannot do.
                Stage::Products(rows) if !made.of_one => self.chains(rows, &arena),
                Stage::Powers(pairs) if !made.of_one => self.pairs(pairs, &arena),
                other => self.steps(other, &arena),
            };
            arena.stages.push((made.first, Some(results)));
            for ((results, made), &output) in arena.stages.iter_mut().zip(uses).zip(&is_output) {
                if made.last as usize <= s && !output {
                    results.1 = None;
                }
            }
        }
        Ok(arena.gather(program.outputs()))
    }

    /// Results of rows of the given costs, in fifths of a product: `f(rows of a
    /// block, out)` is called with row numbers of similar cost, at most a block
    /// of them.
    fn by_cost<S>(
        &self,
        costs: Vec<usize>,
        state: impl Fn() -> S + Sync,
        f: impl Fn(&mut S, &[usize], &mut [u64]) + Sync,
    ) -> Elements {
        let stride = self.stride();
        let mut order: Vec<usize> = (0..costs.len()).collect();
        // Most expensive first, so that no long row is left for the end;
        // stable, so that equal rows stay neighbours and share the cache.
        order.sort_by_key(|&j| std::cmp::Reverse(costs[j]));
        let mut sorted = Elements::zeroed(stride, costs.len());
        let blocks = order
            .chunks(K::LANES)
            .zip(sorted.rows.chunks_mut(K::LANES * stride));
        let products = order
            .chunks(K::LANES)
            .map(|rows| costs[rows[0]])
            .sum::<usize>()
            / 5;
        share(blocks, products, state, |s, (rows, out)| f(s, rows, out));
        if order.is_sorted() {
            return sorted;
        }
        let mut out = Elements::zeroed(stride, costs.len());
        for (row, &j) in sorted.rows.chunks(stride).zip(&order) {
            out.rows[j * stride..(j + 1) * stride].copy_from_slice(row);
        }
        out
    }

    /// Plain products of index lists: the accumulators never leave their block.
    fn chains(&self, rows: &Csr, arena: &Arena<'_>) -> Elements {
        let costs = (0..rows.len()).map(|j| 5 * rows.row(j).len()).collect();
        self.by_cost(
            costs,
            || (self.k.block(), self.k.block()),
            |(acc, factor), lanes, out| {
                let mut lists: [&[u32]; MAX_LANES] = [&[]; MAX_LANES];
                for (list, &j) in lists.iter_mut().zip(lanes) {
                    *list = rows.row(j);
                }
                let at =
                    |lane: usize, t: usize| arena.row(lists[lane].get(t).copied().unwrap_or(ONE));
                self.load_by(acc, lanes.len(), |lane| at(lane, 0));
                // Sorted by length: the first lane is the longest.
                for t in 1..lists[0].len() {
                    self.load_by(factor, lanes.len(), |lane| at(lane, t));
                    self.k.mul_assign(acc, factor);
                }
                self.k.scatter(acc, out);
            },
        )
    }

    /// Products of two elements each.
    fn pairs(&self, pairs: &[(u32, u32)], arena: &Arena<'_>) -> Elements {
        let square = |&(a, b): &(u32, u32)| a == b;
        let costs = pairs.iter().map(|pair| 5 - usize::from(square(pair)));
        self.by_cost(
            costs.collect(),
            || (self.k.block(), self.k.block()),
            |(acc, factor), lanes, out| {
                self.load_by(acc, lanes.len(), |lane| arena.row(pairs[lanes[lane]].0));
                // Sorted by cost: if the first is a square, so are all.
                if square(&pairs[lanes[0]]) {
                    self.k.sqr_assign(acc);
                } else {
                    self.load_by(factor, lanes.len(), |lane| arena.row(pairs[lanes[lane]].1));
                    self.k.mul_assign(acc, factor);
                }
                self.k.scatter(acc, out);
            },
        )
    }

    /// Any other stage: each lane follows its own steps on its own registers,
    /// which stay in blocks from the first step to the last.
    fn steps(&self, stage: &Stage, arena: &Arena<'_>) -> Elements {
        let plan = Plan::new(stage);
        let costs = (0..stage.results()).map(|j| plan.cost(j)).collect();
        self.by_cost(
            costs,
            || Lockstep::<K> {
                steps: vec![Vec::new(); K::LANES],
                next: [0; MAX_LANES],
                registers: vec![self.k.block(); REGISTERS],
                a: self.k.block(),
                b: self.k.block(),
            },
            |state, lanes, out| {
                for (steps, &j) in state.steps.iter_mut().zip(lanes) {
                    plan.steps(j, steps);
                }
                state.next = [0; MAX_LANES];
                loop {
                    self.copy(state, lanes.len(), arena);
                    if !self.multiply(state, lanes.len(), arena) {
                        break;
                    }
                }
                self.k.scatter(&state.registers[RESULT], out);
            },
        )
    }

    /// Every copy that comes before the next product of its lane.
    fn copy(&self, state: &mut Lockstep<K>, lanes: usize, arena: &Arena<'_>) {
        // Lanes that copy the same way copy together.
        while let Some((to, from)) = (0..lanes).find_map(|lane| match state.peek(lane) {
            Some(Step::Copy(to, from)) => Some((to, from.register())),
            _ => None,
        }) {
            let mut masks = [0; MAX_LANES];
            let mut rows = [arena.one; MAX_LANES];
            for lane in 0..lanes {
                match state.peek(lane) {
                    Some(Step::Copy(t, source)) if (t, source.register()) == (to, from) => {
                        masks[lane] = u64::MAX;
                        if let Source::Arena(i) = source {
                            rows[lane] = arena.row(i);
                        }
                        state.next[lane] += 1;
                    }
                    _ => {}
                }
            }
            match from {
                Some(from) => state.a.clone_from(&state.registers[from as usize]),
                None => self.k.gather(&mut state.a, &rows[..lanes]),
            }
            let target = &mut state.registers[to as usize];
            self.k.select(target, &state.a, &masks[..K::LANES]);
        }
    }

    /// One product in every lane that has one left; whether there was any.
    fn multiply(&self, state: &mut Lockstep<K>, lanes: usize, arena: &Arena<'_>) -> bool {
        let mut rows = [arena.one; MAX_LANES];
        // Which lanes read and write which register.
        let mut reads = [[0; MAX_LANES]; REGISTERS];
        let mut writes = [[0; MAX_LANES]; REGISTERS];
        let (mut written, mut read) = ([0; REGISTERS], [0; REGISTERS]);
        let mut squares = true;
        for lane in 0..lanes {
            let (to, by) = match state.peek(lane) {
                Some(Step::Mul(to, by)) => {
                    squares = false;
                    (to, by)
                }
                Some(Step::Square(to)) => (to, Source::Register(to)),
                _ => continue,
            };
            state.next[lane] += 1;
            writes[to as usize][lane] = u64::MAX;
            written[to as usize] += 1;
            match by {
                Source::Arena(i) => rows[lane] = arena.row(i),
                Source::Register(r) => {
                    reads[r as usize][lane] = u64::MAX;
                    read[r as usize] += 1;
                }
            }
        }
        let Some(to) = (0..REGISTERS).find(|&r| written[r] > 0) else {
            return false;
        };
        let alone = written[to] == written.iter().sum::<usize>();
        let from_rows = read == [0; REGISTERS];
        if alone && from_rows {
            // The usual case. Lanes that have ended are multiplied by 1.
            self.k.gather(&mut state.b, &rows[..lanes]);
            self.k.mul_assign(&mut state.registers[to], &state.b);
            return true;
        }
        if squares && written[to] == lanes {
            self.k.sqr_assign(&mut state.registers[to]);
            return true;
        }
        let Lockstep {
            registers, a, b, ..
        } = state;
        a.clone_from(&registers[to]);
        for r in (to + 1..REGISTERS).filter(|&r| written[r] > 0) {
            self.k.select(a, &registers[r], &writes[r][..K::LANES]);
        }
        if squares {
            self.k.sqr_assign(a);
        } else {
            self.k.gather(b, &rows[..lanes]);
            for r in (0..REGISTERS).filter(|&r| read[r] > 0) {
                self.k.select(b, &registers[r], &reads[r][..K::LANES]);
            }
            self.k.mul_assign(a, b);
        }
        for r in (to..REGISTERS).filter(|&r| written[r] > 0) {
            self.k.select(&mut registers[r], a, &writes[r][..K::LANES]);
        }
        true
    }
}

/// The register in which a row's steps leave their result.
const RESULT: usize = 0;

/// Lanes of a block between two products.
struct Lockstep<K: Lanes> {
    steps: Vec<Vec<Step>>,
    /// Each lane's next step.
    next: [usize; MAX_LANES],
    registers: Vec<K::Block>,
    a: K::Block,
    b: K::Block,
}

impl<K: Lanes> Lockstep<K> {
    #[inline]
    fn peek(&self, lane: usize) -> Option<Step> {
        self.steps[lane].get(self.next[lane]).copied()
    }
}

/// `f` on every job, each thread taking the next one that is left; `products`
/// is what they cost together. Small work stays on this thread.
fn share<J: Send, S>(
    jobs: impl ExactSizeIterator<Item = J> + Send,
    products: usize,
    state: impl Fn() -> S + Sync,
    f: impl Fn(&mut S, J) + Sync,
) {
    let count = jobs.len();
    let threads = rayon::current_num_threads().min(count);
    if threads < 2 || products < PARALLEL_PRODUCTS {
        let mut s = state();
        jobs.for_each(|job| f(&mut s, job));
        return;
    }
    // Short jobs are taken several at a time.
    let at_once = (PARALLEL_PRODUCTS / 2 * count / products).clamp(1, count.div_ceil(threads));
    let left = Mutex::new(jobs);
    let work = || {
        let mut s = state();
        let mut taken = Vec::with_capacity(at_once);
        loop {
            let mut jobs = left.lock().unwrap_or_else(PoisonError::into_inner);
            taken.extend(jobs.by_ref().take(at_once));
            drop(jobs);
            if taken.is_empty() {
                return;
            }
            taken.drain(..).for_each(|job| f(&mut s, job));
        }
    };
    rayon::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|_| work());
        }
        work();
    });
}
