//! Exactness against big integers, and what is refused.

use num_bigint::BigInt;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

use super::*;
use crate::{
    network::Decimal,
    paillier::SecretKey,
    protocol::masked::{Answer, MaskedError, Query, Reply, Request, SILENT},
};

fn decimal(text: &str) -> Real {
    Real::Decimal(Decimal::parse(text).expect("a number"))
}

fn fixed(rows: &[&[&str]], bits: u32) -> Fixed {
    let rows: Vec<Vec<Real>> = rows
        .iter()
        .map(|row| row.iter().map(|text| decimal(text)).collect())
        .collect();
    Fixed::new(&rows, bits, None).expect("they fit")
}

/// Integers as both sides hold them.
fn integers(vectors: Vec<Vec<i64>>) -> Fixed {
    let whole: Vec<Vec<Real>> = vectors
        .iter()
        .map(|v| v.iter().map(|&x| Real::Whole(x)).collect())
        .collect();
    let fixed = Fixed::new(&whole, 31, None).expect("they fit");
    assert_eq!(fixed.vectors, vectors);
    fixed
}

/// Both parties, prepared for `count` vectors.
struct Parties {
    folder: tempfile::TempDir,
    terms: Terms,
    key: SecretKey,
    rng: ChaCha20Rng,
}

impl Parties {
    fn new(terms: Terms, numbers: &Fixed, count: usize) -> Parties {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let parties = Parties {
            folder: tempfile::tempdir().expect("a temporary folder"),
            terms,
            key: SecretKey::generate_insecure(512, &mut rng).expect("a key"),
            rng,
        };
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        let preparation =
            preparation(&parties.terms, parties.key.clone(), &parties.client()).expect("a store");
        let request = preparation.ask(count, &mut rng, SILENT).expect("a request");
        let request = Request::from_bytes(&request.to_bytes()).expect("well formed");
        let answer = parties
            .server(numbers)
            .prepare(&request, &mut rng, SILENT)
            .expect("an answer");
        let answer = Answer::from_bytes(&answer.to_bytes()).expect("well formed");
        preparation.finish(&answer, SILENT).expect("masks");
        parties
    }

    fn client(&self) -> std::path::PathBuf {
        self.folder.path().join("client")
    }

    fn server(&self, numbers: &Fixed) -> Server {
        let store = self.folder.path().join("server");
        Server::new(&self.terms, numbers, &store, true).expect("a server")
    }

    fn query(&mut self, vectors: &Fixed) -> Result<Query, DotError> {
        let key = self.key.public().fingerprint();
        let client = client(&self.terms, key, &self.client())?;
        let query = mask(&self.terms, &client, vectors, &self.client(), &mut self.rng)?;
        Ok(Query::from_bytes(&query.to_bytes()).expect("well formed"))
    }

    fn opened(&self, reply: &Reply) -> Result<(Vec<Vec<i64>>, Scale), DotError> {
        let reply = Reply::from_bytes(&reply.to_bytes()).expect("well formed");
        let key = self.key.public().fingerprint();
        let client = client(&self.terms, key, &self.client())?;
        open(&client, &reply, &self.client())
    }

    fn products(&mut self, vectors: &Fixed, numbers: &Fixed) -> Vec<Vec<i64>> {
        let query = self.query(vectors).expect("masks");
        let reply = self.server(numbers).answer(&query).expect("a reply");
        let (products, scale) = self.opened(&reply).expect("products");
        assert_eq!(scale, vectors.scale);
        products
    }
}

fn terms(length: usize, vectors: usize, bits: [u32; 2]) -> Result<Terms, DotError> {
    let scale = Scale {
        base: Base::Ten,
        exponent: 0,
    };
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    Terms::new([length, vectors], bits, scale, &mut rng)
}

#[test]
fn products_are_exact_up_to_the_largest_numbers() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for (length, bits) in [(1, [24, 24]), (5, [20, 24]), (37, [24, 18]), (8, [1, 1])] {
        let [client_bits, server_bits] = bits;
        let mut random = |bits: u32| -> i64 {
            let most = (1_i64 << bits) - 1;
            match rng.random_range(0..4) {
                0 => most,
                1 => -most,
                _ => rng.random_range(-most..=most),
            }
        };
        let mut draw = |count: usize, bits| -> Vec<Vec<i64>> {
            (0..count)
                .map(|_| (0..length).map(|_| random(bits)).collect())
                .collect()
        };
        let most = vec![(1_i64 << client_bits) - 1; length];
        let mut vectors = draw(4, client_bits);
        vectors.push(most.clone());
        vectors.push(most.iter().map(|v| -v).collect());
        let mut rows = draw(2, server_bits);
        rows.push(vec![(1_i64 << server_bits) - 1; length]);
        let numbers = integers(rows.clone());
        let terms = terms(length, rows.len(), bits).expect("they fit");
        let mut parties = Parties::new(terms, &numbers, vectors.len());
        let found = parties.products(&integers(vectors.clone()), &numbers);
        for (x, found) in vectors.iter().zip(&found) {
            for (w, &found) in rows.iter().zip(found) {
                let expected: i128 = x
                    .iter()
                    .zip(w)
                    .map(|(&x, &w)| i128::from(x) * i128::from(w))
                    .sum();
                assert_eq!(i128::from(found), expected, "{length} {bits:?}");
            }
        }
    }
}

