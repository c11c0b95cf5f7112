//! `causeway pay`.

use eyre::{Result, bail};

use super::Context;

/// Micropayments: open a channel, give vouchers, claim, close
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway pay")]
pub struct Args {}

pub fn run(_args: Args, _context: &Context) -> Result<()> {
    bail!("causeway pay is not there yet")
}
