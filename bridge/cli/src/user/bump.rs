//! `causeway bump`: whoever waits for a payout or a sweep can pay for it, with a child that spends its anchor.

use std::path::PathBuf;

use bitcoin::{Amount, Transaction, Txid, consensus::encode};
use bridge::amount::show;
use bridge::child::{Parent, Waiting};
use bridge::io::wallet::Wallet;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use mainchain::Network;
use mainchain::io::rpc::BitcoinRpc;
use serde_json::json;

use crate::clock::now;
use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::fee_rate::FeeRateArgs;
use crate::options::home::HomeArgs;
use crate::options::passphrase::PassphraseArgs;

/// Pay for a vault transaction that waits on Bitcoin
///
/// A payout or a sweep pays the fee of the day it was made. When Bitcoin asks for more, anybody can make up for it: the wallet
/// spends the transaction's anchor together with a coin of its own, and miners look at both together. What it costs is
/// the difference, for the size of both; the rest of the coin comes back to the wallet. Given again with a higher rate, it replaces its
/// own child and spends the same coin.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  causeway bump 1f0c...9a\n  causeway bump 1f0c...9a --fee-rate 40\n  causeway bump 1f0c...9a --transaction payout.hex\n  causeway raise 7 --max-fee '9000 sat'     a withdrawal's maximum is raised by another command"
)]
pub struct Args {
    /// Id of the transaction that waits, as `causeway status` shows it
    #[arg(value_name = "TXID", value_parser = waiting)]
    txid: Txid,
    /// Of a withdrawal: told to whoever looks here for it
    #[arg(long, hide = true)]
    max_fee: Option<String>,
    /// A file with that transaction in hex, if bitcoind no longer has it in its mempool
    #[arg(long, value_name = "FILE")]
    transaction: Option<PathBuf>,
    #[command(flatten)]
    fee_rate: FeeRateArgs,
    /// regtest, testnet4 or signet
    #[arg(long, value_name = "NET", default_value = "regtest")]
    network: Network,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
    #[command(flatten)]
    home: HomeArgs,
}

/// Runs `causeway bump`.
///
/// # Errors
///
/// The transaction does not wait, has no anchor or pays enough; the wallet cannot pay; bitcoind refuses it.
pub fn run(args: Args, context: &Context) -> Result<()> {
    ensure!(
        args.max_fee.is_none(),
        "--max-fee is a withdrawal's, and raised by causeway raise ID --max-fee AMOUNT; what a child pays says --fee-rate"
    );
    let mut wallet = Wallet::open(&args.home.wallet(args.network)?, args.network)?;
    let (bitcoin, parent) = context.block_on(async {
        let bitcoin = args.bitcoin.connect(args.network).await?;
        let parent = args.parent(&bitcoin).await?;
        eyre::Ok((bitcoin, parent))
    })?;
    let seed = wallet.unlock(&args.passphrase.ask("the wallet")?)?;
    let (child, fee, replaced) = context.block_on(async {
        wallet.sync(&bitcoin, now()?, |_| ()).await.wrap_err("the wallet cannot be synced")?;
        let replaced = wallet.own_child(&parent);
        let rate = args.fee_rate.choose(&bitcoin).await?;
        let (child, fee) = wallet.prepare_child(&seed, &parent, rate).wrap_err("nothing was sent")?;
        let txid = child.compute_txid();
        let submitted = wallet.submit_child(&bitcoin, &parent.transaction, child, now()?).await;
        submitted.wrap_err("nothing was sent")?;
        eyre::Ok((txid, fee, replaced))
    })?;
    let (of_replaced, paid_before) = (replaced.map(|earlier| earlier.txid), replaced.map(|earlier| earlier.fee));
    let object = json!({
        "txid": args.txid, "child": child, "feeSat": fee.to_sat(),
        "replaced": of_replaced, "replacedFeeSat": paid_before.map(Amount::to_sat),
    });
    context.print(&object, || {
        println!("Paid {} for {}", show(fee), args.txid);
        println!("child  {child}");
        if let Some(Waiting { txid, fee: before, .. }) = replaced {
            let more = fee.checked_sub(before).unwrap_or_default();
            println!("in place of {txid}, which paid {}: {} more", show(before), show(more));
        }
    });
    Ok(())
}

/// Reads the id of a transaction. A withdrawal's number has a command of its own: that one is signed for on the sidechain, this one pays with
/// bitcoin.
fn waiting(text: &str) -> Result<Txid, String> {
    if text.parse::<u64>().is_ok() && text.len() < 64 {
        return Err(format!(
            "{text} is a withdrawal's number: causeway raise {text} --max-fee AMOUNT lets its payout cost more. `bump` pays for a transaction that waits on Bitcoin, by its id (64 hex digits; causeway status {text} shows it)"
        ));
    }
    crate::options::number::txid(text)
}

impl Args {
    /// The transaction that waits, and what it pays.
    async fn parent(&self, bitcoin: &BitcoinRpc) -> Result<Parent> {
        if let Some(entry) = bitcoin.mempool_entry(self.txid).await? {
            let transaction = bitcoin.mempool_transactions(&[self.txid]).await?.pop();
            let transaction = transaction.ok_or_else(|| eyre!("{} has just left the mempool: try again", self.txid))?;
            return Ok(Parent { transaction, fee: entry.fee });
        }
        let Some(file) = &self.transaction else {
            bail!(
                "{} is not in the mempool of bitcoind: it is in a block, or was dropped because it pays too little. For the latter, \
                 --transaction FILE names a file with it in hex",
                self.txid
            );
        };
        let hex = std::fs::read_to_string(file).wrap_err_with(|| format!("cannot read {}", file.display()))?;
        let transaction: Transaction = encode::deserialize_hex(hex.trim())
            .wrap_err_with(|| format!("{} does not hold a transaction in hex", file.display()))?;
        let txid = transaction.compute_txid();
        ensure!(txid == self.txid, "{} holds transaction {txid}, not {}", file.display(), self.txid);
        let fee = fee(&transaction, bitcoin).await?;
        Ok(Parent { transaction, fee })
    }
}

/// What a transaction pays that bitcoind does not know.
async fn fee(transaction: &Transaction, bitcoin: &BitcoinRpc) -> Result<Amount> {
    let mut spent = Amount::ZERO;
    for input in &transaction.input {
        let outpoint = input.previous_output;
        let unspent = bitcoin.unspent(outpoint, true).await?;
        let unspent = unspent.ok_or_else(|| {
            eyre!("it spends {outpoint}, which bitcoind does not have unspent: it is in a block, or another took its place")
        })?;
        spent = spent.checked_add(unspent.value).ok_or_else(|| eyre!("it spends more than there is"))?;
    }
    let paid: Amount = transaction.output.iter().map(|output| output.value).sum();
    spent.checked_sub(paid).ok_or_else(|| eyre!("it pays out more than it spends"))
}
