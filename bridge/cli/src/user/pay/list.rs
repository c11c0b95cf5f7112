//! `causeway pay list`: the channels of an account, from the chain alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy_primitives::{Address, B256};
use eyre::Result;

use super::channel::{channel, kind, shown_amount};
use super::event::{Event, Listed};
use super::seed::{self, Opened, Side};
use crate::context::Context;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::progress::Progress;

/// Channels that are shown: the latest.
const MOST: usize = 1_000;

/// List the channels of an account, found on the chain alone
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay list 0x7099...
  causeway pay list 0x7099... --payee
  causeway pay list 0x7099... --seed payments.seed")]
pub struct ListArgs {
    /// The account
    #[arg(value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    account: Address,
    /// Channels that pay it, instead of those that it opened
    #[arg(long)]
    payee: bool,
    /// Only channels of this seed, with their numbers
    #[arg(long, value_name = "FILE", conflicts_with = "payee")]
    seed: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Lists channels.
///
/// # Errors
///
/// The node does not answer, or does not prove what it says.
pub async fn list(args: ListArgs, context: &Context) -> Result<()> {
    let network = args.network.connect_to_pay().await?;
    let side = if args.payee { Side::Payee } else { Side::Payer };
    let progress = Progress::new(context);
    let looking = seed::opened(&network.client, network.chain_id, args.account, side);
    let mut opened = progress.during("looking for channels in the chain's logs", looking).await?;
    let mut numbers = BTreeMap::new();
    if let Some(path) = &args.seed {
        numbers = numbers_of(&seed::read(path)?, &network, args.account, &opened);
        opened.retain(|opened| numbers.contains_key(&opened.id));
    }
    if opened.len() > MOST {
        eprintln!("Shown are the latest {MOST} of {} channels", opened.len());
        opened.drain(..opened.len() - MOST);
    }
    let header = network.final_header().await?;
    let mut channels = Vec::new();
    let count = opened.len() as u64;
    for (Opened { id, .. }, nth) in opened.into_iter().zip(0..) {
        progress.of("asking for channels", nth, count);
        let channel = channel(&network, header.as_ref(), id).await?;
        channels.push(Listed::of(&network, id, &channel, numbers.get(&id).copied()));
    }
    progress.clear();
    context.print(&Event::Channels { account: args.account, channels: channels.clone() }, || {
        for one in &channels {
            println!("{} {}", one.channel, format!("{:?}", one.state).to_lowercase());
            println!("  from {} to {}", one.payer, one.payee);
            let [claimed, deposit] = [one.claimed, one.deposit].map(|units| shown_amount(one.token, units));
            println!("  claimed {claimed} of {deposit}{}", kind(one.token));
        }
        println!("{} channel(s) of {}", channels.len(), args.account);
    });
    Ok(())
}

fn numbers_of(
    seed: &payments::seed::Seed,
    network: &KnownNetwork,
    payer: Address,
    opened: &[Opened],
) -> BTreeMap<B256, u32> {
    let terms: Vec<_> = opened.iter().map(|opened| opened.terms).collect();
    let domain = super::channel::domain(network);
    let found = seed.find(network.network_id, payer, &terms).into_iter();
    found.map(|(number, (_, terms))| (terms.channel_id(&domain), number)).collect()
}
