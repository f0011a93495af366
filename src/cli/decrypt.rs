//! `pdnn decrypt`: the client's part after the first query.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    network::Profile,
    protocol::{
        Protocol, bayhenn,
        exchange::{Client, ClientKeys, Query, Reply, Step},
        session::{Record, Session, Side},
    },
};

use super::{
    ahead::{Ahead, AheadOption, TableOption},
    answer::{self, Answer},
    console::Console,
    error::{CliResult, Explain, bail},
    keys, masked,
    messages::{self, Output},
    network,
    options::{FollowOptions, ProfileOption, StoreOption},
    random,
};

const EXAMPLES: &str = "\
Examples:
  pdnn decrypt --key alice.key.json reply.pdnn -o query.pdnn
  pdnn decrypt --key alice.key.json reply.pdnn --query asked.pdnn -o query.pdnn
  pdnn decrypt --key alice.key.json --session monday
  pdnn decrypt --key alice.key.json --randomisers ahead reply.pdnn -o query.pdnn
  pdnn decrypt --key alice.key.json --session monday --follow --logits

The network of a session is the one that it was started with; --network overrules it.
After the last layer's reply the label is printed and no file is written; of several images, each
label stands behind the image's name. Decrypt only what came from the server that you chose.";

/// Decrypt a reply: the next query, or the label.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The secret key, NAME.key.json.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The server's reply; - is standard input.
    #[arg(
        value_name = "REPLY",
        required_unless_present = "session",
        conflicts_with = "session"
    )]
    reply: Option<PathBuf>,

    /// The query that the reply has to answer: a reply to any other is refused. A session checks
    /// that by itself.
    #[arg(long, value_name = "FILE", conflicts_with = "session")]
    query: Option<PathBuf>,

    #[command(flatten)]
    network: ProfileOption,

    #[command(flatten)]
    store: StoreOption,

    #[command(flatten)]
    ahead: AheadOption,

    #[command(flatten)]
    tables: TableOption,

    /// Where to write the next query; - is standard output. Not needed for the last reply.
    #[arg(long, short, value_name = "FILE", conflicts_with = "session")]
    out: Option<PathBuf>,

    /// Advance the session in this folder.
    #[arg(long, value_name = "FOLDER")]
    session: Option<PathBuf>,

    #[command(flatten)]
    follow: FollowOptions,

    /// Print the integer logits behind each label.
    #[arg(long)]
    logits: bool,
}

/// Decrypts one reply, or a session's.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let key = keys::secret(&args.key, console)?;
    let ahead = |protocol| args.ahead.open(args.tables, key.public(), protocol);
    let keys = ClientKeys::Owner(key.clone());
    if let Some(folder) = args.session {
        let session = Session::at(&folder);
        let record = session.record().explain()?;
        let profile = match &args.network.network {
            Some(path) => network::profile(Some(path), console)?,
            None => session.profile(&record).explain()?,
        };
        let ahead = ahead(record.protocol)?;
        let client = ahead.equip(client(profile, keys, record.protocol, record.samples)?);
        let show = (args.follow, args.logits);
        return advance(&client, &ahead, &session, record, show, console);
    }

    // clap demands it where there is no session.
    let path = args.reply.unwrap_or_else(|| PathBuf::from("-"));
    let output = match args.out {
        Some(out) => Some(Output::new(out, messages::QUERY)?),
        None => None,
    };
    let (protocol, bytes) = messages::read_message(&path)?;
    let ahead = ahead(protocol)?;
    if protocol == Protocol::Masked {
        let reply = masked::Reply::from_bytes(&bytes).about_file(&path)?;
        if let Some(asked) = &args.query {
            let query = masked::Query::from_bytes(&messages::read(asked)?).about_file(asked)?;
            if query.header() != reply.header() {
                bail!(
                    "{}: does not answer {}: another key, network, layer or query, or other \
                     masks; decrypt the reply to that query",
                    path.display(),
                    asked.display()
                );
            }
        }
        let named = args.network.network.as_deref();
        let profile = network::profile_for(&reply.header().network, named, console)?;
        let client = masked::client(profile, &keys, &args.store)?;
        return masked::decrypt(&client, &reply, &path, output, args.logits, console);
    }
    args.store.must_be_none(protocol)?;
    let reply = parse(protocol, &bytes, &path)?;
    drop(bytes);
    if let Some(asked) = &args.query {
        let query = Query::from_bytes(&messages::read(asked)?).about_file(asked)?;
        let answers = query.header().expect_answer(reply.header());
        answers.about_file(&path)?;
    }
    let profile = network::profile_for(
        &reply.header().network,
        args.network.network.as_deref(),
        console,
    )?;
    let last = profile.stages.len();
    if output.is_none() && reply.header().stage + 1 < last {
        bail!(
            "{}: a reply of layer {} of {last}, from which the next query is made; say with -o \
             where to write it",
            path.display(),
            reply.header().stage + 1,
        );
    }
    let header = reply.header();
    let client = ahead.equip(client(profile, keys, header.protocol, header.samples)?);
    match (receive(&client, &reply, &path, console)?, output) {
        (Step::Done(logits), _) => {
            let images = reply.header().images;
            let names: Vec<String> = (1..=images).map(|i| format!("image {i}")).collect();
            print(&client, &names, &logits, args.logits, console)
        }
        (Step::Next(query), Some(output)) => {
            let written = output.write(&query.to_bytes(), console)?;
            messages::report_query(&client, &query, &written, &ahead, console)
        }
        (Step::Next(_), None) => bail!("no place to write the next query; give one with -o"),
    }
}

