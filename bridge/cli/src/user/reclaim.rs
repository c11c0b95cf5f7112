//! `causeway reclaim`: takes an unswept deposit back on Bitcoin, with nothing but the user's own record and a bitcoind.
//!
//! Anybody can pay the address, also with dust: what others paid there must not keep the user from taking what is theirs.

use std::cmp::Reverse;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bitcoin::address::NetworkUnchecked;
use bitcoin::secp256k1::Keypair;
use bitcoin::{Address, Amount, FeeRate, OutPoint, Psbt, Txid};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use files::write_new;
use mainchain::deposit::DepositOutput;
use mainchain::io::rpc::{BitcoinRpc, Scan, Unspent};
use serde::Serialize;

use super::coins_scan::scan;
use super::deposit_record::{Record, Records, open_reclaim_key};
use super::own_wallet;
use super::pay::invoice;
use super::spending::agree;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::fee_rate::FeeRateArgs;
use crate::options::home::HomeArgs;
use bridge::amount;

/// Most payments that one transaction takes back: some 25,000 vB, a quarter of what nodes relay.
const MAX_INPUTS: usize = 200;

/// Bytes of the largest PSBT that is read: some 500 for each of 200 inputs, and as many again for what signers add, in base64.
const MAX_PSBT_BYTES: u64 = 400_000;

/// Take an unswept deposit back on Bitcoin after its timelock
///
/// Needs only the record that `causeway peg-in` kept, and a bitcoind: no sidechain, no federation. Works once the deposit
/// has as many confirmations as its timelock has blocks. Where it goes and what it costs is shown first, and nothing is sent before you agree. Payments that are worth less than it costs to take them are left out; of
/// more than 200, the largest come first, and the same command takes the next.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  causeway reclaim bc1p... --to bc1q...\n  causeway reclaim bc1p... --to bc1q... --outpoint 4a5e1e4b...:0 --fee-rate 3 --yes\n  causeway reclaim bc1p... --to bc1q... --keystore merchant.keystore     of an invoice\n  causeway reclaim bc1p... --to bc1q... --psbt unsigned.psbt         for a key that is elsewhere; then --signed signed.psbt"
)]
pub struct Args {
    /// The deposit address that was paid
    address: String,
    /// Where the bitcoin goes
    #[arg(long, value_name = "ADDRESS")]
    to: Address<NetworkUnchecked>,
    /// Only this payment to the address
    #[arg(long, value_name = "TXID:VOUT")]
    outpoint: Option<OutPoint>,
    /// Write the transaction unsigned, as a PSBT (BIP174) in base64, for the key to sign wherever it is; nothing is sent
    #[arg(long, value_name = "FILE", conflicts_with = "signed")]
    psbt: Option<PathBuf>,
    /// Check, finalise and send such a PSBT, which was signed
    #[arg(long, value_name = "FILE", conflicts_with = "outpoint")]
    signed: Option<PathBuf>,
    /// Send without asking, for scripts
    #[arg(long, conflicts_with = "psbt")]
    yes: bool,
    #[command(flatten)]
    fee_rate: FeeRateArgs,
    /// Of an invoice's address: the merchant's account, from which the key is derived
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
    #[command(flatten)]
    home: HomeArgs,
}

/// What `--json` prints of a PSBT.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Unsigned<'a> {
    psbt: &'a Path,
    amount_sat: u64,
    fee_sat: u64,
    left_out: usize,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reclaimed {
    txid: Txid,
    amount_sat: u64,
    fee_sat: u64,
    outpoints: Vec<OutPoint>,
    /// Payments that cost more than they hold, or that did not fit.
    left_out: usize,
}

