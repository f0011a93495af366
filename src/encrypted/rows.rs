//! A linear layer as sparse rows of signed weights: what the server multiplies,
//! with zero weights already gone.

use crate::network::{Linear, Weights};

/// One output: the inputs that it uses, each with its weight, never 0.
pub type Row = Vec<(u32, i32)>;

/// A matrix of small signed integers, row by row, zeros left out.
#[derive(Clone, PartialEq, Eq)]
pub struct Rows {
    /// How many inputs (columns) there are; every index is below this.
    pub inputs: usize,
    /// One row an output.
    pub rows: Vec<Row>,
}

impl std::fmt::Debug for Rows {
    /// Weights are the server's secret: only the shape is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows({} x {})", self.rows.len(), self.inputs)
    }
}

impl Rows {
    /// Every output element over every input element, both in the order
    /// channel, row, column: the layout with a slot an image.
    pub fn by_element(linear: &Linear, weights: &Weights) -> Rows {
        let inputs = linear.input_shape().len();
        let positions = linear.positions();
        let taps = linear.taps();
        let outputs = linear.output_shape().len();
        let rows = (0..outputs)
            .map(|output| {
                let (channel, position) = (output / positions, output % positions);
                let of_channel = &weights.weights[channel * taps..][..taps];
                of_channel
                    .iter()
                    .enumerate()
                    .filter(|&(_, &weight)| weight != 0)
                    .filter_map(|(tap, &weight)| {
                        let input = linear.tap_input(position, tap)?;
                        Some((input as u32, weight))
                    })
                    .collect()
            })
            .collect();
        Rows { inputs, rows }
    }

    /// Every output channel over every kernel tap: the layout in which a
    /// ciphertext holds one tap at many positions. For a dense layer taps are
    /// inputs, and this is the same as [`Rows::by_element`].
    pub fn by_tap(linear: &Linear, weights: &Weights) -> Rows {
        let taps = linear.taps();
        let rows = weights
            .weights
            .chunks(taps)
            .map(|of_channel| {
                (0u32..)
                    .zip(of_channel)
                    .filter(|&(_, &weight)| weight != 0)
                    .map(|(tap, &weight)| (tap, weight))
                    .collect()
            })
            .collect();
        Rows { inputs: taps, rows }
    }

    /// The same matrix `copies` times along the diagonal: independent groups
    /// of inputs, evaluated in one go so that there is work for every core and
    /// lane.
    pub fn repeat(&self, copies: usize) -> Rows {
        let mut rows = Vec::with_capacity(self.rows.len() * copies);
        for copy in 0..copies {
            let offset = (copy * self.inputs) as u32;
            rows.extend(self.rows.iter().map(|row| {
                row.iter()
                    .map(|&(input, weight)| (input + offset, weight))
                    .collect::<Row>()
            }));
        }
        Rows {
            inputs: self.inputs * copies,
            rows,
        }
    }

    /// How many weights there are that are not 0.
    pub fn nonzero(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }
}
