//! Deposits that something else spends in the mempool, as their owner's reclaim: it may be mined at once, or never.
//!
//! ```text
//!   seen in the mempool --RETRY_EVERY blocks--> swept alone, if nothing else is to be swept --RETRY_EVERY blocks--> ...
//! ```
//! So it is in no sweep with others, and who spends a deposit twice by what no miner takes keeps nobody else waiting.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::OutPoint;
use mainchain::header::Height;

use super::facts::BitcoinView;
use super::view::LedgerView;
use crate::vault_tx::facts::LedgerFacts;

/// Blocks after which a sweep of a contested deposit is tried, and after which again.
pub const RETRY_EVERY: u32 = 6;
/// Deposits that are tried in one decision.
const MOST_TRIES: usize = 8;

/// Since which height of the best chain deposits are contested.
#[derive(Clone, Debug, Default)]
pub struct Contested(BTreeMap<OutPoint, Height>);

impl Contested {
    /// Takes in which are so now.
    pub fn look(&mut self, ledger: &LedgerView, bitcoin: &BitcoinView) {
        if bitcoin.unconfirmed.is_empty() {
            return self.0.clear();
        }
        let ours: BTreeSet<_> = ledger.entries.values().map(|entry| entry.txid).collect();
        let foreign = bitcoin.unconfirmed.iter().filter(|(_, by)| !ours.contains(*by));
        let now: BTreeSet<OutPoint> = foreign.map(|(outpoint, _)| *outpoint).collect();
        self.0.retain(|outpoint, _| now.contains(outpoint));
        let tip = ledger.light().height;
        for outpoint in now {
            self.0.entry(outpoint).or_insert(tip);
        }
    }

    /// Takes them out of what is planned together; the facts of those that are to be tried, each alone.
    pub fn split_off(&self, facts: &mut LedgerFacts, tip: Height) -> Vec<LedgerFacts> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (contested, others) = std::mem::take(&mut facts.deposits)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(outpoint, _)| self.0.contains_key(outpoint));
        let is_due = |(outpoint, _): &(OutPoint, _)| {
            let waited = tip.saturating_sub(self.0[outpoint]);
            waited >= RETRY_EVERY && waited.is_multiple_of(RETRY_EVERY)
        };
        let due = contested.into_iter().filter(is_due).take(MOST_TRIES);
        let alone = due.map(|one| LedgerFacts { deposits: BTreeMap::from([one]), ..facts.clone() }).collect();
        facts.deposits = others;
        alone
    }
}
