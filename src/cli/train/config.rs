//! Raw arguments of `pdnn train` to a configuration, and back to a command line.

use std::{fmt::Display, path::Path};

use crate::{
    cli::{
        error::{CliResult, Explain, bail},
        tables::LABEL,
    },
    train::{Augment, Bayes, Prune, Topology, TrainOptions},
};

use super::Args;

/// Channels, height and width of MNIST's images.
pub(super) const MNIST: (usize, usize, usize) = (1, 28, 28);

/// Float epochs of a run from the beginning.
const EPOCHS: usize = 50;

/// The topology that was asked for, or the usual one: a table's rows are images
/// of one line.
fn topology_name(args: &Args, size: (usize, usize, usize)) -> &str {
    let usual = if size.1 == 1 { "mlp:16" } else { "lenet5" };
    args.topology.as_deref().unwrap_or(usual)
}

/// Raw arguments to a checked configuration, for images of `size` in
/// `classes` classes; before those are known, in as many as there are labels.
pub(super) fn options(
    args: &Args,
    size: (usize, usize, usize),
    classes: Option<usize>,
) -> CliResult<TrainOptions> {
    let named = Some(args.labels.len()).filter(|count| *count > 0);
    let topology = Topology::named(
        topology_name(args, size),
        size,
        named.or(classes).unwrap_or(10),
    )
    .explain()?;
    let fresh = if args.from.is_none() { EPOCHS } else { 0 };
    let usual = TrainOptions::new(topology.clone());
    let options = TrainOptions {
        topology,
        name: args.name.clone().unwrap_or(usual.name),
        labels: match named {
            Some(_) => args.labels.clone(),
            None => usual.labels,
        },
        features: usual.features,
        seed: args.seed,
        epochs: args.epochs.unwrap_or(fresh),
        qat_epochs: args.qat_epochs,
        batch: args.batch,
        rate: args.rate,
        qat_rate: args.qat_rate,
        decay: args.decay,
        weight_bits: args.weight_bits,
        activation_bits: args.activation_bits,
        input_bits: args.input_bits,
        prune: args.prune.iter().map(prune).collect::<CliResult<_>>()?,
        augment: match args.no_augment {
            true => Augment::none(),
            false => Augment::default(),
        },
        clip: args.clip,
        bayes: args.bayesian.then_some(Bayes {
            kl_weight: args.kl_weight,
            prior: args.prior,
            truncation: args.truncation,
        }),
    };
    options.check().explain()?;
    if options.epochs == 0 && args.from.is_none() {
        bail!("0 epochs leave random weights; choose at least 1, or begin with --from");
    }
    Ok(options)
}

/// The command line that trains this network again, data in its usual place.
pub(super) fn command(args: &Args, options: &TrainOptions) -> String {
    let usual = TrainOptions::new(options.topology.clone());
    let mut line = format!(
        "cargo run --release --features train -- train --out {} --topology {} --seed {} \
         --epochs {} --qat-epochs {} --weight-bits {} --activation-bits {}",
        args.out.display(),
        options.topology.name,
        options.seed,
        options.epochs,
        options.qat_epochs,
        options.weight_bits,
        options.activation_bits,
    );
    changed(&mut line, "name", &options.name, &usual.name);
    given(&mut line, "data", args.data.as_deref().map(Path::display));
    let list = |values: &[String]| (!values.is_empty()).then(|| values.join(","));
    given(&mut line, "features", list(&args.features));
    changed(&mut line, "label-column", args.label_column.as_str(), LABEL);
    given(&mut line, "labels", list(&args.labels));
    changed(
        &mut line,
        "input-bits",
        options.input_bits,
        usual.input_bits,
    );
    given(&mut line, "prune", list(&args.prune));
    changed(&mut line, "batch", options.batch, usual.batch);
    changed(&mut line, "rate", options.rate, usual.rate);
    changed(&mut line, "qat-rate", options.qat_rate, usual.qat_rate);
    changed(&mut line, "decay", options.decay, usual.decay);
    given(&mut line, "clip", options.clip);
    if let Some(bayes) = options.bayes {
        let usual = Bayes::default();
        line += " --bayesian";
        changed(&mut line, "kl-weight", bayes.kl_weight, usual.kl_weight);
        changed(&mut line, "prior", bayes.prior, usual.prior);
        changed(&mut line, "truncation", bayes.truncation, usual.truncation);
    }
    flag(&mut line, "no-augment", args.no_augment);
    given(&mut line, "validation", args.validation);
    given(&mut line, "from", args.from.as_deref().map(Path::display));
    flag(&mut line, "training", args.training);
    flag(&mut line, "test", args.test);
    line
}

