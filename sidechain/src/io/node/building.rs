//! The time that a block has to be made in, and who used too much of it.
//!
//! ```text
//!  start       each transaction has its share           no more are offered      the block is sent
//!    |-- tx --|-- tx --|-------- tx --------X             |                          |
//!    |                 stopped: left out, and             |-- roots: as estimated ---|
//!    |                 only small ones from now on        |                          |
//!    +---------------------------- budget ------------------------------------------+
//! ```
//! A watcher on a thread of its own has the clock, and ends what runs too long; execution itself reads none.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_consensus::Transaction as _;
use alloy_primitives::B256;

use crate::{
    block::{Transaction, is_free},
    chain::Offers,
    execution::{BlockError, Progress, Stop},
};

/// Time to make a block in, its roots included. With what it takes to send and to check it, it must be below the leader's time.
pub(super) const BUDGET: Duration = Duration::from_millis(750);

/// Time that one transaction may take: every instruction manages 50 Mgas/s on an ordinary machine, and the largest transaction 16.7 M gas in 340 ms.
pub(super) const SHARE: Duration = Duration::from_millis(375);

/// A transaction with less gas than this cannot have used its share by itself: the machine stood still. Nobody is blamed for it.
const BLAMELESS_GAS: u64 = 1_000_000;

/// Time for the roots, for each change, before one was measured.
const FIRST_COST: Duration = Duration::from_micros(50);

/// Time between two looks whether the whole build was given up.
const TICK: Duration = Duration::from_millis(5);

const _: () = assert!(2 * SHARE.as_millis() <= BUDGET.as_millis());

/// How much time blocks have, and what their roots cost on this machine.
#[derive(Debug)]
pub(super) struct Timing {
    budget: Duration,
    share: Duration,
    /// Nanoseconds for each change.
    cost: AtomicU64,
}

impl Default for Timing {
    fn default() -> Self {
        Self::new(BUDGET, SHARE)
    }
}

impl Timing {
    pub(super) fn new(budget: Duration, share: Duration) -> Self {
        Self { budget, share, cost: AtomicU64::new(nanoseconds(FIRST_COST)) }
    }

    /// What the roots of this will take.
    fn roots(&self, progress: Progress) -> Duration {
        Duration::from_nanos(progress.changes.saturating_mul(self.cost.load(Ordering::Relaxed)))
    }

    /// Takes in what the roots of a block took. Of a few changes nothing can be learned.
    fn learn(&self, changes: u64, took: Duration) {
        if changes < 64 {
            return;
        }
        let (before, now) = (self.cost.load(Ordering::Relaxed), nanoseconds(took) / changes);
        self.cost.store((3 * before + now) / 4, Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a build found out about transactions that are not in its block.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// They used up their share of the time.
    pub(super) blamed: Vec<Transaction>,
    /// They fail, and will on later blocks.
    pub(super) failed: Vec<B256>,
}

/// The transactions of one build, and the clock for it.
pub(super) struct Build<'a> {
    timing: &'a Timing,
    started: Instant,
    /// Ends the whole build.
    stop: &'a Stop,
    candidates: &'a mut dyn Iterator<Item = Transaction>,
    watch: &'a Watch,
    current: Option<Began>,
    ended: Option<Instant>,
    progress: Progress,
    left: Left,
    stopped_one: bool,
}

impl<'a> Build<'a> {
    /// Runs `make` with what it is offered of `candidates`; returns its result, and what was left out for good.
    pub(super) fn run<T>(
        timing: &Timing,
        candidates: &mut dyn Iterator<Item = Transaction>,
        stop: &Stop,
        make: impl FnOnce(&mut Build<'_>) -> T,
    ) -> (T, Left) {
        let watch = Watch::default();
        std::thread::scope(|scope| {
            scope.spawn(|| watch.run(stop));
            // Ends the watcher, however this ends.
            let _ends = Ends(&watch);
            let mut build = Build {
                timing,
                started: Instant::now(),
                stop,
                candidates,
                watch: &watch,
                current: None,
                ended: None,
                progress: Progress::default(),
                left: Left::default(),
                stopped_one: false,
            };
            let made = make(&mut build);
            if let Some(ended) = build.ended {
                timing.learn(build.progress.changes, ended.elapsed());
            }
            (made, build.left)
        })
    }

    /// When no more may run, so that the roots are done in time.
    fn end(&self) -> Instant {
        self.started + self.timing.budget.saturating_sub(self.timing.roots(self.progress))
    }

    /// The next that may still be tried: after one was stopped only those that cannot take long, so that there is room for
    /// ordinary payments in every block; and free ones only in the first half of the time.
    fn candidate(&mut self, now: Instant) -> Option<Transaction> {
        let (small_only, paid_only) = (self.stopped_one, now >= self.end_of_free());
        Iterator::find(&mut self.candidates, |transaction| {
            (!small_only || transaction.gas_limit() <= BLAMELESS_GAS) && !(paid_only && is_free(transaction.inner()))
        })
    }

    /// When whoever pays has the rest of the time. Free ones are tried first, and some of them fail.
    fn end_of_free(&self) -> Instant {
        self.started + self.timing.budget / 2
    }
}

impl Offers for Build<'_> {
    fn next(&mut self, progress: Progress) -> Option<(Transaction, Stop)> {
        self.progress = progress;
        let now = Instant::now();
        let candidate = if now < self.end() && !self.stop.is_stopped() { self.candidate(now) } else { None };
        let Some(candidate) = candidate else {
            self.watch.set(None);
            self.ended = Some(now);
            return None;
        };
        let stop = Stop::default();
        let mut end = self.end().min(now + self.timing.share);
        if is_free(candidate.inner()) {
            end = end.min(self.end_of_free());
        }
        self.watch.set(Some((end, stop.clone())));
        self.current = (candidate.gas_limit() > BLAMELESS_GAS).then(|| Began { at: now, waited: waited() });
        Some((candidate, stop))
    }

