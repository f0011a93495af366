//! A linear layer whose weights are Gaussian, by local reparameterisation.
//!
//! Kingma, Salimans and Welling, "Variational Dropout and the Local
//! Reparameterization Trick" (NeurIPS 2015): if every weight is an independent
//! Gaussian N(μ, σ²), then for one input x a pre-activation is the Gaussian of
//! mean Wμ·x + bμ and variance Wσ²·x² + bσ². Drawing it instead of the weights
//! gives each image noise of its own, and gradients that vary less. It is exact
//! where an output sees the weights once, as in a dense layer; positions of a
//! convolution share their weights, which this would forget.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{
    Step, Window, elements,
    steps::{Kept, Steps},
    with_elements,
};

/// Keeps the root of a variance of 0 differentiable.
const TINY: f32 = 1e-12;

/// `[C, N, H, W]`, weights `[2·O, C, KH, KW]` (the means, then the standard
/// deviations), bias `[2·O]` (likewise) → `[O, N, H', W']`. An instance serves
/// one application.
pub(in crate::train) struct NoisyLayer {
    window: Window,
    then: Steps,
    /// A standard normal for each pre-activation, `[O, N, positions]`.
    noise: Vec<f32>,
    kept: OnceLock<(Kept, Vec<f32>)>,
}

impl NoisyLayer {
    /// The window, then the steps in order, with these standard normals.
    pub(in crate::train) fn new(window: Window, then: Vec<Step>, noise: Vec<f32>) -> NoisyLayer {
        NoisyLayer {
            window,
            then: Steps::new(then),
            noise,
            kept: OnceLock::new(),
        }
    }
}

/// The shape of the means, given that of means and deviations.
fn half(weights: &Shape) -> Result<Shape> {
    match weights.dims4()? {
        (outputs, c, h, w) if outputs % 2 == 0 => Ok(Shape::from((outputs / 2, c, h, w))),
        _ => bail!("weights {weights:?} are not means and deviations"),
    }
}

fn squares(values: &[f32]) -> Vec<f32> {
    values.iter().map(|x| x * x).collect()
}

impl CustomOp3 for NoisyLayer {
    fn name(&self) -> &'static str {
        "noisy linear layer"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let s = self.window.sizes(l1.shape(), &half(l2.shape())?)?;
        let (height, width) = self.then.result_size(s.out_height, s.out_width)?;
        let (input, weights, bias) = (elements(s1, l1)?, elements(s2, l2)?, elements(s3, l3)?);
        let (bias, bias_deviation) = bias.split_at(s.outputs);
        let deviations = squares(&weights[weights.len() / 2..]);
        let layout = Layout::contiguous(deviations.len());
        let mut values = self.window.forward(&s, input, (s2, l2), bias)?;
        let variance = self.window.forward(
            &s,
            &squares(input),
            (&CpuStorage::F32(deviations), &layout),
            &squares(bias_deviation),
        )?;
        if self.noise.len() != values.len() {
            bail!("{} normals for {} sums", self.noise.len(), values.len());
        }
        // d(√v·ε)/dv = ε/(2√v)
        let mut slopes = Vec::with_capacity(values.len());
        for ((x, v), e) in values.iter_mut().zip(variance).zip(&self.noise) {
            let root = (v + TINY).sqrt();
            *x += root * e;
            slopes.push(0.5 * e / root);
        }
        let (values, kept) = self.then.forward(values, s.out_width);
        if self.kept.set((kept, slopes)).is_err() {
            bail!("a layer was applied twice");
        }
        let shape = Shape::from((s.outputs, s.images, height, width));
        Ok((CpuStorage::F32(values), shape))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weights: &Tensor,
        bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let s = self.window.sizes(input.shape(), &half(weights.shape())?)?;
        let Some((kept, slopes)) = self.kept.get() else {
            bail!("no way back before the way there");
        };
        let back = with_elements(gradient, <[f32]>::to_vec)?;
        let back = with_elements(result, |result| self.then.backward(kept, result, back))?;
        let of_variance = back.iter().zip(slopes).map(|(g, s)| g * s).collect();
        let means = weights.detach().narrow(0, 0, s.outputs)?;
        let deviations = weights.detach().narrow(0, s.outputs, s.outputs)?;
        // Like the input, its square is differentiated only if it is no data.
        let square = input.sqr()?;
        let mean = self.window.backward(&s, input, &means, back)?;
        let variance = self
            .window
            .backward(&s, &square, &deviations.sqr()?, of_variance)?;
        let twice = |x: &Tensor, by: &Tensor| (x.detach() * by)? * 2.0;
        let input = match (mean.0, variance.0) {
            (Some(a), Some(b)) => Some((a + twice(input, &b)?)?),
            _ => None,
        };
        let weights = Tensor::cat(&[mean.1, twice(&deviations, &variance.1)?], 0)?;
        let bias_deviation = bias.detach().narrow(0, s.outputs, s.outputs)?;
        let bias = Tensor::cat(&[mean.2, twice(&bias_deviation, &variance.2)?], 0)?;
        Ok((input, Some(weights), Some(bias)))
    }
}
