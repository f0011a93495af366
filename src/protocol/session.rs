//! A classification as a folder of numbered files.
//!
//! ```text
//! session/1-query.pdnn     client, layer 1
//! session/1-reply.pdnn     server
//! session/2-query.pdnn     client, layer 2
//! …
//! session/session.json     the client's own: image names, what belongs together
//! session/profile.json     the client's own: the network that it was made for
//! ```
//!
//! Whose turn it is follows from the file names alone: the highest number
//! counts. Each side advances the session by one file; files appear whole,
//! because they are written under another name and renamed, so both sides may
//! work in one folder at the same time. Where the folder is not shared, any
//! transport that copies `*.pdnn` will do.
//!
//! `session.json` never leaves the client: image names can say what an image
//! shows, and it ties the session to its network, images and packing. It is
//! readable and writable by its owner only; keep it so where others write to
//! the folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{
    encrypted::layout::Packing,
    file::{
        atomic::{Mode, Overwrite, Together, WriteError, write_atomic},
        container::hex,
    },
    network::Profile,
};

use super::{
    Protocol,
    exchange::{Header, Query},
};

const RECORD: &str = "session.json";
const PROFILE: &str = "profile.json";

/// The version of `session.json` that is written and read.
const FORMAT_VERSION: u32 = 1;

/// How often a waiting side looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A file that has not changed for so long will not.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Why a session could not be advanced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A new session was to be made where one is.
    #[error("{0} already holds a session; choose a new folder")]
    Exists(PathBuf),
    /// No session is there.
    #[error("{0} holds no session; start one with `pdnn encrypt --session`")]
    None(PathBuf),
    /// `session.json` is not what this program writes.
    #[error("{path} cannot be read as a session: {reason}; start the session anew")]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The other side has not come yet.
    #[error("{waiting_for} is not there yet; {hint}")]
    NotYet {
        /// The file that is awaited.
        waiting_for: PathBuf,
        /// What the user can do.
        hint: String,
    },
    /// The other side has not come in time.
    #[error(
        "{waiting_for} did not come within {seconds} s; see whether the other side runs and its \
         files are copied here"
    )]
    TimedOut {
        /// The file that is awaited.
        waiting_for: PathBuf,
        /// How long it was awaited.
        seconds: u64,
    },
    /// A reply of another classification.
    #[error(
        "{path} is stage {found} of query {found_id}; expected stage {expected} of query \
         {expected_id}: it belongs to another session"
    )]
    OtherQuery {
        /// The reply.
        path: PathBuf,
        /// Stage expected, from 1.
        expected: usize,
        /// Stage found, from 1.
        found: usize,
        /// Query expected.
        expected_id: String,
        /// Query found.
        found_id: String,
    },
    /// A reply for other images than were asked about.
    #[error(
        "{path} holds {found}; expected {expected}, as in this session's query: it does not \
         answer it"
    )]
    OtherImages {
        /// The reply.
        path: PathBuf,
        /// Images and packing of the query.
        expected: String,
        /// Images and packing of the reply.
        found: String,
    },
    /// The profile in the folder is not the one that the session began with.
    #[error(
        "{path} is of network {found}; the session began with {expected}: it was exchanged; name \
         the right profile with --network"
    )]
    OtherProfile {
        /// The profile.
        path: PathBuf,
        /// Fingerprint expected, in hexadecimal.
        expected: String,
        /// Fingerprint found.
        found: String,
    },
    /// A file or folder could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: WriteError,
    },
}

/// What the client keeps beside the messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    format_version: u32,
    /// The classification's id, in hexadecimal.
    pub query_id: String,
    /// Fingerprint of the network, in hexadecimal: whoever else can write to the
    /// folder must not be able to exchange the profile.
    pub network: String,
    /// The protocol; 2P-DNN where none is named.
    #[serde(default)]
    pub protocol: Protocol,
    /// How many paths the query asks for; 1 where nothing is said.
    #[serde(default = "one")]
    pub samples: usize,
    /// How values share ciphertexts.
    pub packing: Packing,
    /// What each image is called, in the order of the query.
    pub images: Vec<String>,
}

impl Record {
    /// The record of a session that begins with `query`.
    pub fn new(query: &Query, images: Vec<String>) -> Record {
        Record {
            format_version: FORMAT_VERSION,
            query_id: query.header().query_id.to_string(),
            network: hex(&query.header().network),
            protocol: query.header().protocol,
            samples: query.header().samples,
            packing: query.header().packing,
            images,
        }
    }
}

/// The paths of a session that says nothing of them.
fn one() -> usize {
    1
}

/// A side of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Writes queries, waits for replies.
    Client,
    /// Writes replies, waits for queries.
    Server,
}

/// Whether to wait for the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Look once.
    No,
    /// Look until the file is there, at most so long.
    AtMost(Duration),
}

/// A message that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// How large it is.
    pub bytes: usize,
}

/// A folder of numbered files.
#[derive(Clone, Debug)]
pub struct Session {
    folder: PathBuf,
}

impl Session {
    /// The session in `folder`, which need not exist yet.
    pub fn at(folder: &Path) -> Session {
        Session {
            folder: folder.to_path_buf(),
        }
    }

