//! `causeway peg-out`: coins back to bitcoin.

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolCall as _;
use bitcoin::address::NetworkUnchecked;
use bitcoin::{Amount, ScriptBuf};
use bridge::amount;
use bridge::io::sidechain::Call;
use bridge::peg::Parameters;
use contracts::{Bridge, address};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use mainchain::Network;
use serde::Serialize;

use super::charge::{Charge, floor, present_of_withdrawal, rate_shown, usual_of_withdrawal};
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;
use crate::user::withdrawal::follow;
use crate::user::withdrawal_again::{Wanted, under_way};
use crate::user::withdrawal_record::{Source, remember};

/// Pay coins back out to a Bitcoin address
///
/// The coins go back into the bridge at once; the federation pays the address from the vault. A payout costs what its size costs at
/// the rate of the day, whoever else is paid with it, taken off the amount: never more than --max-fee. The present price is shown
/// first, then what will be signed, with all that it can cost. A command that ended early goes on when it is given again: it never
/// withdraws twice.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway peg-out --amount '0.5 BTC' --to bc1p... --keystore me.keystore --genesis genesis.json
  causeway peg-out --all --to bc1p... --keystore me.keystore
  causeway peg-out --amount '0.5 BTC' --to bcrt1p... --max-fee '5000 sat' --dev-account 0 --json")]
pub struct Args {
    /// What leaves your account, fees included
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, required_unless_present = "all")]
    amount: Option<Amount>,
    /// All that the account has, but for what the transaction's gas may cost
    #[arg(long, conflicts_with = "amount")]
    all: bool,
    /// The Bitcoin address that is paid
    #[arg(long, value_name = "ADDRESS", required_unless_present = "script")]
    to: Option<bitcoin::Address<NetworkUnchecked>>,
    /// The output script that is paid, as hex, where there is no address for it
    #[arg(long, value_name = "HEX", conflicts_with = "to", value_parser = parse_script)]
    script: Option<ScriptBuf>,
    /// The most that the payout may cost; `causeway raise` raises it later [default: three times what it costs now, but no more than
    /// 300 sat/vB and a quarter of the amount]
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    max_fee: Option<Amount>,
    /// Stop once the withdrawal is queued, without waiting for the payment
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
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
    check_not_the_federations(&script, [network.info.group_key, network.info.vault_key])?;
    if let Some(amount) = args.amount {
        check_value(amount, &script, &network.info.parameters)?;
    }
    let spender = Spender::open(&network, &args.account, args.spending)?;
    if let Some(id) = args.under_way(&network, &spender, &script).await? {
        return follow(&network, id, args.bitcoin.if_there(network.bitcoin).await, context).await;
    }
    let (call, amount, max_fee) = args.call(&network, &spender, &script).await?;
    if !spender.goes_on(&call)? {
        spender.afford(call.value, "to pay out").await?;
    }

    let owner = spender.account.address();
    // Known before the request is forgotten: whoever ends the command between the two and gives it again goes on with it.
    let done = spender.transact(&call, |receipt| {
        let (id, transaction) = queued(receipt, owner, &call)?;
        remember(&network, id, owner, transaction, Source::Coins);
        Ok((id, transaction))
    });
    let (id, transaction) = done.await.wrap_err("the withdrawal is not queued")?;
    let queued = Queued { id, transaction, owner, amount_sat: amount.to_sat(), max_fee_sat: max_fee.to_sat() };
    context.print(&queued, || {
        println!("Withdrawal {id} queued: {} from {owner} (transaction {transaction})", amount::show(amount))
    });
    if args.no_wait {
        return Ok(());
    }
    follow(&network, id, args.bitcoin.if_there(network.bitcoin).await, context).await
}

impl Args {
    fn payee(&self, network: Network) -> Result<ScriptBuf> {
        if let Some(script) = &self.script {
            return Ok(script.clone());
        }
        let address = self.to.clone().ok_or_else(|| eyre!("whom to pay? --to ADDRESS"))?;
        script_of(address, network)
    }

