//! Says once that somebody fails, and once that it works again; and keeps who fails now, for whoever asks the relayer how it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainchain::header::Height;
use telemetry::heartbeat::Heartbeats;

use crate::io::clock::Clock;
use crate::relay::tally::Tally;

/// Rounds in a row that must be well before the same trouble is told again: one that comes and goes is told once.
const WELL_ROUNDS: u32 = 100;
/// Rounds in a row that fail after which it is told in any case.
const FAILED_ROUNDS: u32 = 20;
/// Longer than a task takes for a round, whatever node and bitcoind do, in milliseconds: each of their answers is waited for with a bound.
const PATIENCE_MS: u64 = 15 * 60 * 1_000;

/// How a relayer is: its troubles of now, the members that it waits for, and when its tasks ran. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    state: Arc<Mutex<State>>,
    pub beats: Heartbeats,
}

/// What [`Vitals`] hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Who or what may fail.
    pub watched: BTreeSet<&'static str>,
    /// By whom or what fails.
    pub troubles: BTreeMap<&'static str, String>,
    /// Members that keep others waiting, by number, and with what.
    pub waited_for: BTreeMap<u16, String>,
    /// How the peg stands; none before its node has said.
    pub peg: Option<PegState>,
    /// What it works on; none before its node has said.
    pub work: Option<Work>,
    /// What its bitcoind has; none while that does not answer.
    pub bitcoind: Option<BitcoindState>,
}

/// What a relayer works on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// This member's number, from 1.
    pub me: u16,
    pub tally: Tally,
    /// Vault transactions that are being signed.
    pub sessions: usize,
    /// Transactions that this member has ever signed: the records of its log.
    pub signed: usize,
    /// Transactions of its own to the ledger that are under way.
    pub in_flight: usize,
    /// Members that kept the others waiting in their last signings.
    pub late_members: usize,
}

/// What a bitcoind has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitcoindState {
    pub height: Height,
    /// Of its best header, whose block may still be missing.
    pub headers: Height,
    /// What its simplest answer took, in milliseconds.
    pub answer_ms: u64,
}

/// How the peg stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PegState {
    /// Whether anything stops first ties: a pause, an alarm, a deficit.
    pub stopped: bool,
    /// In seconds since 1970.
    pub paused_until: Option<u64>,
    pub alarmed: bool,
    pub missing_sat: u64,
    /// Negative while overdrawn.
    pub reserve_sat: i64,
    /// Withdrawals that wait.
    pub waiting: usize,
    /// How long the oldest of them has waited, in seconds.
    pub oldest_unpaid_s: Option<u64>,
    /// Vault outputs older than half of the recovery delay.
    pub late_outputs: Vec<u32>,
}

impl Vitals {
    #[must_use]
    pub fn now(&self) -> State {
        self.lock().clone()
    }

    /// The members that are waited for now.
    pub fn waited_for(&self, members: BTreeMap<u16, String>) {
        self.lock().waited_for = members;
    }

    /// What it works on now.
    pub fn work(&self, work: Work) {
        self.lock().work = Some(work);
    }

    /// What its bitcoind has now.
    pub fn bitcoind(&self, bitcoind: Option<BitcoindState>) {
        self.lock().bitcoind = bitcoind;
    }

    /// What a task shows that it runs by.
    pub fn pulse(&self, task: &'static str, clock: &Clock) -> Pulse {
        Pulse { beats: self.beats.clone(), task, clock: clock.clone() }
    }

    /// How the peg stands now.
    pub fn peg(&self, peg: PegState) {
        self.lock().peg = Some(peg);
    }

    /// Another state, for tests of what is told.
    #[cfg(test)]
    pub fn replace(&self, state: State) {
        *self.lock() = state;
    }

    /// Held only for moments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a task shows that it runs by.
pub struct Pulse {
    beats: Heartbeats,
    task: &'static str,
    clock: Clock,
}

impl Pulse {
    /// The task runs now, and again within some minutes, unless it hangs.
    pub fn beat(&self) {
        self.beats.beat(self.task, self.clock.unix_ms(), PATIENCE_MS);
    }
}

/// The health of one that the relayer depends on, or of one part of its work.
pub struct Health {
    vitals: Vitals,
    who: &'static str,
    /// What is said when it is well again.
    recovery: &'static str,
    /// The kinds of trouble that were told.
    told: BTreeSet<&'static str>,
    is_open: bool,
    well: u32,
    failed: u32,
}

impl Health {
    pub fn new(vitals: &Vitals, who: &'static str, recovery: &'static str) -> Self {
        let vitals = vitals.clone();
        vitals.lock().watched.insert(who);
        Self { vitals, who, recovery, told: BTreeSet::new(), is_open: false, well: 0, failed: 0 }
    }

    /// It fails, and is waited for. Errors of one kind are told once, whatever else is in them.
    pub fn failed(&mut self, kind: &'static str, error: &impl Display) {
        self.note(kind, format!("{error}; waiting for it"));
    }

    /// Something is wrong with it, which the work goes on without.
    pub fn note(&mut self, kind: &'static str, text: String) {
        self.well = 0;
        self.failed += 1;
        if self.told.insert(kind) || (!self.is_open && self.failed == FAILED_ROUNDS) {
            tracing::warn!("{text}");
            self.is_open = true;
        }
        self.vitals.lock().troubles.insert(self.who, text);
    }

    pub fn recovered(&mut self) {
        if self.failed > 0 {
            self.vitals.lock().troubles.remove(self.who);
        }
        self.failed = 0;
        if std::mem::take(&mut self.is_open) {
            tracing::info!("{}", self.recovery);
        }
        self.well = self.well.saturating_add(1);
        if self.well == WELL_ROUNDS {
            self.told.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_that_comes_and_goes_is_told_once_and_one_that_stays_is_told_again() {
        let vitals = Vitals::default();
        let mut health = Health::new(&vitals, "bitcoind", "bitcoind is back");
        health.failed("away", &"connection refused");
        assert!(health.is_open);
        assert_eq!(vitals.now().troubles["bitcoind"], "connection refused; waiting for it");
        for _ in 0..50 {
            health.recovered();
            assert!(vitals.now().troubles.is_empty() && !health.is_open);
            health.failed("away", &"connection refused");
            assert!(!health.is_open, "it was told");
        }
        health.failed("login", &"wrong password");
        assert!(health.is_open, "another kind");
        health.recovered();
        (1..FAILED_ROUNDS).for_each(|_| health.failed("away", &"connection refused"));
        assert!(!health.is_open);
        health.failed("away", &"connection refused");
        assert!(health.is_open, "it stays away");
        (0..WELL_ROUNDS).for_each(|_| health.recovered());
        health.failed("away", &"connection refused");
        assert!(health.is_open, "that was another time");
    }
}
