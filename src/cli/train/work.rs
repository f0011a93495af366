//! The work of `pdnn train`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::json;

use crate::{
    cli::{
        console::{Bar, Console},
        error::{CliError, CliResult, Explain, bail},
        tables::LABEL,
    },
    dataset::{data_dir, has_idx_pair, test_prefix},
    file::{
        AnyNetwork, Mode, Overwrite,
        atomic::check_writable,
        checkpoint::Checkpoint,
        container::hex,
        folder::{MODEL_FILE, PROFILE_FILE},
        input, save_bayesian, save_network, write_atomic,
    },
    network::Network,
    train::{
        Accuracy, Augment, Bayes, Card, EpochRecord, Examples, Phase, Progress, SAMPLES, Topology,
        TrainOptions, Trained, load_examples, train,
    },
};

use super::{
    Args,
    tables::{Tables, two_classes},
};

/// Name of the card in a network's folder.
const CARD_FILE: &str = "README.md";

/// What a run writes into its folder.
const FILES: [&str; 3] = [PROFILE_FILE, MODEL_FILE, CARD_FILE];

/// Draws of a query that does not ask for another number.
const DRAWS: usize = 4;

/// Channels, height and width of MNIST's images.
const MNIST: (usize, usize, usize) = (1, 28, 28);

/// Float epochs of a run from the beginning.
const EPOCHS: usize = 50;

/// Trains, measures, writes.
pub(super) fn run(args: Args, console: &Console) -> CliResult {
    let start = Instant::now();
    // Before the data are read: a topology that nobody knows, a bad rate.
    options(&args, MNIST, None)?;
    let data = args
        .data
        .clone()
        .unwrap_or_else(|| data_dir().join("mnist"));
    let from = args.from.as_deref().map(read_checkpoint).transpose()?;
    if let Some(path) = &args.checkpoint
        && path.exists()
        && !args.force
    {
        bail!(
            "{}: exists already; choose another name, or replace it with --force",
            path.display()
        );
    }
    let table = Tables::at(&data)
        .map(|tables| tables.open(&args))
        .transpose()?;
    let all = match &table {
        Some((_, set)) => set.examples.clone(),
        None => load_examples(&data, "train").explain()?,
    };
    let (examples, validation) = match args.validation {
        None if has_idx_pair(&data, "val") => (all.clone(), load_examples(&data, "val").explain()?),
        count => all
            .split(count.unwrap_or(usual_validation(&all)))
            .explain()?,
    };
    let size = (1, all.images().height(), all.images().width());
    let classes = table
        .as_ref()
        .map_or(all.classes(), |(_, set)| set.labels.len());
    let mut options = options(&args, size, Some(classes))?;
    if let Some((_, set)) = &table {
        options.labels.clone_from(&set.labels);
        options.features.clone_from(&set.features);
        // A row is no picture.
        options.augment = Augment::none();
    }
    // Test images that cannot be read are better known before training.
    let test = match (args.test, &table) {
        (true, Some((tables, set))) => Some(tables.test(set, &args)?),
        (true, None) => Some(load_examples(&data, test_prefix(&data)).explain()?),
        (false, _) => None,
    };
    let folder = Folder::open(&args.out, args.force)?;
    // After the folder is made: the checkpoint may be meant to lie in it.
    if let Some(path) = &args.checkpoint {
        check_writable(path, Overwrite::Yes).about_file(path)?;
    }

    let mut log = Log {
        console,
        bar: None,
        done: 0,
        steps: 0,
        epochs: 0,
        checkpoint: args.checkpoint.as_deref(),
    };
    let trained = train(&options, &examples, &validation, from.as_ref(), &mut log).explain()?;
    let on_training = match args.training {
        // As many draws as a query has by default: there are many images.
        true => trained.accuracy(&examples, &[DRAWS]).explain()?,
        false => Vec::new(),
    };
    let on_validation = trained.accuracy(&validation, &SAMPLES).explain()?;
    let on_test = match &test {
        Some(test) => trained.accuracy(test, &SAMPLES).explain()?,
        None => Vec::new(),
    };
    let card = Card {
        trained: &trained,
        options: &options,
        command: command(&args, &options),
        data_set: match &table {
            Some((tables, _)) => tables.name(),
            None => folder_name(&data),
        },
        data: match &table {
            Some((tables, _)) => tables.checksums(args.test)?,
            None => checksums(&data, &all, &validation, test.as_ref())?,
        },
        two_classes: [("validation", Some(&validation)), ("test", test.as_ref())]
            .into_iter()
            .filter_map(|(set, examples)| two_classes(fixed(trained.network())?, set, examples?))
            .collect(),
        train_images: examples.len(),
        training: on_training.clone(),
        validation: on_validation.clone(),
        test: on_test.clone(),
    };
    let files = folder.fill(&trained, &card)?;
    // Last: the network is on disk, whatever becomes of its checkpoint.
    if let Some(path) = &args.checkpoint {
        let checkpoint = trained.checkpoint().explain()?;
        write_checkpoint(path, &checkpoint).map_err(|error| network_kept(error, &folder.path))?;
    }
    let profile = trained.network().profile();
    let value = json!({
        "network": profile.name,
        "fingerprint": hex(&profile.fingerprint()),
        "seed": options.seed,
        "weight_bits": options.weight_bits,
        "activation_bits": options.activation_bits,
        "training": usual(&on_training),
        "validation": usual(&on_validation),
        "test": usual(&on_test),
        "by_samples": options.bayes.map(|_| json!({
            "validation": on_validation,
            "test": on_test,
        })),
        "slot_bits": profile.stages.iter().map(|s| s.range.slot_bits())
            .collect::<Vec<_>>(),
        "epochs": trained.epochs(),
        "seconds": start.elapsed().as_secs_f64(),
        "written": files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>(),
    });
    let measured = [
        ("training", on_training),
        ("validation", on_validation),
        ("test", on_test),
    ];
    console.result(&value, || text(&measured, &files))
}

