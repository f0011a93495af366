//! BAYHENN: 2P-DNN for a Bayesian network, whose weights the server draws anew
//! for every query (Xie et al., IJCAI 2019, arXiv 1906.00639).
//!
//! ```text
//!        client: image x, secret key          server: posterior q(W), T paths
//!        ---------------------------          -------------------------------
//!   layer 1:
//!        encrypt x                -- ⟦x⟧, T -->  for t = 1 … T:
//!                                                  draw W⁽ᵗ⁾, b⁽ᵗ⁾ from q
//!                                                  ⟦y⁽ᵗ⁾⟧ = ⟦W⁽ᵗ⁾x + b⁽ᵗ⁾⟧
//!                                                  re-randomise, forget W⁽ᵗ⁾
//!        for every t: decrypt,   <-- ⟦y⁽¹⁾⟧ … ⟦y⁽ᵀ⁾⟧ --
//!             check every slot,
//!             x⁽ᵗ⁾ := activation, pooling,
//!                     requantisation
//!   every later layer:
//!        encrypt x⁽¹⁾ … x⁽ᵀ⁾     -- ⟦x⁽¹⁾⟧ … ⟦x⁽ᵀ⁾⟧ -->  draw anew; the same
//!                                <-- ⟦y⁽¹⁾⟧ … ⟦y⁽ᵀ⁾⟧ --
//!   after the last layer:
//!        p = 1/T Σ softmax(y⁽ᵗ⁾),  label = argmax p,  entropy of p
//! ```
//!
//! The posterior is a mean-field Gaussian: each weight by itself, integer mean
//! and standard deviation, truncated
//! ([`BayesianNetwork`]). The paths share one
//! encryption of the image and nothing else; all images of one query meet the
//! same T draws. The number of paths stands in every message.
//!
//! Given the weights that were drawn, the logits of every path equal those of
//! [`BayesianNetwork::forward`] bit
//! for bit. The average is taken in floating point; it is for people.
//!
//! The server keeps nothing between two layers of a query, so a path has no
//! identity there: layer 2 of path t is drawn without regard to layer 1. That is
//! the same distribution, for each layer's weights are independent of the
//! others'.
//!
//! # What each side learns
//!
//! Semi-honest parties. The server sees what it sees in
//! [2P-DNN](super::two_party_dnn), and T. Nothing about the images follows from
//! it under the decisional composite residuosity assumption.
//!
//! **The client learns, for every layer and path, exact results of a network
//! near the mean one.** The paper argues that recovering the weights from them
//! is a problem like learning with errors. It is not one for a client that may
//! ask again: every answer to the same input is the true pre-activation plus
//! fresh noise of mean 0 whose spread falls with the square root of the number of
//! answers (Wong et al., IJCAI 2020, on this protocol). A zero input gives the
//! biases and unit inputs the weights, and nothing stops a client from starting
//! at any layer: averaging k answers leaves an error of each weight's standard
//! deviation over √k, and a query of T paths is T answers. So the noise slows
//! recovery of the means down and does not prevent it. BAYHENN does not hide the
//! model from clients that may ask without limit.
//!
//! Replies are re-randomised as in 2P-DNN, and malicious parties are treated the
//! same: the client checks every slot, reports a violation to its own user and
//! stops; a server is free to draw from any distribution, and the client would
//! not know. Nothing ties the stages of a query together at the server, which is
//! stateless. A session, and `decrypt --query`, refuse a reply whose query id, T,
//! images or packing are not those of the query; a reply by itself is only known
//! to be for the client's key and network.

mod prediction;
mod server;

pub use super::exchange::{
    Client, ClientKeys, Header, LayoutChoice, MAX_IMAGES, MAX_MESSAGE, MAX_SAMPLES, Opened,
    Progress, ProtocolError, Query, QueryId, Reply, StageTraffic, Step, traffic,
};
pub use prediction::Prediction;
pub use server::{Answer, Server};

use super::Protocol;
use rand::CryptoRng;

use crate::network::{BayesianNetwork, Profile, Weights};

/// How many paths a query asks for unless told otherwise.
pub const DEFAULT_SAMPLES: usize = 4;

/// The networks that a [`Server`] draws for the stages of one query, one after
/// the other: for each stage, and in it for each of `samples` paths, one
/// [`BayesianNetwork::draw_stage`]. The weights of a path, first stage first.
///
/// # Panics
///
/// If there is no path.
pub fn draw_paths(
    network: &BayesianNetwork,
    samples: usize,
    draws: &mut impl CryptoRng,
) -> Vec<Vec<Weights>> {
    assert!(samples > 0, "a query has at least one path");
    let mut paths = vec![Vec::new(); samples];
    for stage in 0..network.profile().stages.len() {
        for path in &mut paths {
            path.push(network.draw_stage(stage, draws));
        }
    }
    paths
}

/// A client that asks for `samples` paths through the Bayesian network that
/// `profile` describes.
///
/// # Errors
///
/// [`ProtocolError::Samples`] unless there are 1 to [`MAX_SAMPLES`] paths;
/// [`ProtocolError::NotBayesian`] for a network of fixed weights.
pub fn client(profile: Profile, keys: ClientKeys, samples: usize) -> Result<Client, ProtocolError> {
    if !(1..=MAX_SAMPLES).contains(&samples) {
        return Err(ProtocolError::Samples(samples));
    }
    if profile.posterior.is_none() {
        return Err(ProtocolError::NotBayesian(profile.name));
    }
    Ok(Client::speaking(Protocol::Bayhenn, samples, profile, keys))
}
