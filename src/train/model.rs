//! The trainable network: its parameters and its forward pass, in floats or
//! simulating the integer network.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    ops::{FakeQuantise, Levels, LinearLayer, Pool, PoolKind, Step},
    topology::{Block, Layer},
};

/// Bits of weights (signed, symmetric) and of activations (unsigned).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    pub(super) weights: u32,
    pub(super) activations: u32,
}

/// The trainable values of a block. Steps are there once the network is
/// quantised; the last block has none for its output.
#[derive(Clone, Debug)]
pub(super) struct BlockVars {
    /// `[O, C, KH, KW]`
    pub(super) weight: Var,
    /// `[O]`
    pub(super) bias: Var,
    /// Logarithm of the weights' step: `[O]`, but `[1]` for the last block,
    /// whose outputs are compared with one another.
    pub(super) weight_step: Option<Var>,
    /// Logarithm of the output's step, `[1]`.
    pub(super) output_step: Option<Var>,
}

/// A network with its parameters.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) blocks: Vec<Block>,
    pub(super) vars: Vec<BlockVars>,
    pub(super) bits: Bits,
}

/// What the shards of one step differentiate by: the weights as the forward
/// pass uses them (quantised once a step, not once a shard).
pub(super) struct Leaves {
    weights: Vec<Var>,
    /// The quantised weights with their way back to weight and step.
    quantised: Vec<Option<Tensor>>,
}

