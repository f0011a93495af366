//! One encrypted integer, in python-paillier's JSON: `{"v": "<decimal>", "e": <int>}`.
//!
//! The number meant is x·16^e, x being the signed plaintext. This program
//! writes e = 0. python-paillier keeps |x| ≤ n/3 − 1, the rest being room to
//! notice overflow; the same bound is kept here.
//!
//! Limits of the exchange: `pheutil encrypt`, `add`, `addenc` and `multiply`
//! force e ≤ −32, fractions of 16^32. Such numbers are read too, as long as
//! they are integers. `pheutil addenc` of two numbers at e = 0 multiplies both
//! by 16^32, so that an |x| above n/3 / 2^128 overflows there; phe's own
//! library adds them at e = 0 without loss.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::Zero;
use serde::Deserialize;

use crate::paillier::{Ciphertexts, PaillierError, Plaintext, PublicKey};

/// The least exponent in use: what `pheutil` writes for the smallest doubles is
/// far above it.
const MIN_EXPONENT: i64 = -1024;

/// The largest exponent in use.
const MAX_EXPONENT: i64 = 1024;

/// An encrypted number.
#[derive(Clone, Debug)]
pub struct Number {
    /// One ciphertext, of x.
    pub ciphertext: Ciphertexts,
    /// e; the number is x·16^e.
    pub exponent: i64,
}

/// Why a number was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// No JSON object with `v` and `e`.
    #[error(
        "is no encrypted number (line {line}, column {column}); expected \
         {{\"v\": \"<decimal>\", \"e\": <int>}}"
    )]
    Json {
        /// Where it ceases to be one.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// `v` holds something other than decimal digits.
    #[error("member \"v\" is not a decimal number; the file is damaged")]
    Digits,
    /// `v` has more digits than any ciphertext.
    #[error("member \"v\" is longer than any ciphertext of this key; it belongs to another key")]
    TooLong,
    /// `e` is out of any use.
    #[error("member \"e\" is {0}; expected {MIN_EXPONENT} to {MAX_EXPONENT}")]
    Exponent(i64),
    /// Two numbers with different exponents.
    #[error("the numbers have exponents {0} and {1}; only numbers with the same one are added")]
    Exponents(i64, i64),
    /// |x| > n/3 − 1.
    #[error("the number overflows: its absolute value is not below n/3; use a longer key")]
    Overflow,
    /// The number has a fraction.
    #[error("the number is no integer (its exponent is {0}); only integers are read")]
    Fraction(i64),
    /// The ciphertext is invalid.
    #[error(transparent)]
    Ciphertext(#[from] PaillierError),
}

#[derive(Deserialize)]
struct Json {
    v: String,
    e: i64,
}

impl Number {
    /// A number at e = 0.
    ///
    /// # Panics
    ///
    /// If `ciphertext` is not exactly one.
    pub fn new(ciphertext: Ciphertexts) -> Number {
        assert_eq!(ciphertext.len(), 1, "a number is one ciphertext");
        Number {
            ciphertext,
            exponent: 0,
        }
    }

    /// phe's JSON.
    pub fn to_json(&self) -> String {
        let v = &self.ciphertext.to_integers()[0];
        format!(r#"{{"v": "{v}", "e": {}}}"#, self.exponent)
    }

    /// Reads phe's JSON.
    ///
    /// # Errors
    ///
    /// No such JSON; not a ciphertext under `key`.
    pub fn from_json(key: &PublicKey, json: &str) -> Result<Number, NumberError> {
        let Json { v, e } = serde_json::from_str(json).map_err(|error| NumberError::Json {
            line: error.line(),
            column: error.column(),
        })?;
        if v.is_empty() || !v.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NumberError::Digits);
        }
        // A decimal digit is more than 3 bits.
        if v.len() > 2 * key.bits() as usize / 3 + 1 {
            return Err(NumberError::TooLong);
        }
        if !(MIN_EXPONENT..=MAX_EXPONENT).contains(&e) {
            return Err(NumberError::Exponent(e));
        }
        let v = BigUint::parse_bytes(v.as_bytes(), 10).ok_or(NumberError::Digits)?;
        Ok(Number {
            ciphertext: Ciphertexts::from_integers(key, &[v])?,
            exponent: e,
        })
    }

    /// The sum of two numbers with the same exponent. Its randomness is the
    /// product of theirs: re-randomise before sending it to the key's owner.
    ///
    /// # Errors
    ///
    /// Different exponents.
    ///
    /// # Panics
    ///
    /// If they belong to different keys.
    pub fn add(&self, other: &Number) -> Result<Number, NumberError> {
        if self.exponent != other.exponent {
            return Err(NumberError::Exponents(self.exponent, other.exponent));
        }
        Ok(Number {
            ciphertext: self.ciphertext.add(&other.ciphertext),
            exponent: self.exponent,
        })
    }

    /// The integer meant, from the decrypted plaintext.
    ///
    /// # Errors
    ///
    /// Overflow as phe defines it, or a fraction.
    pub fn decode(&self, plaintext: &Plaintext) -> Result<BigInt, NumberError> {
        let x = plaintext.to_signed();
        if *x.magnitude() > largest(self.ciphertext.key()) {
            return Err(NumberError::Overflow);
        }
        let scale = BigInt::from(1) << (4 * self.exponent.unsigned_abs());
        if self.exponent >= 0 {
            return Ok(x * scale);
        }
        let (quotient, rest) = x.div_rem(&scale);
        if rest.is_zero() {
            Ok(quotient)
        } else {
            Err(NumberError::Fraction(self.exponent))
        }
    }
}

