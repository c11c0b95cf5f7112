//! `causeway pay status`: where a channel is.

use alloy_primitives::U256;
use bridge::amount;
use eyre::Result;

use super::channel::channel;
use super::event::{Event, State};
use crate::context::Context;
use crate::options::network::NetworkArgs;

/// Where a channel stands
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The channel's number
    channel: u64,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Shows a channel.
///
/// # Errors
///
/// There is no such channel, or the node does not answer.
pub async fn status(args: StatusArgs, context: &Context) -> Result<()> {
    let network = args.network.connect_to_pay().await?;
    let channel = channel(&network, network.final_header().await?.as_ref(), args.channel).await?;
    let state = match (channel.closed, channel.closable_at_block) {
        (true, _) => State::Closed,
        (false, 0) => State::Open,
        (false, _) => State::Closing,
    };
    let event = Event::Status {
        channel: args.channel,
        payer: channel.payer,
        payee: channel.payee,
        deposit: channel.deposit.to_string(),
        claimed: channel.claimed.to_string(),
        state,
        closable_at: channel.closable_at,
        closable_at_block: channel.closable_at_block,
    };
    context.print(&event, || {
        let (claimed, deposit) =
            (amount::show_wei(U256::from(channel.claimed)), amount::show_wei(U256::from(channel.deposit)));
        println!("Channel {} {}", args.channel, format!("{state:?}").to_lowercase());
        println!("  from     {}\n  to       {}", channel.payer, channel.payee);
        println!("  claimed  {claimed} of {deposit}");
    });
    Ok(())
}
