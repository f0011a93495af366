//! `pdnn man`: manual pages.

use std::{fs, path::PathBuf};

use crate::file::atomic::{Mode, Overwrite, write_atomic};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
};

const EXAMPLES: &str = "\
Examples:
  pdnn man encrypt | man -l -
  pdnn man --out ~/.local/share/man/man1";

/// Print a manual page, or write all of them into a folder.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The subcommand whose page to print (`number add`); without it, the page of pdnn itself.
    #[arg(conflicts_with = "out", value_name = "SUBCOMMAND")]
    subcommand: Vec<String>,

    /// Write all pages into this folder, made if it does not exist.
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// A page's name (`pdnn-encrypt`) and its roff text.
type Page = (String, String);

/// The pages of `command` and of everything under it.
fn pages(command: &clap::Command, prefix: &str, found: &mut Vec<Page>) -> CliResult {
    let name = if prefix.is_empty() {
        command.get_name().to_string()
    } else {
        format!("{prefix}-{}", command.get_name())
    };
    let mut text = Vec::new();
    // clap wants names that live as long as the program; a page is made with
    // the full name as its title and the typed form in its synopsis.
    let titled = command
        .clone()
        .display_name(name.clone())
        .bin_name(name.replace('-', " "));
    clap_mangen::Man::new(titled)
        .title(name.to_uppercase())
        .render(&mut text)
        .about("cannot make the manual page")?;
    found.push((name.clone(), String::from_utf8_lossy(&text).into_owned()));
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        pages(sub, &name, found)?;
    }
    Ok(())
}

/// Prints one page, or writes all.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let mut command = super::command();
    command.build();
    let mut all = Vec::new();
    pages(&command, "", &mut all)?;

    if let Some(folder) = args.out {
        fs::create_dir_all(&folder).about_file(&folder)?;
        let mut written = Vec::new();
        for (name, text) in &all {
            let path = folder.join(format!("{name}.1"));
            write_atomic(&path, text.as_bytes(), Overwrite::Yes, Mode::Shared).about_file(&path)?;
            written.push(path.display().to_string());
        }
        return console.result(&serde_json::json!({ "written": written }), || {
            written.join("\n")
        });
    }

    let mut wanted = "pdnn".to_string();
    for word in &args.subcommand {
        wanted += "-";
        wanted += word;
    }
    let Some((name, text)) = all.iter().find(|(name, _)| *name == wanted) else {
        let known: Vec<&str> = all
            .iter()
            .filter_map(|(name, _)| name.strip_prefix("pdnn-"))
            .collect();
        bail!(
            "no subcommand {:?}; there are {}",
            args.subcommand.join(" "),
            known.join(", ")
        );
    };
    let value = serde_json::json!({ "page": name, "roff": text });
    console.result(&value, || text.trim_end().to_string())
}
