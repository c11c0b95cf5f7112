//! `causeway wallet`.

use eyre::{Result, bail};

use super::Context;

/// A small Bitcoin wallet for regtest and testnets
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway wallet")]
pub struct Args {}

pub fn run(_args: Args, _context: &Context) -> Result<()> {
    bail!("causeway wallet is not there yet")
}
