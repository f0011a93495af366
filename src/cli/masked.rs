//! The masked protocol in `encrypt`, `infer` and `decrypt`: messages of ring
//! elements, and a store on either side.

use std::path::Path;

use serde_json::{Value, json};

pub(crate) use crate::protocol::masked::{Query, Reply};

use crate::{
    file::container::hex,
    network::{Network, Profile},
    protocol::{
        exchange::ClientKeys,
        masked::{Client, Header, PROTOCOL, Server, Step},
        session::Written,
    },
    report::{size, things},
};

use super::{
    answer::{self, Answer},
    console::Console,
    error::{CliResult, Explain, bail},
    messages::{Output, QUERY, REPLY},
    options::StoreOption,
    random,
};

/// The client whose store is named; of its key only the fingerprint is needed.
pub(crate) fn client(
    profile: Profile,
    keys: &ClientKeys,
    store: &StoreOption,
) -> CliResult<Client> {
    let key = match keys {
        ClientKeys::Public(key) => key.fingerprint(),
        ClientKeys::Owner(key) => key.public().fingerprint(),
    };
    Client::new(profile, key, store.folder()?).explain()
}

/// Masks the images into a query.
pub(crate) fn encrypt(
    client: &Client,
    images: &[Vec<i64>],
    output: &Output,
    console: &Console,
) -> CliResult {
    let query = client.query(images, &mut random::system()?).explain()?;
    write_query(client, &query, output, console)
}

/// Answers a query.
pub(crate) fn infer(
    network: Network,
    bytes: &[u8],
    path: &Path,
    store: &StoreOption,
    output: &Output,
    console: &Console,
) -> CliResult {
    let query = Query::from_bytes(bytes).about_file(path)?;
    let server = Server::new(network, store.folder()?, false).explain()?;
    let reply = server.answer(&query).about_file(path)?;
    let written = output.write(&reply.to_bytes(), console)?;
    note(
        server.profile(),
        reply.header(),
        &written,
        "client",
        console,
    );
    if console.json() && !output.is_stdout() {
        console.print_json(&facts(REPLY, server.profile(), reply.header(), &written))?;
    }
    Ok(())
}

/// Unmasks a reply: the next query, or the labels.
pub(crate) fn decrypt(
    client: &Client,
    reply: &Reply,
    path: &Path,
    output: Option<Output>,
    logits: bool,
    console: &Console,
) -> CliResult {
    let stages = client.profile().stages.len();
    let stage = reply.header().stage;
    if output.is_none() && stage + 1 < stages {
        bail!(
            "{}: a reply of layer {} of {stages}, from which the next query is made; say with -o \
             where to write it",
            path.display(),
            stage + 1,
        );
    }
    match (client.receive(reply).about_file(path)?, output) {
        (Step::Next(query), Some(output)) => write_query(client, &query, &output, console),
        (Step::Next(_), None) => bail!("no place to write the next query; give one with -o"),
        (Step::Done(values), _) => {
            let names: Vec<String> = (1..=values.len()).map(|i| format!("image {i}")).collect();
            let answers = Answer::all(client.profile(), &names, &values);
            let value = json!({ "status": "done", "images": answers });
            console.result(&value, || answer::lines(&answers, logits))
        }
    }
}

fn write_query(client: &Client, query: &Query, output: &Output, console: &Console) -> CliResult {
    let written = output.write(&query.to_bytes(), console)?;
    let (profile, header) = (client.profile(), query.header());
    note(profile, header, &written, "server", console);
    if !console.json() || output.is_stdout() {
        return Ok(());
    }
    let mut facts = facts(QUERY, profile, header, &written);
    facts["status"] = "query".into();
    facts["left"] = client.left().explain()?.into();
    console.print_json(&facts)
}

fn note(profile: &Profile, header: &Header, written: &Written, to: &str, console: &Console) {
    console.note(&format!(
        "{}: layer {} of {} ({}), {} masked, {}; for the {to}",
        written.path.display(),
        header.stage + 1,
        profile.stages.len(),
        profile.stages[header.stage].name,
        things(header.images, "prediction"),
        size(written.bytes as u64),
    ));
}

fn facts(kind: &str, profile: &Profile, header: &Header, written: &Written) -> Value {
    json!({
        "kind": kind,
        "protocol": PROTOCOL,
        "file": written.path.display().to_string(),
        "query_id": header.query_id.to_string(),
        "key": hex(header.key.as_bytes()),
        "network": hex(&header.network),
        "stage": header.stage + 1,
        "stages": profile.stages.len(),
        "images": header.images,
        "bytes": written.bytes,
    })
}
