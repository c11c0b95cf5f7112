//! `causeway headers`.

use eyre::{Result, bail};

use super::Context;

/// Check Bitcoin block headers
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway headers")]
pub struct Args {}

pub fn run(_args: Args, _context: &Context) -> Result<()> {
    bail!("causeway headers is not there yet")
}
