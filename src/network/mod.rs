//! The integer network in the clear: layers, ranges, quantisation. It knows no cryptography.
//!
//! This is the ideal functionality: a protocol must give, bit for bit, what
//! [`Network::forward`] gives on the same integers.
//!
//! A network is a chain of *stages*. Each is a [`Linear`] layer, which the
//! server evaluates, and a list of operations ([`Op`]) behind it, which the
//! client does; there may be such a list before the first layer as well
//! ([`Profile::prepare`]). Every value is a signed 64-bit integer, and every tensor a flat
//! slice in the order channel, row, column ([`Shape`]).
//!
//! Its two halves are the [`Profile`], which a client must know, and the
//! [`Weights`], the server's secret. The profile holds for each stage the range
//! of the layer's results. [`Network::new`] computes it from the real weights,
//! element by element; no input within the profile's range can leave it. A
//! network for which some value, even on the way to a result, might not fit 64
//! bits is refused.
//!
//! A [`BayesianNetwork`] has a discrete [`Gaussian`] for each weight in place of
//! a number. Its profile's ranges cover every network that can be drawn.

mod bayesian;
mod decimal;
mod error;
mod evaluate;
mod feature;
mod gaussian;
pub mod limits;
mod linear;
mod op;
mod pad;
mod pool;
mod prepare;
mod profile;
mod range;
mod shape;
mod table;
mod validate;

#[cfg(test)]
mod tests;

pub use bayesian::{BayesianNetwork, Deviations};
pub use decimal::{Decimal, MAX_DIGITS};
pub use error::{NetworkError, Problem};
pub use evaluate::{Network, argmax, softmax};
pub use feature::{Category, CellError, Feature, Scale};
pub use gaussian::{Gaussian, RandomBits};
pub use linear::{Linear, Weights};
pub use op::Op;
pub use profile::{InputSpec, PROFILE_FORMAT, PROFILE_VERSION, Posterior, Profile, Stage};
pub use range::Range;
pub use shape::Shape;
pub use table::Function;
