//! Model, profile and folder: round trips, and a test for each malformation.

use std::fs;

use crate::{
    file::{
        Container, Kind, ModelError, Overwrite, Tensor,
        container::{ContainerError, Dtype},
        folder::{MODEL_FILE, PROFILE_FILE, load_network, load_profile, save_network},
        model_from_bytes, model_to_bytes,
        profile::{MAX_PROFILE, profile_from_bytes, read_profile, write_profile},
    },
    network::{
        InputSpec, Linear, Network, NetworkError, Op, Problem, Profile, Range, Shape, Stage,
        Weights,
    },
};

/// A convolution with small weights and a dense layer with one weight that
/// needs more than 8 bits.
fn network() -> Network {
    let image = Shape::new(1, 3, 3);
    let range = Range::new(0, 0);
    let conv = Linear::Conv {
        input: image,
        outputs: 2,
        kernel: (2, 2),
        stride: 1,
        padding: 0,
    };
    let stages = vec![
        Stage {
            name: "conv".to_owned(),
            linear: conv,
            range,
            then: vec![Op::Relu, Op::Flatten],
        },
        Stage {
            name: "out".to_owned(),
            linear: Linear::Dense {
                inputs: 8,
                outputs: 3,
            },
            range,
            then: vec![],
        },
    ];
    let input = InputSpec {
        shape: image,
        min: 0,
        max: 255,
    };
    let labels = ["x", "y", "z"].map(str::to_owned).to_vec();
    let profile = Profile::new("tiny", input, stages, labels, 0.25);
    let layers = vec![
        Weights {
            weights: vec![1, -2, 3, -4, -128, 127, 0, 5],
            bias: vec![1 << 40, -7],
        },
        Weights {
            weights: (0..24)
                .map(|w| if w == 5 { 70_000 } else { w - 12 })
                .collect(),
            bias: vec![1, 2, -3],
        },
    ];
    Network::new(profile, layers).expect("a network")
}

/// What reading the model gives after `change`.
fn read_changed(change: impl FnOnce(&mut Container)) -> ModelError {
    let network = network();
    let bytes = model_to_bytes(&network).expect("a model");
    let mut container = Container::from_bytes(&bytes, Kind::MODEL).expect("a model");
    change(&mut container);
    let bytes = container.to_bytes().expect("a container");
    model_from_bytes(&bytes, network.profile()).expect_err("malformed")
}

/// The tensor called `name`.
fn tensor<'a>(container: &'a mut Container, name: &str) -> &'a mut Tensor {
    let mut tensors = container.tensors.iter_mut();
    tensors
        .find(|tensor| tensor.name == name)
        .expect("a tensor")
}

/// Puts `new` in the place of the tensor of its name.
fn replace(container: &mut Container, new: Tensor) {
    let name = new.name.clone();
    *tensor(container, &name) = new;
}

#[test]
fn a_model_survives_the_round_trip() {
    let network = network();
    let bytes = model_to_bytes(&network).expect("a model");
    let again = model_from_bytes(&bytes, network.profile()).expect("valid");
    assert_eq!(again, network);
    assert_eq!(model_to_bytes(&again).expect("a model"), bytes);
}

#[test]
fn weights_take_8_bits_where_they_fit() {
    let bytes = model_to_bytes(&network()).expect("a model");
    let container = Container::from_bytes(&bytes, Kind::MODEL).expect("a model");
    let form = |name| container.tensor(name).map(Tensor::form).ok();
    assert_eq!(form("conv.weight").as_deref(), Some("I8 [2, 1, 2, 2]"));
    assert_eq!(form("conv.bias").as_deref(), Some("I64 [2]"));
    assert_eq!(form("out.weight").as_deref(), Some("I32 [3, 8]"));
    assert_eq!(form("out.bias").as_deref(), Some("I64 [3]"));
}

#[test]
fn small_weights_in_wide_elements_are_read() {
    let network = network();
    let bytes = model_to_bytes(&network).expect("a model");
    let mut container = Container::from_bytes(&bytes, Kind::MODEL).expect("a model");
    let weights = &network.layers()[0].weights;
    replace(
        &mut container,
        Tensor::from_i32s("conv.weight", &[2, 1, 2, 2], weights),
    );
    let bytes = container.to_bytes().expect("a container");
    let again = model_from_bytes(&bytes, network.profile()).expect("valid");
    assert_eq!(again, network);
}

