//! Linear layers: convolution and dense, exact in 64-bit integers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Problem, Shape,
    limits::{MAX_ELEMENTS, MAX_PRODUCTS, MAX_WEIGHTS, at_most, not_zero},
};

/// A linear layer without its weights: what a client may know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Linear {
    /// A convolution (cross-correlation, as usual in neural networks) in two
    /// dimensions over all channels:
    ///
    /// `y[o, r, c] = bias[o] + Σ_{i, u, v} w[o, i, u, v] · x[i, r·stride + u −
    /// padding, c·stride + v − padding]`, where x is 0 outside its bounds.
    ///
    /// The output has `outputs` channels of `(height + 2·padding − u_max) /
    /// stride + 1` rows (rounded down), and columns likewise.
    Conv {
        /// Shape of the input.
        input: Shape,
        /// Output channels.
        outputs: usize,
        /// Rows and columns of the kernel.
        kernel: (usize, usize),
        /// Step between neighbouring output positions, down and across.
        stride: usize,
        /// Zeros added on each of the four sides.
        padding: usize,
    },
    /// A dense layer, `y[o] = bias[o] + Σ_i w[o, i] · x[i]`. Its input is read
    /// flat, whatever shape of `inputs` elements it has.
    Dense {
        /// Elements of the input.
        inputs: usize,
        /// Elements of the output.
        outputs: usize,
    },
}

/// Weights and biases of a linear layer: the server's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Weights {
    /// In the order output, input, kernel row, kernel column (or output, input
    /// for a dense layer), the last running fastest: a run of [`Linear::taps`]
    /// weights for each output channel.
    pub weights: Vec<i32>,
    /// One for each output channel.
    pub bias: Vec<i64>,
}

impl fmt::Debug for Weights {
    /// Only the counts are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Weights({} weights, {} biases)",
            self.weights.len(),
            self.bias.len()
        )
    }
}

impl Linear {
    /// Shape of the input; (inputs, 1, 1) for a dense layer.
    pub fn input_shape(&self) -> Shape {
        match *self {
            Linear::Conv { input, .. } => input,
            Linear::Dense { inputs, .. } => Shape::vector(inputs),
        }
    }

    /// Shape of the output; (outputs, 1, 1) for a dense layer.
    ///
    /// Only meaningful if [`Linear::check`] passes.
    pub fn output_shape(&self) -> Shape {
        match *self {
            Linear::Conv {
                input,
                outputs,
                kernel,
                stride,
                padding,
            } => Shape::new(
                outputs,
                extent(input.height, kernel.0, stride, padding),
                extent(input.width, kernel.1, stride, padding),
            ),
            Linear::Dense { outputs, .. } => Shape::vector(outputs),
        }
    }

    /// Extents of the weights: outputs, input channels, kernel rows, kernel
    /// columns; or outputs, inputs.
    pub fn weight_shape(&self) -> Vec<usize> {
        match *self {
            Linear::Conv {
                input,
                outputs,
                kernel,
                ..
            } => vec![outputs, input.channels, kernel.0, kernel.1],
            Linear::Dense { inputs, outputs } => vec![outputs, inputs],
        }
    }

    /// Output channels: for a dense layer, its outputs.
    pub fn channels(&self) -> usize {
        match *self {
            Linear::Conv { outputs, .. } | Linear::Dense { outputs, .. } => outputs,
        }
    }

    /// Weights of one output channel: input channels times kernel rows times
    /// kernel columns, or the inputs of a dense layer. Saturates.
    pub fn taps(&self) -> usize {
        match *self {
            Linear::Conv { input, kernel, .. } => input
                .channels
                .saturating_mul(kernel.0)
                .saturating_mul(kernel.1),
            Linear::Dense { inputs, .. } => inputs,
        }
    }

    /// Positions of the output plane: 1 for a dense layer. Output element
    /// (channel, position) stands at `channel·positions + position`.
    pub fn positions(&self) -> usize {
        self.output_shape().plane()
    }

    /// Flat index of the input that weight `tap` of an output channel meets at
    /// output position `position`; `None` if it falls into the padding, where
    /// the input is 0.
    ///
    /// `position` counts rows then columns, below [`Linear::positions`]; `tap`
    /// counts input channels, kernel rows, kernel columns, below
    /// [`Linear::taps`]. For a dense layer this is the tap itself.
    pub fn tap_input(&self, position: usize, tap: usize) -> Option<usize> {
        match *self {
            Linear::Dense { .. } => Some(tap),
            Linear::Conv {
                input,
                kernel,
                stride,
                padding,
                ..
            } => {
                let columns = extent(input.width, kernel.1, stride, padding);
                let (row, column) = (position / columns, position % columns);
                let (rest, across) = (tap / kernel.1, tap % kernel.1);
                let (channel, down) = (rest / kernel.0, rest % kernel.0);
                let y = (row * stride + down).checked_sub(padding)?;
                let x = (column * stride + across).checked_sub(padding)?;
                (y < input.height && x < input.width)
                    .then(|| (channel * input.height + y) * input.width + x)
            }
        }
    }

