//! Key files, whole and malformed.

mod numbers;
mod subgroup;

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
