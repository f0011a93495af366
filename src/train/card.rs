//! The card: what a person should know about a trained network.

use std::fmt::{self, Display, Formatter};

use super::{Accuracy, Augment, TrainOptions, Trained};
use crate::{file::AnyNetwork, network::Op};

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
    /// What the data set's folder is called.
    pub data_set: String,
    /// Each file of the data set, unpacked, with its SHA-256.
    pub data: Vec<(String, String)>,
    /// How many images the network was trained on.
    pub train_images: usize,
    /// On the images kept for validation.
    pub validation: Vec<Accuracy>,
    /// On the training images, undistorted, if that was asked for.
    pub training: Vec<Accuracy>,
    /// Of a network that tells two classes apart: what accuracy alone does not
    /// say, for each set that it was measured on.
    pub two_classes: Vec<TwoClasses>,
    /// On the test images, if they were looked at.
    pub test: Vec<Accuracy>,
}

impl Display for Card<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let network = self.trained.network();
        let profile = network.profile();
        let o = self.options;
        let about = about(&self.data_set);
        writeln!(f, "# {}\n", profile.name)?;
        let shape = profile.input.shape;
        if !profile.features.is_empty() {
            self.table(f, about.what)?;
        } else {
            writeln!(
                f,
                "A network for {}: {} grey image of {}x{} pixels, 0 (black) to 255 \
             (white), in; {} classes out ({}). All arithmetic is in integers: {}-bit weights with \
             a scale for each output channel, {}-bit activations, full-precision biases.\n",
                about.what,
                shape.channels,
                shape.height,
                shape.width,
                profile.classes(),
                profile.labels.join(", "),
                o.weight_bits,
                o.activation_bits
            )?;
        }
        if let Some(levels) = o.rounded_levels() {
            writeln!(
                f,
                "The client rounds every value of the input to one of {levels} levels before it \
                 encrypts.\n"
            )?;
        }
        writeln!(
            f,
            "`profile.json` is what a client must know; `model.safetensors` holds the weights.\n"
        )?;
        self.accuracies(f)?;
        self.two_classes(f)?;
        layers(f, network)?;
        self.recipe(f)?;
        writeln!(f, "## Intended use and limits\n")?;
        writeln!(
            f,
            "For demonstrations and measurements of private inference. {} It gives one of its \
             classes for anything else as well. Not for decisions about people.\n",
            about.knows
        )?;
        writeln!(f, "## Licence\n")?;
        writeln!(
            f,
            "MIT OR Apache-2.0, as the program. The training images ({}) are not part of it.",
            about.source
        )
    }
}

/// How well a network tells two classes apart: of its integers.
#[derive(Clone, Debug, PartialEq)]
pub struct TwoClasses {
    /// Which examples: `test`.
    pub set: String,
    /// Mean of the shares of each class that are right, 0 to 1.
    pub balanced_accuracy: f64,
    /// Area under the ROC curve, if both classes occur.
    pub roc_auc: Option<f64>,
    /// The more frequent class, and its share.
    pub majority: (String, f64),
}

