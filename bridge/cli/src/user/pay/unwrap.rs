//! `causeway pay unwrap`: tokens of WrappedBtc become coins again, or in the same transaction a withdrawal to Bitcoin.

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolCall as _;
use bitcoin::address::NetworkUnchecked;
use bitcoin::{Amount, ScriptBuf};
use bridge::amount;
use bridge::io::sidechain::{Call, proven};
use contracts::{Bridge, WrappedBtc, address};
use eyre::{Result, WrapErr, ensure};

use super::event::Event;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::charge::{present_of_withdrawal, usual_of_withdrawal};
use crate::user::peg_out::{check_maximum, check_not_the_federations, check_value, script_of, show_quote};
use crate::user::receipt::emitted;
use crate::user::spending::Spender;
use crate::user::withdrawal::follow;
use crate::user::withdrawal_again::{Wanted, under_way};
use crate::user::withdrawal_record::{Source, remember};

/// Turn tokens back into coins, or pay them out on Bitcoin
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay unwrap '100000 sat' --dev-account 0
  causeway pay unwrap --all --keystore me.keystore
  causeway pay unwrap '0.5 BTC' --to bc1p... --keystore me.keystore
  causeway pay unwrap '0.5 BTC' --to bcrt1p... --max-fee '5000 sat' --dev-account 0")]
pub struct UnwrapArgs {
    /// How much of your tokens
    #[arg(value_name = "AMOUNT", value_parser = amount::parse, required_unless_present = "all")]
    amount: Option<Amount>,
    /// All of them, with what is below a satoshi (which Bitcoin has not: with --to it stays)
    #[arg(long, conflicts_with = "amount")]
    all: bool,
    /// The Bitcoin address that is paid, as by `causeway peg-out`; what is not paid comes back as coins
    #[arg(long, value_name = "ADDRESS")]
    to: Option<bitcoin::Address<NetworkUnchecked>>,
    /// The most that the payout may cost; `causeway raise` raises it later [default: three times what it costs now, but no more than
    /// 300 sat/vB and a quarter of the amount]
    #[arg(long, value_name = "AMOUNT", requires = "to", value_parser = amount::parse)]
    max_fee: Option<Amount>,
    /// Stop once the withdrawal is queued, without waiting for the payment
    #[arg(long, requires = "to")]
    no_wait: bool,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Unwraps tokens.
///
/// # Errors
///
/// The account does not open or has too few tokens, the bridge would refuse the withdrawal, or the node does not answer or proves nothing.
pub async fn unwrap(args: UnwrapArgs, context: &Context) -> Result<()> {
    ensure!(args.amount != Some(Amount::ZERO), "there is nothing to unwrap in 0 sat");
    let network = args.network.connect(&args.account).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let own = spender.account.address();
    let value = match args.amount {
        Some(amount) => amount::wei(amount),
        None => args.all_of(balance(&network, own).await?),
    };
    let script = args.payee(&network)?;
    if let Some(script) = &script
        && let Some(id) = args.under_way(&network, own, script, value).await?
    {
        return follow(&network, id, None, context).await;
    }
    ensure!(!value.is_zero(), "{own} has no wrapped coins");
    let payout = match script {
        Some(script) => Some(args.payout(&network, &spender, value, script).await?),
        None => None,
    };
    let call = match &payout {
        Some(payout) => payout.call(value),
        None => Call::new(address::WRAPPED_BTC, &WrappedBtc::withdrawCall { value }),
    };
    if !spender.goes_on(&call)? {
        let balance = balance(&network, own).await?;
        ensure!(value <= balance, "{own} has {} of wrapped coins", amount::show_wei(balance));
    }
    // Known before the request is forgotten.
    let done = |receipt: &TransactionReceipt| {
        let (withdrawal, transaction) = unwrapped(receipt, own, value, payout.as_ref())?;
        withdrawal.into_iter().for_each(|id| remember(&network, id, own, transaction, Source::Tokens));
        Ok((withdrawal, transaction))
    };
    let (withdrawal, transaction) = spender.transact(&call, done).await.wrap_err("the tokens are not unwrapped")?;
    let (amount, token) = (value.to_string(), address::WRAPPED_BTC);
    context.print(&Event::Unwrapped { owner: own, amount, token, withdrawal, transaction }, || {
        let shown = amount::show_wei(value);
        match withdrawal {
            Some(id) => println!("Withdrawal {id} queued: {shown} from tokens of {own} (transaction {transaction})"),
            None => println!("Unwrapped {shown} (transaction {transaction})"),
        }
    });
    match withdrawal {
        Some(id) if !args.no_wait => follow(&network, id, None, context).await,
        _ => Ok(()),
    }
}

/// Where on Bitcoin the coins go.
struct Payout {
    script: ScriptBuf,
    max_fee: Amount,
}

impl Payout {
    fn call(&self, value: U256) -> Call {
        let (script, max_fee_sat) = (self.script.to_bytes().into(), self.max_fee.to_sat());
        Call::new(address::WRAPPED_BTC, &WrappedBtc::withdrawToBitcoinCall { value, script, maxFeeSat: max_fee_sat })
    }
}

impl UnwrapArgs {
    /// Of a balance, what can go there.
    fn all_of(&self, balance: U256) -> U256 {
        let satoshi = amount::wei(Amount::from_sat(1));
        if self.to.is_some() { balance - balance % satoshi } else { balance }
    }

