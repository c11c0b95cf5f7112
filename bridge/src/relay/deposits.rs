//! Which deposits the ledger would take now: paid to a registered address, deep enough, large enough, and new to it.
//!
//! ```text
//!   tracked ---deep enough, large enough---> candidate ---"does the ledger know it?" no---> ready ---proposed---> known
//!                                                \---------------------------------- yes -------------------------/
//! ```
//! The ledger is asked once for each deposit: it learns of one only by a proposal, and those are read from its logs. A
//! deposit that it knows never comes back.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, OutPoint};

use super::confirmations::Depths;
use super::deposit_tracker::TrackedDeposit;
use crate::plan::ReadyDeposit;

/// The ledger's rules for deposits that can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub min_deposit: Amount,
    /// Blocks after which an owner can take an unswept deposit back.
    pub reclaim_delay: u16,
}

/// What the ledger said of tracked deposits.
#[derive(Clone, Debug, Default)]
pub struct Deposits {
    known: BTreeMap<OutPoint, bool>,
}

impl Deposits {
    /// The deposits that are deep and large enough, oldest first.
    #[must_use]
    pub fn candidates(
        tracked: &BTreeMap<OutPoint, TrackedDeposit>,
        depths: &Depths,
        rules: &Rules,
    ) -> Vec<ReadyDeposit> {
        let mut candidates: Vec<(OutPoint, TrackedDeposit)> = tracked
            .iter()
            .filter(|(_, deposit)| depths.may_sweep(deposit, rules.reclaim_delay))
            .filter(|(_, deposit)| deposit.amount >= rules.min_deposit)
            .map(|(outpoint, deposit)| (*outpoint, *deposit))
            .collect();
        candidates.sort_by_key(|(outpoint, deposit)| (deposit.height, *outpoint));
        let ready = |(outpoint, deposit): (OutPoint, TrackedDeposit)| ReadyDeposit {
            outpoint,
            amount: deposit.amount,
            max_fee: deposit.terms.max_fee,
        };
        candidates.into_iter().map(ready).collect()
    }

    /// Whether the ledger knows a deposit; none while it has not been asked.
    #[must_use]
    pub fn is_known(&self, outpoint: &OutPoint) -> Option<bool> {
        self.known.get(outpoint).copied()
    }

    /// Takes in what the ledger answered. What was proposed meanwhile stays known.
    pub fn answer(&mut self, outpoint: OutPoint, known: bool) {
        *self.known.entry(outpoint).or_default() |= known;
    }

    /// The ledger's logs show it in a proposal.
    pub fn proposed(&mut self, outpoint: OutPoint) {
        self.known.insert(outpoint, true);
    }

    /// Asks once more about deposits that a refused proposal held: another relayer may have been first.
    pub fn ask_again(&mut self, outpoints: &[OutPoint]) {
        self.known.retain(|outpoint, known| *known || !outpoints.contains(outpoint));
    }

    /// Forgets deposits that are spent, and are in no proposal that was refused.
    pub fn keep(&mut self, tracked: &BTreeMap<OutPoint, TrackedDeposit>, asked: &BTreeSet<OutPoint>) {
        self.known.retain(|outpoint, _| tracked.contains_key(outpoint) || asked.contains(outpoint));
    }
}
