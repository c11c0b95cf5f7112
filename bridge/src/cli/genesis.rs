//! `causeway genesis`.

use eyre::{Result, bail};

use super::Context;

/// Collect the public parts of all operators into a genesis file
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway genesis")]
pub struct Args {}

pub fn run(_args: Args, _context: &Context) -> Result<()> {
    bail!("causeway genesis is not there yet")
}