/// A layer and a percentage.
fn prune(text: &String) -> CliResult<Prune> {
    let parts = text.split_once('=');
    let parsed = parts.and_then(|(layer, percent)| Some((layer, percent.parse::<f32>().ok()?)));
    match parsed {
        Some((layer, percent)) => Ok(Prune {
            layer: layer.to_string(),
            share: percent / 100.0,
        }),
        None => bail!(
            "--prune {text}: expected a layer and how many percent of its weights, \
             as in dense1=75"
        ),
    }
}

/// An option whose value is not the usual one.
fn changed<T: PartialEq + Display>(line: &mut String, option: &str, value: T, usual: T) {
    given(line, option, (value != usual).then_some(value));
}

/// An option that has a value.
fn given(line: &mut String, option: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        *line += &format!(" --{option} {value}");
    }
}

/// An option without a value.
fn flag(line: &mut String, option: &str, wanted: bool) {
    if wanted {
        *line += &format!(" --{option}");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::error::CliError;

    #[derive(Parser)]
    struct Wrapped {
        #[command(flatten)]
        args: Args,
    }

    pub(in crate::cli::train) fn args(line: &[&str]) -> Args {
        Wrapped::parse_from([&["train", "--out", "o"], line].concat()).args
    }

    #[test]
    fn the_defaults_are_the_librarys() {
        let topology = Topology::named("lenet5", MNIST, 10).unwrap();
        assert_eq!(
            options(&args(&[]), MNIST, None).unwrap(),
            TrainOptions::new(topology)
        );
    }

    #[test]
    fn a_checkpoint_needs_no_float_epochs() {
        let from = args(&["--from", "x", "--qat-epochs", "0"]);
        assert_eq!(options(&from, MNIST, None).unwrap().epochs, 0);
    }

    #[test]
    fn zero_epochs_and_unknown_topologies_are_refused() {
        assert!(options(&args(&["--epochs", "0"]), MNIST, None).is_err());
        assert!(options(&args(&["--topology", "vgg"]), MNIST, None).is_err());
    }

    #[test]
    fn layers_to_prune_are_parsed_and_named_again() {
        let parsed = args(&["--prune", "conv2=40,dense1=72.5"]);
        let pruned = options(&parsed, MNIST, None).unwrap();
        let shares: Vec<f32> = pruned.prune.iter().map(|p| p.share).collect();
        assert_eq!(shares, [0.4, 0.725]);
        let line = command(&parsed, &pruned);
        assert!(line.ends_with("--prune conv2=40,dense1=72.5"), "{line}");
        for wrong in ["dense1", "dense1=", "dense1=x"] {
            let Err(CliError::Message(text)) = options(&args(&["--prune", wrong]), MNIST, None)
            else {
                panic!("{wrong} was taken");
            };
            assert!(text.contains("as in dense1=75"), "{text}");
        }
    }

    #[test]
    fn bits_outside_2_to_8_are_refused() {
        for bits in ["1", "9", "x"] {
            let line = ["train", "--out", "o", "--weight-bits", bits];
            assert!(Wrapped::try_parse_from(line).is_err());
        }
    }

    #[test]
    fn the_command_names_every_choice_that_is_not_the_default() {
        let args = args(&["--seed", "7", "--batch", "64", "--test"]);
        let line = command(&args, &options(&args, MNIST, None).unwrap());
        assert!(line.contains("--seed 7 --epochs 50"), "{line}");
        assert!(line.ends_with("--batch 64 --test"), "{line}");
    }

    #[test]
    fn the_command_of_a_bayesian_network_names_its_posterior() {
        let line = [
            "--bayesian",
            "--prior",
            "0.2",
            "--clip",
            "1",
            "--labels",
            "a,b",
        ];
        let args = args(&line);
        let options = options(&args, MNIST, None).unwrap();
        assert_eq!(options.labels, ["a", "b"]);
        assert_eq!(options.topology.classes(), 2);
        let line = command(&args, &options);
        assert!(
            line.ends_with("--labels a,b --clip 1 --bayesian --prior 0.2"),
            "{line}"
        );
    }

    #[test]
    fn options_of_the_posterior_need_a_bayesian_network() {
        let line = ["train", "--out", "o", "--kl-weight", "1"];
        assert!(Wrapped::try_parse_from(line).is_err());
    }
}
