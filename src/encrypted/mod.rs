//! A layer evaluated on ciphertexts: layouts, product plans, convolution,
//! dense.
//!
//! A linear layer `y = W·x + b` on Paillier ciphertexts is a product of powers:
//! `⟦y_j⟧ = Π ⟦x_i⟧^(w_ji) · ⟦b_j⟧`. What that costs depends on two choices,
//! each in a file of its own:
//!
//! * [`layout`] decides what a ciphertext holds: which values share its slots,
//!   and so how many ciphertexts and how many powers there are;
//! * [`plan`] decides in which order the powers are multiplied, from the
//!   weights alone: the server knows them long before any query comes.
//!
//! [`layer`] puts the two together and evaluates a layer.

pub mod chain;
pub mod layer;
pub mod layout;
pub mod plan;
pub mod rows;
