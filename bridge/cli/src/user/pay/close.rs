//! `causeway pay close`: the payee closes at once; the payer asks first, and takes the rest after the delays.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use bridge::amount;
use bridge::io::sidechain::{Call, Client};
use contracts::{IMicroChannel, MicroChannel, address};
use eyre::{Result, WrapErr, bail, ensure};

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
    let channel = channel(&network.client, id).await?;
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
        _ if channel.closableAtBlock == 0 => ask_to_close(&spender, id, context).await,
        _ => {
            check_delays(&network.client, id, &channel).await?;
            let call = Call::new(address::MICRO_CHANNEL, &MicroChannel::withdrawCall { id: number });
            close_by(&spender, id, channel.payer, &call, context).await
        }
    }
}

/// Both delays that the payee has are over.
async fn check_delays(client: &Client, id: u64, channel: &IMicroChannel::Channel) -> Result<()> {
    let head = client.head().await?;
    ensure!(
        head.timestamp >= channel.closableAt && head.number >= channel.closableAtBlock,
        "channel {id} can be closed in {} and {} blocks: until then the payee may claim",
        humantime::format_duration(Duration::from_secs(channel.closableAt.saturating_sub(head.timestamp))),
        channel.closableAtBlock.saturating_sub(head.number)
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
    let at = std::time::UNIX_EPOCH + Duration::from_secs(closing.closableAt);
    context.print(&event, || {
        println!(
            "Channel {id} closing: the payee may claim until {} and block {}; then run this command again",
            humantime::format_rfc3339_seconds(at),
            closing.closableAtBlock
        );
    });
    Ok(())
}
