//! `causeway genesis verify`: an operator compares the genesis file with what it knows by itself.

use std::path::PathBuf;

use eyre::{Result, WrapErr, ensure};
use serde_json::json;
use sidechain::clocks::MAX_BITCOIN_AHEAD_S;
use sidechain::genesis::MAX_GENESIS_AHEAD_S;

use super::{checkpoint, show};
use crate::clock::now;
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::operator::own_keys::check_part;
use crate::operator::public_part::PublicPart;
use crate::options::bitcoin::BitcoinArgs;
use crate::progress::Progress;

/// Compare a genesis file with your own public part and your own bitcoind
///
/// All of your keys must be in it as you gave them, the recovery key included, and the first Bitcoin header of the light client must be
/// the one that your bitcoind has: block, work of the chain, and start of its difficulty period. Exit status 1 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway genesis verify genesis.json --mine alice/public.json --bitcoin http://127.0.0.1:8332")]
pub struct Args {
    /// The genesis file
    #[arg(default_value = "genesis.json", value_name = "FILE")]
    file: PathBuf,
    /// Your own public part, made by `causeway keys operator`: from where you made it, not from whoever sent the genesis file
    #[arg(long, value_name = "PUBLIC.JSON")]
    mine: PathBuf,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
}

/// Runs `causeway genesis verify`.
///
/// # Errors
///
/// The file differs from what this operator knows, or bitcoind does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let genesis = read_genesis(&args.file)?;
    let hash = genesis.build()?.hash;
    let mine = PublicPart::read(&args.mine)?;
    let member = check_part(&genesis, &mine).wrap_err_with(|| args.file.display().to_string())?;
    let (network, first) = (genesis.bitcoin.network, &genesis.bitcoin.checkpoint);
    check_timestamp(genesis.timestamp, first.header.time, now()?)?;
    context.block_on(async {
        let bitcoin = args.bitcoin.connect(network).await?;
        let verifying = checkpoint::verify(&bitcoin, network, first);
        Progress::new(context).during("comparing the first header with bitcoind's", verifying).await
    })?;
    let shown =
        json!({ "hash": hash, "networkId": genesis.network_id(), "mine": member.name, "checkpoint": first.height });
    context.print(&shown, || {
        println!("Keys           all of {}'s are in it, the recovery key included", member.name);
        println!("Checkpoint     block {} of {network}, as your bitcoind has it", first.height);
        show::lines(&genesis, hash).iter().for_each(|line| println!("{line}"));
    });
    Ok(())
}

/// The sidechain begins behind the Bitcoin block that its light client begins with, and not in the future.
fn check_timestamp(timestamp: u64, checkpoint: u32, now: u64) -> Result<()> {
    ensure!(
        timestamp <= now.saturating_add(MAX_GENESIS_AHEAD_S),
        "the genesis timestamp {timestamp} is {} s ahead of this machine's clock: no node starts with it",
        timestamp.saturating_sub(now)
    );
    ensure!(
        timestamp.saturating_add(MAX_BITCOIN_AHEAD_S) >= u64::from(checkpoint),
        "the genesis timestamp {timestamp} is before that of its first Bitcoin header, {checkpoint}: it is made up"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_begins_behind_its_checkpoint_and_not_in_the_future() {
        let (checkpoint, now) = (1_700_000_000, 1_700_600_000);
        for good in [1_699_992_800, 1_700_000_000, 1_700_600_000, 1_700_600_060] {
            assert!(check_timestamp(good, checkpoint, now).is_ok(), "{good}");
        }
        for (bad, why) in
            [(0, "made up"), (1_699_992_799, "made up"), (1_700_600_061, "61 s ahead"), (u64::MAX, "ahead")]
        {
            assert!(check_timestamp(bad, checkpoint, now).expect_err("wrong").to_string().contains(why), "{bad}");
        }
    }
}
