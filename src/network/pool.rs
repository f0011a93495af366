//! Pooling windows.

use super::{
    Problem, Range, Shape,
    limits::{MAX_ELEMENTS, MAX_PRODUCTS, at_most, not_zero},
    linear::extent,
};

/// A square window that slides over every channel, without padding; rows and
/// columns that no whole window reaches are left out.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Rows and columns of the window.
    pub(super) size: usize,
    /// Step between neighbouring windows, down and across.
    pub(super) stride: usize,
}

/// What becomes of the values in a window.
#[derive(Clone, Copy)]
pub(super) enum Pooling {
    /// Their sum.
    Sum,
    /// Their mean, rounded half up.
    Average,
    /// Their maximum.
    Max,
}

/// ⌊sum / count + 1/2⌋: the mean, rounded to the nearest integer, a half up
/// (towards +∞).
fn mean(sum: i64, count: i64) -> i64 {
    (2 * sum + count).div_euclid(2 * count)
}

impl Window {
    /// Shape of the output for an input of shape `input`.
    pub(super) fn output_shape(self, input: Shape) -> Result<Shape, Problem> {
        let Window { size, stride } = self;
        not_zero("the size of the pooling window", size)?;
        not_zero("the stride", stride)?;
        if size > input.height || size > input.width {
            return Err(Problem::WindowTooLarge {
                height: size,
                width: size,
                found: input,
            });
        }
        let output = Shape {
            height: extent(input.height, size, stride, 0),
            width: extent(input.width, size, stride, 0),
            ..input
        };
        at_most("the number of values", output.len(), MAX_ELEMENTS)?;
        at_most(
            "the number of values read",
            self.reads(output),
            MAX_PRODUCTS,
        )?;
        Ok(output)
    }

    /// Values read for an output of shape `output`. Saturates.
    pub(super) fn reads(self, output: Shape) -> usize {
        output
            .len()
            .saturating_mul(self.size)
            .saturating_mul(self.size)
    }

    /// Calls `fold` with the values of each window, output by output.
    fn each<'a, T, U>(
        self,
        input: Shape,
        output: Shape,
        values: &'a [T],
        mut fold: impl FnMut(&mut dyn Iterator<Item = &'a T>) -> U,
    ) -> Vec<U> {
        let Window { size, stride } = self;
        let mut results = Vec::with_capacity(output.len());
        for channel in values.chunks_exact(input.plane()) {
            for row in 0..output.height {
                for column in 0..output.width {
                    let corner = row * stride * input.width + column * stride;
                    let mut window =
                        (0..size).flat_map(|y| &channel[corner + y * input.width..][..size]);
                    results.push(fold(&mut window));
                }
            }
        }
        results
    }

    /// Pools `values`, of shape `input`, into `output`.
    pub(super) fn apply(
        self,
        pooling: Pooling,
        input: Shape,
        output: Shape,
        values: &[i64],
    ) -> Vec<i64> {
        let count = (self.size * self.size) as i64;
        match pooling {
            Pooling::Sum => self.each(input, output, values, |w| w.sum()),
            Pooling::Average => self.each(input, output, values, |w| mean(w.sum(), count)),
            Pooling::Max => self.each(input, output, values, |w| {
                w.fold(i64::MIN, |max, &value| max.max(value))
            }),
        }
    }

    /// Bounds of each pooled value from the bounds of the values pooled.
    pub(super) fn bounds(
        self,
        pooling: Pooling,
        input: Shape,
        output: Shape,
        ranges: &[Range],
    ) -> Result<Vec<Range>, Problem> {
        let windows = self.each(input, output, ranges, |window| {
            let start = (0i128, 0i128, Range::new(i64::MIN, i64::MIN));
            window.fold(start, |(min, max, greatest), range| {
                (
                    min + i128::from(range.min),
                    max + i128::from(range.max),
                    Range::new(greatest.min.max(range.min), greatest.max.max(range.max)),
                )
            })
        });
        windows
            .into_iter()
            .map(|(min, max, greatest)| self.bound(pooling, min, max, greatest))
            .collect()
    }

    /// Bounds of a pooled value if every value in the window lies in `range`.
    pub(super) fn uniform_bounds(self, pooling: Pooling, range: Range) -> Result<Range, Problem> {
        let count = self.count();
        let (min, max) = (i128::from(range.min) * count, i128::from(range.max) * count);
        self.bound(pooling, min, max, range)
    }

    /// Values in a window.
    fn count(self) -> i128 {
        (self.size as i128) * (self.size as i128)
    }

    /// Bounds from the bounds `min`, `max` of a window's sum and the bounds
    /// `greatest` of its maximum.
    fn bound(
        self,
        pooling: Pooling,
        min: i128,
        max: i128,
        greatest: Range,
    ) -> Result<Range, Problem> {
        match pooling {
            Pooling::Max => Ok(greatest),
            Pooling::Sum => Range::checked(min, max, "a pooled sum"),
            Pooling::Average => {
                let what = "a pooled average";
                let count = self.count();
                // What the rounding adds must fit as well.
                Range::checked(2 * min + count, 2 * max + count, what)?;
                let sum = Range::checked(min, max, what)?;
                let count = self.size.pow(2) as i64;
                Ok(Range::new(mean(sum.min, count), mean(sum.max, count)))
            }
        }
    }
}
