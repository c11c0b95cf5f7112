//! `causeway pay claim`: the best voucher of each channel is cashed in, all in one transaction.

use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolEvent;
use bridge::channel_calls::claim_many;
use bridge::io::sidechain::Call;
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, ensure};
use light::micro_channel::Channel;
use payments::best::best_voucher;
use payments::voucher::SignedVoucher;

use super::channel::{channel, domain, for_vouchers, shown_amount};
use super::event::Event;
use super::voucher::read_vouchers;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::spending::Spender;

/// Vouchers claimed by one transaction: each takes about 30,000 gas of the 2^24 that a transaction may use.
const MAX_CLAIMS: usize = 200;

/// Check vouchers and cash in the last of each channel, 200 channels by a transaction; anyone may, it is the payee who is paid
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay claim vouchers.json --dev-account 1")]
pub struct ClaimArgs {
    /// Vouchers, one a line, in any order; `-` is standard input
    #[arg(value_name = "FILE")]
    vouchers: PathBuf,
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
/// No voucher is worth anything, or a transaction is refused. What is of closed channels is left out.
pub async fn claim(args: ClaimArgs, context: &Context) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let best = best_of(&network, read_vouchers(&args.vouchers)?).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    collect(&spender, best, context).await
}

/// A channel's best voucher, and what it pays in.
pub struct Claimable {
    pub token: Address,
    pub voucher: SignedVoucher,
}

/// Claims vouchers in their order, those of one token by as few transactions as there can be, and tells each.
///
/// # Errors
///
/// A transaction is refused; those before it are done.
pub async fn collect(spender: &Spender<'_>, claimable: Vec<Claimable>, context: &Context) -> Result<()> {
    let mut tokens: Vec<(Address, Vec<SignedVoucher>)> = Vec::new();
    for Claimable { token, voucher } in claimable {
        match tokens.iter_mut().find(|(other, _)| *other == token) {
            Some((_, vouchers)) => vouchers.push(voucher),
            None => tokens.push((token, vec![voucher])),
        }
    }
    for (token, vouchers) in tokens {
        for some in vouchers.chunks(MAX_CLAIMS) {
            let receipt = claim_all(spender, some).await?;
            print_claimed(&receipt, token, some, context);
        }
    }
    Ok(())
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
async fn best_of(network: &KnownNetwork, vouchers: Vec<SignedVoucher>) -> Result<Vec<Claimable>> {
    let header = network.final_header().await?;
    let mut best = Vec::new();
    for (id, vouchers) in by_channel(vouchers) {
        let channel = channel(network, header.as_ref(), id).await?;
        let voucher = best_of_channel(network, id, &channel, vouchers);
        best.extend(voucher.map(|voucher| Claimable { token: channel.token, voucher }));
    }
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

/// The last voucher that is worth something to a channel; those that are not are named in warnings.
pub fn best_of_channel(
    network: &KnownNetwork,
    id: B256,
    channel: &Channel,
    vouchers: Vec<SignedVoucher>,
) -> Option<SignedVoucher> {
    let (best, left_out) = best_voucher(&domain(network), &for_vouchers(network, id, channel), vouchers);
    for (signed, refused) in left_out {
        tracing::warn!(channel = %id, total = %signed.voucher.cumulative_amount, %refused, "voucher left out");
    }
    best
}

/// Claims vouchers of different channels by one transaction.
async fn claim_all(spender: &Spender<'_>, best: &[SignedVoucher]) -> Result<TransactionReceipt> {
    let call = Call { to: Some(address::MICRO_CHANNEL), value: U256::ZERO, input: claim_many(best) };
    let done = |receipt: &TransactionReceipt| {
        ensure!(!claimed(receipt).is_zero(), "it claimed nothing");
        Ok(receipt.clone())
    };
    spender.transact(&call, done).await.wrap_err("the vouchers are not claimed")
}

/// Wei that a transaction claimed.
fn claimed(receipt: &TransactionReceipt) -> U256 {
    let logs = receipt.inner.logs().iter().filter(|log| log.inner.address == address::MICRO_CHANNEL);
    let claims = logs.filter_map(|log| MicroChannel::Settled::decode_log(&log.inner).ok());
    claims.fold(U256::ZERO, |sum, claimed| sum.saturating_add(claimed.amount))
}