#[test]
fn decimals_come_out_as_by_hand() {
    let numbers = fixed(&[&["0.1", "-2.25", "3"], &["1", "1", "1"]], 24);
    assert!(numbers.exact);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let terms = Terms::new([3, 2], [20, numbers.bits()], numbers.scale, &mut rng).expect("fit");
    let mut parties = Parties::new(terms, &numbers, 2);
    let vectors = fixed(&[&["10", "0.2", "-0.5"], &["0", "0", "0"]], 20);
    let found = parties.products(&vectors, &numbers);
    let text = |p| exact_text(p, [vectors.scale, numbers.scale]);
    // 1 − 0.45 − 1.5, and 10 + 0.2 − 0.5.
    assert_eq!(
        found[0].iter().map(|&p| text(p)).collect::<Vec<_>>(),
        ["-0.95", "9.7"]
    );
    assert_eq!(found[1], [0, 0]);
}

#[test]
fn masks_are_used_once_on_either_side() {
    let numbers = integers(vec![vec![1, 2, 3]]);
    let mut parties = Parties::new(terms(3, 1, [8, 8]).expect("fit"), &numbers, 2);
    let vectors = integers(vec![vec![4, 5, 6]]);
    let query = parties.query(&vectors).expect("masks");
    let server = parties.server(&numbers);
    let reply = server.answer(&query).expect("a reply");
    // The server does not answer the same masks again, not even after a restart.
    assert!(server.answer(&query).is_err());
    drop(server);
    assert!(parties.server(&numbers).answer(&query).is_err());
    let again = parties.query(&vectors).expect("masks");
    assert_ne!(again.elements(), query.elements());
    let none = parties.query(&vectors);
    assert!(
        matches!(none, Err(DotError::Masked(_))),
        "two vectors were prepared"
    );
    assert_eq!(parties.opened(&reply).expect("products").0, [[32]]);
}

#[test]
fn other_numbers_than_those_prepared_for_are_refused() {
    let numbers = integers(vec![vec![1, 2, 3]]);
    let parties = Parties::new(terms(3, 1, [8, 8]).expect("fit"), &numbers, 1);
    let store = parties.folder.path().join("server");
    let with = |numbers: &Fixed| Server::new(&parties.terms, numbers, &store, false).err();
    assert!(with(&numbers).is_none());
    let other = integers(vec![vec![1, 2, 4]]);
    assert!(matches!(with(&other), Some(DotError::OtherNumbers)));
    let larger = integers(vec![vec![1, 2, 256]]);
    assert!(matches!(with(&larger), Some(DotError::OtherNumbers)));
    let longer = integers(vec![vec![1, 2, 3, 4]]);
    assert!(matches!(with(&longer), Some(DotError::Length { .. })));
    let more = integers(vec![vec![1, 2, 3]; 2]);
    assert!(matches!(with(&more), Some(DotError::Vectors { .. })));
}

#[test]
fn messages_under_other_terms_or_another_key_are_refused() {
    let numbers = integers(vec![vec![1, 2, 3]]);
    let mut parties = Parties::new(terms(3, 1, [8, 8]).expect("fit"), &numbers, 1);
    let vectors = integers(vec![vec![4, 5, 6]]);
    let other = {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        Terms::new([3, 1], [8, 8], numbers.scale, &mut rng).expect("fit")
    };
    let key = parties.key.public().fingerprint();
    let lost = client(&other, key, &parties.client()).expect("a store");
    let refused = mask(&other, &lost, &vectors, &parties.client(), &mut parties.rng);
    assert!(refused.is_err(), "no masks under other terms");
    let query = parties.query(&vectors).expect("masks");
    let server = Server::new(&other, &numbers, &parties.folder.path().join("other"), true);
    let refused = server.expect("a server").answer(&query);
    assert!(matches!(
        refused,
        Err(DotError::Masked(MaskedError::OtherNetwork { .. }))
    ));
}

#[test]
fn a_vector_of_another_length_or_too_large_is_refused() {
    let numbers = integers(vec![vec![1, 2, 3]]);
    let mut parties = Parties::new(terms(3, 1, [8, 8]).expect("fit"), &numbers, 1);
    let short = parties.query(&integers(vec![vec![1, 2]]));
    assert!(matches!(short, Err(DotError::Length { .. })));
    assert!(parties.query(&integers(vec![vec![1, 2, 256]])).is_err());
    // Nothing was used up by that.
    assert!(parties.query(&integers(vec![vec![1, 2, 255]])).is_ok());
}

