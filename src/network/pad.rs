//! Zeros around the channels of a tensor.

use super::{
    Problem, Shape,
    limits::{MAX_ELEMENTS, at_most, not_zero},
};

/// Shape of a tensor of shape `input` with `size` rows and columns of zeros on
/// each side of every channel.
pub(super) fn output_shape(size: usize, input: Shape) -> Result<Shape, Problem> {
    not_zero("the size of the padding", size)?;
    // Shapes are saturating in their length, so this is caught below.
    let wider = |extent: usize| extent.saturating_add(size.saturating_mul(2));
    let output = Shape {
        height: wider(input.height),
        width: wider(input.width),
        ..input
    };
    at_most("the number of values", output.len(), MAX_ELEMENTS)?;
    Ok(output)
}

/// `values`, of shape `input`, in the middle of a tensor of shape `output`;
/// `zero` around them.
pub(super) fn apply<T: Copy>(
    size: usize,
    input: Shape,
    output: Shape,
    values: &[T],
    zero: T,
) -> Vec<T> {
    let mut padded = vec![zero; output.len()];
    let channels = padded.chunks_exact_mut(output.plane());
    for (channel, values) in channels.zip(values.chunks_exact(input.plane())) {
        let rows = channel.chunks_exact_mut(output.width).skip(size);
        for (row, values) in rows.zip(values.chunks_exact(input.width)) {
            row[size..][..input.width].copy_from_slice(values);
        }
    }
    padded
}
