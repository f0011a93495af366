//! A linear layer with its activation and pooling, as one operation.
//!
//! One operation, because the large intermediate results then never become
//! nodes of candle's graph, where each would cost a zeroed tensor and an
//! addition on the way back.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{
    Step, Window, elements,
    steps::{Kept, Steps},
    with_elements,
};

/// `[C, N, H, W]`, weights `[O, C, KH, KW]`, bias `[O]` → `[O, N, H', W']`.
/// An instance serves one application.
pub(in crate::train) struct LinearLayer {
    window: Window,
    then: Steps,
    kept: OnceLock<Kept>,
}

impl LinearLayer {
    /// The window, then the steps in order.
    pub(in crate::train) fn new(window: Window, then: Vec<Step>) -> LinearLayer {
        LinearLayer {
            window,
            then: Steps::new(then),
            kept: OnceLock::new(),
        }
    }
}

impl CustomOp3 for LinearLayer {
    fn name(&self) -> &'static str {
        "linear layer"
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
        let s = self.window.sizes(l1.shape(), l2.shape())?;
        let (height, width) = self.then.result_size(s.out_height, s.out_width)?;
        let (input, bias) = (elements(s1, l1)?, elements(s3, l3)?);
        elements(s2, l2)?;
        let values = self.window.forward(&s, input, (s2, l2), bias)?;
        let (values, kept) = self.then.forward(values, s.out_width);
        if self.kept.set(kept).is_err() {
            bail!("a layer was applied twice");
        }
        let shape = Shape::from((s.outputs, s.images, height, width));
        Ok((CpuStorage::F32(values), shape))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weights: &Tensor,
        _bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let s = self.window.sizes(input.shape(), weights.shape())?;
        let Some(kept) = self.kept.get() else {
            bail!("no way back before the way there");
        };
        let back = with_elements(gradient, <[f32]>::to_vec)?;
        let back = with_elements(result, |result| self.then.backward(kept, result, back))?;
        let (input, weights, bias) = self.window.backward(&s, input, weights, back)?;
        Ok((input, Some(weights), Some(bias)))
    }
}
