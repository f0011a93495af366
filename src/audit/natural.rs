//! An honest client that only has natural images.
//!
//! It classifies them, keeps the inputs x and the pre-activations y = Wx + b of
//! every layer, both of which it decrypts or computes anyway, and solves least
//! squares for W and b. Every output position of a convolution is an equation
//! of its own. Natural images leave some weights undetermined: a pixel that is
//! black in all of them, or a neuron that never fires, multiplies its weight by
//! 0. Such a weight has no bearing on images of the same kind either.
//!
//! A server that draws its weights for every query answers all images of that
//! query with the same ones: each set is solved for by itself, and the
//! solutions are averaged.

use crate::network::Stage;

use super::{
    AuditError, Estimate, Fraction, Model, Seen, Service, is_point, linear_system::LinearSystem,
    products,
};

/// What is known after so many images: the number, and each layer.
pub type Curve = Vec<(usize, Model)>;

/// The equations of one layer under one set of weights, and its solutions.
struct Layer {
    system: LinearSystem,
    solved: Vec<Estimate>,
}

/// Classifies `images` and solves for the weights; what is known after 1, 2,
/// 4, … of them, and after all.
///
/// # Errors
///
/// Whatever [`Service::classify`] says.
pub fn attack(
    service: &mut dyn Service,
    images: &[Vec<i64>],
    progress: Fraction<'_>,
) -> Result<Curve, AuditError> {
    let profile = service.profile().clone();
    let draws = service.draws();
    let all: f64 = profile.stages.iter().map(|s| products(&s.linear)).sum();
    let share: Vec<f64> = profile
        .stages
        .iter()
        .map(|stage| products(&stage.linear) / all)
        .collect();

    let mut layers: Vec<Vec<Layer>> = (0..draws)
        .map(|_| {
            let layer = |stage: &Stage| Layer {
                system: LinearSystem::new(stage.linear.taps() + 1, stage.linear.channels()),
                solved: Vec::new(),
            };
            profile.stages.iter().map(layer).collect()
        })
        .collect();
    // What goes into the next stage, for each set of weights and image.
    let mut inputs = vec![profile.prepared_all(images).into_owned(); draws];
    let mut row = Vec::new();
    let mut answer = Vec::new();
    let mut see = |seen: Seen<'_>| {
        let linear = &profile.stages[seen.stage].linear;
        let layer = &mut layers[seen.draw][seen.stage];
        let input = &mut inputs[seen.draw][seen.image];
        let positions = linear.positions();
        for position in 0..positions {
            row.clear();
            row.extend((0..linear.taps()).map(|tap| {
                linear
                    .tap_input(position, tap)
                    .map_or(0, |index| input[index])
            }));
            row.push(1);
            answer.clear();
            answer.extend(
                seen.results
                    .iter()
                    .skip(position)
                    .step_by(positions)
                    .copied(),
            );
            layer.system.add(&row, &answer);
        }
        *input = profile.finish(seen.stage, seen.results);
        if is_point(seen.image + 1, images.len()) {
            layer.solved.push(layer.system.solve());
        }
    };
    service.classify(images, &mut see, &|stage, part| {
        progress(share[..stage].iter().sum::<f64>() + part * share[stage]);
    })?;

    let counts = (1..=images.len()).filter(|&count| is_point(count, images.len()));
    Ok(counts
        .enumerate()
        .map(|(point, count)| {
            let model = (0..profile.stages.len())
                .map(|stage| {
                    let of: Vec<&Estimate> = layers
                        .iter()
                        .map(|draw| &draw[stage].solved[point])
                        .collect();
                    mean(&of)
                })
                .collect();
            (count, model)
        })
        .collect())
}

/// The mean of several estimates; determined where all are.
fn mean(estimates: &[&Estimate]) -> Estimate {
    let mean_of = |values: &dyn Fn(&Estimate) -> &[f64]| -> Vec<f64> {
        (0..values(estimates[0]).len())
            .map(|i| estimates.iter().map(|e| values(e)[i]).sum::<f64>() / estimates.len() as f64)
            .collect()
    };
    Estimate {
        weights: mean_of(&|e| &e.weights),
        bias: mean_of(&|e| &e.bias),
        determined: (0..estimates[0].determined.len())
            .map(|i| estimates.iter().all(|e| e.determined[i]))
            .collect(),
        explains: Some(estimates.iter().all(|e| e.explains == Some(true))),
        deviations: None,
    }
}
