//! Key files: the JWK form of python-paillier's `pheutil`.
//!
//! ```text
//! public   {"kty":"DAJ", "alg":"PAI-GN1", "key_ops":["encrypt"], "n":…, "kid":…}
//! private  {"kty":"DAJ", "key_ops":["decrypt"], "p":…, "q":…, "pub":{…}, "kid":…}
//! ```
//!
//! Integers are minimal big-endian bytes in unpadded base64url. Keys made here
//! have further members inside the public key, which other programs ignore:
//! `scheme` with `h` and `h_s`, for some schemes `assumption` and `h_steps`, and `fingerprint`,
//! the SHA-256 of n in hexadecimal. A key without them is accepted; members that
//! are not known are ignored, `kid` and `assumption` are free text.
//!
//! | `scheme` | randomisers |
//! |---|---|
//! | "DJN10" | [`Scheme::Djn`], the default |
//! | "MHL21" | [`Scheme::Subgroup`], which rests on a further assumption; the secret key then has `alpha_p` and `alpha_q`, without which it decrypts slowly (other programs) or not at all (this one); the public key may have `h_steps`, a list of seven numbers ([`PublicKey::h_steps`]) with which it is checked sooner |
//!
//! Only p and q, and α_p and α_q, are secret. Their text lives in buffers that are wiped, and no
//! error repeats any text of a file: it may be a secret key's.

