//! Averaging: chosen queries over and over, until the noise is gone.
//!
//! A server that draws its weights anew for every query answers with w + e. The
//! mean of k answers has the standard deviation σ/√k, so whoever may ask four
//! times as often halves the error, and rounding gives the mean of the weights
//! exactly once it is well below ½ (Wong et al., IJCAI 2020). The scatter of the
//! answers estimates σ itself: the whole posterior, not only its mean.

use super::{AuditError, Estimate, Fraction, Model, Service, chosen, is_point};

/// Sums over the answers for one layer.
struct Sums {
    count: f64,
    taps: usize,
    channels: usize,
    /// Weights, then biases.
    sum: Vec<f64>,
    squares: Vec<f64>,
    regular: bool,
}

impl Sums {
    fn new(taps: usize, channels: usize) -> Sums {
        let all = channels * (taps + 1);
        Sums {
            count: 0.0,
            taps,
            channels,
            sum: vec![0.0; all],
            squares: vec![0.0; all],
            regular: true,
        }
    }

    fn add(&mut self, draw: &chosen::Draw) {
        self.count += 1.0;
        self.regular &= draw.regular;
        let values = draw.weights.iter().chain(&draw.bias);
        for ((sum, squares), &value) in self.sum.iter_mut().zip(&mut self.squares).zip(values) {
            let value = value as f64;
            *sum += value;
            *squares += value * value;
        }
    }

    fn estimate(&self) -> Estimate {
        let mut weights: Vec<f64> = self.sum.iter().map(|sum| sum / self.count).collect();
        let deviations = (self.count > 1.0).then(|| {
            let means = weights.iter().zip(&self.squares);
            means
                .map(|(mean, squares)| {
                    let variance = (squares - self.count * mean * mean) / (self.count - 1.0);
                    variance.max(0.0).sqrt()
                })
                .collect()
        });
        let bias = weights.split_off(self.channels * self.taps);
        Estimate {
            weights,
            bias,
            determined: vec![true; self.taps + 1],
            explains: (!self.regular).then_some(false),
            deviations,
        }
    }
}

/// Asks every layer until `repeats` sets of weights have answered. `see` is
/// shown what is known after 1, 2, 4, … of them, and at the end.
///
/// # Errors
///
/// As [`chosen::attack`].
pub fn attack(
    service: &mut dyn Service,
    repeats: usize,
    see: &mut dyn FnMut(usize, Model, &dyn Service),
    progress: Fraction<'_>,
) -> Result<(), AuditError> {
    let plans = chosen::plans(service)?;
    let work = chosen::work(service);
    let mut sums: Vec<Sums> = service
        .profile()
        .stages
        .iter()
        .map(|stage| Sums::new(stage.linear.taps(), stage.linear.channels()))
        .collect();
    let mut count = 0;
    while count < repeats {
        let mut layers = Vec::with_capacity(plans.len());
        for (stage, plan) in plans.iter().enumerate() {
            layers.push(plan.ask(service)?);
            let part: f64 = work[..=stage].iter().sum();
            progress((count as f64 + part * service.draws() as f64) / repeats as f64);
        }
        for draw in 0..service.draws() {
            if count == repeats {
                break;
            }
            for (sums, draws) in sums.iter_mut().zip(&layers) {
                sums.add(&draws[draw]);
            }
            count += 1;
            if is_point(count, repeats) {
                see(count, sums.iter().map(Sums::estimate).collect(), service);
            }
        }
    }
    Ok(())
}
