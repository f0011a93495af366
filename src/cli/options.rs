//! Options that several subcommands share, and what they become.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;

use crate::{
    dataset::{Invert, Selection},
    network::Profile,
    protocol::{
        Protocol,
        bayhenn::{DEFAULT_SAMPLES, MAX_SAMPLES},
        session::Wait,
        two_party_dnn::LayoutChoice,
    },
};

use super::error::{CliResult, bail};

/// Images that are to be classified.
#[derive(clap::Args, Debug)]
pub(crate) struct ImageOptions {
    /// PNG files, folders of PNG files, IDX or CSV files; - reads one from standard input. For a
    /// network that takes tables: CSV with named columns.
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Of all these images, only some, counted from 0: 17, or 0..100 for 0 to 99, or 100.. .
    #[arg(long, value_name = "A..B")]
    pub(crate) range: Option<Selection>,

    /// Whether to exchange black and white in PNG files.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) invert: Polarity,
}

/// Whether to exchange black and white: networks read white ink on black.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Polarity {
    /// Where the background is light.
    #[default]
    Auto,
    /// In every picture.
    Always,
    /// In none.
    Never,
}

impl From<Polarity> for Invert {
    fn from(polarity: Polarity) -> Invert {
        match polarity {
            Polarity::Auto => Invert::Auto,
            Polarity::Always => Invert::Yes,
            Polarity::Never => Invert::No,
        }
    }
}

/// How values share ciphertexts.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    /// By the number of images.
    #[default]
    Auto,
    /// Least time for one image or a few: convolutions packed by kernel tap.
    Latency,
    /// Least time an image for many: a slot an image.
    Throughput,
}

impl From<Layout> for LayoutChoice {
    fn from(layout: Layout) -> LayoutChoice {
        match layout {
            Layout::Auto => LayoutChoice::Auto,
            Layout::Latency => LayoutChoice::Latency,
            Layout::Throughput => LayoutChoice::Throughput,
        }
    }
}

/// Where the masked protocol keeps its masks.
#[derive(clap::Args, Debug)]
pub(crate) struct StoreOption {
    /// The folder with the masks that `pdnn prepare` made; for the masked protocol only.
    #[arg(long, value_name = "FOLDER", conflicts_with = "session")]
    store: Option<PathBuf>,
}

impl StoreOption {
    /// The folder, without which the masked protocol cannot do.
    pub(crate) fn folder(&self) -> CliResult<&Path> {
        match &self.store {
            Some(folder) => Ok(folder),
            None => bail!(
                "the masked protocol takes its masks from a store, without a session; name one \
                 with --store, and make it with `pdnn prepare`"
            ),
        }
    }

    /// Refuses a folder, of which other protocols make no use.
    pub(crate) fn must_be_none(&self, protocol: Protocol) -> CliResult {
        match &self.store {
            None => Ok(()),
            Some(_) => bail!("--store is for the masked protocol; this is {protocol}"),
        }
    }
}

/// Which protocol classifies.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct ProtocolOption {
    /// The protocol. [default: the one that the network is for]
    #[arg(long, value_enum)]
    protocol: Option<ProtocolName>,

    /// How many networks are drawn for a query of a Bayesian network, 1 to 64. [default: 4]
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u16).range(1..=MAX_SAMPLES as i64))]
    samples: Option<u16>,
}

/// A protocol, and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The protocol.
    pub(crate) protocol: Protocol,
    /// Networks drawn for a query: 1 where they are not drawn.
    pub(crate) samples: usize,
}

/// The protocols by name.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum ProtocolName {
    /// Paillier, an exchange for each linear layer.
    #[value(name = Protocol::TwoPartyDnn.name())]
    TwoPartyDnn,
    /// The same for a Bayesian network: its weights are drawn anew for every query.
    #[value(name = Protocol::Bayhenn.name())]
    Bayhenn,
    /// Masks prepared ahead with Paillier; then arithmetic only.
    #[value(name = Protocol::Masked.name())]
    Masked,
}

impl ProtocolOption {
    /// The protocol that was asked for, or the one for the network of `profile`.
    ///
    /// # Errors
    ///
    /// A protocol that is not for such a network; samples where nothing is
    /// drawn.
    pub(crate) fn or_default(self, profile: &Profile) -> CliResult<Terms> {
        let bayesian = profile.posterior.is_some();
        let protocol = match self.protocol {
            Some(ProtocolName::TwoPartyDnn) => Protocol::TwoPartyDnn,
            Some(ProtocolName::Bayhenn) => Protocol::Bayhenn,
            Some(ProtocolName::Masked) => Protocol::Masked,
            None if bayesian => Protocol::Bayhenn,
            None => Protocol::TwoPartyDnn,
        };
        if bayesian && protocol != Protocol::Bayhenn {
            bail!(
                "--protocol {protocol}: the weights of network {} are drawn anew for every query; \
                 expected --protocol bayhenn",
                profile.name
            );
        }
        if protocol == Protocol::Bayhenn && !bayesian {
            bail!(
                "--protocol bayhenn: network {} has fixed weights, no standard deviations to draw \
                 them with; name a Bayesian network with --network",
                profile.name
            );
        }
        if protocol != Protocol::Bayhenn && self.samples.is_some() {
            bail!("--samples: only a Bayesian network is drawn; leave it out with {protocol}");
        }
        let samples = match protocol {
            Protocol::Bayhenn => self.samples.map_or(DEFAULT_SAMPLES, usize::from),
            Protocol::TwoPartyDnn | Protocol::Masked => 1,
        };
        Ok(Terms { protocol, samples })
    }
}

/// The network of a client, who needs no weights.
#[derive(clap::Args, Debug)]
pub(crate) struct ProfileOption {
    /// The network: a profile file, or a folder with profile.json. [default: the built-in LeNet-5]
    #[arg(long, value_name = "PROFILE|FOLDER")]
    pub(crate) network: Option<PathBuf>,
}

/// The network of whoever needs its weights.
#[derive(clap::Args, Debug)]
pub(crate) struct ModelOption {
    /// The network: a folder with model.safetensors and profile.json. [default: the built-in
    /// LeNet-5]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) network: Option<PathBuf>,
}

/// Whether and how long to wait for the other side of a session.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct FollowOptions {
    /// Keep the session going until the label is known, waiting for the other side.
    #[arg(long, requires = "session")]
    pub(crate) follow: bool,

    /// Give up after so long without a file from the other side.
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "follow",
        default_value_t = 600
    )]
    timeout: u64,
}

impl FollowOptions {
    /// How to wait for a file.
    pub(crate) fn wait(self) -> Wait {
        if self.follow {
            Wait::AtMost(Duration::from_secs(self.timeout))
        } else {
            Wait::No
        }
    }
}
