//! `pdnn infer`: the server's part.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    file::{container::hex, folder::AnyNetwork},
    network::Profile,
    protocol::{
        Protocol, bayhenn,
        exchange::{Progress, ProtocolError, Query, Reply},
        session::{Session, Side, Written},
        two_party_dnn,
    },
    report::{size, things},
};

use super::{
    ahead::TableOption,
    console::Console,
    error::{CliResult, Explain, bail, file_name},
    keys, masked,
    messages::{self, Output},
    network,
    options::{FollowOptions, ModelOption, StoreOption},
    random,
};

const EXAMPLES: &str = "\
Examples:
  pdnn infer query.pdnn -o reply.pdnn
  pdnn infer --network models/lenet5 - -o - < query.pdnn > reply.pdnn
  pdnn infer --session monday             answers the latest query in the folder monday/
  pdnn infer --session monday --follow    answers every query until the label is known

The server needs no key: a query carries the client's public one. The client learns every result of
every layer: one that may ask often enough can solve for the weights. Drawing them anew for every
query, as a Bayesian network does, slows that down and does not prevent it.";

/// Evaluate one layer of the network on a query, without seeing what is in it.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The client's query; - is standard input.
    #[arg(
        value_name = "QUERY",
        required_unless_present = "session",
        conflicts_with = "session"
    )]
    query: Option<PathBuf>,

    #[command(flatten)]
    network: ModelOption,

    #[command(flatten)]
    store: StoreOption,

    #[command(flatten)]
    tables: TableOption,

    /// Where to write the reply; - is standard output.
    #[arg(
        long,
        short,
        value_name = "FILE",
        required_unless_present = "session",
        conflicts_with = "session"
    )]
    out: Option<PathBuf>,

    /// Advance the session in this folder.
    #[arg(long, value_name = "FOLDER")]
    session: Option<PathBuf>,

    #[command(flatten)]
    follow: FollowOptions,
}

/// Answers one query, or a session's.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    if let Some(folder) = args.session {
        let server = server(&args.network, args.tables, console)?;
        let session = Session::at(&folder);
        return answer_session(&server, &args.network, &session, args.follow, console);
    }
    // clap demands both where there is no session.
    let path = args.query.unwrap_or_else(|| PathBuf::from("-"));
    let output = Output::new(args.out.unwrap_or_else(|| "-".into()), messages::REPLY)?;
    let (protocol, bytes) = messages::read_message(&path)?;
    if protocol == Protocol::Masked {
        args.tables.must_be_off(protocol)?;
        let network = network::fixed(args.network.network.as_deref(), console)?;
        return masked::infer(network, &bytes, &path, &args.store, &output, console);
    }
    args.store.must_be_none(protocol)?;
    let query = parse(protocol, &bytes, &path)?;
    drop(bytes);
    keys::warn_if_insecure(query.key(), &path, console);
    let server = server(&args.network, args.tables, console)?;

    expect_network(&query, &server, &args.network, &path)?;
    let reply = answer(&server, &query, &path, console)?;
    let written = output.write(&reply.to_bytes(), console)?;
    let facts = report(&server, &reply, &written, console);
    if console.json() && !output.is_stdout() {
        console.print_json(&facts)?;
    }
    Ok(())
}

/// Reads a query, whatever protocol it speaks.
fn read(path: &Path) -> CliResult<Query> {
    let (protocol, bytes) = messages::read_message(path)?;
    parse(protocol, &bytes, path)
}

fn parse(protocol: Protocol, bytes: &[u8], path: &Path) -> CliResult<Query> {
    match protocol {
        // There are no masked sessions; the reader says so of such a message.
        Protocol::TwoPartyDnn | Protocol::Bayhenn | Protocol::Masked => {
            Query::from_bytes(bytes).about_file(path)
        }
    }
}

/// A server of either kind of network.
enum Server {
    Fixed(Box<two_party_dnn::Server>),
    Drawn(Box<bayhenn::Server>),
}

