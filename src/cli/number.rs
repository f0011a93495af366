//! `pdnn number`: single encrypted integers, exchanged with python-paillier.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use num_bigint::BigInt;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::{
    file::{
        Mode, Overwrite, input,
        phe_number::{Number, encode},
        write_atomic,
    },
    paillier::{Encrypt, PublicEncryptor, PublicKey, Rerandomiser},
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
    keys, random,
};

const EXAMPLES: &str = "\
Examples:
  pdnn number encrypt --key alice.pub.json -42 -o a.json
  pdnn number add     --key alice.pub.json a.json b.json -o sum.json
  pdnn number decrypt --key alice.key.json sum.json

Keys and numbers are those of python-paillier's pheutil, in both directions; its
integers have absolute values below n/3. pheutil itself writes floating-point
numbers, of which those that are integers are read.";

/// The largest file of a number that is read: several times that of the
/// longest key's.
const MAX_NUMBER_FILE: u64 = 1 << 16;

/// Encrypt, add or decrypt one integer, in python-paillier's format.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(clap::Subcommand, Debug)]
enum Step {
    /// Encrypt an integer.
    Encrypt {
        /// The key: a public one is enough.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The integer.
        #[arg(allow_negative_numbers = true, value_parser = integer)]
        value: BigInt,
        #[command(flatten)]
        output: Output,
    },
    /// Add two encrypted integers; the sum gets randomness of its own.
    Add {
        /// The key: a public one is enough.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The first number.
        a: PathBuf,
        /// The second number.
        b: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Decrypt an integer.
    Decrypt {
        /// The secret key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The number; `-` for standard input.
        number: PathBuf,
    },
}

#[derive(clap::Args, Debug)]
struct Output {
    /// Where to write the number; standard output if absent.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Output {
    fn write(&self, number: &Number, console: &Console) -> CliResult {
        let mut json = number.to_json();
        match &self.output {
            Some(path) => {
                if path.is_file() && !is_number(path) {
                    bail!(
                        "{}: exists and is not an encrypted number; it is not overwritten, choose \
                         another name",
                        path.display()
                    );
                }
                json.push('\n');
                write_atomic(path, json.as_bytes(), Overwrite::Yes, Mode::Shared)
                    .about_file(path)?;
                if console.json() {
                    let file = path.display().to_string();
                    console.print_json(&json!({ "file": file, "bytes": json.len() }))?;
                }
                Ok(())
            }
            None => console.print(&json),
        }
    }
}

/// Whether a file holds an encrypted number, of whatever key: all else, a
/// secret key above all, must not be lost.
fn is_number(path: &Path) -> bool {
    let Ok(bytes) = input::read_all(path, MAX_NUMBER_FILE) else {
        return false;
    };
    serde_json::from_slice::<HashMap<String, IgnoredAny>>(&bytes)
        .is_ok_and(|members| members.contains_key("v") && members.contains_key("e"))
}

/// Does one step.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    match args.step {
        Step::Encrypt { key, value, output } => {
            let key = keys::public(&key, console)?;
            let plain = encode(&key, &value).explain()?;
            let c = PublicEncryptor::new(&key, 1).encrypt(&[plain], &mut random::system()?);
            output.write(&Number::new(c), console)
        }
        Step::Add { key, a, b, output } => {
            let key = keys::public(&key, console)?;
            let [a, b] = [read(&key, &a)?, read(&key, &b)?];
            let mut sum = a.add(&b).explain()?;
            let rng = &mut random::system()?;
            sum.ciphertext = Rerandomiser::new(&key, 1, rng).apply(&sum.ciphertext, rng);
            output.write(&sum, console)
        }
        Step::Decrypt { key, number } => {
            let key = keys::secret(&key, console)?;
            let number = read(key.public(), &number)?;
            let plain = key.decrypt(&number.ciphertext);
            let value = number.decode(&plain[0]).explain()?.to_string();
            console.result(&json!({ "value": value }), || value.clone())
        }
    }
}

fn read(key: &PublicKey, path: &Path) -> CliResult<Number> {
    let bytes = input::read_all(path, MAX_NUMBER_FILE).about_file(path)?;
    let text = std::str::from_utf8(&bytes).about_file(path)?;
    Number::from_json(key, text).about_file(path)
}

/// An integer of reasonable length.
fn integer(text: &str) -> Result<BigInt, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(value) if plain && digits.len() <= 10_000 => Ok(value),
        _ => Err("expected an integer, such as -42".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn integers_are_digits_with_or_without_a_minus() {
        assert_eq!(integer("-42"), Ok((-42).into()));
        assert_eq!(integer("0"), Ok(0.into()));
        for wrong in ["", "-", "+1", "1.5", "1_000", "0x1", "1e3", "--1"] {
            assert!(integer(wrong).is_err(), "{wrong}");
        }
        assert!(integer(&"9".repeat(10_001)).is_err());
    }
}
