//! What a recovered model is worth, measured against the true one.

use serde::Serialize;

use crate::network::{Network, Profile, Weights, argmax};

use super::{Estimate, Model, Service, Traffic};

/// The true model, and images to compare networks on.
pub struct Truth {
    /// The network of the true weights; of their means, if they are drawn.
    network: Network,
    images: Vec<Vec<i64>>,
    labels: Vec<usize>,
    /// What the true network says of each image.
    classes: Vec<usize>,
}

/// How far an estimate of a layer is from the truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerScore {
    /// Largest error of a determined weight or bias.
    pub largest_error: f64,
    /// Mean error of those.
    pub mean_error: f64,
    /// Largest error of all, undetermined ones included.
    pub largest_error_all: f64,
    /// Mean error of all.
    pub mean_error_all: f64,
    /// Weights and biases that are not the true ones after rounding.
    pub wrong_after_rounding: usize,
}

/// How a recovered network does on images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Images.
    pub images: usize,
    /// Those that it gives the label that the true network gives.
    pub agreeing: usize,
    /// Those that it gives the right label.
    pub right: usize,
}

impl Truth {
    /// The truth about `network`, and images with labels, of which there may be
    /// none.
    ///
    /// # Panics
    ///
    /// If there are not as many labels as images.
    pub fn new(network: Network, images: Vec<Vec<i64>>, labels: Vec<usize>) -> Truth {
        assert_eq!(images.len(), labels.len(), "a label for each image");
        let classes = classes(&network, &images);
        Truth {
            network,
            images,
            labels,
            classes,
        }
    }

    /// How the true network itself does.
    pub fn accuracy(&self) -> Option<Agreement> {
        self.agreement(&self.classes)
    }

    /// The errors of every layer.
    pub fn layers(&self, model: &Model) -> Vec<LayerScore> {
        self.network
            .layers()
            .iter()
            .zip(model)
            .map(|(truth, estimate)| layer(truth, estimate))
            .collect()
    }

    /// How the recovered network, rounded, does; `None` without images, or if
    /// the estimates make no network.
    pub fn recovered(&self, model: &Model) -> Option<Agreement> {
        if self.images.is_empty() {
            return None;
        }
        let network = network(self.network.profile(), model)?;
        self.agreement(&classes(&network, &self.images))
    }

    fn agreement(&self, found: &[usize]) -> Option<Agreement> {
        let same = |with: &[usize]| found.iter().zip(with).filter(|(a, b)| a == b).count();
        (!self.images.is_empty()).then(|| Agreement {
            images: self.images.len(),
            agreeing: same(&self.classes),
            right: same(&self.labels),
        })
    }
}

impl LayerScore {
    /// Whether every weight and bias is known exactly, without rounding.
    pub fn is_exact(&self) -> bool {
        self.largest_error_all == 0.0
    }
}

/// The network of the rounded estimates; `None` if they make none.
pub fn network(profile: &Profile, model: &Model) -> Option<Network> {
    let layers: Option<Vec<Weights>> = model.iter().map(Estimate::rounded).collect();
    Network::new(profile.clone(), layers?).ok()
}

fn classes(network: &Network, images: &[Vec<i64>]) -> Vec<usize> {
    network
        .forward_all(images)
        .iter()
        .map(|logits| argmax(logits))
        .collect()
}

fn layer(truth: &Weights, estimate: &Estimate) -> LayerScore {
    let taps = estimate.determined.len() - 1;
    let weights = truth.weights.iter().map(|&w| f64::from(w));
    let weights = weights
        .zip(&estimate.weights)
        .enumerate()
        .map(|(index, (truth, &found))| (truth, found, estimate.determined[index % taps]));
    let biases = truth.bias.iter().map(|&b| b as f64).zip(&estimate.bias);
    let biases = biases.map(|(truth, &found)| (truth, found, estimate.determined[taps]));

    let (mut all, mut known) = (0usize, 0usize);
    let mut score = LayerScore {
        largest_error: 0.0,
        mean_error: 0.0,
        largest_error_all: 0.0,
        mean_error_all: 0.0,
        wrong_after_rounding: 0,
    };
    for (truth, found, determined) in weights.chain(biases) {
        let error = (found - truth).abs();
        all += 1;
        score.largest_error_all = score.largest_error_all.max(error);
        score.mean_error_all += error;
        score.wrong_after_rounding += usize::from(found.round() != truth);
        if determined {
            known += 1;
            score.largest_error = score.largest_error.max(error);
            score.mean_error += error;
        }
    }
    score.mean_error /= known.max(1) as f64;
    score.mean_error_all /= all as f64;
    score
}

/// What is known after so many answers.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// How many: of what, the attack says.
    pub answers: usize,
    /// Each layer.
    pub layers: Vec<LayerPoint>,
    /// How the recovered network does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Agreement>,
}

/// What is known of one layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerPoint {
    /// The layer's name.
    pub layer: String,
    /// Weights and biases.
    pub unknowns: usize,
    /// Those that the answers determine.
    pub determined: usize,
    /// Whether the rounded estimate explains every answer, where answers are
    /// expected to agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explains: Option<bool>,
    /// The mean of the estimated standard deviations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_deviation: Option<f64>,
    /// What had been sent.
    pub traffic: Traffic,
    /// The errors, if the truth is at hand.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub score: Option<LayerScore>,
}

impl Point {
    /// What `model`, which the auditor holds after `answers` answers of
    /// `service`, is worth.
    pub fn new(
        answers: usize,
        model: &Model,
        service: &dyn Service,
        truth: Option<&Truth>,
    ) -> Point {
        let scores = truth.map(|truth| truth.layers(model));
        let layers = model.iter().enumerate().map(|(stage, estimate)| {
            let of = &service.profile().stages[stage];
            let channels = of.linear.channels();
            let determined = estimate.determined.iter().filter(|&&d| d).count();
            let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
            LayerPoint {
                layer: of.name.clone(),
                unknowns: channels * estimate.determined.len(),
                determined: channels * determined,
                explains: estimate.explains,
                mean_deviation: estimate.deviations.as_ref().map(mean),
                traffic: service.traffic()[stage],
                score: scores.as_ref().map(|scores| scores[stage].clone()),
            }
        });
        Point {
            answers,
            layers: layers.collect(),
            recovered: truth.and_then(|truth| truth.recovered(model)),
        }
    }

    /// Whether every weight and bias is known exactly.
    pub fn is_exact(&self) -> bool {
        let exact = |layer: &LayerPoint| layer.score.as_ref().is_some_and(LayerScore::is_exact);
        self.layers.iter().all(exact)
    }
}
