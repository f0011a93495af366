//! Tables as data to train on, and what is measured of two classes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    cli::error::{CliResult, Explain},
    file::container::hex,
    network::{Network, argmax},
    report::{Confusion, roc_auc},
    train::{Examples, TableSet, TwoClasses},
};

use super::Args;

/// Where the tables are.
pub(super) struct Tables {
    train: PathBuf,
    test: PathBuf,
}

impl Tables {
    /// Those of a folder, `train.csv` and `test.csv`, or one file; `None` if
    /// `data` is neither.
    pub(super) fn at(data: &Path) -> Option<Tables> {
        let in_folder = data.join("train.csv");
        let is_table = data
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        let train = match (in_folder.is_file(), is_table) {
            (true, _) => in_folder,
            (false, true) => data.to_path_buf(),
            (false, false) => return None,
        };
        let test = train.with_file_name("test.csv");
        Some(Tables { train, test })
    }

    /// Reads the table to train on, and finds out what its columns stand for.
    pub(super) fn open(self, args: &Args) -> CliResult<(Tables, TableSet)> {
        let (label, features) = (&args.label_column, &args.features);
        let set = TableSet::find(&self.train, label, features, &args.labels).explain()?;
        Ok((self, set))
    }

    /// The table to test on.
    pub(super) fn test(&self, set: &TableSet, args: &Args) -> CliResult<Examples> {
        set.more(&self.test, &args.label_column).explain()
    }

    /// The last two parts of the folder's path, for people.
    pub(super) fn name(&self) -> String {
        let path = fs::canonicalize(&self.train).unwrap_or_else(|_| self.train.clone());
        let parts: Vec<String> = path
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let end = parts.len().saturating_sub(1);
        parts[end.saturating_sub(2)..end].join("/")
    }

    /// Each file with its SHA-256.
    pub(super) fn checksums(&self, test: bool) -> CliResult<Vec<(String, String)>> {
        let mut all = Vec::new();
        for path in [Some(&self.train), test.then_some(&self.test)] {
            let Some(path) = path else { continue };
            let bytes = fs::read(path).about_file(path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            all.push((name.into_owned(), hex(&Sha256::digest(bytes))));
        }
        Ok(all)
    }
}

/// What accuracy alone does not say; `None` of more than two classes.
pub(super) fn two_classes(network: &Network, set: &str, examples: &Examples) -> Option<TwoClasses> {
    let labels = &network.profile().labels;
    if labels.len() != 2 {
        return None;
    }
    let inputs: Vec<Vec<i64>> = examples
        .images()
        .iter()
        .map(|image| image.iter().map(|&p| p.into()).collect())
        .collect();
    let mut confusion = Confusion::new(labels.clone());
    let mut scores = Vec::with_capacity(inputs.len());
    for (logits, &label) in network.forward_all(&inputs).iter().zip(examples.labels()) {
        confusion.record(label.into(), argmax(logits));
        scores.push((i128::from(logits[1]) - i128::from(logits[0]), label == 1));
    }
    let (label, share) = confusion.majority()?;
    Some(TwoClasses {
        set: set.to_string(),
        balanced_accuracy: confusion.balanced_accuracy(),
        majority: (label.to_string(), share),
        roc_auc: roc_auc(scores),
    })
}
