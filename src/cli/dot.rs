//! `pdnn dot`: scalar products of vectors that neither party shows.

mod numbers;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::{
    dataset::write_npy,
    file::{
        atomic::{Mode, Overwrite, check_target, write_atomic},
        input,
        key::Key,
    },
    protocol::{
        dot::{self, Fixed, Scale, Server, Terms, exact_text, most_bits},
        masked::{Answer, MAX_COUNT, Query, Reply, Request},
        session::Written,
    },
    report::{count, size},
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
    keys,
    messages::{self, Output, QUERY, REPLY, STANDARD_OUTPUT},
    random,
};

use numbers::NumberOptions;

const EXAMPLES: &str = "\
Example: alice has vectors, one a row of x.csv; bob has others of the same length in w.csv. Alice
learns every product of a row of hers with a row of his.
  Before, whatever her vectors will be:
    bob$   pdnn dot prepare --data w.csv -o terms.json                 to alice: sizes, bits, scale
    alice$ pdnn keygen --out alice
    alice$ pdnn dot prepare --terms terms.json --key alice.key.json --store masks --count 100 -o ask.pdnn
    bob$   pdnn dot prepare --terms terms.json --data w.csv --store masks ask.pdnn -o answer.pdnn
    alice$ pdnn dot prepare --terms terms.json --key alice.key.json --store masks answer.pdnn
  Then, as often as there are masks, with no public-key operation:
    alice$ pdnn dot mask   --terms terms.json --key alice.pub.json --store masks x.csv -o query.pdnn
    bob$   pdnn dot answer --terms terms.json --data w.csv --store masks query.pdnn -o reply.pdnn
    alice$ pdnn dot open   --terms terms.json --key alice.pub.json --store masks reply.pdnn

Numbers become integers: each is multiplied by a power of ten or two, found in the data such that
nothing is rounded, or, if that takes too many bits, the greatest that fits; a note says if anything
is rounded. From there on everything is exact, and no sum can overflow. Masks are used once, marked
used on disk before; do not copy or restore a store.";

/// Scalar products of two parties' vectors, through files, neither seeing the other's.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand, Debug)]
enum Step {
    Prepare(Prepare),
    Mask(Mask),
    Answer(AnswerArgs),
    Open(Open),
}

const SEE: &str = "Example: see pdnn dot --help for all steps of both parties.";

/// Make terms (server), a request (client), its answer (server), or take the answer in (client).
#[derive(clap::Args, Debug)]
#[command(after_help = SEE)]
struct Prepare {
    /// What came from the other side: a request or an answer.
    #[arg(value_name = "FILE", requires = "terms")]
    input: Option<PathBuf>,

    /// The terms that the server made.
    #[arg(long, value_name = "FILE", requires = "store")]
    terms: Option<PathBuf>,

    /// The server's numbers: CSV or .npy, a vector a row.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    data: Option<PathBuf>,

    /// The client's secret key, NAME.key.json.
    #[arg(long, value_name = "FILE", requires = "terms")]
    key: Option<PathBuf>,

    /// For how many vectors the client asks masks.
    #[arg(long, value_name = "N", requires = "key", conflicts_with = "input")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MAX_COUNT as u64))]
    count: Option<u64>,

    /// The folder that keeps this side's masks; made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,

    /// Bits of the client's numbers, for new terms [default: as many as there is room for, at
    /// most 24].
    #[arg(long, value_name = "BITS", conflicts_with = "terms")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=31))]
    client_bits: Option<u32>,

    #[command(flatten)]
    numbers: NumberOptions,

    /// Where to write the terms, the request or the answer; - is standard output.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Mask the client's vectors (client).
#[derive(clap::Args, Debug)]
#[command(after_help = SEE)]
struct Mask {
    /// The client's numbers: CSV or .npy, a vector a row.
    #[arg(value_name = "FILE")]
    data: PathBuf,

    #[command(flatten)]
    side: ClientSide,

    /// Multiply the numbers by 2^N instead of a power found in the data.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(Scale::MAX_EXPONENT)))]
    scale_bits: Option<u32>,

    /// Where to write the masked vectors.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

/// What the client's online steps need.
#[derive(clap::Args, Debug)]
struct ClientSide {
    /// The terms that the server made.
    #[arg(long, value_name = "FILE")]
    terms: PathBuf,

