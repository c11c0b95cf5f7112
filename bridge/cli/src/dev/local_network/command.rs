//! `causeway dev`: runs a local network, or speaks to the one that runs.

use std::path::PathBuf;

use bitcoin::Amount;
use bridge::amount;
use eyre::Result;
use serde_json::Value;

use super::control::{Control, Payment, Request, Status};
use super::options::Options;
use super::progress::show_status;
use super::service::serve;
use crate::context::Context;

/// A whole local network, until Ctrl-C
///
/// bitcoind on regtest, four validators, four relayers that sign 3 of 4, and ten funded developer accounts. Everything is
/// in one folder, and the next start continues there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway dev
  causeway dev --data-dir /tmp/peg --ports free --block-interval 0s
  causeway dev --validators 1        # fewer processes, faster blocks, the same peg
  causeway dev mine 6
  causeway dev kill relayer-2 && causeway dev start relayer-2")]
pub struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct FolderArgs {
    /// Folder of the network: keys, chains, logs
    #[arg(long, env = "CAUSEWAY_DEV_DIR", default_value = "causeway-dev", value_name = "FOLDER", global = true)]
    data_dir: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Mine Bitcoin blocks on the running network
    Mine { blocks: u32 },
    /// Pay from the miner's wallet, which has more than enough
    Pay {
        /// A regtest address
        to: String,
        #[arg(value_parser = amount::parse)]
        amount: Amount,
    },
    /// Kill a process of the running network as kill -9 does: bitcoind, validator-1, relayer-1, ...
    Kill { name: String },
    /// Start a process again
    Start { name: String },
    /// What runs, and where
    Status,
    /// Stop the running network
    Stop,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let folder = &args.folder.data_dir;
    match args.command {
        None => context.block_on(serve(folder, &args.options, context)),
        Some(command) => context.block_on(pass_on(&Control::of(folder), command, context)),
    }
}

/// Passes a subcommand on to the running network.
async fn pass_on(control: &Control, command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Mine { blocks } => {
            let mined: Value = control.ask(&Request::Mine { blocks }).await?;
            context.print(&mined, || println!("{blocks} block(s) mined, height {}", mined["height"]));
        }
        Command::Pay { to, amount } => {
            let payment = Payment { address: to, amount_sat: amount.to_sat() };
            let paid: Value = control.ask(&Request::Pay { to: vec![payment] }).await?;
            context.print(&paid, || {
                println!("paid by {}, confirmed by the next block", paid["txid"].as_str().unwrap_or_default())
            });
        }
        Command::Kill { name } => control.ask::<()>(&Request::Kill { name }).await?,
        Command::Start { name } => control.ask::<()>(&Request::Start { name }).await?,
        Command::Stop => control.ask::<()>(&Request::Stop).await?,
        Command::Status => {
            let status: Status = control.ask(&Request::Status).await?;
            context.print(&status, || show_status(&status));
        }
    }
    Ok(())
}
