//! Adam with decoupled weight decay, and the learning rate over time.

use candle_core::{Device, Result, Tensor, Var};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// AdamW (Loshchilov and Hutter, ICLR 2019).
pub(super) struct Adam {
    /// First and second moment of each variable.
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    steps: i32,
    decay: f32,
}

impl Adam {
    /// State for these variables. Decay, relative to the learning rate,
    /// touches only those of more than one dimension: the weights.
    pub(super) fn new(variables: &[&Var], decay: f32) -> Adam {
        let zeros = |v: &&Var| (vec![0f32; v.elem_count()], vec![0f32; v.elem_count()]);
        Adam {
            moments: variables.iter().map(zeros).collect(),
            steps: 0,
            decay,
        }
    }

    /// One step along the gradients, in the order of the variables.
    pub(super) fn step(
        &mut self,
        variables: &[&Var],
        gradients: &[Vec<f32>],
        rate: f32,
    ) -> Result<()> {
        self.steps += 1;
        let unbias1 = 1.0 / (1.0 - BETA1.powi(self.steps));
        let unbias2 = 1.0 / (1.0 - BETA2.powi(self.steps));
        for ((var, gradient), (m, v)) in variables.iter().zip(gradients).zip(&mut self.moments) {
            let mut values = var.flatten_all()?.to_vec1::<f32>()?;
            let decay = if var.rank() > 1 { self.decay } else { 0.0 };
            let moments = m.iter_mut().zip(v.iter_mut());
            for ((x, g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                let direction = *m * unbias1 / ((*v * unbias2).sqrt() + EPSILON);
                *x -= rate * (direction + decay * *x);
            }
            var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

/// Learning rate at `step` of `steps`: up in a straight line over the first
/// hundredth, then down along half a cosine to zero.
pub(super) fn rate_at(peak: f32, step: usize, steps: usize) -> f32 {
    let warm = (steps / 100).max(1);
    if step < warm {
        return peak * (step + 1) as f32 / warm as f32;
    }
    let done = (step - warm) as f32 / (steps - warm).max(1) as f32;
    peak * 0.5 * (1.0 + (std::f32::consts::PI * done).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_zero() {
        assert!(rate_at(1.0, 0, 1000) <= 0.1);
        assert_eq!(rate_at(1.0, 10, 1000), 1.0);
        assert!(rate_at(1.0, 999, 1000) < 1e-4);
        assert!(rate_at(1.0, 0, 1).is_finite());
    }

    #[test]
    fn adam_finds_the_least_square() {
        let x = Var::from_vec(vec![3.0f32, -2.0], 2, &Device::Cpu).unwrap();
        let mut adam = Adam::new(&[&x], 0.0);
        for _ in 0..400 {
            let at = x.to_vec1::<f32>().unwrap();
            let gradient = vec![2.0 * (at[0] - 1.0), 2.0 * (at[1] - 0.5)];
            adam.step(&[&x], &[gradient], 0.05).unwrap();
        }
        let at = x.to_vec1::<f32>().unwrap();
        assert!(
            (at[0] - 1.0).abs() < 1e-2 && (at[1] - 0.5).abs() < 1e-2,
            "{at:?}"
        );
    }
}
