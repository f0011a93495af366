//! Round trip, and a test for each malformation.

use std::fs;

use super::*;
use crate::{
    file::folder::save_network,
    network::{InputSpec, Linear, Profile, Range, Shape, Stage, Weights},
};

fn network(weights: Vec<i32>) -> Network {
    let stage = Stage {
        name: "out".to_owned(),
        linear: Linear::Dense {
            inputs: 3,
            outputs: 2,
        },
        range: Range::new(0, 0),
        then: vec![],
    };
    let input = InputSpec {
        shape: Shape::new(3, 1, 1),
        min: 0,
        max: 255,
    };
    let labels = ["x", "y"].map(str::to_owned).to_vec();
    let profile = Profile::new("tiny", input, vec![stage], labels, 0.25);
    let layer = Weights {
        weights,
        bias: vec![7, -8],
    };
    Network::new(profile, vec![layer]).expect("a network")
}

fn plan() -> SavedPlan {
    SavedPlan {
        stage: "out".to_owned(),
        by_tap: false,
        planes: "binary".to_owned(),
        pairs: vec![[0, 1]],
        sizes: vec![2, 1],
        members: vec![3, 2, 70_000],
    }
}

/// What reading the file gives after `change`.
fn read_changed(change: impl FnOnce(&mut Container)) -> PlanError {
    let network = network(vec![1; 6]);
    let bytes = plans_to_bytes(&network, &[plan()]).expect("a plan");
    let mut container = Container::from_bytes(&bytes, Kind::PLAN).expect("a plan");
    change(&mut container);
    let bytes = container.to_bytes().expect("a container");
    plans_from_bytes(&bytes, &network).expect_err("malformed")
}

#[test]
fn plans_survive_the_round_trip() {
    let network = network(vec![1; 6]);
    let bytes = plans_to_bytes(&network, &[plan()]).expect("a plan");
    assert_eq!(plans_from_bytes(&bytes, &network).expect("valid"), [plan()]);
    let container = Container::from_bytes(&bytes, Kind::PLAN).expect("a plan");
    let form = |name| container.tensor(name).map(Tensor::form).ok();
    assert_eq!(form("out.elements.pairs").as_deref(), Some("U16 [1, 2]"));
    assert_eq!(form("out.elements.members").as_deref(), Some("U32 [3]"));
}

#[test]
fn plans_stand_beside_the_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = network(vec![1; 6]);
    save_network(folder.path(), &network, Overwrite::Never).expect("saved");
    assert_eq!(load_plans(folder.path(), &network).expect("none"), []);
    save_plans(folder.path(), &network, &[plan()]).expect("saved");
    save_plans(folder.path(), &network, &[plan()]).expect("saved again");
    assert_eq!(load_plans(folder.path(), &network).expect("one"), [plan()]);
    fs::write(folder.path().join(PLAN_FILE), "{}").expect("written");
    assert!(matches!(
        load_plans(folder.path(), &network),
        Err(PlanError::Container(_))
    ));
}

#[test]
fn a_plan_for_another_profile_is_refused() {
    let error = read_changed(|container| container.set(NETWORK, "00"));
    assert!(matches!(error, PlanError::WrongNetwork { .. }), "{error}");
}

#[test]
fn a_plan_for_other_weights_is_refused() {
    // Weights that leave the profile as it is.
    let bytes = plans_to_bytes(&network(vec![1, 1, 1, 1, 1, 2]), &[plan()]).expect("a plan");
    let other = network(vec![1, 1, 1, 1, 2, 1]);
    let error = plans_from_bytes(&bytes, &other).expect_err("other weights");
    assert!(matches!(error, PlanError::WrongWeights), "{error}");
}

#[test]
fn a_tensor_of_no_layer_is_refused() {
    let error = read_changed(|c| c.push(Tensor::from_u16s("in.elements.sizes", &[1], &[1])));
    assert!(matches!(error, PlanError::ExtraTensor { .. }), "{error}");
}

#[test]
fn a_missing_tensor_is_refused() {
    let error = read_changed(|c| c.tensors.retain(|t| t.name != "out.elements.sizes"));
    assert!(matches!(error, PlanError::Container(_)), "{error}");
}

/// Puts `new` in the place of the tensor of its name.
fn replace(container: &mut Container, new: Tensor) {
    container.tensors.retain(|tensor| tensor.name != new.name);
    container.push(new);
}

#[test]
fn signed_elements_are_refused() {
    let error = read_changed(|c| replace(c, Tensor::from_i8s("out.elements.sizes", &[2], &[2, 1])));
    assert!(matches!(error, PlanError::ElementType { .. }), "{error}");
}

#[test]
fn pairs_of_three_are_refused() {
    let pairs = Tensor::from_u16s("out.elements.pairs", &[1, 3], &[0, 1, 2]);
    let error = read_changed(|c| replace(c, pairs));
    assert!(matches!(error, PlanError::Container(_)), "{error}");
}

#[test]
fn sizes_that_do_not_add_up_are_refused() {
    let sizes = Tensor::from_u16s("out.elements.sizes", &[2], &[2, 2]);
    let error = read_changed(|c| replace(c, sizes));
    assert!(
        matches!(
            error,
            PlanError::Sizes {
                sum: 4,
                found: 3,
                ..
            }
        ),
        "{error}"
    );
}
