//! `causeway`: one binary for users, federation operators, developers and auditors.
//!
//! This is the only place that sees node and relayer together. Here is how the process starts, and how an error is shown.
//!
//! ```text
//!   commands   the tree of commands, its help, logging          context    how a command prints and waits
//!   user/      peg-in, peg-out, status, raise, cancel, refund, claim, bump, reclaim, register, wallet, pay
//!   operator/  keys, genesis, node, relayer, operator, pause, lift
//!   dev/       dev, demo, headers
//!   audit/     audit
//!   evidence/  receipt, verify
//!   options/   options that several commands have               keystores, genesis_file   files that several read
//!   log_filter what is logged, read again at SIGHUP
//!   core_dumps secrets stay in memory
//!   exit       exit statuses that say more than done or failed
//!   terminal   the one way to the terminal, for whatever anybody wrote
//! ```

#[macro_use]
mod terminal;

mod audit;
mod clock;
mod commands;
mod context;
mod core_dumps;
mod dev;
mod evidence;
mod exit;
mod genesis_file;
mod keystores;
mod log_filter;
mod operator;
mod options;
mod user;

use std::process::ExitCode;

use clap::Parser as _;
use eyre::WrapErr as _;

/// The node allocates and frees small things on many threads, and so does its database, which is written in C++ and gets its memory here
/// too. How much it keeps of what is free again: `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    end_quietly_when_nobody_reads();
    let run = || {
        core_dumps::forbid().wrap_err("core dumps cannot be turned off")?;
        commands::Causeway::parse().run()
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// `causeway status | head -1` closes the pipe before everything is printed. That is not a failure of ours, nor a panic.
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

/// Shows an error with its causes, outermost first, and gives the exit status.
pub fn report(error: &eyre::Report) -> ExitCode {
    eprintln!("{}", terminal::explain(error));
    exit::status(error).into()
}
