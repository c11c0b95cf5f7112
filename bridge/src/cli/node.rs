//! `causeway node`.

use eyre::{Result, bail};

use super::Context;

/// Run a validator, or a node that only follows
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway node")]
pub struct Args {}

pub fn run(_args: Args, _context: &Context) -> Result<()> {
    bail!("causeway node is not there yet")
}