impl Card<'_> {
    /// The first paragraph for a network that takes rows of a table.
    fn table(&self, f: &mut Formatter<'_>, what: &str) -> fmt::Result {
        let (profile, o) = (self.trained.network().profile(), self.options);
        let names: Vec<String> = profile
            .features
            .iter()
            .map(|feature| format!("`{}`", feature.name))
            .collect();
        writeln!(
            f,
            "A network for {what}: a row with the columns {} in, each an integer from {} to {}; \
             {} classes out ({}). All arithmetic is in integers: {}-bit weights with a scale for \
             each output, {}-bit activations, full-precision biases.\n",
            names.join(", "),
            profile.input.min,
            profile.input.max,
            profile.classes(),
            profile.labels.join(", "),
            o.weight_bits,
            o.activation_bits
        )
    }

    fn two_classes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.two_classes.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "| integers on | balanced accuracy | area under the ROC curve | always the more \
             frequent class |\n|---|---|---|---|"
        )?;
        for set in &self.two_classes {
            let area = set.roc_auc.map_or("–".to_string(), |a| format!("{a:.4}"));
            writeln!(
                f,
                "| {} | {:.2} % | {area} | {:.2} % ({}) |",
                set.set,
                100.0 * set.balanced_accuracy,
                100.0 * set.majority.1,
                set.majority.0
            )?;
        }
        writeln!(f)
    }

    fn accuracies(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Accuracy\n")?;
        writeln!(
            f,
            "| images | float | quantised, simulated | integers |\n|---|---|---|---|"
        )?;
        let mut row = |name: &str, a: &Accuracy| {
            let drawn = match a.samples {
                Some(1) => ", 1 draw".to_string(),
                Some(samples) => format!(", {samples} draws"),
                None => String::new(),
            };
            writeln!(
                f,
                "| {name} ({}){drawn} | {:.2} % | {:.2} % | **{:.2} %** |",
                a.images,
                100.0 * a.float,
                100.0 * a.simulated,
                100.0 * a.integer
            )
        };
        for (name, all) in [
            ("training, undistorted", &self.training),
            ("validation", &self.validation),
            ("test", &self.test),
        ] {
            all.iter().try_for_each(|accuracy| row(name, accuracy))?;
        }
        if self.options.bayes.is_some() {
            writeln!(
                f,
                "\nThe class is that of the largest mean of as many softmax vectors as weights \
                 were drawn; every hundred images saw weights of their own."
            )?;
        }
        match self.test.is_empty() {
            false => {
                writeln!(
                    f,
                    "\nThe test images were looked at once, after training; every choice was \
                     made on the validation images.\n"
                )
            }
            true => writeln!(f, "\nThe test images were not looked at.\n"),
        }
    }

    fn recipe(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let o = self.options;
        let validation = self.validation.first().map_or(0, |a| a.images);
        writeln!(f, "## How it was trained\n")?;
        writeln!(f, "```sh\n{}\n```\n", self.command)?;
        writeln!(
            f,
            "Seed {}. {} training images, {} for validation. \
             {} epochs in floats, then {} that simulate the integer network (straight-through \
             gradients, learnt steps). AdamW, batches of {}, peak learning rates {} and {}, \
             warm-up and cosine, {}. The same seed on the same kind of CPU gives \
             the same network.\n",
            o.seed,
            self.train_images,
            match self.data.iter().any(|(name, _)| name.starts_with("val-")) {
                true => format!("{} others", validation),
                false => format!("the last {} of the set kept", validation),
            },
            o.epochs,
            o.qat_epochs,
            o.batch,
            o.rate,
            o.qat_rate,
            match (o.bayes, o.clip) {
                (Some(_), None) => "no weight decay".to_string(),
                (Some(_), Some(clip)) => format!("no weight decay, gradients of at most {clip}"),
                (None, None) => format!("weight decay {}", o.decay),
                (None, Some(clip)) =>
                    format!("weight decay {}, gradients of at most {clip}", o.decay),
            }
        )?;
        if !o.prune.is_empty() {
            let shares: Vec<String> = o
                .prune
                .iter()
                .map(|p| format!("{} % of {}", 100.0 * p.share, p.layer))
                .collect();
            writeln!(
                f,
                "In the first two thirds of the quantised epochs weights of least magnitude became \
                 0, more and more of them (Zhu and Gupta 2017): in the end {}.\n",
                shares.join(", ")
            )?;
        }
        if let Some(bayes) = o.bayes {
            writeln!(
                f,
                "The posterior is a Gaussian for each weight by itself (Bayes by backprop, dense \
                 layers by local reparameterisation); prior N(0, {}²), KL weight {}.\n",
                bayes.prior, bayes.kl_weight
            )?;
        }
        if o.augment == Augment::none() {
            writeln!(f, "The examples were not distorted.\n")?;
            return self.checksums(f);
        }
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
        self.checksums(f)
    }

    fn checksums(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| data, unpacked | SHA-256 |\n|---|---|")?;
        for (name, digest) in &self.data {
            writeln!(f, "| `{name}` | `{digest}` |")?;
        }
        writeln!(f)
    }
}

/// What is known about a data set.
struct About {
    /// What a network trained on it is for.
    what: &'static str,
    /// What such a network knows, a sentence.
    knows: &'static str,
    /// Where the images come from, and their licence.
    source: &'static str,
}

