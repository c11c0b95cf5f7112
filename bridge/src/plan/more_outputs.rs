//! Further outputs for a payout that its own do not suffice for any more.

use super::coins::{Coin, Coins};
use super::conditions::Conditions;
use super::proposal::propose;
use crate::peg::Content;
use crate::vault_tx::draft::Built;
use crate::vault_tx::facts::LedgerFacts;

/// The content with as few further outputs as it needs, and nobody skipped.
pub(super) fn with_more_outputs(content: &Content, ledger: &LedgerFacts, on: &Conditions) -> Option<Built> {
    let free = Coins::free(ledger, content.epoch);
    let further: Vec<Coin> = free.iter().filter(|coin| !content.outputs.contains(&coin.number)).copied().collect();
    let room = on.most_inputs(&ledger.rules).saturating_sub(content.outputs.len()).min(further.len());
    (0..=room).find_map(|more| {
        let mut content = content.clone();
        content.outputs.extend(further[..more].iter().map(|coin| coin.number));
        content.outputs.get_mut(1..).unwrap_or_default().sort_unstable();
        let wanted = content.withdrawals.len();
        propose(content, ledger).filter(|built| built.content.withdrawals.len() == wanted)
    })
}
