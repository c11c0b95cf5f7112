//! The machine: facts in, owed actions out, and the outcome of each action back in.
//!
//! ```text
//!   facts --decide()--> actions --performed--> ended(outcome) --> what it remembers: since when work has waited, what was refused
//! ```
//! All that it remembers can be lost in a crash: then it waits and asks again.

use super::action::Action;
use super::duty::{Duty, DutySchedule, Kind, Task, Turn};
use super::facts::Facts;
use super::owed::waiting;
use super::proposing::Proposing;
use super::refusals::Verdict;
use crate::peg::Content;

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
    proposing: Proposing,
}

/// What is to be done, and to be told.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// The most urgent first.
    pub actions: Vec<(Task, Action)>,
    /// For the operator's eyes.
    pub verdicts: Vec<Verdict>,
}

impl Machine {
    /// The machine of member `me`, from 1. `recovery_delay` is in blocks, `low_rate` in satoshis per 1,000 vB.
    #[must_use]
    pub fn new(me: u16, schedule: DutySchedule, recovery_delay: u32, low_rate: u64) -> Self {
        let (duty, proposing) = (Duty::new(schedule), Proposing::new(me, recovery_delay, low_rate));
        Self { me, duty, proposing }
    }

    /// The actions to begin now. Each is reported by [`Machine::ended`], however it ends.
    pub fn decide(&mut self, facts: &Facts<'_>) -> Decision {
        let Facts { clock_ms, ledger, bitcoin, in_flight } = *facts;
        let mut offers = waiting(facts, &self.duty);
        let (proposals, verdicts) = self.proposing.offers(ledger, bitcoin, &self.duty, clock_ms);
        offers.extend(proposals);
        let turn = Turn { clock_ms, block_time_s: ledger.head.time_s, me: self.me, members: ledger.members() };
        let mut actions = self.duty.due(turn, in_flight, offers);
        // What was proposed before is in the view only once its block is read.
        let is_proposed = |kind: Kind| in_flight.iter().any(|task| matches!(task, Task::Propose(of, _) if *of == kind));
        actions.retain(|(task, _)| !matches!(task, Task::Propose(kind, _) if is_proposed(*kind)));
        actions.iter().for_each(|(task, _)| self.duty.started(*task));
        Decision { actions, verdicts }
    }

    /// An action has ended; what follows from it, for the operator's eyes.
    pub fn ended(&mut self, task: Task, action: Action, outcome: &Outcome, clock_ms: u64) -> Option<Verdict> {
        self.duty.ended(task);
        match outcome {
            // The mempool takes a moment to show it, and blocks to hold it.
            Outcome::Sent
                if matches!(action, Action::Broadcast { .. } | Action::Propose { .. } | Action::Resubmit { .. }) =>
            {
                self.duty.hold(task, clock_ms);
                None
            }
            Outcome::Sent => None,
            Outcome::Unanswered => {
                self.duty.hold(task, clock_ms);
                None
            }
            Outcome::Gone | Outcome::Refused { .. } | Outcome::Reverted { .. } => {
                self.duty.failed(task, clock_ms);
                match action {
                    Action::Propose { kind, content } => self.refused(kind, &content, clock_ms),
                    _ => None,
                }
            }
        }
    }

    fn refused(&mut self, kind: Kind, content: &Content, clock_ms: u64) -> Option<Verdict> {
        self.proposing.refused(kind, content, clock_ms)
    }
}

#[cfg(test)]
mod tests;