/// Reads a reply, whatever protocol it speaks.
fn read(path: &Path) -> CliResult<Reply> {
    let (protocol, bytes) = messages::read_message(path)?;
    parse(protocol, &bytes, path)
}

fn parse(protocol: Protocol, bytes: &[u8], path: &Path) -> CliResult<Reply> {
    match protocol {
        // There are no masked sessions; the reader says so of such a message.
        Protocol::TwoPartyDnn | Protocol::Bayhenn | Protocol::Masked => {
            Reply::from_bytes(bytes).about_file(path)
        }
    }
}

/// The client that speaks `protocol`.
fn client(
    profile: Profile,
    keys: ClientKeys,
    protocol: Protocol,
    samples: usize,
) -> CliResult<Client> {
    match protocol {
        // Its messages do not come here.
        Protocol::TwoPartyDnn | Protocol::Masked => Ok(Client::new(profile, keys)),
        Protocol::Bayhenn => bayhenn::client(profile, keys, samples).explain(),
    }
}

fn receive(client: &Client, reply: &Reply, path: &Path, console: &Console) -> CliResult<Step> {
    let bar = console.progress("decrypting");
    let opened = client.open_with(reply, &bar.units()).about_file(path)?;
    drop(bar);
    if let Some(logits) = opened.logits(client) {
        return Ok(Step::Done(logits.to_vec()));
    }
    let bar = console.progress("encrypting");
    let query = client
        .seal_with(&opened, &mut random::system()?, &bar.units())
        .explain()?;
    Ok(Step::Next(query))
}

/// Advances a session by one step, or to its end.
fn advance(
    client: &Client,
    ahead: &Ahead,
    session: &Session,
    record: Record,
    (follow, logits_wanted): (FollowOptions, bool),
    console: &Console,
) -> CliResult {
    loop {
        let number = session.next(Side::Client, follow.wait()).explain()?;
        let path = session.reply_path(number);
        let reply = session.read(&path, follow.wait(), read)?;
        session.expect(&record, number, reply.header()).explain()?;
        match receive(client, &reply, &path, console)? {
            Step::Done(logits) => {
                if follow.follow {
                    ahead.note(console)?;
                }
                return print(client, &record.images, &logits, logits_wanted, console);
            }
            Step::Next(query) => {
                let written = session.put_query(number + 1, &query.to_bytes()).explain()?;
                if !follow.follow {
                    return messages::report_query(client, &query, &written, ahead, console);
                }
                messages::note_query(client, &query, &written, console);
            }
        }
    }
}

fn print(
    client: &Client,
    names: &[String],
    logits: &[Vec<i64>],
    logits_wanted: bool,
    console: &Console,
) -> CliResult {
    let images = logits.len() / client.samples();
    if names.len() != images {
        bail!(
            "the reply holds {images} images, the session's record {}; start the session anew",
            names.len()
        );
    }
    let answers = Answer::all(client.profile(), names, logits);
    let value = json!({ "status": "done", "images": answers });
    console.result(&value, || answer::lines(&answers, logits_wanted))
}
