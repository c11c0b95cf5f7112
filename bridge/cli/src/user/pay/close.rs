//! `causeway pay close`: the payee closes at once, with its last voucher; the payer asks first, and takes the rest after the delays.

use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::TransactionReceipt;
use bridge::io::sidechain::{Call, Client};
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use light::micro_channel::Channel;
use payments::channel::SeenAt;
use payments::payee::claim_gas;
use payments::voucher::SignedVoucher;
use paywall::io::serve::sold_by;

use super::channel::{channel, closable_from, domain, for_vouchers, shown_amount};
use super::claim::best_of_channel;
use super::event::Event;
use super::receive::received;
use super::serve::folder;
use super::voucher_file::VoucherFile;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Close a channel: as payee at once; as payer first ask, then, when the delays have passed, take the rest
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay close 0x6b62... --voucher voucher.json --dev-account 1
  causeway pay close 0x6b62... --dev-account 0")]
pub struct CloseArgs {
    /// The channel's id
    channel: B256,
    /// As payee: your vouchers, one a line; the last is claimed before the rest goes back. `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "forfeit")]
    voucher: Option<PathBuf>,
    /// As payee: give back all that was not claimed yet, also what you hold vouchers for
    #[arg(long)]
    forfeit: bool,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Closes a channel, or takes the next step towards it.
///
/// # Errors
///
/// The channel is closed already or between others, the payee names neither a voucher that is worth something nor `--forfeit`, the delays are not over, or the
/// node does not answer.
pub async fn close(args: CloseArgs, context: &Context) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let (id, header) = (args.channel, network.final_header().await?);
    let channel = channel(&network, header.as_ref(), id).await?;
    ensure!(!channel.finalized, "channel {id} is closed already");
    let last = match args.voucher {
        Some(path) => Some(last_voucher(&network, id, &channel, VoucherFile::read(&path)?.all()?).await?),
        None => None,
    };
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let own = spender.account.address();
    if own == channel.payee && (own != channel.payer || last.is_some() || args.forfeit) {
        let (call, total) = payees_close(id, &channel, last, args.forfeit)?;
        check_received(&network, own, id, &channel, total, args.forfeit)?;
        check_books(&network, &spender, id, &channel, total, args.forfeit).await?;
        return close_by(&spender, id, &channel, &call, context).await;
    }
    ensure!(own == channel.payer, "channel {id} is between {} and {}, you are {own}", channel.payer, channel.payee);
    ensure!(last.is_none() && !args.forfeit, "--voucher and --forfeit are for the payee: you are the payer");
    let Some(requested) = channel.close_requested else { return ask_to_close(&spender, id, context).await };
    check_delays(&network.client, id, closable_from(&network, requested)).await?;
    let call = Call::new(address::MICRO_CHANNEL, &MicroChannel::withdrawCall { channelId: id });
    close_by(&spender, id, &channel, &call, context).await
}

/// The voucher that a payee closes with; one that was claimed before is as good.
async fn last_voucher(
    network: &KnownNetwork,
    id: B256,
    channel: &Channel,
    vouchers: Vec<SignedVoucher>,
) -> Result<SignedVoucher> {
    let vouchers: Vec<_> = vouchers.into_iter().filter(|signed| signed.voucher.channel_id == id).collect();
    ensure!(!vouchers.is_empty(), "no voucher is for channel {id}");
    let stale = vouchers.iter().max_by_key(|signed| signed.voucher.cumulative_amount).cloned();
    let best = best_of_channel(network, id, channel, vouchers).await?.map(|best| best.voucher);
    let best = best.or_else(|| stale.filter(|signed| signed.voucher.cumulative_amount == channel.settled));
    best.ok_or_else(|| {
        eyre!("no voucher is worth anything more: see the warnings above; to close without one, say --forfeit")
    })
}

/// What `pay receive` took in this home is not given away unless that is said, and then it is told.
fn check_received(
    network: &KnownNetwork,
    payee: Address,
    id: B256,
    channel: &Channel,
    total: u128,
    forfeit: bool,
) -> Result<()> {
    let Some((held, file)) = received(network, payee, id, channel.token)? else { return Ok(()) };
    if held <= total {
        return Ok(());
    }
    let [held, claimed] = [held, total].map(|units| shown_amount(channel.token, units));
    ensure!(
        forfeit,
        "you received {held} by channel {id}, of which {claimed} would be claimed: close it with --voucher {}, or give the rest away with --forfeit",
        file.display()
    );
    eprintln!(
        "warning: {held} were received by channel {id} ({}), and {claimed} of it claimed: the rest is given away",
        file.display()
    );
    Ok(())
}

