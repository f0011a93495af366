//! `pdnn prepare`: the masked protocol's public-key work, ahead of the inputs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    protocol::masked::{Answer, MAX_COUNT, Preparation, Request, Server, batch_size},
    report::{count, things},
};

use super::{
    console::{Bar, Console},
    error::{CliResult, Explain, bail},
    keys,
    messages::{self, Output},
    network, random,
};

const EXAMPLES: &str = "\
Examples:
  client$ pdnn prepare --key alice.key.json --count 500 --store masks -o ask.pdnn
  server$ pdnn prepare ask.pdnn --store masks -o answer.pdnn
  client$ pdnn prepare --key alice.key.json --store masks answer.pdnn
  client$ pdnn encrypt --protocol masked --key alice.pub.json --store masks 7.png -o query.pdnn
  server$ pdnn infer --store masks query.pdnn -o reply.pdnn
  client$ pdnn decrypt --key alice.key.json --store masks reply.pdnn -o query.pdnn
  Many thousand: name folders, which are filled with numbered files. The same command again goes on
  where it was interrupted:
    client$ pdnn prepare --key alice.key.json --count 20000 --store masks -o ask/
    server$ pdnn prepare ask/ --store masks -o answer/
    client$ pdnn prepare --key alice.key.json --store masks answer/

Every mask serves one prediction and is marked used on disk before. Do not copy or restore a store:
an old copy does not know what was used since.";

/// Prepare masks for the masked protocol, before there is anything to classify.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What came from the other side: a request (server) or an answer (client), a file or a
    /// folder of them. Without it, a request is made.
    #[arg(value_name = "FILE|FOLDER")]
    input: Option<PathBuf>,

    /// The client's secret key, NAME.key.json.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// The network: a profile file or a folder; the server's with its model. [default: the
    /// built-in LeNet-5]
    #[arg(long, value_name = "PROFILE|FOLDER")]
    network: Option<PathBuf>,

    /// For how many predictions to ask, at most a million at once.
    #[arg(long, value_name = "N", requires = "key", conflicts_with = "input",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    count: Option<usize>,

    /// Slots so many bits wider than the profile demands, where the server says so.
    #[arg(long, value_name = "BITS", default_value_t = 0, requires = "count",
          value_parser = clap::value_parser!(u32).range(0..=64))]
    extra_bits: u32,

    /// The folder that keeps this side's masks; made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    store: PathBuf,

    /// Where to write the request or the answer: a file, or a folder for many.
    #[arg(long, short, value_name = "FILE|FOLDER")]
    out: Option<PathBuf>,
}

/// Asks, answers or takes in an answer.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let Some(input) = args.input.clone() else {
        return ask(&args, console);
    };
    let files = inputs(&input)?;
    let Some(first) = files.first() else {
        bail!("{}: holds no .pdnn files", input.display());
    };
    match messages::kind_of(first).as_deref() {
        Some(kind) if kind == Answer::KIND.name => finish(&args, &files, console),
        // Whatever else it is, its reader says what is wrong with it.
        _ => answer(&args, &input, &files, console),
    }
}

/// A file, or the `.pdnn` files of a folder by name.
fn inputs(path: &Path) -> CliResult<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).about_file(path)? {
        let file = entry.about_file(path)?.path();
        if file.extension().is_some_and(|end| end == "pdnn") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Progress over several parts of the same size.
fn part(bar: &Bar, number: usize, parts: usize) -> impl Fn(usize, usize) + Sync + '_ {
    let units = bar.units();
    move |done, all| units(number * all + done, parts * all)
}

fn preparation(args: &Args, console: &Console) -> CliResult<Preparation> {
    let Some(key) = &args.key else {
        bail!("the client prepares with its secret key; give it with --key NAME.key.json");
    };
    let key = keys::secret(key, console)?;
    let profile = network::profile(args.network.as_deref(), console)?;
    Preparation::new(profile, key, &args.store, args.extra_bits).explain()
}

fn out(args: &Args, what: &str) -> CliResult<PathBuf> {
    match &args.out {
        Some(out) => Ok(out.clone()),
        None => bail!("say with -o where to write the {what}"),
    }
}

