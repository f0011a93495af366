//! The family of networks that can be trained, as data.
//!
//! A [`Topology`] is a list of layers. The float network that is trained and
//! the integer profile that is exported are both read from it, so a variant
//! is one more list.

mod spec;

use super::{TrainError, ops::Window};

/// One layer of a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Convolution with a square kernel and a bias per output channel.
    Conv {
        /// Output channels.
        outputs: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Step between output positions.
        stride: usize,
        /// Zeros added on each side.
        padding: usize,
    },
    /// Every output sees every input; what comes before it is flattened.
    Dense {
        /// Number of outputs.
        outputs: usize,
    },
    /// max(x, 0).
    Relu,
    /// x², what systems that only add and multiply have in place of a ReLU.
    Square,
    /// Mean of each square of this size.
    AveragePool {
        /// Side of the square, and the stride.
        size: usize,
    },
    /// Largest of each square of this size.
    MaxPool {
        /// Side of the square, and the stride.
        size: usize,
    },
}

/// A network without its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// What `--topology` calls it.
    pub name: String,
    /// Channels, height and width of the input.
    pub input: (usize, usize, usize),
    /// From the input to the logits.
    pub layers: Vec<Layer>,
}

/// The names that [`Topology::named`] knows, each with what sets it apart.
pub const TOPOLOGIES: [(&str, &str); 6] = [
    ("lenet5", "ReLU, then average pooling"),
    ("lenet5-square", "x² in place of ReLU, then average pooling"),
    (
        "lenet5-pool-first",
        "average pooling, then ReLU: exported as box sums",
    ),
    ("lenet5-strided", "6x6 kernels at stride 2, no pooling"),
    (
        "lenet5-narrow",
        "6x6 kernels at stride 2, no padding, few activations",
    ),
    ("lenet5-max", "ReLU, then max pooling"),
];

impl Topology {
    /// The network called `name` for inputs of `input` (channels, height,
    /// width) and so many classes. All in [`TOPOLOGIES`] are a LeNet-5 (LeCun
    /// et al. 1998, with another activation); besides there are `mlp:32,16`,
    /// dense hidden layers of these sizes with ReLU, `logistic`, none, and
    /// `layers:c6k6s2,d84`, which spells out every hidden layer.
    ///
    /// # Errors
    /// [`TrainError::Topology`] if the name is not in [`TOPOLOGIES`], the
    /// input is too small for it, or there are fewer than two classes.
    pub fn named(
        name: &str,
        input: (usize, usize, usize),
        classes: usize,
    ) -> Result<Topology, TrainError> {
        if let Some(hidden) = spec::hidden_layers(name)? {
            return Topology::finish(name, input, hidden, classes);
        }
        let pool = [Layer::AveragePool { size: 2 }];
        let activation = match name {
            "lenet5-square" => Layer::Square,
            _ => Layer::Relu,
        };
        let then: Vec<Layer> = match name {
            "lenet5-square" => [&[Layer::Square][..], &pool].concat(),
            "lenet5" => [&[Layer::Relu][..], &pool].concat(),
            "lenet5-pool-first" => [&pool[..], &[Layer::Relu]].concat(),
            "lenet5-strided" | "lenet5-narrow" => vec![Layer::Relu],
            "lenet5-max" => vec![Layer::Relu, Layer::MaxPool { size: 2 }],
            _ => {
                let known: Vec<&str> = TOPOLOGIES.iter().map(|(name, _)| *name).collect();
                return Err(TrainError::Topology(format!(
                    "no topology is called {name}; use one of {}, logistic, mlp:SIZE,… or \
                     layers:…",
                    known.join(", ")
                )));
            }
        };
        let (kernel, stride) = match name {
            "lenet5-strided" | "lenet5-narrow" => (6, 2),
            _ => (5, 1),
        };
        let conv = |outputs, padding| Layer::Conv {
            outputs,
            kernel,
            stride,
            padding,
        };
        // An encrypted prediction costs above all its activations: each is
        // decrypted, re-randomised and encrypted anew, for as long as a
        // thousand products take. So the narrow one has few channels where
        // there are many positions, no padding (MNIST's digits keep 4 pixels
        // from the edge) and one hidden dense layer.
        let (convs, denses) = match name {
            "lenet5-narrow" => ([conv(4, 0), conv(20, 0)], &[84][..]),
            _ => ([conv(6, 2), conv(16, 0)], &[120, 84][..]),
        };
        let mut layers = Vec::new();
        for conv in convs {
            layers.push(conv);
            layers.extend(&then);
        }
        for &outputs in denses {
            layers.extend([Layer::Dense { outputs }, activation]);
        }
        Topology::finish(name, input, layers, classes)
    }