/// Runs `causeway reclaim`.
///
/// # Errors
///
/// There is no record, the timelock is not over, or bitcoind does not take the transaction.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let record = Records::in_home(&args.home.folder()?).find(&args.address)?;
    if let Some(file) = &args.psbt {
        return context.block_on(write_psbt(&args, &record, file, context));
    }
    let done = context.block_on(async {
        match &args.signed {
            Some(file) => send_signed(&args, &record, file).await,
            None => reclaim(&args, &record).await,
        }
    })?;
    context.print(&done, || {
        println!(
            "Reclaimed {} to {} by {}",
            amount::show(Amount::from_sat(done.amount_sat)),
            args.to.clone().assume_checked(),
            done.txid
        );
        println!("fee {}", amount::show(Amount::from_sat(done.fee_sat)));
        if done.left_out > 0 {
            println!("{} payment(s) left out: too small for this fee rate, or more than {MAX_INPUTS}", done.left_out);
        }
    });
    Ok(())
}

async fn reclaim(args: &Args, record: &Record) -> Result<Reclaimed> {
    let to = args.destination(record)?;
    args.check_key(record)?;
    let bitcoin = args.bitcoin.connect(record.network).await?;
    let Chosen { output, coins, total, left_out, fee_rate } = args.choose(record, &bitcoin).await?;
    let key = args.key(record)?;
    let transaction =
        output.reclaim(&coins, to.script_pubkey(), fee_rate, &key).wrap_err("the deposit cannot be reclaimed")?;
    let amount = transaction.output[0].value;
    args.fee_rate.check_fee(total - amount, total)?;
    args.agree(record, &to, coins.len(), amount, total - amount, fee_rate)?;
    let sent = bitcoin.broadcast_within(&transaction, args.fee_rate.bound(fee_rate)).await;
    Ok(Reclaimed {
        txid: sent.wrap_err("bitcoind does not take the transaction")?,
        amount_sat: amount.to_sat(),
        fee_sat: (total - amount).to_sat(),
        left_out,
        outpoints: coins.into_iter().map(|(outpoint, _)| outpoint).collect(),
    })
}

/// What is taken, and at which rate.
struct Chosen {
    output: DepositOutput,
    coins: Vec<(OutPoint, Amount)>,
    total: Amount,
    left_out: usize,
    fee_rate: FeeRate,
}

async fn write_psbt(args: &Args, record: &Record, file: &Path, context: &Context) -> Result<()> {
    let to = args.destination(record)?;
    let bitcoin = args.bitcoin.connect(record.network).await?;
    let Chosen { output, coins, total, left_out, fee_rate } = args.choose(record, &bitcoin).await?;
    let psbt = output.reclaim_psbt(&coins, to.script_pubkey(), fee_rate).wrap_err("the deposit cannot be reclaimed")?;
    let amount = psbt.unsigned_tx.output[0].value;
    args.fee_rate.check_fee(total - amount, total)?;
    let text = BASE64_STANDARD.encode(psbt.serialize()) + "\n";
    ensure!(
        write_new(file, text.as_bytes()).wrap_err_with(|| format!("cannot write {}", file.display()))?,
        "{} exists and is not overwritten",
        file.display()
    );
    let object = Unsigned { psbt: file, amount_sat: amount.to_sat(), fee_sat: (total - amount).to_sat(), left_out };
    context.print(&object, || {
        println!(
            "{} to {to}, fee {}: unsigned in {}",
            amount::show(amount),
            amount::show(total - amount),
            file.display()
        );
        println!(
            "Sign it by the key {:x}, then: causeway reclaim {} --to {to} --signed FILE",
            record.reclaim_key, record.address
        );
    });
    Ok(())
}

