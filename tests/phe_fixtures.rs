//! Keys and numbers made by python-paillier (`tests/fixtures/phe/README.md`).

use std::{fs, path::PathBuf};

use num_bigint::BigInt;
use pdnn::{
    file::{
        key,
        phe_number::{Number, NumberError, encode},
    },
    paillier::{Encrypt, OwnerEncryptor, PublicEncryptor, Rerandomiser, SecretKey},
};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use serde_json::Value;

const KEYS: [&str; 3] = ["1024", "2048", "unequal"];

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/phe");
    fs::read_to_string(path.join(name)).expect("a fixture")
}

fn secret(name: &str) -> SecretKey {
    key::secret_from_json(&fixture(&format!("{name}.key.json"))).expect("phe's key")
}

/// The numbers under `name` of kind `kind`, and what they hold.
fn numbers(of: &Value, key: &SecretKey) -> Vec<(String, Number)> {
    let entries = of.as_array().expect("a list");
    assert!(!entries.is_empty());
    entries
        .iter()
        .map(|entry| {
            let number = Number::from_json(key.public(), &entry.to_string()).expect("phe's number");
            (entry["x"].as_str().expect("text").to_string(), number)
        })
        .collect()
}

fn all_numbers() -> Value {
    serde_json::from_str(&fixture("numbers.json")).expect("JSON")
}

fn decrypted(key: &SecretKey, number: &Number) -> Result<BigInt, NumberError> {
    number.decode(&key.decrypt(&number.ciphertext)[0])
}

#[test]
fn keys_of_phe_are_read() {
    for name in ["1024", "2048"] {
        let public = key::public_from_json(&fixture(&format!("{name}.pub.json"))).expect("phe's");
        let secret = secret(name);
        assert_eq!(&public, secret.public());
        assert_eq!(public.bits().to_string(), name);
        assert!(public.h().is_none() && public.h_s().is_none());
    }
    let lengths = secret("unequal").primes().map(|prime| prime.len());
    assert!(lengths.contains(&64) && lengths.contains(&65));
}

#[test]
fn keys_of_phe_are_written_so_that_they_read_the_same() {
    for name in KEYS {
        let theirs: Value =
            serde_json::from_str(&fixture(&format!("{name}.key.json"))).expect("JSON");
        let ours: Value = serde_json::from_str(&key::secret_to_json(&secret(name))).expect("JSON");
        for member in ["kty", "key_ops", "p", "q"] {
            assert_eq!(theirs[member], ours[member], "{member}");
        }
        for member in ["kty", "alg", "key_ops", "n"] {
            assert_eq!(theirs["pub"][member], ours["pub"][member], "{member}");
        }
    }
}

#[test]
fn numbers_of_phe_and_their_sums_decrypt() {
    let all = all_numbers();
    for name in KEYS {
        let key = secret(name);
        for kind in ["integers", "sums"] {
            for (x, number) in numbers(&all[name][kind], &key) {
                assert_eq!(decrypted(&key, &number).expect("an integer").to_string(), x);
            }
        }
    }
}

#[test]
fn sums_and_fresh_randomness_keep_what_numbers_of_phe_hold() {
    let mut rng = ChaCha20Rng::seed_from_u64(91);
    let all = all_numbers();
    for name in KEYS {
        let key = secret(name);
        let integers = numbers(&all[name]["integers"], &key);
        let (one, two) = (&integers[1], &integers[4]);
        let sum = one.1.add(&two.1).expect("equal exponents");
        let expected = one.0.parse::<BigInt>().expect("an integer")
            + two.0.parse::<BigInt>().expect("an integer");
        assert_eq!(decrypted(&key, &sum).expect("an integer"), expected);
        for uses in [1, 1000] {
            let rerandomiser = Rerandomiser::new(key.public(), uses, &mut rng);
            let fresh = Number::new(rerandomiser.apply(&sum.ciphertext, &mut rng));
            assert_ne!(fresh.to_json(), sum.to_json());
            assert_eq!(decrypted(&key, &fresh).expect("an integer"), expected);
        }
    }
}

#[test]
fn both_ways_of_encrypting_under_keys_of_phe_decrypt() {
    let mut rng = ChaCha20Rng::seed_from_u64(92);
    for name in KEYS {
        let key = secret(name);
        let most = BigInt::from(key.public().n() / 3u32 - 1u32);
        for x in [BigInt::from(0), (-1).into(), most.clone(), -most] {
            let plain = [encode(key.public(), &x).expect("small enough")];
            let public = PublicEncryptor::new(key.public(), 1).encrypt(&plain, &mut rng);
            let owner = OwnerEncryptor::new(&key, 1).encrypt(&plain, &mut rng);
            for c in [public, owner] {
                assert_eq!(decrypted(&key, &Number::new(c)).expect("an integer"), x);
            }
        }
    }
}

#[test]
fn what_pheutil_writes_is_read_if_it_is_an_integer() {
    let key = secret("1024");
    for (x, number) in numbers(&all_numbers()["pheutil"], &key) {
        assert_eq!(number.exponent, -32);
        match decrypted(&key, &number) {
            Ok(found) => assert_eq!(found.to_string(), x),
            Err(NumberError::Fraction(-32)) => assert_eq!(x, "0.5"),
            Err(other) => panic!("{x}: {other}"),
        }
    }
}
