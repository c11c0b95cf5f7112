//! `causeway refund`: a withdrawal that nothing paid for long goes back to its owner, whoever asks.

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Call;
use bridge::peg::{Withdrawal, WithdrawalStatus};
use contracts::{Bridge, address};
use eyre::{Result, WrapErr, ensure};
use serde::Serialize;

use super::withdrawal::{find, why_not_queued};
use crate::clock::time;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Give a withdrawal that was not paid for long back to its owner
///
/// Anybody can, once it was queued for as long as the network's genesis file says. The coins go to its owner, whoever asks; should the
/// owner's code refuse them, they wait for `causeway claim`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway refund 7 --keystore me.keystore")]
pub struct Args {
    /// The withdrawal's number
    #[arg(value_parser = crate::options::number::withdrawal)]
    id: u64,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename = "refunded", rename_all = "camelCase")]
struct Refunded {
    id: u64,
    transaction: B256,
    owner: Address,
    amount_sat: u64,
}

/// Runs `causeway refund`.
///
/// # Errors
///
/// There is no such withdrawal, it is not queued, or not for long enough, or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let network = args.network.connect(&args.account).await?;
        let id = args.id;
        let withdrawal = find(&network.client, id).await?;
        check(&network, &withdrawal).await?;
        let spender = Spender::open(&network, &args.account, args.spending)?;
        let call = Call::new(address::BRIDGE, &Bridge::refundCall { id: U256::from(id) });
        let refunded = |receipt: &TransactionReceipt| {
            let refunded: Bridge::WithdrawalRefunded = emitted(receipt, address::BRIDGE)?;
            ensure!(refunded.id == U256::from(id), "withdrawal {} was given back", refunded.id);
            Ok(receipt.transaction_hash)
        };
        let transaction = spender.transact(&call, refunded).await.wrap_err("the withdrawal is not given back")?;
        let Withdrawal { owner, amount_sat, .. } = withdrawal;
        context.print(&Refunded { id, transaction, owner, amount_sat }, || {
            println!("Withdrawal {id} given back: {} to {owner}", amount::show(Amount::from_sat(amount_sat)));
        });
        Ok(())
    })
}

async fn check(network: &KnownNetwork, withdrawal: &Withdrawal) -> Result<()> {
    let id = withdrawal.id;
    ensure!(
        withdrawal.status == WithdrawalStatus::Queued,
        "{}: only a queued one can be given back",
        why_not_queued(withdrawal)
    );
    let from = withdrawal.asked_at.saturating_add(network.info.parameters.refund_after.into());
    let now = network.client.head().await?.timestamp;
    ensure!(
        now >= from,
        "withdrawal {id} can be given back by anybody from {} on; until then its owner alone can take it back: causeway cancel {id}",
        time(from)
    );
    Ok(())
}