    /// Starts a session: makes the folder and writes the client's own files and
    /// the first query, which comes last, so that a server finds nothing before
    /// all is there.
    ///
    /// # Errors
    ///
    /// A folder that holds a session already, or that cannot be written.
    pub fn start(
        folder: &Path,
        record: &Record,
        profile: &Profile,
        query: &Query,
    ) -> Result<Written, SessionError> {
        let session = Session::at(folder);
        session.must_be_new()?;
        fs::create_dir_all(folder).map_err(|source| session.io(folder, source))?;
        let json = serde_json::to_string_pretty(record).map_err(|e| SessionError::Record {
            path: folder.join(RECORD),
            reason: e.to_string(),
        })?;
        // Half a session could be neither continued nor started again.
        let mut all = Together::new();
        let own = [
            (PROFILE, profile.to_json(), Mode::Shared),
            (RECORD, json + "\n", Mode::Private),
        ];
        for (name, text, mode) in own {
            let path = folder.join(name);
            all.write(&path, text.as_bytes(), mode)
                .map_err(|source| SessionError::Write { path, source })?;
        }
        let (path, bytes) = (session.query_path(1), query.to_bytes());
        let result = all.write_last(&path, &bytes, Mode::Shared);
        written(result, path, &bytes)
    }

    /// Fails if the folder holds a session already.
    ///
    /// # Errors
    ///
    /// [`SessionError::Exists`], or a folder that cannot be read.
    pub fn must_be_new(&self) -> Result<(), SessionError> {
        let used = self.folder.join(RECORD).exists()
            || self.folder.join(PROFILE).exists()
            || self.highest()? != (0, 0);
        if used {
            return Err(SessionError::Exists(self.folder.clone()));
        }
        Ok(())
    }

    /// The client's own files.
    ///
    /// # Errors
    ///
    /// No session there, or a record that is damaged.
    pub fn record(&self) -> Result<Record, SessionError> {
        let path = self.folder.join(RECORD);
        let text = self.own_file(&path)?;
        let wrong = |reason: String| SessionError::Record {
            path: path.clone(),
            reason,
        };
        // The version first: another version may have other members.
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if value["format_version"] != FORMAT_VERSION {
            return Err(wrong(format!(
                "format version {}, expected {FORMAT_VERSION}",
                value["format_version"]
            )));
        }
        let record = serde_json::from_value(value).map_err(|e| wrong(e.to_string()))?;
        Ok(record)
    }

    /// The profile that the session was started with. The folder's copy counts
    /// only if it has the fingerprint in the client's record: the server may be
    /// able to write to the folder, and a profile of its making would undo the
    /// checks on its replies.
    ///
    /// # Errors
    ///
    /// No session there, a file that cannot be read, no valid profile, or
    /// [`SessionError::OtherProfile`].
    pub fn profile(&self, record: &Record) -> Result<Profile, SessionError> {
        let path = self.folder.join(PROFILE);
        let text = self.own_file(&path)?;
        let profile = Profile::from_json(&text).map_err(|e| SessionError::Record {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        let found = hex(&profile.fingerprint());
        if found != record.network {
            return Err(SessionError::OtherProfile {
                path,
                expected: record.network.clone(),
                found,
            });
        }
        Ok(profile)
    }

    fn own_file(&self, path: &Path) -> Result<String, SessionError> {
        fs::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SessionError::None(self.folder.clone()),
            _ => self.io(path, source),
        })
    }

