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
//!   doctor/    doctor
//!   log_filter what is logged, read again at SIGHUP
//!   core_dumps secrets stay in memory
//!   shell/     help, completions, man
//!   exit       exit statuses, in one table                      failure    what is said when a command fails
//!   progress   how far long work is
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
mod doctor;
mod evidence;
mod exit;
mod failure;
mod genesis_file;
mod keystores;
mod log_filter;
mod operator;
mod options;
mod progress;
mod screen;
mod shell;
mod user;

use std::process::ExitCode;

use eyre::WrapErr as _;

/// The node allocates and frees small things on many threads, and so does its database, which is written in C++ and gets its memory here
/// too. How much it keeps of what is free again: `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let json = failure::wants_json(std::env::args_os());
    failure::explain_panics(json);
    if let Err(error) = core_dumps::forbid().wrap_err("core dumps cannot be turned off") {
        return failure::report(&error, "", json);
    }
    let (causeway, command) = match commands::Causeway::typed() {
        Ok(typed) => typed,
        Err(error) => return failure::misused(&error, json),
    };
    match causeway.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error, &command, json),
    }
}
