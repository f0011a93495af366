//! Fake quantisation with learnt step sizes.
//!
//! Esser et al., "Learned Step Size Quantization" (ICLR 2020): forwards,
//! x ↦ s·clamp(round(x/s), min, max); backwards, the rounding counts as the
//! identity inside the range. The step is learnt as its logarithm, which
//! keeps it positive and makes a learning rate mean a relative change.

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};

use super::{elements, with_elements};

/// The integers a quantised value may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::train) struct Levels {
    /// The smallest.
    pub(in crate::train) min: f32,
    /// The largest.
    pub(in crate::train) max: f32,
}

impl Levels {
    /// Weights of so many bits: symmetric, so that negation stays inside.
    pub(in crate::train) fn weights(bits: u32) -> Levels {
        let max = ((1u32 << (bits - 1)) - 1) as f32;
        Levels { min: -max, max }
    }

    /// Activations of so many bits, which are never negative.
    pub(in crate::train) fn activations(bits: u32) -> Levels {
        Levels {
            min: 0.0,
            max: ((1u32 << bits) - 1) as f32,
        }
    }

    /// The level nearest to `x` steps; halves go up, as they do in the
    /// integer network's requantisation.
    pub(in crate::train) fn nearest(&self, x: f32) -> f32 {
        (x + 0.5).floor().clamp(self.min, self.max)
    }

    /// The logarithm of the step that loses least, in the squared sense,
    /// on these values; a grid search, used once before training.
    pub(in crate::train) fn best_log_step(&self, values: &[f32]) -> f32 {
        let largest = values.iter().fold(0f32, |a, x| a.max(x.abs()));
        if largest == 0.0 {
            return (1.0 / self.max).ln();
        }
        let loss = |step: f32| -> f64 {
            let errors = values.iter().map(|x| {
                let e = f64::from(x - step * self.nearest(x / step));
                e * e
            });
            errors.sum()
        };
        let steps = (20..=100).map(|percent| largest / self.max * percent as f32 / 100.0);
        let scored = steps.map(|step| (loss(step), step));
        let best = scored.min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(largest / self.max, |(_, step)| step).ln()
    }
}

/// `x [rows × any]` quantised by the logarithms of its rows' steps `[rows]`;
/// one row means one step for all.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) struct FakeQuantise {
    /// The integers that x may take.
    pub(in crate::train) levels: Levels,
}

impl CustomOp2 for FakeQuantise {
    fn name(&self) -> &'static str {
        "fake quantisation"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, log_steps) = (elements(s1, l1)?, elements(s2, l2)?);
        if log_steps.is_empty() || x.len() % log_steps.len() != 0 {
            bail!("{} steps for {} values", log_steps.len(), x.len());
        }
        let mut result = Vec::with_capacity(x.len());
        for (row, log_step) in x.chunks(x.len() / log_steps.len()).zip(log_steps) {
            let step = log_step.exp();
            result.extend(row.iter().map(|x| step * self.levels.nearest(x / step)));
        }
        Ok((CpuStorage::F32(result), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg: &Tensor,
        log_steps: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Levels { min, max } = self.levels;
        let rows = log_steps.elem_count();
        let wide = arg.elem_count() / rows.max(1);
        let mut back = vec![0f32; arg.elem_count()];
        let mut steps_back = vec![0f32; rows];
        let steps: Vec<f32> = with_elements(log_steps, |l| l.iter().map(|l| l.exp()).collect())?;
        with_elements(arg, |x| {
            with_elements(result, |y| {
                with_elements(gradient, |g| {
                    for (i, step) in steps.iter().enumerate() {
                        let mut sum = 0f32;
                        for j in i * wide..(i + 1) * wide {
                            let v = x[j] / step;
                            if v < min || v > max {
                                // d(s·bound)/d ln s = s·bound, the result.
                                sum += g[j] * y[j];
                            } else {
                                back[j] = g[j];
                                sum += g[j] * (y[j] - x[j]);
                            }
                        }
                        steps_back[i] = sum;
                    }
                })
            })
        })???;
        Ok((
            Some(Tensor::from_vec(back, arg.shape(), &Device::Cpu)?),
            Some(Tensor::from_vec(
                steps_back,
                log_steps.shape(),
                &Device::Cpu,
            )?),
        ))
    }
}
