//! A linear layer modulo 2^L, a block of inputs at a time.
//!
//! Values stand element by element, the block's inputs side by side, so that
//! one weight meets a run of neighbouring words: the compiler makes vector
//! instructions of it without being told. Words are the narrowest that hold L
//! bits ([`Word`]): with 16 bits a plain SSE2 machine multiplies eight at once.
//! Sums wrap, which is what arithmetic modulo 2^L wants.

use crate::network::{Linear, Weights};

use super::ring::Word;

/// Inputs in a block.
pub const BLOCK: usize = 64;

/// One word of every input of a block.
pub type Lanes<W> = [W; BLOCK];

/// A linear layer's weights, ready for blocks; without the bias.
pub struct Matrix<W> {
    /// Which input, and its weight: the rows one behind the other.
    terms: Vec<(u32, W)>,
    /// Where each row ends.
    ends: Vec<usize>,
    inputs: usize,
}

impl<W: Word> Matrix<W> {
    /// The rows of `linear`, one an output element; zero weights left out.
    ///
    /// # Panics
    ///
    /// If the weights are not those of the layer's shape.
    pub fn new(linear: &Linear, weights: &Weights) -> Matrix<W> {
        assert_eq!(linear.check_weights(weights), Ok(()));
        let (positions, taps) = (linear.positions(), linear.taps());
        let (mut terms, mut ends) = (Vec::new(), Vec::new());
        for kernel in weights.weights.chunks_exact(taps) {
            for position in 0..positions {
                let met = kernel
                    .iter()
                    .enumerate()
                    .filter(|(_, weight)| **weight != 0);
                terms.extend(met.filter_map(|(tap, &weight)| {
                    let input = linear.tap_input(position, tap)?;
                    Some((input as u32, W::low(i64::from(weight) as u64)))
                }));
                ends.push(terms.len());
            }
        }
        Matrix {
            terms,
            ends,
            inputs: linear.input_shape().len(),
        }
    }

    /// Output elements.
    pub fn outputs(&self) -> usize {
        self.ends.len()
    }

    /// Input elements.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// W·z for a block: `inputs` and `outputs` hold the lanes of one element
    /// after the other.
    ///
    /// # Panics
    ///
    /// If there are not as many elements as the layer has.
    pub fn apply(&self, inputs: &[Lanes<W>], outputs: &mut [Lanes<W>]) {
        assert_eq!(inputs.len(), self.inputs, "input elements");
        assert_eq!(outputs.len(), self.ends.len(), "output elements");
        let mut first = 0;
        for (output, &end) in outputs.iter_mut().zip(&self.ends) {
            let mut sums = [W::default(); BLOCK];
            for &(input, weight) in &self.terms[first..end] {
                let values = &inputs[input as usize];
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = sum.add_product(weight, value);
                }
            }
            *output = sums;
            first = end;
        }
    }
}

impl<W> std::fmt::Debug for Matrix<W> {
    /// Weights are the server's secret: only the shape is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matrix({} x {})", self.ends.len(), self.inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mpc::Ring, network::Shape};
    use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

    fn equals_the_clear<W: Word>(linear: Linear, bits: u32, seed: u64) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let ring = Ring::new(bits).expect("1 to 64 bits");
        let count = linear.channels() * linear.taps();
        let weights = Weights {
            weights: (0..count).map(|_| rng.random_range(-99..99)).collect(),
            bias: vec![0; linear.channels()],
        };
        let (inputs, outputs) = (linear.input_shape().len(), linear.output_shape().len());
        let images: Vec<Vec<i64>> = (0..BLOCK)
            .map(|_| (0..inputs).map(|_| rng.random()).collect())
            .collect();
        let block: Vec<Lanes<W>> = (0..inputs)
            .map(|i| std::array::from_fn(|lane| W::low(ring.enter(images[lane][i]))))
            .collect();
        let mut found = vec![[W::default(); BLOCK]; outputs];
        Matrix::new(&linear, &weights).apply(&block, &mut found);
        for (lane, image) in images.iter().enumerate() {
            let expected = linear.forward(&weights, image);
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(found[lane].wide() & ring.mask(), ring.enter(expected));
            }
        }
    }

    #[test]
    fn every_word_gives_what_the_clear_layer_gives_modulo_the_ring() {
        let conv = Linear::Conv {
            input: Shape::new(2, 6, 5),
            outputs: 3,
            kernel: (3, 2),
            stride: 2,
            padding: 1,
        };
        let dense = Linear::Dense {
            inputs: 17,
            outputs: 4,
        };
        for linear in [conv, dense] {
            equals_the_clear::<u16>(linear, 16, 1);
            equals_the_clear::<u16>(linear, 11, 2);
            equals_the_clear::<u32>(linear, 17, 3);
            equals_the_clear::<u32>(linear, 32, 4);
            equals_the_clear::<u64>(linear, 33, 5);
            equals_the_clear::<u64>(linear, 64, 6);
        }
    }
}
