//! Straight-line programs of products: what to multiply with what, without a
//! key, a kernel or a number. A layer compiles its weights into one once; it
//! then runs on any ciphertexts of any key.
//!
//! A program works on an *arena*: elements `0..inputs` are the inputs, and each
//! stage appends its results. A stage may read whatever lies before it.

use std::{fmt, ops::Range};

use super::{BignumError, invert::ROOT_PRODUCTS, memory, steps::Plan};

/// In an index list: the element 1, which costs no product.
pub const ONE: u32 = u32::MAX;

/// Rows of indices, one after the other in memory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Csr {
    ends: Vec<u32>,
    indices: Vec<u32>,
}

impl Csr {
    /// No rows.
    pub fn new() -> Csr {
        Csr::default()
    }

    /// Appends a row.
    ///
    /// # Panics
    /// If the rows come to more than 2³² − 1 indices.
    pub fn push(&mut self, row: impl IntoIterator<Item = u32>) {
        self.indices.extend(row);
        let end = u32::try_from(self.indices.len()).expect("at most 2^32 - 1 indices");
        self.ends.push(end);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The indices of row `j`.
    ///
    /// # Panics
    /// If there is no row `j`.
    pub fn row(&self, j: usize) -> &[u32] {
        let start = if j == 0 { 0 } else { self.ends[j - 1] };
        &self.indices[start as usize..self.ends[j] as usize]
    }
}

/// Counts only: the indices follow from a server's weights.
impl fmt::Debug for Csr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr({} rows)", self.len())
    }
}

impl<R: IntoIterator<Item = u32>> FromIterator<R> for Csr {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Csr {
        let mut csr = Csr::new();
        for row in rows {
            csr.push(row);
        }
        csr
    }
}

/// A step of a [`Program`]. Each variant appends one result per row (or pair,
/// or index). Wherever an index is expected, [`ONE`] stands for 1, except in
/// `Invert`.
#[derive(Clone, PartialEq, Eq)]
pub enum Stage {
    /// Row j: the product of the listed elements. An empty row is 1.
    Products(Csr),
    /// arena\[a\]·arena\[b\] for each pair; a square where a = b.
    Powers(Vec<(u32, u32)>),
    /// Row j: Π arena\[i\]^w over (i, w), w > 0 in descending order. Computed by
    /// buckets: running products of the elements down to each weight,
    /// multiplied once for each step down.
    Weighted(Vec<Vec<(u32, u32)>>),
    /// Row j: Π_t arena\[i_t\]^(2^(t·digit_bits)), t counted from 0.
    Horner {
        /// The digits' elements, least significant first.
        rows: Csr,
        /// Squarings between two digits.
        digit_bits: u32,
    },
    /// The inverse of each listed element; one inversion for all.
    Invert(Vec<u32>),
}

/// Exact numbers of operations of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Products, squares apart.
    pub products: u64,
    /// Squares.
    pub squarings: u64,
    /// Modular inversions (a batch counts once; its products are in
    /// `products`).
    pub inversions: u64,
}

impl Counts {
    /// What inverting this many elements at once comes to.
    pub fn of_inversions(elements: usize) -> Counts {
        match elements as u64 {
            0 => Counts::default(),
            k => Counts {
                products: 3 * (k - 1) + ROOT_PRODUCTS,
                squarings: 0,
                inversions: 1,
            },
        }
    }
}

impl std::ops::Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            products: self.products + other.products,
            squarings: self.squarings + other.squarings,
            inversions: self.inversions + other.inversions,
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(all: I) -> Counts {
        all.fold(Counts::default(), |a, b| a + b)
    }
}

impl Stage {
    /// Results that the stage appends.
    pub fn results(&self) -> usize {
        match self {
            Stage::Products(rows) | Stage::Horner { rows, .. } => rows.len(),
            Stage::Powers(pairs) => pairs.len(),
            Stage::Weighted(rows) => rows.len(),
            Stage::Invert(indices) => indices.len(),
        }
    }

    /// Every index that the stage reads.
    pub(super) fn reads(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Stage::Products(rows) | Stage::Horner { rows, .. } => {
                Box::new(rows.indices.iter().copied())
            }
            Stage::Powers(pairs) => Box::new(pairs.iter().flat_map(|&(a, b)| [a, b])),
            Stage::Weighted(rows) => Box::new(rows.iter().flatten().map(|&(i, _)| i)),
            Stage::Invert(indices) => Box::new(indices.iter().copied()),
        }
    }

    fn counts(&self) -> Counts {
        if let Stage::Invert(indices) = self {
            return Counts::of_inversions(indices.len());
        }
        let plan = Plan::new(self);
        let mut steps = Vec::new();
        (0..self.results())
            .map(|j| plan.counts(j, &mut steps))
            .sum()
    }
}

