//! Files of subgroup keys: their orders and their steps.

use super::*;

fn subgroup_key() -> SecretKey {
    SecretKey::generate_subgroup_insecure(256, &mut ChaCha20Rng::seed_from_u64(62))
        .expect("an even size")
}

#[test]
fn subgroup_keys_round_trip() {
    let key = subgroup_key();
    let public = public_from_json(&public_to_json(key.public())).expect("valid");
    assert_eq!(&public, key.public());
    assert_eq!(public.scheme(), Scheme::Subgroup);
    let json = secret_to_json(&key);
    let secret = secret_from_json(&json).expect("valid");
    assert_eq!(secret.public(), key.public());
    assert_eq!(secret.primes(), key.primes());
    assert_eq!(secret.orders(), key.orders());
    // The members of an ordinary key, in front; nothing secret inside `pub`.
    let json: serde_json::Value = serde_json::from_str(&json).expect("valid JSON");
    assert!(json["alpha_p"].is_string() && json["alpha_q"].is_string());
    assert!(json["pub"].get("alpha_p").is_none());
    assert_eq!(json["pub"]["scheme"], "MHL21");
}

/// The public text of [`subgroup_key`] with its steps replaced.
fn with_steps(steps: &serde_json::Value) -> Result<PublicKey, KeyError> {
    let mut json: serde_json::Value =
        serde_json::from_str(&public_to_json(subgroup_key().public())).expect("valid JSON");
    json["h_steps"] = steps.clone();
    public_from_json(&json.to_string())
}

/// The steps of [`subgroup_key`], as they stand in its file.
fn steps() -> Vec<serde_json::Value> {
    let key = subgroup_key();
    let steps = key.public().h_steps().expect("generated").iter();
    steps.map(|step| base64(step).into()).collect()
}

