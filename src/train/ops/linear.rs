//! Convolution with bias, as a matrix product over columns of the input.

use candle_core::{
    CpuStorage, Device, Layout, Result, Shape, Tensor, backend::BackendStorage, bail,
};

use super::{elements, with_elements};

/// Products in one matrix multiplication, about. The images of a batch are
/// taken in chunks: small enough for the columns of a chunk to stay in the
/// cache, large enough for few calls, because each one makes candle count the
/// machine's cores anew, which takes longer than multiplying a single image.
/// Another value adds in another order: the same seed then gives another
/// network.
const PRODUCTS_PER_CHUNK: usize = 2_000_000;

/// A convolution `[C, N, H, W] → [O, N, H', W']` with weights `[O, C, KH, KW]`
/// and bias `[O]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train) struct Window {
    /// Height and width of the kernel.
    pub(in crate::train) kernel: (usize, usize),
    /// Step between output positions, in both directions.
    pub(in crate::train) stride: usize,
    /// Zeros added on each of the four sides.
    pub(in crate::train) padding: usize,
}

/// Gradients of input, weights and bias.
pub(super) type Gradients = (Option<Tensor>, Tensor, Tensor);

/// Sizes of one application of a window.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    channels: usize,
    height: usize,
    width: usize,
    pub(super) images: usize,
    pub(super) outputs: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
}

impl Sizes {
    fn positions(&self) -> usize {
        self.out_height * self.out_width
    }
}

impl Window {
    /// Checks the shapes against each other.
    pub(super) fn sizes(&self, input: &Shape, weights: &Shape) -> Result<Sizes> {
        let (channels, images, height, width) = input.dims4()?;
        let (outputs, taken, kh, kw) = weights.dims4()?;
        let (ph, pw) = (height + 2 * self.padding, width + 2 * self.padding);
        if taken != channels || (kh, kw) != self.kernel || ph < kh || pw < kw {
            bail!("weights {weights:?} do not fit the input {input:?}");
        }
        Ok(Sizes {
            channels,
            images,
            height,
            width,
            outputs,
            out_height: (ph - kh) / self.stride + 1,
            out_width: (pw - kw) / self.stride + 1,
        })
    }

    /// Rows of the column matrix: taps of one output.
    fn taps(&self, s: &Sizes) -> usize {
        s.channels * self.kernel.0 * self.kernel.1
    }

    /// Images of one chunk.
    fn chunk(&self, s: &Sizes) -> usize {
        (PRODUCTS_PER_CHUNK / (self.taps(s) * s.positions() * s.outputs).max(1)).clamp(1, s.images)
    }

    /// Calls `f(tap row, image row start, column start, count)` for every run
    /// of taps that lies inside the input: `count` input elements from the
    /// start, `stride` apart, meet `count` consecutive columns.
    fn runs(
        &self,
        s: &Sizes,
        first: usize,
        count: usize,
        mut f: impl FnMut(usize, usize, usize, usize),
    ) {
        let (kh, kw) = self.kernel;
        let mut tap = 0;
        for c in 0..s.channels {
            for ky in 0..kh {
                for kx in 0..kw {
                    // Output columns whose tap kx lies inside the row.
                    let from = self.padding.saturating_sub(kx).div_ceil(self.stride);
                    let to = if s.width + self.padding > kx {
                        s.out_width
                            .min((s.width + self.padding - kx - 1) / self.stride + 1)
                    } else {
                        0
                    };
                    for n in 0..count {
                        for oy in 0..s.out_height {
                            let y = oy * self.stride + ky;
                            if y < self.padding || y >= s.height + self.padding || from >= to {
                                continue;
                            }
                            let row = ((c * s.images + first + n) * s.height + y - self.padding)
                                * s.width;
                            f(
                                tap,
                                row + from * self.stride + kx - self.padding,
                                (n * s.out_height + oy) * s.out_width + from,
                                to - from,
                            );
                        }
                    }
                    tap += 1;
                }
            }
        }
    }

