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
use super::refusals::{Refusals, Verdict};
use crate::plan::{Available, Plan, ReadyDeposit};

/// Deposits that the ledger is asked about at once: twice as many as fit one proposal.
const QUESTIONS_AT_ONCE: usize = 48;

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
    refusals: Refusals,
    /// Vault transactions in the ledger when it was last looked at.
    count: u64,
    /// The last proposal that was sent, as the one after so many.
    sent: Option<u64>,
}

impl Machine {
    /// The machine of member `me`, from 1.
    #[must_use]
    pub fn new(me: u16, schedule: DutySchedule) -> Self {
        let (duty, deposits, refusals) = (Duty::new(schedule), Deposits::default(), Refusals::default());
        Self { me, duty, deposits, refusals, count: 0, sent: None }
    }

    /// Deposits of which it has to know whether the ledger knows them, before they can be proposed.
    pub fn questions(&mut self, facts: &Facts<'_>) -> Vec<OutPoint> {
        for entry in facts.ledger.open.values() {
            entry.transaction.inputs().iter().for_each(|input| self.deposits.proposed(input.outpoint));
        }
        let refused = self.refusals.asked();
        let mut wanted: Vec<OutPoint> = refused.iter().copied().collect();
        if let Some(bitcoin) = facts.bitcoin {
            self.deposits.keep(&bitcoin.tracked, &refused);
            let candidates = candidates(facts.ledger, bitcoin).into_iter().map(|deposit| deposit.outpoint);
            wanted.extend(candidates.filter(|outpoint| !refused.contains(outpoint)));
        }
        let is_question = |outpoint: &OutPoint| self.deposits.is_known(outpoint).is_none();
        wanted.into_iter().filter(is_question).take(QUESTIONS_AT_ONCE).collect()
    }

    /// The ledger's answer about a deposit.
    pub fn answer(&mut self, outpoint: OutPoint, is_known: bool) {
        self.deposits.answer(outpoint, is_known);
    }

    /// Why the last refused proposal was refused, when that is known.
    pub fn explain_refusal(&mut self, clock_ms: u64) -> Option<Verdict> {
        self.refusals.explain(&self.deposits, clock_ms)
    }

    /// The actions to begin now, the most urgent first. Each is reported by [`Machine::ended`], however it ends.
    pub fn decide(&mut self, facts: &Facts<'_>) -> Vec<(Task, Action)> {
        if facts.ledger.count > self.count {
            self.count = facts.ledger.count;
            self.refusals.accepted();
        }
        let view = self.view(facts);
        let actions = owed(&mut self.duty, &view);
        actions.iter().for_each(|(task, _)| self.duty.started(*task));
        actions
    }

    /// An action has ended.
    pub fn ended(&mut self, task: Task, action: Action, outcome: Outcome, clock_ms: u64) {
        self.duty.ended(task);
        if let Action::Propose(plan) = action {
            return self.proposed(task, plan, outcome, clock_ms);
        }
        let is_broadcast = matches!(action, Action::Broadcast { .. });
        match outcome {
            // The mempool takes a moment to show it.
            Outcome::Sent | Outcome::Unanswered if is_broadcast => self.duty.hold(task, clock_ms),
            Outcome::Sent | Outcome::Unanswered => {}
            Outcome::Gone | Outcome::Refused { .. } | Outcome::Reverted { .. } => self.duty.hold(task, clock_ms),
        }
    }

    /// A proposal has ended. Whatever went wrong, the next one is another one.
    fn proposed(&mut self, task: Task, plan: Plan, outcome: Outcome, clock_ms: u64) {
        let reason = match outcome {
            Outcome::Sent if self.sent.replace(self.count) != Some(self.count) => {
                return self.refusals.sent(&plan, clock_ms);
            }
            // The first one for the same place has not become part of a block.
            Outcome::Sent => "it was sent, and no block took it".to_owned(),
            Outcome::Unanswered => return self.refusals.unanswered(&plan),
            Outcome::Gone => "no proof can be made of one of its deposits".to_owned(),
            Outcome::Refused { reason } | Outcome::Reverted { reason } => reason,
        };
        self.duty.hold(task, clock_ms);
        self.deposits.ask_again(&plan.deposits);
        self.refusals.refused(plan, reason);
    }

