//! `pdnn inspect`: what a file is, without its secrets.

mod masked;
mod model;
mod plan;
mod work;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    file::{
        container::{Container, Kind, hex},
        folder::{AnyNetwork, load_any},
        key::{self, Key},
    },
    network::{Linear, Profile, Shape},
    paillier::{PublicKey, Scheme},
    protocol::{
        Protocol,
        exchange::{Header, Query, Reply},
        randomisers::Store,
    },
    report::{Align, Table, size},
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail, one_line},
    keys::KeySize,
    messages, network,
};
use work::Work;

const EXAMPLES: &str = "\
Examples:
  pdnn inspect query.pdnn
  pdnn inspect models/lenet5/profile.json
  pdnn inspect --json alice.key.json       says nothing secret about the key
  pdnn inspect models/lenet5 --bits 2048   what each layer takes, encrypted
  pdnn inspect ahead                       how many randomisers are left in a store, of which key

Of a network, what 2P-DNN takes for one image and for as many as fill every ciphertext: exact
counts, of ciphertexts both ways and of the server's products, squarings and inversions modulo
n², without re-randomising. The method is the quickest of those that --json lists with their
counts; common pairs are among them where pdnn plan has looked for them. Sizes are those of the
ciphertexts, without the files' headers.";

/// Say what a file is: key, profile, model, plan, network, query, reply, or a store of randomisers.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file, or the folder of a network or a store; - is standard input.
    #[arg(value_name = "FILE|FOLDER")]
    file: PathBuf,

    /// The key with which a network's layers are counted: 2048, 3072 or 4096 bits
    /// [default: 3072].
    #[arg(long, value_name = "BITS")]
    bits: Option<u32>,

    /// Allow keys shorter than 2048 bits, which can be broken: for tests only.
    #[arg(long, requires = "bits")]
    insecure: bool,
}

/// Says what the file is.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let path = &args.file;
    if Store::is_at(path) {
        if args.bits.is_some() {
            bail!(
                "{}: is a store of randomisers; --bits is for a network, whose layers are counted",
                path.display()
            );
        }
        let facts = store_facts(path)?;
        return console.result(&facts.json(), || facts.text());
    }
    if path.is_dir() {
        let size = KeySize::new(args.bits, args.insecure);
        let facts = network_facts(path, size.checked()?, console)?;
        return console.result(&facts.json(), || facts.text());
    }
    if args.bits.is_some() {
        bail!(
            "{}: is no folder; --bits is for a network, whose layers are counted",
            path.display()
        );
    }
    let bytes = Zeroizing::new(messages::read(path)?);
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    let facts = if first == Some(&b'{') {
        json_file(path, &bytes)?
    } else {
        container_file(path, &bytes)?
    };
    console.result(&facts.json(), || facts.text())
}

/// What is known of a file: lines for people, members for programs, and a
/// table of layers if it has any, and what they take encrypted.
struct Facts {
    members: Vec<(&'static str, Value)>,
    layers: Vec<Value>,
    work: Vec<Work>,
}

impl Facts {
    fn new(kind: &str) -> Facts {
        Facts {
            members: vec![("kind", kind.into())],
            layers: Vec::new(),
            work: Vec::new(),
        }
    }

    /// What all files with a network's numbers say of themselves.
    fn of_container(kind: &str, container: &Container, bytes: usize) -> Facts {
        let mut facts = Facts::new(kind).with("bytes", bytes);
        for name in ["name", "network", "topology"] {
            if let Ok(value) = container.get(name) {
                facts = facts.with(name, value);
            }
        }
        facts
    }

    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Facts {
        self.members.push((name, value.into()));
        self
    }

    fn json(&self) -> Value {
        let mut value = json!({});
        for (name, member) in &self.members {
            value[*name] = member.clone();
        }
        if !self.layers.is_empty() {
            value["layers"] = self.layers.clone().into();
        }
        if !self.work.is_empty() {
            value["work"] = self.work.iter().map(Work::json).collect();
        }
        value
    }

