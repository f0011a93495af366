//! `pdnn keygen`: a new key.

use std::path::PathBuf;

use serde_json::json;

use crate::file::container::hex;

use super::{
    console::Console,
    error::CliResult,
    keys::{KeyFiles, KeySize},
};

const EXAMPLES: &str = "\
Examples:
  pdnn keygen --out alice
      writes alice.pub.json, which may go to anyone, and alice.key.json, which never may

  pdnn keygen --out alice --scheme subgroup
      a key that encrypts about twice and decrypts about four times as fast, on a further assumption

Files that exist are never overwritten. Use a key for one server.

A subgroup key takes its randomisers from a small hidden subgroup (448 bits for a key of 2048, 512 for \
3072, 608 for 4096). That they look like any others is assumed beyond what Paillier's scheme needs, and \
a server has to trust the key more: it cannot check the subgroup. python-paillier reads such a key.";

/// Make a key: NAME.pub.json, which may be given away, and NAME.key.json, the secret.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to write: NAME.pub.json and NAME.key.json.
    #[arg(long, short, value_name = "NAME")]
    out: PathBuf,

    #[command(flatten)]
    size: KeySize,
}

/// Makes a key and writes its two files.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let bits = args.size.checked()?;
    let files = KeyFiles::new(&args.out)?;
    let key = args.size.generate(console)?;
    files.write(&key)?;
    if key.public().is_insecure() {
        console.warn(&format!(
            "a key of {bits} bits protects nothing; use it for tests only"
        ));
    }
    let fingerprint = hex(key.public().fingerprint().as_bytes());
    let value = json!({
        "public": files.public.display().to_string(),
        "secret": files.secret.display().to_string(),
        "bits": bits,
        "scheme": key.public().scheme().name(),
        "fingerprint": fingerprint,
    });
    console.result(&value, || {
        format!(
            "{}  public, for whoever should encrypt to this key\n{}  secret, for nobody else\n\
             fingerprint {fingerprint}",
            files.public.display(),
            files.secret.display(),
        )
    })
}