/// What is known about the data set in a folder of this name.
fn about(data_set: &str) -> About {
    match data_set {
        "mnist" => About {
            what: "handwritten digits",
            knows: "It knows single digits, centred and scaled as in MNIST, white on black.",
            source: "MNIST, LeCun, Cortes and Burges; CC BY-SA 3.0",
        },
        "pneumonia" => About {
            what: "chest X-rays of children",
            knows: "It knows X-rays of one hospital, cut and scaled as in PneumoniaMNIST; at \
                    28x28 pixels little is left of what a physician looks at.",
            source: "PneumoniaMNIST of MedMNIST v2, Yang et al. 2023, after Kermany et al. 2018; \
                     CC BY 4.0",
        },
        _ if data_set.starts_with("covid_symptoms/") => About {
            what: "people tested for COVID-19",
            knows: "It knows eight things that people were asked in Israel in spring 2020, when \
                    who was tested depended on the symptoms; it finds who would have tested \
                    positive there and then.",
            source: "the rows of the Israeli Ministry of Health, English version of \
                     nshomron/covidpred; open government data",
        },
        "covid_xray" => About {
            what: "chest X-rays",
            knows: "The two classes come from different hospitals, so its accuracy flatters: it \
                    may know the hospital rather than the disease.",
            source: "COVID-19 Radiography Database; licence unknown",
        },
        _ => About {
            what: "images",
            knows: "It knows images like those that it was trained on.",
            source: "see the checksums above",
        },
    }
}

/// The ranges that every classification of a valid image stays within.
fn layers(f: &mut Formatter<'_>, network: &AnyNetwork) -> fmt::Result {
    writeln!(f, "## Layers\n")?;
    let (layers, deviations, drawn) = match network {
        AnyNetwork::Fixed(network) => (network.layers(), None, String::new()),
        AnyNetwork::Bayesian(network) => {
            let truncation = network.profile().posterior.map_or(0, |p| p.truncation);
            let drawn = format!(
                " and all weights that can be drawn, none further than {truncation} standard \
                 deviations from its mean"
            );
            (network.means(), Some(network.deviations()), drawn)
        }
    };
    let before = &network.profile().prepare;
    if !before.is_empty() {
        let names: Vec<&str> = before.iter().map(|op| op.name()).collect();
        writeln!(
            f,
            "Before the first layer the client does: {}.\n",
            names.join(", ")
        )?;
    }
    let boxes = |op: &Op| matches!(op, Op::SumPool { stride: 1, .. });
    let stages = network.profile().stages.iter();
    if stages.flat_map(|s| &s.then).chain(before).any(boxes) {
        writeln!(
            f,
            "Pooling is done by box sums: the client sums neighbours (sum_pool at stride 1), and \
             the convolution behind it goes in steps of the pooling's size.\n"
        )?;
    }
    writeln!(
        f,
        "Bounds of the pre-activations for every valid input{drawn}, computed from the weights, \
         and the bits of a packed slot that follow from them.\n"
    )?;
    let deviation = |column: &str| deviations.map_or(String::new(), |_| column.to_string());
    writeln!(
        f,
        "| layer | weights | not zero |{} least | greatest | slot bits | then |\n\
         |---|---|---|{}---|---|---|---|",
        deviation(" mean σ, largest, zeros |"),
        deviation("---|"),
    )?;
    for (i, (stage, weights)) in network.profile().stages.iter().zip(layers).enumerate() {
        let shape = stage.linear.weight_shape();
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        let then: Vec<&str> = stage.then.iter().map(|op| op.name()).collect();
        let varying = deviations.map_or(String::new(), |all| spread(&all[i].weights));
        writeln!(
            f,
            "| {} | {} | {} |{varying} {} | {} | {} | {} |",
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

/// Mean and largest of these deviations, and how many are 0.
fn spread(deviations: &[u32]) -> String {
    let sum: f64 = deviations.iter().map(|d| f64::from(*d)).sum();
    let largest = deviations.iter().max().unwrap_or(&0);
    let zeros = deviations.iter().filter(|d| **d == 0).count();
    format!(
        " {:.1}, {largest}, {zeros} |",
        sum / deviations.len().max(1) as f64
    )
}