    fn text(&self) -> String {
        let rows: Vec<(String, String)> = self
            .members
            .iter()
            .map(|(name, value)| (name.replace('_', " "), plain(name, value)))
            .collect();
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut lines: Vec<String> = rows
            .iter()
            .map(|(name, value)| one_line(format!("{name:width$}  {value}").trim_end()))
            .collect();
        if let Some(Value::Object(first)) = self.layers.first() {
            let columns = first.iter().map(|(name, value)| {
                let align = if value.is_number() {
                    Align::Right
                } else {
                    Align::Left
                };
                (name.replace('_', " "), align)
            });
            let mut table = Table::new(columns);
            for layer in &self.layers {
                table.row(
                    first
                        .keys()
                        .map(|name| one_line(&plain(name, &layer[name]))),
                );
            }
            lines.push(String::new());
            lines.push(table.text().trim_end().to_string());
        }
        for work in &self.work {
            lines.push(String::new());
            lines.push(work.text());
        }
        lines.join("\n")
    }
}

/// A JSON value as people write it.
fn plain(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| plain("", item)).collect();
            items.join(" ")
        }
        Value::Number(number) if name == "bytes" => size(number.as_u64().unwrap_or(0)),
        other => other.to_string(),
    }
}

/// A network's profile and, unless its weights are drawn for every query, what
/// its layers take encrypted.
fn network_facts(path: &Path, key_bits: u32, console: &Console) -> CliResult<Facts> {
    let network = load_any(path).explain()?;
    let mut facts = profile_facts(network.profile());
    if let AnyNetwork::Fixed(network) = network {
        facts.work = work::of(network::server(Some(path), network, console), key_bits)?;
    }
    Ok(facts)
}

/// A store of randomisers, of which none is shown.
fn store_facts(path: &Path) -> CliResult<Facts> {
    let contents = Store::open(path).and_then(|store| store.contents());
    let contents = contents.explain()?;
    let mut facts = Facts::new("randomisers").with("left", contents.left);
    if let Some(origin) = contents.origin {
        facts = facts
            .with("key", hex(origin.key.as_bytes()))
            .with("key_bits", origin.bits)
            .with("scheme", origin.scheme.name());
    }
    Ok(facts
        .with("batches", contents.batches)
        .with("bytes", contents.bytes))
}

/// A key or a profile.
fn json_file(path: &Path, bytes: &[u8]) -> CliResult<Facts> {
    // What the file holds may be secret: it is neither echoed, whatever is
    // wrong, nor copied to look at its members' names.
    let Ok(text) = std::str::from_utf8(bytes) else {
        bail!(
            "{}: is not text; expected a file of this program",
            path.display()
        );
    };
    let members: HashMap<String, IgnoredAny> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(e) => bail!(
            "{}: is no JSON object (line {}, column {}); expected a key or a profile",
            path.display(),
            e.line(),
            e.column()
        ),
    };
    if members.contains_key("format") {
        let profile = Profile::from_json(text).about_file(path)?;
        return Ok(profile_facts(&profile));
    }
    if members.contains_key("kty") {
        return Ok(match key::from_json(text).about_file(path)? {
            Key::Public(public) => key_facts("public key", &public),
            Key::Secret(secret) => key_facts("secret key", secret.public()),
        });
    }
    bail!(
        "{}: is JSON, but neither a key nor a profile",
        path.display()
    )
}

fn key_facts(kind: &str, key: &PublicKey) -> Facts {
    Facts::new(kind)
        .with("bits", key.bits())
        .with("fingerprint", hex(key.fingerprint().as_bytes()))
        .with("scheme", key.scheme().name())
        .with("randomisers", randomisers(key))
}

fn randomisers(key: &PublicKey) -> &'static str {
    match key.scheme() {
        Scheme::Djn => "powers of h_s (Damgård, Jurik, Nielsen)",
        Scheme::Subgroup => {
            "short powers of h_s from a small subgroup (Ma, Han, Lei), a further assumption"
        }
        Scheme::Uniform => "r^n: a key of another program, slower",
    }
}