    /// The client's key, NAME.pub.json or NAME.key.json; only its fingerprint is used.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The folder with the client's masks.
    #[arg(long, value_name = "FOLDER")]
    store: PathBuf,
}

/// Answer masked vectors (server).
#[derive(clap::Args, Debug)]
#[command(after_help = SEE)]
struct AnswerArgs {
    /// The masked vectors.
    #[arg(value_name = "FILE")]
    query: PathBuf,

    /// The terms that the server made.
    #[arg(long, value_name = "FILE")]
    terms: PathBuf,

    /// The server's numbers: CSV or .npy, a vector a row.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,

    /// The folder with the server's masks.
    #[arg(long, value_name = "FOLDER")]
    store: PathBuf,

    /// Where to write the answer.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

/// Print the products: a row for each of the client's vectors (client).
#[derive(clap::Args, Debug)]
#[command(after_help = SEE)]
struct Open {
    /// The server's answer.
    #[arg(value_name = "FILE")]
    reply: PathBuf,

    #[command(flatten)]
    side: ClientSide,

    /// Write the products into this file, .csv (exact) or .npy (8-byte floats, rounded), instead
    /// of printing them; - prints them.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does one step.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    match args.step {
        Step::Prepare(args) => prepare(&args, console),
        Step::Mask(args) => mask(&args, console),
        Step::Answer(args) => answer(&args, console),
        Step::Open(args) => open(&args, console),
    }
}

/// Longest terms that are read.
const MAX_TERMS: u64 = 1 << 16;

fn read_terms(path: &Path) -> CliResult<Terms> {
    let bytes = input::read_all(path, MAX_TERMS).about_file(path)?;
    let text = std::str::from_utf8(&bytes).about_file(path)?;
    Terms::from_json(text).about_file(path)
}

fn prepare(args: &Prepare, console: &Console) -> CliResult {
    match (&args.terms, &args.store, &args.input, &args.data, &args.key) {
        (None, None, None, Some(data), None) => make_terms(args, data, console),
        (Some(terms), Some(store), None, None, Some(key)) => ask(args, terms, store, key, console),
        (Some(terms), Some(store), Some(request), Some(data), None) => {
            grant(args, terms, store, request, data, console)
        }
        (Some(terms), Some(store), Some(answer), None, Some(key)) => {
            take_in(args, terms, store, answer, key, console)
        }
        _ => bail!(
            "these options make no step of the preparation; give --data for new terms, --terms \
             --key --store --count for a request, with the request --terms --data --store to \
             answer it, with the answer --terms --key --store to take it in"
        ),
    }
}

fn out<'a>(args: &'a Prepare, what: &str) -> CliResult<&'a Path> {
    match &args.out {
        Some(out) => Ok(out),
        None => bail!("say with -o where to write the {what}"),
    }
}

/// The server looks at its numbers and says what anyone may know of them.
fn make_terms(args: &Prepare, data: &Path, console: &Console) -> CliResult {
    /// Bits that are enough for most numbers.
    const USUAL: u32 = 24;
    let out = out(args, "terms")?;
    let to_stdout = out == Path::new("-");
    if !to_stdout {
        check_target(out, Overwrite::Never).about_file(out)?;
    }
    let numbers = numbers::read(data, None)?;
    let length = numbers[0].len();
    let bits = match args.numbers.bits {
        Some(bits) => bits,
        // Such that the client's may have as many.
        None => (1..=USUAL)
            .rev()
            .find(|&bits| most_bits(length, bits) >= bits)
            .unwrap_or(1),
    };
    let fixed = Fixed::new(&numbers, bits, args.numbers.scale()).about_file(data)?;
    say_rounding(&fixed, data, console);
    let server_bits = fixed.bits();
    let client_bits = args
        .client_bits
        .unwrap_or(most_bits(length, server_bits).clamp(1, USUAL));
    let terms = Terms::new(
        [length, fixed.vectors.len()],
        [client_bits, server_bits],
        fixed.scale,
        &mut random::system()?,
    )
    .explain()?;
    if to_stdout {
        return console.print(terms.to_json().trim_end());
    }
    write_atomic(
        out,
        terms.to_json().as_bytes(),
        Overwrite::Never,
        Mode::Shared,
    )
    .about_file(out)?;
    let value = json!({
        "status": "terms",
        "length": length,
        "vectors": terms.vectors,
        "client_bits": client_bits,
        "server_bits": server_bits,
        "server_scale": fixed.scale.to_string(),
        "exact": fixed.exact,
        "ring_bits": terms.ring_bits(),
    });
    console.result(&value, || {
        format!(
            "{}: {} vectors of {}, integers of {server_bits} bits at {}; the client's may have \
             {client_bits}; ring of {} bits",
            out.display(),
            count(terms.vectors as u64),
            count(length as u64),
            fixed.scale,
            terms.ring_bits()
        )
    })
}

