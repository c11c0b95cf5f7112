//! `causeway lift`: members end a pause before its time.

use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionReceipt;
use bridge::io::sidechain::Call;
use bridge::peg::Limits;
use contracts::{Bridge, address};
use eyre::{Result, WrapErr, ensure};
use serde::Serialize;

use crate::clock::time;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::spending::Spender;

/// Vote to end a pause before its time, as a member
///
/// As many members as sign together end it. Without a number: the pause that is in force.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway lift 3 --keystore alice/operator.keystore")]
pub struct Args {
    /// The pause's number, as `causeway pause` and `causeway status` show it
    #[arg(value_parser = crate::options::number::pause)]
    number: Option<u32>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename = "lifted", rename_all = "camelCase")]
struct Lifted {
    number: u32,
    transaction: B256,
    votes: u16,
    threshold: u16,
    /// Whether the pause has ended.
    ended: bool,
}

/// Runs `causeway lift`.
///
/// # Errors
///
/// No pause is in force, or another one; the account is no member's; or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let network = args.network.connect(&args.account).await?;
        let spender = Spender::open(&network, &args.account, args.spending)?.free_for_members();
        let own = spender.account.address();
        let (limits, now) = state(&network).await?;
        let number = args.number.unwrap_or(limits.pause_number);
        let call = Call::new(address::BRIDGE, &Bridge::liftCall { network: network.network_id, number });
        if !spender.goes_on(&call)? {
            let is_member = network.info.members.iter().any(|member| member.account == own);
            ensure!(is_member, "{own} is no member of the federation");
            ensure!(limits.paused_until > now, "payouts are not paused");
            ensure!(number == limits.pause_number, "the pause that is in force has number {}", limits.pause_number);
        }
        let voted = |receipt: &TransactionReceipt| Ok(receipt.transaction_hash);
        let transaction = spender.transact(&call, voted).await.wrap_err("the vote is not counted")?;
        let (limits, now) = state(&network).await?;
        let ended = limits.pause_number != number || limits.paused_until <= now;
        let (votes, threshold) = (limits.lift_votes, network.info.threshold);
        context.print(&Lifted { number, transaction, votes, threshold, ended }, || match ended {
            true => println!("Pause {number} has ended"),
            false => println!(
                "{votes} of {threshold} members want pause {number} to end; it does so by itself at {}",
                time(limits.paused_until)
            ),
        });
        Ok(())
    })
}

/// The limits, and the time of the last block.
async fn state(network: &KnownNetwork) -> Result<(Limits, u64)> {
    Ok((network.client.limits().await?, network.client.head().await?.timestamp))
}
