//! `causeway pay status`: where a channel is.

use alloy_primitives::U256;
use bridge::amount;
use eyre::Result;

use super::channel::shown;
use super::event::{Event, State};
use crate::context::Context;
use crate::options::home::HomeArgs;
use crate::options::network::kept_genesis;
use crate::options::sidechain::SidechainArgs;

/// Where a channel stands
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The channel's number
    channel: u64,
    #[command(flatten)]
    sidechain: SidechainArgs,
    #[command(flatten)]
    home: HomeArgs,
}

/// Shows a channel.
///
/// # Errors
///
/// There is no such channel, or the node does not answer.
pub async fn status(args: StatusArgs, context: &Context) -> Result<()> {
    let home = args.home.folder()?;
    let (client, _) = args.sidechain.connect(kept_genesis(&home)?.as_ref(), &home).await?;
    let channel = shown(&client, args.channel).await?;
    let state = match (channel.closed, channel.closableAtBlock) {
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
        closable_at: channel.closableAt,
        closable_at_block: channel.closableAtBlock,
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
