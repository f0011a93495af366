//! Who sends what to whom: one folder per protocol, the sessions that carry
//! them, and the randomisers that are made ahead for them.

pub mod bayhenn;
pub mod dot;
pub mod exchange;
pub mod masked;
pub mod randomisers;
pub mod session;
pub mod two_party_dnn;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A protocol, as messages and options name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// [`two_party_dnn`].
    #[default]
    #[serde(rename = "2p-dnn")]
    TwoPartyDnn,
    /// [`bayhenn`].
    #[serde(rename = "bayhenn")]
    Bayhenn,
    /// [`masked`].
    #[serde(rename = "masked")]
    Masked,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 3] = [Protocol::TwoPartyDnn, Protocol::Bayhenn, Protocol::Masked];

    /// Its name: what a message says under [`Protocol::MEMBER`].
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::TwoPartyDnn => "2p-dnn",
            Protocol::Bayhenn => "bayhenn",
            Protocol::Masked => "masked",
        }
    }

    /// The metadata member of a message that names its protocol.
    pub const MEMBER: &'static str = "protocol";
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Protocol, String> {
        let named = |protocol: &Protocol| protocol.name() == text;
        Protocol::ALL.into_iter().find(named).ok_or_else(|| {
            let names: Vec<&str> = Protocol::ALL.iter().map(|one| one.name()).collect();
            format!("unknown protocol {text:?}; expected {}", names.join(" or "))
        })
    }
}
