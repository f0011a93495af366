//! What the client does between two linear layers: element-wise functions,
//! pooling and requantisation, in integers only.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Function, Problem, Range, Shape,
    limits::{MAX_TABLE, at_most},
    pad,
    pool::{Pooling, Window},
};

/// One operation on a tensor of 64-bit integers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// `y = max(x, 0)`.
    #[serde(deserialize_with = "no_fields")]
    Relu,
    /// `y = x²`.
    #[serde(deserialize_with = "no_fields")]
    Square,
    /// `y = table[x − min]`. The table has an entry for every value that can
    /// arrive; [`Op::lookup`] makes one.
    Lookup {
        /// What the table was made from.
        function: Function,
        /// The argument of the first entry.
        min: i64,
        /// The value for min, min + 1, min + 2, …
        table: Vec<i64>,
    },
    /// The mean of each `size`×`size` window of each channel, rounded to the
    /// nearest integer, halves towards +∞. Without padding; rows and columns
    /// that no whole window reaches are left out.
    AveragePool {
        /// Rows and columns of the window.
        size: usize,
        /// Step between neighbouring windows.
        stride: usize,
    },
    /// The sum of each window, windows as in [`Op::AveragePool`]: its division
    /// is folded into the next requantisation. At stride 1 these are *box
    /// sums*: see [`Profile::prepare`](super::Profile::prepare).
    SumPool {
        /// Rows and columns of the window.
        size: usize,
        /// Step between neighbouring windows.
        stride: usize,
    },
    /// The maximum of each window, windows as in [`Op::AveragePool`].
    MaxPool {
        /// Rows and columns of the window.
        size: usize,
        /// Step between neighbouring windows.
        stride: usize,
    },
    /// `y = clamp(⌊(x·m + 2^(shift−1)) / 2^shift⌋, min, max)` with the
    /// multiplier m of x's channel: x·m/2^shift rounded to the nearest integer,
    /// halves towards +∞, then clamped.
    Requantise {
        /// One for all channels, or one for each.
        multipliers: Vec<i64>,
        /// Bits to shift right by, 1 to 62.
        shift: u32,
        /// Least result.
        min: i64,
        /// Greatest result.
        max: i64,
    },
    /// Rows and columns of zeros around every channel.
    Pad {
        /// How many, on each of the four sides.
        size: usize,
    },
    /// Turns a tensor of shape (c, h, w) into a vector of shape (c·h·w, 1, 1);
    /// the values and their order stay.
    #[serde(deserialize_with = "no_fields")]
    Flatten,
}

/// Refuses fields beside the tag, which serde would overlook in a variant
/// without fields.
fn no_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NoFields {}
    NoFields::deserialize(deserializer).map(|NoFields {}| ())
}