    /// The columns of `count` images from `first`: `[taps, count·positions]`.
    fn columns(&self, s: &Sizes, input: &[f32], first: usize, count: usize) -> Vec<f32> {
        let wide = count * s.positions();
        let mut columns = vec![0f32; self.taps(s) * wide];
        self.runs(s, first, count, |tap, from, to, length| {
            let target = &mut columns[tap * wide + to..][..length];
            if self.stride == 1 {
                target.copy_from_slice(&input[from..from + length]);
            } else {
                let source = input[from..].iter().step_by(self.stride);
                target.iter_mut().zip(source).for_each(|(t, x)| *t = *x);
            }
        });
        columns
    }

    /// Adds columns back to where [`Window::columns`] took them from.
    fn scatter(&self, s: &Sizes, columns: &[f32], first: usize, count: usize, input: &mut [f32]) {
        let wide = count * s.positions();
        self.runs(s, first, count, |tap, to, from, length| {
            let source = &columns[tap * wide + from..][..length];
            if self.stride == 1 {
                let target = &mut input[to..to + length];
                target.iter_mut().zip(source).for_each(|(t, x)| *t += *x);
            } else {
                let target = input[to..].iter_mut().step_by(self.stride);
                target.zip(source).for_each(|(t, x)| *t += *x);
            }
        });
    }
}

/// Forwards and backwards, on plain memory.
impl Window {
    /// The outputs `[O, N, H', W']`; `weights` is contiguous.
    pub(super) fn forward(
        &self,
        s: &Sizes,
        input: &[f32],
        weights: (&CpuStorage, &Layout),
        bias: &[f32],
    ) -> Result<Vec<f32>> {
        let taps = self.taps(s);
        let matrix = Layout::contiguous_with_offset((s.outputs, taps), weights.1.start_offset());
        let whole = s.images * s.positions();
        let mut output = vec![0f32; s.outputs * whole];
        let chunk = self.chunk(s);
        for first in (0..s.images).step_by(chunk) {
            let count = chunk.min(s.images - first);
            let wide = count * s.positions();
            let columns = CpuStorage::F32(self.columns(s, input, first, count));
            let product = weights.0.matmul(
                &columns,
                (1, s.outputs, wide, taps),
                &matrix,
                &Layout::contiguous((taps, wide)),
            )?;
            let product = elements(&product, &Layout::contiguous(s.outputs * wide))?;
            for (o, row) in product.chunks_exact(wide).enumerate() {
                let target = &mut output[o * whole + first * s.positions()..][..wide];
                let b = bias[o];
                target.iter_mut().zip(row).for_each(|(t, x)| *t = *x + b);
            }
        }
        Ok(output)
    }

    /// Gradients of input (if somebody asks for it), weights and bias, from
    /// the gradient of the output.
    pub(super) fn backward(
        &self,
        s: &Sizes,
        input: &Tensor,
        weights: &Tensor,
        gradient: Vec<f32>,
    ) -> Result<Gradients> {
        let device = &Device::Cpu;
        let (taps, whole) = (self.taps(s), s.images * s.positions());
        let bias: Vec<f32> = gradient
            .chunks_exact(whole)
            .map(|g| g.iter().sum())
            .collect();
        let rows = Tensor::from_vec(gradient, (s.outputs, whole), device)?;
        let matrix = weights.detach().reshape((s.outputs, taps))?.t()?;
        // The first layer's input is data: nobody asks for its gradient.
        let mut back = input.track_op().then(|| vec![0f32; input.elem_count()]);
        let mut weight_back = vec![0f32; s.outputs * taps];
        let chunk = self.chunk(s);
        for first in (0..s.images).step_by(chunk) {
            let count = chunk.min(s.images - first);
            let wide = count * s.positions();
            let part = rows.narrow(1, first * s.positions(), wide)?;
            let columns = with_elements(input, |x| self.columns(s, x, first, count))?;
            let columns = Tensor::from_vec(columns, (taps, wide), device)?;
            with_elements(&part.matmul(&columns.t()?)?, |g| {
                weight_back.iter_mut().zip(g).for_each(|(t, x)| *t += x);
            })?;
            if let Some(back) = &mut back {
                with_elements(&matrix.matmul(&part)?, |g| {
                    self.scatter(s, g, first, count, back);
                })?;
            }
        }
        let input = match back {
            Some(back) => Some(Tensor::from_vec(back, input.shape(), device)?),
            None => None,
        };
        let weights = Tensor::from_vec(weight_back, weights.shape(), device)?;
        Ok((input, weights, Tensor::from_vec(bias, s.outputs, device)?))
    }
}