    /// Not for a command that does not wait: it was not interrupted while it waited.
    async fn under_way(
        &self,
        network: &KnownNetwork,
        spender: &Spender<'_>,
        script: &ScriptBuf,
    ) -> Result<Option<u64>> {
        let Some(amount) = self.amount.filter(|_| !self.no_wait && !self.spending.again) else { return Ok(None) };
        let owner = spender.account.address();
        under_way(network, &Wanted { owner, script, amount: Some(amount), from: Source::Coins }).await
    }

    /// The call, its amount and its maximum. What is not named, an amount or a maximum, a call to the same payee that was sent before keeps: the
    /// price of the day, and the gas that was paid, must not make another withdrawal of it.
    async fn call(
        &self,
        network: &KnownNetwork,
        spender: &Spender<'_>,
        script: &ScriptBuf,
    ) -> Result<(Call, Amount, Amount)> {
        let value = self.amount.map(amount::wei);
        if value.is_none() || self.max_fee.is_none() {
            let same = |call: &Call| {
                let max_fee = max_fee_of(call, script);
                value.is_none_or(|value| call.value == value)
                    && max_fee.is_some_and(|max_fee| self.max_fee.is_none_or(|wanted| wanted == max_fee))
            };
            if let Some(kept) = spender.kept(same)? {
                let max_fee = max_fee_of(&kept, script).unwrap_or_default();
                let amount = sat_of(kept.value);
                return Ok((kept, amount, max_fee));
            }
        }
        let parameters = &network.info.parameters;
        let value = match self.amount {
            Some(amount) => amount,
            None => everything(spender, script, parameters).await?,
        };
        let now = present_of_withdrawal(&network.client, script.len(), parameters).await?;
        let max_fee = match self.max_fee {
            Some(max_fee) => max_fee,
            None => usual_of_withdrawal(value, script.len(), now, parameters)?,
        };
        check_maximum(value, max_fee, script, parameters)?;
        show_quote(value, now, max_fee);
        Ok((withdrawal(value, max_fee, script), value, max_fee))
    }
}

/// What the account has, less what the gas of its withdrawal may cost, in whole satoshis.
async fn everything(spender: &Spender<'_>, script: &ScriptBuf, parameters: &Parameters) -> Result<Amount> {
    let least = Amount::from_sat(parameters.min_withdrawal_sat);
    // As long as it is a withdrawal that the bridge takes, its gas does not depend on the amount.
    let trial = withdrawal(least, floor(script.len(), parameters), script);
    let (balance, gas) = (spender.balance().await?, spender.most_gas(&trial).await?);
    let all = sat_of(balance.saturating_sub(gas));
    let own = spender.account.address();
    ensure!(
        all >= least,
        "{own} has {}, and its transaction may cost {}: what is left is below the smallest withdrawal, {}",
        amount::show_wei(balance),
        amount::show_wei(gas),
        amount::show(least)
    );
    check_value(all, script, parameters)?;
    eprintln!(
        "All        {} of {}; {} stay for the transaction's gas, and what that does not cost stays in the account",
        amount::show(all),
        amount::show_wei(balance),
        amount::show_wei(balance.saturating_sub(amount::wei(all)))
    );
    Ok(all)
}

/// Whole satoshis of wei.
fn sat_of(wei: U256) -> Amount {
    Amount::from_sat((wei / amount::wei(Amount::ONE_SAT)).saturating_to())
}

/// What it costs now, for people, before they agree to what it may cost.
pub fn show_quote(value: Amount, now: Charge, max_fee: Amount) {
    let net = value.checked_sub(now.amount).unwrap_or(Amount::ZERO);
    let (costs, arrives) = (amount::show(now.amount), amount::show(net));
    eprintln!(
        "Quote      at {} sat/vB, the node's word, it costs {costs}: {arrives} would arrive",
        rate_shown(now.rate)
    );
    if max_fee < now.amount {
        eprintln!(
            "           that is more than its maximum of {}: it waits for a lower rate, or for causeway raise",
            amount::show(max_fee)
        );
    }
}