/// An integer as a plaintext at e = 0.
///
/// # Errors
///
/// |x| > n/3 − 1.
pub fn encode(key: &PublicKey, x: &BigInt) -> Result<Plaintext, NumberError> {
    if *x.magnitude() > largest(key) {
        return Err(NumberError::Overflow);
    }
    Ok(Plaintext::from_signed(x))
}

/// phe's largest integer, n/3 − 1 rounded down.
fn largest(key: &PublicKey) -> BigUint {
    key.n() / 3u32 - 1u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::{Encrypt, PublicEncryptor, SecretKey};
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    fn setup() -> (SecretKey, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(71);
        let key = SecretKey::generate_insecure(256, &mut rng).expect("an even size");
        (key, rng)
    }

    fn encrypted(key: &SecretKey, x: &BigInt, rng: &mut ChaCha20Rng) -> Number {
        let plain = encode(key.public(), x).expect("small enough");
        Number::new(PublicEncryptor::new(key.public(), 1).encrypt(&[plain], rng))
    }

    fn decrypted(key: &SecretKey, number: &Number) -> Result<BigInt, NumberError> {
        number.decode(&key.decrypt(&number.ciphertext)[0])
    }

    #[test]
    fn integers_round_trip_up_to_a_third_of_n() {
        let (key, mut rng) = setup();
        let most = BigInt::from(largest(key.public()));
        for x in [0.into(), 1.into(), BigInt::from(-1), most.clone(), -most] {
            let json = encrypted(&key, &x, &mut rng).to_json();
            let number = Number::from_json(key.public(), &json).expect("valid");
            assert_eq!(number.exponent, 0);
            assert_eq!(decrypted(&key, &number).expect("an integer"), x);
        }
    }

    #[test]
    fn an_integer_above_a_third_of_n_is_refused() {
        let (key, mut rng) = setup();
        let most = BigInt::from(largest(key.public()));
        for x in [&most + 1, -&most - 1] {
            assert!(matches!(
                encode(key.public(), &x),
                Err(NumberError::Overflow)
            ));
            let plain = Plaintext::from_signed(&x);
            let c = PublicEncryptor::new(key.public(), 1).encrypt(&[plain], &mut rng);
            let found = decrypted(&key, &Number::new(c));
            assert!(matches!(found, Err(NumberError::Overflow)));
        }
    }

    #[test]
    fn negative_exponents_are_read_if_the_number_is_an_integer() {
        let (key, mut rng) = setup();
        let mut number = encrypted(&key, &(BigInt::from(-5) << 128), &mut rng);
        number.exponent = -32;
        assert_eq!(decrypted(&key, &number).expect("an integer"), (-5).into());
        number.exponent = -33;
        assert!(matches!(
            decrypted(&key, &number),
            Err(NumberError::Fraction(-33))
        ));
        number.exponent = 1;
        assert_eq!(
            decrypted(&key, &number).expect("an integer"),
            BigInt::from(-80) << 128
        );
    }

    #[test]
    fn sums_need_equal_exponents() {
        let (key, mut rng) = setup();
        let a = encrypted(&key, &40.into(), &mut rng);
        let mut b = encrypted(&key, &(-42).into(), &mut rng);
        let sum = a.add(&b).expect("equal exponents");
        assert_eq!(decrypted(&key, &sum).expect("an integer"), (-2).into());
        b.exponent = -32;
        assert!(matches!(a.add(&b), Err(NumberError::Exponents(0, -32))));
    }

    fn refused(json: &str) -> NumberError {
        Number::from_json(setup().0.public(), json).expect_err("malformed")
    }

    #[test]
    fn numbers_that_are_no_json_or_lack_a_member_are_refused() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"v":"1"}"#,
            r#"{"e":0}"#,
            r#"{"v":1,"e":0}"#,
        ] {
            assert!(matches!(refused(json), NumberError::Json { .. }), "{json}");
        }
        for json in [r#"{"v":"1","e":0.5}"#, r#"{"v":"1","e":"0"}"#] {
            assert!(matches!(refused(json), NumberError::Json { .. }), "{json}");
        }
    }

    #[test]
    fn numbers_that_are_not_decimal_are_refused() {
        for v in ["", "-1", "+1", "1_000", "0x10", " 1", "1.0"] {
            let json = format!(r#"{{"v":"{v}","e":0}}"#);
            assert!(matches!(refused(&json), NumberError::Digits), "{v}");
        }
    }

    #[test]
    fn numbers_longer_than_a_ciphertext_are_refused() {
        let json = format!(r#"{{"v":"{}","e":0}}"#, "9".repeat(200));
        assert!(matches!(refused(&json), NumberError::TooLong));
        let json = format!(r#"{{"v":"{}","e":0}}"#, "9".repeat(160));
        assert!(matches!(
            refused(&json),
            NumberError::Ciphertext(PaillierError::CiphertextRange(0))
        ));
    }

    #[test]
    fn a_number_0_is_refused() {
        assert!(matches!(
            refused(r#"{"v":"0","e":0}"#),
            NumberError::Ciphertext(PaillierError::CiphertextZero(0))
        ));
    }

    #[test]
    fn absurd_exponents_are_refused() {
        for e in [-1025, 1025, i64::MIN, i64::MAX] {
            let json = format!(r#"{{"v":"1","e":{e}}}"#);
            assert!(matches!(refused(&json), NumberError::Exponent(found) if found == e));
        }
    }
}