#[test]
fn the_assumption_of_a_subgroup_key_is_stated_in_its_file() {
    let stated =
        |key: &SecretKey| public_to_json(key.public()).contains(r#""assumption":"powers of h"#);
    assert!(stated(&subgroup_key()));
    assert!(!stated(&key()));
}

#[test]
fn steps_round_trip() {
    let key = subgroup_key();
    let json = public_to_json(key.public());
    let public = public_from_json(&json).expect("valid");
    assert_eq!(public.h_steps(), key.public().h_steps());
    assert_eq!(public_to_json(&public), json);
    let json: serde_json::Value = serde_json::from_str(&json).expect("valid JSON");
    assert_eq!(json["h_steps"], serde_json::json!(steps()));
    let secret = secret_from_json(&secret_to_json(&key)).expect("valid");
    assert_eq!(secret.public().h_steps(), key.public().h_steps());
}

#[test]
fn a_subgroup_key_without_steps_is_accepted() {
    let key = subgroup_key();
    for json in [
        public_to_json(key.public()),
        secret_to_json(&key).to_string(),
    ] {
        let without = json.replacen("h_steps", "other", 1);
        let found = match from_json(&without).expect("valid") {
            Key::Public(public) => public,
            Key::Secret(secret) => secret.public().clone(),
        };
        assert!(found.h_steps().is_none());
        assert_eq!(&found, key.public());
        assert_eq!(found.fingerprint(), key.public().fingerprint());
        assert!(!public_to_json(&found).contains("h_steps"));
    }
}

#[test]
fn steps_that_are_no_list_of_numbers_are_refused() {
    let type_ = |error| {
        matches!(
            error,
            Err(KeyError::Type {
                member: "h_steps",
                ..
            })
        )
    };
    assert!(type_(with_steps(&"AQAB".into())));
    assert!(type_(with_steps(&serde_json::Value::Null)));
    let with = |at: usize, text: serde_json::Value| {
        let mut steps = steps();
        steps[at] = text;
        with_steps(&steps.into())
    };
    assert!(type_(with(3, 17.into())));
    for (text, expected) in [
        ("AQ==", "has padding"),
        ("+/+/", "is not base64url"),
        ("", "is an empty number"),
        ("AAEB", "begins with a zero byte"),
    ] {
        let error = with(6, text.into()).expect_err("malformed").to_string();
        assert!(error.starts_with("member \"h_steps\" "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn steps_of_a_wrong_number_are_refused() {
    for count in [0, 1, 6] {
        let error = with_steps(&steps()[..count].into());
        assert!(
            matches!(error, Err(KeyError::Key(PaillierError::StepCount(found))) if found == count)
        );
    }
    let error = with_steps(&[steps(), steps()].concat().into());
    assert!(matches!(
        error,
        Err(KeyError::Key(PaillierError::StepCount(14)))
    ));
}

#[test]
fn steps_that_are_not_those_of_h_are_refused() {
    let key = subgroup_key();
    let mut swapped = steps();
    swapped.swap(0, 6);
    let error = with_steps(&swapped.into());
    assert!(matches!(
        error,
        Err(KeyError::Key(PaillierError::StepMismatch(1)))
    ));
    // Its owner does not take them either.
    let second = &key.public().h_steps().expect("generated")[1];
    let json = secret_to_json(&key).replacen(&base64(second), &base64(&(second - 1u32)), 1);
    assert!(matches!(
        secret_from_json(&json),
        Err(KeyError::Key(PaillierError::StepMismatch(2)))
    ));
}

#[test]
fn steps_that_are_not_reduced_are_refused() {
    let key = subgroup_key();
    let n = key.public().n();
    let mut large = steps();
    large[4] = base64(&(n * n)).into();
    assert!(matches!(
        with_steps(&large.into()),
        Err(KeyError::Key(PaillierError::StepRange(5)))
    ));
}

#[test]
fn steps_that_stand_there_twice_are_refused() {
    let json = public_to_json(subgroup_key().public()).replacen('{', "{\"h_steps\":[],", 1);
    assert!(matches!(
        public_from_json(&json),
        Err(KeyError::Twice("h_steps"))
    ));
}

#[test]
fn steps_beside_no_subgroup_key_are_refused() {
    let list = serde_json::Value::from(steps());
    for public in [
        key().public().clone(),
        PublicKey::from_parts(key().public().n(), None).expect("valid"),
    ] {
        let json = public_to_json(&public).replacen('{', &format!("{{\"h_steps\":{list},"), 1);
        let error = public_from_json(&json).expect_err("malformed");
        assert!(matches!(error, KeyError::StepsUnexpected), "{error:?}");
    }
}

#[test]
fn a_subgroup_key_without_its_orders_is_refused() {
    let json = secret_to_json(&subgroup_key());
    for name in ["alpha_p", "alpha_q"] {
        let without = json.replacen(name, "other", 1);
        let error = secret_from_json(&without).expect_err("malformed");
        assert!(
            matches!(error, KeyError::Missing { kind: "secret", member } if member == name),
            "{error:?}"
        );
    }
}

#[test]
fn the_orders_of_another_key_are_refused() {
    let (key, other) = (subgroup_key(), key());
    let [p, q] = other.primes().map(|prime| to_base64(&prime).to_string());
    let json = secret_to_json(&key);
    let [a, b] = key.orders().expect("a subgroup key");
    // Each other's, and none of their length.
    let swapped = json
        .replacen("alpha_p", "alpha_x", 1)
        .replacen("alpha_q", "alpha_p", 1)
        .replacen("alpha_x", "alpha_q", 1);
    for (text, expected) in [
        (swapped, PaillierError::SubgroupOrderNotDividing("alpha_p")),
        (
            json.replacen(&*to_base64(&a), &p, 1),
            PaillierError::SubgroupOrderSize {
                name: "alpha_p",
                expected: 32,
            },
        ),
        (
            json.replacen(&*to_base64(&b), &q, 1),
            PaillierError::SubgroupOrderSize {
                name: "alpha_q",
                expected: 32,
            },
        ),
    ] {
        match secret_from_json(&text) {
            Err(KeyError::Key(error)) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_djn_key_that_calls_itself_a_subgroup_key_is_refused() {
    let json = secret_to_json(&key()).replacen("DJN10", "MHL21", 1);
    let error = secret_from_json(&json).expect_err("malformed");
    assert!(
        matches!(
            error,
            KeyError::Missing {
                member: "alpha_p",
                ..
            }
        ),
        "{error:?}"
    );
}
