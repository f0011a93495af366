//! `pdnn completions`: tab completion for a shell.

use clap_complete::Shell;

use super::{
    console::Console,
    error::{CliResult, bail},
};

const EXAMPLES: &str = "\
Examples:
  pdnn completions bash > ~/.local/share/bash-completion/completions/pdnn
  pdnn completions zsh  > ~/.zfunc/_pdnn
  pdnn completions fish > ~/.config/fish/completions/pdnn.fish";

/// Print a tab-completion script for a shell.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell that will read the script.
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "pdnn", &mut script);
    let Ok(script) = String::from_utf8(script) else {
        bail!("the script for {} is not text", args.shell);
    };
    let value = serde_json::json!({ "shell": args.shell.to_string(), "script": script });
    console.result(&value, || script.trim_end().to_string())
}
