//! `causeway peg-out`: coins back to bitcoin.

use alloy_primitives::{Address, B256};
use alloy_rpc_types_eth::TransactionReceipt;
use bitcoin::address::NetworkUnchecked;
use bitcoin::{Amount, ScriptBuf};
use bridge::amount;
use bridge::io::sidechain::Call;
use bridge::peg::Info;
use contracts::{Bridge, address};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use mainchain::Network;
use serde::Serialize;

use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;
use crate::user::withdrawal::follow;

/// Pay coins back out to a Bitcoin address
///
/// The coins go back into the bridge at once; the federation pays the address from the vault. Fees of the payout are
/// shared among all it pays, and taken off the amount: never more than --max-fee. What will be signed is shown in words first,
/// with all that it can cost. A command that ended early goes on when it is given again: it never withdraws twice.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway peg-out --amount '0.5 BTC' --to bc1p... --max-fee '5000 sat' --keystore me.keystore --genesis genesis.json
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
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
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
    let network = args.network.connect(&args.account).await?;
    let script = args.payee(network.bitcoin)?;
    check(args.amount, args.max_fee, &script, &network.info)?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let call = withdrawal(args.amount, args.max_fee, &script);
    if !spender.goes_on(&call)? {
        spender.afford(call.value, "to pay out").await?;
    }

    let owner = spender.account.address();
    let done = spender.transact(&call, |receipt| queued(receipt, owner, &call)).await;
    let (id, transaction) = done.wrap_err("the withdrawal is not queued")?;
    let queued =
        Queued { id, transaction, owner, amount_sat: args.amount.to_sat(), max_fee_sat: args.max_fee.to_sat() };
    context.print(&queued, || {
        println!("Withdrawal {id} queued: {} from {owner} (transaction {transaction})", amount::show(args.amount))
    });
    if args.no_wait { Ok(()) } else { follow(&network.client, id, context).await }
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

/// The call that queues a withdrawal.
pub fn withdrawal(value: Amount, max_fee: Amount, script: &ScriptBuf) -> Call {
    let call = Bridge::withdrawCall { script: script.to_bytes().into(), maxFeeSat: max_fee.to_sat() };
    Call::new(address::BRIDGE, &call).with_value(amount::wei(value))
}

/// The number of the withdrawal that was queued for `owner` by `call`, and the transaction that did it.
///
/// # Errors
///
/// It queued none, or another one.
pub fn queued(receipt: &TransactionReceipt, owner: Address, call: &Call) -> Result<(u64, B256)> {
    let queued: Bridge::WithdrawalQueued = emitted(receipt, address::BRIDGE)?;
    let asked = Bridge::withdrawCall { script: queued.script.clone(), maxFeeSat: queued.maxFeeSat };
    let same = Call::new(address::BRIDGE, &asked).with_value(amount::wei(Amount::from_sat(queued.amountSat)));
    let hash = receipt.transaction_hash;
    ensure!(queued.owner == owner && same == *call, "transaction {hash} queued another withdrawal than was asked for");
    Ok((queued.id.saturating_to(), hash))
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

fn parse_script(text: &str) -> Result<ScriptBuf, String> {
    let script = ScriptBuf::from_hex(text).map_err(|error| error.to_string())?;
    if script.is_empty() { Err("the script is empty".into()) } else { Ok(script) }
}