fn profile_facts(profile: &Profile) -> Facts {
    let mut facts = Facts::new("profile")
        .with("name", profile.name.clone())
        .with("fingerprint", hex(&profile.fingerprint()))
        .with("input", shape(profile.input.shape))
        .with(
            "input_range",
            format!("{}..={}", profile.input.min, profile.input.max),
        )
        .with("labels", profile.labels.clone())
        .with("logit_scale", profile.logit_scale);
    if !profile.prepare.is_empty() {
        let names = profile.prepare.iter().map(|op| op.name());
        facts = facts.with("prepare", names.collect::<Vec<_>>());
    }
    if let Some(posterior) = profile.posterior {
        facts = facts.with("truncation", posterior.truncation);
    }
    if !profile.features.is_empty() {
        let names = profile.features.iter().map(|f| f.name.clone());
        facts = facts.with("features", names.collect::<Vec<_>>());
    }
    let mut weights = 0;
    for stage in &profile.stages {
        let of_layer: usize = stage.linear.weight_shape().iter().product();
        weights += of_layer;
        facts.layers.push(json!({
            "layer": stage.name,
            "kind": kind(&stage.linear),
            "input": shape(stage.linear.input_shape()),
            "output": shape(stage.linear.output_shape()),
            "weights": of_layer,
            "range": format!("{}..={}", stage.range.min, stage.range.max),
            "slot_bits": stage.range.slot_bits(),
            "then": stage.then.iter().map(|op| op.name()).collect::<Vec<_>>(),
        }));
    }
    facts.with("weights", weights)
}

fn shape(shape: Shape) -> String {
    format!("{}x{}x{}", shape.channels, shape.height, shape.width)
}

fn kind(linear: &Linear) -> String {
    match linear {
        Linear::Conv {
            kernel,
            stride,
            padding,
            ..
        } => format!(
            "conv {}x{} stride {stride} padding {padding}",
            kernel.0, kernel.1
        ),
        Linear::Dense { .. } => "dense".into(),
    }
}

/// A model, a plan, a checkpoint, a query or a reply.
fn container_file(path: &Path, bytes: &[u8]) -> CliResult<Facts> {
    if Store::owns(bytes) {
        bail!(
            "{}: is part of a store of randomisers; inspect its folder",
            path.display()
        );
    }
    let container = Container::read_any(bytes, u64::MAX).about_file(path)?;
    if let Some(facts) = masked::facts(&container, bytes, path)? {
        return Ok(facts);
    }
    let size = bytes.len();
    match container.kind() {
        kind if kind == Kind::QUERY.name => {
            let query = Query::from_bytes(bytes).about_file(path)?;
            let facts = message_facts("query", query.header(), query.ciphertexts(), size);
            Ok(facts
                .with("key_bits", query.key().bits())
                .with("key_scheme", query.key().scheme().name()))
        }
        kind if kind == Kind::REPLY.name => {
            let reply = Reply::from_bytes(bytes).about_file(path)?;
            Ok(message_facts(
                "reply",
                reply.header(),
                reply.ciphertexts(),
                size,
            ))
        }
        kind if kind == Kind::MODEL.name => Ok(model::facts(&container, size)),
        kind if kind == Kind::PLAN.name => Ok(plan::facts(&container, size)),
        kind if kind == Kind::CHECKPOINT.name => Ok(plan::checkpoint(&container, size)),
        other => bail!(
            "{}: is a {:?} file, of which this version knows nothing",
            path.display(),
            other
        ),
    }
}

fn message_facts(kind: &str, header: &Header, ciphertexts: usize, bytes: usize) -> Facts {
    let mut facts = Facts::new(kind)
        .with("protocol", header.protocol.name())
        .with("stage", header.stage + 1)
        .with("images", header.images);
    if header.protocol == Protocol::Bayhenn {
        facts = facts.with("samples", header.samples);
    }
    facts
        .with("layout", header.packing.to_string())
        .with("slot_bits", header.slot_bits)
        .with("ciphertexts", ciphertexts)
        .with("bytes", bytes)
        .with("query_id", header.query_id.to_string())
        .with("key", hex(header.key.as_bytes()))
        .with("network", hex(&header.network))
}