/// What was signed is what was written, as far as it matters: it takes this deposit alone, and pays where it was asked to.
async fn send_signed(args: &Args, record: &Record, file: &Path) -> Result<Reclaimed> {
    let to = args.destination(record)?;
    let output = record.output()?;
    let (transaction, coins) =
        output.signed_reclaim(&read_psbt(file)?).wrap_err_with(|| format!("{} cannot be sent", file.display()))?;
    ensure!(
        transaction.output.iter().all(|output| output.script_pubkey == to.script_pubkey()),
        "{} pays somebody else than {to}",
        file.display()
    );
    let bitcoin = args.bitcoin.connect(record.network).await?;
    let scan = scan(&bitcoin, &[output.script_pubkey()]).await.wrap_err("bitcoind cannot look for the deposit")?;
    let ripe = reclaimable(record, &scan, None)?;
    for (outpoint, value) in &coins {
        let is_there = ripe.iter().any(|coin| (coin.outpoint, coin.value) == (*outpoint, *value));
        ensure!(
            is_there,
            "{} spends {outpoint} of {}, which is spent, not ripe, or another amount",
            file.display(),
            amount::show(*value)
        );
    }
    let total: Amount = coins.iter().map(|(_, value)| *value).sum();
    let amount: Amount = transaction.output.iter().map(|output| output.value).sum();
    let fee = total.checked_sub(amount).ok_or_else(|| eyre!("{} pays more than it spends", file.display()))?;
    args.fee_rate.check_fee(fee, total)?;
    let rate = fee / transaction.weight();
    args.agree(record, &to, coins.len(), amount, fee, rate)?;
    let sent = bitcoin.broadcast_within(&transaction, args.fee_rate.bound(rate)).await;
    Ok(Reclaimed {
        txid: sent.wrap_err("bitcoind does not take the transaction")?,
        amount_sat: amount.to_sat(),
        fee_sat: fee.to_sat(),
        left_out: ripe.len() - coins.len(),
        outpoints: coins.into_iter().map(|(outpoint, _)| outpoint).collect(),
    })
}

/// A PSBT in base64, as it was written, or in binary, as some signers leave it.
fn read_psbt(file: &Path) -> Result<Psbt> {
    let shown = file.display();
    let mut bytes = Vec::new();
    let opened = File::open(file).wrap_err_with(|| format!("cannot read {shown}"))?;
    opened.take(MAX_PSBT_BYTES + 1).read_to_end(&mut bytes).wrap_err_with(|| format!("cannot read {shown}"))?;
    ensure!(
        bytes.len() as u64 <= MAX_PSBT_BYTES,
        "{shown} is no PSBT of ours: it has more than {MAX_PSBT_BYTES} bytes"
    );
    if !bytes.starts_with(b"psbt\xff") {
        bytes.retain(|byte| !byte.is_ascii_whitespace());
        bytes = BASE64_STANDARD
            .decode(&bytes)
            .wrap_err_with(|| format!("{shown} is no PSBT, neither binary nor base64"))?;
    }
    Psbt::deserialize(&bytes).wrap_err_with(|| format!("{shown} is no PSBT"))
}

/// Those that hold more than the `cost` of taking them, the largest first, as many as fit into one transaction.
fn worthwhile(ripe: &[&Unspent], cost: Amount) -> Result<Vec<(OutPoint, Amount)>> {
    let mut coins: Vec<_> = ripe.iter().map(|coin| (coin.outpoint, coin.value)).collect();
    coins.retain(|(_, value)| *value > cost);
    coins.sort_by_key(|(outpoint, value)| (Reverse(*value), *outpoint));
    coins.truncate(MAX_INPUTS);
    if coins.is_empty() {
        bail!("each payment holds less than the {} that it costs to take it at this fee rate", amount::show(cost));
    }
    Ok(coins)
}

impl Args {
    /// What is ripe and worth its fee.
    async fn choose(&self, record: &Record, bitcoin: &BitcoinRpc) -> Result<Chosen> {
        let output = record.output()?;
        let scan = scan(bitcoin, &[output.script_pubkey()]).await.wrap_err("bitcoind cannot look for the deposit")?;
        let ripe = reclaimable(record, &scan, self.outpoint)?;
        let fee_rate = self.fee_rate.choose(bitcoin).await?;
        let coins = worthwhile(&ripe, fee_rate.fee_wu(output.reclaim_input_weight()).unwrap_or(Amount::MAX_MONEY))?;
        let total = coins.iter().map(|(_, value)| *value).sum();
        Ok(Chosen { left_out: ripe.len() - coins.len(), output, coins, total, fee_rate })
    }

