//! No text that the program prints holds p, q, a randomiser or a plaintext.

use num_bigint::{BigInt, BigUint};
use pdnn::{
    file::key::{self, Key},
    paillier::{Encrypt, OwnerEncryptor, Plaintext, PublicKey, Randomise, SecretKey},
};
use rand::{SeedableRng, rngs::ChaCha20Rng};

/// Lower-case hexadecimal, decimal and base64url (as in a key file) of a number,
/// and the first half of each.
fn spellings(secret: &BigUint) -> Vec<String> {
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
    };
    let bytes = secret.to_bytes_be();
    let whole = [
        secret.to_str_radix(10),
        secret.to_str_radix(16),
        format!("{bytes:?}").trim_matches(['[', ']']).to_string(),
        format!("{:?}", secret.to_u64_digits())
            .trim_matches(['[', ']'])
            .to_string(),
        URL_SAFE_NO_PAD.encode(&bytes),
        STANDARD_NO_PAD.encode(&bytes),
    ];
    let halves: Vec<String> = whole.iter().map(|s| s[..s.len() / 2].to_string()).collect();
    whole.into_iter().chain(halves).collect()
}

fn assert_absent(text: &str, secrets: &[BigUint]) {
    let lower = text.to_lowercase();
    for secret in secrets {
        for spelling in spellings(secret) {
            assert!(
                !text.contains(&spelling) && !lower.contains(&spelling),
                "a secret shows in {text:?}"
            );
        }
    }
}

fn setup() -> (SecretKey, Vec<BigUint>, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(81);
    let key = SecretKey::generate_insecure(512, &mut rng).expect("an even size");
    let primes = key.primes().map(|prime| BigUint::from_bytes_be(&prime));
    (key, primes.to_vec(), rng)
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let (key, primes, _) = setup();
    let json = key::secret_to_json(&key);
    let found = std::panic::catch_unwind(|| assert_absent(&json, &primes));
    assert!(found.is_err());
    let text = format!("p = {}", primes[0].to_str_radix(16).to_uppercase());
    let found = std::panic::catch_unwind(|| assert_absent(&text, &primes));
    assert!(found.is_err());
}

#[test]
fn debug_texts_hold_no_secret() {
    let (key, mut secrets, mut rng) = setup();
    let encryptor = OwnerEncryptor::new(&key, 2);
    let randomisers = encryptor.randomisers(2, &mut rng);
    let shown = format!("{randomisers:?} {randomisers:#?}");
    let value = BigInt::from(key.public().n() / 5u32);
    let plaintext = Plaintext::from_signed(&value);
    // With the plaintext 0, a ciphertext is its randomiser.
    let c = encryptor.encrypt_with(&[Plaintext::from(0), Plaintext::from(0)], randomisers);
    secrets.extend(c.to_integers());
    secrets.push(value.magnitude().clone());
    let either = key::from_json(&key::secret_to_json(&key)).expect("valid");
    assert!(matches!(either, Key::Secret(_)));
    assert_absent(
        &format!(
            "{shown} {key:?} {key:#?} {:?} {either:?} {either:#?} {plaintext:?} {c:?} {c:#?}",
            key.public()
        ),
        &secrets,
    );
}

#[test]
fn errors_of_keys_hold_no_secret() {
    let (key, primes, _) = setup();
    let show = |error: &dyn std::fmt::Debug, text: &dyn std::fmt::Display| {
        assert_absent(&format!("{error:?} {error:#?} {text}"), &primes);
    };
    let json = key::secret_to_json(&key);

    // Every prefix, every byte replaced, every byte left out.
    let mut refused = 0;
    let mut try_text = |text: &str| {
        for result in [
            key::secret_from_json(text).map(|_| ()),
            key::public_from_json(text).map(|_| ()),
        ] {
            if let Err(error) = result {
                refused += 1;
                show(&error, &error);
            }
        }
    };
    for at in 0..json.len() {
        try_text(&json[..at]);
        for with in ["", "=", "\"", "\\", "1", "{"] {
            try_text(&format!("{}{with}{}", &json[..at], &json[at + 1..]));
        }
    }
    // Quotes taken away, so that p would be a number or a name.
    try_text(&json.replace('"', ""));
    try_text(&json.replace(r#""p":"#, r#""kty":"#));
    try_text(&json.replace(r#""p":"#, r#""alg":"#));
    assert!(refused > json.len());

    // Numbers that are no key.
    let [p, q] = key.primes();
    let public = key.public().clone();
    let other = PublicKey::from_parts(&(key.public().n() - 4u32), None)
        .map_err(|error| show(&error, &error));
    for (public, p, q) in [
        (&public, &p, &p),
        (&public, &q, &q),
        (other.as_ref().unwrap_or(&public), &p, &q),
    ] {
        if let Err(error) = SecretKey::from_parts(public.clone(), p, q) {
            show(&error, &error);
        }
    }
}

#[test]
fn texts_of_subgroup_keys_hold_no_secret() {
    let mut rng = ChaCha20Rng::seed_from_u64(82);
    let key = SecretKey::generate_subgroup_insecure(512, &mut rng).expect("an even size");
    let orders = key.orders().expect("a subgroup key");
    let secrets = [key.primes(), orders].map(|pair| pair.map(|n| BigUint::from_bytes_be(&n)));
    let secrets = secrets.concat();
    assert_absent(&format!("{key:?} {key:#?} {:?}", key.public()), &secrets);
    assert_absent(&key::public_to_json(key.public()), &secrets);
    let json = key::secret_to_json(&key);
    for at in 0..json.len() {
        let text = format!("{}1{}", &json[..at], &json[at + 1..]);
        if let Err(error) = key::secret_from_json(&text) {
            assert_absent(&format!("{error:?} {error}"), &secrets);
        }
    }
}
