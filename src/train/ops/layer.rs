//! A linear layer with its activation and pooling, as one operation.
//!
//! One operation, because the large intermediate results then never become
//! nodes of candle's graph, where each would cost a zeroed tensor and an
//! addition on the way back.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{
    Step, Window,
    activation::{relu, relu_backward},
    elements,
    linear::Sizes,
    with_elements,
};

/// `[C, N, H, W]`, weights `[O, C, KH, KW]`, bias `[O]` → `[O, N, H', W']`.
/// An instance serves one application.
pub(in crate::train) struct LinearLayer {
    window: Window,
    then: Vec<Step>,
    /// The input of each pooling, with its width.
    pooled: OnceLock<Vec<(Vec<f32>, usize)>>,
}

impl LinearLayer {
    /// The window, then the steps in order.
    pub(in crate::train) fn new(window: Window, then: Vec<Step>) -> LinearLayer {
        LinearLayer {
            window,
            then,
            pooled: OnceLock::new(),
        }
    }

    /// Height and width after all steps.
    fn result_size(&self, s: &Sizes) -> Result<(usize, usize)> {
        let (mut height, mut width) = (s.out_height, s.out_width);
        for step in &self.then {
            if let Step::Pool(pool) = step {
                if pool.size == 0 || height % pool.size != 0 || width % pool.size != 0 {
                    bail!("pooling by {} does not divide {height}x{width}", pool.size);
                }
                (height, width) = (height / pool.size, width / pool.size);
            }
        }
        Ok((height, width))
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
        let (height, width) = self.result_size(&s)?;
        let (input, bias) = (elements(s1, l1)?, elements(s3, l3)?);
        elements(s2, l2)?;
        let mut values = self.window.forward(&s, input, (s2, l2), bias)?;
        let (mut pooled, mut across) = (Vec::new(), s.out_width);
        for step in &self.then {
            match step {
                Step::Relu => relu(&mut values),
                Step::Pool(pool) => {
                    let smaller = pool.forward(&values, across);
                    pooled.push((std::mem::replace(&mut values, smaller), across));
                    across /= pool.size;
                }
            }
        }
        if self.pooled.set(pooled).is_err() {
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
        let mut pooled = self.pooled.get().map_or(&[][..], Vec::as_slice);
        let mut back = with_elements(gradient, <[f32]>::to_vec)?;
        with_elements(result, |result| {
            // A step's output is the next pooling's input, or the result:
            // ReLU leaves what it has made unchanged.
            let mut output = result;
            for step in self.then.iter().rev() {
                match (step, pooled) {
                    (Step::Relu, _) => relu_backward(output, &mut back),
                    (Step::Pool(pool), [before @ .., (values, width)]) => {
                        back = pool.backward(values, *width, &back);
                        (output, pooled) = (values, before);
                    }
                    (Step::Pool(_), []) => {}
                }
            }
        })?;
        let (input, weights, bias) = self.window.backward(&s, input, weights, back)?;
        Ok((input, Some(weights), Some(bias)))
    }
}