    fn left_out(&mut self, transaction: &Transaction) {
        // Its lane's half of the time was over: the time of those who pay is untouched, and a member's quota bounds what it tries.
        if is_free(transaction.inner()) {
            return;
        }
        self.stopped_one = true;
        let Some(Began { at, waited: before }) = self.current else { return };
        if is_to_blame(at.elapsed(), waited().saturating_sub(before), self.timing.share) {
            self.left.blamed.push(transaction.clone());
        }
    }

    fn skipped(&mut self, transaction: &Transaction, error: &BlockError) {
        if error.is_hopeless() {
            self.left.failed.push(*transaction.tx_hash());
        }
    }
}

/// When a transaction that can be blamed began.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    waited: Duration,
}

/// Whether a transaction itself used what it was given: it had all of its share, and for most of it this thread did not wait for a
/// processor. Whoever keeps this machine busy gets nobody held.
fn is_to_blame(took: Duration, waited: Duration, share: Duration) -> bool {
    took >= share && 2 * waited <= took
}

/// How long this thread waited for a processor since it began, as far as the system tells: the second number (Linux,
/// `Documentation/scheduler/sched-stats.rst`).
fn waited() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split(' ').nth(1)?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Ends what runs at its deadline.
#[derive(Default)]
struct Watch {
    watched: Mutex<Watched>,
    changed: Condvar,
}

#[derive(Default)]
struct Watched {
    ended: bool,
    current: Option<(Instant, Stop)>,
}

impl Watch {
    fn set(&self, current: Option<(Instant, Stop)>) {
        self.watched().current = current;
    }

    /// Until the build ends. Looks often instead of waiting for the nearest deadline, because most transactions take microseconds.
    fn run(&self, whole: &Stop) {
        let mut watched = self.watched();
        while !watched.ended {
            if let Some((deadline, stop)) = &watched.current
                && (whole.is_stopped() || Instant::now() >= *deadline)
            {
                stop.stop();
            }
            watched = self.changed.wait_timeout(watched, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&self) {
        self.watched().ended = true;
        self.changed.notify_all();
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Ends<'a>(&'a Watch);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes, U256};

    use super::*;
    use crate::testing::Key;

    #[test]
    fn only_who_had_and_used_the_whole_share_is_to_blame() {
        let ms = Duration::from_millis;
        assert!(is_to_blame(ms(375), ms(0), SHARE) && is_to_blame(ms(400), ms(200), SHARE));
        assert!(!is_to_blame(ms(374), ms(0), SHARE), "cut off by the end of the budget");
        assert!(!is_to_blame(ms(400), ms(201), SHARE), "the thread waited for a processor");
    }

    /// What is found out about a transaction that is stopped after it had more than its share.
    fn after_it_was_left_out(transaction: Transaction) -> (Left, bool) {
        let timing = Timing::new(Duration::from_millis(80), Duration::from_millis(20));
        let mut candidates = std::iter::once(transaction);
        let (closed, left) = Build::run(&timing, &mut candidates, &Stop::never(), |build| {
            let (transaction, stop) = build.next(Progress::default()).expect("there is time");
            while !stop.is_stopped() {
                std::hint::spin_loop();
            }
            build.left_out(&transaction);
            build.stopped_one
        });
        (left, closed)
    }

    #[test]
    fn a_free_transaction_that_is_stopped_holds_nobody_and_leaves_the_block_open_for_all() {
        let (key, to) = (Key::new(1), Address::repeat_byte(7));
        let (left, closed) = after_it_was_left_out(key.free(1, 0, 10_000_000, to, Bytes::new()));
        assert!(left.blamed.is_empty() && !closed);
        let (_, closed) = after_it_was_left_out(key.send(1, 0, 10_000_000, to.into(), U256::ZERO, Bytes::new()));
        assert!(closed, "after one that pays only small ones are tried");
    }

    #[test]
    fn roots_are_estimated_by_what_they_took_before() {
        let timing = Timing::default();
        let progress = Progress { gas_used: 0, changes: 1_000 };
        assert_eq!(timing.roots(progress), 1_000 * FIRST_COST);
        (0..30).for_each(|_| timing.learn(1_000, Duration::from_millis(10)));
        assert!((10..11).contains(&timing.roots(progress).as_millis()), "{:?}", timing.roots(progress));
        let before = timing.roots(progress);
        timing.learn(1, Duration::from_secs(1));
        assert_eq!(timing.roots(progress), before, "a block without changes teaches nothing");
    }
}
