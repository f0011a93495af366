//! What can be seen of a Bayesian network.

use std::fs;

use pdnn::{
    file::{Overwrite, save_bayesian},
    network::{BayesianNetwork, Deviations, Posterior},
};

use crate::place::Place;

#[test]
fn inspect_counts_means_and_deviations() {
    let place = Place::new();
    let (mut profile, means) = place.network.clone().into_parts();
    profile.posterior = Some(Posterior { truncation: 4 });
    let deviations: Vec<Deviations> = means
        .iter()
        .map(|layer| Deviations {
            // The same number of 1s, 2s and 3s, up to one, and one of each end.
            weights: [0, 300]
                .into_iter()
                .chain((1..=3).cycle())
                .take(layer.weights.len())
                .collect(),
            bias: vec![7; layer.bias.len()],
        })
        .collect();
    let not_0 = means[0].weights.iter().filter(|&&w| w != 0).count();
    let network = BayesianNetwork::new(profile, means, deviations).expect("small deviations");
    fs::create_dir(place.path("bayes")).expect("a folder");
    save_bayesian(&place.path("bayes"), &network, Overwrite::Never).expect("room on disk");

    let profile = place.json(&["inspect", "--json", "bayes/profile.json"]);
    assert_eq!(profile["truncation"], 4);
    let model = place.json(&["inspect", "--json", "bayes/model.safetensors"]);
    assert_eq!(model["kind"], "model");
    assert_eq!(model["truncation"], 4);
    assert_eq!(model["network"], profile["fingerprint"]);
    let layers = model["layers"].as_array().expect("layers");
    let first = network.profile().stages[0].name.clone();
    let row = |tensor: String| {
        let mut rows = layers.iter();
        rows.find(|row| row["tensor"] == tensor).expect("a row")
    };
    let weights = row(format!("{first}.weight"));
    assert_eq!(weights["means_not_0"], not_0);
    assert_eq!(weights["deviations"], "U16");
    assert_eq!(
        (&weights["least"], &weights["median"], &weights["greatest"]),
        (&0.into(), &2.into(), &300.into())
    );
    let biases = row(format!("{first}.bias"));
    assert_eq!(
        (&biases["least"], &biases["greatest"]),
        (&7.into(), &7.into())
    );
    assert_eq!(layers.len(), 2 * network.profile().stages.len());

    let text = place.ok(&["inspect", "bayes/model.safetensors"]);
    assert!(text.contains("truncation"), "{text}");
    assert!(text.contains("means not 0"), "{text}");
}