    fn view(&mut self, facts: &Facts<'_>) -> View {
        let Facts { clock_ms, ledger, bitcoin, in_flight } = *facts;
        View {
            clock_ms,
            block_time_s: ledger.head.time_s,
            me: self.me,
            members: ledger.members(),
            key: key_state(ledger),
            light_tip: ledger.light().hash,
            headers_ahead: bitcoin.map_or(0, |bitcoin| bitcoin.headers_ahead(ledger)),
            available: bitcoin.map_or_else(Available::default, |bitcoin| self.available(ledger, bitcoin, clock_ms)),
            vault_transactions: ledger.count,
            open: progress(ledger, bitcoin),
            in_flight: in_flight.clone(),
        }
    }

    fn available(&mut self, ledger: &LedgerView, bitcoin: &BitcoinView, clock_ms: u64) -> Available {
        let Some(rate) = bitcoin.fee_rate else { return Available::default() };
        let available = available(ledger, candidates(ledger, bitcoin), &self.deposits, rate);
        self.refusals.narrow(available, ledger.max_deposits, clock_ms)
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
        let (task, action, deposits) = relayer.proposes().expect("half of them");
        assert_eq!(deposits, [outpoint(1)]);
        relayer.is_refused(task, action);
        let (_, _, deposits) = relayer.proposes().expect("the other one");
        assert_eq!(deposits, [outpoint(2)]);
    }

    #[test]
    fn of_whatever_kind_a_refusal_is_the_next_proposal_is_another_one() {
        let refusals = [
            Outcome::Reverted { reason: "no".to_owned() },
            Outcome::Refused { reason: "the pool is full".to_owned() },
            Outcome::Gone,
            Outcome::Unanswered,
        ];
        for refusal in refusals {
            let mut relayer = Relayer::new(&[(outpoint(1), 9), (outpoint(2), 10)]);
            let (task, action, _) = relayer.proposes().expect("both are ready");
            relayer.machine.ended(task, action, refusal.clone(), relayer.clock_ms);
            relayer.clock_ms += crate::relay::duty::HOLD_MS;
            let (_, _, deposits) = relayer.proposes().expect("a smaller one");
            assert_eq!(deposits, [outpoint(1)], "{refusal:?}");
        }
    }

    #[test]
    fn a_proposal_that_is_sent_again_and_again_and_never_becomes_part_of_a_block_is_made_smaller() {
        let mut relayer = Relayer::new(&[(outpoint(1), 9), (outpoint(2), 10)]);
        for _ in 0..2 {
            let (task, action, deposits) = relayer.proposes().expect("both are ready");
            assert_eq!(deposits.len(), 2);
            relayer.machine.ended(task, action, Outcome::Sent, relayer.clock_ms);
            relayer.clock_ms += 10_000;
        }
        assert_eq!(relayer.proposes().expect("a smaller one").2, [outpoint(1)]);
    }

    #[test]
    fn nothing_is_proposed_while_bitcoind_has_no_fee_estimate() {
        let mut relayer = Relayer::new(&[(outpoint(1), 10)]);
        relayer.bitcoin.fee_rate = None;
        assert!(relayer.proposes().is_none(), "not at a guess");
        relayer.bitcoin.fee_rate = Some(bitcoin::FeeRate::from_sat_per_vb_u32(9));
        assert!(relayer.proposes().is_some());
    }

    #[test]
    fn a_thousand_waiting_deposits_are_asked_about_in_parts_and_the_oldest_first() {
        let many: Vec<(OutPoint, u32)> = (0..1_000).map(|vout| (outpoint(vout), 10)).collect();
        let mut relayer = Relayer::new(&many);
        let first = relayer.questions();
        assert_eq!(first.len(), QUESTIONS_AT_ONCE);
        assert_eq!(first[..2], [outpoint(0), outpoint(1)]);
        first.into_iter().for_each(|outpoint| relayer.machine.answer(outpoint, true));
        assert_eq!(relayer.questions()[0], outpoint(48));
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
