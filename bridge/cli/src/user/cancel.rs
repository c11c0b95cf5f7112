//! `causeway cancel`: the change of mind while a withdrawal is still queued.

use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Call;
use bridge::peg::WithdrawalStatus;
use contracts::{Bridge, address};
use eyre::{Result, WrapErr, bail, ensure};
use serde::Serialize;

use super::withdrawal::{find, why_not_queued};
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Take a withdrawal back while it is still queued
///
/// The coins return to your account. Once a vault transaction that pays it is bound, a withdrawal cannot be cancelled, until it is shown
/// that none can ever confirm.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway cancel 7 --keystore me.keystore")]
pub struct Args {
    /// The withdrawal's number, as `causeway peg-out` printed it
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
#[serde(tag = "event", rename = "cancelled", rename_all = "camelCase")]
struct Cancelled {
    id: u64,
    transaction: B256,
    amount_sat: u64,
}

/// Runs `causeway cancel`.
///
/// # Errors
///
/// There is no such withdrawal, it is another account's or not queued any more, or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let network = args.network.connect(&args.account).await?;
        let id = args.id;
        let withdrawal = find(&network.client, id).await?;
        if withdrawal.status != WithdrawalStatus::Queued {
            bail!("{}: only a queued one can be cancelled", why_not_queued(&withdrawal));
        }
        let spender = Spender::open(&network, &args.account, args.spending)?;
        let own = spender.account.address();
        ensure!(own == withdrawal.owner, "withdrawal {id} belongs to {}, you are {own}", withdrawal.owner);
        let call = Call::new(address::BRIDGE, &Bridge::cancelCall { id: U256::from(id) });
        let cancelled = |receipt: &TransactionReceipt| {
            let cancelled: Bridge::WithdrawalCancelled = emitted(receipt, address::BRIDGE)?;
            ensure!(cancelled.id == U256::from(id), "withdrawal {} was cancelled", cancelled.id);
            Ok(receipt.transaction_hash)
        };
        let transaction = spender.transact(&call, cancelled).await.wrap_err("the withdrawal is not cancelled")?;
        let value = Amount::from_sat(withdrawal.amount_sat);
        let event = Cancelled { id, transaction, amount_sat: withdrawal.amount_sat };
        context.print(&event, || println!("Withdrawal {id} cancelled: {} are back at {own}", amount::show(value)));
        Ok(())
    })
}
