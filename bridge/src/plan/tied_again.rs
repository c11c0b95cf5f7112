//! Withdrawals that are tied to an output which nothing is about to spend any more.

use std::collections::BTreeMap;

use super::coins::{Coin, Coins};
use super::conditions::Conditions;
use super::proposal::propose;
use crate::peg::Content;
use crate::vault_tx::draft::Built;
use crate::vault_tx::facts::LedgerFacts;

/// A payout of what is tied to a live output that nothing spends: its last version can never confirm. It pays its charge up to its maximum.
pub(super) fn tied_again(ledger: &LedgerFacts, on: &Conditions, most: usize) -> Option<Content> {
    let mut by_output: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for (id, withdrawal) in &ledger.withdrawals {
        let idle = |tie: &u32| ledger.outputs.get(tie).is_some_and(|output| !output.in_use);
        if let Some(tie) = withdrawal.tie.filter(idle) {
            by_output.entry(tie).or_default().push(*id);
        }
    }
    by_output.into_iter().find_map(|(tie, mut withdrawals)| {
        withdrawals.truncate(most);
        let (epoch, rate) = (ledger.outputs.get(&tie)?.epoch, on.rate(&ledger.rules));
        let content = Content { epoch, rate, outputs: vec![tie], withdrawals, ..Content::default() };
        Some(with_more_outputs(&content, ledger, on)?.content)
    })
}

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
