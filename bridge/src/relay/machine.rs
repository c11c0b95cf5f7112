//! The machine: facts in, one kind of question and the owed actions out, and what came of each action back in.
//!
//! ```text
//!   facts --questions()--> "does the ledger know this outpoint?" --answer()--\
//!         --decide()-----> actions --performed--> ended(outcome) -----------> what it remembers: since when work has
//!                                                                            waited, what was refused
//! ```
//! All that it remembers can be lost in a crash: then it waits and asks again.

use bitcoin::{Amount, OutPoint};

use super::deposits::{Deposits, Rules};
use super::duty::{Duty, DutySchedule, Task};
use super::facts::{BitcoinView, Facts, depths, key_state, progress};
use super::ledger::LedgerView;
use super::owed::{Action, View, owed};
use super::proposals::available;
use super::refused_deposits::{RefusedDeposits, Verdict};
use crate::plan::{Available, ReadyDeposit};

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is under way to the sidechain, or was handed to bitcoind.
    Sent,
    /// Refused: another relayer may have been first, or the facts have changed.
    Refused { reason: String },
    /// A contract refused it, with this reason.
    Reverted { reason: String },
    /// A reorganisation came in between.
    Gone,
    /// Node or bitcoind did not answer.
    Unanswered,
}

/// One relayer's decisions.
#[derive(Clone, Debug)]
pub struct Machine {
    me: u16,
    duty: Duty,
    deposits: Deposits,
    refused: RefusedDeposits,
}

impl Machine {
    /// The machine of member `me`, from 1.
    #[must_use]
    pub fn new(me: u16, schedule: DutySchedule) -> Self {
        Self { me, duty: Duty::new(schedule), deposits: Deposits::default(), refused: RefusedDeposits::default() }
    }

    /// Deposits of which it has to know whether the ledger knows them, before they can be proposed.
    pub fn questions(&mut self, facts: &Facts<'_>) -> Vec<OutPoint> {
        for entry in facts.ledger.open.values() {
            entry.transaction.inputs().iter().for_each(|input| self.deposits.proposed(input.outpoint));
        }
        let mut wanted = self.refused.asked();
        if let Some(bitcoin) = facts.bitcoin {
            self.deposits.keep(&bitcoin.tracked, &wanted);
            wanted.extend(candidates(facts.ledger, bitcoin).iter().map(|deposit| deposit.outpoint));
        }
        wanted.into_iter().filter(|outpoint| self.deposits.is_known(outpoint).is_none()).collect()
    }

    /// The ledger's answer about a deposit.
    pub fn answer(&mut self, outpoint: OutPoint, is_known: bool) {
        self.deposits.answer(outpoint, is_known);
    }

    /// Why the last refused proposal was refused, when that is known.
    pub fn explain_refusal(&mut self, clock_ms: u64) -> Option<Verdict> {
        self.refused.explain(&self.deposits, clock_ms)
    }

    /// The actions to begin now, the most urgent first. Each is reported by [`Machine::ended`], however it ends.
    pub fn decide(&mut self, facts: &Facts<'_>) -> Vec<(Task, Action)> {
        self.refused.forget_old(facts.clock_ms);
        let view = self.view(facts);
        let actions = owed(&mut self.duty, &view);
        actions.iter().for_each(|(task, _)| self.duty.started(*task));
        actions
    }

    /// An action has ended.
    pub fn ended(&mut self, task: Task, action: Action, outcome: Outcome, clock_ms: u64) {
        self.duty.ended(task);
        let is_broadcast = matches!(action, Action::Broadcast { .. });
        match outcome {
            // The mempool takes a moment to show it.
            Outcome::Sent | Outcome::Unanswered if is_broadcast => self.duty.hold(task, clock_ms),
            Outcome::Sent | Outcome::Unanswered => {}
            Outcome::Gone | Outcome::Refused { .. } => self.duty.hold(task, clock_ms),
            Outcome::Reverted { reason } => {
                self.duty.hold(task, clock_ms);
                if let Action::Propose(plan) = action {
                    self.deposits.ask_again(&plan.deposits);
                    self.refused.refused(plan, reason);
                }
            }
        }
    }

    fn view(&self, facts: &Facts<'_>) -> View {
        let Facts { clock_ms, ledger, bitcoin, in_flight } = *facts;
        View {
            clock_ms,
            block_time_s: ledger.head.time_s,
            me: self.me,
            members: ledger.members(),
            key: key_state(ledger),
            light_tip: ledger.light().hash,
            headers_ahead: bitcoin.map_or(0, |bitcoin| bitcoin.headers_ahead(ledger)),
            available: bitcoin.map_or_else(Available::default, |bitcoin| self.available(ledger, bitcoin)),
            vault_transactions: ledger.count,
            open: progress(ledger, bitcoin),
            in_flight: in_flight.clone(),
        }
    }

    fn available(&self, ledger: &LedgerView, bitcoin: &BitcoinView) -> Available {
        let rate = bitcoin.fee_rate;
        available(ledger, candidates(ledger, bitcoin), &self.deposits, &self.refused, rate)
    }
}

fn candidates(ledger: &LedgerView, bitcoin: &BitcoinView) -> Vec<ReadyDeposit> {
    let info = &ledger.info;
    let rules = Rules { min_deposit: Amount::from_sat(info.min_deposit_sat), reclaim_delay: info.reclaim_delay };
    Deposits::candidates(&bitcoin.tracked, &depths(ledger, Some(bitcoin)), &rules)
}
