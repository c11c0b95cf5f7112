//! `causeway`: one binary for holders, federation operators, developers and auditors.
//!
//! This is the only place that sees node and relayer together. A command's code is in `cli/`, one file each; here are the
//! command tree, logging, and how an error is shown.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    end_quietly_when_nobody_reads();
    let arguments = cli::Causeway::parse();
    match arguments.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::report(&error),
    }
}

/// `causeway status | head -1` closes the pipe before everything is printed. That is no failure of ours, and no panic.
fn end_quietly_when_nobody_reads() {
    /// As a shell reports a process that ended by SIGPIPE.
    const BROKEN_PIPE: i32 = 128 + 13;
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        if message.is_some_and(|text| text.starts_with("failed printing to std") && text.contains("Broken pipe")) {
            std::process::exit(BROKEN_PIPE);
        }
        report(panic);
    }));
}
