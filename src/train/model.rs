//! The trainable network: its parameters and its forward pass, in floats or
//! simulating the integer network.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    bayes::{LogDeviations, deviations},
    noise::normals,
    ops::{FakeQuantise, Levels, LinearLayer, NoisyLayer, Pool, PoolKind, Step},
    topology::{Block, Layer},
};

/// Bits of weights (signed, symmetric), of activations and of the input's
/// elements (unsigned); of the last 8, which they have anyway, mean no rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    pub(super) weights: u32,
    pub(super) activations: u32,
    pub(super) input: u32,
}

impl Bits {
    /// The levels of the input's elements, if they are rounded.
    pub(super) fn input_levels(self) -> Option<Levels> {
        (self.input < 8).then(|| Levels::activations(self.input))
    }
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
    /// In a Bayesian network: how far weights and biases vary.
    pub(super) deviation: Option<LogDeviations>,
}

/// Standard deviations of a layer's weights and biases.
type Deviations = (Vec<f32>, Vec<f32>);

impl BlockVars {
    /// The standard deviations as the forward pass uses them: those of
    /// quantised weights are whole steps, as in the integer network.
    fn used_deviations(&self) -> Result<Option<Deviations>> {
        let Some(deviation) = &self.deviation else {
            return Ok(None);
        };
        let mut weights = deviations(&deviation.weight)?;
        if let Some(steps) = &self.weight_step {
            let steps = steps.to_vec1::<f32>()?;
            let rows = weights.len() / steps.len();
            for (row, log) in weights.chunks_mut(rows).zip(steps) {
                let step = log.exp();
                row.iter_mut().for_each(|d| *d = step * (*d / step).round());
            }
        }
        Ok(Some((weights, deviations(&deviation.bias)?)))
    }
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
    /// In a Bayesian network.
    deviations: Vec<Option<Deviations>>,
}

/// Deviations of a mean that the first steps of a Bayesian network's weights
/// leave room for.
const ROOM: f32 = 4.0;

/// Makes the steps of rows of weights so wide that what is drawn takes no more
/// bits than what is not: a step much finer than the deviations is worth
/// nothing, and costs slot width.
fn widen(log_steps: &mut [f32], means: &[f32], deviations: &[f32], levels: Levels) {
    let wide = means.len() / log_steps.len().max(1);
    let reach: Vec<f32> = means
        .iter()
        .zip(deviations)
        .map(|(m, d)| m.abs() + ROOM * d)
        .collect();
    for (log_step, row) in log_steps.iter_mut().zip(reach.chunks(wide)) {
        let largest = row.iter().fold(0f32, |a, b| a.max(*b));
        *log_step = log_step.max((largest / levels.max).ln());
    }
}

/// The weights of one block in one forward pass.
pub(super) struct Drawn {
    weight: Var,
    bias: Var,
    how: How,
}