/// Says that numbers were rounded, if they were.
fn say_rounding(fixed: &Fixed, data: &Path, console: &Console) {
    if !fixed.exact {
        console.note(&format!(
            "{}: numbers are rounded to multiples of 1/{}; with more bits fewer would be",
            data.display(),
            fixed.scale
        ));
    }
}

/// Says what was written: as a note, and with `--json` as the result too, unless
/// the file itself went to standard output.
fn said(what: &str, vectors: usize, written: &Written, note: &str, console: &Console) -> CliResult {
    console.note(note);
    if !console.json() || written.path == Path::new(STANDARD_OUTPUT) {
        return Ok(());
    }
    console.print_json(&json!({
        "status": what,
        "written": written.path.display().to_string(),
        "bytes": written.bytes,
        "vectors": vectors,
    }))
}

fn ask(args: &Prepare, terms: &Path, store: &Path, key: &Path, console: &Console) -> CliResult {
    let Some(wanted) = args.count else {
        bail!("say with --count for how many vectors to ask masks");
    };
    let output = Output::new(out(args, "request")?.to_path_buf(), Request::KIND.name)?;
    let terms = read_terms(terms)?;
    let key = keys::secret(key, console)?;
    let preparation = dot::preparation(&terms, key, store).explain()?;
    let bar = console.progress("preparing");
    let request = preparation
        .ask(wanted as usize, &mut random::system()?, &bar.units())
        .explain()?;
    drop(bar);
    let written = output.write(&request.to_bytes(), console)?;
    let note = format!(
        "{}: a request for {} vectors, {}; for the server",
        written.path.display(),
        count(wanted),
        size(written.bytes as u64)
    );
    said("request", wanted as usize, &written, &note, console)
}

/// The server with its numbers as the terms want them.
fn server(terms: &Terms, data: &Path, store: &Path, create: bool) -> CliResult<Server> {
    let numbers = numbers::read(data, Some(terms.length))?;
    let fixed =
        Fixed::new(&numbers, terms.server_bits, Some(terms.server_scale)).about_file(data)?;
    Server::new(terms, &fixed, store, create).about_file(data)
}

fn grant(
    args: &Prepare,
    terms: &Path,
    store: &Path,
    path: &Path,
    data: &Path,
    console: &Console,
) -> CliResult {
    let output = Output::new(out(args, "answer")?.to_path_buf(), Answer::KIND.name)?;
    let terms = read_terms(terms)?;
    let request = Request::from_bytes(&messages::read_large(path)?).about_file(path)?;
    keys::warn_if_insecure(request.key(), path, console);
    let server = server(&terms, data, store, true)?;
    let bar = console.progress("preparing");
    let answer = server
        .prepare(&request, &mut random::system()?, &bar.units())
        .about_file(path)?;
    drop(bar);
    let written = output.write(&answer.to_bytes(), console)?;
    let vectors = request.batch().count;
    let note = format!(
        "{}: masks for {} vectors, {}; for the client",
        written.path.display(),
        count(vectors as u64),
        size(written.bytes as u64)
    );
    said("answer", vectors, &written, &note, console)
}

fn take_in(
    args: &Prepare,
    terms: &Path,
    store: &Path,
    path: &Path,
    key: &Path,
    console: &Console,
) -> CliResult {
    if args.out.is_some() {
        bail!("an answer goes into the store; leave -o out");
    }
    let terms = read_terms(terms)?;
    let answer = Answer::from_bytes(&messages::read_large(path)?).about_file(path)?;
    let preparation = dot::preparation(&terms, keys::secret(key, console)?, store).explain()?;
    let bar = console.progress("preparing");
    preparation.finish(&answer, &bar.units()).about_file(path)?;
    drop(bar);
    let left = preparation.left().explain()?;
    let value = json!({ "status": "prepared", "left": left });
    console.result(&value, || {
        format!(
            "masks for {} vectors are ready in {}",
            count(left as u64),
            store.display()
        )
    })
}

