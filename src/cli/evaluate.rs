//! `pdnn evaluate`: a whole data set, in the clear or encrypted.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use rand::{SeedableRng, rngs::ChaCha20Rng};
use serde::Serialize;
use serde_json::Value;

use crate::{
    dataset::Selection,
    file::{
        atomic::{Mode, Overwrite, check_writable, write_atomic},
        folder::AnyNetwork,
    },
    protocol::{Protocol, bayhenn::draw_paths, exchange::MAX_IMAGES},
    report::{
        Confusion, Judged, RunCost, StageCost, Summary, Uncertainty, count, duration, in_order,
        roc_auc, things,
    },
};

use super::{
    ahead::{Ahead, AheadOption, TableOption},
    answer::Answer,
    both_sides::{BothSides, Chunks, Phases, both_sides, forward_paths, overlap_line},
    console::Console,
    error::{CliError, CliResult, Explain, bail, one_line},
    floats::Floats,
    images::{Source, Truth},
    network,
    options::{Layout, ModelOption, Polarity, ProtocolOption, Terms},
    random,
    run::{CHUNK, KeyOptions, Keyed, drawn_line, key_line},
    tables,
};

const EXAMPLES: &str = "\
Examples:
  pdnn evaluate --data data/sample
  pdnn evaluate --data data/mnist --limit 1000 --encrypted --bits 2048
  pdnn evaluate --data data/mnist --network models/lenet5-bayes --samples 8
  pdnn evaluate --data t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz --json
  pdnn evaluate --network models/covid-symptoms --data test.csv --label-column label

A network with a list of features takes a CSV table instead of images: a heading with the features'
names and the label's, in any order, then a row a line. For two classes, balanced accuracy, the area
under the ROC curve and the share of the more frequent class are printed too.

With --encrypted every image is also classified in the clear; exit code 1 if the integer logits of
any image differ.";

/// How many images a query of a Bayesian network has here: each query is drawn
/// anew, so many queries are a fairer sample of what can be drawn than few.
const BAYESIAN_CHUNK: usize = 100;

/// Classify a data set in the clear or encrypted: accuracy, confusion matrix, differences.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
// Options shared with `run`, where nothing is in the clear.
#[command(mut_arg("protocol", |arg| arg.requires("encrypted")))]
#[command(mut_arg("key", |arg| arg.requires("encrypted")))]
#[command(mut_arg("bits", |arg| arg.requires("encrypted")))]
#[command(mut_arg("insecure", |arg| arg.requires("encrypted")))]
#[command(mut_arg("scheme", |arg| arg.requires("encrypted")))]
// A key that is made for this call has no store.
#[command(mut_arg("randomisers", |arg| arg.conflicts_with("KeySize")))]
#[command(mut_arg("scan_tables", |arg| arg.requires("encrypted")))]
pub(crate) struct Args {
    /// The images: an IDX file; a CSV file, label first; a folder with an IDX test set, or with
    /// PNG files whose names begin with the label and - or _; a CSV table with named columns.
    #[arg(long, value_name = "FOLDER|FILE")]
    data: PathBuf,

    /// The labels of an IDX file.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// The column of a CSV table with the label, or the number of the class.
    #[arg(long, value_name = "NAME", default_value = tables::LABEL)]
    label_column: String,

    /// Only the first N images.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only the images from A to before B, counted from 0.
    #[arg(long, value_name = "A..B", conflicts_with = "limit")]
    range: Option<Selection>,

    /// Whether to exchange black and white in PNG files.
    #[arg(long, value_enum, default_value_t)]
    invert: Polarity,

    #[command(flatten)]
    network: ModelOption,

    #[command(flatten)]
    protocol: ProtocolOption,

    /// Classify encrypted, and compare with the clear.
    #[arg(long)]
    encrypted: bool,

    #[command(flatten)]
    key: KeyOptions,

    #[command(flatten)]
    ahead: AheadOption,

    #[command(flatten)]
    tables: TableOption,

    /// How values share ciphertexts.
    #[arg(long, value_enum, default_value_t, requires = "encrypted")]
    layout: Layout,

    /// Images in one query: more fill slots better, fewer take less memory. A Bayesian network is
    /// drawn anew for each query, in the clear as well. [default: 1000, or 100 if Bayesian]
    #[arg(long, value_name = "N")]
    chunk: Option<usize>,

    /// Classify with the floats of a checkpoint that `pdnn train` kept, to see what quantisation
    /// costs (a program built with training).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["encrypted", "csv"])]
    float: Option<PathBuf>,