/// What this home's own paywall sold by the channel is not given away: it holds vouchers for it. Less than its claim would cost may be, if that is said.
async fn check_books(
    network: &KnownNetwork,
    spender: &Spender<'_>,
    id: B256,
    channel: &Channel,
    total: u128,
    forfeit: bool,
) -> Result<()> {
    let (account, head) = (&spender.account, network.client.head().await?);
    let at = SeenAt { block: head.number, unix_s: head.timestamp };
    let (folder, seen) = (folder(network, account.address()), for_vouchers(network, id, channel));
    let sold = sold_by(&folder, account.secret(), domain(network), seen, at).wrap_err_with(|| {
        format!("the books of this home's paywall, which may have sold something by channel {id}, cannot be read: stop `causeway pay serve` first")
    })?;
    let worth = network.client.fees().await?.cost(claim_gas::PLAIN).saturating_to::<u128>();
    ensure!(
        sold <= total || forfeit && sold - total <= worth,
        "this home's paywall sold {} by channel {id} and holds vouchers for it, of which {} would be claimed: the same `causeway pay serve` with `--claim-at '1 sat'` claims the rest; then close it",
        shown_amount(channel.token, sold),
        shown_amount(channel.token, total),
    );
    Ok(())
}

/// With a voucher, or with the word that all the rest is given away; and what is claimed then in all.
fn payees_close(id: B256, channel: &Channel, last: Option<SignedVoucher>, forfeit: bool) -> Result<(Call, u128)> {
    let (total, signature) = match last {
        Some(SignedVoucher { voucher, signature }) => (voucher.cumulative_amount, signature),
        None if forfeit => (channel.settled, Bytes::new()),
        None => bail!(
            "closing gives back all that you did not claim, {} of it: name your last voucher (--voucher FILE), or say that you have none (--forfeit)",
            shown_amount(channel.token, channel.deposit.saturating_sub(channel.settled))
        ),
    };
    let close = MicroChannel::closeCall { channelId: id, cumulativeAmount: total, signature };
    Ok((Call::new(address::MICRO_CHANNEL, &close), total))
}

/// Both delays that the payee has are over.
async fn check_delays(client: &Client, id: B256, (at_unix_s, at_block): (u64, u64)) -> Result<()> {
    let head = client.head().await?;
    let seconds = at_unix_s.saturating_sub(head.timestamp);
    let blocks = at_block.saturating_sub(head.number);
    ensure!(
        seconds == 0 && blocks == 0,
        "channel {id} can be closed in {} and {blocks} blocks: until then the payee may claim",
        humantime::format_duration(Duration::from_secs(seconds)),
    );
    Ok(())
}

/// Closes by `call`; the rest goes back to the payer.
async fn close_by(spender: &Spender<'_>, id: B256, channel: &Channel, call: &Call, context: &Context) -> Result<()> {
    let closed = |receipt: &TransactionReceipt| {
        let closed: MicroChannel::ChannelClosed = emitted(receipt, address::MICRO_CHANNEL)?;
        ensure!(closed.channelId == id, "another channel was closed than was asked for");
        Ok((closed.refund, receipt.transaction_hash))
    };
    let (refund, transaction) = spender.transact(call, closed).await.wrap_err("the channel is not closed")?;
    context.print(&Event::Closed { channel: id, refund: refund.to_string(), transaction }, || {
        println!(
            "Channel {id} closed: {} went back to {}",
            shown_amount(channel.token, refund.saturating_to()),
            channel.payer
        );
    });
    Ok(())
}

/// A time in unix seconds; beyond the year 9999 as a number, for a node may say anything.
fn date(unix_s: u64) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    if unix_s >= YEAR_10000 {
        return format!("second {unix_s} since 1970");
    }
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(unix_s)).to_string()
}

/// The payer asks; the delays begin.
async fn ask_to_close(spender: &Spender<'_>, id: B256, context: &Context) -> Result<()> {
    let call = Call::new(address::MICRO_CHANNEL, &MicroChannel::requestCloseCall { channelId: id });
    let closing = |receipt: &TransactionReceipt| {
        let closing: MicroChannel::CloseRequested = emitted(receipt, address::MICRO_CHANNEL)?;
        Ok((closing, receipt.transaction_hash))
    };
    let (closing, transaction) = spender.transact(&call, closing).await.wrap_err("the channel is not closing")?;
    let (closable_at, closable_at_block) =
        (closing.closableAt.saturating_to(), closing.closableAtBlock.saturating_to());
    let event = Event::Closing { channel: id, closable_at, closable_at_block, transaction };
    context.print(&event, || {
        println!(
            "Channel {id} closing: the payee may claim until {} and block {closable_at_block}; then run this command again",
            date(closable_at),
        );
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy_sol_types::SolCall as _;

    use super::*;

    #[test]
    fn a_payee_gives_nothing_away_without_saying_so() {
        let channel = Channel {
            payer: Address::repeat_byte(1),
            payee: Address::repeat_byte(2),
            token: Address::ZERO,
            signer: Address::repeat_byte(1),
            deposit: 30_000_000_000,
            settled: 10_000_000_000,
            has_splits: false,
            close_requested: None,
            finalized: false,
        };
        let refused = payees_close(B256::ZERO, &channel, None, false).expect_err("it has no voucher");
        assert!(refused.to_string().contains("0.00000002 BTC"), "{refused}");
        let (call, _) = payees_close(B256::ZERO, &channel, None, true).expect("it said so");
        let close = MicroChannel::closeCall::abi_decode(&call.input).expect("a call of close");
        assert_eq!((close.cumulativeAmount, close.signature.len()), (10_000_000_000, 0));
    }

    #[test]
    fn any_time_that_a_node_says_can_be_shown() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(date(u64::MAX), "second 18446744073709551615 since 1970");
    }
}
