//! `causeway pay claim`: the best voucher of each channel is cashed in, all in one transaction.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolEvent;
use bitcoin::Amount;
use bridge::amount;
use bridge::channel_calls::claim_many;
use bridge::io::sidechain::{Call, Client, Error};
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, ensure, eyre};
use light::micro_channel::Channel;
use payments::best::best_voucher;
use payments::payee::{Refused, claim_gas};
use payments::voucher::SignedVoucher;

use super::channel::{NoChannel, channel, domain, for_vouchers, shown_amount};
use super::event::Event;
use super::token::is_bitcoin;
use super::voucher_file::VoucherFile;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::spending::{Spender, TooDear};

/// Vouchers of one channel of which a contract is asked whether it signed them, the largest first.
const MAX_QUESTIONS: usize = 16;

/// Check vouchers and cash in the last of each channel, 200 plain channels by a transaction; anyone may, it is the payee who is paid
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay claim vouchers.jsonl --dev-account 1")]
pub struct ClaimArgs {
    /// Vouchers, one a line, in any order; `-` is standard input
    #[arg(value_name = "FILE")]
    vouchers: PathBuf,
    /// Leave out what is not more than this of a plain channel of coins: it would cost as much; of channels that take more gas, more in proportion
    #[arg(long, value_name = "AMOUNT", default_value = "5 sat", value_parser = amount::parse)]
    least: Amount,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Claims the best voucher of each channel.
///
/// # Errors
///
/// No voucher is worth anything, a transaction is refused, or a line was no voucher: all others are claimed then. What is of closed channels is left out.
pub async fn claim(args: ClaimArgs, context: &Context) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let read = VoucherFile::read(&args.vouchers)?;
    let faults = read.warn_of_faults(0);
    let best = best_of(&network, read.vouchers, args.least).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    collect(&spender, best, context).await?;
    ensure!(faults == 0, "{faults} line(s) of {} are no vouchers: see the warnings above", args.vouchers.display());
    Ok(())
}

/// A channel's best voucher, what it pays in, and what it takes of a transaction's gas at the most.
pub struct Claimable {
    pub token: Address,
    pub voucher: SignedVoucher,
    /// What it adds to what was claimed.
    pub unclaimed: u128,
    pub gas: u64,
}

impl Claimable {
    fn new(channel: &payments::channel::Channel, best: Best) -> Self {
        let channel = payments::channel::Channel { signer_has_code: best.was_asked, ..*channel };
        let gas = claim_gas::of(&channel, channel.token == address::WRAPPED_BTC);
        let unclaimed = best.voucher.voucher.cumulative_amount.saturating_sub(channel.settled);
        Self { token: channel.token, voucher: best.voucher, unclaimed, gas }
    }

    pub fn is_of_coins(&self) -> bool {
        is_bitcoin(self.token)
    }

    /// Whether it brings more than its gas costs, where that of a plain channel costs `plain` wei. What another token is worth is not known here.
    fn is_worth(&self, plain: u128) -> bool {
        !self.is_of_coins() || self.unclaimed > claim_gas::cost(self.gas, plain)
    }
}

