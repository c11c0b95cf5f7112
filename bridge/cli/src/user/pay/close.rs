//! `causeway pay close`: the payee closes at once; the payer asks first, and takes the rest after the delays.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use bridge::amount;
use bridge::io::sidechain::{Account, Call, Client};
use bridge::peg::Info;
use contracts::{IMicroChannel, MicroChannel};
use eyre::{Result, WrapErr, bail, ensure};

use super::channel::{channel, emitted};
use super::event::Event;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::sidechain::{INCLUSION, SidechainArgs};

/// Close a channel: as payee at once; as payer first ask, then, when the delays have passed, take the rest
#[derive(Debug, clap::Args)]
pub struct CloseArgs {
    /// The channel's number
    channel: u64,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    sidechain: SidechainArgs,
}

/// Closes a channel, or takes the next step towards it.
///
/// # Errors
///
/// The channel is closed already or between others, the delays are not over, or the node does not answer.
pub async fn close(args: CloseArgs, context: &Context) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let id = args.channel;
    let channel = channel(&client, &info, id).await?;
    ensure!(!channel.closed, "channel {id} is closed already");
    let account = args.account.open(&info)?;
    let (contract, number) = (info.contracts.micro_channel, U256::from(id));
    match account.address() {
        own if own == channel.payee => {
            let call = Call::new(contract, &MicroChannel::closeCall { id: number });
            close_by(&client, &account, id, channel.payer, &call, context).await
        }
        own if own != channel.payer => {
            bail!("channel {id} is between {} and {}, you are {own}", channel.payer, channel.payee)
        }
        _ if channel.closableAtBlock == 0 => ask_to_close(&client, &info, &account, id, context).await,
        _ => {
            check_delays(&client, id, &channel).await?;
            let call = Call::new(contract, &MicroChannel::withdrawCall { id: number });
            close_by(&client, &account, id, channel.payer, &call, context).await
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
async fn close_by(
    client: &Client,
    account: &Account,
    id: u64,
    payer: Address,
    call: &Call,
    context: &Context,
) -> Result<()> {
    let receipt = account.transact(client, call, INCLUSION).await.wrap_err("the channel is not closed")?;
    let closed: MicroChannel::Closed = emitted(&receipt)?;
    let (refund, transaction) = (closed.refund.to_string(), receipt.transaction_hash);
    context.print(&Event::Closed { channel: id, refund, transaction }, || {
        println!("Channel {id} closed: {} went back to {payer}", amount::show_wei(closed.refund));
    });
    Ok(())
}

/// The payer asks; the delays begin.
async fn ask_to_close(client: &Client, info: &Info, account: &Account, id: u64, context: &Context) -> Result<()> {
    let call = Call::new(info.contracts.micro_channel, &MicroChannel::requestCloseCall { id: U256::from(id) });
    let receipt = account.transact(client, &call, INCLUSION).await.wrap_err("the channel is not closing")?;
    let closing: MicroChannel::CloseRequested = emitted(&receipt)?;
    let event = Event::Closing {
        channel: id,
        closable_at: closing.closableAt,
        closable_at_block: closing.closableAtBlock,
        transaction: receipt.transaction_hash,
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