/// The client asks.
fn ask(args: &Args, console: &Console) -> CliResult {
    let Some(wanted) = args.count else {
        bail!(
            "nothing to do; give --key and --count to ask for masks, or the request or answer \
             that came from the other side"
        );
    };
    if wanted == 0 {
        bail!("--count 0: nothing to prepare; expected at least 1");
    }
    let out = out(args, "request")?;
    let preparation = preparation(args, console)?;
    let batch = batch_size(preparation.profile(), preparation.key_bits())
        .explain()?
        .min(MAX_COUNT);
    let many = out.is_dir() || wanted > batch || out.as_os_str().to_string_lossy().ends_with('/');
    let counts: Vec<usize> = (0..wanted)
        .step_by(batch)
        .map(|first| batch.min(wanted - first))
        .collect();
    if many {
        folder(&out)?;
    }
    let bar = console.progress("preparing");
    let mut rng = random::system()?;
    let mut files = Vec::new();
    for (number, &wanted) in counts.iter().enumerate() {
        let path = if many {
            out.join(format!("{:05}.pdnn", number + 1))
        } else {
            out.clone()
        };
        if many && path.exists() {
            // Made before an interruption, unless it is of another store.
            let made = Request::from_bytes(&messages::read_large(&path)?).about_file(&path)?;
            let batch = made.batch();
            let ours = preparation.waits_for(batch.id) || preparation.has(batch.id);
            if !ours || batch.count != wanted {
                bail!(
                    "{}: exists and is no request of this store for {}; choose another folder",
                    path.display(),
                    things(wanted, "prediction")
                );
            }
            continue;
        }
        let output = Output::new(path.clone(), Request::KIND.name)?;
        let request = preparation
            .ask(wanted, &mut rng, &part(&bar, number, counts.len()))
            .explain()?;
        output.write(&request.to_bytes(), console)?;
        files.push(path.display().to_string());
    }
    drop(bar);
    console.note(&format!(
        "{}: a request for masks for {}; for the server",
        out.display(),
        things(wanted, "prediction")
    ));
    if console.json() {
        console.print_json(&json!({
            "status": "request",
            "predictions": wanted,
            "files": files,
        }))?;
    }
    Ok(())
}

fn folder(path: &Path) -> CliResult {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir(path).about_file(path)
}

/// The server answers.
fn answer(args: &Args, input: &Path, files: &[PathBuf], console: &Console) -> CliResult {
    if args.key.is_some() {
        bail!("a server answers requests without a key; leave --key out");
    }
    let out = out(args, "answer")?;
    let many = input.is_dir();
    let network = network::fixed(args.network.as_deref(), console)?;
    let server = Server::new(network, &args.store, true).explain()?;
    if many {
        folder(&out)?;
    }
    let bar = console.progress("preparing");
    let mut rng = random::system()?;
    let (mut done, mut written) = (0, Vec::new());
    for (number, file) in files.iter().enumerate() {
        let path = match file.file_name() {
            Some(name) if many => out.join(name),
            _ => out.clone(),
        };
        if many && path.exists() && messages::kind_of(&path).as_deref() == Some(Answer::KIND.name) {
            continue;
        }
        let output = Output::new(path.clone(), Answer::KIND.name)?;
        let request = Request::from_bytes(&messages::read_large(file)?).about_file(file)?;
        keys::warn_if_insecure(request.key(), file, console);
        let prepared = server
            .prepare(&request, &mut rng, &part(&bar, number, files.len()))
            .about_file(file)?;
        done += request.batch().count;
        output.write(&prepared.answer.to_bytes(), console)?;
        written.push(path.display().to_string());
    }
    drop(bar);
    console.note(&format!(
        "{}: masks for {}; for the client",
        out.display(),
        things(done, "prediction")
    ));
    if console.json() {
        console.print_json(&json!({
            "status": "answer",
            "predictions": done,
            "files": written,
        }))?;
    }
    Ok(())
}

/// The client takes in answers.
fn finish(args: &Args, files: &[PathBuf], console: &Console) -> CliResult {
    if let Some(out) = &args.out {
        bail!(
            "{}: an answer goes into the store; leave -o out",
            out.display()
        );
    }
    let preparation = preparation(args, console)?;
    let bar = console.progress("preparing");
    let mut taken = 0;
    for (number, file) in files.iter().enumerate() {
        let answer = Answer::from_bytes(&messages::read_large(file)?).about_file(file)?;
        let batch = answer.batch();
        if preparation.has(batch.id) {
            console.debug(&format!("{}: is in the store already", file.display()));
            continue;
        }
        preparation
            .finish(&answer, &part(&bar, number, files.len()))
            .about_file(file)?;
        taken += batch.count;
    }
    drop(bar);
    let left = preparation.left().explain()?;
    let value = json!({ "status": "prepared", "predictions": taken, "left": left });
    console.result(&value, || {
        format!(
            "masks for {} taken in; {} in {} ready",
            things(taken, "prediction"),
            count(left as u64),
            args.store.display()
        )
    })
}