/// Claims vouchers in their order, those of one token by as few transactions as there can be, and tells each. What is refused is claimed in ever smaller parts, until it is
/// known which voucher it is; it keeps no other from being claimed.
///
/// # Errors
///
/// The node does not answer, or a voucher was refused; those before it, and in the second case all others, are claimed.
pub async fn collect(spender: &Spender<'_>, claimable: Vec<Claimable>, context: &Context) -> Result<()> {
    let mut refused = None;
    for (token, claims) in by_token(claimable) {
        let mut parts: VecDeque<&[Claimable]> = VecDeque::from([&claims[..]]);
        while let Some(part) = parts.pop_front() {
            let (now, later) = part.split_at(claim_gas::fitting(part.iter().map(|claim| claim.gas)).min(part.len()));
            if !later.is_empty() {
                parts.push_front(later);
            }
            let vouchers: Vec<_> = now.iter().map(|claim| claim.voucher.clone()).collect();
            match claim_all(spender, &vouchers).await {
                // Somebody was faster, or a payer's code thinks otherwise by now.
                Ok(receipt) if claimed(&receipt).is_zero() => refused = Some(eyre!("it claimed nothing")),
                Ok(receipt) => print_claimed(&receipt, token, &vouchers, context),
                Err(error) if !is_of_the_call(&error) => return Err(error),
                Err(error) if now.len() == 1 => {
                    let channel = vouchers[0].voucher.channel_id;
                    tracing::warn!(%channel, error = format!("{error:#}"), "voucher is not claimed");
                    refused = Some(error.wrap_err(format!("channel {channel}")));
                }
                Err(_) => {
                    let (first, second) = now.split_at(now.len() / 2);
                    parts.push_front(second);
                    parts.push_front(first);
                }
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Apart by their tokens, in the order of the first of each.
fn by_token(claimable: Vec<Claimable>) -> Vec<(Address, Vec<Claimable>)> {
    let mut tokens: Vec<(Address, Vec<Claimable>)> = Vec::new();
    for claim in claimable {
        match tokens.iter_mut().find(|(other, _)| *other == claim.token) {
            Some((_, claims)) => claims.push(claim),
            None => tokens.push((claim.token, vec![claim])),
        }
    }
    tokens
}

/// Whether something is wrong with what was to be carried out, and not with who was to do it: a part of it may still be.
fn is_of_the_call(error: &eyre::Report) -> bool {
    let of_the_call = |error: &Error| matches!(error, Error::Reverted { .. } | Error::Failed { .. });
    error.chain().any(|cause| cause.is::<TooDear>() || cause.downcast_ref::<Error>().is_some_and(of_the_call))
}

fn print_claimed(receipt: &TransactionReceipt, token: Address, vouchers: &[SignedVoucher], context: &Context) {
    let amount = claimed(receipt);
    let channels: Vec<B256> = vouchers.iter().map(|signed| signed.voucher.channel_id).collect();
    let (gas_used, transaction) = (receipt.gas_used, receipt.transaction_hash);
    let event = Event::Claimed { channels: channels.clone(), token, amount: amount.to_string(), gas_used, transaction };
    context.print(&event, || {
        let (amount, count) = (shown_amount(token, amount.saturating_to()), channels.len());
        println!("Claimed {amount} of {count} channel(s) for {gas_used} gas (transaction {transaction})");
    });
}

/// The last voucher of each channel, checked as the contract will check it.
async fn best_of(network: &KnownNetwork, vouchers: Vec<SignedVoucher>, least: Amount) -> Result<Vec<Claimable>> {
    let header = network.final_header().await?;
    let mut best = Vec::new();
    for (id, vouchers) in by_channel(vouchers) {
        let channel = match channel(network, header.as_ref(), id).await {
            Err(error) if error.is::<NoChannel>() => {
                tracing::warn!("voucher left out: {error:#}");
                continue;
            }
            channel => channel?,
        };
        let Some(claim) = claimable(network, id, &channel, vouchers).await? else { continue };
        if claim.is_worth(amount::wei(least).saturating_to()) {
            best.push(claim);
        } else {
            tracing::warn!(channel = %id, "voucher left out: it adds {}, no more than its gas costs", shown_amount(claim.token, claim.unclaimed));
        }
    }
    // What brings most for its gas first.
    best.sort_by_key(|claim| claim.gas);
    ensure!(
        !best.is_empty(),
        "no voucher is worth anything: see the warnings above, or the channels' state by `causeway pay status`"
    );
    Ok(best)
}

/// Vouchers, apart by their channels.
pub fn by_channel(vouchers: Vec<SignedVoucher>) -> BTreeMap<B256, Vec<SignedVoucher>> {
    let mut channels: BTreeMap<B256, Vec<SignedVoucher>> = BTreeMap::new();
    for signed in vouchers {
        channels.entry(signed.voucher.channel_id).or_default().push(signed);
    }
    channels
}

/// What to claim of a channel.
pub async fn claimable(
    network: &KnownNetwork,
    id: B256,
    channel: &Channel,
    vouchers: Vec<SignedVoucher>,
) -> Result<Option<Claimable>> {
    let best = best_of_channel(network, id, channel, vouchers).await?;
    Ok(best.map(|best| Claimable::new(&for_vouchers(network, id, channel), best)))
}

/// The last voucher that is worth something.
pub struct Best {
    pub voucher: SignedVoucher,
    /// The signer is a contract, which said that it signed this (EIP-1271).
    was_asked: bool,
}

/// The last voucher that is worth something to a channel; those that are not are named in warnings. Where its signer is a contract, that is asked as it will be asked when this
/// is claimed.
pub async fn best_of_channel(
    network: &KnownNetwork,
    id: B256,
    channel: &Channel,
    vouchers: Vec<SignedVoucher>,
) -> Result<Option<Best>> {
    let (best, left_out) = best_voucher(&domain(network), &for_vouchers(network, id, channel), vouchers);
    let is_anothers = |refused: &Refused| matches!(refused, Refused::BadForm(_) | Refused::NotTheSigner { .. });
    let asks = left_out.iter().any(|(_, refused)| is_anothers(refused));
    let mut questions = match asks && !network.client.code(channel.signer).await?.is_empty() {
        true => MAX_QUESTIONS,
        false => 0,
    };
    for (signed, refused) in left_out {
        if questions > 0 && is_anothers(&refused) {
            questions -= 1;
            if would_be_paid(&network.client, &signed).await? {
                return Ok(Some(Best { voucher: signed, was_asked: true }));
            }
        }
        tracing::warn!(channel = %id, total = %signed.voucher.cumulative_amount, %refused, "voucher left out");
    }
    Ok(best.map(|voucher| Best { voucher, was_asked: false }))
}

/// As the contract answers now.
async fn would_be_paid(client: &Client, signed: &SignedVoucher) -> Result<bool> {
    let SignedVoucher { voucher, signature } = signed.clone();
    let call = MicroChannel::claimCall {
        channelId: voucher.channel_id,
        cumulativeAmount: voucher.cumulative_amount,
        signature,
    };
    match client.call(address::MICRO_CHANNEL, &call).await {
        Ok(_) => Ok(true),
        Err(Error::Reverted { .. }) => Ok(false),
        Err(error) => Err(error).wrap_err("cannot ask the contract that signs for this channel"),
    }
}

/// Claims vouchers of different channels by one transaction.
async fn claim_all(spender: &Spender<'_>, best: &[SignedVoucher]) -> Result<TransactionReceipt> {
    let call = Call { to: Some(address::MICRO_CHANNEL), value: U256::ZERO, input: claim_many(best) };
    let done = |receipt: &TransactionReceipt| Ok(receipt.clone());
    spender.transact(&call, done).await.wrap_err("the vouchers are not claimed")
}

/// Wei that a transaction claimed.
fn claimed(receipt: &TransactionReceipt) -> U256 {
    let logs = receipt.inner.logs().iter().filter(|log| log.inner.address == address::MICRO_CHANNEL);
    let claims = logs.filter_map(|log| MicroChannel::Settled::decode_log(&log.inner).ok());
    claims.fold(U256::ZERO, |sum, claimed| sum.saturating_add(claimed.amount))
}
