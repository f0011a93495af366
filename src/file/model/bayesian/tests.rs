//! Bayesian models and folders: round trips, and a test for each malformation.

use std::fs;

use crate::{
    file::{
        AnyNetwork, Container, Kind, ModelError, Overwrite, Tensor, bayesian_from_bytes,
        bayesian_to_bytes, container::ContainerError, load_any, load_bayesian, load_network,
        load_profile, model_from_bytes, model_to_bytes, save_bayesian, save_network,
    },
    network::{
        BayesianNetwork, Deviations, InputSpec, Linear, NetworkError, Op, Posterior, Problem,
        Profile, Range, Shape, Stage, Weights,
    },
};

/// Three dense layers, whose deviations need 8, 16 and 32 bits.
fn network() -> BayesianNetwork {
    let stage = |name: &str, then| Stage {
        name: name.to_owned(),
        linear: Linear::Dense {
            inputs: 2,
            outputs: 2,
        },
        range: Range::new(0, 0),
        then,
    };
    let requantise = Op::Requantise {
        multipliers: vec![1],
        shift: 8,
        min: 0,
        max: 15,
    };
    let stages = vec![
        stage("a", vec![requantise.clone()]),
        stage("b", vec![requantise]),
        stage("c", vec![]),
    ];
    let input = InputSpec {
        shape: Shape::new(2, 1, 1),
        min: 0,
        max: 255,
    };
    let labels = ["x", "y"].map(str::to_owned).to_vec();
    let mut profile = Profile::new("tiny", input, stages, labels, 0.25);
    profile.posterior = Some(Posterior { truncation: 3 });
    let mean = |weights: [i32; 4]| Weights {
        weights: weights.to_vec(),
        bias: vec![-4, 1 << 40],
    };
    let deviation = |weights: [u32; 4]| Deviations {
        weights: weights.to_vec(),
        bias: vec![0, 1 << 33],
    };
    let means = vec![
        mean([1, -2, 3, -4]),
        mean([0, 0, 7, 0]),
        mean([70_000, 1, 2, 3]),
    ];
    let deviations = vec![
        deviation([0, 1, 2, 255]),
        deviation([256, 0, 0, 1]),
        deviation([0, 65_536, 0, 1]),
    ];
    BayesianNetwork::new(profile, means, deviations).expect("a network")
}

/// The container of [`network`]'s model after `change`, as a file.
fn changed(change: impl FnOnce(&mut Container)) -> Vec<u8> {
    let bytes = bayesian_to_bytes(&network()).expect("a model");
    let mut container = Container::from_bytes(&bytes, Kind::MODEL).expect("a model");
    change(&mut container);
    container.to_bytes().expect("a container")
}

