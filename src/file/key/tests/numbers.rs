//! Files in good form whose numbers make no key.

use super::*;

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