/// The network whose answers are counted by class: one of fixed weights.
fn fixed(network: &AnyNetwork) -> Option<&Network> {
    match network {
        AnyNetwork::Fixed(network) => Some(network),
        AnyNetwork::Bayesian(_) => None,
    }
}

/// The accuracy with as many draws as a query has by default, or the only one.
fn usual(measured: &[Accuracy]) -> Option<&Accuracy> {
    let fits = |a: &&Accuracy| a.samples.is_none_or(|samples| samples == DRAWS);
    measured.iter().find(fits)
}

/// The result for people.
fn text(measured: &[(&str, Vec<Accuracy>)], files: &[PathBuf]) -> String {
    let line = |name: &str, a: &Accuracy| {
        let draws = match a.samples {
            Some(samples) => format!("{samples} draws   "),
            None => String::new(),
        };
        format!(
            "{name:<11} {:>6} images   {draws}float {:.2} %   simulated {:.2} %   integer {:.2} %",
            a.images,
            100.0 * a.float,
            100.0 * a.simulated,
            100.0 * a.integer
        )
    };
    let rows = measured.iter();
    let mut lines: Vec<String> = rows
        .flat_map(|(name, all)| all.iter().map(|a| line(name, a)))
        .collect();
    lines.extend(files.iter().map(|file| file.display().to_string()));
    lines.join("\n")
}

/// How many of the training images are kept for validation.
fn usual_validation(all: &Examples) -> usize {
    (all.len() / 10).clamp(1, 5000)
}

