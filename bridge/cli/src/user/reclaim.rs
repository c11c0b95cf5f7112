//! `causeway reclaim`: takes an unswept deposit back on Bitcoin, with nothing but the user's own record and a bitcoind.

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Amount, OutPoint, Txid};
use eyre::{Result, WrapErr, bail, eyre};
use mainchain::io::rpc::{Scan, Unspent};
use serde::Serialize;

use super::deposit_record::{Record, Records, open_reclaim_key};
use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::fee_rate::FeeRateArgs;
use crate::options::home::HomeArgs;
use crate::options::passphrase::PassphraseArgs;
use bridge::amount;

/// Take an unswept deposit back on Bitcoin after its timelock
///
/// Needs only the record that `causeway peg-in` kept, and a bitcoind: no sidechain, no federation. Works once the deposit
/// has as many confirmations as its timelock has blocks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway reclaim bc1p... --to bc1q...")]
pub struct Args {
    /// The deposit address that was paid
    address: String,
    /// Where the bitcoin goes
    #[arg(long, value_name = "ADDRESS")]
    to: Address<NetworkUnchecked>,
    #[command(flatten)]
    fee_rate: FeeRateArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
    #[command(flatten)]
    home: HomeArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reclaimed {
    txid: Txid,
    amount_sat: u64,
    fee_sat: u64,
    outpoints: Vec<OutPoint>,
}

/// Runs `causeway reclaim`.
///
/// # Errors
///
/// There is no record, the timelock is not over, or bitcoind does not take the transaction.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let record = Records::in_home(&args.home.folder()?).find(&args.address)?;
    let done = context.block_on(reclaim(&args, &record))?;
    context.print(&done, || {
        println!(
            "Reclaimed {} to {} by {}",
            amount::show(Amount::from_sat(done.amount_sat)),
            args.to.clone().assume_checked(),
            done.txid
        );
        println!("fee {}", amount::show(Amount::from_sat(done.fee_sat)));
    });
    Ok(())
}

async fn reclaim(args: &Args, record: &Record) -> Result<Reclaimed> {
    let to = args.destination(record)?;
    let keystore = record.reclaim_keystore()?;
    let output = record.output()?;
    let bitcoin = args.bitcoin.connect(record.network).await?;

    let scan = bitcoin.scan(&[output.script_pubkey()]).await.wrap_err("bitcoind cannot look for the deposit")?;
    let coins = reclaimable(record, &scan)?;
    let spent: Vec<_> = coins.iter().map(|coin| (coin.outpoint, coin.value)).collect();
    let fee_rate = args.fee_rate.choose(&bitcoin).await?;
    let passphrase = args.passphrase.ask("the key that can reclaim the deposit")?;
    let key = open_reclaim_key(&keystore, &passphrase)?;
    let transaction =
        output.reclaim(&spent, to.script_pubkey(), fee_rate, &key).wrap_err("the deposit cannot be reclaimed")?;
    let txid = bitcoin.broadcast(&transaction).await.wrap_err("bitcoind does not take the transaction")?;
    let total: Amount = coins.iter().map(|coin| coin.value).sum();
    let amount = transaction.output[0].value;
    Ok(Reclaimed {
        txid,
        amount_sat: amount.to_sat(),
        fee_sat: (total - amount).to_sat(),
        outpoints: spent.into_iter().map(|(outpoint, _)| outpoint).collect(),
    })
}

impl Args {
    fn destination(&self, record: &Record) -> Result<Address> {
        self.to.clone().require_network(record.network.bitcoin()).map_err(|_| {
            let shown = self.to.clone().assume_checked();
            eyre!("{shown} is not an address of {}, where the deposit is", record.network)
        })
    }
}

/// The outputs whose timelock is over.
fn reclaimable<'a>(record: &Record, scan: &'a Scan) -> Result<Vec<&'a Unspent>> {
    let delay = u32::from(record.reclaim_delay.get());
    let coins: Vec<_> = scan.unspents.iter().filter(|coin| coin.confirmations >= delay).collect();
    if !coins.is_empty() {
        return Ok(coins);
    }
    match scan.unspents.iter().map(|coin| coin.confirmations).max() {
        None => bail!(
            "no confirmed unspent output on {} at height {}: it was not paid, or the federation has swept it (causeway status {})",
            record.address,
            scan.height,
            record.address
        ),
        Some(best) => bail!(
            "the deposit has {best} of the {delay} confirmations its timelock wants: {} more block(s) to wait",
            delay - best
        ),
    }
}
