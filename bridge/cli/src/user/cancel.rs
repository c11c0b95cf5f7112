//! `causeway cancel`: the change of mind while a withdrawal is still queued.

use alloy_primitives::{B256, U256};
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Call;
use bridge::peg::WithdrawalStatus;
use contracts::Bridge;
use eyre::{Result, WrapErr, bail, eyre};
use serde::Serialize;

use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::sidechain::{INCLUSION, SidechainArgs};

/// Take a withdrawal back while it is still queued
///
/// The coins return to your account. Once a vault transaction pays it, a withdrawal cannot be cancelled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway cancel 7 --keystore me.keystore")]
pub struct Args {
    /// The withdrawal's number, as `causeway peg-out` printed it
    id: u64,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    sidechain: SidechainArgs,
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
        let (client, info) = args.sidechain.connect().await?;
        let id = args.id;
        let withdrawal = client.withdrawal(id).await?.ok_or_else(|| eyre!("there is no withdrawal {id}"))?;
        if withdrawal.status != WithdrawalStatus::Queued {
            bail!("withdrawal {id} is {}: only a queued one can be cancelled", name(withdrawal.status));
        }
        let account = args.account.open(&info)?;
        if account.address() != withdrawal.owner {
            bail!("withdrawal {id} belongs to {}, you are {}", withdrawal.owner, account.address());
        }
        let call = Call::new(info.contracts.bridge, &Bridge::cancelCall { id: U256::from(id) });
        let receipt =
            account.transact(&client, &call, INCLUSION).await.wrap_err("the bridge does not cancel the withdrawal")?;
        let value = Amount::from_sat(withdrawal.amount_sat);
        let event = Cancelled { id, transaction: receipt.transaction_hash, amount_sat: withdrawal.amount_sat };
        context.print(&event, || {
            println!("Withdrawal {id} cancelled: {} are back at {}", amount::show(value), account.address())
        });
        Ok(())
    })
}

fn name(status: WithdrawalStatus) -> &'static str {
    match status {
        WithdrawalStatus::Queued => "queued",
        WithdrawalStatus::Paying => "being paid",
        WithdrawalStatus::Paid => "paid",
        WithdrawalStatus::Cancelled => "cancelled already",
    }
}
