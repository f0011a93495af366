//! A plan beside the model: fewer products, the same results.

use std::fs;

use pdnn::file::{
    Overwrite,
    folder::{load_network, save_network},
    plan::{load_plans, save_plans},
};
use serde_json::Value;

use crate::{
    place::{NET, Place, mode, stderr},
    tiny,
};

/// What one image takes: the methods, and all products and squarings.
fn inspected(place: &Place) -> (Vec<String>, u64) {
    let args = ["inspect", "net", "--bits", "512", "--insecure", "--json"];
    let work = &place.json(&args)["work"][0];
    let stages = work["stages"].as_array().expect("stages");
    for stage in stages {
        let compared = stage["methods_for_one_group"].as_array().expect("a list");
        assert!(compared.len() > 3, "{stage}");
        assert_eq!(compared[0]["method"], stage["method"], "the quickest");
    }
    let method = |stage: &Value| stage["method"].as_str().expect("text").to_string();
    let total = &work["total"];
    let of = |name: &str| total[name].as_u64().expect("a count");
    (
        stages.iter().map(method).collect(),
        of("products") + of("squarings"),
    )
}

/// The logits of one image, and the notes on standard error.
fn classified(place: &Place) -> (Value, String) {
    let args = ["run", "0.png", "--key", "alice.key.json", "--json"];
    let output = place.run(&[&args[..], &NET].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    (value["images"][0]["logits"].clone(), stderr(&output))
}

#[test]
fn a_plan_saves_products_and_changes_no_result() {
    let place = Place::with_key();
    let (_, before) = inspected(&place);
    let (logits, notes) = classified(&place);
    assert!(!notes.contains("plan.safetensors"), "{notes}");

    let made = place.json(&["plan", "net", "--json"]);
    let file = place.path("net/plan.safetensors");
    assert_eq!(
        made["bytes"],
        fs::metadata(&file).expect("it is there").len()
    );
    let (methods, after) = inspected(&place);
    assert!(after < before, "{after} of {before}");
    assert!(
        methods.iter().any(|m| m.starts_with("common pairs")),
        "{methods:?}"
    );
    let (found, notes) = classified(&place);
    assert_eq!(found, logits);
    assert!(!notes.contains("plan.safetensors"), "{notes}");

    let facts = place.json(&["inspect", "net/plan.safetensors", "--json"]);
    assert_eq!(facts["kind"], "plan");
    let layers = facts["layers"].as_array().expect("plans");
    assert_eq!(layers.len() as u64, made["plans"]);
    assert!(layers.iter().all(|plan| plan["pairs"].as_u64() > Some(0)));

    // The same again gives the same file.
    let bytes = fs::read(&file).expect("readable");
    assert!(
        place
            .ok(&["plan", "net"])
            .contains("wrote net/plan.safetensors")
    );
    assert_eq!(fs::read(&file).expect("readable"), bytes);

    // Whoever may not read the model may not read its plan either.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let model = place.path("net/model.safetensors");
        fs::set_permissions(&model, fs::Permissions::from_mode(0o600)).expect("ours");
        place.ok(&["plan", "net"]);
        assert_eq!(mode(&file), 0o600);
    }

    // Damaged: said so, and not used.
    let mut damaged = bytes.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    fs::write(&file, damaged).expect("writable");
    let (found, notes) = classified(&place);
    assert_eq!(found, logits);
    assert!(notes.contains("plan.safetensors is not used"), "{notes}");
    assert!(!notes.contains("fetch"), "{notes}");
    assert_eq!(inspected(&place).1, before);

    // Whole, but of other products.
    fs::write(&file, &bytes).expect("writable");
    let network = load_network(&place.path("net")).expect("sound");
    let mut plans = load_plans(&place.path("net"), &network).expect("sound");
    let last = plans.last_mut().expect("one");
    last.members.reverse();
    save_plans(&place.path("net"), &network, &plans).expect("writable");
    let (found, notes) = classified(&place);
    assert_eq!(found, logits);
    assert!(
        notes.contains("does not come to the layer's weights; make it anew with pdnn plan"),
        "{notes}"
    );
    assert_eq!(inspected(&place).1, before, "none of them is used");

    // Another network's.
    fs::remove_dir_all(place.path("net")).expect("ours");
    fs::create_dir(place.path("net")).expect("writable");
    let other = tiny::tiny_network("tiny", 2);
    save_network(&place.path("net"), &other, Overwrite::Never).expect("writable");
    fs::write(&file, bytes).expect("writable");
    let (_, notes) = classified(&place);
    assert!(notes.contains("plan.safetensors is not used"), "{notes}");
}
