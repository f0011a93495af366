//! The work of `pdnn train`.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::json;

use crate::{
    cli::{
        console::Console,
        error::{CliError, CliResult, Explain, bail},
    },
    dataset::{data_dir, has_idx_pair, test_prefix},
    file::{
        AnyNetwork, Overwrite, atomic::check_writable, checkpoint::Checkpoint, container::hex,
        input,
    },
    network::Network,
    train::{Accuracy, Augment, Card, Examples, SAMPLES, load_examples, train},
};

use super::{
    Args,
    config::{MNIST, command, options},
    folder::Folder,
    log::{Log, write_checkpoint},
    tables::{Tables, two_classes},
};

/// Draws of a query that does not ask for another number.
const DRAWS: usize = 4;

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

    let mut log = Log::new(console, args.checkpoint.as_deref());
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::{config::tests::args, folder::FILES},
        *,
    };
    use crate::dataset::{Images, write_idx_images, write_idx_labels};

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
