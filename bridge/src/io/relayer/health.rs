//! Says once that somebody fails, and once that it works again; and keeps who fails now, for whoever asks the relayer how it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rounds in a row that must be well before the same trouble is told again: one that comes and goes is told once.
const WELL_ROUNDS: u32 = 100;
/// Rounds in a row that fail after which it is told in any case.
const FAILED_ROUNDS: u32 = 20;

/// How a relayer is: its troubles of now, and the members that it waits for. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Vitals(Arc<Mutex<State>>);

/// What [`Vitals`] hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By whom or what fails.
    pub troubles: BTreeMap<&'static str, String>,
    /// Members that keep others waiting, by number, and with what.
    pub waited_for: BTreeMap<u16, String>,
    /// How the peg stands; none before its node has said.
    pub peg: Option<PegState>,
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

    /// How the peg stands now.
    pub fn peg(&self, peg: PegState) {
        self.lock().peg = Some(peg);
    }

    /// Held only for moments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
