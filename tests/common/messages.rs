//! Messages changed on purpose, their digests made right again.

use num_bigint::BigInt;
use pdnn::{
    file::{Container, Kind},
    paillier::{Encrypt, Plaintext, PublicEncryptor, PublicKey},
};
use rand::CryptoRng;

/// The message with metadata `name` set to `value`.
pub(crate) fn with_metadata(bytes: &[u8], kind: Kind, name: &str, value: &str) -> Vec<u8> {
    let mut container = Container::from_bytes(bytes, kind).expect("well formed");
    let old = container.metadata.insert(name.into(), value.into());
    assert!(old.is_some(), "{name} was not there");
    container.to_bytes().expect("well formed")
}

/// The message with ciphertext `row` replaced.
pub(crate) fn with_row(bytes: &[u8], kind: Kind, row: usize, ciphertext: &[u8]) -> Vec<u8> {
    let mut container = Container::from_bytes(bytes, kind).expect("well formed");
    let width = ciphertext.len();
    container.tensors[0].data[row * width..][..width].copy_from_slice(ciphertext);
    container.to_bytes().expect("well formed")
}

/// A fresh ciphertext of `plaintext`, as a row.
pub(crate) fn encryption_of(
    key: &PublicKey,
    plaintext: &BigInt,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let plaintext = Plaintext::from_signed(plaintext);
    PublicEncryptor::new(key, 1)
        .encrypt(&[plaintext], rng)
        .to_bytes()
}
