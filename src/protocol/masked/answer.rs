//! v = W z + b − s, a block of predictions at a time.

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    mpc::{
        bits,
        expand::Seed,
        linear::{BLOCK, Lanes, Matrix},
        ring::Word,
    },
    network::{Linear, Weights},
};

use super::Width;

/// A layer for the online phase, in the narrowest words that hold its ring.
pub(super) struct OnlineLayer {
    width: Width,
    /// One an output element.
    bias: Vec<u64>,
    matrix: Words,
}

enum Words {
    Narrow(Matrix<u16>),
    Middle(Matrix<u32>),
    Wide(Matrix<u64>),
}

impl OnlineLayer {
    /// Of a layer with its weights.
    pub(super) fn new(linear: &Linear, weights: &Weights, width: &Width) -> OnlineLayer {
        let positions = linear.positions();
        OnlineLayer {
            width: *width,
            bias: (0..width.outputs)
                .map(|output| width.ring.enter(weights.bias[output / positions]))
                .collect(),
            matrix: match width.ring.bits() {
                ..=16 => Words::Narrow(Matrix::new(linear, weights)),
                17..=32 => Words::Middle(Matrix::new(linear, weights)),
                _ => Words::Wide(Matrix::new(linear, weights)),
            },
        }
    }

    /// The packed rows of v for the packed rows of z; `of` says where the s of
    /// an image comes from.
    pub(super) fn answer<'a>(
        &self,
        stage: usize,
        images: usize,
        z: &[u8],
        of: impl Fn(usize) -> (&'a Seed, usize) + Sync,
    ) -> Vec<u8> {
        match &self.matrix {
            Words::Narrow(matrix) => self.blocks(matrix, stage, images, z, of),
            Words::Middle(matrix) => self.blocks(matrix, stage, images, z, of),
            Words::Wide(matrix) => self.blocks(matrix, stage, images, z, of),
        }
    }

    fn blocks<'a, W: Word>(
        &self,
        matrix: &Matrix<W>,
        stage: usize,
        images: usize,
        z: &[u8],
        of: impl Fn(usize) -> (&'a Seed, usize) + Sync,
    ) -> Vec<u8> {
        let Width {
            ring,
            inputs,
            outputs,
            ..
        } = self.width;
        let (up, down) = (
            bits::row_bytes(ring, inputs),
            bits::row_bytes(ring, outputs),
        );
        let mut v = vec![0; images * down];
        v.par_chunks_mut(down * BLOCK)
            .zip(z.par_chunks(up * BLOCK))
            .enumerate()
            .for_each_init(
                || {
                    let input: Vec<Lanes<W>> = vec![[W::default(); BLOCK]; inputs];
                    let output: Vec<Lanes<W>> = vec![[W::default(); BLOCK]; outputs];
                    let row = Zeroizing::new(vec![0u64; outputs]);
                    (input, output, row, Zeroizing::new(Vec::new()))
                },
                |(input, output, row, scratch), (block, (v, z))| {
                    for (lane, z) in z.chunks(up).enumerate() {
                        bits::unpack(ring, z, inputs, |i, element| {
                            input[i][lane] = W::low(element);
                        });
                    }
                    matrix.apply(input, output);
                    for (lane, v) in v.chunks_mut(down).enumerate() {
                        let (seed, index) = of(block * BLOCK + lane);
                        seed.elements(ring, (stage, index), outputs, scratch, |i, s| {
                            row[i] = output[i][lane]
                                .wide()
                                .wrapping_add(self.bias[i])
                                .wrapping_sub(s);
                        });
                        bits::pack(ring, row.iter().copied(), v);
                    }
                },
            );
        v
    }
}