    /// None: the coins stay on the sidechain.
    fn payee(&self, network: &KnownNetwork) -> Result<Option<ScriptBuf>> {
        let Some(to) = self.to.clone() else { return Ok(None) };
        let script = script_of(to, network.bitcoin)?;
        check_not_the_federations(&script, [network.info.group_key, network.info.vault_key])?;
        Ok(Some(script))
    }

    /// Not for a command that does not wait. One that takes all and was interrupted has left nothing.
    async fn under_way(
        &self,
        network: &KnownNetwork,
        owner: Address,
        script: &ScriptBuf,
        value: U256,
    ) -> Result<Option<u64>> {
        if self.no_wait || self.spending.again || (self.all && !value.is_zero()) {
            return Ok(None);
        }
        under_way(network, &Wanted { owner, script, amount: self.amount, from: Source::Tokens }).await
    }

    /// A maximum that is not named, a call that was sent before for the same keeps: the price of the day makes no other withdrawal of it.
    async fn payout(
        &self,
        network: &KnownNetwork,
        spender: &Spender<'_>,
        value: U256,
        script: ScriptBuf,
    ) -> Result<Payout> {
        let parameters = &network.info.parameters;
        let amount = Amount::from_sat((value / amount::wei(Amount::ONE_SAT)).saturating_to());
        check_value(amount, &script, parameters)?;
        let kept = spender.kept(|call| max_fee_of(call, value, &script).is_some())?;
        let max_fee = match (self.max_fee, kept) {
            (Some(max_fee), _) => max_fee,
            (None, Some(kept)) => max_fee_of(&kept, value, &script).unwrap_or_default(),
            (None, None) => {
                let now = present_of_withdrawal(&network.client, script.len(), parameters).await?;
                let max_fee = usual_of_withdrawal(amount, script.len(), now, parameters)?;
                show_quote(amount, now, max_fee);
                max_fee
            }
        };
        check_maximum(amount, max_fee, &script, parameters)?;
        Ok(Payout { script, max_fee })
    }
}

/// The maximum in a call, if that pays so much out to `script`.
fn max_fee_of(call: &Call, value: U256, script: &ScriptBuf) -> Option<Amount> {
    let decoded = WrappedBtc::withdrawToBitcoinCall::abi_decode(&call.input).ok()?;
    let is_same =
        call.to == Some(address::WRAPPED_BTC) && decoded.value == value && *decoded.script == *script.as_bytes();
    is_same.then(|| Amount::from_sat(decoded.maxFeeSat))
}

/// The withdrawal to Bitcoin, if one was asked for, and the transaction that did it.
fn unwrapped(
    receipt: &TransactionReceipt,
    own: Address,
    value: U256,
    payout: Option<&Payout>,
) -> Result<(Option<u64>, B256)> {
    let gone: WrappedBtc::Withdrawal = emitted(receipt, address::WRAPPED_BTC)?;
    ensure!(gone.from == own && gone.value == value, "other tokens were unwrapped than was asked for");
    let Some(payout) = payout else { return Ok((None, receipt.transaction_hash)) };
    let queued: Bridge::WithdrawalQueued = emitted(receipt, address::BRIDGE)?;
    let same = queued.owner == own
        && amount::wei(Amount::from_sat(queued.amountSat)) == value
        && *queued.script == *payout.script.as_bytes()
        && queued.maxFeeSat == payout.max_fee.to_sat();
    ensure!(same, "another withdrawal was queued than was asked for");
    Ok((Some(queued.id.saturating_to()), receipt.transaction_hash))
}

/// Tokens of an account, as they are in the state of [`KnownNetwork::final_header`]; without one, as the node says.
async fn balance(network: &KnownNetwork, account: Address) -> Result<U256> {
    let read = || format!("cannot read what {account} has of wrapped coins");
    match network.final_header().await? {
        Some(header) => proven::wrapped_balance(&network.client, &header, account).await.wrap_err_with(read),
        None => {
            let call = WrappedBtc::balanceOfCall { account };
            network.client.call(address::WRAPPED_BTC, &call).await.wrap_err_with(read)
        }
    }
}