    /// Where query `number` is, from 1.
    pub fn query_path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number}-query.pdnn"))
    }

    /// Where reply `number` is, from 1.
    pub fn reply_path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number}-reply.pdnn"))
    }

    /// Writes query `number`, given as the bytes of its file.
    ///
    /// # Errors
    ///
    /// A query of that number exists, or the folder cannot be written.
    pub fn put_query(&self, number: usize, query: &[u8]) -> Result<Written, SessionError> {
        put(self.query_path(number), query)
    }

    /// Writes reply `number`, given as the bytes of its file.
    ///
    /// # Errors
    ///
    /// A reply of that number exists, or the folder cannot be written.
    pub fn put_reply(&self, number: usize, reply: &[u8]) -> Result<Written, SessionError> {
        put(self.reply_path(number), reply)
    }

    /// The highest numbers of a query and of a reply in the folder, 0 for none.
    fn highest(&self) -> Result<(usize, usize), SessionError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
            Err(source) => return Err(self.io(&self.folder, source)),
        };
        let (mut query, mut reply) = (0, 0);
        for entry in entries {
            let name = entry
                .map_err(|source| self.io(&self.folder, source))?
                .file_name();
            let name = name.to_string_lossy();
            if let Some(number) = numbered(&name, "-query.pdnn") {
                query = query.max(number);
            } else if let Some(number) = numbered(&name, "-reply.pdnn") {
                reply = reply.max(number);
            }
        }
        Ok((query, reply))
    }

    /// Whether the server has written all replies for a network of so many
    /// stages, so that no query is to come.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read.
    pub fn is_answered(&self, stages: usize) -> Result<bool, SessionError> {
        let (query, reply) = self.highest()?;
        Ok(query <= reply && reply >= stages)
    }

    /// The number of the message that `side` has to work on next, or else of
    /// the one that it waits for.
    fn ready(&self, side: Side) -> Result<Result<usize, usize>, SessionError> {
        let (query, reply) = self.highest()?;
        Ok(match side {
            Side::Server if query > reply => Ok(query),
            Side::Server => Err(reply.saturating_add(1)),
            // Only the answer to the newest query counts: a reply ahead of it was
            // not asked for. The last one has no next query and can be read again.
            Side::Client if query > 0 && self.reply_path(query).exists() => Ok(query),
            Side::Client => Err(query.max(1)),
        })
    }

    /// The number of the message that `side` has to work on, waited for if need
    /// be: a query for the server, a reply for the client.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotYet`] or [`SessionError::TimedOut`] if it is not
    /// there; a folder that cannot be read.
    pub fn next(&self, side: Side, wait: Wait) -> Result<usize, SessionError> {
        let started = Instant::now();
        loop {
            let number = match self.ready(side)? {
                Ok(number) => return Ok(number),
                Err(number) => number,
            };
            let (waiting_for, other) = match side {
                Side::Client => (self.reply_path(number), "infer"),
                Side::Server if number == 1 => (self.query_path(1), "encrypt"),
                Side::Server => (self.query_path(number), "decrypt"),
            };
            match wait {
                Wait::No => {
                    return Err(SessionError::NotYet {
                        waiting_for,
                        hint: format!(
                            "it comes from `pdnn {other} --session` on the other side; --follow \
                             waits for it"
                        ),
                    });
                }
                Wait::AtMost(limit) if started.elapsed() >= limit => {
                    return Err(SessionError::TimedOut {
                        waiting_for,
                        seconds: limit.as_secs(),
                    });
                }
                Wait::AtMost(_) => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Reads a message that is there, with `read`.
    ///
    /// A program that copies files from another machine may let them grow under
    /// their final names. So a side that waits anyhow takes a failure for final
    /// only once the file has stopped changing.
    ///
    /// # Errors
    ///
    /// What `read` says.
    pub fn read<T, E>(
        &self,
        path: &Path,
        wait: Wait,
        read: impl Fn(&Path) -> Result<T, E>,
    ) -> Result<T, E> {
        loop {
            let before = stamp(path);
            match read(path) {
                Err(_) if wait != Wait::No => {
                    thread::sleep(SETTLED_AFTER);
                    if stamp(path) == before {
                        return read(path);
                    }
                }
                result => return result,
            }
        }
    }

    /// Checks that reply `number` answers this session's query of that number,
    /// for the same images in the same packing, on as many paths.
    ///
    /// # Errors
    ///
    /// [`SessionError::OtherQuery`] or [`SessionError::OtherImages`] if it does
    /// not.
    pub fn expect(
        &self,
        record: &Record,
        number: usize,
        found: &Header,
    ) -> Result<(), SessionError> {
        let found_id = found.query_id.to_string();
        if found.stage + 1 == number && found_id == record.query_id {
            let text = |protocol, samples: usize, images: usize, packing| {
                let paths = if samples == 1 {
                    String::new()
                } else {
                    format!(", {samples} samples")
                };
                format!("{images} images, packed for {packing}{paths}, in protocol {protocol}")
            };
            let expected = text(
                record.protocol,
                record.samples,
                record.images.len(),
                record.packing,
            );
            let found = text(found.protocol, found.samples, found.images, found.packing);
            if expected == found {
                return Ok(());
            }
            return Err(SessionError::OtherImages {
                path: self.reply_path(number),
                expected,
                found,
            });
        }
        Err(SessionError::OtherQuery {
            path: self.reply_path(number),
            expected: number,
            found: found.stage + 1,
            expected_id: record.query_id.clone(),
            found_id,
        })
    }

    fn io(&self, path: &Path, source: io::Error) -> SessionError {
        SessionError::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}

/// What changes when a file does.
fn stamp(path: &Path) -> Option<(u64, Option<SystemTime>)> {
    let found = fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()))
}

/// Writes a message, which must not exist yet: nothing in a session is ever
/// replaced, so two programs on the same side cannot undo each other's work.
fn put(path: PathBuf, bytes: &[u8]) -> Result<Written, SessionError> {
    let result = write_atomic(&path, bytes, Overwrite::Never, Mode::Shared);
    written(result, path, bytes)
}

/// What is said of a message once writing it has ended.
fn written(
    result: Result<(), WriteError>,
    path: PathBuf,
    bytes: &[u8],
) -> Result<Written, SessionError> {
    match result {
        Ok(()) => Ok(Written {
            path,
            bytes: bytes.len(),
        }),
        Err(source) => Err(SessionError::Write { path, source }),
    }
}

/// The number in front of `suffix`, if `name` is one that a session gives.
fn numbered(name: &str, suffix: &str) -> Option<usize> {
    let digits = name.strip_suffix(suffix)?;
    let number: usize = digits.parse().ok()?;
    // "01-query.pdnn" or "+1-query.pdnn" is none of ours.
    (number > 0 && number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests;