/// What reading the model gives after `change`.
#[track_caller]
fn read_changed(change: impl FnOnce(&mut Container)) -> ModelError {
    let bytes = changed(change);
    let error = bayesian_from_bytes(&bytes, network().profile()).expect_err("malformed");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

/// Puts `new` in the place of the tensor of its name.
fn replace(container: &mut Container, new: Tensor) {
    let mut tensors = container.tensors.iter_mut();
    let old = tensors.find(|tensor| tensor.name == new.name);
    *old.expect("a tensor") = new;
}

/// The network's model is of fixed weights: the means, at the ranges of which
/// the profile lies.
fn without_posterior() -> Profile {
    network().mean_network().profile().clone()
}

#[test]
fn a_bayesian_model_survives_the_round_trip() {
    let network = network();
    let bytes = bayesian_to_bytes(&network).expect("a model");
    let again = bayesian_from_bytes(&bytes, network.profile()).expect("valid");
    assert_eq!(again, network);
    assert_eq!(bayesian_to_bytes(&again).expect("a model"), bytes);
}

#[test]
fn deviations_take_as_many_bits_as_they_need() {
    let bytes = bayesian_to_bytes(&network()).expect("a model");
    let container = Container::from_bytes(&bytes, Kind::MODEL).expect("a model");
    let form = |name| container.tensor(name).map(Tensor::form).ok();
    assert_eq!(form("a.weight_deviation").as_deref(), Some("U8 [2, 2]"));
    assert_eq!(form("b.weight_deviation").as_deref(), Some("U16 [2, 2]"));
    assert_eq!(form("c.weight_deviation").as_deref(), Some("U32 [2, 2]"));
    assert_eq!(form("a.bias_deviation").as_deref(), Some("U64 [2]"));
    assert_eq!(container.get("truncation").ok(), Some("3"));
}

#[test]
fn small_deviations_in_wide_elements_are_read() {
    let network = network();
    let values = &network.deviations()[0].weights;
    let bytes = changed(|c| replace(c, Tensor::from_u32s("a.weight_deviation", &[2, 2], values)));
    let again = bayesian_from_bytes(&bytes, network.profile()).expect("valid");
    assert_eq!(again, network);
}

#[test]
fn model_without_deviations() {
    let error = read_changed(|c| c.tensors.retain(|t| !t.name.ends_with("_deviation")));
    assert!(matches!(error, ModelError::WithoutDeviations));
    assert!(error.to_string().starts_with("a model without deviations"));
    // The model of the means is such a one as well, and is not refused for its
    // fingerprint first.
    let bytes = model_to_bytes(&network().mean_network()).expect("a model");
    let error = bayesian_from_bytes(&bytes, network().profile()).expect_err("no deviations");
    assert!(matches!(error, ModelError::WithoutDeviations));
}

#[test]
fn model_with_some_deviations_missing() {
    for name in ["a.weight_deviation", "c.bias_deviation"] {
        let error = read_changed(|c| c.tensors.retain(|tensor| tensor.name != name));
        assert!(matches!(
            error,
            ModelError::Container(ContainerError::MissingTensor { name: found }) if found == name
        ));
    }
}

#[test]
fn deviations_in_a_model_whose_profile_has_no_posterior() {
    let bytes = bayesian_to_bytes(&network()).expect("a model");
    let error = model_from_bytes(&bytes, &without_posterior()).expect_err("deviations");
    assert!(matches!(error, ModelError::UnexpectedDeviations { .. }));
    let text = error.to_string();
    assert!(text.contains("_deviation") && text.contains("has no posterior"));
    let error = bayesian_from_bytes(&bytes, &without_posterior()).expect_err("no posterior");
    assert!(matches!(
        error,
        ModelError::Network(NetworkError::NotBayesian)
    ));
}

#[test]
fn negative_deviations() {
    let error = read_changed(|c| {
        replace(
            c,
            Tensor::from_i8s("a.weight_deviation", &[2, 2], &[0, 1, -2, 3]),
        );
    });
    assert!(matches!(error, ModelError::DeviationType { .. }));
    let text = error.to_string();
    assert!(text.contains("I8, expected U8, U16 or U32") && text.contains("not negative"));
    let error = read_changed(|c| {
        replace(c, Tensor::from_i64s("a.bias_deviation", &[2], &[0, -1]));
    });
    assert!(error.to_string().contains("I64, expected U64"));
}

#[test]
fn deviations_that_are_no_integers() {
    let error = read_changed(|c| {
        replace(
            c,
            Tensor::from_f32s("a.weight_deviation", &[2, 2], &[0.5; 4]),
        );
    });
    assert!(matches!(error, ModelError::DeviationType { .. }));
}

#[test]
fn overflowing_deviations() {
    let error = read_changed(|c| {
        replace(
            c,
            Tensor::from_u32s("b.weight_deviation", &[2, 2], &[1 << 30, 0, 0, 0]),
        );
    });
    assert!(
        error
            .to_string()
            .starts_with("stage b: overflowing deviations: weights")
    );
    let error = read_changed(|c| {
        replace(
            c,
            Tensor::from_u64s("c.bias_deviation", &[2], &[0, u64::MAX]),
        );
    });
    assert!(
        error
            .to_string()
            .starts_with("stage c: overflowing deviations: biases")
    );
}

#[test]
fn deviations_of_wrong_shape() {
    let error = read_changed(|c| {
        replace(
            c,
            Tensor::from_bytes("a.weight_deviation", &[4], vec![0; 4]),
        );
    });
    let text = error.to_string();
    assert!(text.contains("a.weight_deviation") && text.contains("[2, 2]"));
    let error = read_changed(|c| {
        replace(c, Tensor::from_u64s("a.bias_deviation", &[3], &[0; 3]));
    });
    assert!(error.to_string().contains("a.bias_deviation"));
}

#[test]
fn truncation_0_or_9() {
    let network = network();
    let bytes = bayesian_to_bytes(&network).expect("a model");
    for truncation in [0, 9] {
        let mut profile = network.profile().clone();
        profile.posterior = Some(Posterior { truncation });
        let error = bayesian_from_bytes(&bytes, &profile).expect_err("absurd");
        assert!(error.to_string().contains("expected 1 to 8"));
    }
}

#[test]
fn another_truncation_in_the_metadata() {
    let error = read_changed(|c| c.set("truncation", 4));
    assert!(matches!(
        error,
        ModelError::WrongTruncation {
            expected: 3,
            found: 4
        }
    ));
    for text in ["-1", "2.5", ""] {
        let error = read_changed(|c| c.set("truncation", text));
        assert!(error.to_string().contains("whole number"), "{error}");
    }
    let error = read_changed(|c| {
        c.metadata.remove("truncation");
    });
    assert!(error.to_string().contains("truncation"));
}

#[test]
fn ranges_that_do_not_cover_what_can_be_drawn() {
    let error = read_changed(|c| {
        replace(
            c,
            Tensor::from_bytes("a.weight_deviation", &[2, 2], vec![0, 1, 3, 255]),
        );
    });
    assert!(matches!(
        error,
        ModelError::Network(NetworkError::Layer {
            problem: Problem::RangeMismatch { .. },
            ..
        })
    ));
    // As the profile of the means has them, deviations or not.
    let mut profile = without_posterior();
    profile.posterior = network().profile().posterior;
    let bytes = changed(|c| {
        c.set(
            "network",
            crate::file::container::hex(&profile.fingerprint()),
        )
    });
    let error = bayesian_from_bytes(&bytes, &profile).expect_err("narrow ranges");
    assert!(error.to_string().starts_with("stage a: the profile says"));
}

#[test]
fn deviations_of_no_stage() {
    let error = read_changed(|c| c.push(Tensor::from_bytes("d.weight_deviation", &[1], vec![1])));
    assert!(matches!(error, ModelError::ExtraTensor { name } if name == "d.weight_deviation"));
}

#[test]
fn wrong_network() {
    let error = read_changed(|c| c.set("network", "ab".repeat(32)));
    assert!(matches!(error, ModelError::WrongNetwork { .. }));
}

#[test]
fn larger_than_the_profile_allows() {
    let large = vec![1; 3 << 20];
    let error = read_changed(|c| {
        replace(
            c,
            Tensor::from_bytes("a.weight_deviation", &[3 << 20], large),
        );
    });
    assert!(matches!(
        error,
        ModelError::Container(ContainerError::TooLarge { .. })
    ));
}

#[test]
fn a_folder_gives_either_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let network = network();
    save_bayesian(path, &network, Overwrite::Never).expect("room on disk");
    assert_eq!(load_bayesian(path).expect("a network"), network);
    assert_eq!(&load_profile(path).expect("a profile"), network.profile());
    let any = load_any(path).expect("a network");
    assert_eq!(any.profile(), network.profile());
    assert_eq!(any, AnyNetwork::Bayesian(network.clone()));
    let error = load_network(path).expect_err("a Bayesian network");
    assert!(error.to_string().contains("the network is Bayesian"));
    assert!(!error.to_string().contains('\n'));

    assert!(save_network(path, &network.mean_network(), Overwrite::Never).is_err());
    save_network(path, &network.mean_network(), Overwrite::Yes).expect("room on disk");
    let any = load_any(path).expect("a network");
    assert_eq!(any, AnyNetwork::Fixed(network.mean_network()));
    let error = load_bayesian(path).expect_err("fixed weights");
    assert!(error.to_string().contains("a model without deviations"));
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn errors_show_no_deviation() {
    let error = read_changed(|c| {
        replace(
            c,
            Tensor::from_i32s("a.weight_deviation", &[2, 2], &[98_765_432; 4]),
        );
    });
    assert!(!format!("{error} {error:?}").contains("98765432"));
}

#[test]
fn a_bayesian_model_beside_a_profile_of_fixed_weights_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    save_bayesian(path, &network(), Overwrite::Never).expect("room on disk");
    fs::write(path.join("profile.json"), without_posterior().to_json()).expect("room on disk");
    let error = load_any(path).expect_err("another profile");
    assert!(error.to_string().contains("model.safetensors: tensor"));
}