impl Op {
    /// The name that the profile uses.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Relu => "relu",
            Op::Square => "square",
            Op::Lookup { .. } => "lookup",
            Op::AveragePool { .. } => "average_pool",
            Op::SumPool { .. } => "sum_pool",
            Op::MaxPool { .. } => "max_pool",
            Op::Requantise { .. } => "requantise",
            Op::Pad { .. } => "pad",
            Op::Flatten => "flatten",
        }
    }

    /// The window, if this is a pooling.
    fn window(&self) -> Option<(Window, Pooling)> {
        let (size, stride, pooling) = match *self {
            Op::AveragePool { size, stride } => (size, stride, Pooling::Average),
            Op::SumPool { size, stride } => (size, stride, Pooling::Sum),
            Op::MaxPool { size, stride } => (size, stride, Pooling::Max),
            _ => return None,
        };
        Some((Window { size, stride }, pooling))
    }

    /// Values read to make an output of shape `output`.
    pub(super) fn reads(&self, output: Shape) -> usize {
        match self.window() {
            Some((window, _)) => window.reads(output),
            None => output.len(),
        }
    }

    /// Checks the operation by itself and returns the shape of its output for
    /// an input of shape `input`.
    ///
    /// # Errors
    ///
    /// The first [`Problem`] found.
    pub fn output_shape(&self, input: Shape) -> Result<Shape, Problem> {
        if let Some((window, _)) = self.window() {
            return window.output_shape(input);
        }
        match self {
            Op::Flatten => return Ok(Shape::vector(input.len())),
            Op::Pad { size } => return pad::output_shape(*size, input),
            Op::Lookup { min, table, .. } => {
                at_most("the number of table entries", table.len(), MAX_TABLE)?;
                if covered(*min, table).is_none() {
                    return Err(Problem::TableExtent {
                        entries: table.len(),
                        min: *min,
                    });
                }
            }
            Op::Requantise {
                multipliers,
                shift,
                min,
                max,
            } => {
                if multipliers.len() != 1 && multipliers.len() != input.channels {
                    return Err(Problem::MultiplierCount {
                        channels: input.channels,
                        found: multipliers.len(),
                    });
                }
                if !(1..=62).contains(shift) {
                    return Err(Problem::Shift(*shift));
                }
                Range::new(*min, *max).check("the clamp")?;
            }
            _ => {}
        }
        Ok(input)
    }

    /// [`Op::output_shape`], for a shape that has been checked.
    pub(super) fn shape_behind(&self, input: Shape) -> Shape {
        self.output_shape(input)
            .unwrap_or_else(|problem| panic!("{}: {problem}", self.name()))
    }

    /// The output for `values` of shape `input`.
    ///
    /// # Panics
    ///
    /// If [`Op::output_shape`] refuses the shape, `values` is not of that
    /// shape, or a value lies outside what [`Op::bounds`] accepts.
    pub fn apply(&self, input: Shape, values: Vec<i64>) -> Vec<i64> {
        assert_eq!(values.len(), input.len(), "length of the input");
        if let Some((window, pooling)) = self.window() {
            return window.apply(pooling, input, self.shape_behind(input), &values);
        }
        if let Op::Pad { size } = *self {
            return pad::apply(size, input, self.shape_behind(input), &values, 0);
        }
        let mut values = values;
        match self {
            Op::Relu => values.iter_mut().for_each(|v| *v = (*v).max(0)),
            Op::Square => values.iter_mut().for_each(|v| *v *= *v),
            Op::Lookup { min, table, .. } => values
                .iter_mut()
                .for_each(|v| *v = table[(*v - min) as usize]),
            Op::Requantise {
                multipliers,
                shift,
                min,
                max,
            } => {
                let half = 1i64 << (shift - 1);
                let channels = values.chunks_exact_mut(input.plane());
                for (channel, multiplier) in channels.zip(multipliers.iter().cycle()) {
                    for value in channel {
                        *value = ((*value * multiplier + half) >> shift).clamp(*min, *max);
                    }
                }
            }
            _ => {}
        }
        values
    }

    /// The bounds of every output element, given those of every input element.
    ///
    /// Exact for operations on single elements; for pooling exact if the
    /// pooled values are independent, sound in any case.
    ///
    /// # Errors
    ///
    /// [`Problem::Overflow`] if the result, or a value on the way to it, may
    /// leave 64 bits; [`Problem::Table`] if a look-up may miss its table.
    ///
    /// # Panics
    ///
    /// As [`Op::apply`].
    pub fn bounds(&self, input: Shape, ranges: Vec<Range>) -> Result<Vec<Range>, Problem> {
        assert_eq!(ranges.len(), input.len(), "number of intervals");
        if let Some((window, pooling)) = self.window() {
            let output = window.output_shape(input)?;
            return window.bounds(pooling, input, output, &ranges);
        }
        if let Op::Pad { size } = *self {
            let output = pad::output_shape(size, input)?;
            let zero = Range::new(0, 0);
            return Ok(pad::apply(size, input, output, &ranges, zero));
        }
        let plane = input.plane();
        // Neighbours often share an interval; a long table is searched once
        // for each different one.
        let mut known = HashMap::new();
        let mut ranges = ranges;
        for (index, range) in ranges.iter_mut().enumerate() {
            let channel = match self {
                Op::Requantise { multipliers, .. } if multipliers.len() > 1 => index / plane,
                _ => 0,
            };
            *range = match known.get(&(channel, *range)) {
                Some(&bound) => bound,
                None => {
                    let bound = self.bound(channel, *range)?;
                    known.insert((channel, *range), bound);
                    bound
                }
            };
        }
        Ok(ranges)
    }

    /// Bounds that hold for every output element if every input element, of a
    /// tensor of any shape that fits, lies in `range`.
    ///
    /// # Errors
    ///
    /// As [`Op::bounds`].
    pub fn uniform_bounds(&self, range: Range) -> Result<Range, Problem> {
        if let Some((window, pooling)) = self.window() {
            return window.uniform_bounds(pooling, range);
        }
        if let Op::Pad { .. } = self {
            return Ok(range.union(Range::new(0, 0)));
        }
        let channels = match self {
            Op::Requantise { multipliers, .. } => multipliers.len(),
            _ => 1,
        };
        let mut bounds = self.bound(0, range)?;
        for channel in 1..channels {
            bounds = bounds.union(self.bound(channel, range)?);
        }
        Ok(bounds)
    }

    /// Bounds of one output element of `channel`; only for operations that
    /// work element by element.
    fn bound(&self, channel: usize, range: Range) -> Result<Range, Problem> {
        let (low, high) = (i128::from(range.min), i128::from(range.max));
        match self {
            Op::Relu => Ok(Range::new(range.min.max(0), range.max.max(0))),
            Op::Square => {
                let (a, b) = (low * low, high * high);
                let least = if range.contains(0) { 0 } else { a.min(b) };
                Range::checked(least, a.max(b), "a square")
            }
            Op::Lookup { min, table, .. } => look_up(*min, table, range),
            Op::Requantise {
                multipliers,
                shift,
                min,
                max,
            } => {
                let multiplier = i128::from(multipliers[channel % multipliers.len()]);
                let half = 1i128 << (shift - 1);
                let (a, b) = (low * multiplier, high * multiplier);
                let what = "a requantised product";
                Range::checked(a.min(b), a.max(b), what)?;
                let sum = Range::checked(a.min(b) + half, a.max(b) + half, what)?;
                let end = |sum: i64| (sum >> shift).clamp(*min, *max);
                Ok(Range::new(end(sum.min), end(sum.max)))
            }
            _ => Ok(range),
        }
    }
}

/// The arguments that a table has entries for; `None` if there are none or they
/// leave 64 bits.
fn covered(min: i64, table: &[i64]) -> Option<Range> {
    let last = i64::try_from(table.len()).ok()?.checked_sub(1)?;
    Some(Range::new(min, min.checked_add(last)?)).filter(|range| range.max >= range.min)
}

/// Least and greatest entry of a table for the arguments of `range`.
fn look_up(min: i64, table: &[i64], range: Range) -> Result<Range, Problem> {
    let covered = covered(min, table).ok_or(Problem::TableExtent {
        entries: table.len(),
        min,
    })?;
    if !covered.covers(range) {
        return Err(Problem::Table {
            covered,
            needed: range,
        });
    }
    // Covered, so both differences are below the table's length.
    let first = (range.min - min) as usize;
    let last = (range.max - min) as usize;
    let of_first = Range::new(table[first], table[first]);
    Ok(table[first..=last].iter().fold(of_first, |bounds, &entry| {
        bounds.union(Range::new(entry, entry))
    }))
}
