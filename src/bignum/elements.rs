//! A vector of residues in the kernel's own form.

use std::{fmt, ops::Range};

use zeroize::Zeroize;

use super::memory::Words;

/// Residues modulo m², one row after the other, in the form of the kernel of
/// the [`Ring`](super::Ring) that made them. Only that ring (or one for the
/// same modulus and kernel) can use or read them.
///
/// `Debug` shows only the count. Secrets are wiped by
/// [`zeroize`](Zeroize::zeroize) or by wrapping in `zeroize::Zeroizing`; a
/// vector is not wiped by itself, because most hold ciphertexts.
#[derive(Clone)]
pub struct Elements {
    /// Words of a row.
    pub(super) stride: usize,
    pub(super) rows: Words,
}

impl Elements {
    pub(super) fn zeroed(stride: usize, count: usize) -> Elements {
        Elements {
            stride,
            rows: Words::zeroed(stride * count),
        }
    }

    /// None yet, with room for `count`.
    pub(super) fn with_capacity(stride: usize, count: usize) -> Elements {
        Elements {
            stride,
            rows: Words::with_capacity(stride * count),
        }
    }

    pub(super) fn row(&self, i: usize) -> &[u64] {
        &self.rows[i * self.stride..(i + 1) * self.stride]
    }

    /// Number of residues.
    pub fn len(&self) -> usize {
        self.rows.len() / self.stride
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A copy of the elements `range`.
    ///
    /// # Panics
    /// If the range does not lie within `0..len()`.
    pub fn slice(&self, range: Range<usize>) -> Elements {
        let rows = &self.rows[range.start * self.stride..range.end * self.stride];
        Elements {
            stride: self.stride,
            rows: rows.to_vec().into(),
        }
    }

    /// The elements at `indices`, in that order; an index may repeat.
    ///
    /// # Panics
    /// If an index is not below `len()`.
    pub fn gather(&self, indices: &[usize]) -> Elements {
        let mut rows = Words::with_capacity(indices.len() * self.stride);
        for &i in indices {
            rows.extend_from_slice(self.row(i));
        }
        Elements {
            stride: self.stride,
            rows,
        }
    }

    /// Appends the elements of `other`.
    ///
    /// # Panics
    /// If `other` comes from a ring of another size.
    pub fn extend(&mut self, other: &Elements) {
        assert_eq!(self.stride, other.stride, "elements of different rings");
        self.rows.extend_from_slice(&other.rows);
    }

    /// The parts one after the other; `None` if there are no parts. One
    /// allocation: growing would leave copies behind.
    ///
    /// # Panics
    /// If the parts come from rings of different sizes.
    pub fn concat(parts: &[&Elements]) -> Option<Elements> {
        let first = parts.first()?;
        let mut all = Elements::with_capacity(first.stride, parts.iter().map(|e| e.len()).sum());
        for part in parts {
            all.extend(part);
        }
        Some(all)
    }
}

impl Zeroize for Elements {
    /// Wipes the residues and leaves an empty vector.
    fn zeroize(&mut self) {
        self.rows.zeroize();
    }
}

impl fmt::Debug for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Elements({})", self.len())
    }
}
