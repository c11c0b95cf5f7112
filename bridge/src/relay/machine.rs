//! The machine: facts in, one kind of question and the owed actions out, and the outcome of each action back in.
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

/// The outcome of an action.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::relay::example;

    const SCHEDULE: DutySchedule = DutySchedule { window_s: 30, takeover_ms: 2_000, batch_ms: 0 };

    fn outpoint(vout: u32) -> OutPoint {
        OutPoint { vout, ..OutPoint::null() }
    }

    /// The member on duty, and what it sees.
    struct Relayer {
        machine: Machine,
        ledger: LedgerView,
        bitcoin: BitcoinView,
        clock_ms: u64,
    }

    impl Relayer {
        /// Both chains are at height 10; deposits are at these heights.
        fn new(deposits: &[(OutPoint, u32)]) -> Self {
            let machine = Machine::new(1, SCHEDULE);
            Self { machine, ledger: example::ledger(10), bitcoin: example::bitcoin(10, deposits), clock_ms: 0 }
        }

        fn questions(&mut self) -> Vec<OutPoint> {
            let in_flight = BTreeSet::new();
            let Self { machine, ledger, bitcoin, clock_ms } = self;
            machine.questions(&Facts { clock_ms: *clock_ms, ledger, bitcoin: Some(bitcoin), in_flight: &in_flight })
        }

        /// Answers all questions by no, explains what was refused, and decides.
        fn decide(&mut self) -> Vec<(Task, Action)> {
            let questions = self.questions();
            questions.into_iter().for_each(|outpoint| self.machine.answer(outpoint, false));
            self.machine.explain_refusal(self.clock_ms);
            let in_flight = BTreeSet::new();
            let Self { machine, ledger, bitcoin, clock_ms } = self;
            machine.decide(&Facts { clock_ms: *clock_ms, ledger, bitcoin: Some(bitcoin), in_flight: &in_flight })
        }

        /// The deposits that it proposes now; none when it proposes nothing.
        fn proposes(&mut self) -> Option<(Task, Action, Vec<OutPoint>)> {
            let (task, action) = self.decide().pop()?;
            let Action::Propose(plan) = action.clone() else { panic!("{action:?} is not a proposal") };
            Some((task, action, plan.deposits))
        }

        fn is_refused(&mut self, task: Task, action: Action) {
            self.machine.ended(task, action, Outcome::Reverted { reason: "no".to_owned() }, self.clock_ms);
            self.clock_ms += crate::relay::duty::HOLD_MS;
        }
    }

    // both    ... - 10[a deposit] -              a deposit at 11 has no confirmation yet
    #[test]
    fn a_deposit_is_proposed_once_it_is_confirmed_and_the_ledger_was_asked_once() {
        let mut relayer = Relayer::new(&[(outpoint(1), 10), (outpoint(2), 11)]);
        assert_eq!(relayer.questions(), [outpoint(1)]);
        let (_, _, deposits) = relayer.proposes().expect("it is ready");
        assert_eq!(deposits, [outpoint(1)]);
        assert_eq!(relayer.questions(), []);
    }

    #[test]
    fn what_runs_is_not_begun_again_until_it_has_ended() {
        let mut relayer = Relayer::new(&[(outpoint(1), 10)]);
        let (task, action, _) = relayer.proposes().expect("it is ready");
        assert!(relayer.proposes().is_none());
        relayer.machine.ended(task, action, Outcome::Unanswered, 0);
        assert!(relayer.proposes().is_some());
    }

    #[test]
    fn a_refused_deposit_is_found_and_left_out_and_the_others_go_on() {
        let mut relayer = Relayer::new(&[(outpoint(1), 9), (outpoint(2), 10)]);
        let (task, action, deposits) = relayer.proposes().expect("both are ready");
        assert_eq!(deposits, [outpoint(1), outpoint(2)]);
        relayer.is_refused(task, action);
        assert_eq!(relayer.questions(), [outpoint(1), outpoint(2)], "another relayer may have been first");
        let (task, action, deposits) = relayer.proposes().expect("one by one");
        assert_eq!(deposits, [outpoint(1)]);
        relayer.is_refused(task, action);
        let (_, _, deposits) = relayer.proposes().expect("the other one");
        assert_eq!(deposits, [outpoint(2)]);
    }

    #[test]
    fn nothing_is_decided_about_bitcoin_while_its_node_does_not_answer() {
        let mut relayer = Relayer::new(&[(outpoint(1), 10)]);
        let in_flight = BTreeSet::new();
        let facts = Facts { clock_ms: 0, ledger: &relayer.ledger, bitcoin: None, in_flight: &in_flight };
        assert_eq!(relayer.machine.questions(&facts), []);
        assert_eq!(relayer.machine.decide(&facts), []);
    }

    // bitcoind's chain was compared with a tip that the light client has left since.
    #[test]
    fn an_old_comparison_counts_for_nothing() {
        let mut relayer = Relayer::new(&[(outpoint(1), 10)]);
        relayer.ledger = example::ledger(11);
        assert_eq!(relayer.decide(), []);
    }
}
