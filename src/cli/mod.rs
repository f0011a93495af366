//! What a person types: one file per subcommand.
//!
//! Every subcommand goes the same way. Its raw arguments ([`clap`] structs
//! whose doc comments are the help text) become a validated configuration in
//! one step, before anything is read at length, computed or written; the work
//! is done with that configuration alone; and what it has to say leaves
//! through `console`, so that results stand on standard output, everything
//! else on standard error, and `--json` means the same thing everywhere.
//!
//! Exit codes: 0 done; 1 something was wrong, said in one line `error: …`;
//! 2 the command line was wrong; 130 interrupted.

mod ahead;
mod answer;
mod audit;
mod both_sides;
mod completions;
mod console;
mod cores;
mod decrypt;
mod dot;
mod encrypt;
mod error;
mod evaluate;
mod floats;
mod images;
mod infer;
mod inspect;
mod interrupt;
mod keygen;
mod keys;
mod man;
mod masked;
mod messages;
mod network;
mod number;
mod options;
mod plan;
mod precompute;
mod prepare;
mod random;
mod run;
mod scratch;
mod tables;
mod train;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::bignum::KernelKind;

use console::Console;
use error::{CliError, CliResult};

const EXAMPLES: &str = "\
Examples:
  One image, all roles on this machine, with the cost of each stage:
    pdnn run 7.png
  Two parties, who exchange files:
    client$ pdnn keygen  --out alice
    client$ pdnn encrypt --key alice.pub.json 7.png -o query.pdnn
    server$ pdnn infer   query.pdnn -o reply.pdnn
    client$ pdnn decrypt --key alice.key.json reply.pdnn -o query.pdnn
  infer and decrypt alternate until decrypt prints the label.

Exit codes: 0 done, 1 error, 2 wrong command line, 130 interrupted.

Environment:
  PDNN_KERNEL         portable or ifma: the arithmetic to use instead of the best that this CPU has
  RAYON_NUM_THREADS   how many threads compute, at most 256; 0 or unset: as many as there are cores";

/// Private neural-network inference with Paillier encryption.
///
/// A client who owns an image and a server who owns a trained network classify
/// the image together by exchanging files. The image, and every value computed
/// from it, reaches the server only encrypted.
#[derive(Parser, Debug)]
#[command(name = "pdnn", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = EXAMPLES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,

    #[command(subcommand)]
    command: Command,
}

/// Options that every subcommand takes.
#[derive(clap::Args, Debug, Clone, Copy)]
struct Global {
    /// Print the result as JSON.
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,

    /// Neither notes nor progress on standard error.
    #[arg(long, short, global = true, help_heading = "Global options")]
    quiet: bool,

    /// Say on standard error what is read, chosen and written.
    #[arg(
        long,
        global = true,
        conflicts_with = "quiet",
        help_heading = "Global options"
    )]
    debug: bool,
}

/// One variant, and one file, per subcommand.
#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Args),
    Keygen(keygen::Args),
    Prepare(prepare::Args),
    Precompute(precompute::Args),
    Encrypt(encrypt::Args),
    Infer(infer::Args),
    Decrypt(decrypt::Args),
    Inspect(inspect::Args),
    Plan(plan::Args),
    Evaluate(evaluate::Args),
    Audit(audit::Args),
    Train(train::Args),
    Number(number::Args),
    Dot(dot::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    fn run(self, console: &Console) -> CliResult {
        match self {
            Self::Run(args) => run::run(args, console),
            Self::Keygen(args) => keygen::run(args, console),
            Self::Prepare(args) => prepare::run(args, console),
            Self::Precompute(args) => precompute::run(args, console),
            Self::Encrypt(args) => encrypt::run(args, console),
            Self::Infer(args) => infer::run(args, console),
            Self::Decrypt(args) => decrypt::run(args, console),
            Self::Inspect(args) => inspect::run(args, console),
            Self::Plan(args) => plan::run(args, console),
            Self::Evaluate(args) => evaluate::run(args, console),
            Self::Audit(args) => audit::run(args, console),
            Self::Train(args) => train::run(args, console),
            Self::Number(args) => number::run(args, console),
            Self::Dot(args) => dot::run(args, console),
            Self::Completions(args) => completions::run(args, console),
            Self::Man(args) => man::run(args, console),
        }
    }
}

/// The whole command line as clap sees it, for completions and man pages.
fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program: parses the command line, does the work, reports an error
/// as one line on standard error and returns the exit code.
pub fn main() -> ExitCode {
    // clap prints usage errors itself and exits with code 2.
    let cli = Cli::parse();
    let console = Console::new(cli.global.json, cli.global.quiet, cli.global.debug);
    match KernelKind::chosen() {
        Ok(kernel) => console.debug(&format!("arithmetic: {} kernel", kernel.name())),
        // Whatever computes will say so itself; the rest can do without.
        Err(e) => console.debug(&e.to_string()),
    }
    let ready = cores::start().and_then(|()| interrupt::install());
    let outcome = ready.and_then(|()| cli.command.run(&console));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough (`| head`) is not an error.
        Err(CliError::ReaderGone) => ExitCode::SUCCESS,
        Err(CliError::Reported) => ExitCode::FAILURE,
        Err(CliError::Message(text)) => {
            console.error(&text);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_subcommand_has_help_and_examples() {
        for sub in command().get_subcommands() {
            let name = sub.get_name();
            assert!(sub.get_about().is_some(), "{name} has no help");
            let after = sub
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(after.contains("Example"), "{name} has no example");
            for arg in sub.get_arguments() {
                assert!(
                    arg.get_help().is_some() || arg.is_hide_set(),
                    "{name} {} has no help",
                    arg.get_id()
                );
            }
        }
    }
}
