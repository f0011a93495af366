//! The card: what a person should know about a trained network.

use std::fmt::{self, Display, Formatter};

use super::{Accuracy, Augment, TrainOptions, Trained};
use crate::network::Network;

/// Everything that the card of a trained network says; `Display` writes it as
/// Markdown.
#[derive(Clone, Debug)]
pub struct Card<'a> {
    /// What was trained.
    pub trained: &'a Trained,
    /// How.
    pub options: &'a TrainOptions,
    /// The command line that does it again.
    pub command: String,
    /// Each file of the data set, unpacked, with its SHA-256.
    pub data: Vec<(String, String)>,
    /// How many images the network was trained on.
    pub train_images: usize,
    /// On the images kept for validation.
    pub validation: Accuracy,
    /// On the test images, if they were looked at.
    pub test: Option<Accuracy>,
}

impl Display for Card<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let network = self.trained.network();
        let profile = network.profile();
        let o = self.options;
        writeln!(f, "# {}\n", profile.name)?;
        let shape = profile.input.shape;
        writeln!(
            f,
            "A network for handwritten digits: {} grey image of {}x{} pixels, 0 (black) to 255 \
             (white ink), in; {} classes out. All arithmetic is in integers: {}-bit weights with \
             a scale for each output channel, {}-bit activations, full-precision biases.\n",
            shape.channels,
            shape.height,
            shape.width,
            profile.classes(),
            o.weight_bits,
            o.activation_bits
        )?;
        writeln!(
            f,
            "`profile.json` is what a client must know; `model.safetensors` holds the weights.\n"
        )?;
        self.accuracies(f)?;
        layers(f, network)?;
        self.recipe(f)?;
        writeln!(f, "## Intended use and limits\n")?;
        writeln!(
            f,
            "For demonstrations and measurements of private inference. It knows single digits, \
             centred and scaled as in MNIST, white on black; it gives one of its classes for \
             anything else as well. Not for decisions about people.\n"
        )?;
        writeln!(f, "## Licence\n")?;
        writeln!(
            f,
            "MIT OR Apache-2.0, as the program. The training images (MNIST, LeCun, Cortes and \
             Burges; CC BY-SA 3.0) are not part of it."
        )
    }
}

impl Card<'_> {
    fn accuracies(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Accuracy\n")?;
        writeln!(
            f,
            "| images | float | quantised, simulated | integers |\n|---|---|---|---|"
        )?;
        let mut row = |name: &str, a: &Accuracy| {
            writeln!(
                f,
                "| {name} ({}) | {:.2} % | {:.2} % | **{:.2} %** |",
                a.images,
                100.0 * a.float,
                100.0 * a.simulated,
                100.0 * a.integer
            )
        };
        row("validation", &self.validation)?;
        match &self.test {
            Some(test) => {
                row("test", test)?;
                writeln!(
                    f,
                    "\nThe test images were looked at once, after training; every choice was \
                     made on the validation images.\n"
                )
            }
            None => writeln!(f, "\nThe test images were not looked at.\n"),
        }
    }

    fn recipe(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let o = self.options;
        writeln!(f, "## How it was trained\n")?;
        writeln!(f, "```sh\n{}\n```\n", self.command)?;
        writeln!(
            f,
            "Seed {}. {} training images, the last {} of the training set kept for validation. \
             {} epochs in floats, then {} that simulate the integer network (straight-through \
             gradients, learnt steps). AdamW, batches of {}, peak learning rates {} and {}, \
             warm-up and cosine, weight decay {}. The same seed on the same kind of CPU gives \
             the same network.\n",
            o.seed,
            self.train_images,
            self.validation.images,
            o.epochs,
            o.qat_epochs,
            o.batch,
            o.rate,
            o.qat_rate,
            o.decay
        )?;
        let Augment {
            rotation,
            shift,
            scale,
            shear,
            elastic,
        } = o.augment;
        writeln!(
            f,
            "Every image is distorted anew in every epoch: turned by up to {rotation} degrees, \
             shifted by up to {shift} pixels, scaled by up to {:.0} % and sheared by up to \
             {shear}, and bent by a smooth random field of up to {elastic} pixels at its control \
             points.\n",
            100.0 * scale
        )?;
        writeln!(f, "| data, unpacked | SHA-256 |\n|---|---|")?;
        for (name, digest) in &self.data {
            writeln!(f, "| `{name}` | `{digest}` |")?;
        }
        writeln!(f)
    }
}

/// The ranges that every classification of a valid image stays within.
fn layers(f: &mut Formatter<'_>, network: &Network) -> fmt::Result {
    writeln!(f, "## Layers\n")?;
    writeln!(
        f,
        "Bounds of the pre-activations for every valid input, computed from the weights, and the \
         bits of a packed slot that follow from them.\n"
    )?;
    writeln!(
        f,
        "| layer | weights | not zero | least | greatest | slot bits | then |\n\
         |---|---|---|---|---|---|---|"
    )?;
    for (stage, weights) in network.profile().stages.iter().zip(network.layers()) {
        let shape = stage.linear.weight_shape();
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        let then: Vec<&str> = stage.then.iter().map(|op| op.name()).collect();
        writeln!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} |",
            stage.name,
            shape.join("x"),
            weights.weights.iter().filter(|w| **w != 0).count(),
            stage.range.min,
            stage.range.max,
            stage.range.slot_bits(),
            then.join(", ")
        )?;
    }
    writeln!(f)
}
