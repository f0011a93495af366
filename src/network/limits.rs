//! Sizes beyond which a network is refused before memory is taken for it.
//!
//! They are far above anything that Paillier can evaluate in useful time, and
//! low enough that a hostile profile cannot exhaust a machine.

use super::Problem;

/// Most elements of any tensor.
pub const MAX_ELEMENTS: usize = 1 << 22;
/// Most weights of one layer.
pub const MAX_WEIGHTS: usize = 1 << 26;
/// Most products of a weight and an input in one layer, and most values read
/// by one pooling.
pub const MAX_PRODUCTS: usize = 1 << 28;
/// Most of both over all stages: range analysis, which a hostile model can
/// cause, takes time in proportion to them.
pub const MAX_ALL_PRODUCTS: usize = 1 << 30;
/// Most stages of a network.
pub const MAX_STAGES: usize = 64;
/// Most operations behind one linear layer.
pub const MAX_STEPS: usize = 32;
/// Most entries of a look-up table.
pub const MAX_TABLE: usize = 1 << 18;
/// Most words that a column of a table may hold.
pub const MAX_CATEGORIES: usize = 1 << 12;
/// Most characters of a name or label.
pub const MAX_NAME: usize = 128;

/// Refuses `found` if it is above `limit`.
pub(super) fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), Problem> {
    if found > limit {
        return Err(Problem::TooLarge { what, found, limit });
    }
    Ok(())
}

/// Refuses 0.
pub(super) fn not_zero(what: &'static str, found: usize) -> Result<(), Problem> {
    if found == 0 {
        return Err(Problem::Zero { what });
    }
    Ok(())
}