impl ClientSide {
    fn open(&self, console: &Console) -> CliResult<(Terms, crate::protocol::masked::Client)> {
        let terms = read_terms(&self.terms)?;
        let key = match keys::either(&self.key, console)? {
            Key::Public(key) => key.fingerprint(),
            Key::Secret(key) => key.public().fingerprint(),
        };
        let client = dot::client(&terms, key, &self.store).explain()?;
        Ok((terms, client))
    }
}

fn mask(args: &Mask, console: &Console) -> CliResult {
    let output = Output::new(args.out.clone(), QUERY)?;
    let (terms, client) = args.side.open(console)?;
    let numbers = numbers::read(&args.data, Some(terms.length))?;
    let scale = args.scale_bits.map(numbers::binary);
    let fixed = Fixed::new(&numbers, terms.client_bits, scale).about_file(&args.data)?;
    say_rounding(&fixed, &args.data, console);
    let store = &args.side.store;
    let query =
        dot::mask(&terms, &client, &fixed, store, &mut random::system()?).about_file(&args.data)?;
    let written = output.write(&query.to_bytes(), console)?;
    let note = format!(
        "{}: {} masked vectors, {}; for the server; masks for {} more",
        written.path.display(),
        count(fixed.vectors.len() as u64),
        size(written.bytes as u64),
        count(client.left().explain()? as u64)
    );
    said("query", fixed.vectors.len(), &written, &note, console)
}

fn answer(args: &AnswerArgs, console: &Console) -> CliResult {
    let output = Output::new(args.out.clone(), REPLY)?;
    let terms = read_terms(&args.terms)?;
    let bytes = messages::read_large(&args.query)?;
    let query = Query::from_bytes(&bytes).about_file(&args.query)?;
    let server = server(&terms, &args.data, &args.store, false)?;
    let reply = server.answer(&query).about_file(&args.query)?;
    let written = output.write(&reply.to_bytes(), console)?;
    let note = format!(
        "{}: {}; for the client",
        written.path.display(),
        size(written.bytes as u64)
    );
    said("reply", reply.header().images, &written, &note, console)
}

fn open(args: &Open, console: &Console) -> CliResult {
    let out = args.out.as_ref().filter(|out| *out != Path::new("-"));
    if let Some(out) = out {
        check_target(out, Overwrite::Never).about_file(out)?;
    }
    let (terms, client) = args.side.open(console)?;
    let bytes = messages::read_large(&args.reply)?;
    let reply = Reply::from_bytes(&bytes).about_file(&args.reply)?;
    let (products, scale) = dot::open(&client, &reply, &args.side.store).about_file(&args.reply)?;
    let scales = [scale, terms.server_scale];
    let exact: Vec<Vec<String>> = products
        .iter()
        .map(|row| row.iter().map(|&p| exact_text(p, scales)).collect())
        .collect();
    let lines: Vec<String> = exact.iter().map(|row| row.join(",")).collect();
    let Some(out) = out else {
        let value = json!({
            "products": exact,
            "integers": products,
            "scales": scales.map(|scale| scale.to_string()),
        });
        return console.result(&value, || lines.join("\n"));
    };
    let npy = out
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("npy"));
    let bytes = if npy {
        // The shortest decimal text of a number reads back as the nearest.
        let cells = exact.iter().flatten();
        let values: Vec<f64> = cells.map(|text| text.parse().unwrap_or(f64::NAN)).collect();
        write_npy(products.len(), terms.vectors, &values)
    } else {
        (lines.join("\n") + "\n").into_bytes()
    };
    write_atomic(out, &bytes, Overwrite::Never, Mode::Private).about_file(out)?;
    console.note(&format!(
        "{}: {} x {} products",
        out.display(),
        count(products.len() as u64),
        count(terms.vectors as u64)
    ));
    if console.json() {
        console.print_json(&json!({
            "status": "products",
            "written": out.display().to_string(),
            "rows": products.len(),
            "columns": terms.vectors,
        }))?;
    }
    Ok(())
}
