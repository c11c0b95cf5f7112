//! `causeway pay claim`: the best voucher of each channel is cashed in, all in one transaction.

use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy_primitives::U256;
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolEvent;
use bridge::amount;
use bridge::io::sidechain::{Account, Call, Client};
use bridge::micro_channel::{Channel, SignedVoucher, Verifier};
use bridge::peg::Info;
use contracts::{IMicroChannel, MicroChannel};
use eyre::{Result, WrapErr, ensure, eyre};

use super::channel::{channel, domain};
use super::event::Event;
use super::voucher::read_vouchers;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::sidechain::{INCLUSION, SidechainArgs};

/// Vouchers claimed by one transaction: each takes about 50,000 gas of the 2^24 that a transaction may use.
const MAX_CLAIMS: usize = 200;

/// Check vouchers and cash in the last of each channel, in one transaction; anyone may, it is the payee who is paid
#[derive(Debug, clap::Args)]
pub struct ClaimArgs {
    /// Vouchers, one a line, in any order; `-` is standard input
    #[arg(value_name = "FILE")]
    vouchers: PathBuf,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    sidechain: SidechainArgs,
}

/// Claims the best voucher of each channel.
///
/// # Errors
///
/// No voucher is worth anything, they are of too many channels or of a closed one, or the transaction is refused.
pub async fn claim(args: ClaimArgs, context: &Context) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let best = best_of(&client, &info, read_vouchers(&args.vouchers)?).await?;
    ensure!(best.len() <= MAX_CLAIMS, "vouchers of {} channels: claim at most {MAX_CLAIMS} at a time", best.len());
    let account = args.account.open(&info)?;
    let receipt = claim_all(&client, &info, &account, &best).await?;
    let claimed = receipt.inner.logs().iter().filter_map(|log| MicroChannel::Claimed::decode_log(&log.inner).ok());
    let amount: U256 = claimed.map(|claimed| claimed.amount).sum();
    let channels: Vec<u64> = best.iter().map(|signed| signed.voucher.channel.saturating_to()).collect();
    let (gas_used, transaction) = (receipt.gas_used, receipt.transaction_hash);
    let event = Event::Claimed { channels: channels.clone(), amount: amount.to_string(), gas_used, transaction };
    context.print(&event, || {
        let amount = amount::show_wei(amount);
        println!("Claimed {amount} of channels {channels:?} for {gas_used} gas (transaction {transaction})");
    });
    Ok(())
}

/// The last voucher of each channel, checked as the contract will check it.
async fn best_of(client: &Client, info: &Info, vouchers: Vec<SignedVoucher>) -> Result<Vec<SignedVoucher>> {
    let mut channels: BTreeMap<U256, Vec<SignedVoucher>> = BTreeMap::new();
    for signed in vouchers {
        channels.entry(signed.voucher.channel).or_default().push(signed);
    }
    let mut best = Vec::new();
    for (id, vouchers) in channels {
        best.extend(best_of_channel(client, info, id, vouchers).await?);
    }
    ensure!(
        !best.is_empty(),
        "no voucher is worth anything: see the warnings above, or the channels' state by `causeway pay status`"
    );
    Ok(best)
}

async fn best_of_channel(
    client: &Client,
    info: &Info,
    id: U256,
    mut vouchers: Vec<SignedVoucher>,
) -> Result<Option<SignedVoucher>> {
    let number = u64::try_from(id).map_err(|_| eyre!("there is no channel {id}"))?;
    let channel = channel(client, info, number).await?;
    ensure!(!channel.closed, "channel {id} is closed");
    let (deposit, claimed) = (U256::from(channel.deposit), U256::from(channel.claimed));
    let known = Channel { id, payer: channel.payer, deposit, claimed };
    let mut verifier = Verifier::new(domain(info), known, U256::ONE);
    vouchers.sort_by_key(|signed| signed.voucher.total);
    for signed in vouchers {
        if let Err(refused) = verifier.accept(&signed) {
            tracing::warn!(channel = %id, total = %signed.voucher.total, %refused, "voucher left out");
        }
    }
    Ok(verifier.claim())
}

/// Claims vouchers of different channels by one transaction.
async fn claim_all(
    client: &Client,
    info: &Info,
    account: &Account,
    best: &[SignedVoucher],
) -> Result<TransactionReceipt> {
    let voucher = |signed: &SignedVoucher| IMicroChannel::Voucher {
        channel: signed.voucher.channel,
        total: signed.voucher.total,
    };
    let call = MicroChannel::claimManyCall {
        vouchers: best.iter().map(voucher).collect(),
        signatures: best.iter().map(|signed| signed.signature.clone()).collect(),
    };
    let call = Call::new(info.contracts.micro_channel, &call);
    account.transact(client, &call, INCLUSION).await.wrap_err("the vouchers are not claimed")
}
