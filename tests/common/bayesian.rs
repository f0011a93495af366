//! Bayesian networks made of others.

use pdnn::network::{BayesianNetwork, Deviations, Network, Posterior};

/// The Bayesian network whose means are the weights of `network`, each deviation
/// an eighth of the weight's magnitude and more for some; every third weight is
/// fixed. What is drawn takes up to a bit more than the means.
pub(crate) fn bayesian(network: &Network) -> BayesianNetwork {
    let (mut profile, means) = network.clone().into_parts();
    profile.posterior = Some(Posterior { truncation: 4 });
    let deviations = means
        .iter()
        .map(|layer| Deviations {
            weights: (0u32..)
                .zip(&layer.weights)
                .map(|(at, weight)| match at % 3 {
                    0 => 0,
                    more => weight.unsigned_abs() / 8 + more,
                })
                .collect(),
            bias: layer.bias.iter().map(|b| b.unsigned_abs() / 16).collect(),
        })
        .collect();
    BayesianNetwork::new(profile, means, deviations).expect("a sound network")
}
