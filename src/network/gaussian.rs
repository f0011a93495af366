//! The truncated discrete Gaussian, sampled exactly.
//!
//! For integers σ ≥ 0 and τ ≥ 1 the distribution has the integers k with |k| ≤
//! τσ, and P(k) is proportional to exp(−k²/(2σ²)). (σ is the deviation of the
//! Gaussian before it was made discrete and truncated. The variance of k is
//! lower by what the truncation takes off.)
//!
//! Exact means that no rounding decides a sample: if the random words are
//! uniform, every k has the very probability that is stated. Two samplers do
//! that. For σ up to [`Gaussian::LARGEST_TABLE`] it is a [table] of cumulative
//! probabilities, whose 63 bits are refined in the rare case that they do not
//! decide; beyond, or once in a while, it is [rejection] from a discrete
//! Laplace distribution.
//!
//! The time of a sample depends on its value. Whoever could measure the time
//! of single samples would learn about them; the server that draws weights
//! shows others no more than the time of a whole reply.

mod bits;
mod rejection;
mod table;
#[cfg(test)]
mod tests;

use rand::CryptoRng;

pub use bits::RandomBits;
use table::Table;

/// A truncated discrete Gaussian around 0.
#[derive(Clone)]
pub struct Gaussian {
    deviation: u64,
    reach: u64,
    table: Option<Table>,
}

impl Gaussian {
    /// The largest σ for which a table is made: it then has 255·τ entries.
    pub const LARGEST_TABLE: u64 = 255;

    /// The distribution with σ = `deviation`, truncated at `truncation`
    /// deviations. A table, which takes microseconds to milliseconds to make,
    /// pays for itself after some thousands of samples; a few samples are
    /// better taken from [`Gaussian::without_table`].
    ///
    /// # Panics
    ///
    /// If `truncation`·σ does not fit 63 bits.
    pub fn new(deviation: u64, truncation: u32) -> Gaussian {
        let mut gaussian = Gaussian::without_table(deviation, truncation);
        if (1..=Gaussian::LARGEST_TABLE).contains(&deviation) {
            gaussian.table = Some(Table::new(deviation, gaussian.reach));
        }
        gaussian
    }

    /// As [`Gaussian::new`], but ready at once, and slower in each sample.
    ///
    /// # Panics
    ///
    /// As [`Gaussian::new`].
    pub fn without_table(deviation: u64, truncation: u32) -> Gaussian {
        let reach = deviation
            .checked_mul(truncation.into())
            .filter(|&reach| i64::try_from(reach).is_ok())
            .expect("a reach below 2^63");
        Gaussian {
            deviation,
            reach,
            table: None,
        }
    }

    /// The greatest magnitude that can be drawn: τσ.
    pub fn reach(&self) -> u64 {
        self.reach
    }

    /// Draws one integer.
    pub fn sample<R: CryptoRng>(&self, bits: &mut RandomBits<'_, R>) -> i64 {
        match &self.table {
            _ if self.reach == 0 => 0,
            Some(table) => table.sample(bits),
            None => rejection::sample(self.deviation, self.reach, bits),
        }
    }
}
