//! The Gaussian posterior of a Bayesian network in training.
//!
//! Blundell et al., "Weight Uncertainty in Neural Networks" (ICML 2015): each
//! weight and bias is N(μ, σ²) by itself, and what is minimised is the mean
//! cross-entropy of networks drawn from it plus β/N times the divergence
//! KL(posterior ‖ prior), N being the number of training images. β = 1 is the
//! evidence lower bound; a smaller one *tempers* the posterior, which is then
//! narrower and more accurate. The prior is N(0, s²), the same for all, for
//! which the divergence of one weight is ln(s/σ) + (σ² + μ²)/(2s²) − ½. The
//! deviation is learnt as its logarithm.

use candle_core::{Device, Result, Var};

use super::{TrainError, model::Model, topology::Block};

/// First deviations, relative to those of the first weights.
const FIRST_DEVIATION: f32 = 0.1;

/// How the posterior of a Bayesian network is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bayes {
    /// β: how much the divergence from the prior weighs, from 0; 1 does not
    /// temper.
    pub kl_weight: f32,
    /// s: standard deviation of the prior.
    pub prior: f32,
    /// No weight of the exported network is drawn further than this many
    /// standard deviations from its mean, 1 to 8.
    pub truncation: u32,
}

impl Default for Bayes {
    fn default() -> Bayes {
        Bayes {
            kl_weight: 0.1,
            prior: 0.05,
            truncation: 4,
        }
    }
}

impl Bayes {
    /// Checks every value by itself.
    pub(super) fn check(&self) -> std::result::Result<(), TrainError> {
        let wrong = |text: String| Err(TrainError::Option(text));
        if !(self.kl_weight.is_finite() && self.kl_weight >= 0.0) {
            return wrong(format!(
                "a KL weight of {}; choose a number from 0 on",
                self.kl_weight
            ));
        }
        if !(self.prior.is_finite() && self.prior > 0.0) {
            return wrong(format!(
                "a prior of deviation {}; choose a positive number",
                self.prior
            ));
        }
        if !(1..=8).contains(&self.truncation) {
            return wrong(format!(
                "a truncation at {} deviations; choose 1 to 8",
                self.truncation
            ));
        }
        Ok(())
    }

    /// The divergence of one Gaussian, given by mean and logarithm of the
    /// deviation, from the prior, in nats; with its slopes along the two.
    fn divergence(&self, mean: f32, log: f32) -> (f64, f32, f32) {
        let variance = self.prior * self.prior;
        let squares = ((2.0 * log).exp() + mean * mean) / (2.0 * variance);
        (
            f64::from(self.prior.ln() - log + squares - 0.5),
            mean / variance,
            (2.0 * log).exp() / variance - 1.0,
        )
    }

    /// Adds β/images times the slopes of the divergence to `gradients` (in the
    /// order of [`Model::variables`]), and returns the divergence, in nats.
    pub(super) fn add_divergence(
        &self,
        model: &Model,
        gradients: &mut [Vec<f32>],
        images: usize,
    ) -> Result<f64> {
        let share = self.kl_weight / images as f32;
        let (mut sum, mut at) = (0.0, 0);
        for v in &model.vars {
            let Some(deviation) = &v.deviation else {
                continue;
            };
            // Weight, bias, steps, then the deviations of the first two.
            let steps = usize::from(v.weight_step.is_some()) + usize::from(v.output_step.is_some());
            let pairs = [(&v.weight, &deviation.weight), (&v.bias, &deviation.bias)];
            for (i, (mean, log)) in pairs.into_iter().enumerate() {
                let means = mean.flatten_all()?.to_vec1::<f32>()?;
                let logs = log.flatten_all()?.to_vec1::<f32>()?;
                for (j, (mean, log)) in means.into_iter().zip(logs).enumerate() {
                    let (nats, of_mean, of_log) = self.divergence(mean, log);
                    sum += nats;
                    gradients[at + i][j] += share * of_mean;
                    gradients[at + 2 + steps + i][j] += share * of_log;
                }
            }
            at += 4 + steps;
        }
        Ok(sum)
    }
}

/// Logarithms of the standard deviations of a block's weights and biases.
#[derive(Clone, Debug)]
pub(super) struct LogDeviations {
    /// `[O, C, KH, KW]`
    pub(super) weight: Var,
    /// `[O]`
    pub(super) bias: Var,
}

impl LogDeviations {
    /// Where training begins: a tenth of the deviation that He et al. give the
    /// weights themselves.
    pub(super) fn first(block: &Block) -> Result<LogDeviations> {
        let shape = block.weight_shape();
        let fan_in: usize = shape[1..].iter().product();
        let log = (FIRST_DEVIATION * (2.0 / fan_in as f32).sqrt()).ln();
        let all = |shape: &[usize]| {
            let count = shape.iter().product();
            Var::from_vec(vec![log; count], shape, &Device::Cpu)
        };
        Ok(LogDeviations {
            weight: all(&shape)?,
            bias: all(&[block.outputs])?,
        })
    }
}

/// The deviations that a variable holds the logarithms of.
pub(super) fn deviations(logs: &Var) -> Result<Vec<f32>> {
    let logs = logs.flatten_all()?.to_vec1::<f32>()?;
    Ok(logs.into_iter().map(f32::exp).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prior_diverges_from_itself_by_nothing() {
        let bayes = Bayes::default();
        let (nats, of_mean, of_log) = bayes.divergence(0.0, bayes.prior.ln());
        assert!(nats.abs() < 1e-6 && of_mean == 0.0 && of_log.abs() < 1e-5);
    }

    #[test]
    fn the_divergence_has_the_slopes_of_its_differences() {
        let bayes = Bayes::default();
        for (mean, log) in [(0.1, -2.0), (-0.3, -4.0), (0.0, -1.0)] {
            let at = |m: f32, l: f32| bayes.divergence(m, l).0;
            let (_, of_mean, of_log) = bayes.divergence(mean, log);
            let h = 1e-3;
            let slope = |up: f64, down: f64| ((up - down) / f64::from(2.0 * h)) as f32;
            let mean_slope = slope(at(mean + h, log), at(mean - h, log));
            let log_slope = slope(at(mean, log + h), at(mean, log - h));
            assert!((mean_slope - of_mean).abs() < 0.02 * (1.0 + of_mean.abs()));
            assert!((log_slope - of_log).abs() < 0.02 * (1.0 + of_log.abs()));
        }
    }

    #[test]
    fn values_outside_their_range_are_named() {
        let refused = |bayes: Bayes| bayes.check().unwrap_err().to_string();
        let sound = Bayes::default();
        sound.check().unwrap();
        assert!(
            refused(Bayes {
                kl_weight: -1.0,
                ..sound
            })
            .contains("KL weight")
        );
        assert!(
            refused(Bayes {
                prior: 0.0,
                ..sound
            })
            .contains("prior")
        );
        assert!(
            refused(Bayes {
                truncation: 9,
                ..sound
            })
            .contains("truncation")
        );
    }
}