#[test]
fn wrong_kind() {
    let bytes = Container::new(Kind::REPLY).to_bytes().expect("a container");
    let error = model_from_bytes(&bytes, network().profile()).expect_err("a reply");
    assert!(error.to_string().contains("expected a model file"));
}

#[test]
fn wrong_network() {
    let error = read_changed(|c| c.set("network", "ab".repeat(32)));
    assert!(matches!(error, ModelError::WrongNetwork { .. }));
    assert!(
        error
            .to_string()
            .contains("take profile and model from the same export")
    );
}

#[test]
fn absurd_network_in_the_metadata() {
    let error = read_changed(|c| c.set("network", "\n".repeat(4000)));
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 500);
}

#[test]
fn wrong_name() {
    let error = read_changed(|c| c.set("name", "another"));
    assert!(matches!(error, ModelError::WrongName { .. }));
}

#[test]
fn missing_metadata() {
    for key in ["network", "name"] {
        let error = read_changed(|c| {
            c.metadata.remove(key);
        });
        assert!(matches!(
            error,
            ModelError::Container(ContainerError::MissingMetadata { key: found }) if found == key
        ));
    }
}

#[test]
fn changed_profile() {
    let network = network();
    let bytes = model_to_bytes(&network).expect("a model");
    let mut profile = network.profile().clone();
    profile.labels[0].push('!');
    let error = model_from_bytes(&bytes, &profile).expect_err("another profile");
    assert!(matches!(error, ModelError::WrongNetwork { .. }));
}

#[test]
fn missing_tensor() {
    for name in ["conv.weight", "conv.bias", "out.weight", "out.bias"] {
        let error = read_changed(|c| c.tensors.retain(|tensor| tensor.name != name));
        assert!(matches!(
            error,
            ModelError::Container(ContainerError::MissingTensor { name: found }) if found == name
        ));
    }
}

#[test]
fn extra_tensor() {
    let error = read_changed(|c| c.push(Tensor::from_i8s("conv.scale", &[1], &[1])));
    assert!(matches!(error, ModelError::ExtraTensor { name } if name == "conv.scale"));
}

#[test]
fn wrong_shape() {
    // The same number of elements in another shape is wrong as well.
    let error = read_changed(|c| tensor(c, "conv.weight").shape = vec![2, 4]);
    let text = error.to_string();
    assert!(text.contains("conv.weight") && text.contains("[2, 1, 2, 2]"));
    let error = read_changed(|c| replace(c, Tensor::from_i64s("out.bias", &[4], &[0; 4])));
    assert!(error.to_string().contains("out.bias"));
}

#[test]
fn wrong_element_type() {
    let error = read_changed(|c| {
        let wide = Tensor::from_i64s("conv.weight", &[2, 1, 2, 2], &[0; 8]);
        replace(c, wide);
    });
    let text = error.to_string();
    assert!(text.contains("I64") && text.contains("expected I8 or I32"));
    let error = read_changed(|c| replace(c, Tensor::from_i32s("out.bias", &[3], &[0; 3])));
    assert!(error.to_string().contains("out.bias"));
    let error = read_changed(|c| tensor(c, "conv.weight").dtype = Dtype::U8);
    assert!(matches!(error, ModelError::WeightType { .. }));
}

#[test]
fn changed_weight() {
    let error = read_changed(|c| {
        let weights = tensor(c, "conv.weight");
        weights.data[4] = 127;
    });
    let ModelError::Network(NetworkError::Layer { place, problem }) = error else {
        panic!("{error}");
    };
    assert_eq!(place, "stage conv");
    assert!(matches!(problem, Problem::RangeMismatch { .. }));
}

#[test]
fn changed_bias() {
    let error = read_changed(|c| {
        let biases = tensor(c, "out.bias");
        biases.data.fill(0x11);
    });
    assert!(error.to_string().starts_with("stage out: the profile says"));
}

#[test]
fn weights_that_overflow() {
    let error = read_changed(|c| {
        let biases = Tensor::from_i64s("conv.bias", &[2], &[i64::MAX, 0]);
        replace(c, biases);
    });
    assert!(error.to_string().contains("more than 64 bits"));
}

