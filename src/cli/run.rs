//! `pdnn run`: all roles on one machine, with the cost of each stage.

use std::{path::PathBuf, time::Instant};

use serde_json::json;

use crate::{
    paillier::SecretKey,
    report::{RunCost, count, duration},
};

use super::{
    ahead::{AheadOption, TableOption},
    answer::{self, Answer},
    both_sides::{Chunks, both_sides, overlap_line},
    console::Console,
    error::{CliResult, one_line},
    images::Source,
    keys::{self, KeySize},
    network,
    options::{ImageOptions, Layout, ModelOption, ProtocolOption},
};

const EXAMPLES: &str = "\
Examples:
  pdnn run 7.png
  pdnn run data/sample --bits 2048
  pdnn run 7.png --network models/lenet5-bayes --samples 8
  pdnn run 7.png --key alice.key.json --randomisers ahead
  pdnn run t10k-images-idx3-ubyte.gz --range 0..100 --json

Client and server keep separate state; only the bytes of their messages pass between them.";

/// How many images go into one query at most: enough to fill every slot, few enough
/// that memory stays small.
pub(crate) const CHUNK: usize = 1000;

/// Classify images encrypted, all roles on this machine, and say what each stage costs.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
// A key that is made for this call has no store.
#[command(mut_arg("randomisers", |arg| arg.conflicts_with("KeySize")))]
pub(crate) struct Args {
    #[command(flatten)]
    images: ImageOptions,

    #[command(flatten)]
    key: KeyOptions,

    #[command(flatten)]
    network: ModelOption,

    #[command(flatten)]
    protocol: ProtocolOption,

    #[command(flatten)]
    ahead: AheadOption,

    #[command(flatten)]
    tables: TableOption,

    /// How values share ciphertexts.
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,

    /// Print the integer logits behind each label.
    #[arg(long)]
    logits: bool,
}

/// A key that exists, or the size of one that is made for this call only.
#[derive(clap::Args, Debug)]
pub(crate) struct KeyOptions {
    /// Use this secret key, NAME.key.json, instead of a fresh one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bits", "insecure", "scheme"])]
    key: Option<PathBuf>,

    #[command(flatten)]
    size: KeySize,
}

/// A key and, if it was made here, how long that took.
pub(crate) struct Keyed {
    /// The key.
    pub(crate) key: SecretKey,
    /// Milliseconds to make it.
    pub(crate) made_in_ms: Option<f64>,
}

impl KeyOptions {
    /// Reads the key or makes one.
    pub(crate) fn key(&self, console: &Console) -> CliResult<Keyed> {
        if let Some(path) = &self.key {
            return Ok(Keyed {
                key: keys::secret(path, console)?,
                made_in_ms: None,
            });
        }
        let started = Instant::now();
        let key = self.size.generate(console)?;
        let made_in_ms = Some(started.elapsed().as_secs_f64() * 1e3);
        Ok(Keyed { key, made_in_ms })
    }
}

/// Classifies the images.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let named = args.network.network.as_deref();
    let network = network::network(named, console)?;
    let terms = args.protocol.or_default(network.profile())?;
    let images = Source::open(&args.images, network.profile(), console)?;
    let Keyed { key, made_in_ms } = args.key.key(console)?;
    let bits = key.public().bits();

    let ahead = args.ahead.open(args.tables, key.public(), terms.protocol)?;
    let layout = args.layout.into();
    let sides = both_sides(terms, network, named, key, layout, &ahead, console)?;
    let size = sides.best_chunk(images.count(), CHUNK / terms.samples);
    let chunks = Chunks::new(images.count(), size, sides.overlaps());
    sides.prepare(chunks.largest());

    let started = Instant::now();
    let stages = sides.profile().stages.len();
    let bar = console.progress("classifying");
    let mut answers: Vec<Answer> = Vec::new();
    chunks.each(
        images,
        stages,
        &bar.units(),
        |chunk, rng, step| sides.classify(&chunk.values, rng, step),
        |chunk, classified| {
            answers.extend(Answer::all(
                sides.profile(),
                &chunk.names,
                &classified.logits,
            ));
            Ok(())
        },
    )?;
    drop(bar);
    let elapsed_ms = started.elapsed().as_secs_f64() * 1e3;

    let cost = sides.cost();
    let phases = sides.phases();
    let mut value = json!({
        "protocol": terms.protocol.name(),
        "samples": terms.samples,
        "images": answers,
        "key_bits": bits,
        "key_generation_ms": made_in_ms,
        "elapsed_ms": elapsed_ms,
        "chunks_at_once": chunks.at_once,
        "stages": cost.stages,
        "total": cost.total(),
    });
    ahead.note(console)?;
    if let Some(taken) = ahead.json()? {
        value["randomisers"] = taken;
    }
    if let Some(phases) = phases {
        value["phases"] = phases.json(answers.len());
    }
    console.result(&value, || {
        let mut text = cost.table().text();
        text += "\n";
        text += &drawn_line(terms.samples, &cost);
        text += &key_line(bits, made_in_ms);
        text += &overlap_line(chunks.at_once);
        text += &format!("classified in {}", duration(elapsed_ms));
        if answers.len() > 1 {
            text += &format!(", {} an image", duration(elapsed_ms / answers.len() as f64));
        }
        text += "\n";
        if let Some(phases) = phases {
            text += &phases.lines(answers.len());
        }
        text += "\n";
        text + &labels(&answers, args.logits)
    })
}

/// Says what key was used, and apart from all else what making it took.
pub(crate) fn key_line(bits: u32, made_in_ms: Option<f64>) -> String {
    let bits = count(bits.into());
    match made_in_ms {
        Some(ms) => format!("key of {bits} bits, made in {}\n", duration(ms)),
        None => format!("key of {bits} bits\n"),
    }
}

/// Says how many weights the server drew, if it did.
pub(crate) fn drawn_line(samples: usize, cost: &RunCost) -> String {
    match cost.total().drawn {
        0 => String::new(),
        drawn => format!(
            "{samples} samples a query, {} weights and biases drawn\n",
            count(drawn)
        ),
    }
}

/// A line for each image: its label, and how sure that is.
fn labels(answers: &[Answer], logits: bool) -> String {
    if logits {
        return answer::lines(answers, true);
    }
    let width = answers
        .iter()
        .map(|a| a.image.chars().count())
        .max()
        .unwrap_or(0);
    let lines: Vec<String> = answers
        .iter()
        .map(|a| {
            format!(
                "{:width$}  {}   {}",
                one_line(&a.image),
                one_line(&a.label),
                a.sureness()
            )
        })
        .collect();
    lines.join("\n")
}
