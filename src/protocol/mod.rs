//! Who sends what to whom: one folder per protocol, and the sessions that
//! carry them.
