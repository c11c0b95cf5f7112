//! `causeway peg-out`: coins back to bitcoin.

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use bitcoin::address::NetworkUnchecked;
use bitcoin::{Amount, ScriptBuf};
use bridge::amount;
use bridge::io::sidechain::{Account, Call, Client};
use bridge::peg::Info;
use contracts::Bridge;
use eyre::{Result, WrapErr, bail, eyre};
use mainchain::Network;
use serde::Serialize;

use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::sidechain::{INCLUSION, SidechainArgs};
use crate::user::withdrawal::follow;

/// Pay coins back out to a Bitcoin address
///
/// The coins go back into the bridge at once; the federation pays the address from the vault. Fees of the payout are
/// shared among all it pays, and taken off the amount: never more than --max-fee.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway peg-out --amount '0.5 BTC' --to bc1p... --max-fee '5000 sat' --keystore me.keystore
  causeway peg-out --amount '0.5 BTC' --to bcrt1p... --max-fee '5000 sat' --dev-account 0 --json")]
pub struct Args {
    /// What leaves your account, fees included
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    amount: Amount,
    /// The Bitcoin address that is paid
    #[arg(long, value_name = "ADDRESS", required_unless_present = "script")]
    to: Option<bitcoin::Address<NetworkUnchecked>>,
    /// The output script that is paid, as hex, where there is no address for it
    #[arg(long, value_name = "HEX", conflicts_with = "to", value_parser = parse_script)]
    script: Option<ScriptBuf>,
    /// The most that the payout may cost
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    max_fee: Amount,
    /// Stop once the withdrawal is queued, without waiting for the payment
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    sidechain: SidechainArgs,
}

/// What `--json` prints once the withdrawal is queued.
#[derive(Serialize)]
#[serde(tag = "event", rename = "queued", rename_all = "camelCase")]
struct Queued {
    id: u64,
    transaction: B256,
    owner: Address,
    amount_sat: u64,
    max_fee_sat: u64,
}

/// Runs `causeway peg-out`.
///
/// # Errors
///
/// The bridge would refuse the withdrawal, the account does not open or has too little, or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(peg_out(&args, context))
}

async fn peg_out(args: &Args, context: &Context) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let script = args.payee(info.bitcoin_network)?;
    check(args.amount, args.max_fee, &script, &info)?;
    let account = args.account.open(&info)?;
    afford(&client, &account, args.amount).await?;

    let (id, transaction) = withdraw(&client, &info, &account, args.amount, args.max_fee, &script).await?;
    let queued = Queued {
        id,
        transaction,
        owner: account.address(),
        amount_sat: args.amount.to_sat(),
        max_fee_sat: args.max_fee.to_sat(),
    };
    context.print(&queued, || {
        println!(
            "Withdrawal {id} queued: {} from {} (transaction {transaction})",
            amount::show(args.amount),
            account.address()
        )
    });
    if args.no_wait { Ok(()) } else { follow(&client, id, context).await }
}

impl Args {
    fn payee(&self, network: Network) -> Result<ScriptBuf> {
        if let Some(script) = &self.script {
            return Ok(script.clone());
        }
        let address = self.to.clone().ok_or_else(|| eyre!("whom to pay? --to ADDRESS"))?;
        let written = address.clone().assume_checked();
        let address = address.require_network(network.bitcoin()).map_err(|_| {
            eyre!("{written} is not an address of {network}, which this sidechain is on: ask the payee for one that is")
        })?;
        Ok(address.script_pubkey())
    }
}

/// Queues a withdrawal: its number, and the transaction that did it.
///
/// # Errors
///
/// The bridge refuses it, or the transaction is not included in time.
pub async fn withdraw(
    client: &Client,
    info: &Info,
    account: &Account,
    value: Amount,
    max_fee: Amount,
    script: &ScriptBuf,
) -> Result<(u64, B256)> {
    let call = Bridge::withdrawCall { script: script.to_bytes().into(), maxFeeSat: max_fee.to_sat() };
    let call = Call::new(info.contracts.bridge, &call).with_value(amount::wei(value));
    let receipt =
        account.transact(client, &call, INCLUSION).await.wrap_err("the bridge does not take the withdrawal")?;
    let queued = receipt.inner.logs().iter().find_map(|log| Bridge::WithdrawalQueued::decode_log(&log.inner).ok());
    let id = queued
        .ok_or_else(|| eyre!("transaction {} succeeded, but tells of no withdrawal", receipt.transaction_hash))?
        .id;
    Ok((id.to(), receipt.transaction_hash))
}

/// Says before anything is sent what the bridge would refuse, and what the reader can do about it.
fn check(value: Amount, max_fee: Amount, script: &ScriptBuf, info: &Info) -> Result<()> {
    let least = Amount::from_sat(info.min_withdrawal_sat);
    if value < least {
        bail!("{} is below the smallest withdrawal, {}", amount::show(value), amount::show(least));
    }
    if !is_standard(script) {
        bail!(
            "the script {script:x} is not a standard output: bitcoin nodes would not relay the payment. P2PKH, P2SH, P2WPKH, P2WSH, P2TR and later witness versions are"
        );
    }
    let dust = script.minimal_non_dust();
    let rest = value.checked_sub(max_fee).unwrap_or(Amount::ZERO);
    if rest < dust {
        bail!(
            "{} less a fee of up to {} would leave {}, less than the {} that bitcoin nodes relay for this kind of output",
            amount::show(value),
            amount::show(max_fee),
            amount::show(rest),
            amount::show(dust)
        );
    }
    Ok(())
}

/// The output templates the bridge pays.
fn is_standard(script: &ScriptBuf) -> bool {
    let later = script.witness_version().is_some_and(|version| version.to_num() >= 2);
    script.is_p2pkh() || script.is_p2sh() || script.is_p2wpkh() || script.is_p2wsh() || script.is_p2tr() || later
}

async fn afford(client: &Client, account: &Account, value: Amount) -> Result<()> {
    let balance = client.balance(account.address()).await?;
    if balance < amount::wei(value) {
        bail!(
            "{} has {}, less than the {} to pay out",
            account.address(),
            amount::show_wei(balance),
            amount::show(value)
        );
    }
    Ok(())
}

fn parse_script(text: &str) -> Result<ScriptBuf, String> {
    let script = ScriptBuf::from_hex(text).map_err(|error| error.to_string())?;
    if script.is_empty() { Err("the script is empty".into()) } else { Ok(script) }
}