    /// Write one row for each image into this CSV file: image, truth, label, differs, logits; for a
    /// Bayesian network also probability and entropy.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// What an evaluation comes to.
#[derive(Serialize, Debug)]
struct Evaluation {
    network: String,
    images: usize,
    #[serde(flatten)]
    confusion: Confusion,
    /// Of two classes: the area under the ROC curve, the second one positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    roc_auc: Option<f64>,
    elapsed_ms: f64,
    images_per_hour: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bayesian: Option<Bayesian>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<Encrypted>,
}

/// What only the evaluation of a Bayesian network has.
#[derive(Serialize, Debug)]
struct Bayesian {
    /// Networks that were drawn for each query.
    samples: usize,
    /// Images of a query.
    chunk: usize,
    #[serde(flatten)]
    uncertainty: Summary,
}

/// What only an encrypted evaluation has.
#[derive(Serialize, Debug)]
struct Encrypted {
    protocol: &'static str,
    key_bits: u32,
    /// Images whose encrypted and clear logits differ.
    differing: usize,
    key_generation_ms: Option<f64>,
    /// Chunks of images under way at the same time: the times of `stages`
    /// overlap.
    chunks_at_once: usize,
    stages: Vec<StageCost>,
    total: StageCost,
    /// Preparation and online phase apart, where a protocol has the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    phases: Option<Value>,
    /// What became of a store of randomisers, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    randomisers: Option<Value>,
}

/// Evaluates the data set.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let range = match args.limit {
        Some(0) => bail!("--limit 0: nothing to evaluate; expected at least 1"),
        Some(limit) => Some(Selection::first(limit)),
        None => args.range,
    };
    let network = network::network(args.network.network.as_deref(), console)?;
    let profile = network.profile().clone();
    let terms = args.protocol.or_default(&profile)?;
    let chunk_size = chunk_size(&args, terms)?;
    let bayesian = terms.protocol == Protocol::Bayhenn;
    let mut rows = match &args.csv {
        Some(path) => Some(Rows::new(path, bayesian)?),
        None => None,
    };
    let images = Source::labelled(
        &args.data,
        Truth {
            file: args.labels.as_deref(),
            column: &args.label_column,
        },
        range,
        args.invert,
        &profile,
        console,
    )?;
    images.check_labels(profile.labels.len())?;
    if let Some(path) = &args.float {
        return floats(path, images, profile.labels, console);
    }
    let sides = if args.encrypted {
        Some(encrypted_sides(&args, terms, &network, console)?)
    } else {
        None
    };
    let overlaps = sides.as_ref().is_some_and(|by| by.sides.overlaps());
    let chunk_size = match &sides {
        Some(by) if args.chunk.is_none() && !bayesian => {
            by.sides.best_chunk(images.count(), chunk_size)
        }
        _ => chunk_size,
    };
    let chunks = Chunks::new(images.count(), chunk_size, overlaps);
    let mut confusion = Confusion::new(profile.labels.clone());
    let mut scores = Vec::new();
    let mut uncertainty = Uncertainty::default();
    let mut differing = 0;
    let done = images.count();
    if let Some(by) = &sides {
        by.sides.prepare(chunks.largest());
    }
    let started = Instant::now();
    let bar = console.progress(if args.encrypted {
        "classifying encrypted"
    } else {
        "classifying"
    });
    chunks.each(
        images,
        profile.stages.len(),
        &bar.units(),
        |chunk, rng, step| {
            let Some(Encrypting { sides, .. }) = &sides else {
                return Ok((in_the_clear(&network, terms, &chunk.values, rng), None));
            };
            let classified = sides.classify(&chunk.values, rng, step)?;
            let clear = sides
                .drawn_in_the_clear(&chunk.values, &classified)
                .unwrap_or_else(|| in_the_clear(&network, terms, &chunk.values, rng));
            Ok((classified.logits, Some(clear)))
        },
        |chunk, (logits, clear)| {
            let truths = &chunk.labels;
            let answers = Answer::all(&profile, &chunk.names, &logits);
            for (index, answer) in answers.iter().enumerate() {
                let truth = truths[index];
                confusion.record(truth, answer.class);
                if let Some(score) = answer.score() {
                    scores.push((score, truth == 1));
                }
                let differs = clear
                    .as_ref()
                    .is_some_and(|clear| differ(&logits, clear, index, chunk.values.len()));
                differing += usize::from(differs);
                if let Some(entropy) = answer.entropy() {
                    uncertainty.add(Judged {
                        right: truth == answer.class,
                        confidence: answer.probability(),
                        entropy,
                    });
                }
                if let Some(rows) = &mut rows {
                    rows.add(answer, &profile.labels[truth], differs)?;
                }
            }
            Ok(())
        },
    )?;
    drop(bar);
    let elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
    let cost = sides.as_ref().map(|by| by.sides.cost());
    let phases = sides.as_ref().and_then(|by| by.sides.phases());
    let randomisers = match &sides {
        Some(by) => {
            by.ahead.note(console)?;
            by.ahead.json()?
        }
        None => None,
    };
    let evaluation = Evaluation {
        network: profile.name.clone(),
        images: done,
        confusion,
        roc_auc: roc_auc(scores),
        elapsed_ms,
        images_per_hour: done as f64 * 3.6e6 / elapsed_ms,
        bayesian: bayesian.then(|| Bayesian {
            samples: terms.samples,
            chunk: chunk_size,
            uncertainty: uncertainty.summary(),
        }),
        encrypted: sides.map(
            |Encrypting {
                 sides,
                 key_generation_ms,
                 ..
             }| Encrypted {
                protocol: terms.protocol.name(),
                key_bits: sides.key_bits(),
                differing,
                key_generation_ms,
                chunks_at_once: chunks.at_once,
                stages: sides.cost().stages.clone(),
                total: sides.cost().total(),
                phases: phases.map(|phases| phases.json(done)),
                randomisers,
            },
        ),
    };
    // Neither a full disk nor a closed pipe takes the other result along.
    let printed = console.result(&evaluation, || text(&evaluation, cost.as_ref(), phases));
    if let Some(rows) = rows {
        rows.write()?;
    }
    printed?;
    if differing > 0 {
        return Err(CliError::Reported);
    }
    Ok(())
}

