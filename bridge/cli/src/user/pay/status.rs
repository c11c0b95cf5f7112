//! `causeway pay status`: where a channel is.

use alloy_primitives::B256;
use eyre::Result;

use super::channel::{channel, kind, shown_amount};
use super::event::{Event, Listed};
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
    let listed = Listed::of(&network, args.channel, &channel, None);
    let state = listed.state;
    let event = Event::Status(listed);
    context.print(&event, || {
        println!("Channel {} {}", args.channel, format!("{state:?}").to_lowercase());
        println!("  from     {}\n  to       {}", channel.payer, channel.payee);
        if channel.has_splits {
            println!("           and others, of each payment");
        }
        let (claimed, deposit) =
            (shown_amount(channel.token, channel.settled), shown_amount(channel.token, channel.deposit));
        println!("  claimed  {claimed} of {deposit}{}", kind(channel.token));
    });
    Ok(())
}
