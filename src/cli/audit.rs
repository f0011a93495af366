//! `pdnn audit`: what a client can learn of the server's weights.

mod output;
mod server;

use std::{path::PathBuf, time::Instant};

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    audit::{
        Service, chosen, natural, repeat,
        score::{Agreement, Point, Truth},
    },
    file::atomic::{Overwrite, check_writable},
    protocol::{Protocol, exchange::MAX_IMAGES},
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
    images::{self, Source},
    options::{ModelOption, Polarity, ProtocolOption},
    run::KeyOptions,
    tables,
};

use server::{Known, SessionOptions};

const EXAMPLES: &str = "\
Examples:
  pdnn audit --images data/mnist
  pdnn audit --attack chosen --csv audit.csv --plot audit.svg
  pdnn audit --attack natural --images data/mnist --queries 2000 --json
  pdnn audit --attack chosen --session monday     while the server runs
                                                  pdnn infer --session monday --follow

The auditor is a client with a key of its own, against the real server code. The true weights serve
to score what it recovers, and nothing else. Natural queries take the first images of --images, the
rest score the recovered network; the pictures in data/sample are too few for either, so take a
whole data set such as MNIST. Without --images there are no natural queries and no agreement. Keys
of any length give the same answers: 2048 bits unless --bits says otherwise.";

/// Measure what a client can learn of the server's weights.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("bits", |arg| arg.default_value("2048")))]
pub(crate) struct Args {
    #[command(flatten)]
    network: ModelOption,

    #[command(flatten)]
    protocol: ProtocolOption,

    /// What to try, with commas between several. [default: all that apply]
    #[arg(long, value_enum, value_name = "ATTACK", value_delimiter = ',')]
    attack: Vec<Attack>,

    /// Images for natural queries and to compare networks on: as --data of pdnn evaluate.
    #[arg(long, value_name = "FOLDER|FILE")]
    images: Option<PathBuf>,

    /// The labels of an IDX file.
    #[arg(long, value_name = "FILE", requires = "images")]
    labels: Option<PathBuf>,

    /// The column of a CSV table with the label, or the number of the class.
    #[arg(long, value_name = "NAME", default_value = tables::LABEL)]
    label_column: String,

    /// How many images the honest client classifies, at most 4096.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    queries: usize,

    /// How many answers of each layer are averaged.
    #[arg(long, value_name = "N", default_value_t = 64)]
    repeats: usize,

    #[command(flatten)]
    key: KeyOptions,

    #[command(flatten)]
    session: SessionOptions,

    /// Write every point of every curve into this CSV file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Draw error and agreement against the number of answers into this SVG file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// What an auditor may try.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    /// Plaintexts of its own choice, many weights to a ciphertext.
    Chosen,
    /// Only images, and least squares.
    Natural,
    /// Chosen plaintexts over and over, and averages (where weights are drawn).
    Repeat,
}

impl Attack {
    fn name(self) -> &'static str {
        match self {
            Attack::Chosen => "chosen",
            Attack::Natural => "natural",
            Attack::Repeat => "repeat",
        }
    }

    /// What its answers are counted in.
    fn unit(self) -> &'static str {
        match self {
            Attack::Chosen => "query to each layer",
            Attack::Natural => "images",
            Attack::Repeat => "answers of each layer",
        }
    }
}

/// Everything that an audit found.
#[derive(Serialize)]
struct Audit {
    protocol: &'static str,
    /// Sets of weights that answer a query.
    samples: usize,
    network: String,
    key_bits: u32,
    /// Whether the true weights were at hand.
    scored: bool,
    /// How the true network does on the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    truth: Option<Agreement>,
    elapsed_ms: f64,
    attacks: Vec<Found>,
}

/// What one attack found.
#[derive(Serialize)]
struct Found {
    attack: &'static str,
    counted: &'static str,
    elapsed_ms: f64,
    points: Vec<Point>,
}

/// Images as the auditor and its judge take them.
#[derive(Default)]
struct Images {
    natural: Vec<Vec<i64>>,
    scored: Vec<Vec<i64>>,
    labels: Vec<usize>,
}

