//! `causeway register`: brings a registration back that the nodes let go or lost.

use eyre::Result;
use serde::Serialize;

use super::deposit_record::Records;
use super::registration::register;
use crate::context::Context;
use crate::options::home::HomeArgs;
use crate::options::network::kept_genesis;
use crate::options::sidechain::SidechainArgs;

/// Tell the federation again of a deposit address of yours
///
/// From the record that `causeway peg-in` kept: for an address that `causeway status` says is not registered, on any node. It moves
/// nothing, and may be repeated. A payment that is there already is proven by `causeway status ADDRESS --prove`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway register bc1p... --rpc http://node.example:8545")]
pub struct Args {
    /// The deposit address
    address: String,
    #[command(flatten)]
    sidechain: SidechainArgs,
    #[command(flatten)]
    home: HomeArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename = "registered")]
struct Registered<'a> {
    address: &'a str,
}

/// Runs `causeway register`.
///
/// # Errors
///
/// There is no record of the address, or the node does not take it.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let home = args.home.folder()?;
    let record = Records::in_home(&home).find(&args.address)?;
    let genesis = kept_genesis(&home)?;
    context.block_on(async { register(&args.sidechain.client(genesis.as_ref())?, &record).await })?;
    context.print(&Registered { address: &record.address }, || println!("{} is registered", record.address));
    Ok(())
}
