//! `causeway pay status`: where a channel is.

use alloy_primitives::B256;
use eyre::Result;

use super::channel::{channel, closable_from, shown_amount};
use super::event::{Event, State};
use crate::context::Context;
use crate::options::network::NetworkArgs;

/// Where a channel stands
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The channel's id
    channel: B256,
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
    let closable = channel.close_requested.map(|requested| closable_from(&network, requested));
    let (closable_at, closable_at_block) = closable.unwrap_or_default();
    let state = match (channel.finalized, channel.close_requested) {
        (true, _) => State::Closed,
        (false, None) => State::Open,
        (false, Some(_)) => State::Closing,
    };
    let event = Event::Status {
        channel: args.channel,
        payer: channel.payer,
        payee: channel.payee,
        token: channel.token,
        signer: channel.signer,
        deposit: channel.deposit.to_string(),
        claimed: channel.settled.to_string(),
        state,
        closable_at,
        closable_at_block,
    };
    context.print(&event, || {
        println!("Channel {} {}", args.channel, format!("{state:?}").to_lowercase());
        println!("  from     {}\n  to       {}", channel.payer, channel.payee);
        if channel.has_splits {
            println!("           and others, of each payment");
        }
        let (claimed, deposit) =
            (shown_amount(channel.token, channel.settled), shown_amount(channel.token, channel.deposit));
        println!("  claimed  {claimed} of {deposit}");
    });
    Ok(())
}
