//! Key files, whole and malformed.

use super::*;
use rand::{SeedableRng, rngs::ChaCha20Rng};

fn key() -> SecretKey {
    SecretKey::generate_insecure(256, &mut ChaCha20Rng::seed_from_u64(61)).expect("an even size")
}

/// The secret key's text with one piece replaced, which must be there.
fn edited(from: &str, to: &str) -> KeyError {
    let json = secret_to_json(&key());
    assert!(json.contains(from), "{from}");
    secret_from_json(&json.replacen(from, to, 1)).expect_err("malformed")
}

/// The same for the public key.
fn edited_public(from: &str, to: &str) -> KeyError {
    let json = public_to_json(key().public());
    assert!(json.contains(from), "{from}");
    public_from_json(&json.replacen(from, to, 1)).expect_err("malformed")
}

fn base64(n: &BigUint) -> String {
    to_base64(&n.to_bytes_be()).to_string()
}

/// The text of member `name`, quoted.
fn quoted(name: &str) -> String {
    let key = key();
    let [p, q] = key.primes().map(|prime| to_base64(&prime).to_string());
    let public = key.public();
    let value = match name {
        "p" => p,
        "q" => q,
        "n" => base64(public.n()),
        "h" => base64(public.h().expect("generated")),
        _ => base64(public.h_s().expect("generated")),
    };
    format!(r#""{name}":"{value}""#)
}

#[test]
fn keys_round_trip() {
    let key = key();
    let public = public_from_json(&public_to_json(key.public())).expect("valid");
    assert_eq!(&public, key.public());
    let secret = secret_from_json(&secret_to_json(&key)).expect("valid");
    assert_eq!(secret.public(), key.public());
    assert_eq!(secret.primes(), key.primes());
    assert!(matches!(
        from_json(&secret_to_json(&key)),
        Ok(Key::Secret(_))
    ));
    assert!(matches!(
        from_json(&public_to_json(&public)),
        Ok(Key::Public(_))
    ));
}

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

#[test]
fn members_are_those_of_pheutil() {
    let key = key();
    let json: serde_json::Value = serde_json::from_str(&secret_to_json(&key)).expect("valid JSON");
    assert_eq!(json["kty"], "DAJ");
    assert_eq!(json["key_ops"], serde_json::json!(["decrypt"]));
    assert!(json.get("alg").is_none());
    let public = &json["pub"];
    assert_eq!(public["kty"], "DAJ");
    assert_eq!(public["alg"], "PAI-GN1");
    assert_eq!(public["key_ops"], serde_json::json!(["encrypt"]));
    assert_eq!(public["n"], base64(key.public().n()));
    assert!(public["kid"].is_string() && json["kid"].is_string());
}

#[test]
fn base64_agrees_with_the_library() {
    for length in 0..20 {
        let bytes: Vec<u8> = (0..length).map(|i| 200 + i).collect();
        assert_eq!(*to_base64(&bytes), URL_SAFE_NO_PAD.encode(&bytes));
    }
}

#[test]
fn a_key_without_h_is_accepted() {
    let public = PublicKey::from_parts(key().public().n(), None).expect("valid");
    let json = public_to_json(&public);
    assert!(!json.contains("scheme"));
    assert!(public_from_json(&json).expect("valid").h().is_none());
}

#[test]
fn unknown_members_and_spaces_and_escapes_are_accepted() {
    let json = public_to_json(key().public())
        .replacen('{', "{ \"x\" : [1, {\"y\": null}, true, -2.5],\n", 1)
        .replacen("DAJ", "D\\u0041J", 1);
    assert_eq!(&public_from_json(&json).expect("valid"), key().public());
}

#[test]
fn text_that_is_no_json_object_is_refused() {
    for text in ["", "{", "[]", "\"p\"", "17", "null", "{\"kty\":}", "{} {}"] {
        assert!(
            matches!(from_json(text), Err(KeyError::Json { .. })),
            "{text}"
        );
    }
}

#[test]
fn deeply_nested_text_is_refused() {
    let text = format!("{{\"kty\":{}", "[".repeat(60_000));
    assert!(matches!(from_json(&text), Err(KeyError::Json { .. })));
}

#[test]
fn a_wrong_kty_is_refused() {
    assert!(matches!(edited("DAJ", "RSA"), KeyError::Kty));
    assert!(matches!(edited_public("\"DAJ\"", "3"), KeyError::Kty));
}

#[test]
fn a_wrong_alg_is_refused() {
    assert!(matches!(edited("PAI-GN1", "RS256"), KeyError::Alg));
}

#[test]
fn wrong_key_ops_are_refused() {
    assert!(matches!(
        edited(r#"["decrypt"]"#, r#"["sign"]"#),
        KeyError::Ops("decrypt")
    ));
    for to in [r#""encrypt""#, "[]", r#"["encrypt","sign"]"#, "[1]"] {
        assert!(matches!(
            edited_public(r#"["encrypt"]"#, to),
            KeyError::Ops("encrypt")
        ));
    }
}

#[test]
fn a_missing_member_is_named() {
    for name in ["kty", "key_ops", "p", "q", "pub"] {
        let error = edited(&format!("\"{name}\":"), "\"other\":");
        assert!(
            matches!(error, KeyError::Missing { kind: "secret", member } if member == name),
            "{error:?}"
        );
    }
    for name in ["kty", "alg", "key_ops", "n"] {
        let error = edited_public(&format!("\"{name}\":"), "\"other\":");
        assert!(
            matches!(error, KeyError::Missing { kind: "public", member } if member == name),
            "{error:?}"
        );
    }
}

#[test]
fn a_member_that_stands_there_twice_is_refused() {
    assert!(matches!(
        edited_public("{", "{\"n\":\"AQAB\","),
        KeyError::Twice("n")
    ));
    assert!(matches!(
        edited("{", "{\"p\":\"AQAB\","),
        KeyError::Twice("p")
    ));
}

#[test]
fn a_member_of_another_type_is_refused() {
    assert!(matches!(
        edited_public(&quoted("n"), "\"n\":35"),
        KeyError::Type { member: "n", .. }
    ));
    assert!(matches!(
        edited(&quoted("p"), "\"p\":[5]"),
        KeyError::Type { member: "p", .. }
    ));
    let json = secret_to_json(&key());
    let start = json.find("\"pub\":").expect("a member pub");
    let text = format!("{}\"pub\":\"x\"}}", &json[..start]);
    assert!(matches!(
        secret_from_json(&text),
        Err(KeyError::Type { member: "pub", .. })
    ));
}

#[test]
fn padded_base64_is_refused() {
    for name in ["p", "q", "n", "h", "h_s"] {
        let whole = quoted(name);
        let padded = format!("{}=\"", whole.trim_end_matches('"'));
        assert!(matches!(edited(&whole, &padded), KeyError::Padded(found) if found == name));
    }
}

#[test]
fn text_that_is_not_base64url_is_refused() {
    for (name, wrong) in [("p", "+/+/"), ("q", "a b"), ("n", "ä"), ("h", "A")] {
        let error = edited(&quoted(name), &format!("\"{name}\":\"{wrong}\""));
        assert!(
            matches!(error, KeyError::Base64(found) if found == name),
            "{error:?}"
        );
    }
}

#[test]
fn an_empty_number_is_refused() {
    for name in ["p", "q", "n", "h", "h_s"] {
        let error = edited(&quoted(name), &format!("\"{name}\":\"\""));
        assert!(matches!(error, KeyError::Empty(found) if found == name));
    }
}

#[test]
fn leading_zero_bytes_are_refused() {
    let key = key();
    for (name, value) in [
        ("p", key.primes()[0].to_vec()),
        ("n", key.public().n().to_bytes_be()),
    ] {
        let longer = [&[0][..], &value].concat();
        let error = edited(
            &quoted(name),
            &format!("\"{name}\":\"{}\"", URL_SAFE_NO_PAD.encode(longer)),
        );
        assert!(matches!(error, KeyError::LeadingZero(found) if found == name));
    }
}

#[test]
fn a_fingerprint_of_another_key_is_refused() {
    let fingerprint = key().public().fingerprint().to_string();
    let other = if fingerprint.starts_with('0') {
        "1"
    } else {
        "0"
    };
    let tampered = format!("\"fingerprint\":\"{other}{}\"", &fingerprint[1..]);
    let error = edited_public(&format!("\"fingerprint\":\"{fingerprint}\""), &tampered);
    assert!(matches!(error, KeyError::Fingerprint));
    let error = edited_public(&format!("\"{fingerprint}\""), "7");
    assert!(matches!(error, KeyError::Fingerprint));
}

#[test]
fn an_unknown_scheme_is_refused() {
    assert!(matches!(edited_public("DJN10", "DJN11"), KeyError::Scheme));
}

#[test]
fn h_without_h_s_or_scheme_is_refused() {
    for name in ["scheme", "h", "h_s"] {
        let error = edited_public(&format!("\"{name}\":"), "\"other\":");
        assert!(matches!(error, KeyError::Incomplete(found) if found == name));
    }
}

#[test]
fn a_public_key_is_no_secret_key_and_the_other_way_round() {
    let key = key();
    assert!(matches!(
        public_from_json(&secret_to_json(&key)),
        Err(KeyError::SecretGiven)
    ));
    assert!(matches!(
        secret_from_json(&public_to_json(key.public())),
        Err(KeyError::PublicGiven)
    ));
}

/// The public key with n, h and h_s replaced by numbers of choice.
fn with_numbers(n: &BigUint, generators: Option<(&BigUint, &BigUint)>) -> PaillierError {
    let mut json = format!(
        r#"{{"kty":"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],"kid":"","n":"{}""#,
        base64(n)
    );
    if let Some((h, h_s)) = generators {
        json += &format!(
            r#","scheme":"DJN10","h":"{}","h_s":"{}""#,
            base64(h),
            base64(h_s)
        );
    }
    match public_from_json(&(json + "}")) {
        Err(KeyError::Key(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_n_that_is_even_is_refused() {
    assert_eq!(
        with_numbers(&(key().public().n() + 1u32), None),
        PaillierError::KeyEven
    );
}

#[test]
fn an_n_that_is_too_short_or_too_long_is_refused() {
    let n = (BigUint::from(1u32) << 126) + 1u32;
    assert_eq!(with_numbers(&n, None), PaillierError::KeySize(127));
    let n = (BigUint::from(1u32) << crate::paillier::MAX_BITS) + 1u32;
    assert_eq!(with_numbers(&n, None), PaillierError::KeySize(8193));
}

#[test]
fn an_n_that_is_a_prime_is_refused() {
    let n = (BigUint::from(1u32) << 521) - 1u32;
    assert_eq!(with_numbers(&n, None), PaillierError::KeyPrime);
}

#[test]
fn an_n_that_is_a_perfect_power_is_refused() {
    let [p, _] = key().primes().map(|prime| BigUint::from_bytes_be(&prime));
    for k in [2, 3, 7] {
        assert_eq!(with_numbers(&p.pow(k), None), PaillierError::KeyPower(k));
    }
}

#[test]
fn an_n_with_a_small_factor_is_refused() {
    let [p, _] = key().primes().map(|prime| BigUint::from_bytes_be(&prime));
    for small in [3u32, 65_521] {
        assert_eq!(
            with_numbers(&(&p * small), None),
            PaillierError::KeySmallFactor(small)
        );
    }
}

#[test]
fn an_h_or_h_s_that_is_no_unit_is_refused() {
    let key = key();
    let (n, [p, _]) = (
        key.public().n(),
        key.primes().map(|prime| BigUint::from_bytes_be(&prime)),
    );
    let h = key.public().h().expect("generated");
    let zero = BigUint::default();
    assert_eq!(
        with_numbers(n, Some((&p, h))),
        PaillierError::GeneratorNotUnit("h")
    );
    assert_eq!(
        with_numbers(n, Some((h, &(&p * &p)))),
        PaillierError::GeneratorNotUnit("h_s")
    );
    // A zero has no minimal form but a zero byte.
    let json = public_to_json(key.public()).replacen(
        &quoted("h"),
        &format!("\"h\":\"{}\"", base64(&zero)),
        1,
    );
    assert!(matches!(
        public_from_json(&json),
        Err(KeyError::LeadingZero("h"))
    ));
}

#[test]
fn an_h_or_h_s_that_is_1_or_minus_1_is_refused() {
    let key = key();
    let n = key.public().n();
    let h = key.public().h().expect("generated");
    let one = BigUint::from(1u32);
    for trivial in [one.clone(), n - 1u32] {
        assert_eq!(
            with_numbers(n, Some((&trivial, &one))),
            PaillierError::GeneratorTrivial("h")
        );
    }
    for trivial in [one, n * n - 1u32] {
        assert_eq!(
            with_numbers(n, Some((h, &trivial))),
            PaillierError::GeneratorTrivial("h_s")
        );
    }
}

#[test]
fn an_h_or_h_s_that_is_not_reduced_is_refused() {
    let key = key();
    let (n, h, h_s) = (
        key.public().n(),
        key.public().h().expect("generated"),
        key.public().h_s().expect("generated"),
    );
    assert_eq!(
        with_numbers(n, Some((&(h + n), h_s))),
        PaillierError::GeneratorRange("h")
    );
    assert_eq!(
        with_numbers(n, Some((h, &(h_s + n * n)))),
        PaillierError::GeneratorRange("h_s")
    );
}

#[test]
fn an_h_s_that_is_not_h_to_the_n_is_refused() {
    let key = key();
    let (h, h_s) = (
        key.public().h().expect("generated"),
        key.public().h_s().expect("generated"),
    );
    assert_eq!(
        with_numbers(key.public().n(), Some((h, &(h_s + 1u32)))),
        PaillierError::GeneratorMismatch
    );
}

#[test]
fn p_and_q_that_do_not_belong_to_n_are_refused() {
    let key = key();
    let [p, q] = key.primes().map(|prime| to_base64(&prime).to_string());
    let other = format!("\"p\":\"{}\"", base64(&BigUint::from(65_537u32)));
    assert!(matches!(
        edited(&quoted("p"), &other),
        KeyError::Key(PaillierError::ProductMismatch)
    ));
    assert!(matches!(
        edited(&quoted("p"), &format!("\"p\":\"{q}\"")),
        KeyError::Key(PaillierError::PrimesEqual)
    ));
    // Exchanged, they are the same key.
    let swapped = secret_to_json(&key)
        .replace(&p, "@")
        .replace(&q, &p)
        .replace('@', &q);
    assert!(secret_from_json(&swapped).is_ok());
}

#[test]
fn files_are_read_whole_or_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("key.json");
    let json = secret_to_json(&key());
    std::fs::write(&path, json.as_bytes()).expect("writable");
    assert_eq!(*read_text(&path).expect("readable"), *json);
    std::fs::write(&path, vec![b' '; MAX_KEY_FILE as usize + 1]).expect("writable");
    assert!(matches!(read_text(&path), Err(KeyError::TooLarge)));
    std::fs::write(&path, [0xff, 0xfe]).expect("writable");
    assert!(matches!(read_text(&path), Err(KeyError::NotText)));
    assert!(matches!(
        read_text(&folder.path().join("none")),
        Err(KeyError::Io(_))
    ));
}

#[cfg(unix)]
#[test]
fn a_secret_key_that_others_may_read_is_noticed() {
    use crate::file::{Mode, Overwrite, write_atomic};
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("key.json");
    write_atomic(
        &path,
        secret_to_json(&key()).as_bytes(),
        Overwrite::Never,
        Mode::Private,
    )
    .expect("writable");
    assert_eq!(exposed(&path).expect("there"), None);
    for mode in [0o644, 0o640, 0o620, 0o604] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("own file");
        assert_eq!(exposed(&path).expect("there"), Some(mode));
    }
}
