//! `pdnn train`: a network from labelled images.
//!
//! Training needs a tensor library, by far the largest dependency, and nobody
//! who only classifies needs it: the work is behind the cargo feature `train`.
//! The command line is always the same; without the feature it says how to
//! build it in.

#[cfg(feature = "train")]
mod config;
#[cfg(feature = "train")]
mod folder;
#[cfg(feature = "train")]
mod log;
#[cfg(feature = "train")]
mod tables;
#[cfg(feature = "train")]
mod work;

use std::path::PathBuf;

use super::{console::Console, error::CliResult};

const EXAMPLES: &str = "\
Examples:
  Train LeNet-5 on MNIST (scripts/fetch-mnist.sh brings it to data/mnist):
    pdnn train --out models/mine
  A quick one, to see that everything works:
    pdnn train --out models/quick --epochs 2 --qat-epochs 1
  Chest X-rays (scripts/fetch-pneumonia.sh brings them to data/pneumonia):
    pdnn train --out models/xray --data data/pneumonia --labels normal,pneumonia
  A table with named columns (scripts/prepare-covid-symptoms.py makes this one):
    pdnn train --out models/covid --data data/covid_symptoms/by-date --topology mlp:16 --test
  A Bayesian one, from the floats of another:
    pdnn train --out models/bayes --bayesian --from models/lenet5/checkpoint.safetensors --epochs 10
  Narrow slots: 4-bit weights and activations, 6x6 kernels at stride 2:
    pdnn train --out models/narrow --topology lenet5-strided --weight-bits 4 --activation-bits 4
  Box sums (a2), and three of four weights of the widest layer 0:
    pdnn train --out models/pruned --topology layers:c6p2a2,c16a2,d120,d84 --prune dense1=75
  Keep the floats, and quantise them once more without training them again:
    pdnn train --out models/mine --checkpoint mine.checkpoint
    pdnn train --out models/w6 --from mine.checkpoint --weight-bits 6

The program must have been built with training:
  cargo install --path . --features train";

/// Train a network on labelled images and export it to integers.
///
/// First in floats, on images distorted anew every epoch, then with a forward
/// pass that simulates the integer network. Image size and number of classes
/// are those of the data; a set without val-* files keeps its last training
/// images for validation. The same seed gives the same network on the same
/// machine. Writes profile.json, model.safetensors and README.md.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "read by the work, which is not built in")
)]
pub(crate) struct Args {
    /// Folder to write the network to; made if it does not exist.
    #[arg(long, short, value_name = "FOLDER")]
    out: PathBuf,

    /// Write into a folder that is not empty, replacing its network.
    #[arg(long)]
    force: bool,

    /// Folder with IDX files named as MNIST's, plain or .gz: train-*, t10k-* or test-*, and
    /// val-* if there are any; or with tables train.csv and test.csv; or a table
    /// [default: mnist in PDNN_DATA or data].
    #[arg(long, value_name = "FOLDER|FILE")]
    data: Option<PathBuf>,

    /// The network: lenet5 (ReLU, then average pooling), lenet5-square (x² for ReLU),
    /// lenet5-pool-first (pooling, then ReLU, exported as box sums), lenet5-strided (6x6 kernels at stride 2, no
    /// pooling), lenet5-narrow (the same with few activations), lenet5-max (max pooling);
    /// layers:c6k6s2,d84 (convolutions of 6 channels, 6x6 kernels, stride 2; p2 pads, a2 averages
    /// before the ReLU, m2 takes maxima behind it; a dense layer of 84); mlp:32,16 (dense hidden
    /// layers of these sizes), logistic (none) [default: lenet5; mlp:16 for a table].
    #[arg(long, value_name = "NAME")]
    topology: Option<String>,

    /// The columns of a table that the network takes [default: all but the label].
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    features: Vec<String>,

    /// The column of a table with the label.
    #[arg(long, value_name = "NAME", default_value = crate::cli::tables::LABEL)]
    label_column: String,

    /// What the network is called [default: the topology].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What the classes are called, from class 0 on [default: their numbers].
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    labels: Vec<String>,

    /// Decides initial weights, order and distortion of the images.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Epochs in floats [default: 50, or 0 with --from].
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,

    /// Epochs that simulate the integer network.
    #[arg(long, value_name = "N", default_value_t = 10)]
    qat_epochs: usize,

    /// Bits of the weights, 2 to 8.
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=8))]
    weight_bits: u32,

    /// Bits of the activations, 2 to 8.
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=8))]
    activation_bits: u32,

    /// Bits that the client rounds the input's values to, 2 to 8; 8 leaves them as they are.
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=8))]
    input_bits: u32,

    /// Layers to prune gradually in the quantised epochs, and how many percent of their weights
    /// become 0: an encrypted prediction pays for the others only.
    #[arg(long, value_name = "LAYER=PERCENT,…", value_delimiter = ',')]
    prune: Vec<String>,

    /// Images of one step.
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch: usize,

    /// Peak learning rate of the float epochs.
    #[arg(long, value_name = "RATE", default_value_t = 3e-3)]
    rate: f32,

    /// Peak learning rate of the quantised epochs.
    #[arg(long, value_name = "RATE", default_value_t = 3e-4)]
    qat_rate: f32,

    /// Weight decay, relative to the learning rate.
    #[arg(long, value_name = "DECAY", default_value_t = 0.01)]
    decay: f32,

    /// Scale gradients down to this length; x² needs it.
    #[arg(long, value_name = "LENGTH")]
    clip: Option<f32>,

    /// Train a Bayesian network: a Gaussian for each weight, from which a server draws anew for
    /// every query (protocol bayhenn).
    #[arg(long)]
    bayesian: bool,

    /// How much the divergence from the prior weighs; 1 does not temper the posterior.
    #[arg(
        long,
        value_name = "WEIGHT",
        default_value_t = 0.1,
        requires = "bayesian"
    )]
    kl_weight: f32,

    /// Standard deviation of the prior of every weight.
    #[arg(
        long,
        value_name = "DEVIATION",
        default_value_t = 0.05,
        requires = "bayesian"
    )]
    prior: f32,

    /// No weight is drawn further than this many standard deviations from its mean, 1 to 8.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "bayesian")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=8))]
    truncation: u32,

    /// Do not distort the training images.
    #[arg(long)]
    no_augment: bool,

    /// How many of the training images, from the end, to keep for validation [default: none if
    /// there are val-* files, else a tenth, at most 5000].
    #[arg(long, value_name = "N")]
    validation: Option<usize>,

    /// Begin from this checkpoint instead of from random weights.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Also keep the floats in this file: after the float epochs, and at the end.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// Also measure accuracy on the test images: once, when every choice is made.
    #[arg(long)]
    test: bool,

    /// Also measure accuracy on the training images, undistorted.
    #[arg(long)]
    training: bool,
}

/// Trains a network and writes it.
#[cfg(feature = "train")]
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    work::run(args, console)
}

/// Says how to get a program that trains.
#[cfg(not(feature = "train"))]
pub(crate) fn run(_: Args, _: &Console) -> CliResult {
    super::error::bail!(
        "this pdnn was built without training; build it in: \
         cargo install --path . --features train"
    );
}

#[cfg(all(test, not(feature = "train")))]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::error::CliError;

    #[derive(Parser)]
    struct Wrapped {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn without_the_feature_it_says_how_to_build_it_in() {
        let args = Wrapped::parse_from(["train", "--out", "o"]).args;
        match run(args, &Console::new(false, true, false)) {
            Err(CliError::Message(text)) => assert!(text.contains("--features train"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}