    /// With a last layer for so many classes behind `layers`, checked.
    fn finish(
        name: &str,
        input: (usize, usize, usize),
        mut layers: Vec<Layer>,
        classes: usize,
    ) -> Result<Topology, TrainError> {
        let (channels, height, width) = input;
        if ![channels, height, width]
            .iter()
            .all(|n| (1..=1024).contains(n))
        {
            return Err(TrainError::Topology(format!(
                "an input of {channels}x{height}x{width}; expected 1 to 1024 of each"
            )));
        }
        if classes < 2 {
            return Err(TrainError::Topology(format!(
                "{classes} classes; a network tells at least two apart"
            )));
        }
        layers.push(Layer::Dense { outputs: classes });
        let topology = Topology {
            name: name.to_string(),
            input,
            layers,
        };
        topology.blocks()?;
        Ok(topology)
    }

    /// How many classes it tells apart: outputs of its last layer.
    pub fn classes(&self) -> usize {
        match self.layers.last() {
            Some(Layer::Dense { outputs } | Layer::Conv { outputs, .. }) => *outputs,
            _ => 0,
        }
    }

    /// The layers grouped behind their linear layers, with all sizes.
    ///
    /// # Errors
    /// [`TrainError::Topology`] names the layer that does not fit.
    pub(super) fn blocks(&self) -> Result<Vec<Block>, TrainError> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut channels, mut height, mut width) = self.input;
        let (mut convs, mut denses) = (0, 0);
        for (i, layer) in self.layers.iter().enumerate() {
            let wrong = |what: &str| TrainError::Topology(format!("layer {i} ({layer:?}): {what}"));
            let input = (channels, height, width);
            match *layer {
                Layer::Conv {
                    outputs,
                    kernel,
                    stride,
                    padding,
                } => {
                    let (h, w) = (height + 2 * padding, width + 2 * padding);
                    if outputs == 0 || kernel == 0 || stride == 0 || h < kernel || w < kernel {
                        return Err(wrong("the kernel does not fit its input"));
                    }
                    convs += 1;
                    let window = Window {
                        kernel: (kernel, kernel),
                        stride,
                        padding,
                    };
                    let name = format!("conv{convs}");
                    blocks.push(Block::new(name, false, input, outputs, window));
                    (channels, height, width) = (
                        outputs,
                        (h - kernel) / stride + 1,
                        (w - kernel) / stride + 1,
                    );
                }
                Layer::Dense { outputs } => {
                    if outputs == 0 {
                        return Err(wrong("no outputs"));
                    }
                    denses += 1;
                    let window = Window {
                        kernel: (height, width),
                        stride: 1,
                        padding: 0,
                    };
                    let name = format!("dense{denses}");
                    blocks.push(Block::new(name, true, input, outputs, window));
                    (channels, height, width) = (outputs, 1, 1);
                }
                Layer::Relu | Layer::Square | Layer::AveragePool { .. } | Layer::MaxPool { .. } => {
                    let Some(block) = blocks.last_mut() else {
                        return Err(wrong("the first layer must be linear"));
                    };
                    if let Layer::AveragePool { size } | Layer::MaxPool { size } = *layer {
                        if size == 0 || height % size != 0 || width % size != 0 {
                            return Err(wrong("the squares do not cover its input"));
                        }
                        (height, width) = (height / size, width / size);
                    }
                    block.then.push(*layer);
                }
            }
            if let Some(block) = blocks.last_mut() {
                block.output = (channels, height, width);
            }
        }
        for (i, block) in blocks.iter().enumerate() {
            let last = i + 1 == blocks.len();
            let wrong = |what: &str| TrainError::Topology(format!("{}: {what}", block.name));
            if last && !block.then.is_empty() {
                return Err(wrong("the last layer must be linear"));
            }
            let activation = |layer: &Layer| matches!(layer, Layer::Relu | Layer::Square);
            if !last && !block.then.iter().any(activation) {
                return Err(wrong("no activation before the next linear layer"));
            }
        }
        if blocks.is_empty() {
            return Err(TrainError::Topology("no layers".to_string()));
        }
        Ok(blocks)
    }
}

/// A linear layer and what follows it before the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// `conv1`, `dense2`, …
    pub(super) name: String,
    /// A dense layer: its kernel covers the whole input.
    pub(super) dense: bool,
    /// Channels, height and width that it takes.
    pub(super) input: (usize, usize, usize),
    /// Output channels of the linear layer.
    pub(super) outputs: usize,
    /// Its kernel, stride and padding.
    pub(super) window: Window,
    /// Activation and pooling.
    pub(super) then: Vec<Layer>,
    /// Channels, height and width after `then`.
    pub(super) output: (usize, usize, usize),
}