    /// Shows what is about to be sent, and asks whoever is there. What `causeway dev` gives away is worth nothing.
    fn agree(
        &self,
        record: &Record,
        to: &Address,
        payments: usize,
        amount: Amount,
        fee: Amount,
        rate: FeeRate,
    ) -> Result<()> {
        let lines = [
            format!("What       take back {payments} payment(s) to {}, on {}", record.address, record.network),
            format!("To         {to}"),
            format!("Amount     {}", amount::show(amount)),
            format!("Fee        {}, at {} sat/vB", amount::show(fee), rate.to_sat_per_vb_ceil()),
        ];
        agree(&lines, self.yes || self.account.dev_account.is_some())
    }

    fn destination(&self, record: &Record) -> Result<Address> {
        self.to.clone().require_network(record.network.bitcoin()).map_err(|_| {
            let shown = self.to.clone().assume_checked();
            eyre!("{shown} is not an address of {}, where the deposit is", record.network)
        })
    }

    /// There is a key to ask for: the wallet's, the record's own, or of an invoice the merchant's.
    fn check_key(&self, record: &Record) -> Result<()> {
        let home = self.home.folder()?;
        if let Some(index) = record.reclaim_index {
            return own_wallet::check_key(&home, record, index).map(drop);
        }
        let is_merchants = record.reclaim_keystore.is_none() && self.account.check_named(&home).is_ok();
        if is_merchants { Ok(()) } else { record.reclaim_keystore().map(drop) }
    }

    fn key(&self, record: &Record) -> Result<Keypair> {
        let home = self.home.folder()?;
        if let Some(index) = record.reclaim_index {
            return own_wallet::reclaim_key(&home, record, index, &self.account.passphrase);
        }
        if record.reclaim_keystore.is_none() {
            return invoice::reclaim_key(&home, record, &self.account.open(&home, record.network)?);
        }
        let passphrase = self.account.passphrase.ask("the key that can reclaim the deposit")?;
        open_reclaim_key(&record.reclaim_keystore()?, &passphrase)
    }
}

/// The outputs whose timelock is over; of all payments, or of the one that is asked for.
fn reclaimable<'a>(record: &Record, scan: &'a Scan, only: Option<OutPoint>) -> Result<Vec<&'a Unspent>> {
    let delay = u32::from(record.reclaim_delay.get());
    let asked = |coin: &&Unspent| only.is_none_or(|outpoint| coin.outpoint == outpoint);
    let coins: Vec<_> = scan.unspents.iter().filter(asked).filter(|coin| coin.confirmations >= delay).collect();
    if !coins.is_empty() {
        return Ok(coins);
    }
    match scan.unspents.iter().filter(asked).map(|coin| coin.confirmations).max() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::hashes::Hash as _;

    fn coin(number: u32, sat: u64) -> Unspent {
        Unspent {
            outpoint: OutPoint::new(Txid::all_zeros(), number),
            value: Amount::from_sat(sat),
            script_pubkey: bitcoin::ScriptBuf::new(),
            confirmations: 1008,
            coinbase: false,
            tip: bitcoin::BlockHash::all_zeros(),
        }
    }

    #[test]
    fn dust_that_others_pay_stops_no_reclaim() {
        let mut coins: Vec<_> = (0..5_000).map(|number| coin(number, 330)).collect();
        coins.push(coin(5_000, 50_000));
        coins.push(coin(5_001, 70_000));
        let ripe: Vec<_> = coins.iter().collect();
        let taken = worthwhile(&ripe, Amount::from_sat(400)).expect("two are worth it");
        assert_eq!(taken.iter().map(|(outpoint, _)| outpoint.vout).collect::<Vec<_>>(), [5_001, 5_000]);
        // Where even the dust is worth taking, as many as fit, and the user's own payments are among them.
        let taken = worthwhile(&ripe, Amount::from_sat(100)).expect("all are worth it");
        assert_eq!((taken.len(), taken[0].0.vout, taken[1].0.vout), (MAX_INPUTS, 5_001, 5_000));
        let error = worthwhile(&ripe[..5_000], Amount::from_sat(400)).expect_err("only dust");
        assert!(error.to_string().contains("costs to take it"), "{error}");
    }
}
