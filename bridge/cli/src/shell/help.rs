//! `causeway help`: the help of a command by its words, as `--help` shows it; and what is no command's own.

use eyre::{Result, bail};

use crate::{exit, terminal};

const TOPIC: &str = "exit-codes";

/// The help of a command, or `exit-codes`
///
/// `causeway help peg-out` is `causeway peg-out --help`. `causeway help exit-codes` shows how commands end, and what errors look like
/// with --json.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway help peg-in
  causeway help pay open
  causeway help exit-codes")]
pub struct Args {
    /// A command, or a command's command; or exit-codes
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

/// Runs `causeway help`, of this tree of commands.
///
/// # Errors
///
/// There is no such command: the error names those that are like it.
pub fn run(args: &Args, tree: clap::Command) -> Result<()> {
    if args.words == [TOPIC] {
        terminal::out(&exit::table());
        return Ok(());
    }
    let words = std::iter::once("causeway").chain(args.words.iter().map(String::as_str)).chain(["--help"]);
    match tree.try_get_matches_from(words) {
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => Ok(terminal::while_read(error.print())?),
        Err(error) => Err(error.into()),
        Ok(_) => bail!("--help was not understood, which cannot be: every command has it"),
    }
}
