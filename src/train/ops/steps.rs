//! What follows a linear layer within the same operation.

use candle_core::{Result, bail};

use super::{
    Step,
    activation::{relu, relu_backward, square, square_backward},
};

/// Activation and pooling, in order.
#[derive(Clone, Debug)]
pub(super) struct Steps(Vec<Step>);

/// What the way back needs: the input of each pooling and each square, with
/// its width.
pub(super) struct Kept(Vec<(Vec<f32>, usize)>);

impl Steps {
    /// These steps, in this order.
    pub(super) fn new(steps: Vec<Step>) -> Steps {
        Steps(steps)
    }

    /// Height and width after all steps.
    pub(super) fn result_size(&self, height: usize, width: usize) -> Result<(usize, usize)> {
        let (mut height, mut width) = (height, width);
        for step in &self.0 {
            if let Step::Pool(pool) = step {
                if pool.size == 0 || height % pool.size != 0 || width % pool.size != 0 {
                    bail!("pooling by {} does not divide {height}x{width}", pool.size);
                }
                (height, width) = (height / pool.size, width / pool.size);
            }
        }
        Ok((height, width))
    }

    /// The result for planes of `width` columns.
    pub(super) fn forward(&self, mut values: Vec<f32>, width: usize) -> (Vec<f32>, Kept) {
        let (mut kept, mut width) = (Vec::new(), width);
        for step in &self.0 {
            match step {
                Step::Relu => relu(&mut values),
                Step::Square => {
                    kept.push((values.clone(), width));
                    square(&mut values);
                }
                Step::Pool(pool) => {
                    let smaller = pool.forward(&values, width);
                    kept.push((std::mem::replace(&mut values, smaller), width));
                    width /= pool.size;
                }
            }
        }
        (values, Kept(kept))
    }

    /// The gradient of the input from `back`, that of the `result`.
    pub(super) fn backward(&self, kept: &Kept, result: &[f32], mut back: Vec<f32>) -> Vec<f32> {
        // A step's output is the next kept input, or the result: ReLU leaves
        // what it has made unchanged.
        let (mut output, mut kept) = (result, &kept.0[..]);
        for step in self.0.iter().rev() {
            match (step, kept) {
                (Step::Relu, _) => relu_backward(output, &mut back),
                (Step::Square, [before @ .., (values, _)]) => {
                    square_backward(values, &mut back);
                    (output, kept) = (values, before);
                }
                (Step::Pool(pool), [before @ .., (values, width)]) => {
                    back = pool.backward(values, *width, &back);
                    (output, kept) = (values, before);
                }
                (Step::Square | Step::Pool(_), []) => {}
            }
        }
        back
    }
}