impl Block {
    fn new(
        name: String,
        dense: bool,
        input: (usize, usize, usize),
        outputs: usize,
        window: Window,
    ) -> Block {
        Block {
            name,
            dense,
            input,
            outputs,
            window,
            then: Vec::new(),
            output: (outputs, 1, 1),
        }
    }

    /// The size of an average pooling between a convolution at stride 1 and
    /// its activation: the exported network does it by box sums.
    pub(super) fn box_sums(&self) -> Option<usize> {
        match self.then.first() {
            Some(Layer::AveragePool { size })
                if !self.dense && self.window.stride == 1 && *size > 1 =>
            {
                Some(*size)
            }
            _ => None,
        }
    }

    /// The window of the convolution and the average pooling behind it in one.
    pub(super) fn pooled_window(&self) -> Window {
        let size = self.box_sums().unwrap_or(1);
        let (high, wide) = self.window.kernel;
        Window {
            kernel: (high + size - 1, wide + size - 1),
            stride: self.window.stride * size,
            padding: self.window.padding,
        }
    }

    /// Activation and pooling that are left to do behind the exported layer.
    pub(super) fn behind(&self) -> &[Layer] {
        &self.then[usize::from(self.box_sums().is_some())..]
    }

    /// Output channels, input channels, kernel height and width.
    pub(super) fn weight_shape(&self) -> [usize; 4] {
        let (kh, kw) = self.window.kernel;
        [self.outputs, self.input.0, kh, kw]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wide_lenet5_ends_in_ten_logits_after_400_features() {
        let wide = |name: &&str| *name != "lenet5-narrow";
        for name in TOPOLOGIES.iter().map(|(name, _)| *name).filter(wide) {
            let topology = Topology::named(name, (1, 28, 28), 10).unwrap();
            assert_eq!(topology.classes(), 10);
            let blocks = topology.blocks().unwrap();
            let names: Vec<&str> = blocks.iter().map(|b| b.name.as_str()).collect();
            assert_eq!(names, ["conv1", "conv2", "dense1", "dense2", "dense3"]);
            assert_eq!(blocks[0].output, (6, 14, 14), "{name}");
            assert_eq!(blocks[1].output, (16, 5, 5), "{name}");
            assert_eq!(blocks[2].weight_shape(), [120, 16, 5, 5]);
            assert_eq!(blocks[4].output, (10, 1, 1));
        }
    }

    #[test]
    fn the_narrow_lenet5_has_990_activations() {
        let topology = Topology::named("lenet5-narrow", (1, 28, 28), 10).unwrap();
        let blocks = topology.blocks().unwrap();
        let of = |b: &Block| b.output.0 * b.output.1 * b.output.2;
        assert_eq!(
            blocks.iter().map(of).collect::<Vec<_>>(),
            [576, 320, 84, 10]
        );
    }

    #[test]
    fn a_layer_that_does_not_fit_is_named() {
        let of = |layers: &[Layer]| {
            let topology = Topology {
                name: "t".into(),
                input: (1, 4, 4),
                layers: layers.to_vec(),
            };
            topology.blocks().unwrap_err().to_string()
        };
        let dense = Layer::Dense { outputs: 2 };
        let big = Layer::Conv {
            outputs: 1,
            kernel: 5,
            stride: 1,
            padding: 0,
        };
        assert!(of(&[big]).contains("layer 0"));
        assert!(of(&[Layer::Relu, dense]).contains("must be linear"));
        assert!(of(&[dense, dense]).contains("dense1"));
        assert!(of(&[dense, Layer::Relu]).contains("last layer"));
        assert!(of(&[dense, Layer::AveragePool { size: 2 }]).contains("layer 1"));
        assert!(of(&[]).contains("no layers"));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = Topology::named("resnet", (1, 28, 28), 10).unwrap_err();
        assert!(error.to_string().contains("lenet5-strided"), "{error}");
    }

    #[test]
    fn input_and_classes_are_the_data_sets() {
        let topology = Topology::named("lenet5", (1, 32, 32), 2).unwrap();
        let blocks = topology.blocks().unwrap();
        assert_eq!(blocks[2].weight_shape(), [120, 16, 6, 6]);
        assert_eq!(blocks[4].output, (2, 1, 1));
        assert!(Topology::named("lenet5", (1, 28, 28), 1).is_err());
        let error = Topology::named("lenet5", (1, 4, 4), 2).unwrap_err();
        assert!(error.to_string().contains("does not fit"), "{error}");
    }
}