impl Server {
    fn profile(&self) -> &Profile {
        match self {
            Server::Fixed(server) => server.profile(),
            Server::Drawn(server) => server.profile(),
        }
    }

    fn answer(
        &self,
        query: &Query,
        rng: &mut random::System,
        progress: Progress<'_>,
    ) -> Result<Reply, ProtocolError> {
        match self {
            Server::Fixed(server) => Ok(server.answer_with(query, rng, progress)?.reply),
            Server::Drawn(server) => {
                // The system's own generator, which draws in buffers: no seed from
                // which the weights could be drawn again stays in memory.
                let mut draws = *rng;
                let answer = server.answer_with(query, &mut draws, rng, progress)?;
                Ok(answer.reply)
            }
        }
    }
}

fn server(network: &ModelOption, tables: TableOption, console: &Console) -> CliResult<Server> {
    let named = network.network.as_deref();
    Ok(match network::network(named, console)? {
        AnyNetwork::Fixed(network) => {
            let server = network::server(named, network, console);
            Server::Fixed(server.scanning_tables(tables.scan_tables).into())
        }
        AnyNetwork::Bayesian(network) => {
            let server = bayhenn::Server::new(network);
            Server::Drawn(server.scanning_tables(tables.scan_tables).into())
        }
    })
}

/// Tells someone who named no network that the query wants one named.
fn expect_network(query: &Query, server: &Server, network: &ModelOption, path: &Path) -> CliResult {
    let (wanted, profile) = (&query.header().network, server.profile());
    // Of a network that was named, the protocol says what does not fit.
    if network.network.is_none() && *wanted != profile.fingerprint() {
        bail!(
            "{}: the query is for network {}, not for the built-in {}; name its folder with \
             --network",
            file_name(path),
            &hex(wanted)[..16],
            profile.name
        );
    }
    Ok(())
}

fn answer(server: &Server, query: &Query, path: &Path, console: &Console) -> CliResult<Reply> {
    let bar = console.progress("evaluating");
    let mut rng = random::system()?;
    server
        .answer(query, &mut rng, &bar.units())
        .about_file(path)
}

/// Answers the latest query, or all that come.
fn answer_session(
    server: &Server,
    network: &ModelOption,
    session: &Session,
    follow: FollowOptions,
    console: &Console,
) -> CliResult {
    let mut written = Vec::new();
    let stages = server.profile().stages.len();
    loop {
        if session.is_answered(stages).explain()? {
            console.note(&format!("all {stages} replies are written"));
            break;
        }
        let number = session.next(Side::Server, follow.wait()).explain()?;
        let path = session.query_path(number);
        let query = session.read(&path, follow.wait(), read)?;
        if written.is_empty() {
            keys::warn_if_insecure(query.key(), &path, console);
        }
        expect_network(&query, server, network, &path)?;
        let reply = answer(server, &query, &path, console)?;
        let file = session.put_reply(number, &reply.to_bytes()).explain()?;
        written.push(report(server, &reply, &file, console));
        let last = reply.header().stage + 1 == stages;
        if last || !follow.follow {
            break;
        }
    }
    if console.json() {
        console.print_json(&json!({ "replies": written }))?;
    }
    Ok(())
}

/// Says what was written.
fn report(server: &Server, reply: &Reply, written: &Written, console: &Console) -> Value {
    let header = reply.header();
    let stages = &server.profile().stages;
    console.note(&format!(
        "{}: layer {} of {} ({}), {}, {}; for the client",
        written.path.display(),
        header.stage + 1,
        stages.len(),
        stages[header.stage].name,
        things(reply.ciphertexts(), "ciphertext"),
        size(written.bytes as u64),
    ));
    let mut facts = messages::facts(messages::REPLY, header, reply.ciphertexts(), written);
    facts["stages"] = stages.len().into();
    facts
}