/// Where the weights of a pass come from.
enum How {
    /// They are the means.
    Fixed,
    /// Means plus deviations times these normals.
    Weights(Vec<f32>, Vec<f32>),
    /// Means, then deviations, one behind the other.
    Local,
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
                deviation: None,
            })
        });
        let vars = vars.collect::<Result<_>>()?;
        Ok(Model { blocks, vars, bits })
    }

    /// Makes it Bayesian, with the first deviations, if it is not yet.
    pub(super) fn make_bayesian(&mut self) -> Result<()> {
        for (block, v) in self.blocks.iter().zip(&mut self.vars) {
            if v.deviation.is_none() {
                v.deviation = Some(LogDeviations::first(block)?);
            }
        }
        Ok(())
    }

    /// Whether its weights have a posterior.
    pub(super) fn is_bayesian(&self) -> bool {
        self.vars.iter().any(|v| v.deviation.is_some())
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
                deviation: match &v.deviation {
                    Some(d) => Some(LogDeviations {
                        weight: own(&d.weight)?,
                        bias: own(&d.bias)?,
                    }),
                    None => None,
                },
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
            all.extend(v.deviation.iter().flat_map(|d| [&d.weight, &d.bias]));
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
                v.deviation.as_ref().map(|_| name("weight_log_deviation")),
                v.deviation.as_ref().map(|_| name("bias_log_deviation")),
            ]
        };
        let all = self.blocks.iter().zip(&self.vars).flat_map(of);
        all.flatten().collect()
    }

    /// Begins to simulate integers: steps that lose least on the weights as
    /// they are and on the activations of these images `[C, N, H, W]`.
    pub(super) fn quantise(&mut self, images: &Tensor) -> Result<()> {
        let mut x = self.rounded(images)?;
        let last = self.blocks.len() - 1;
        for i in 0..self.blocks.len() {
            let weight = self.vars[i].weight.as_tensor().clone();
            x = self.linear(i, &x, &weight)?;
            let rows = if i == last { 1 } else { self.blocks[i].outputs };
            let values = weight.flatten_all()?.to_vec1::<f32>()?;
            let levels = Levels::weights(self.bits.weights);
            let steps = values.chunks(values.len() / rows);
            let mut steps: Vec<f32> = steps.map(|row| levels.best_log_step(row)).collect();
            if let Some(deviation) = &self.vars[i].deviation {
                widen(&mut steps, &values, &deviations(&deviation.weight)?, levels);
            }
            self.vars[i].weight_step = Some(Var::from_vec(steps, rows, &Device::Cpu)?);
            if i < last {
                let levels = Levels::activations(self.bits.activations);
                let step = levels.best_log_step(&x.flatten_all()?.to_vec1::<f32>()?);
                self.vars[i].output_step = Some(Var::from_vec(vec![step], 1, &Device::Cpu)?);
            }
        }
        Ok(())
    }

    /// The inputs 0..1 rounded to their levels.
    fn rounded(&self, images: &Tensor) -> Result<Tensor> {
        let Some(levels) = self.bits.input_levels() else {
            return Ok(images.clone());
        };
        let mut values = images.flatten_all()?.to_vec1::<f32>()?;
        for x in &mut values {
            *x = levels.nearest(*x * levels.max) / levels.max;
        }
        Tensor::from_vec(values, images.shape(), &Device::Cpu)
    }

    /// The activation and pooling of block `i`.
    fn steps(&self, i: usize) -> Vec<Step> {
        let pool = |kind, size| Some(Step::Pool(Pool { kind, size }));
        let steps = self.blocks[i]
            .behind()
            .iter()
            .filter_map(|layer| match *layer {
                Layer::Relu => Some(Step::Relu),
                Layer::Square => Some(Step::Square),
                Layer::AveragePool { size } => pool(PoolKind::Average, size),
                Layer::MaxPool { size } => pool(PoolKind::Max, size),
                Layer::Conv { .. } | Layer::Dense { .. } => None,
            });
        steps.collect()
    }

    /// The linear layer of block `i` and what follows it, with the means of
    /// the weights and without quantisation of the output.
    fn linear(&self, i: usize, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let op = LinearLayer::new(self.blocks[i].pooled_window(), self.steps(i));
        x.apply_op3(&self.pooled(i, weight)?, &self.vars[i].bias, op)
    }

    /// The weights of block `i`; with box sums those of the larger kernel that
    /// the kernel and the mean of a square make together.
    fn pooled(&self, i: usize, weight: &Tensor) -> Result<Tensor> {
        let Some(size) = self.blocks[i].box_sums() else {
            return Ok(weight.clone());
        };
        let mut sum = weight.clone();
        for dim in [2, 3] {
            let shifted = (0..size).map(|by| sum.pad_with_zeros(dim, by, size - 1 - by));
            let shifted = shifted.collect::<Result<Vec<_>>>()?;
            sum = Tensor::stack(&shifted, 0)?.sum(0)?;
        }
        sum * (1.0 / (size * size) as f64)
    }

    /// The weights of one step.
    pub(super) fn leaves(&self) -> Result<Leaves> {
        let levels = Levels::weights(self.bits.weights);
        let mut leaves = Leaves {
            weights: Vec::new(),
            quantised: Vec::new(),
            deviations: Vec::new(),
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
            leaves.deviations.push(v.used_deviations()?);
        }
        Ok(leaves)
    }

    /// The weights of one forward pass: those of the step, or, in a Bayesian
    /// network with `rng`, some drawn from their posterior. `local` draws the
    /// pre-activations of dense layers in place of their weights.
    pub(super) fn draw(
        &self,
        leaves: &Leaves,
        mut rng: Option<&mut ChaCha8Rng>,
        local: bool,
    ) -> Result<Vec<Drawn>> {
        let mut all = Vec::new();
        for (i, v) in self.vars.iter().enumerate() {
            let weight = &leaves.weights[i];
            let (Some(rng), Some((deviation, bias_deviation))) =
                (rng.as_deref_mut(), &leaves.deviations[i])
            else {
                all.push(Drawn {
                    weight: weight.clone(),
                    bias: v.bias.clone(),
                    how: How::Fixed,
                });
                continue;
            };
            let means = weight.flatten_all()?.to_vec1::<f32>()?;
            let bias = v.bias.to_vec1::<f32>()?;
            let mut shape = self.blocks[i].weight_shape();
            let (weight, bias, how) = if local && self.blocks[i].dense {
                shape[0] *= 2;
                let weight = [&means[..], deviation].concat();
                (weight, [&bias[..], bias_deviation].concat(), How::Local)
            } else {
                let noise = normals(rng, means.len());
                let bias_noise = normals(rng, bias.len());
                let add = |means: &[f32], deviations: &[f32], noise: &[f32]| -> Vec<f32> {
                    let both = deviations.iter().zip(noise);
                    means
                        .iter()
                        .zip(both)
                        .map(|(m, (d, e))| m + d * e)
                        .collect()
                };
                let weight = add(&means, deviation, &noise);
                let bias = add(&bias, bias_deviation, &bias_noise);
                (weight, bias, How::Weights(noise, bias_noise))
            };
            all.push(Drawn {
                weight: Var::from_vec(weight, &shape, &Device::Cpu)?,
                bias: Var::from_vec(bias.clone(), bias.len(), &Device::Cpu)?,
                how,
            });
        }
        Ok(all)
    }

    /// Logits `[classes, N, 1, 1]` of images `[C, N, H, W]` scaled to 0..1.
    /// `rng` draws what [`Model::draw`] left to be drawn locally.
    pub(super) fn forward(
        &self,
        drawn: &[Drawn],
        images: &Tensor,
        mut rng: Option<&mut ChaCha8Rng>,
    ) -> Result<Tensor> {
        let levels = Levels::activations(self.bits.activations);
        let quantised = self.vars.iter().any(|v| v.weight_step.is_some());
        let mut x = match quantised {
            true => self.rounded(images)?,
            false => images.clone(),
        };
        for (i, layer) in drawn.iter().enumerate() {
            let (window, steps) = (self.blocks[i].pooled_window(), self.steps(i));
            x = match (&layer.how, rng.as_deref_mut()) {
                (How::Local, Some(rng)) => {
                    let noise = normals(rng, self.blocks[i].outputs * x.dim(1)?);
                    let op = NoisyLayer::new(window, steps, noise);
                    x.apply_op3(&layer.weight, &layer.bias, op)?
                }
                _ => {
                    let op = LinearLayer::new(window, steps);
                    x.apply_op3(&self.pooled(i, &layer.weight)?, &layer.bias, op)?
                }
            };
            if let Some(step) = &self.vars[i].output_step {
                x = x.apply_op2(step, FakeQuantise { levels })?;
            }
        }
        Ok(x)
    }

    /// Gradients of `loss` by what one pass drew: per block `[weight, bias,
    /// output step, deviations of weight and bias]`, as far as it has them.
    pub(super) fn shard_gradients(&self, drawn: &[Drawn], loss: &Tensor) -> Result<Vec<Vec<f32>>> {
        let store = loss.backward()?;
        let of = |var: &Var| match store.get(var) {
            Some(g) => g.flatten_all()?.to_vec1::<f32>(),
            None => Ok(vec![0f32; var.elem_count()]),
        };
        let mut all = Vec::new();
        for (layer, v) in drawn.iter().zip(&self.vars) {
            let (mut weight, mut bias) = (of(&layer.weight)?, of(&layer.bias)?);
            let deviations = match &layer.how {
                How::Fixed => {
                    let zeros = |g: &[f32]| vec![0f32; g.len()];
                    v.deviation.as_ref().map(|_| [zeros(&weight), zeros(&bias)])
                }
                How::Weights(noise, bias_noise) => {
                    let slopes = |g: &[f32], noise: &[f32]| -> Vec<f32> {
                        g.iter().zip(noise).map(|(g, e)| g * e).collect()
                    };
                    Some([slopes(&weight, noise), slopes(&bias, bias_noise)])
                }
                How::Local => {
                    let (w, b) = (weight.len() / 2, bias.len() / 2);
                    Some([weight.split_off(w), bias.split_off(b)])
                }
            };
            all.extend([weight, bias]);
            if let Some(step) = &v.output_step {
                all.push(of(step)?);
            }
            all.extend(deviations.into_iter().flatten());
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
            if let Some(deviation) = &v.deviation {
                // dσ/d ln σ = σ; the rounding counts as the identity.
                for log in [&deviation.weight, &deviation.bias] {
                    let slopes = next().into_iter().zip(deviations(log)?);
                    all.push(slopes.map(|(g, d)| g * d).collect());
                }
            }
        }
        Ok(all)
    }
}
