//! The server that is audited: in this process, or behind a session folder.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    audit::{AuditError, Auditor, Exchange, InProcess, Serve, Service},
    file::folder::{AnyNetwork, network_files},
    network::{Network, Profile},
    paillier::SecretKey,
    protocol::{
        Protocol, bayhenn,
        exchange::{Client, ClientKeys, Query, Reply},
        session::{Record, Session, Side, Wait},
        two_party_dnn,
    },
};

use super::super::{
    console::Console,
    error::{CliError, CliResult, Explain, bail},
    messages, network,
    options::{ModelOption, Terms},
    random,
};

/// A server elsewhere.
#[derive(clap::Args, Debug)]
pub(super) struct SessionOptions {
    /// Audit the server that answers this new session folder with `pdnn infer --session --follow`.
    #[arg(long, value_name = "FOLDER")]
    session: Option<PathBuf>,

    /// Give up after so long without a file from the server.
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "session",
        default_value_t = 600
    )]
    timeout: u64,
}

impl SessionOptions {
    /// Whether there is one.
    pub(super) fn is_given(&self) -> bool {
        self.session.is_some()
    }

    /// Fails where a session has no room for so many attacks, or exists.
    pub(super) fn check(&self, attacks: usize) -> CliResult {
        let Some(folder) = &self.session else {
            return Ok(());
        };
        if attacks > 1 {
            bail!("a session has room for one attack; name one with --attack");
        }
        Session::at(folder).must_be_new().explain()
    }
}

/// What is known of the network here: all of it, or what a client knows.
pub(super) enum Known {
    Network(Box<AnyNetwork>),
    Profile(Profile),
}

impl Known {
    /// What the named network's files say; a session needs no model.
    pub(super) fn of(
        named: &ModelOption,
        session: &SessionOptions,
        console: &Console,
    ) -> CliResult<Known> {
        let path = named.network.as_deref();
        let has_model = |path: &Path| network_files(path).is_ok_and(|(_, model)| model.is_file());
        match path {
            Some(path) if session.is_given() && !has_model(path) => {
                console.note("no model there: what is recovered is not scored");
                Ok(Known::Profile(network::profile(Some(path), console)?))
            }
            _ => Ok(Known::Network(Box::new(network::network(path, console)?))),
        }
    }

    /// What the client knows.
    pub(super) fn profile(&self) -> &Profile {
        match self {
            Known::Network(network) => network.profile(),
            Known::Profile(profile) => profile,
        }
    }

    /// The network that a recovered one is compared with.
    pub(super) fn mean_network(&self) -> Option<Network> {
        match self {
            Known::Network(network) => Some(match &**network {
                AnyNetwork::Fixed(network) => network.clone(),
                AnyNetwork::Bayesian(network) => network.mean_network(),
            }),
            Known::Profile(_) => None,
        }
    }

    /// The auditor's side of an exchange with the server.
    pub(super) fn service(
        &self,
        terms: Terms,
        key: SecretKey,
        options: &SessionOptions,
    ) -> CliResult<Box<dyn Service>> {
        let (profile, rng) = (self.profile().clone(), random::system()?);
        let keys = ClientKeys::Owner(key);
        let client = match terms.protocol {
            Protocol::TwoPartyDnn => Client::new(profile.clone(), keys),
            Protocol::Bayhenn => bayhenn::client(profile.clone(), keys, terms.samples).explain()?,
            Protocol::Masked => bail!(
                "the audit does not play the masked protocol, whose client sees the same results \
                 of every layer as that of 2p-dnn; audit that"
            ),
        };
        if let Some(folder) = &options.session {
            let server = InSession::new(folder, options.timeout, profile);
            return Ok(Box::new(Auditor::new(client, server, rng)));
        }
        let Known::Network(network) = self else {
            bail!("a server in this process needs a model");
        };
        Ok(match &**network {
            AnyNetwork::Fixed(network) => {
                let server = two_party_dnn::Server::new(network.clone());
                auditor(client, server.for_whole_run())?
            }
            AnyNetwork::Bayesian(network) => {
                let server = bayhenn::Server::new(network.clone());
                auditor(client, server.for_whole_run())?
            }
        })
    }
}

/// An auditor of a server in this process.
fn auditor(client: Client, server: impl Serve + 'static) -> CliResult<Box<dyn Service>> {
    let server = InProcess::new(server, random::system()?, random::system()?);
    Ok(Box::new(Auditor::new(client, server, random::system()?)))
}

/// Whether a server of `protocol` draws its weights anew for every query.
pub(super) fn draws_weights(protocol: Protocol) -> bool {
    match protocol {
        Protocol::Bayhenn => true,
        Protocol::TwoPartyDnn | Protocol::Masked => false,
    }
}

/// A server that watches a session folder.
struct InSession {
    session: Session,
    folder: PathBuf,
    profile: Profile,
    wait: Wait,
    /// Queries written so far.
    written: usize,
}

impl InSession {
    fn new(folder: &Path, timeout: u64, profile: Profile) -> InSession {
        InSession {
            session: Session::at(folder),
            folder: folder.to_path_buf(),
            profile,
            wait: Wait::AtMost(Duration::from_secs(timeout)),
            written: 0,
        }
    }

    fn exchange(&mut self, query: &Query) -> CliResult<Reply> {
        if self.written == self.profile.stages.len() {
            bail!(
                "a server leaves a session after {} replies, and this attack needs more; use a \
                 longer key or fewer --samples",
                self.written
            );
        }
        if self.written == 0 {
            let names = (1..=query.header().images).map(|i| format!("image {i}"));
            let record = Record::new(query, names.collect());
            Session::start(&self.folder, &record, &self.profile, query).explain()?;
        } else {
            let number = self.written + 1;
            self.session
                .put_query(number, &query.to_bytes())
                .explain()?;
        }
        self.written += 1;
        let number = self.session.next(Side::Client, self.wait).explain()?;
        let path = self.session.reply_path(number);
        self.session.read(&path, self.wait, |path| {
            Reply::from_bytes(&messages::read(path)?).about_file(path)
        })
    }
}

impl Exchange for InSession {
    fn send(&mut self, query: &Query, _: &(dyn Fn(f64) + Sync)) -> Result<Reply, AuditError> {
        self.exchange(query).map_err(|error| {
            AuditError::Exchange(match error {
                CliError::Message(text) => text,
                CliError::Reported | CliError::ReaderGone => "the exchange ended early".into(),
            })
        })
    }
}