#[test]
fn larger_than_the_profile_allows() {
    let network = network();
    let mut container = Container::new(Kind::MODEL);
    container.push(Tensor::from_i8s(
        "conv.weight",
        &[3 << 20],
        &vec![1; 3 << 20],
    ));
    let bytes = container.to_bytes().expect("a container");
    let error = model_from_bytes(&bytes, network.profile()).expect_err("too large");
    assert!(matches!(
        error,
        ModelError::Container(ContainerError::TooLarge { .. })
    ));
}

#[test]
fn errors_show_no_weight() {
    let error = read_changed(|c| {
        let wide = Tensor::from_i64s("conv.weight", &[2, 1, 2, 2], &[987_654_321; 8]);
        replace(c, wide);
    });
    assert!(!format!("{error} {error:?}").contains("987654321"));
}

#[test]
fn a_folder_and_either_file_give_the_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = network();
    save_network(folder.path(), &network, Overwrite::Never).expect("room on disk");
    let paths = [
        folder.path().to_owned(),
        folder.path().join(PROFILE_FILE),
        folder.path().join(MODEL_FILE),
    ];
    for path in paths {
        assert_eq!(load_network(&path).expect("a network"), network);
        assert_eq!(&load_profile(&path).expect("a profile"), network.profile());
    }
}

#[test]
fn files_with_a_prefix_find_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = network();
    save_network(folder.path(), &network, Overwrite::Never).expect("room on disk");
    for name in [PROFILE_FILE, MODEL_FILE] {
        let renamed = folder.path().join(format!("digits.{name}"));
        fs::rename(folder.path().join(name), renamed).expect("rename");
    }
    for name in ["digits.profile.json", "digits.model.safetensors"] {
        let path = folder.path().join(name);
        assert_eq!(load_network(&path).expect("a network"), network);
        assert_eq!(&load_profile(&path).expect("a profile"), network.profile());
    }
}

#[test]
fn a_network_is_not_overwritten_by_half() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = network();
    fs::write(folder.path().join(PROFILE_FILE), "mine").expect("write");
    let error = save_network(folder.path(), &network, Overwrite::Never).expect_err("exists");
    assert!(error.to_string().contains("profile.json: exists already"));
    assert!(!folder.path().join(MODEL_FILE).exists());
    save_network(folder.path(), &network, Overwrite::Yes).expect("room on disk");
    assert_eq!(load_network(folder.path()).expect("a network"), network);
}

#[test]
fn missing_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = load_network(folder.path()).expect_err("an empty folder");
    assert!(error.to_string().contains("profile.json: no such file"));
    let profile = folder.path().join(PROFILE_FILE);
    write_profile(&profile, network().profile(), Overwrite::Never).expect("room on disk");
    let error = load_network(folder.path()).expect_err("no model");
    assert!(
        error
            .to_string()
            .contains("model.safetensors: no such file")
    );
    let error = load_network(&folder.path().join("nothing")).expect_err("nothing there");
    assert!(error.to_string().contains("nothing: no such file"));
}

#[test]
fn a_file_of_another_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.bin");
    fs::write(&path, "x").expect("write");
    let error = load_network(&path).expect_err("no network");
    assert!(matches!(error.problem, ModelError::FileName));
}

#[test]
fn a_profile_of_any_name_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.json");
    let network = network();
    write_profile(&path, network.profile(), Overwrite::Never).expect("room on disk");
    assert_eq!(&read_profile(&path).expect("a profile"), network.profile());
    assert_eq!(&load_profile(&path).expect("a profile"), network.profile());
}

#[test]
fn a_profile_that_is_no_text() {
    let error = profile_from_bytes(b"{\"format\": \"\xff\"}").expect_err("no text");
    assert!(matches!(error, ModelError::NoText(12)));
}

#[test]
fn a_profile_of_absurd_size() {
    let bytes = vec![b' '; MAX_PROFILE as usize + 1];
    let error = profile_from_bytes(&bytes).expect_err("too long");
    assert!(matches!(error, ModelError::ProfileTooLong { .. }));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(PROFILE_FILE);
    fs::write(&path, &bytes).expect("room on disk");
    let error = load_profile(folder.path()).expect_err("too long");
    assert!(error.to_string().contains("is larger than"));
}

#[test]
fn a_profile_whose_white_space_changed_still_fits_its_model() {
    let network = network();
    let bytes = model_to_bytes(&network).expect("a model");
    let text = network.profile().to_json().replace("  ", "\t");
    let profile = profile_from_bytes(text.as_bytes()).expect("valid");
    assert_eq!(model_from_bytes(&bytes, &profile).expect("valid"), network);
}
