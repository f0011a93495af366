//! A folder with a network, images and perhaps a key, and the program run in
//! it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use pdnn::{
    dataset::write_png,
    file::{Overwrite, folder::save_network},
    network::{Network, argmax},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::tiny;

/// A folder with a tiny network, some images, and the program run in it.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) network: Network,
}

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let network = tiny::tiny_network("tiny", 1);
        fs::create_dir(folder.path().join("net")).expect("writable");
        save_network(&folder.path().join("net"), &network, Overwrite::Never).expect("writable");
        for (number, pixels) in tiny::images(3, 7).iter().enumerate() {
            let png = write_png(pixels, 8, 8).expect("8x8 pixels");
            fs::write(folder.path().join(format!("{number}.png")), png).expect("writable");
        }
        Place { folder, network }
    }

    /// A place where alice has a key already.
    pub(crate) fn with_key() -> Place {
        let place = Place::new();
        place.ok(&["keygen", "--out", "alice", "--bits", "512", "--insecure"]);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pdnn"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Standard output of a call that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The error line of a call that must fail with exit code 1.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = stderr(&output);
        let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{args:?}: {text}");
        assert!(output.stdout.is_empty(), "{args:?}");
        errors[0].to_string()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).expect("JSON")
    }

    /// The clear network's logits for the image that `Place::new` numbered.
    pub(crate) fn logits(&self, number: usize) -> Vec<i64> {
        let pixels = &tiny::images(3, 7)[number];
        let values: Vec<i64> = pixels.iter().map(|&p| p.into()).collect();
        self.network.forward(&values)
    }

    pub(crate) fn label(&self, number: usize) -> String {
        argmax(&self.logits(number)).to_string()
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .expect("readable")
            .map(|e| {
                e.expect("readable")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Names the place's network.
pub(crate) const NET: [&str; 2] = ["--network", "net"];

/// Who may read and write a file.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}