/// Kind and number of results only: the rest follows from a server's weights.
impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Stage::Products(_) => "Products",
            Stage::Powers(_) => "Powers",
            Stage::Weighted(_) => "Weighted",
            Stage::Horner { .. } => "Horner",
            Stage::Invert(_) => "Invert",
        };
        write!(f, "{kind}({} results)", self.results())
    }
}

/// A straight-line program of products.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    inputs: usize,
    stages: Vec<Stage>,
    outputs: Vec<u32>,
    /// Elements of the arena after all stages.
    len: u32,
    /// What is known of each stage.
    uses: Vec<Use>,
}

/// What running a program asks about a stage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    /// Index of its first result.
    pub(super) first: u32,
    /// The last stage that reads a result of it, or itself.
    pub(super) last: u32,
    /// Whether it reads [`ONE`].
    pub(super) of_one: bool,
}

/// Counts only: the rest follows from a server's weights.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("inputs", &self.inputs)
            .field("stages", &self.stages)
            .field("outputs", &self.outputs.len())
            .finish()
    }
}

impl Program {
    /// A program without stages, whose outputs are its inputs.
    ///
    /// # Errors
    /// More inputs than indices.
    pub fn new(inputs: usize) -> Result<Program, BignumError> {
        let len = u32::try_from(inputs).map_err(|_| BignumError::ProgramTooLong)?;
        Ok(Program {
            inputs,
            stages: Vec::new(),
            outputs: (0..len).collect(),
            len,
            uses: Vec::new(),
        })
    }

    /// Appends a stage and gives the indices of its results, which become the
    /// outputs until [`set_outputs`](Program::set_outputs) says otherwise.
    ///
    /// # Errors
    /// An index beyond the arena so far, weights that are zero or ascending,
    /// or an arena of more than 2³² − 2 elements.
    pub fn push(&mut self, stage: Stage) -> Result<Range<u32>, BignumError> {
        let may_be_one = !matches!(stage, Stage::Invert(_));
        let mut of_one = false;
        for index in stage.reads() {
            self.check(index, may_be_one)?;
            of_one |= index == ONE;
        }
        if let Stage::Weighted(rows) = &stage {
            for (j, row) in rows.iter().enumerate() {
                let descending = row.is_sorted_by(|a, b| a.1 >= b.1);
                if !descending || row.last().is_some_and(|&(_, w)| w == 0) {
                    return Err(BignumError::BadWeights(j));
                }
            }
        }
        let end = u32::try_from(stage.results())
            .ok()
            .and_then(|results| self.len.checked_add(results))
            .filter(|&end| end < ONE)
            .ok_or(BignumError::ProgramTooLong)?;
        let this = self.stages.len() as u32;
        for index in stage.reads().filter(|&index| index != ONE) {
            let before = self.uses.partition_point(|made| made.first <= index);
            if before > 0 {
                self.uses[before - 1].last = this;
            }
        }
        self.uses.push(Use {
            first: self.len,
            last: this,
            of_one,
        });
        let results = self.len..end;
        self.len = end;
        self.outputs = results.clone().collect();
        self.stages.push(stage);
        Ok(results)
    }

    /// Chooses the outputs; an index may repeat, [`ONE`] is allowed.
    ///
    /// # Errors
    /// An index beyond the arena.
    pub fn set_outputs(&mut self, outputs: Vec<u32>) -> Result<(), BignumError> {
        for &index in &outputs {
            self.check(index, true)?;
        }
        self.outputs = outputs;
        Ok(())
    }

    fn check(&self, index: u32, may_be_one: bool) -> Result<(), BignumError> {
        if index < self.len || (may_be_one && index == ONE) {
            return Ok(());
        }
        Err(BignumError::BadIndex {
            index,
            available: self.len,
        })
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The stages, in order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// What is known of each stage.
    pub(super) fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// The arena indices that the program gives back.
    pub fn outputs(&self) -> &[u32] {
        &self.outputs
    }

    /// Takes the memory that a run takes modulo an m² of so many bits, and keeps
    /// it for the first one.
    pub fn reserve(&self, bits: u32) {
        // Kernels put 52 bits or more into a word, and round up to whole tiles.
        let row = (bits as usize).div_ceil(52).next_multiple_of(20);
        memory::reserve(self.stages.iter().map(|stage| stage.results() * row));
    }

    /// Exact numbers of products, squarings and inversions of one run.
    pub fn counts(&self) -> Counts {
        self.stages.iter().map(Stage::counts).sum()
    }
}
