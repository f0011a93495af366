//! A Bayesian network's files: what can be seen of them, and how they are
//! refused.

use std::fs;

use pdnn::{
    file::{Container, Kind, Overwrite, Tensor, save_bayesian},
    network::{BayesianNetwork, Deviations, Posterior},
};

use crate::place::Place;

/// A place with a Bayesian network in the folder `bayes`: its means are those of
/// `net`.
fn with_bayesian() -> (Place, BayesianNetwork) {
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
    let network = BayesianNetwork::new(profile, means, deviations).expect("small deviations");
    fs::create_dir(place.path("bayes")).expect("a folder");
    save_bayesian(&place.path("bayes"), &network, Overwrite::Never).expect("room on disk");
    (place, network)
}

/// The error of a classification after `change` of the model in the folder
/// `bayes`.
fn refused(change: impl FnOnce(&mut Container)) -> String {
    let (place, _) = with_bayesian();
    let path = place.path("bayes/model.safetensors");
    let bytes = fs::read(&path).expect("readable");
    let mut model = Container::from_bytes(&bytes, Kind::MODEL).expect("a model");
    change(&mut model);
    fs::write(&path, model.to_bytes().expect("a container")).expect("writable");
    place.fails(&["run", "--network", "bayes", "0.png"])
}

/// Puts `new` in the place of the tensor of its name.
fn replace(model: &mut Container, new: Tensor) {
    model.tensors.retain(|tensor| tensor.name != new.name);
    model.push(new);
}

#[test]
fn model_without_deviations() {
    let error = refused(|model| model.tensors.retain(|t| !t.name.ends_with("_deviation")));
    assert!(error.contains("a model without deviations"), "{error}");
}

#[test]
fn negative_deviations() {
    let error = refused(|model| {
        let signed = Tensor::from_i8s("conv1.weight_deviation", &[2, 1, 3, 3], &[-1; 18]);
        replace(model, signed);
    });
    assert!(error.contains("whole number and not negative"), "{error}");
}

#[test]
fn overflowing_deviations() {
    let error = refused(|model| {
        let wide = Tensor::from_u32s("conv1.weight_deviation", &[2, 1, 3, 3], &[1 << 30; 18]);
        replace(model, wide);
    });
    assert!(
        error.contains("stage conv1: overflowing deviations"),
        "{error}"
    );
}

#[test]
fn ranges_that_do_not_cover_what_can_be_drawn() {
    let error = refused(|model| {
        let wider = Tensor::from_bytes("conv1.weight_deviation", &[2, 1, 3, 3], vec![9; 18]);
        replace(model, wider);
    });
    assert!(error.contains("stage conv1: the profile says"), "{error}");
}

#[test]
fn deviations_in_a_model_whose_profile_has_no_posterior() {
    let (place, network) = with_bayesian();
    let fixed = network.mean_network().profile().to_json();
    fs::write(place.path("bayes/profile.json"), fixed).expect("writable");
    let error = place.fails(&["run", "--network", "bayes", "0.png"]);
    assert!(error.contains("the profile has no posterior"), "{error}");
}

#[test]
fn truncation_0_or_9() {
    let (place, network) = with_bayesian();
    for truncation in [0, 9] {
        let mut profile = network.profile().clone();
        profile.posterior = Some(Posterior { truncation });
        fs::write(place.path("bayes/profile.json"), profile.to_json()).expect("writable");
        let error = place.fails(&["inspect", "bayes/profile.json"]);
        assert!(error.contains("expected 1 to 8"), "{error}");
    }
}

#[test]
fn inspect_counts_means_and_deviations() {
    let (place, network) = with_bayesian();
    let first = &network.means()[0];
    let not_0 = first.weights.iter().filter(|&&w| w != 0).count();

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