/// Audits.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    if !(1..=MAX_IMAGES).contains(&args.queries) {
        bail!(
            "--queries {}: expected 1 to {MAX_IMAGES} images",
            args.queries
        );
    }
    if args.repeats == 0 {
        bail!("--repeats 0: nothing to average; expected at least 1");
    }
    for path in [&args.csv, &args.plot].into_iter().flatten() {
        check_writable(path, Overwrite::Never).about_file(path)?;
    }
    let known = Known::of(&args.network, &args.session, console)?;
    let terms = args.protocol.or_default(known.profile())?;
    let attacks = attacks(&args, terms.protocol)?;
    args.session.check(attacks.len())?;
    let repeats = repeats(&args, &attacks, terms.samples, console);
    if attacks.contains(&Attack::Natural) && args.queries * terms.samples > MAX_IMAGES {
        bail!(
            "--queries {} with {} samples each: expected at most {MAX_IMAGES} in all; ask for \
             fewer",
            args.queries,
            terms.samples
        );
    }
    let images = split_images(&args, &attacks, &known, console)?;
    let key = args.key.key(console)?.key;

    let started = Instant::now();
    let truth = known
        .mean_network()
        .map(|network| Truth::new(network, images.scored.clone(), images.labels.clone()));
    let mut found = Vec::new();
    for &attack in &attacks {
        // A service of its own, so that traffic is counted by attack.
        let mut service = known.service(terms, key.clone(), &args.session)?;
        let begun = Instant::now();
        let points = play(
            attack,
            repeats,
            service.as_mut(),
            &images,
            truth.as_ref(),
            console,
        )?;
        found.push(Found {
            attack: attack.name(),
            counted: attack.unit(),
            elapsed_ms: begun.elapsed().as_secs_f64() * 1e3,
            points,
        });
    }
    let audit = Audit {
        protocol: terms.protocol.name(),
        samples: terms.samples,
        network: known.profile().name.clone(),
        key_bits: key.public().bits(),
        scored: truth.is_some(),
        truth: truth.as_ref().and_then(Truth::accuracy),
        elapsed_ms: started.elapsed().as_secs_f64() * 1e3,
        attacks: found,
    };
    // Neither a full disk nor a closed pipe takes the other results along.
    let printed = console.result(&audit, || output::text(&audit));
    output::write(args.csv.as_deref(), || output::csv(&audit))?;
    output::write(args.plot.as_deref(), || output::svg(&audit))?;
    printed
}

/// The attacks that were asked for, or all that apply.
fn attacks(args: &Args, protocol: Protocol) -> CliResult<Vec<Attack>> {
    let drawn = server::draws_weights(protocol);
    if args.attack.is_empty() {
        let single = if drawn {
            Attack::Repeat
        } else {
            Attack::Chosen
        };
        let natural = args.images.is_some().then_some(Attack::Natural);
        // A session has room for one attack.
        return Ok(match (args.session.is_given(), natural) {
            (false, Some(natural)) => vec![single, natural],
            _ => vec![single],
        });
    }
    if args.attack.contains(&Attack::Repeat) && !drawn {
        bail!(
            "--attack repeat: {protocol} answers the same query the same way every time, so there \
             is nothing to average; expected chosen or natural"
        );
    }
    if args.attack.contains(&Attack::Natural) && args.images.is_none() {
        bail!(
            "--attack natural: needs images to classify; name a data set with --images, such as \
             MNIST (scripts/fetch-mnist.sh)"
        );
    }
    let mut attacks = args.attack.clone();
    attacks.dedup();
    Ok(attacks)
}

/// How many answers are averaged: a session has but one query for each layer.
fn repeats(args: &Args, attacks: &[Attack], samples: usize, console: &Console) -> usize {
    if args.session.is_given() && attacks.contains(&Attack::Repeat) && args.repeats > samples {
        console.note(&format!(
            "a session has one query for each layer: {samples} answers are averaged, as many as \
             --samples says"
        ));
        return samples;
    }
    args.repeats
}

/// Natural images first, the rest to score with.
fn split_images(
    args: &Args,
    attacks: &[Attack],
    known: &Known,
    console: &Console,
) -> CliResult<Images> {
    let Some(path) = &args.images else {
        return Ok(Images::default());
    };
    let profile = known.profile();
    let source = Source::labelled(
        path,
        images::Truth {
            file: args.labels.as_deref(),
            column: &args.label_column,
        },
        None,
        Polarity::Auto,
        profile,
        console,
    )?;
    source.check_labels(profile.labels.len())?;
    let natural = match attacks.contains(&Attack::Natural) {
        true => args.queries,
        false => 0,
    };
    if source.count() <= natural {
        bail!(
            "{}: holds {} images, but {natural} are natural queries and the rest score the \
             recovered network; name a larger data set, or fewer --queries",
            path.display(),
            source.count()
        );
    }
    let mut all = source.all();
    let scored = all.values.split_off(natural);
    Ok(Images {
        natural: all.values,
        scored,
        labels: all.labels.split_off(natural),
    })
}

/// One attack; what is known as it goes on.
fn play(
    attack: Attack,
    repeats: usize,
    service: &mut dyn Service,
    images: &Images,
    truth: Option<&Truth>,
    console: &Console,
) -> CliResult<Vec<Point>> {
    /// Steps of the progress bar.
    const STEPS: f64 = 10_000.0;
    let bar = console.progress(match attack {
        Attack::Chosen => "chosen queries",
        Attack::Natural => "natural queries",
        Attack::Repeat => "repeated queries",
    });
    let progress = |part: f64| bar.units()((part * STEPS) as usize, STEPS as usize);
    let mut points = Vec::new();
    match attack {
        Attack::Chosen => {
            let model = chosen::attack(service, &progress).explain()?;
            points.push(Point::new(1, &model, service, truth));
        }
        Attack::Natural => {
            let curve = natural::attack(service, &images.natural, &progress).explain()?;
            let point = |(count, model)| Point::new(count, &model, service, truth);
            points.extend(curve.into_iter().map(point));
        }
        Attack::Repeat => {
            let mut see = |count, model, service: &dyn Service| {
                points.push(Point::new(count, &model, service, truth));
            };
            repeat::attack(service, repeats, &mut see, &progress).explain()?;
        }
    }
    Ok(points)
}
