//! `causeway relayer`.

use eyre::{Result, bail};

use super::Context;

/// Watch Bitcoin, prove deposits, sign payouts
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway relayer")]
pub struct Args {}

pub fn run(_args: Args, _context: &Context) -> Result<()> {
    bail!("causeway relayer is not there yet")
}