/// Images of a query: what was asked for, or what suits the network.
fn chunk_size(args: &Args, terms: Terms) -> CliResult<usize> {
    let bayesian = terms.protocol == Protocol::Bayhenn;
    let most = MAX_IMAGES / terms.samples;
    match args.chunk {
        Some(_) if !args.encrypted && !bayesian => {
            bail!("--chunk: no query is made in the clear; add --encrypted, or leave it out")
        }
        Some(chunk) if !(1..=most).contains(&chunk) && terms.samples > 1 => bail!(
            "--chunk {chunk}: expected 1 to {most} images with {} samples",
            terms.samples
        ),
        Some(chunk) if !(1..=most).contains(&chunk) => {
            bail!("--chunk {chunk}: expected 1 to {most} images")
        }
        Some(chunk) => Ok(chunk),
        None if bayesian => Ok(BAYESIAN_CHUNK.min(most)),
        None => Ok(CHUNK),
    }
}

/// The logits of the images of one query in the clear, weights drawn for it if
/// the network is Bayesian: all images with the first sample, then with the
/// second, and so on.
fn in_the_clear(
    network: &AnyNetwork,
    terms: Terms,
    images: &[Vec<i64>],
    rng: &mut random::System,
) -> Vec<Vec<i64>> {
    match network {
        AnyNetwork::Fixed(network) => network.forward_all(images),
        AnyNetwork::Bayesian(network) => {
            // Hundreds of thousands of draws: not one call of the system each.
            let mut draws = ChaCha20Rng::from_rng(rng);
            let paths = draw_paths(network, terms.samples, &mut draws);
            forward_paths(network, &paths, images)
        }
    }
}

/// Whether two results have different logits for image `index` of `images`, with
/// any sample.
fn differ(found: &[Vec<i64>], expected: &[Vec<i64>], index: usize, images: usize) -> bool {
    let of = |logits: &[Vec<i64>]| -> Vec<Vec<i64>> {
        logits[index..].iter().step_by(images).cloned().collect()
    };
    of(found) != of(expected)
}

/// Evaluates the float network of the checkpoint at `path`.
fn floats(path: &Path, mut images: Source, labels: Vec<String>, console: &Console) -> CliResult {
    let network = Floats::open(path)?;
    let mut confusion = Confusion::new(labels);
    let (all, started) = (images.count(), Instant::now());
    let bar = console.progress("classifying in floats");
    let (mut done, mut scores) = (0, Vec::new());
    while let Some(chunk) = images.next(CHUNK) {
        let answers = network.classify(&chunk.values)?;
        for (&truth, (class, logits)) in chunk.labels.iter().zip(answers) {
            confusion.record(truth, class);
            if let [negative, positive] = logits[..] {
                let score = f64::from(positive) - f64::from(negative);
                scores.push((in_order(score), truth == 1));
            }
        }
        done += chunk.values.len();
        bar.units()(done, all);
    }
    drop(bar);
    let elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
    let evaluation = Evaluation {
        network: format!("{} (floats)", path.display()),
        images: done,
        confusion,
        roc_auc: roc_auc(scores),
        elapsed_ms,
        images_per_hour: done as f64 * 3.6e6 / elapsed_ms,
        bayesian: None,
        encrypted: None,
    };
    console.result(&evaluation, || text(&evaluation, None, None))
}

