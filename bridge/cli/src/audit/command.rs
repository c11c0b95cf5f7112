//! `causeway audit`: what is typed, and the audit itself, anew until both chains stood still.

use std::path::PathBuf;
use std::time::Duration;

use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::proven;
use eyre::{Result, bail, eyre};

use super::outputs::find;
use super::report::Report;
use super::sidechain::Ledger;
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::sidechain::SidechainArgs;

/// How often the audit starts anew because a block came in between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);

/// Every satoshi on the sidechain matched with an output on Bitcoin
///
/// Trusts the genesis file and your own bitcoind, and nothing else. Exit status 1 if a satoshi is missing: on Bitcoin, or by the bridge's
/// own books.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway audit --genesis genesis.json --rpc http://127.0.0.1:8545 --bitcoin http://127.0.0.1:8332")]
pub struct Args {
    /// The network's genesis file: whose signatures make a block final
    #[arg(long, env = "CAUSEWAY_GENESIS", value_name = "FILE")]
    pub genesis: PathBuf,
    #[command(flatten)]
    pub sidechain: SidechainArgs,
    #[command(flatten)]
    pub bitcoin: BitcoinArgs,
}

/// Runs `causeway audit`.
///
/// # Errors
///
/// A satoshi is missing, the books do not balance, or one of the nodes does not answer or prove what it says.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let report = context.block_on(audit(&args))?;
    context.print(&report, || report.lines().iter().for_each(|line| println!("{line}")));
    judge(&report)
}

/// An error if a satoshi is missing.
///
/// # Errors
///
/// Says where.
pub fn judge(report: &Report) -> Result<()> {
    let sat = |sat| amount::show(Amount::from_sat(sat));
    if report.missing_sat > 0 {
        bail!("{} of the vault are missing on Bitcoin", sat(report.missing_sat));
    }
    if !report.balanced {
        bail!("the books do not balance: more coins are owed or outside the bridge than they account for");
    }
    if !report.covered {
        bail!(
            "by the books {} are missing: {} lost, {} unswept, and a reserve of {} sat",
            sat(report.missing_by_books_sat),
            sat(report.lost_sat),
            sat(report.unswept_sat),
            report.reserve_sat
        );
    }
    Ok(())
}

/// Audits. Starts anew when a block came in between: the node's list of vault transactions is newer than the proven state
/// then, or bitcoind's answers are not all of one tip.
///
/// # Errors
///
/// One of the nodes does not answer, or the sidechain's does not prove what it says.
pub async fn audit(args: &Args) -> Result<Report> {
    let genesis = read_genesis(&args.genesis)?;
    let client = args.sidechain.client()?;
    let bitcoin = args.bitcoin.connect(genesis.bitcoin.network).await?;
    let validators = genesis.validators()?;
    let mut last = Err(eyre!("a new Bitcoin block came in between, {ATTEMPTS} times: try again"));
    for _ in 0..ATTEMPTS {
        let tip = bitcoin.best_tip().await?;
        let header = proven::latest(&client, &validators).await?;
        match Ledger::read(&client, header).await {
            Ok(ledger) => {
                let outputs = find(&bitcoin, &ledger).await?;
                if bitcoin.best_tip().await? == tip {
                    return Ok(Report::new(&ledger, tip, outputs));
                }
            }
            Err(error) => last = Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
    last
}
