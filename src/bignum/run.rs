//! Running a [`Program`] on a kernel.
//!
//! Rows of a stage are independent. They are sorted by length and dealt to the
//! lanes of a block, so that lanes end together; blocks go to threads. The
//! arena is kept stage by stage, and a stage's results are dropped as soon as
//! nothing later reads them.

use rayon::prelude::*;

use super::{
    BignumError, Program,
    core::{Core, MAX_LANES},
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
    fn row(&self, index: u32) -> &[u64] {
        if index == ONE {
            return self.one;
        }
        if (index as usize) < self.inputs.len() {
            return self.inputs.row(index as usize);
        }
        let at = self.stages.partition_point(|(first, _)| *first <= index) - 1;
        let (first, results) = &self.stages[at];
        results
            .as_ref()
            .expect("freed only after the last stage that reads it")
            .row((index - first) as usize)
    }

    fn gather(&self, indices: &[u32]) -> Elements {
        let mut out = Elements::zeroed(self.inputs.stride, 0);
        out.rows.reserve(indices.len() * out.stride);
        for &i in indices {
            out.rows.extend_from_slice(self.row(i));
        }
        out
    }
}

/// For each stage, the last stage that reads its results (`stages.len()` for
/// the outputs), or itself if nobody does.
fn last_reads(program: &Program) -> Vec<usize> {
    let stages = program.stages();
    let mut firsts = Vec::with_capacity(stages.len());
    let mut next = program.inputs();
    for stage in stages {
        firsts.push(next);
        next += stage.results();
    }
    let mut last: Vec<usize> = (0..stages.len()).collect();
    let mut mark = |index: u32, reader: usize| {
        let after = firsts.partition_point(|&first| first <= index as usize);
        if index != ONE && after > 0 {
            last[after - 1] = last[after - 1].max(reader);
        }
    };
    for (s, stage) in stages.iter().enumerate() {
        stage.reads().for_each(|index| mark(index, s));
    }
    for &index in program.outputs() {
        mark(index, stages.len());
    }
    last
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
        let last = last_reads(program);
        let mut arena = Arena {
            inputs,
            one: &self.one,
            stages: Vec::with_capacity(last.len()),
        };
        let mut first = inputs.len() as u32;
        for (s, stage) in program.stages().iter().enumerate() {
            let results = match stage {
                Stage::Invert(indices) => {
                    self.invert(&arena.gather(indices))
                        .map_err(|error| match error {
                            BignumError::NotUnit(at) => BignumError::NotUnit(indices[at] as usize),
                            other => other,
                        })?
                }
                // A product by 1 is left out, which a chain cannot do.
                Stage::Products(rows) if !stage.reads().any(|i| i == ONE) => {
                    self.chains(rows, &arena)
                }
                other => self.steps(other, &arena),
            };
            arena.stages.push((first, Some(results)));
            first += stage.results() as u32;
            for (results, &last) in arena.stages.iter_mut().zip(&last) {
                if last <= s {
                    results.1 = None;
                }
            }
        }
        Ok(arena.gather(program.outputs()))
    }

    /// Results of `rows` rows of the given lengths: `f(rows of a block, out)`
    /// is called with row numbers of similar length, at most a block of them.
    fn by_length<S>(
        &self,
        lengths: Vec<usize>,
        state: impl Fn() -> S + Sync + Send,
        f: impl Fn(&mut S, &[usize], &mut [u64]) + Sync + Send,
    ) -> Elements {
        let stride = self.stride();
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        // Longest first, so that no long row is left for the end; stable, so
        // that equal rows stay neighbours and share the cache.
        order.sort_by_key(|&j| std::cmp::Reverse(lengths[j]));
        let mut sorted = vec![0; lengths.len() * stride];
        let chunk = K::LANES * stride;
        let total: usize = lengths.iter().sum();
        if total < 24 {
            let mut s = state();
            for (rows, out) in order.chunks(K::LANES).zip(sorted.chunks_mut(chunk)) {
                f(&mut s, rows, out);
            }
        } else {
            sorted
                .par_chunks_mut(chunk)
                .zip(order.par_chunks(K::LANES))
                .for_each_init(state, |s, (out, rows)| f(s, rows, out));
        }
        if order.is_sorted() {
            return Elements {
                stride,
                rows: sorted,
            };
        }
        let mut out = Elements::zeroed(stride, lengths.len());
        for (row, &j) in sorted.chunks(stride).zip(&order) {
            out.rows[j * stride..(j + 1) * stride].copy_from_slice(row);
        }
        out
    }

    /// Plain products of index lists: the accumulators never leave their block.
    fn chains(&self, rows: &Csr, arena: &Arena<'_>) -> Elements {
        let lengths = (0..rows.len()).map(|j| rows.row(j).len()).collect();
        self.by_length(
            lengths,
            || (self.k.block(), self.k.block()),
            |(acc, factor), lanes, out| {
                let at = |lane: usize, t: usize| {
                    arena.row(rows.row(lanes[lane]).get(t).copied().unwrap_or(ONE))
                };
                // Sorted by length: the first lane is the longest.
                let longest = rows.row(lanes[0]).len();
                self.load_by(acc, lanes.len(), |lane| at(lane, 0));
                for t in 1..longest {
                    self.load_by(factor, lanes.len(), |lane| at(lane, t));
                    self.k.mul_assign(acc, factor);
                }
                self.k.scatter(acc, out);
            },
        )
    }

    /// Any other stage: each lane follows its own steps on its own registers,
    /// which lie in rows between the products.
    fn steps(&self, stage: &Stage, arena: &Arena<'_>) -> Elements {
        let plan = Plan::new(stage);
        let stride = self.stride();
        let mut room = Vec::new();
        let lengths = (0..stage.results())
            .map(|j| {
                let c = plan.counts(j, &mut room);
                (c.products + c.squarings) as usize
            })
            .collect();
        self.by_length(
            lengths,
            || Lockstep::<K> {
                steps: vec![Vec::new(); K::LANES],
                next: vec![0; K::LANES],
                registers: vec![0; K::LANES * REGISTERS * stride],
                a: self.k.block(),
                b: self.k.block(),
                products: vec![0; K::LANES * stride],
            },
            |state, lanes, out| {
                for (lane, &j) in lanes.iter().enumerate() {
                    plan.steps(j, &mut state.steps[lane]);
                    state.next[lane] = 0;
                }
                while self.step(state, lanes.len(), arena) {}
                for (lane, out) in out.chunks_mut(stride).enumerate() {
                    let at = lane * REGISTERS * stride;
                    out.copy_from_slice(&state.registers[at..at + stride]);
                }
            },
        )
    }

    /// One product in every lane that has one left; whether there was any.
    fn step(&self, state: &mut Lockstep<K>, lanes: usize, arena: &Arena<'_>) -> bool {
        let stride = self.stride();
        let at = |lane: usize, register: u8| {
            let start = (lane * REGISTERS + register as usize) * stride;
            start..start + stride
        };
        let mut pending = [None; MAX_LANES];
        let mut squares = true;
        for (lane, slot) in pending[..lanes].iter_mut().enumerate() {
            while let Some(&step) = state.steps[lane].get(state.next[lane]) {
                state.next[lane] += 1;
                match step {
                    Step::Copy(to, Source::Arena(i)) => {
                        state.registers[at(lane, to)].copy_from_slice(arena.row(i));
                    }
                    Step::Copy(to, Source::Register(from)) => {
                        let target = at(lane, to).start;
                        state.registers.copy_within(at(lane, from), target);
                    }
                    Step::Mul(to, by) => {
                        *slot = Some((to, by));
                        squares = false;
                        break;
                    }
                    Step::Square(to) => {
                        *slot = Some((to, Source::Register(to)));
                        break;
                    }
                }
            }
        }
        if pending[..lanes].iter().all(Option::is_none) {
            return false;
        }
        let registers = &state.registers;
        let register = |lane: usize, r: u8| &registers[at(lane, r)];
        self.load_by(&mut state.a, lanes, |lane| match pending[lane] {
            Some((to, _)) => register(lane, to),
            None => arena.one,
        });
        if squares {
            self.k.sqr_assign(&mut state.a);
        } else {
            self.load_by(&mut state.b, lanes, |lane| match pending[lane] {
                Some((_, Source::Arena(i))) => arena.row(i),
                Some((_, Source::Register(r))) => register(lane, r),
                None => arena.one,
            });
            self.k.mul_assign(&mut state.a, &state.b);
        }
        self.k
            .scatter(&state.a, &mut state.products[..lanes * stride]);
        for (lane, pending) in pending[..lanes].iter().enumerate() {
            if let Some((to, _)) = pending {
                state.registers[at(lane, *to)]
                    .copy_from_slice(&state.products[lane * stride..(lane + 1) * stride]);
            }
        }
        true
    }
}

/// Lanes of a block between two products.
struct Lockstep<K: Lanes> {
    steps: Vec<Vec<Step>>,
    next: Vec<usize>,
    /// Row `lane·REGISTERS + register`.
    registers: Vec<u64>,
    a: K::Block,
    b: K::Block,
    products: Vec<u64>,
}
