//! The `pdnn` binary: everything it does is in [`pdnn::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pdnn::cli::main()
}