impl Model {
    /// Weights after He et al. 2015, uniform; biases zero. Behind squares the
    /// bound is lower by √6: of x of variance 1, x² has the second moment 3,
    /// not 1/2, and what grows there grows twice as fast in every further layer.
    pub(super) fn random(blocks: Vec<Block>, bits: Bits, seed: u64) -> Result<Model> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut squared = false;
        let vars = blocks.iter().map(|block| {
            let shape = block.weight_shape();
            let fan_in: usize = shape[1..].iter().product();
            let bound = (if squared { 1.0 } else { 6.0 } / fan_in as f32).sqrt();
            squared = block.then.contains(&Layer::Square);
            let weights: Vec<f32> = (0..shape.iter().product())
                .map(|_| rng.random_range(-bound..bound))
                .collect();
            Ok(BlockVars {
                weight: Var::from_vec(weights, &shape, &Device::Cpu)?,
                bias: Var::zeros(block.outputs, DType::F32, &Device::Cpu)?,
                weight_step: None,
                output_step: None,
            })
        });
        let vars = vars.collect::<Result<_>>()?;
        Ok(Model { blocks, vars, bits })
    }

    /// A copy with values of its own.
    pub(super) fn duplicate(&self) -> Result<Model> {
        // Detached copies: a clone of a variable is the same variable.
        let own = |var: &Var| Var::from_tensor(&var.detach().copy()?);
        let vars = self.vars.iter().map(|v| {
            Ok(BlockVars {
                weight: own(&v.weight)?,
                bias: own(&v.bias)?,
                weight_step: v.weight_step.as_ref().map(own).transpose()?,
                output_step: v.output_step.as_ref().map(own).transpose()?,
            })
        });
        Ok(Model {
            blocks: self.blocks.clone(),
            vars: vars.collect::<Result<_>>()?,
            bits: self.bits,
        })
    }

    /// All trainable values, in the order of [`Model::gradients`].
    pub(super) fn variables(&self) -> Vec<&Var> {
        let mut all = Vec::new();
        for v in &self.vars {
            all.extend([&v.weight, &v.bias]);
            all.extend(&v.weight_step);
            all.extend(&v.output_step);
        }
        all
    }

    /// Names of all trainable values, in the same order.
    pub(super) fn names(&self) -> Vec<String> {
        let of = |(block, v): (&Block, &BlockVars)| {
            let name = |what| format!("{}.{what}", block.name);
            [
                Some(name("weight")),
                Some(name("bias")),
                v.weight_step.as_ref().map(|_| name("weight_log_step")),
                v.output_step.as_ref().map(|_| name("output_log_step")),
            ]
        };
        let all = self.blocks.iter().zip(&self.vars).flat_map(of);
        all.flatten().collect()
    }

    /// Begins to simulate integers: steps that lose least on the weights as
    /// they are and on the activations of these images `[C, N, H, W]`.
    pub(super) fn quantise(&mut self, images: &Tensor) -> Result<()> {
        let mut x = images.clone();
        let last = self.blocks.len() - 1;
        for i in 0..self.blocks.len() {
            let weight = self.vars[i].weight.as_tensor().clone();
            x = self.linear(i, &x, &weight)?;
            let rows = if i == last { 1 } else { self.blocks[i].outputs };
            let values = weight.flatten_all()?.to_vec1::<f32>()?;
            let levels = Levels::weights(self.bits.weights);
            let steps: Vec<f32> = values
                .chunks(values.len() / rows)
                .map(|row| levels.best_log_step(row))
                .collect();
            self.vars[i].weight_step = Some(Var::from_vec(steps, rows, &Device::Cpu)?);
            if i < last {
                let levels = Levels::activations(self.bits.activations);
                let step = levels.best_log_step(&x.flatten_all()?.to_vec1::<f32>()?);
                self.vars[i].output_step = Some(Var::from_vec(vec![step], 1, &Device::Cpu)?);
            }
        }
        Ok(())
    }

    /// The linear layer of block `i` and what follows it, without
    /// quantisation of the output.
    fn linear(&self, i: usize, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let block = &self.blocks[i];
        let pool = |kind, size| Some(Step::Pool(Pool { kind, size }));
        let steps = block.then.iter().filter_map(|layer| match *layer {
            Layer::Relu => Some(Step::Relu),
            Layer::Square => Some(Step::Square),
            Layer::AveragePool { size } => pool(PoolKind::Average, size),
            Layer::MaxPool { size } => pool(PoolKind::Max, size),
            Layer::Conv { .. } | Layer::Dense { .. } => None,
        });
        let op = LinearLayer::new(block.window, steps.collect());
        x.apply_op3(weight, &self.vars[i].bias, op)
    }

    /// The weights of one step.
    pub(super) fn leaves(&self) -> Result<Leaves> {
        let levels = Levels::weights(self.bits.weights);
        let mut leaves = Leaves {
            weights: Vec::new(),
            quantised: Vec::new(),
        };
        for v in &self.vars {
            let quantised = match &v.weight_step {
                Some(step) => Some(v.weight.apply_op2(step, FakeQuantise { levels })?),
                None => None,
            };
            leaves.weights.push(match &quantised {
                Some(q) => Var::from_tensor(&q.detach())?,
                None => v.weight.clone(),
            });
            leaves.quantised.push(quantised);
        }
        Ok(leaves)
    }

    /// Logits `[classes, N, 1, 1]` of images `[C, N, H, W]` scaled to 0..1.
    pub(super) fn forward(&self, leaves: &Leaves, images: &Tensor) -> Result<Tensor> {
        let levels = Levels::activations(self.bits.activations);
        let mut x = images.clone();
        for (i, weight) in leaves.weights.iter().enumerate() {
            x = self.linear(i, &x, weight)?;
            if let Some(step) = &self.vars[i].output_step {
                x = x.apply_op2(step, FakeQuantise { levels })?;
            }
        }
        Ok(x)
    }

    /// Gradients of `loss` by biases, output steps and the step's weights:
    /// per block `[weight, bias, output step]`.
    pub(super) fn shard_gradients(&self, leaves: &Leaves, loss: &Tensor) -> Result<Vec<Vec<f32>>> {
        let store = loss.backward()?;
        let mut all = Vec::new();
        for (leaf, v) in leaves.weights.iter().zip(&self.vars) {
            let vars = [Some(leaf), Some(&v.bias), v.output_step.as_ref()];
            for var in vars.into_iter().flatten() {
                all.push(match store.get(var) {
                    Some(g) => g.flatten_all()?.to_vec1::<f32>()?,
                    None => vec![0f32; var.elem_count()],
                });
            }
        }
        Ok(all)
    }

    /// From the summed gradients of all shards to those of
    /// [`Model::variables`]: through the quantisation of the weights.
    pub(super) fn gradients(
        &self,
        leaves: &Leaves,
        summed: Vec<Vec<f32>>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut summed = summed.into_iter();
        let mut next = || summed.next().unwrap_or_default();
        let mut all = Vec::new();
        for (quantised, v) in leaves.quantised.iter().zip(&self.vars) {
            let (weight, bias) = (next(), next());
            if let (Some(q), Some(step)) = (quantised, &v.weight_step) {
                let back = Tensor::from_vec(weight, q.shape(), &Device::Cpu)?;
                let store = (q * back)?.sum_all()?.backward()?;
                let of = |var: &Var| match store.get(var) {
                    Some(g) => g.flatten_all()?.to_vec1::<f32>(),
                    None => Ok(vec![0f32; var.elem_count()]),
                };
                all.extend([of(&v.weight)?, bias, of(step)?]);
            } else {
                all.extend([weight, bias]);
            }
            if v.output_step.is_some() {
                all.push(next());
            }
        }
        Ok(all)
    }
}
