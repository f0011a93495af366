//! The shape of a tensor.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Channels, height and width of a tensor.
///
/// The tensor itself is a flat slice in the order channel, row, column: element
/// (c, y, x) stands at `(c·height + y)·width + x`. A vector of k values has the
/// shape (k, 1, 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Number of channels.
    pub channels: usize,
    /// Rows of each channel.
    pub height: usize,
    /// Columns of each channel.
    pub width: usize,
}

impl Shape {
    /// The shape with these extents.
    pub const fn new(channels: usize, height: usize, width: usize) -> Shape {
        Shape {
            channels,
            height,
            width,
        }
    }

    /// The shape of a vector of `len` values: (len, 1, 1).
    pub const fn vector(len: usize) -> Shape {
        Shape::new(len, 1, 1)
    }

    /// How many elements a tensor of this shape has.
    ///
    /// Saturates, so that a shape read from a file can be measured before it is
    /// believed.
    pub const fn len(&self) -> usize {
        self.channels.saturating_mul(self.plane())
    }

    /// Whether a tensor of this shape has no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements a channel has: height times width (saturating).
    pub const fn plane(&self) -> usize {
        self.height.saturating_mul(self.width)
    }
}

impl fmt::Display for Shape {
    /// As in `6x14x14`: channels, height, width.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}