/// Both sides, how the client comes by its randomisers, and how long the key
/// took if it was made for them.
struct Encrypting {
    sides: Box<dyn BothSides>,
    ahead: Ahead,
    key_generation_ms: Option<f64>,
}

fn encrypted_sides(
    args: &Args,
    terms: Terms,
    network: &AnyNetwork,
    console: &Console,
) -> CliResult<Encrypting> {
    let Keyed { key, made_in_ms } = args.key.key(console)?;
    let ahead = args.ahead.open(args.tables, key.public(), terms.protocol)?;
    let (named, layout) = (args.network.network.as_deref(), args.layout.into());
    let network = network.clone();
    let sides = both_sides(terms, network, named, key, layout, &ahead, console)?;
    Ok(Encrypting {
        sides,
        ahead,
        key_generation_ms: made_in_ms,
    })
}

fn text(evaluation: &Evaluation, cost: Option<&RunCost>, phases: Option<Phases>) -> String {
    let mut text = evaluation.confusion.table().text() + "\n";
    if let (Some(encrypted), Some(cost)) = (&evaluation.encrypted, cost) {
        text += &cost.table().text();
        text += "\n";
        let samples = evaluation.bayesian.as_ref().map_or(1, |b| b.samples);
        text += &drawn_line(samples, cost);
        text += &key_line(encrypted.key_bits, encrypted.key_generation_ms);
        text += &overlap_line(encrypted.chunks_at_once);
    }
    text += &format!(
        "{} in {}, {} an hour\n",
        things(evaluation.images, "image"),
        duration(evaluation.elapsed_ms),
        count(evaluation.images_per_hour as u64)
    );
    if let Some(phases) = phases {
        text += &phases.lines(evaluation.images);
    }
    if let Some(bayesian) = &evaluation.bayesian {
        text += &bayesian.text();
    }
    if let Some(encrypted) = &evaluation.encrypted {
        text += &format!(
            "{} with encrypted logits that differ from the clear ones\n",
            things(encrypted.differing, "image")
        );
    }
    text += &evaluation.confusion.summary();
    if let (Some(area), Some((label, share))) =
        (evaluation.roc_auc, evaluation.confusion.majority())
    {
        text += &format!(
            "\nbalanced accuracy {:.2} %, area under the ROC curve {area:.4}; always answering {} \
             would be right in {:.2} %",
            100.0 * evaluation.confusion.balanced_accuracy(),
            one_line(label),
            100.0 * share
        );
    }
    text
}

impl Bayesian {
    fn text(&self) -> String {
        let of = &self.uncertainty;
        let mut text = format!(
            "{} networks drawn for every {} images; mean entropy {:.4} nats, {:.4} of right labels, \
             {:.4} of wrong ones\n\n",
            self.samples,
            count(self.chunk as u64),
            of.mean_entropy,
            of.mean_entropy_right,
            of.mean_entropy_wrong
        );
        text += &of.referral_table().text();
        text += "\n";
        text += &of.reliability_table().text();
        text += &format!(
            "expected calibration error {:.4}\n\n",
            of.expected_calibration_error
        );
        text
    }
}

/// The per-image CSV file, written in one go at the end: an evaluation that is
/// interrupted leaves none rather than half of one.
struct Rows {
    writer: csv::Writer<Vec<u8>>,
    path: PathBuf,
}

impl Rows {
    fn new(path: &Path, bayesian: bool) -> CliResult<Rows> {
        check_writable(path, Overwrite::Never).about_file(path)?;
        let mut writer = csv::Writer::from_writer(Vec::new());
        let columns = ["image", "truth", "label", "differs", "logits"];
        let drawn = ["probability", "entropy"].iter().filter(|_| bayesian);
        writer
            .write_record(columns.iter().chain(drawn))
            .about_file(path)?;
        Ok(Rows {
            writer,
            path: path.to_path_buf(),
        })
    }

    fn add(&mut self, answer: &Answer, truth: &str, differs: bool) -> CliResult {
        let mut row = vec![
            answer.image.clone(),
            truth.to_string(),
            answer.label.clone(),
            differs.to_string(),
            answer.logits_text(),
        ];
        if let Some(entropy) = answer.entropy() {
            row.push(answer.probability().to_string());
            row.push(entropy.to_string());
        }
        self.writer.write_record(row).about_file(&self.path)
    }

    fn write(self) -> CliResult {
        let bytes = self.writer.into_inner().about_file(&self.path)?;
        write_atomic(&self.path, &bytes, Overwrite::Never, Mode::Shared).about_file(&self.path)
    }
}
