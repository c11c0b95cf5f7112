//! `causeway operator`: back up what a lost machine needs, and restore it on another one.

use eyre::Result;

use super::{make, restore};
use crate::context::Context;

/// Back up what a lost machine needs to sign again; restore it on a new one
///
/// A backup has what does not change: keystores, this member's share of the federation's key, configurations, the genesis file. Votes, nonces and the
/// record of what was signed are never copied back: an old copy of them would vote or sign twice. They are made anew, from the network.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway operator backup --node node.toml --relayer relayer.toml --out alice.backup
  causeway operator restore alice.backup --dir alice --machine-is-lost")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write one file with all that a lost machine needs, while node and relayer run
    ///
    /// Once is enough, after the federation has its key; again after each change of keys or configurations. Keep it off this machine. Its
    /// secrets are encrypted by the keystores' passphrase, which is not in it: keep that, too. Nor is a password file of bitcoind's in it.
    #[command(
        after_help = "Example:\n  causeway operator backup --node node.toml --relayer relayer.toml --out alice.backup"
    )]
    Backup(make::Args),
    /// Put a backup's files into a new folder, ready to start
    ///
    /// The lost machine must never start again: two at once would vote and sign twice. Where it only does not answer, end it for good first. The
    /// new one waits by itself until it is safe to vote and to sign: some seconds, once the node has caught up.
    #[command(after_help = "Example:\n  causeway operator restore alice.backup --dir alice --machine-is-lost")]
    Restore(restore::Args),
}

/// Runs `causeway operator`.
///
/// # Errors
///
/// A file cannot be read or written, is there already, or is not what it should be; or the node does not say whether there is a key.
pub fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Backup(args) => make::run(&args, context),
        Command::Restore(args) => restore::run(&args, context),
    }
}
