//! Private neural-network inference with Paillier encryption.
//!
//! A client owns an image, a server owns a trained network. They classify the
//! image together by exchanging files; the image, and every value computed
//! from it, reaches the server only encrypted.
//!
//! The rooms of the house, each of which uses only those named behind it
//! (`tests/rooms.rs` holds the same table and fails on any other edge):
//!
//! | room | holds | may use |
//! |---|---|---|
//! | [`cli`] | what a person types | all |
//! | [`audit`] | what a client can learn, measured | protocol, network, paillier |
//! | [`protocol`] | who sends what to whom | encrypted, mpc, network, paillier, file |
//! | [`encrypted`] | a layer evaluated on ciphertexts | paillier, network |
//! | `train` | training, behind a cargo feature | network, dataset, file |
//! | [`mod@file`] | every format on disk | paillier, network |
//! | [`dataset`] | images and tables in and out | – |
//! | [`report`] | tables, costs, plots | – |
//! | [`paillier`] | keys, ciphertexts, packed plaintexts | bignum |
//! | [`mpc`] | masks, and the books of their use | bignum, network |
//! | [`network`] | the integer network in the clear | – |
//! | [`bignum`] | arithmetic modulo n and n² | – |

pub mod audit;
pub mod bignum;
pub mod cli;
pub mod dataset;
pub mod encrypted;
pub mod file;
pub mod mpc;
pub mod network;
pub mod paillier;
pub mod protocol;
pub mod report;
#[cfg(feature = "train")]
pub mod train;
