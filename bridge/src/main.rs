//! `causeway`: one binary for holders, federation operators, developers and auditors.
//!
//! This is the only place that sees node and relayer together. A command's code is in `cli/`, one file each; here are the
//! command tree, logging, and how an error is shown.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Causeway::parse();
    match arguments.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::report(&error),
    }
}
