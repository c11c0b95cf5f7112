//! `causeway keys`.

use eyre::{Result, bail};

use super::Context;

/// Make the keys of a validator, a relayer or a holder
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway keys")]
pub struct Args {}

pub fn run(_args: Args, _context: &Context) -> Result<()> {
    bail!("causeway keys is not there yet")
}
