//! `causeway pause`: a guardian stops payouts that nothing is bound for yet.

use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionReceipt;
use bridge::io::sidechain::Call;
use contracts::{Bridge, address};
use eyre::{Result, WrapErr, ensure};
use serde::Serialize;

use crate::clock::time;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Pause payouts, as one of the guardians that the genesis file names
///
/// No withdrawal is tied to a vault output until the pause ends by itself, or a threshold of members lifts it (causeway lift). What is
/// bound already goes on, and so do deposits, cancelling and giving back. After a pause there is a time in which nobody can begin another.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway pause --keystore alice/operator.keystore")]
pub struct Args {
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename = "paused", rename_all = "camelCase")]
struct Paused {
    /// Of the pause: what `causeway lift` names.
    number: u32,
    /// Seconds since 1970.
    until: u64,
    transaction: B256,
}

/// Runs `causeway pause`.
///
/// # Errors
///
/// The account is no guardian's, the last pause is too recent, or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let network = args.network.connect(&args.account).await?;
        let spender = Spender::open(&network, &args.account, args.spending)?.free_for_members();
        let guardian = spender.account.address();
        let call = Call::new(address::BRIDGE, &Bridge::pauseCall {});
        if !spender.goes_on(&call)? {
            let guardians = &network.info.parameters.guardians;
            ensure!(
                guardians.contains(&guardian),
                "{guardian} is none of the {} guardians that the genesis file names",
                guardians.len()
            );
            check_time(&network).await?;
        }
        let paused = |receipt: &TransactionReceipt| {
            let paused: Bridge::Paused = emitted(receipt, address::BRIDGE)?;
            ensure!(paused.guardian == guardian, "{} paused", paused.guardian);
            Ok(Paused { number: paused.number, until: paused.until.to(), transaction: receipt.transaction_hash })
        };
        let done = spender.transact(&call, paused).await.wrap_err("payouts are not paused")?;
        context.print(&done, || {
            println!("Payouts are paused until {} (pause {})", time(done.until), done.number);
            println!("A threshold of members ends it earlier: causeway lift {}", done.number);
        });
        Ok(())
    })
}

async fn check_time(network: &KnownNetwork) -> Result<()> {
    let limits = network.client.limits().await?;
    let now = network.client.head().await?.timestamp;
    ensure!(
        now >= limits.pause_allowed_from,
        "pause {} {}: nobody can begin another before {}",
        limits.pause_number,
        if limits.paused_until > now { "is in force" } else { "has ended" },
        time(limits.pause_allowed_from)
    );
    Ok(())
}
