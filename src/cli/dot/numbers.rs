//! Vectors of real numbers from a file.

use std::path::{Path, PathBuf};

use crate::{
    dataset::{NpyValues, is_npy, read_matrix, read_npy},
    file::input,
    network::Decimal,
    protocol::dot::{Base, Real, Scale},
};

use super::super::error::{CliResult, Explain, bail};

/// Longest file of numbers that is read.
const MAX_FILE: u64 = 1 << 30;

/// How the server's numbers become integers.
#[derive(clap::Args, Debug)]
pub(super) struct NumberOptions {
    /// Bits of the server's integers, without the sign [default: as many as the data need, if
    /// the client's may then have as many; at most 24].
    #[arg(long, value_name = "BITS", conflicts_with = "terms")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=31))]
    pub(super) bits: Option<u32>,

    /// Multiply the numbers by 2^N instead of a power found in the data.
    #[arg(long, value_name = "N", conflicts_with = "terms")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(Scale::MAX_EXPONENT)))]
    scale_bits: Option<u32>,
}

impl NumberOptions {
    /// The scale that was asked for.
    pub(super) fn scale(&self) -> Option<Scale> {
        self.scale_bits.map(binary)
    }
}

/// 2^exponent.
pub(super) fn binary(exponent: u32) -> Scale {
    Scale {
        base: Base::Two,
        exponent,
    }
}

/// Reads vectors, one a row; a single column is one vector, unless vectors of
/// one number are wanted.
pub(super) fn read(path: &Path, length: Option<usize>) -> CliResult<Vec<Vec<Real>>> {
    let bytes = input::read_all(path, MAX_FILE).about_file(path)?;
    let (rows, columns, values): (usize, usize, Vec<Real>) = if is_npy(&bytes) {
        let npy = read_npy(&bytes).about_file(path)?;
        let values = match npy.values {
            NpyValues::Integers(values) => values.into_iter().map(Real::Whole).collect(),
            NpyValues::Floats(values) => values.into_iter().map(Real::Binary).collect(),
        };
        (npy.rows, npy.columns, values)
    } else {
        let number = |text: &str| Decimal::parse(text).map(Real::Decimal);
        let matrix = read_matrix(&bytes[..], number).about_file(path)?;
        (matrix.rows, matrix.columns, matrix.values)
    };
    let one = columns == 1 && length != Some(1);
    let columns = if one { rows } else { columns };
    if let Some(length) = length
        && columns != length
    {
        bail!(
            "{}: vectors of {columns} numbers, the terms are for {length}",
            PathBuf::from(path).display()
        );
    }
    Ok(values.chunks(columns).map(<[Real]>::to_vec).collect())
}
