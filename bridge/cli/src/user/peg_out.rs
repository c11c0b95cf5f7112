//! `causeway peg-out` and `causeway cancel`: coins back to bitcoin, and the change of mind while it is still possible.

use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use bitcoin::address::NetworkUnchecked;
use bitcoin::{Amount, ScriptBuf};
use bridge::io::sidechain::{Account, Call, Client};
use bridge::peg::{Info, Withdrawal, WithdrawalStatus};
use contracts::Bridge;
use eyre::{Result, WrapErr, bail, eyre};
use mainchain::Network;
use serde::Serialize;

use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::sidechain::{INCLUSION, SidechainArgs};
use bridge::amount;

/// How often the node is asked how far a withdrawal is.
const POLL: Duration = Duration::from_millis(500);

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

/// Take a withdrawal back while it is still queued
///
/// The coins return to your account. Once a vault transaction pays it, a withdrawal cannot be cancelled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway cancel 7 --keystore me.keystore")]
pub struct CancelArgs {
    /// The withdrawal's number, as `causeway peg-out` printed it
    id: u64,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    sidechain: SidechainArgs,
}

/// What `--json` prints, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event<'a> {
    Queued {
        id: u64,
        transaction: B256,
        owner: Address,
        amount_sat: u64,
        max_fee_sat: u64,
    },
    Withdrawal {
        #[serde(flatten)]
        withdrawal: &'a Withdrawal,
    },
    Cancelled {
        id: u64,
        transaction: B256,
        amount_sat: u64,
    },
}

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
    let queued = Event::Queued {
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
pub async fn withdraw(
    client: &Client,
    info: &Info,
    account: &Account,
    value: Amount,
    max_fee: Amount,
    script: &ScriptBuf,
) -> Result<(u64, B256)> {
    let call = Bridge::withdrawCall { script: script.to_bytes().into(), maxFeeSat: max_fee.to_sat() };
    let call = Call::new(info.contracts.bridge, &call).with_value(wei(value));
    let receipt =
        account.transact(client, &call, INCLUSION).await.wrap_err("the bridge does not take the withdrawal")?;
    let queued = receipt.inner.logs().iter().find_map(|log| Bridge::WithdrawalQueued::decode_log(&log.inner).ok());
    let id = queued
        .ok_or_else(|| eyre!("transaction {} succeeded, but tells of no withdrawal", receipt.transaction_hash))?
        .id;
    Ok((id.to(), receipt.transaction_hash))
}

pub fn cancel(args: CancelArgs, context: &Context) -> Result<()> {
    context.block_on(async {
        let (client, info) = args.sidechain.connect().await?;
        let id = args.id;
        let withdrawal = client.withdrawal(id).await?.ok_or_else(|| eyre!("there is no withdrawal {id}"))?;
        if withdrawal.status != WithdrawalStatus::Queued {
            bail!("withdrawal {id} is {}: only a queued one can be cancelled", name(withdrawal.status));
        }
        let account = args.account.open(&info)?;
        if account.address() != withdrawal.owner {
            bail!("withdrawal {id} belongs to {}, you are {}", withdrawal.owner, account.address());
        }
        let call = Call::new(info.contracts.bridge, &Bridge::cancelCall { id: U256::from(id) });
        let receipt =
            account.transact(&client, &call, INCLUSION).await.wrap_err("the bridge does not cancel the withdrawal")?;
        let value = Amount::from_sat(withdrawal.amount_sat);
        let event = Event::Cancelled { id, transaction: receipt.transaction_hash, amount_sat: withdrawal.amount_sat };
        context.print(&event, || {
            println!("Withdrawal {id} cancelled: {} are back at {}", amount::show(value), account.address())
        });
        Ok(())
    })
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
    if balance < wei(value) {
        bail!("{} has {}, less than the {} to pay out", account.address(), show_wei(balance), amount::show(value));
    }
    Ok(())
}

/// Waits until a withdrawal is paid, showing each change.
async fn follow(client: &Client, id: u64, context: &Context) -> Result<()> {
    let mut shown = None;
    loop {
        match client.withdrawal(id).await {
            Ok(Some(withdrawal)) => {
                if shown.replace(withdrawal.status) != Some(withdrawal.status) {
                    context.print(&Event::Withdrawal { withdrawal: &withdrawal }, || {
                        println!("{}", describe(&withdrawal))
                    });
                }
                if matches!(withdrawal.status, WithdrawalStatus::Paid | WithdrawalStatus::Cancelled) {
                    return Ok(());
                }
            }
            Ok(None) => {
                bail!("the node at {} does not know withdrawal {id} any more: it is not the node it was", client.url())
            }
            Err(error) if error.retry() => tracing::warn!(%error, "asking again"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A withdrawal in one line.
pub fn describe(withdrawal: &Withdrawal) -> String {
    let value = Amount::from_sat(withdrawal.amount_sat);
    let paid = amount::show(Amount::from_sat(withdrawal.amount_sat.saturating_sub(withdrawal.share_sat)));
    let by = || match (withdrawal.number, withdrawal.txid) {
        (Some(number), Some(txid)) => format!("by vault transaction {number} ({txid})"),
        (Some(number), None) => format!("by vault transaction {number}"),
        _ => String::new(),
    };
    match withdrawal.status {
        WithdrawalStatus::Queued => {
            format!("Withdrawal {}: {} queued for the next payout", withdrawal.id, amount::show(value))
        }
        WithdrawalStatus::Paying => format!("Withdrawal {}: paying {paid} {}", withdrawal.id, by()),
        WithdrawalStatus::Paid => format!("Withdrawal {}: paid {paid} {}", withdrawal.id, by()),
        WithdrawalStatus::Cancelled => format!(
            "Withdrawal {}: cancelled, {} went back to {}",
            withdrawal.id,
            amount::show(value),
            withdrawal.owner
        ),
    }
}

fn name(status: WithdrawalStatus) -> &'static str {
    match status {
        WithdrawalStatus::Queued => "queued",
        WithdrawalStatus::Paying => "being paid",
        WithdrawalStatus::Paid => "paid",
        WithdrawalStatus::Cancelled => "cancelled already",
    }
}

/// The value on the sidechain.
pub fn wei(value: Amount) -> U256 {
    contracts::coin::wei(value.to_sat())
}

/// A balance for people: satoshis, and the wei below one if there are any.
pub fn show_wei(wei: U256) -> String {
    let (sat, rest) = wei.div_rem(U256::from(contracts::coin::WEI_PER_SAT));
    let Ok(sat) = u64::try_from(sat) else {
        return format!("{wei} wei");
    };
    let shown = amount::show(Amount::from_sat(sat));
    if rest.is_zero() { shown } else { format!("{shown} and {rest} wei") }
}

fn parse_script(text: &str) -> Result<ScriptBuf, String> {
    let script = ScriptBuf::from_hex(text).map_err(|error| error.to_string())?;
    if script.is_empty() { Err("the script is empty".into()) } else { Ok(script) }
}
