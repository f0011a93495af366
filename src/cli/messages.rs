//! Queries and replies as files: read whole, written whole.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    file::{
        atomic::{Mode, Overwrite, check_target, write_atomic},
        container::{KIND, Kind, MAX_HEADER, hex},
        input,
    },
    protocol::{
        Protocol,
        masked::MAX_FILE,
        session::Written,
        two_party_dnn::{Client, Header, MAX_MESSAGE, Query},
    },
    report::{size, things},
};

use super::{
    ahead::Ahead,
    console::Console,
    error::{CliResult, Explain, bail},
};

/// The kind of file that holds a query.
pub(crate) const QUERY: &str = Kind::QUERY.name;
/// The kind of file that holds a reply.
pub(crate) const REPLY: &str = Kind::REPLY.name;

/// What a message that went to standard output is said to be in.
pub(crate) const STANDARD_OUTPUT: &str = "standard output";

/// The largest message that is read: the most ciphertexts, and a header.
const MAX_BYTES: u64 = MAX_MESSAGE as u64 + 2 * MAX_HEADER;

/// Reads a whole file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> CliResult<Vec<u8>> {
    if path == Path::new("-") && io::stdin().is_terminal() {
        bail!("standard input is a terminal; redirect a file to it");
    }
    input::read_all(path, MAX_BYTES).about_file(path)
}

/// Reads a query or a reply whole, and what protocol it speaks.
///
/// A file that names no protocol that is known here counts as one of 2P-DNN:
/// its reader says what is wrong with it.
pub(crate) fn read_message(path: &Path) -> CliResult<(Protocol, Vec<u8>)> {
    let bytes = read(path)?;
    let named = metadata(bytes.as_slice(), Protocol::MEMBER);
    let protocol = named.and_then(|name| name.parse().ok());
    Ok((protocol.unwrap_or(Protocol::TwoPartyDnn), bytes))
}

/// Reads a message of a preparation, which may be larger than a query.
pub(crate) fn read_large(path: &Path) -> CliResult<Vec<u8>> {
    input::read_all(path, MAX_FILE).about_file(path)
}

/// The kind that a container file says it is of.
pub(crate) fn kind_of(path: &Path) -> Option<String> {
    metadata(File::open(path).ok()?, KIND)
}

/// Where a message is written, checked before the work that makes it.
#[derive(Debug)]
pub(crate) struct Output(PathBuf);

impl Output {
    /// A place for a message of `kind` (`query`, `reply`): a new file, a file
    /// that holds an earlier message of the same kind, or standard output.
    ///
    /// # Errors
    ///
    /// A folder that does not exist; a file that holds anything else, which
    /// would be lost; standard output if it is a terminal.
    pub(crate) fn new(path: PathBuf, kind: &'static str) -> CliResult<Output> {
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                bail!(
                    "standard output is a terminal and a {kind} is binary; name a file with -o, \
                     or redirect the output"
                );
            }
            return Ok(Output(path));
        }
        check_target(&path, Overwrite::Yes).about_file(&path)?;
        // A device or a pipe has nothing that could be lost.
        let exists = fs::metadata(&path).is_ok_and(|found| found.is_file());
        if exists && kind_of(&path).as_deref() != Some(kind) {
            bail!(
                "{}: exists and is not a {kind}; it is not overwritten, choose another name",
                path.display()
            );
        }
        Ok(Output(path))
    }

    /// Whether this is standard output, where no text may go then.
    pub(crate) fn is_stdout(&self) -> bool {
        self.0 == Path::new("-")
    }

    /// Writes the message, whole or not at all.
    pub(crate) fn write(&self, bytes: &[u8], console: &Console) -> CliResult<Written> {
        if self.is_stdout() {
            console.write_binary(bytes)?;
            return Ok(Written {
                path: STANDARD_OUTPUT.into(),
                bytes: bytes.len(),
            });
        }
        write_atomic(&self.0, bytes, Overwrite::Yes, Mode::Shared).about_file(&self.0)?;
        console.debug(&format!(
            "wrote {}, {} bytes",
            self.0.display(),
            bytes.len()
        ));
        Ok(Written {
            path: self.0.clone(),
            bytes: bytes.len(),
        })
    }
}

/// What a container says under `key`, from its header alone, which is not
/// checked.
fn metadata(mut container: impl Read, key: &str) -> Option<String> {
    let mut length = [0; 8];
    container.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return None;
    }
    let header: Value = serde_json::from_reader(container.take(length)).ok()?;
    Some(header["__metadata__"][key].as_str()?.to_string())
}

/// A message's facts as JSON.
pub(crate) fn facts(kind: &str, header: &Header, ciphertexts: usize, written: &Written) -> Value {
    json!({
        "kind": kind,
        "protocol": header.protocol.name(),
        "samples": header.samples,
        "file": written.path.display().to_string(),
        "query_id": header.query_id.to_string(),
        "key": hex(header.key.as_bytes()),
        "network": hex(&header.network),
        "stage": header.stage + 1,
        "images": header.images,
        "layout": header.packing.to_string(),
        "slot_bits": header.slot_bits,
        "ciphertexts": ciphertexts,
        "bytes": written.bytes,
    })
}

/// Says on standard error what query was written.
pub(crate) fn note_query(client: &Client, query: &Query, written: &Written, console: &Console) {
    let header = query.header();
    let stages = &client.profile().stages;
    console.note(&format!(
        "{}: layer {} of {} ({}), {}, {}, {}; for the server",
        written.path.display(),
        header.stage + 1,
        stages.len(),
        stages[header.stage].name,
        things(header.images, "image"),
        things(query.ciphertexts(), "ciphertext"),
        size(written.bytes as u64),
    ));
}

/// Says what query was written, with `--json` on standard output unless the
/// query itself went there.
pub(crate) fn report_query(
    client: &Client,
    query: &Query,
    written: &Written,
    ahead: &Ahead,
    console: &Console,
) -> CliResult {
    note_query(client, query, written, console);
    ahead.note(console)?;
    if !console.json() || written.path == Path::new(STANDARD_OUTPUT) {
        return Ok(());
    }
    let mut facts = facts(QUERY, query.header(), query.ciphertexts(), written);
    facts["status"] = "query".into();
    facts["stages"] = client.profile().stages.len().into();
    if let Some(taken) = ahead.json()? {
        facts["randomisers"] = taken;
    }
    console.print_json(&facts)
}