    /// Checks the layer by itself: no extent or stride of 0, the kernel within
    /// the padded input, sizes within the limits.
    ///
    /// # Errors
    ///
    /// The first [`Problem`] found.
    pub fn check(&self) -> Result<(), Problem> {
        let shape = self.input_shape();
        not_zero("the number of inputs", shape.len())?;
        not_zero("the number of outputs", self.channels())?;
        at_most("the number of inputs", shape.len(), MAX_ELEMENTS)?;
        if let Linear::Conv {
            input,
            kernel,
            stride,
            padding,
            ..
        } = *self
        {
            not_zero("the kernel's height", kernel.0)?;
            not_zero("the kernel's width", kernel.1)?;
            not_zero("the stride", stride)?;
            at_most("the padding", padding, MAX_ELEMENTS)?;
            let padded = Shape {
                height: input.height + 2 * padding,
                width: input.width + 2 * padding,
                ..input
            };
            if kernel.0 > padded.height || kernel.1 > padded.width {
                return Err(Problem::WindowTooLarge {
                    height: kernel.0,
                    width: kernel.1,
                    found: padded,
                });
            }
        }
        let outputs = self.output_shape().len();
        let weights = self.channels().saturating_mul(self.taps());
        at_most("the number of outputs", outputs, MAX_ELEMENTS)?;
        at_most("the number of weights", weights, MAX_WEIGHTS)?;
        at_most("the number of products", self.products(), MAX_PRODUCTS)
    }

    /// Products of a weight and an input, those with padding included.
    /// Saturates. Only meaningful if [`Linear::check`] passes.
    pub(super) fn products(&self) -> usize {
        self.output_shape().len().saturating_mul(self.taps())
    }

    /// Checks that `weights` has as many weights and biases as the layer.
    ///
    /// # Errors
    ///
    /// [`Problem::WeightCount`] or [`Problem::BiasCount`].
    pub fn check_weights(&self, weights: &Weights) -> Result<(), Problem> {
        let expected = self.channels().saturating_mul(self.taps());
        if weights.weights.len() != expected {
            return Err(Problem::WeightCount {
                expected,
                found: weights.weights.len(),
            });
        }
        if weights.bias.len() != self.channels() {
            return Err(Problem::BiasCount {
                expected: self.channels(),
                found: weights.bias.len(),
            });
        }
        Ok(())
    }

    /// The layer's output for `input`, both flat in the order channel, row,
    /// column.
    ///
    /// The sums are taken modulo 2^64, which is exact whenever the result fits
    /// 64 bits, whatever the partial sums do; range analysis guarantees that
    /// for inputs within the network's range.
    ///
    /// # Panics
    ///
    /// If `input` or `weights` do not have the layer's shape.
    pub fn forward(&self, weights: &Weights, input: &[i64]) -> Vec<i64> {
        assert_eq!(input.len(), self.input_shape().len(), "length of the input");
        assert_eq!(self.check_weights(weights), Ok(()));
        let of_channels = weights.weights.chunks_exact(self.taps());
        match *self {
            Linear::Dense { .. } => of_channels
                .zip(&weights.bias)
                .map(|(row, &bias)| dot(bias, row, input))
                .collect(),
            Linear::Conv { .. } => {
                let positions = self.positions();
                let mut output = Vec::with_capacity(positions * self.channels());
                for (kernel, &bias) in of_channels.zip(&weights.bias) {
                    let start = output.len();
                    output.resize(start + positions, bias);
                    self.convolve(kernel, input, &mut output[start..]);
                }
                output
            }
        }
    }

    /// Adds the convolution of `input` with one output channel's weights to
    /// the plane `output`.
    fn convolve(&self, weights: &[i32], input: &[i64], output: &mut [i64]) {
        let Linear::Conv {
            input: shape,
            kernel,
            stride,
            padding,
            ..
        } = *self
        else {
            return;
        };
        let out = self.output_shape();
        let taps = weights.iter().enumerate().filter(|&(_, &w)| w != 0);
        for (tap, &weight) in taps {
            let weight = i64::from(weight);
            let (rest, across) = (tap / kernel.1, tap % kernel.1);
            let (channel, down) = (rest / kernel.0, rest % kernel.0);
            let columns = inside(across, shape.width, out.width, stride, padding);
            if columns.is_empty() {
                continue;
            }
            let x = columns.start * stride + across - padding;
            for row in inside(down, shape.height, out.height, stride, padding) {
                let y = row * stride + down - padding;
                let from = &input[(channel * shape.height + y) * shape.width..][..shape.width][x..];
                let to = &mut output[row * out.width..][columns.clone()];
                if stride == 1 {
                    // Apart, so that the compiler sees two contiguous runs.
                    for (sum, &value) in to.iter_mut().zip(from) {
                        *sum = sum.wrapping_add(weight.wrapping_mul(value));
                    }
                } else {
                    for (sum, &value) in to.iter_mut().zip(from.iter().step_by(stride)) {
                        *sum = sum.wrapping_add(weight.wrapping_mul(value));
                    }
                }
            }
        }
    }
}

/// `bias + Σ weights·inputs`, modulo 2^64.
fn dot(bias: i64, weights: &[i32], inputs: &[i64]) -> i64 {
    weights.iter().zip(inputs).fold(bias, |sum, (&w, &x)| {
        sum.wrapping_add(i64::from(w).wrapping_mul(x))
    })
}

/// Output extent of a window that slides over a padded input:
/// `⌊(input + 2·padding − window) / stride⌋ + 1`.
///
/// Defined for any argument, so that it can be asked before the check.
pub(super) fn extent(input: usize, window: usize, stride: usize, padding: usize) -> usize {
    let padded = input.saturating_add(padding.saturating_mul(2));
    match padded.checked_sub(window) {
        Some(room) => (room / stride.max(1)).saturating_add(1),
        None => 0,
    }
}

/// The output positions at which offset `offset` of the kernel meets the input
/// and not its padding, along one axis.
fn inside(
    offset: usize,
    input: usize,
    output: usize,
    stride: usize,
    padding: usize,
) -> std::ops::Range<usize> {
    let first = padding.saturating_sub(offset).div_ceil(stride);
    let end = match (input + padding).checked_sub(offset + 1) {
        Some(last) => (last / stride + 1).min(output),
        None => 0,
    };
    first..end.max(first)
}
