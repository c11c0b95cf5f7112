//! How far a withdrawal is: followed until it ends, and shown in one line.

use std::time::Duration;

use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Client;
use bridge::peg::{Withdrawal, WithdrawalStatus};
use eyre::{Result, bail};
use serde::Serialize;

use crate::context::Context;

/// How often the node is asked how far a withdrawal is.
const POLL: Duration = Duration::from_millis(500);

/// What `--json` prints at each change, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename = "withdrawal")]
struct Changed<'a> {
    #[serde(flatten)]
    withdrawal: &'a Withdrawal,
}

/// Waits until a withdrawal is paid or cancelled, showing each change.
///
/// # Errors
///
/// The node does not know the withdrawal any more, or gives an answer that asking again does not mend.
pub async fn follow(client: &Client, id: u64, context: &Context) -> Result<()> {
    let mut shown = None;
    loop {
        match client.withdrawal(id).await {
            Ok(Some(withdrawal)) => {
                if shown.replace(withdrawal.status) != Some(withdrawal.status) {
                    context.print(&Changed { withdrawal: &withdrawal }, || println!("{}", describe(&withdrawal)));
                }
                if matches!(withdrawal.status, WithdrawalStatus::Paid | WithdrawalStatus::Cancelled) {
                    return Ok(());
                }
            }
            Ok(None) => {
                bail!("the node at {} does not know withdrawal {id} any more: it is not the node it was", client.url())
            }
            Err(error) if error.retry() => tracing::warn!(%error, "asking again"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A withdrawal in one line.
pub fn describe(withdrawal: &Withdrawal) -> String {
    let value = Amount::from_sat(withdrawal.amount_sat);
    let paid = amount::show(Amount::from_sat(withdrawal.amount_sat.saturating_sub(withdrawal.share_sat)));
    let by = || match (withdrawal.number, withdrawal.txid) {
        (Some(number), Some(txid)) => format!("by vault transaction {number} ({txid})"),
        (Some(number), None) => format!("by vault transaction {number}"),
        _ => String::new(),
    };
    match withdrawal.status {
        WithdrawalStatus::Queued => {
            format!("Withdrawal {}: {} queued for the next payout", withdrawal.id, amount::show(value))
        }
        WithdrawalStatus::Paying => format!("Withdrawal {}: paying {paid} {}", withdrawal.id, by()),
        WithdrawalStatus::Paid => format!("Withdrawal {}: paid {paid} {}", withdrawal.id, by()),
        WithdrawalStatus::Cancelled => format!(
            "Withdrawal {}: cancelled, {} went back to {}",
            withdrawal.id,
            amount::show(value),
            withdrawal.owner
        ),
    }
}
