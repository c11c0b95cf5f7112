//! The task that does one relayer's part of the work that is done for all.
//!
//! It decides whenever a fact has changed, and performs each action in a task of its own: one that fails or hangs delays no
//! other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bitcoind::Bitcoind;
use super::error::FatalError;
use super::health::Pulse;
use super::node::Node;
use super::perform::{Grounds, Performer};
use super::tx_sender::TxSender;
use crate::io::clock::Clock;
use crate::relay::action::Action;
use crate::relay::duty::Task;
use crate::relay::facts::{BitcoinView, Facts};
use crate::relay::machine::{Machine, Outcome};
use crate::relay::refusals::Verdict;
use crate::relay::view::LedgerView;

/// Refusals that are remembered so that they are not told again.
const MOST_SAID: usize = 1_000;

/// How long an action may take: a proposal fetches some blocks, of which each may take a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the task is made of.
pub struct DutyTask<N, B> {
    pub machine: Machine,
    pub performer: Arc<Performer<N, B>>,
    pub sender: Arc<TxSender<N>>,
    pub clock: Clock,
    pub ledger: watch::Receiver<Option<Arc<LedgerView>>>,
    pub bitcoin: watch::Receiver<Option<Arc<BitcoinView>>>,
    /// One for each task that runs: the machine begins none twice.
    pub running: JoinSet<(Task, Action, Outcome)>,
    /// Warnings that are not repeated.
    pub said: BTreeMap<Task, String>,
    pub pulse: Pulse,
}

impl<N: Node, B: Bitcoind> DutyTask<N, B> {
    /// Works until the ledger is not followed any more.
    pub async fn run(mut self) -> Result<(), FatalError> {
        loop {
            self.pulse.beat();
            tokio::select! {
                biased;
                changed = self.ledger.changed() => if changed.is_err() { return Ok(()) },
                changed = self.bitcoin.changed() => if changed.is_err() { return Ok(()) },
                Some(ended) = self.running.join_next() => match ended {
                    Ok((task, action, outcome)) => self.ended(task, action, outcome),
                    Err(error) => return Err(FatalError::Task(error.to_string())),
                },
            }
            let ledger = self.ledger.borrow_and_update().clone();
            let bitcoin = self.bitcoin.borrow_and_update().clone();
            if let Some(ledger) = ledger {
                self.decide(ledger, bitcoin);
            }
        }
    }

    fn ended(&mut self, task: Task, action: Action, outcome: Outcome) {
        if let Outcome::Refused { reason } | Outcome::Reverted { reason } = &outcome
            && self.said.get(&task) != Some(reason)
        {
            match action {
                Action::Broadcast { number } => {
                    tracing::warn!("bitcoind does not take vault transaction {number}: {reason}")
                }
                // Another relayer may have been first.
                _ => tracing::debug!(?task, reason, "refused"),
            }
            if self.said.len() >= MOST_SAID {
                self.said.clear();
            }
            self.said.insert(task, reason.clone());
        }
        let verdict = self.machine.ended(task, action, &outcome, self.clock.ms());
        verdict.iter().for_each(tell);
    }

    fn decide(&mut self, ledger: Arc<LedgerView>, bitcoin: Option<Arc<BitcoinView>>) {
        let in_flight = self.sender.in_flight();
        let facts =
            Facts { clock_ms: self.clock.ms(), ledger: &ledger, bitcoin: bitcoin.as_deref(), in_flight: &in_flight };
        let decision = self.machine.decide(&facts);
        decision.verdicts.iter().for_each(tell);
        for (task, action) in decision.actions {
            self.begin(task, action, Arc::clone(&ledger), bitcoin.clone());
        }
    }

    fn begin(&mut self, task: Task, action: Action, ledger: Arc<LedgerView>, bitcoin: Option<Arc<BitcoinView>>) {
        let (performer, clock) = (Arc::clone(&self.performer), self.clock.clone());
        self.running.spawn(async move {
            let performed = performer.perform(task, &action, Grounds { ledger: &ledger, bitcoin: bitcoin.as_deref() });
            let outcome = clock.within(PATIENCE, performed).await.unwrap_or(Outcome::Unanswered);
            (task, action, outcome)
        });
    }
}

fn tell(verdict: &Verdict) {
    tracing::warn!("a proposal came to nothing: {verdict}");
}
