//! Lists of operations: behind a layer, and before the first one.

use std::borrow::Cow;

use super::{NetworkError, Op, Problem, Profile, Range, Shape};

/// Applies `ops` in order to `values` of shape `shape`.
///
/// # Panics
///
/// As [`Op::apply`].
pub(super) fn apply(ops: &[Op], mut shape: Shape, mut values: Vec<i64>) -> Vec<i64> {
    for op in ops {
        values = op.apply(shape, values);
        shape = op.shape_behind(shape);
    }
    values
}

/// Bounds of every value that `ops` make, from those of every value of shape
/// `shape`; `place` is how an error speaks of an operation, by its number.
pub(super) fn bounds(
    ops: &[Op],
    mut shape: Shape,
    mut ranges: Vec<Range>,
    place: impl Fn(usize) -> String,
) -> Result<Vec<Range>, NetworkError> {
    for (step, op) in ops.iter().enumerate() {
        let at = |problem: Problem| problem.at(place(step));
        ranges = op.bounds(shape, ranges).map_err(at)?;
        shape = op.output_shape(shape).map_err(at)?;
    }
    Ok(ranges)
}

impl Profile {
    /// What the first layer takes, from an input of the network: applies
    /// [`Profile::prepare`].
    ///
    /// # Panics
    ///
    /// If [`Profile::check_input`] refuses the input, or the profile does not
    /// pass [`Profile::validate`].
    pub fn prepared(&self, input: &[i64]) -> Vec<i64> {
        if let Err(error) = self.check_input(input) {
            panic!("{error}");
        }
        apply(&self.prepare, self.input.shape, input.to_vec())
    }

    /// [`Profile::prepared`] for each of `inputs`; the inputs themselves if
    /// nothing is done to them.
    ///
    /// # Panics
    ///
    /// As [`Profile::prepared`].
    pub fn prepared_all<'a>(&self, inputs: &'a [Vec<i64>]) -> Cow<'a, [Vec<i64>]> {
        if self.prepare.is_empty() {
            return Cow::Borrowed(inputs);
        }
        let prepared = inputs.iter().map(|input| self.prepared(input));
        Cow::Owned(prepared.collect())
    }

    /// How an error speaks of an operation before the first layer.
    pub(super) fn place_of_preparation(&self, step: usize) -> String {
        let op = self.prepare[step].name();
        format!("preparation, step {} ({op})", step + 1)
    }
}
