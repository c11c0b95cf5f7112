//! Withdrawals that are tied to an output which nothing is about to spend any more.

use std::collections::BTreeMap;

use super::conditions::Conditions;
use super::left_out::without_the_poor;
use super::more_outputs::with_more_outputs;
use crate::peg::Content;
use crate::vault_tx::facts::LedgerFacts;

/// A payout of what is tied to a live output that nothing spends: its last version can never confirm. It pays its charge up to its maximum; where the reserve cannot pay
/// the rest, whoever pays too little is left out.
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
        let built = with_more_outputs(&content, ledger, on);
        Some(built.or_else(|| without_the_poor(&content, 0, ledger, on))?.content)
    })
}
