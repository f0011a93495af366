//! `pdnn precompute`: randomisers, before there is anything to encrypt.

use std::{path::PathBuf, time::Instant};

use serde_json::json;

use crate::{
    file::{container::hex, key::Key},
    paillier::{OwnerEncryptor, PublicEncryptor, Randomise},
    protocol::randomisers::Store,
    report::{count, duration, size, things},
};

use super::{
    ahead::TableOption,
    console::Console,
    error::{CliResult, Explain},
    keys, random,
};

const EXAMPLES: &str = "\
Examples:
  pdnn precompute --key alice.key.json --count 20000 -o ahead
  pdnn precompute --key alice.key.json --up-to 20000 -o ahead    makes what was used since
  pdnn encrypt --key alice.key.json --randomisers ahead 7.png -o query.pdnn
  pdnn inspect ahead                                             how many are left, of which key

A randomiser hides one ciphertext and is nearly all the work of making it, and it does not depend on
what is encrypted. `encrypt`, `decrypt`, `run` and `evaluate` take them from a store with
--randomisers, and make fresh what it has not. `pdnn inspect FOLDER --bits 2048` says how many
ciphertexts an image takes on its way up.

The same command again adds to the store; what was finished before an interruption stays. A
randomiser is marked used on disk before it is used, then overwritten; a batch of 4,096 that is used
up is deleted.

Keep a store as secret as the key: whoever has a randomiser reads what it hid. Never copy a store or
restore it from a backup: an old copy gives out again what was used since, and two ciphertexts of
one randomiser show the difference of their plaintexts. Where that may have happened, delete it.";

/// Make randomisers ahead, so that encrypting takes next to no time later.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("how_many").required(true))]
pub(crate) struct Args {
    /// Whose ciphertexts they will hide: NAME.pub.json, or faster NAME.key.json.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// How many to add.
    #[arg(long, value_name = "N", group = "how_many", value_parser = number())]
    count: Option<usize>,

    /// Add as many as are missing to have so many unused ones.
    #[arg(long, value_name = "N", group = "how_many", value_parser = number())]
    up_to: Option<usize>,

    /// The folder that keeps them; made if it is not there.
    #[arg(long, short, value_name = "STORE")]
    out: PathBuf,

    #[command(flatten)]
    tables: TableOption,
}

/// So many at once as no disk is likely to have room for.
fn number() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..=1_000_000_000)
}

/// Makes the randomisers.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let key = keys::either(&args.key, console)?;
    let public = match &key {
        Key::Public(key) => key,
        Key::Secret(key) => key.public(),
    };
    let store = Store::create(&args.out).explain()?;
    store.expect(public).explain()?;
    // clap demands one of the two.
    let missing = match (args.count, args.up_to) {
        (Some(count), _) => count,
        (None, wanted) => {
            let left = store.contents().explain()?.left;
            wanted.unwrap_or(0).saturating_sub(left)
        }
    };
    let started = Instant::now();
    match &key {
        // What is to be made decides how large the tables are worth being.
        _ if missing == 0 => {}
        Key::Public(key) => {
            let by = PublicEncryptor::new(key, missing).scanning(args.tables.scan_tables);
            fill(&store, &by, missing, console)?;
        }
        Key::Secret(key) => {
            let by = OwnerEncryptor::new(key, missing).scanning(args.tables.scan_tables);
            fill(&store, &by, missing, console)?;
        }
    }
    let elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
    let contents = store.contents().explain()?;
    let value = json!({
        "store": args.out.display().to_string(),
        "made": missing,
        "left": contents.left,
        "bytes": contents.bytes,
        "key": hex(public.fingerprint().as_bytes()),
        "scheme": public.scheme().name(),
        "elapsed_ms": elapsed_ms,
    });
    console.result(&value, || {
        format!(
            "{} made in {}; {} ready in {}, {}",
            things(missing, "randomiser"),
            duration(elapsed_ms),
            count(contents.left as u64),
            args.out.display(),
            size(contents.bytes),
        )
    })
}

fn fill(store: &Store, by: &impl Randomise, missing: usize, console: &Console) -> CliResult {
    let bar = console.progress("making randomisers");
    store
        .fill(by, missing, &mut random::system()?, &bar.units())
        .explain()
}
