//! 2P-DNN: a client and a server classify an image with Paillier encryption
//! (arXiv 1807.08459).
//!
//! ```text
//!        client: image x, secret key                 server: weights W, b
//!        ---------------------------                 --------------------
//!   for every linear layer:
//!        encrypt x                    -- ⟦x⟧ -->     ⟦Wx + b⟧ from ⟦x⟧
//!                                                    re-randomise
//!        decrypt, check every slot   <-- ⟦y⟧ --
//!        x := activation, pooling,
//!             requantisation of y
//!   after the last layer: label = argmax y
//! ```
//!
//! Both sides are stateless between exchanges: all that a side needs is in the
//! message and in its key or model. So the same [`Client`] and [`Server`] serve
//! in one process and over files. All but the server's weights is common to this
//! protocol and others, and stands in [`exchange`](super::exchange).
//!
//! # What each side learns
//!
//! Semi-honest parties. The server sees ciphertexts under the client's key,
//! and beyond them: which network and layer, how many images, the packing, the
//! key's fingerprint, and when messages come. Nothing about the images follows
//! from these under the decisional composite residuosity assumption.
//!
//! **The client learns every pre-activation of every layer**, which is more
//! than the label: a client that may ask often enough, with inputs of its
//! choice, can solve for the weights exactly. 2P-DNN does not hide the model
//! from its clients.
//!
//! Replies are re-randomised by the server with randomness of its own, so that
//! a client that chose its randomisers cannot read weights out of theirs. For
//! keys of two large random primes that hides all but the class modulo a small
//! odd prime dividing p − 1 or q − 1, for about one re-randomiser in 3,000 (see
//! [`Rerandomiser`](crate::paillier::Rerandomiser)).
//!
//! # Malicious parties
//!
//! Not covered by the protocol. A malicious client may start at any layer with
//! any values. A malicious server may return ciphertexts of its making; the
//! client checks every slot against the layer's exact range, and the unused
//! bits against 0, reports a violation to its own user and stops. Whatever a
//! cheating server sees of the outcome is an oracle on the image: a label, or
//! just whether another query comes. The check bounds that and does not remove
//! it. Files are not authenticated: decrypt only what came from the server you chose, and
//! use a key for one server.
//!
//! Exact: the logits equal those of [`Network::forward`] bit for bit.
//!
//! [`Network::forward`]: crate::network::Network::forward

mod plans;
mod server;

pub use super::exchange::{
    Answer, Client, ClientKeys, Header, LayoutChoice, MAX_IMAGES, MAX_MESSAGE, Opened, Progress,
    ProtocolError, Query, QueryId, Reply, StageTraffic, Step, traffic,
};
pub use plans::PlanRefused;
pub use server::{Server, StageWork};