use std::{fs::File, io::Read, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use num_bigint::BigUint;
use zeroize::Zeroizing;

use crate::paillier::{Candidate, PaillierError, PublicKey, Scheme, SecretKey};

mod members;
#[cfg(test)]
mod tests;

use members::{Members, Value};

const KTY: &str = "DAJ";
const ALG: &str = "PAI-GN1";
/// [`Scheme::Djn`] in files.
const DJN: &str = "DJN10";
/// [`Scheme::Subgroup`] in files.
const SUBGROUP: &str = "MHL21";

/// The member of a public subgroup key that others have not.
const STEPS: &str = "h_steps";

/// What a subgroup key rests on beyond Paillier's scheme: said in the file for
/// whoever opens it, and not read.
const ASSUMPTION: &str =
    "powers of h, which is of a small hidden order, cannot be told from other n-th powers";

/// The members of a secret subgroup key that others have not.
const ORDERS: [&str; 2] = ["alpha_p", "alpha_q"];

/// The largest key file that is read: several times that of the longest key.
pub const MAX_KEY_FILE: u64 = 1 << 16;

/// A key from a file of either kind.
#[derive(Debug)]
pub enum Key {
    /// A public key.
    Public(PublicKey),
    /// A secret key, its public half with it.
    Secret(SecretKey),
}

/// Why a key file was refused. No text of the file is repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key: {0}")]
    Io(#[from] std::io::Error),
    /// The file is far larger than any key.
    #[error("is larger than {MAX_KEY_FILE} bytes; expected a key file")]
    TooLarge,
    /// The file is no UTF-8.
    #[error("is not text; expected a key file (JSON)")]
    NotText,
    /// The file is no JSON object.
    #[error("is no JSON object (line {line}, column {column}); expected a key file")]
    Json {
        /// Where it ceases to be one.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// A member that a key needs is not there.
    #[error("the {kind} key has no member {member:?}; the file is damaged or no key")]
    Missing {
        /// Public or secret.
        kind: &'static str,
        /// What is missing.
        member: &'static str,
    },
    /// A member stands there twice.
    #[error("member {0:?} stands there twice; the file is damaged")]
    Twice(&'static str),
    /// A member is not of the type that it should be.
    #[error("member {member:?} is not {expected}")]
    Type {
        /// Which member.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// Another kind of key.
    #[error("member \"kty\" is not \"{KTY}\": this is no Paillier key")]
    Kty,
    /// Another algorithm.
    #[error("member \"alg\" is not \"{ALG}\": this is a key for another algorithm")]
    Alg,
    /// Key operations that fit neither kind.
    #[error("member \"key_ops\" is not [\"{0}\"]")]
    Ops(&'static str),
    /// A secret key where a public one was wanted.
    #[error("is a secret key; give the public one, and keep this one to yourself")]
    SecretGiven,
    /// A public key where a secret one was wanted.
    #[error("is a public key, which cannot decrypt; give the secret one")]
    PublicGiven,
    /// A scheme that is not known.
    #[error(
        "member \"scheme\" is neither \"{DJN}\" nor \"{SUBGROUP}\": the key needs a newer version of \
         this program"
    )]
    Scheme,
    /// One of scheme, h and h_s without the others.
    #[error("member {0:?} is missing beside the others of \"scheme\", \"h\" and \"h_s\"")]
    Incomplete(&'static str),
    /// Steps beside no subgroup key.
    #[error("member \"h_steps\" stands there without \"scheme\":\"{SUBGROUP}\"")]
    StepsUnexpected,
    /// A number is padded.
    #[error("member {0:?} has padding (=); expected unpadded base64url")]
    Padded(&'static str),
    /// A number is no base64url.
    #[error("member {0:?} is not base64url; the file is damaged")]
    Base64(&'static str),
    /// A number is empty.
    #[error("member {0:?} is an empty number")]
    Empty(&'static str),
    /// A number is not minimal.
    #[error("member {0:?} begins with a zero byte; expected a minimal number")]
    LeadingZero(&'static str),
    /// The fingerprint is not that of n.
    #[error("member \"fingerprint\" is not that of n; the file is damaged or was tampered with")]
    Fingerprint,
    /// The numbers are no valid key.
    #[error(transparent)]
    Key(#[from] PaillierError),
}

/// The text of a public key file.
pub fn public_to_json(key: &PublicKey) -> String {
    let fingerprint = key.fingerprint().to_string();
    let mut json = format!(
        r#"{{"kty":"{KTY}","alg":"{ALG}","key_ops":["encrypt"],"n":"{}","kid":"pdnn public key {}""#,
        to_base64(&key.n().to_bytes_be()).as_str(),
        &fingerprint[..16],
    );
    if let (Some(h), Some(h_s)) = (key.h(), key.h_s()) {
        let scheme = match key.scheme() {
            Scheme::Subgroup => SUBGROUP,
            Scheme::Djn | Scheme::Uniform => DJN,
        };
        json += &format!(
            r#","scheme":"{scheme}","h":"{}","h_s":"{}""#,
            to_base64(&h.to_bytes_be()).as_str(),
            to_base64(&h_s.to_bytes_be()).as_str(),
        );
        if key.scheme() == Scheme::Subgroup {
            json += &format!(r#","assumption":"{ASSUMPTION}""#);
        }
    }
    if let Some(steps) = key.h_steps() {
        let numbers = steps.iter().map(|step| to_base64(&step.to_bytes_be()));
        let quoted: Vec<String> = numbers.map(|text| format!("\"{}\"", *text)).collect();
        json += &format!(r#","h_steps":[{}]"#, quoted.join(","));
    }
    json += &format!(r#","fingerprint":"{fingerprint}"}}"#);
    json
}

/// The text of a secret key file; wiped when dropped.
pub fn secret_to_json(key: &SecretKey) -> Zeroizing<String> {
    let public = public_to_json(key.public());
    let [p, q] = key.primes().map(|prime| to_base64(&prime));
    let orders = key
        .orders()
        .map(|orders| orders.map(|order| to_base64(&order)));
    let fingerprint = key.public().fingerprint().to_string();
    // Room for everything at once, an order being shorter than its prime:
    // growing would leave copies behind.
    let room = public.len() + 2 * (p.len() + q.len()) + 256;
    let mut json = Zeroizing::new(String::with_capacity(room));
    for part in [
        r#"{"kty":""#,
        KTY,
        r#"","key_ops":["decrypt"],"p":""#,
        &p,
        r#"","q":""#,
        &q,
        r#"""#,
    ] {
        json.push_str(part);
    }
    for (name, order) in ORDERS.iter().zip(orders.iter().flatten()) {
        for part in [r#",""#, name, r#"":""#, order, r#"""#] {
            json.push_str(part);
        }
    }
    for part in [
        r#","pub":"#,
        &public,
        r#","kid":"pdnn secret key "#,
        &fingerprint[..16],
        r#""}"#,
    ] {
        json.push_str(part);
    }
    json
}

/// Reads a public key.
///
/// # Errors
///
/// See [`KeyError`]; [`KeyError::SecretGiven`] for a secret key.
pub fn public_from_json(json: &str) -> Result<PublicKey, KeyError> {
    public(&Members::parse(json)?)
}

/// Reads a public key whose numbers are still to be checked.
///
/// # Errors
///
/// What [`public_from_json`] refuses without looking at the numbers.
pub fn candidate_from_json(json: &str) -> Result<Candidate, KeyError> {
    candidate(&Members::parse(json)?)
}

/// Reads a secret key.
///
/// # Errors
///
/// See [`KeyError`]; [`KeyError::PublicGiven`] for a public key.
pub fn secret_from_json(json: &str) -> Result<SecretKey, KeyError> {
    secret(&Members::parse(json)?)
}

/// Reads a key of either kind.
///
/// # Errors
///
/// See [`KeyError`].
pub fn from_json(json: &str) -> Result<Key, KeyError> {
    let members = Members::parse(json)?;
    if looks_secret(&members)? {
        Ok(Key::Secret(secret(&members)?))
    } else {
        Ok(Key::Public(public(&members)?))
    }
}

/// The text of a key file, read into a buffer that is wiped when dropped.
///
/// # Errors
///
/// The file cannot be read, is larger than [`MAX_KEY_FILE`] or no text.
pub fn read_text(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    // One allocation, which never grows: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE as usize + 2));
    File::open(path)?
        .take(MAX_KEY_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_KEY_FILE {
        return Err(KeyError::TooLarge);
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(KeyError::NotText)
        }
    }
}

/// The mode of a secret key's file if others than its owner may use it, for a
/// warning; `None` if all is well or the system has no such modes.
///
/// # Errors
///
/// The file's metadata cannot be read.
pub fn exposed(path: &Path) -> std::io::Result<Option<u32>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let found = path.metadata()?;
        let mode = found.mode() & 0o777;
        Ok((found.is_file() && mode & 0o077 != 0).then_some(mode))
    }
    #[cfg(not(unix))]
    {
        path.metadata().map(|_| None)
    }
}

/// Whether an object is meant as a secret key.
fn looks_secret(members: &Members) -> Result<bool, KeyError> {
    let is_decrypt = match members.get("key_ops")? {
        Some(Value::List(ops)) => ops.iter().any(|op| op.text() == Some("decrypt")),
        _ => false,
    };
    Ok(is_decrypt || members.get("p")?.is_some() || members.get("pub")?.is_some())
}

fn public(members: &Members) -> Result<PublicKey, KeyError> {
    Ok(candidate(members)?.admit()?)
}

fn candidate(members: &Members) -> Result<Candidate, KeyError> {
    kty(members, "public")?;
    if looks_secret(members)? {
        return Err(KeyError::SecretGiven);
    }
    match members.require("alg", "public")?.text() {
        Some(ALG) => {}
        _ => return Err(KeyError::Alg),
    }
    ops(members, "public", "encrypt")?;
    let n = integer(members.require("n", "public")?, "n")?;
    let parts = ["scheme", "h", "h_s"];
    let [scheme, h, h_s] = [
        members.get(parts[0])?,
        members.get(parts[1])?,
        members.get(parts[2])?,
    ];
    let steps = members.get(STEPS)?;
    let key = match (scheme, h, h_s) {
        (None, None, None) if steps.is_some() => return Err(KeyError::StepsUnexpected),
        (None, None, None) => Candidate::from_parts(&n, None)?,
        (Some(scheme), Some(h), Some(h_s)) => {
            let small = match scheme.text() {
                Some(DJN) => false,
                Some(SUBGROUP) => true,
                _ => return Err(KeyError::Scheme),
            };
            let (h, h_s) = (integer(h, "h")?, integer(h_s, "h_s")?);
            if small {
                let steps = steps.map(steps_of).transpose()?;
                Candidate::from_subgroup_parts(&n, &h, &h_s, steps.as_deref())?
            } else if steps.is_some() {
                return Err(KeyError::StepsUnexpected);
            } else {
                Candidate::from_parts(&n, Some((&h, &h_s)))?
            }
        }
        (scheme, h, h_s) => {
            let missing = [scheme, h, h_s].iter().position(|part| part.is_none());
            return Err(KeyError::Incomplete(parts[missing.unwrap_or(0)]));
        }
    };
    if let Some(found) = members.get("fingerprint")? {
        let found = found.text().ok_or(KeyError::Fingerprint)?;
        if !found.eq_ignore_ascii_case(&key.unchecked().fingerprint().to_string()) {
            // Worse than a fingerprint that is another key's is no key.
            key.check()?;
            return Err(KeyError::Fingerprint);
        }
    }
    Ok(key)
}

fn secret(members: &Members) -> Result<SecretKey, KeyError> {
    kty(members, "secret")?;
    if !looks_secret(members)? {
        return Err(KeyError::PublicGiven);
    }
    ops(members, "secret", "decrypt")?;
    let p = bytes(members.require("p", "secret")?, "p")?;
    let q = bytes(members.require("q", "secret")?, "q")?;
    let Value::Object(inner) = members.require("pub", "secret")? else {
        return Err(KeyError::Type {
            member: "pub",
            expected: "an object, the public key",
        });
    };
    let public = public(inner)?;
    if public.scheme() != Scheme::Subgroup {
        return Ok(SecretKey::from_parts(public, &p, &q)?);
    }
    let [a, b] = ORDERS;
    let orders = [
        bytes(members.require(a, "secret")?, a)?,
        bytes(members.require(b, "secret")?, b)?,
    ];
    Ok(SecretKey::from_subgroup_parts(
        public,
        [&p, &q],
        [&orders[0], &orders[1]],
    )?)
}

fn kty(members: &Members, kind: &'static str) -> Result<(), KeyError> {
    match members.require("kty", kind)?.text() {
        Some(KTY) => Ok(()),
        _ => Err(KeyError::Kty),
    }
}

fn ops(members: &Members, kind: &'static str, op: &'static str) -> Result<(), KeyError> {
    match members.require("key_ops", kind)? {
        Value::List(ops) if ops.len() == 1 && ops[0].text() == Some(op) => Ok(()),
        _ => Err(KeyError::Ops(op)),
    }
}

/// The numbers of a list of steps.
fn steps_of(value: &Value) -> Result<Vec<BigUint>, KeyError> {
    let Value::List(steps) = value else {
        return Err(KeyError::Type {
            member: STEPS,
            expected: "a list of numbers in base64url",
        });
    };
    steps.iter().map(|step| integer(step, STEPS)).collect()
}

fn integer(value: &Value, member: &'static str) -> Result<BigUint, KeyError> {
    Ok(BigUint::from_bytes_be(&bytes(value, member)?))
}

/// A number's minimal big-endian bytes.
fn bytes(value: &Value, member: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let text = value.text().ok_or(KeyError::Type {
        member,
        expected: "text, a number in base64url",
    })?;
    if text.contains('=') {
        return Err(KeyError::Padded(member));
    }
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    let length = URL_SAFE_NO_PAD
        .decode_slice(text, &mut bytes)
        .map_err(|_| KeyError::Base64(member))?;
    bytes.truncate(length);
    match bytes.first() {
        None => Err(KeyError::Empty(member)),
        Some(0) => Err(KeyError::LeadingZero(member)),
        Some(_) => Ok(bytes),
    }
}

fn to_base64(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len() + 8));
    // Three bytes at a time, each into its own stack buffer: no hidden copies
    // beyond that.
    for chunk in bytes.chunks(3) {
        let mut four = Zeroizing::new([0; 4]);
        if let Ok(length) = URL_SAFE_NO_PAD.encode_slice(chunk, &mut *four) {
            text.extend(four[..length].iter().map(|&byte| char::from(byte)));
        }
    }
    text
}
