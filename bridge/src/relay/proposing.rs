//! What a member proposes: sweeps, payouts, consolidations, other versions of what is stuck, each at a place of its own, so that none waits for
//! another. What is made of which is in [`crate::plan`].
//!
//! A place is used again only when its proposal was bound, or came to nothing: others may be about to approve it.

use std::collections::BTreeSet;

use super::action::Action;
use super::contested::Contested;
use super::drafting::{InUse, ledger_facts};
use super::duty::{Duty, Kind, Offer, Task};
use super::facts::BitcoinView;
use super::proposers::{Proposers, may_be_approved};
use super::refusals::{Refusals, Verdict};
use super::versions::{self, Waiting};
use super::view::LedgerView;
use crate::peg::Content;
use crate::plan::{self, Budget, Conditions};

/// What one relayer remembers of proposals.
#[derive(Clone, Debug)]
pub struct Proposing {
    me: u16,
    /// Blocks after which the recovery key can take a vault output.
    recovery_delay: u32,
    /// A rate that is always low.
    low_rate: u64,
    proposers: Proposers,
    refusals: Refusals,
    waiting: Waiting,
    contested: Contested,
    /// Bound vault transactions that were seen.
    bound: BTreeSet<u32>,
}

impl Proposing {
    #[must_use]
    pub fn new(me: u16, recovery_delay: u32, low_rate: u64) -> Self {
        Self {
            me,
            recovery_delay,
            low_rate,
            proposers: Proposers::default(),
            refusals: Refusals::default(),
            waiting: Waiting::default(),
            contested: Contested::default(),
            bound: BTreeSet::new(),
        }
    }

    /// What may be proposed now, and what is to be told of earlier proposals.
    pub fn offers(
        &mut self,
        ledger: &LedgerView,
        bitcoin: Option<&BitcoinView>,
        duty: &Duty,
        clock_ms: u64,
    ) -> (Vec<Offer<Action>>, Vec<Verdict>) {
        let verdicts = self.look(ledger, clock_ms);
        let Some(bitcoin) = bitcoin else { return (Vec::new(), verdicts) };
        self.waiting.look(ledger, bitcoin);
        self.contested.look(ledger, bitcoin);
        let Some(on) = conditions(ledger, bitcoin, self.recovery_delay, self.low_rate) else {
            return (Vec::new(), verdicts);
        };
        let mut in_use = InUse::by_bound(ledger, Some(bitcoin));
        in_use.extend(&self.proposers.in_use(ledger));
        let Some(mut facts) = ledger_facts(ledger, &in_use) else { return (Vec::new(), verdicts) };
        // What its own bitcoind sees spent would not confirm.
        facts.deposits.retain(|outpoint, _| !bitcoin.spends.contains_key(outpoint));
        facts.outputs.retain(|_, output| !bitcoin.spends.contains_key(&output.outpoint()));
        let alone = self.contested.split_off(&mut facts, on.tip);
        let count = ledger.entries.last_key_value().map_or(0, |(number, _)| *number);
        let mut offers = Vec::new();
        for (kind, plan) in KINDS {
            if !self.is_free(kind, ledger) {
                continue;
            }
            let next = self.refusals.next(kind, &facts, clock_ms, |facts| plan(facts, &on));
            let retried = || if kind == Kind::Sweep { alone.iter().find_map(|alone| plan(alone, &on)) } else { None };
            if let Some(content) = next.or_else(retried) {
                let patience_ms = duty.schedule().batch_ms;
                let work = Action::Propose { kind, content };
                offers.push(Offer { task: Task::Propose(kind, count), patience_ms, work });
            }
        }
        if self.is_free(Kind::Version, ledger) {
            offers.extend(self.version(ledger, bitcoin, duty, &on));
        }
        (offers, verdicts)
    }

    /// One other version, of the oldest that is stuck and that nobody has just proposed one of.
    fn version(
        &self,
        ledger: &LedgerView,
        bitcoin: &BitcoinView,
        duty: &Duty,
        on: &Conditions,
    ) -> Option<Offer<Action>> {
        // It pays the same withdrawals, and may take further outputs that nothing spends.
        let in_use = InUse { withdrawals: BTreeSet::new(), ..InUse::by_bound(ledger, Some(bitcoin)) };
        let facts = ledger_facts(ledger, &in_use)?;
        let versions = versions::offers(ledger, bitcoin, &self.waiting, duty, (&facts, on));
        let is_new = |offer: &Offer<Action>| match &offer.work {
            Action::Propose { content, .. } => !self.proposers.has_as_good(content, ledger),
            _ => false,
        };
        // One that fails lets others have their turn.
        versions.into_iter().filter(is_new).min_by_key(|offer| duty.times_failed(offer.task))
    }

    /// A proposal of its own was refused by the ledger.
    pub fn refused(&mut self, kind: Kind, content: &Content, clock_ms: u64) -> Option<Verdict> {
        self.refusals.refused(kind, content, clock_ms)
    }

    fn look(&mut self, ledger: &LedgerView, clock_ms: u64) -> Vec<Verdict> {
        for (number, entry) in ledger.entries.iter() {
            if self.bound.insert(*number) {
                self.refusals.bound(kind_of(&entry.content), &entry.content);
            }
        }
        self.bound.retain(|number| ledger.entries.contains_key(number));
        let failed = self.proposers.look(ledger, self.me);
        let failed = failed.into_iter().filter_map(|number| ledger.proposals.get(&number));
        failed
            .filter_map(|proposal| self.refusals.refused(kind_of(&proposal.content), &proposal.content, clock_ms))
            .collect()
    }

    /// Whether nothing is open at the place of a kind that may still be bound.
    fn is_free(&self, kind: Kind, ledger: &LedgerView) -> bool {
        let is_there = |proposal: &super::view::Proposal| {
            proposal.member == self.me
                && proposal.place == kind.place()
                && may_be_approved(proposal, ledger.head.time_s)
        };
        !ledger.proposals.values().any(is_there)
    }
}

type Plan = fn(&crate::vault_tx::facts::LedgerFacts, &Conditions) -> Option<Content>;

/// The kinds that are planned from what can be had.
const KINDS: [(Kind, Plan); 3] =
    [(Kind::Sweep, plan::sweep), (Kind::Payout, plan::payout), (Kind::Consolidation, plan::consolidation)];

/// What proposals and approvals depend on besides the ledger; none while there is no estimate.
#[must_use]
pub fn conditions(
    ledger: &LedgerView,
    bitcoin: &BitcoinView,
    recovery_delay: u32,
    low_rate: u64,
) -> Option<Conditions> {
    bitcoin.rates.map(|rates| at_rate(ledger, rates.now, rates.usual, recovery_delay, low_rate))
}

/// The same at rates that are known.
#[must_use]
pub fn at_rate(ledger: &LedgerView, rate: u64, usual_rate: u64, recovery_delay: u32, low_rate: u64) -> Conditions {
    let parameters = &ledger.info.parameters;
    Conditions {
        rate: rate.clamp(parameters.min_rate, parameters.max_rate.max(parameters.min_rate)),
        usual_rate,
        low_rate,
        now_s: ledger.head.time_s,
        tip: ledger.light().height,
        recovery_delay,
        budget: Budget::default(),
    }
}

fn kind_of(content: &Content) -> Kind {
    match (content.deposits.is_empty(), content.withdrawals.is_empty()) {
        (false, _) => Kind::Sweep,
        (true, false) => Kind::Payout,
        (true, true) => Kind::Consolidation,
    }
}
