//! `causeway pay close`: the payee closes at once; the payer asks first, and takes the rest after the delays.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use bridge::amount;
use bridge::io::sidechain::{Call, Client};
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, bail, ensure};
use light::micro_channel::Channel;

use super::channel::channel;
use super::event::Event;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Close a channel: as payee at once; as payer first ask, then, when the delays have passed, take the rest
#[derive(Debug, clap::Args)]
pub struct CloseArgs {
    /// The channel's number
    channel: u64,
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
/// The channel is closed already or between others, the delays are not over, or the node does not answer.
pub async fn close(args: CloseArgs, context: &Context) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let id = args.channel;
    let channel = channel(&network, network.final_header().await?.as_ref(), id).await?;
    ensure!(!channel.closed, "channel {id} is closed already");
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let number = U256::from(id);
    match spender.account.address() {
        own if own == channel.payee => {
            let call = Call::new(address::MICRO_CHANNEL, &MicroChannel::closeCall { id: number });
            close_by(&spender, id, channel.payer, &call, context).await
        }
        own if own != channel.payer => {
            bail!("channel {id} is between {} and {}, you are {own}", channel.payer, channel.payee)
        }
        _ if channel.closable_at_block == 0 => ask_to_close(&spender, id, context).await,
        _ => {
            check_delays(&network.client, id, &channel).await?;
            let call = Call::new(address::MICRO_CHANNEL, &MicroChannel::withdrawCall { id: number });
            close_by(&spender, id, channel.payer, &call, context).await
        }
    }
}

/// Both delays that the payee has are over.
async fn check_delays(client: &Client, id: u64, channel: &Channel) -> Result<()> {
    let head = client.head().await?;
    ensure!(
        head.timestamp >= channel.closable_at && head.number >= channel.closable_at_block,
        "channel {id} can be closed in {} and {} blocks: until then the payee may claim",
        humantime::format_duration(Duration::from_secs(channel.closable_at.saturating_sub(head.timestamp))),
        channel.closable_at_block.saturating_sub(head.number)
    );
    Ok(())
}

/// Closes by `call`; the rest goes back to the payer.
async fn close_by(spender: &Spender<'_>, id: u64, payer: Address, call: &Call, context: &Context) -> Result<()> {
    let closed = |receipt: &TransactionReceipt| {
        let closed: MicroChannel::Closed = emitted(receipt, address::MICRO_CHANNEL)?;
        Ok((closed.refund, receipt.transaction_hash))
    };
    let (refund, transaction) = spender.transact(call, closed).await.wrap_err("the channel is not closed")?;
    context.print(&Event::Closed { channel: id, refund: refund.to_string(), transaction }, || {
        println!("Channel {id} closed: {} went back to {payer}", amount::show_wei(refund));
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
async fn ask_to_close(spender: &Spender<'_>, id: u64, context: &Context) -> Result<()> {
    let call = Call::new(address::MICRO_CHANNEL, &MicroChannel::requestCloseCall { id: U256::from(id) });
    let closing = |receipt: &TransactionReceipt| {
        let closing: MicroChannel::CloseRequested = emitted(receipt, address::MICRO_CHANNEL)?;
        Ok((closing, receipt.transaction_hash))
    };
    let (closing, transaction) = spender.transact(&call, closing).await.wrap_err("the channel is not closing")?;
    let event = Event::Closing {
        channel: id,
        closable_at: closing.closableAt,
        closable_at_block: closing.closableAtBlock,
        transaction,
    };
    context.print(&event, || {
        println!(
            "Channel {id} closing: the payee may claim until {} and block {}; then run this command again",
            date(closing.closableAt),
            closing.closableAtBlock
        );
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_that_a_node_says_can_be_shown() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(date(u64::MAX), "second 18446744073709551615 since 1970");
    }
}