/// What pays to an address.
///
/// # Errors
///
/// It is one of another network.
pub fn script_of(address: bitcoin::Address<NetworkUnchecked>, network: Network) -> Result<ScriptBuf> {
    let written = address.clone().assume_checked();
    let address = address.require_network(network.bitcoin()).map_err(|_| {
        eyre!("{written} is not an address of {network}, which this sidechain is on: ask the payee for one that is")
    })?;
    Ok(address.script_pubkey())
}

/// Coins that are paid to the federation's own keys would be in no account.
///
/// # Errors
///
/// The script is of one of them.
pub fn check_not_the_federations(script: &ScriptBuf, keys: [Option<B256>; 2]) -> Result<()> {
    let is_theirs = |key: B256| *script.as_bytes() == *[&[0x51, 0x20][..], key.as_slice()].concat();
    ensure!(
        !keys.into_iter().flatten().any(is_theirs),
        "the payee is a key of the federation's own: what is paid there belongs to nobody. Wanted is an address of yours, or of whom you pay"
    );
    Ok(())
}

/// The call that queues a withdrawal.
pub fn withdrawal(value: Amount, max_fee: Amount, script: &ScriptBuf) -> Call {
    let call = Bridge::withdrawCall { script: script.to_bytes().into(), maxFeeSat: max_fee.to_sat() };
    Call::new(address::BRIDGE, &call).with_value(amount::wei(value))
}

/// The maximum in a call, if that queues a withdrawal to `script`.
fn max_fee_of(call: &Call, script: &ScriptBuf) -> Option<Amount> {
    let decoded = Bridge::withdrawCall::abi_decode(&call.input).ok()?;
    let is_same = call.to == Some(address::BRIDGE) && *decoded.script == *script.as_bytes();
    is_same.then(|| Amount::from_sat(decoded.maxFeeSat))
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
///
/// # Errors
///
/// The bridge would refuse it.
pub fn check_value(value: Amount, script: &ScriptBuf, parameters: &Parameters) -> Result<()> {
    let least = Amount::from_sat(parameters.min_withdrawal_sat);
    if value < least {
        bail!("{} is below the smallest withdrawal, {}", amount::show(value), amount::show(least));
    }
    let most = Amount::from_sat(parameters.window_sat);
    if value > most {
        bail!(
            "{} is more than the {} that are paid out at once: withdraw it in parts",
            amount::show(value),
            amount::show(most)
        );
    }
    if !is_standard(script) {
        bail!(
            "the script {script:x} is not a standard output: bitcoin nodes would not relay the payment. P2PKH, P2SH, P2WPKH, P2WSH, P2TR and later witness versions are"
        );
    }
    Ok(())
}

/// The same for its maximum.
///
/// # Errors
///
/// The bridge would refuse it.
pub fn check_maximum(value: Amount, max_fee: Amount, script: &ScriptBuf, parameters: &Parameters) -> Result<()> {
    let least = floor(script.len(), parameters);
    if max_fee < least {
        bail!(
            "--max-fee {} is below the least that the bridge takes, {}: what {} sat/vB cost",
            amount::show(max_fee),
            amount::show(least),
            rate_shown(parameters.floor_rate)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_pays_out_to_the_federations_own_keys() {
        let own = [Some(B256::repeat_byte(1)), None];
        let to = |byte: u8| ScriptBuf::from_bytes([&[0x51, 0x20][..], &[byte; 32]].concat());
        assert!(check_not_the_federations(&to(1), own).is_err());
        check_not_the_federations(&to(2), own).expect("somebody's");
    }
}
