//! ReLU, square and pooling, on plain memory.

/// What a [`Pool`] takes of each square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train) enum PoolKind {
    /// The mean.
    Average,
    /// The largest; its first occurrence receives the gradient.
    Max,
}

/// Pooling of planes over squares of `size`, stride `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train) struct Pool {
    /// Mean or largest.
    pub(in crate::train) kind: PoolKind,
    /// Side of the square, and the stride.
    pub(in crate::train) size: usize,
}

/// What follows a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train) enum Step {
    /// max(x, 0), element by element.
    Relu,
    /// x², element by element.
    Square,
    /// One value for each square.
    Pool(Pool),
}

/// max(x, 0) in place.
pub(super) fn relu(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x = x.max(0.0));
}

/// The gradient of [`relu`]'s input, in place, from that of its output.
pub(super) fn relu_backward(output: &[f32], gradient: &mut [f32]) {
    let both = gradient.iter_mut().zip(output);
    both.for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 });
}

/// x² in place.
pub(super) fn square(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x *= *x);
}

/// The gradient of [`square`]'s input, in place, from that of its output.
pub(super) fn square_backward(input: &[f32], gradient: &mut [f32]) {
    let both = gradient.iter_mut().zip(input);
    both.for_each(|(g, x)| *g *= 2.0 * x);
}

impl Pool {
    /// Calls `f(output index, index of the square's corner)` for all squares
    /// of all planes, whose input is `width` wide.
    fn squares(&self, len: usize, width: usize, mut f: impl FnMut(usize, usize)) {
        let across = width / self.size;
        for row in 0..len / (width * self.size) {
            for x in 0..across {
                f(row * across + x, (row * width + x) * self.size);
            }
        }
    }

    /// Index of the largest element of the square at `corner`.
    fn largest(&self, input: &[f32], corner: usize, width: usize) -> usize {
        let mut best = corner;
        for y in 0..self.size {
            let row = corner + y * width;
            for i in row..row + self.size {
                if input[i] > input[best] {
                    best = i;
                }
            }
        }
        best
    }

    /// Pools planes of `width` columns; the size divides height and width.
    pub(super) fn forward(&self, input: &[f32], width: usize) -> Vec<f32> {
        let area = self.size * self.size;
        let mut output = vec![0f32; input.len() / area];
        let share = 1.0 / area as f32;
        self.squares(input.len(), width, |at, corner| {
            output[at] = match self.kind {
                PoolKind::Max => input[self.largest(input, corner, width)],
                PoolKind::Average => {
                    let rows = (0..self.size).map(|y| corner + y * width);
                    let sums = rows.map(|r| input[r..r + self.size].iter().sum::<f32>());
                    sums.sum::<f32>() * share
                }
            };
        });
        output
    }

    /// The gradient of the input from that of the output.
    pub(super) fn backward(&self, input: &[f32], width: usize, gradient: &[f32]) -> Vec<f32> {
        let mut back = vec![0f32; input.len()];
        let share = 1.0 / (self.size * self.size) as f32;
        self.squares(input.len(), width, |at, corner| match self.kind {
            PoolKind::Max => back[self.largest(input, corner, width)] = gradient[at],
            PoolKind::Average => {
                for y in 0..self.size {
                    let row = corner + y * width;
                    back[row..row + self.size].fill(gradient[at] * share);
                }
            }
        });
        back
    }
}
