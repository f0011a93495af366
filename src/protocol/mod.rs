//! Who sends what to whom: one folder per protocol, and the sessions that
//! carry them.

pub mod session;
pub mod two_party_dnn;