/// The last part of a path, for people.
fn folder_name(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The topology that was asked for, or the usual one: a table's rows are images
/// of one line.
fn topology_name(args: &Args, size: (usize, usize, usize)) -> &str {
    let usual = if size.1 == 1 { "mlp:16" } else { "lenet5" };
    args.topology.as_deref().unwrap_or(usual)
}

/// Raw arguments to a checked configuration, for images of `size` in
/// `classes` classes; before those are known, in as many as there are labels.
fn options(
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
fn command(args: &Args, options: &TrainOptions) -> String {
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
    let mut add = |wanted: bool, text: String| {
        if wanted {
            line.push_str(&text);
        }
    };
    add(
        options.name != usual.name,
        format!(" --name {}", options.name),
    );
    if let Some(data) = &args.data {
        add(true, format!(" --data {}", data.display()));
    }
    add(
        !args.features.is_empty(),
        format!(" --features {}", args.features.join(",")),
    );
    add(
        args.label_column != LABEL,
        format!(" --label-column {}", args.label_column),
    );
    add(
        !args.labels.is_empty(),
        format!(" --labels {}", args.labels.join(",")),
    );
    add(
        options.batch != usual.batch,
        format!(" --batch {}", options.batch),
    );
    add(
        options.rate != usual.rate,
        format!(" --rate {}", options.rate),
    );
    add(
        options.qat_rate != usual.qat_rate,
        format!(" --qat-rate {}", options.qat_rate),
    );
    add(
        options.decay != usual.decay,
        format!(" --decay {}", options.decay),
    );
    if let Some(clip) = options.clip {
        add(true, format!(" --clip {clip}"));
    }
    if let Some(bayes) = options.bayes {
        let usual = Bayes::default();
        add(true, " --bayesian".to_string());
        add(
            bayes.kl_weight != usual.kl_weight,
            format!(" --kl-weight {}", bayes.kl_weight),
        );
        add(
            bayes.prior != usual.prior,
            format!(" --prior {}", bayes.prior),
        );
        add(
            bayes.truncation != usual.truncation,
            format!(" --truncation {}", bayes.truncation),
        );
    }
    add(args.no_augment, " --no-augment".to_string());
    if let Some(count) = args.validation {
        add(true, format!(" --validation {count}"));
    }
    if let Some(from) = &args.from {
        add(true, format!(" --from {}", from.display()));
    }
    add(args.training, " --training".to_string());
    add(args.test, " --test".to_string());
    line
}

/// Each file of the data set, unpacked, with its SHA-256.
fn checksums(
    data: &Path,
    train: &Examples,
    validation: &Examples,
    test: Option<&Examples>,
) -> CliResult<Vec<(String, String)>> {
    let own = has_idx_pair(data, "val").then_some(validation);
    let mut all = Vec::new();
    for (prefix, examples) in [
        ("train", Some(train)),
        ("val", own),
        (test_prefix(data), test),
    ] {
        let Some(examples) = examples else { continue };
        let (images, labels) = examples.checksums().explain()?;
        all.push((format!("{prefix}-images-idx3-ubyte"), images));
        all.push((format!("{prefix}-labels-idx1-ubyte"), labels));
    }
    Ok(all)
}

fn read_checkpoint(path: &Path) -> CliResult<Checkpoint> {
    let source = input::open(path).about_file(path)?;
    Checkpoint::read(source).about_file(path)
}

fn write_checkpoint(path: &Path, checkpoint: &Checkpoint) -> CliResult {
    let bytes = checkpoint.to_bytes().about_file(path)?;
    write_atomic(path, &bytes, Overwrite::Yes, Mode::Shared).about_file(path)
}

/// Says besides the error that nothing is lost.
fn network_kept(error: CliError, folder: &Path) -> CliError {
    match error {
        CliError::Message(text) => CliError::new(format!(
            "{text}; the network itself is in {}",
            folder.display()
        )),
        other => other,
    }
}

/// The folder to write to, made before training, so that a place where
/// nothing can be written is known before the work and not after it. Goes
/// again if it was made and nothing was written.
struct Folder {
    path: PathBuf,
    made: bool,
}

impl Folder {
    fn open(path: &Path, force: bool) -> CliResult<Folder> {
        let made = !path.exists();
        fs::create_dir_all(path).about_file(path)?;
        let occupied = fs::read_dir(path).about_file(path)?.next().is_some();
        if occupied && !force {
            bail!(
                "{}: exists already and is not empty; choose another folder, \
                 or replace its network with --force",
                path.display()
            );
        }
        // Guards what was just made, also against the errors below.
        let folder = Folder {
            path: path.to_path_buf(),
            made,
        };
        for file in FILES.map(|name| path.join(name)) {
            check_writable(&file, Overwrite::Yes).about_file(&file)?;
        }
        Ok(folder)
    }

    /// Writes network and card; the paths written.
    fn fill(&self, trained: &Trained, card: &Card) -> CliResult<Vec<PathBuf>> {
        match trained.network() {
            AnyNetwork::Fixed(network) => save_network(&self.path, network, Overwrite::Yes),
            AnyNetwork::Bayesian(network) => save_bayesian(&self.path, network, Overwrite::Yes),
        }
        .explain()?;
        let path = self.path.join(CARD_FILE);
        write_atomic(
            &path,
            card.to_string().as_bytes(),
            Overwrite::Yes,
            Mode::Shared,
        )
        .about_file(&path)?;
        Ok(FILES.iter().map(|name| self.path.join(name)).collect())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.made {
            // Fails, as it should, if anything was written.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// A bar for the epoch under way, a line for each that is done.
struct Log<'a> {
    console: &'a Console,
    bar: Option<Bar>,
    done: usize,
    steps: usize,
    epochs: usize,
    checkpoint: Option<&'a Path>,
}

impl Progress for Log<'_> {
    fn begin(&mut self, phase: Phase, epoch: usize, epochs: usize, steps: usize) {
        self.epochs = epochs;
        let what = format!("{phase} epoch {}/{epochs}", epoch + 1);
        (self.done, self.steps) = (0, steps);
        self.bar = Some(self.console.progress(&what));
    }

    fn step(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.units()(self.done, self.steps);
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.bar = None;
        self.console.note(&format!(
            "{} epoch {}/{}: loss {:.4}{}, training {:.2} %, validation {:.2} %, {:.1} s",
            record.phase,
            record.epoch,
            self.epochs,
            record.loss,
            record
                .divergence
                .map_or(String::new(), |nats| format!(", KL {nats:.0}")),
            100.0 * record.train_accuracy,
            100.0 * record.validation_accuracy,
            record.seconds
        ));
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        let Some(path) = self.checkpoint else { return };
        // Training is worth more than its checkpoint.
        if let Err(CliError::Message(text)) = write_checkpoint(path, checkpoint) {
            self.console.warn(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::dataset::{Images, write_idx_images, write_idx_labels};

    #[derive(Parser)]
    struct Wrapped {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Args {
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

    #[test]
    fn a_folder_that_holds_something_is_refused_without_force() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("new");
        drop(Folder::open(&out, false).unwrap());
        assert!(!out.exists());
        fs::create_dir(&out).unwrap();
        drop(Folder::open(&out, false).unwrap());
        assert!(out.exists());
        fs::write(out.join("a"), b"x").unwrap();
        assert!(Folder::open(&out, false).is_err());
        assert!(Folder::open(&out, true).is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_file_is_refused() {
        // Not even the superuser can make a file there.
        assert!(Folder::open(Path::new("/proc"), true).is_err());
    }

    /// Arguments of a run that takes a moment: a few images in `place`, one
    /// epoch; the network goes to `place/out`.
    fn small_run(place: &Path, line: &[&str]) -> Args {
        let pixels = (0..12 * 784).map(|i| (i * i % 251) as u8).collect();
        let images = write_idx_images(&Images::new(28, 28, pixels).unwrap()).unwrap();
        let labels: Vec<u8> = (0..12).map(|i| i % 10).collect();
        fs::write(place.join("train-images-idx3-ubyte"), images).unwrap();
        fs::write(
            place.join("train-labels-idx1-ubyte"),
            write_idx_labels(&labels).unwrap(),
        )
        .unwrap();
        let quick = "--epochs 1 --qat-epochs 1 --batch 4 --validation 4 --no-augment";
        let quick: Vec<&str> = quick.split(' ').collect();
        let mut args = args(&[&quick[..], line].concat());
        args.data = Some(place.to_path_buf());
        args.out = place.join("out");
        args
    }

    #[test]
    fn a_checkpoint_in_no_folder_is_refused_before_training() {
        let place = tempfile::tempdir().unwrap();
        let mut wrong = small_run(place.path(), &[]);
        wrong.checkpoint = Some(place.path().join("missing/x"));
        let out = wrong.out.clone();
        let Err(CliError::Message(text)) = run(wrong, &Console::new(false, true, false)) else {
            panic!("trained");
        };
        assert!(text.contains("missing/x: its folder does not"), "{text}");
        assert!(!out.exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_too_full_for_the_checkpoint_does_not_cost_the_network() {
        let place = tempfile::tempdir().unwrap();
        let full = small_run(place.path(), &["--checkpoint", "/dev/full", "--force"]);
        let out = full.out.clone();
        let Err(CliError::Message(text)) = run(full, &Console::new(false, true, false)) else {
            panic!("wrote to a full disk");
        };
        assert!(text.contains("the network itself is in"), "{text}");
        for name in FILES {
            assert!(out.join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn missing_data_name_the_files_and_the_script_and_leave_no_folder() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        let mut wrong = args(&[]);
        wrong.out = out.clone();
        wrong.data = Some(place.path().to_path_buf());
        let console = Console::new(false, true, false);
        let Err(CliError::Message(text)) = run(wrong, &console) else {
            panic!("trained without data");
        };
        assert!(text.contains("train-images-idx3-ubyte"), "{text}");
        assert!(text.contains("scripts/fetch-mnist.sh"), "{text}");
        assert!(!out.exists());
    }
}