#[test]
fn terms_that_do_not_fit_are_refused() {
    let refused = |length, bits| terms(length, 1, bits).expect_err("too wide").to_string();
    assert!(
        refused(8, [31, 31]).contains("than 64 bits") || refused(8, [31, 31]).contains("slots")
    );
    assert!(refused(1 << 20, [31, 31]).contains("more than 64 bits"));
    assert!(refused(8, [24, 30]).contains("slots of"));
    assert!(refused(0, [8, 8]).contains("length"));
    assert!(refused(8, [0, 8]).contains("bits"));
    for length in [1, 2, 3, 8, 1000, 1024, 1025, 1 << 15, 1 << 20] {
        for server in 1..=24 {
            let client = most_bits(length, server);
            if client > 0 {
                terms(length, 2, [client, server]).expect("most_bits fit");
            }
        }
    }
}

#[test]
fn malformed_terms_are_refused() {
    let good = terms(3, 1, [8, 8]).expect("fit");
    assert_eq!(Terms::from_json(&good.to_json()).expect("ours"), good);
    for (part, other) in [
        ("\"pdnn-dot\"", "\"other\""),
        ("\"version\": 1", "\"version\": 2"),
        ("\"length\": 3", "\"length\": 0"),
        ("\"length\": 3", "\"length\": -3"),
        ("\"length\": 3", "\"width\": 3"),
        ("\"client_bits\": 8", "\"client_bits\": 32"),
        ("\"exponent\": 0", "\"exponent\": 121"),
        (good.id(), "abc"),
        ("{", "["),
    ] {
        let text = good.to_json().replacen(part, other, 1);
        let error = Terms::from_json(&text).expect_err(&text).to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn the_scale_is_found_in_the_data() {
    let scale = |rows: &[&[&str]], bits| {
        let fixed = fixed(rows, bits);
        (fixed.scale.to_string(), fixed.exact)
    };
    assert_eq!(scale(&[&["1", "-2"]], 24), ("10^0".into(), true));
    assert_eq!(scale(&[&["1.5", "-0.125"]], 24), ("10^3".into(), true));
    // 0.123456789 takes 27 bits: rounded to the greatest scale that fits.
    assert_eq!(scale(&[&["0.123456789"]], 24), ("10^8".into(), false));
    let floats = [vec![Real::Binary(0.75), Real::Binary(-3.0)]];
    let found = Fixed::new(&floats, 24, None).expect("they fit");
    assert_eq!(
        (found.scale.to_string().as_str(), found.exact),
        ("2^2", true)
    );
    assert_eq!(found.vectors, [[3, -12]]);
    let third = [vec![Real::Binary(1.0 / 3.0)]];
    let found = Fixed::new(&third, 24, None).expect("it fits");
    assert!(!found.exact && found.bits() == 24);
    let halves = [vec![decimal("0.5"), decimal("-0.5"), decimal("0.25")]];
    let unit = Scale {
        base: Base::Two,
        exponent: 0,
    };
    let found = Fixed::new(&halves, 24, Some(unit)).expect("they fit");
    assert_eq!(found.vectors, [[1, -1, 0]]);
    for wrong in [
        decimal("16777216"),
        Real::Binary(1e300),
        Real::Whole(i64::MIN),
    ] {
        let error = Fixed::new(&[vec![decimal("1"), wrong]], 24, None).unwrap_err();
        assert!(matches!(
            error,
            DotError::TooLarge {
                vector: 1,
                index: 2,
                ..
            }
        ));
    }
}

proptest! {
    #[test]
    fn an_exact_scale_loses_nothing(values in prop::collection::vec(-1e6_f64..1e6, 1..6)) {
        // Of 20 bits behind the point, as measured values are.
        let values: Vec<f64> = values.iter().map(|v| (v * 1024.0).round() / 1024.0).collect();
        let reals = values.iter().map(|&v| Real::Binary(v)).collect();
        let fixed = Fixed::new(&[reals], 40, None).expect("they fit");
        prop_assert!(fixed.exact);
        for (value, &integer) in values.iter().zip(&fixed.vectors[0]) {
            let back: f64 = exact_text(integer, [fixed.scale, Scale { base: Base::Ten, exponent: 0 }])
                .parse()
                .expect("a number");
            prop_assert_eq!(back, *value);
        }
    }

    #[test]
    fn rounding_is_to_the_nearest(digits in -999_999_999_i64..=999_999_999, places in 0_u32..9, exponent in 0_u32..12) {
        let text = {
            let scale = Scale { base: Base::Ten, exponent: places };
            exact_text(digits, [scale, Scale { base: Base::Ten, exponent: 0 }])
        };
        let scale = Scale { base: Base::Two, exponent };
        let fixed = Fixed::new(&[vec![decimal(&text)]], 62, Some(scale)).expect("it fits");
        // |integer·10^places − digits·2^exponent| ≤ 10^places / 2
        let tens = BigInt::from(10).pow(places);
        let error = BigInt::from(fixed.vectors[0][0]) * &tens - BigInt::from(digits) * BigInt::from(2).pow(exponent);
        let twice = error * 2;
        prop_assert!(twice <= tens && twice >= -tens.clone());
    }
}
