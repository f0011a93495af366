//! Keys from files and to files, with a warning where a secret one is not kept
//! secret.

use std::path::{Path, PathBuf};

use crate::{
    file::{
        atomic::{Mode, Overwrite, Together, check_target},
        container::hex,
        key::{self, Key},
    },
    paillier::{DEFAULT_BITS, MIN_BITS, PublicKey, STANDARD_BITS, SecretKey},
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail, file_name},
    random,
};

/// What the two files of a key are called behind the name that a person gives.
const PUBLIC: &str = "pub.json";
const SECRET: &str = "key.json";

/// Where a new key goes.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    /// The public half.
    pub(crate) public: PathBuf,
    /// The whole key.
    pub(crate) secret: PathBuf,
}

impl KeyFiles {
    /// The files of a key called `name`.
    ///
    /// # Errors
    ///
    /// A file of that name exists, or its folder does not.
    pub(crate) fn new(name: &Path) -> CliResult<KeyFiles> {
        let Some(last) = name.file_name() else {
            bail!(
                "{}: is no name for a key; expected one such as alice",
                name.display()
            );
        };
        let with = |end: &str| {
            let mut file = last.to_os_string();
            file.push(".");
            file.push(end);
            name.with_file_name(file)
        };
        let files = KeyFiles {
            public: with(PUBLIC),
            secret: with(SECRET),
        };
        for path in [&files.secret, &files.public] {
            check_target(path, Overwrite::Never).about_file(path)?;
        }
        Ok(files)
    }

    /// Writes both files, neither over an existing one, or none: half a key
    /// would be in the way of the next attempt.
    pub(crate) fn write(&self, key: &SecretKey) -> CliResult {
        let mut both = Together::new();
        let text = key::secret_to_json(key);
        both.write(&self.secret, text.as_bytes(), Mode::Private)
            .about_file(&self.secret)?;
        let text = key::public_to_json(key.public());
        both.write_last(&self.public, text.as_bytes(), Mode::Shared)
            .about_file(&self.public)
    }
}

/// The scheme of a key that is to be made.
#[derive(clap::ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SchemeChoice {
    /// Damgård, Jurik, Nielsen: Paillier's assumption, exponents of half the
    /// modulus.
    #[default]
    Djn,
    /// Ma, Han, Lei: short exponents; encrypting is about twice and decrypting
    /// about four times as fast. Rests on a further
    /// assumption, younger and less studied: that powers from a small hidden
    /// subgroup look like any others.
    Subgroup,
}

/// The size and scheme of a key that is to be made.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct KeySize {
    /// Bits of the key's modulus: 2048, 3072 or 4096.
    #[arg(long, value_name = "BITS", default_value_t = DEFAULT_BITS)]
    bits: u32,

    /// Allow keys shorter than 2048 bits, which can be broken: for tests only.
    #[arg(long)]
    insecure: bool,

    /// How the key draws its randomisers.
    #[arg(long, value_enum, default_value_t)]
    scheme: SchemeChoice,
}

impl KeySize {
    /// So many bits, or the usual number.
    pub(crate) fn new(bits: Option<u32>, insecure: bool) -> KeySize {
        KeySize {
            bits: bits.unwrap_or(DEFAULT_BITS),
            insecure,
            scheme: SchemeChoice::default(),
        }
    }

    /// The bits, if they are allowed.
    pub(crate) fn checked(self) -> CliResult<u32> {
        let bits = self.bits;
        let shortest = STANDARD_BITS[0];
        if STANDARD_BITS.contains(&bits) {
            return Ok(bits);
        }
        if bits < shortest && !self.insecure {
            bail!(
                "a key of {bits} bits can be broken; expected 2048, 3072 or 4096 bits, or \
                 --insecure for a test"
            );
        }
        if !(MIN_BITS..shortest).contains(&bits) || !bits.is_multiple_of(2) {
            bail!(
                "no keys of {bits} bits; expected 2048, 3072 or 4096, or with --insecure an even \
                 number from {MIN_BITS}"
            );
        }
        Ok(bits)
    }

    /// A fresh key of this size.
    pub(crate) fn generate(self, console: &Console) -> CliResult<SecretKey> {
        let bits = self.checked()?;
        let _spinner = console.spinner(&format!("making a key of {bits} bits"));
        let rng = &mut random::system()?;
        match self.scheme {
            SchemeChoice::Djn => SecretKey::generate_insecure(bits, rng),
            SchemeChoice::Subgroup => SecretKey::generate_subgroup_insecure(bits, rng),
        }
        .explain()
    }
}

/// The secret key in a file.
pub(crate) fn secret(path: &Path, console: &Console) -> CliResult<SecretKey> {
    match either(path, console)? {
        Key::Secret(key) => Ok(key),
        Key::Public(_) => bail!(
            "{}: is a public key, which cannot decrypt; expected the secret one, NAME.{SECRET}",
            path.display()
        ),
    }
}

/// The public key in a file, of which a secret key has one.
pub(crate) fn public(path: &Path, console: &Console) -> CliResult<PublicKey> {
    Ok(match either(path, console)? {
        Key::Public(key) => key,
        Key::Secret(key) => key.public().clone(),
    })
}

/// The key in a file, public or secret: enough to encrypt.
pub(crate) fn either(path: &Path, console: &Console) -> CliResult<Key> {
    // What a key file holds may be secret: no error repeats any of it.
    let text = key::read_text(path).about_file(path)?;
    let key = key::from_json(&text).about_file(path)?;
    let public = match &key {
        Key::Public(public) => public,
        Key::Secret(secret) => {
            warn_if_readable(path, console);
            secret.public()
        }
    };
    warn_if_insecure(public, path, console);
    console.debug(&format!(
        "key {}, {} bits, fingerprint {}",
        path.display(),
        public.bits(),
        hex(public.fingerprint().as_bytes())
    ));
    Ok(key)
}

/// Warns if a key, from the file of a key or of a query, is too short.
pub(crate) fn warn_if_insecure(public: &PublicKey, path: &Path, console: &Console) {
    if public.is_insecure() {
        console.warn(&format!(
            "{}: a key of {} bits protects nothing; use it for tests only",
            file_name(path),
            public.bits()
        ));
    }
}

/// Warns if others than its owner may read a secret key's file.
fn warn_if_readable(path: &Path, console: &Console) {
    if let Ok(Some(mode)) = key::exposed(path) {
        console.warn(&format!(
            "{}: others may read this secret key (mode {mode:03o}); chmod 600 it, and if anyone \
             may have read it, make a new one",
            path.display(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_need_insecure() {
        let size = |bits, insecure| {
            let scheme = SchemeChoice::default();
            KeySize {
                bits,
                insecure,
                scheme,
            }
            .checked()
        };
        assert!(size(2048, false).is_ok() && size(3072, false).is_ok());
        assert!(size(4096, false).is_ok() && size(512, true).is_ok());
        let refused = [
            (2047, false),
            (512, false),
            (511, true),
            (64, true),
            (2560, true),
            (8192, true),
        ];
        for (bits, insecure) in refused {
            assert!(size(bits, insecure).is_err(), "{bits}");
        }
    }
}
