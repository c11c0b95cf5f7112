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
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_consensus::Transaction as _;
use alloy_primitives::B256;

use crate::{
    block::{Transaction, is_free},
    chain::Offers,
    execution::{BlockError, Progress, Stop},
    panics::contain,
};

/// Time to make a block in, its roots included. With what it takes to send and to check it, it must be below the leader's time.
pub(in crate::io) const BUDGET: Duration = Duration::from_millis(750);

/// Time that one transaction may take: every instruction manages 50 Mgas/s on an ordinary machine, and the largest transaction 16.7 M gas in 340 ms.
pub(in crate::io) const SHARE: Duration = Duration::from_millis(375);

/// A transaction with less gas than this cannot have used its share by itself: the machine stood still. Nobody is blamed for it.
const BLAMELESS_GAS: u64 = 1_000_000;

/// Time for the roots, for each change, before one was measured.
const FIRST_COST: Duration = Duration::from_micros(50);

/// Time for each change that is believed at most. A machine that stood still for seconds does not make small blocks for long: with
/// this one too, a block has room for more changes than are needed to learn of it.
const MOST_COST: Duration = Duration::from_millis(2);

/// Of so many changes on it can be learned what one costs.
const TELLING_CHANGES: u64 = 64;

/// The part of a difference by which a lower cost is believed.
const DOWN: u64 = 8;

const _: () = assert!(2 * TELLING_CHANGES as u128 * MOST_COST.as_nanos() <= BUDGET.as_nanos());

/// The whole of the time, as parts of it are counted.
const WHOLE: u64 = 256;

/// The least part: ordinary payments always find room.
const LEAST: u64 = WHOLE / 16;

/// What is added for a block that was checked in time: after a lost round, it takes some ten seconds until blocks are as large again.
const RISE: u64 = WHOLE / 32;

/// Time between two looks whether the whole build was given up.
const TICK: Duration = Duration::from_millis(5);

const _: () = assert!(2 * SHARE.as_millis() <= BUDGET.as_millis());

/// How much time blocks have, and what their roots cost on this machine.
#[derive(Debug)]
pub(in crate::io) struct Timing {
    budget: Duration,
    share: Duration,
    /// Nanoseconds for each change.
    cost: AtomicU64,
    /// Transactions that the next block tries at most: all, unless one of those before is suspected to have set off a panic.
    most: AtomicUsize,
    /// The part of the time that blocks may take, because voters, this node among them, did not check earlier ones in time.
    part: AtomicU64,
}

impl Default for Timing {
    fn default() -> Self {
        Self::new(BUDGET, SHARE)
    }
}

impl Timing {
    pub(in crate::io) fn new(budget: Duration, share: Duration) -> Self {
        Self {
            budget,
            share,
            cost: AtomicU64::new(nanoseconds(FIRST_COST)),
            most: AtomicUsize::new(usize::MAX),
            part: AtomicU64::new(WHOLE),
        }
    }

    /// The time for a block. What is as large as this machine manages may be too large for others that check it at once, on slower
    /// machines or busier ones.
    pub(in crate::io) fn budget(&self) -> Duration {
        self.budget * u32::try_from(self.part.load(Ordering::Relaxed)).unwrap_or(u32::MAX) / WHOLE as u32
    }

    /// A block was not checked in time, or one of ours got no quorum: the next has half the time.
    pub(in crate::io) fn too_slow(&self) {
        let part = self.part.load(Ordering::Relaxed) / 2;
        self.part.store(part.max(LEAST), Ordering::Relaxed);
    }

    /// A block was checked in time: the next has a little more. An empty one counts too: where the only transactions that wait need more
    /// than a smaller block has, all blocks are empty, and nothing else would ever make them larger again.
    pub(in crate::io) fn in_time(&self) {
        let part = self.part.load(Ordering::Relaxed) + RISE;
        self.part.store(part.min(WHOLE), Ordering::Relaxed);
    }

    /// What the roots of this will take.
    fn roots(&self, progress: Progress) -> Duration {
        Duration::from_nanos(progress.changes.saturating_mul(self.cost.load(Ordering::Relaxed)))
    }

    /// Takes in what the roots of a block took. Of a few changes nothing can be learned. A higher cost is believed at once, for a block
    /// that is not made in time is no block; a lower one little by little: what was cheap once, because all of it was in memory, says
    /// little of the next.
    fn learn(&self, changes: u64, took: Duration) {
        if changes < TELLING_CHANGES {
            return;
        }
        let before = self.cost.load(Ordering::Relaxed);
        let now = (nanoseconds(took) / changes).min(nanoseconds(MOST_COST));
        let learned = if now >= before { now } else { before - (before - now).div_ceil(DOWN) };
        self.cost.store(learned, Ordering::Relaxed);
    }

    /// A panic came after this many transactions were tried, and it may be due to each of them. The next block tries half, and so on until
    /// there is only one.
    fn suspect(&self, tried: usize) {
        self.most.store((tried / 2).max(1), Ordering::Relaxed);
    }

    /// A block was made: the next may try twice as many.
    fn trust(&self) {
        let most = self.most.load(Ordering::Relaxed);
        self.most.store(most.saturating_mul(2), Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a build found out about transactions that are not in its block.
#[derive(Debug, Default)]
pub(in crate::io) struct Left {
    /// They used up their share of the time.
    pub(in crate::io) blamed: Vec<Transaction>,
    /// They had their share and were not done, but the machine was busy.
    pub(in crate::io) stopped: Vec<Transaction>,
    /// They fail, and will on later blocks.
    pub(in crate::io) failed: Vec<B256>,
    /// It ran when there was a panic, or was the only one before.
    pub(in crate::io) broke: Option<Transaction>,
}

impl std::fmt::Display for Left {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { blamed, stopped, failed, broke } = self;
        let (blamed, stopped, failed) = (blamed.len(), stopped.len(), failed.len());
        write!(
            formatter,
            "{blamed} too slow, {stopped} stopped on a busy machine, {failed} failed, {} broke",
            broke.iter().count()
        )
    }
}

/// The transactions of one build, and the clock for it.
pub(in crate::io) struct Build<'a> {
    timing: &'a Timing,
    started: Instant,
    /// Ends the whole build.
    stop: &'a Stop,
    candidates: &'a mut dyn Iterator<Item = Transaction>,
    watch: &'a Watch,
    current: Option<Current>,
    tried: usize,
    ended: Option<Instant>,
    progress: Progress,
    left: Left,
    stopped_one: bool,
}

impl<'a> Build<'a> {
    /// Runs `make` with what it is offered of `candidates`; returns its result, or the text of its panic, and what was left out
    /// for good.
    pub(in crate::io) fn run<T>(
        timing: &Timing,
        candidates: &mut dyn Iterator<Item = Transaction>,
        stop: &Stop,
        make: impl FnOnce(&mut Build<'_>) -> T,
    ) -> (Result<T, String>, Left) {
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
                tried: 0,
                ended: None,
                progress: Progress::default(),
                left: Left::default(),
                stopped_one: false,
            };
            let made = contain(|| make(&mut build));
            if made.is_ok() {
                build.learn()
            } else {
                build.blame()
            }
            (made, build.left)
        })
    }

    /// Takes in what a build that had no panic tells of the next.
    fn learn(&self) {
        self.timing.trust();
        if let Some(ended) = self.ended {
            self.timing.learn(self.progress.changes, ended.elapsed());
        }
    }

    /// Finds who set off a panic.
    fn blame(&mut self) {
        self.left.broke = self.current.take().map(|current| current.transaction);
        if self.left.broke.is_none() {
            self.timing.suspect(self.tried);
        }
    }

    /// When no more may run, so that the roots are done in time.
    fn end(&self) -> Instant {
        self.started + self.timing.budget().saturating_sub(self.timing.roots(self.progress))
    }

    /// The next that may still be tried: after one was stopped only those that cannot take long, so that there is room for
    /// ordinary payments in every block; and free ones only in the first half of the time.
    fn candidate(&mut self, now: Instant) -> Option<Transaction> {
        if now >= self.end() || self.stop.is_stopped() || self.tried >= self.timing.most.load(Ordering::Relaxed) {
            return None;
        }
        let (small_only, paid_only) = (self.stopped_one, now >= self.end_of_free());
        Iterator::find(&mut self.candidates, |transaction| {
            (!small_only || transaction.gas_limit() <= BLAMELESS_GAS) && !(paid_only && is_free(transaction.inner()))
        })
    }

    /// When whoever pays has the rest of the time. Free ones are tried first, and some of them fail.
    fn end_of_free(&self) -> Instant {
        self.started + self.timing.budget() / 2
    }
}

impl Offers for Build<'_> {
    fn next(&mut self, progress: Progress) -> Option<(Transaction, Stop)> {
        self.progress = progress;
        let before = self.current.take();
        let now = Instant::now();
        let Some(candidate) = self.candidate(now) else {
            // What follows is about all of them.
            self.current = before.filter(|_| self.tried == 1);
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
        let began = (candidate.gas_limit() > BLAMELESS_GAS).then(|| Began { at: now, waited: waited() });
        self.current = Some(Current { transaction: candidate.clone(), began });
        self.tried += 1;
        Some((candidate, stop))
    }

    fn left_out(&mut self, transaction: &Transaction) {
        // Its lane's half of the time was over: the time of those who pay is untouched, and a member's quota bounds what it tries.
        if is_free(transaction.inner()) {
            return;
        }
        self.stopped_one = true;
        let Some(Began { at, waited: before }) = self.current.as_ref().and_then(|current| current.began) else {
            return;
        };
        match verdict(at.elapsed(), waited().saturating_sub(before), self.timing.share) {
            Cut::Own => self.left.blamed.push(transaction.clone()),
            Cut::Busy => self.left.stopped.push(transaction.clone()),
            Cut::Block => {}
        }
    }

    fn skipped(&mut self, transaction: &Transaction, error: &BlockError) {
        if error.is_hopeless() {
            self.left.failed.push(*transaction.tx_hash());
        }
    }
}

/// The transaction that runs.
struct Current {
    transaction: Transaction,
    /// None for one that is too small to be blamed for its time.
    began: Option<Began>,
}

/// When a transaction that can be blamed began.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    waited: Duration,
}

/// Why a transaction was not done in time.
#[derive(Debug, PartialEq, Eq)]
enum Cut {
    /// It used its share.
    Own,
    /// It had its share, and for most of it this thread waited for a processor. Whoever keeps this machine busy gets nobody held at once.
    Busy,
    /// The time of the whole block was over.
    Block,
}

fn verdict(took: Duration, waited: Duration, share: Duration) -> Cut {
    match (took >= share, 2 * waited <= took) {
        (false, _) => Cut::Block,
        (true, true) => Cut::Own,
        (true, false) => Cut::Busy,
    }
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
        assert_eq!(verdict(ms(375), ms(0), SHARE), Cut::Own);
        assert_eq!(verdict(ms(400), ms(200), SHARE), Cut::Own);
        assert_eq!(verdict(ms(374), ms(0), SHARE), Cut::Block);
        assert_eq!(verdict(ms(400), ms(201), SHARE), Cut::Busy, "the thread waited for a processor");
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
        (left, closed.expect("no panic"))
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
    fn a_panic_is_the_fault_of_who_ran_then_and_of_nobody_between_two() {
        let key = Key::new(1);
        let all: Vec<_> = (0..3).map(|nonce| key.transfer(1, nonce, Address::repeat_byte(7), 1)).collect();
        let panics_after = |offers: usize, ended: bool| {
            let (timing, mut candidates) = (Timing::default(), all.clone().into_iter());
            let (made, left) = Build::run(&timing, &mut candidates, &Stop::never(), |build| {
                (0..offers).for_each(|_| drop(build.next(Progress::default())));
                build.stop.stop();
                assert!(!ended || build.next(Progress::default()).is_none());
                panic!("a bug");
            });
            let made: Result<(), String> = made;
            assert_eq!(made, Err("a bug".to_owned()));
            left.broke
        };
        assert_eq!(panics_after(2, false), Some(all[1].clone()));
        assert_eq!(panics_after(2, true), None, "the roots are everybody's");
        assert_eq!(panics_after(1, true), Some(all[0].clone()), "there was nobody else");
        assert_eq!(panics_after(0, false), None);
    }

    // The bug is in the roots, so nobody runs when it shows.
    #[test]
    fn who_sets_off_a_panic_in_the_roots_is_found_by_halves_and_all_others_get_into_blocks() {
        let key = Key::new(1);
        for culprit in [0, 37, 99] {
            let timing = Timing::default();
            let mut waiting: Vec<_> =
                (0..100).map(|nonce| key.transfer(1, nonce, Address::repeat_byte(7), 1)).collect();
            let culprit = waiting[culprit].clone();
            let (mut builds, mut found) = (0, false);
            while !waiting.is_empty() {
                builds += 1;
                let mut candidates = waiting.clone().into_iter();
                let (made, left) = Build::run(&timing, &mut candidates, &Stop::never(), |build| {
                    let tried: Vec<_> = std::iter::from_fn(|| build.next(Progress::default())).collect();
                    assert!(tried.iter().all(|(transaction, _)| *transaction != culprit), "a bug in the roots");
                    tried.len()
                });
                if let Some(broke) = left.broke {
                    assert_eq!(broke, culprit);
                    waiting.retain(|transaction| *transaction != culprit);
                    found = true;
                }
                waiting.drain(..made.unwrap_or(0));
                assert!(builds < 40, "{} wait", waiting.len());
            }
            println!("{builds} builds");
            assert!(found);
            assert!(timing.most.load(Ordering::Relaxed) > 0);
        }
    }

    #[test]
    fn dear_roots_are_learned_at_once_cheap_ones_slowly_and_the_way_back_is_never_closed() {
        let timing = Timing::default();
        let cost = || timing.cost.load(Ordering::Relaxed);
        // A hundred blocks of cheap changes, then a single one of dear changes.
        (0..100).for_each(|_| timing.learn(1_000, Duration::from_millis(5)));
        assert_eq!(cost(), 5_000);
        timing.learn(1_000, Duration::from_millis(300));
        assert_eq!(cost(), 300_000);
        timing.learn(1_000, Duration::from_millis(5));
        assert!(cost() > 250_000, "{}", cost());
        // The machine stood still. The next blocks still teach.
        timing.learn(TELLING_CHANGES, Duration::from_secs(60));
        assert!(timing.roots(Progress { gas_used: 0, changes: TELLING_CHANGES }) < BUDGET / 2);
        (0..40).for_each(|_| timing.learn(TELLING_CHANGES, TELLING_CHANGES as u32 * FIRST_COST));
        assert!(cost() < 2 * nanoseconds(FIRST_COST), "{}", cost());
    }

    #[test]
    fn blocks_are_made_smaller_while_they_are_not_checked_in_time_and_never_too_small_for_payments() {
        let timing = Timing::default();
        assert_eq!(timing.budget(), BUDGET);
        timing.too_slow();
        assert_eq!(timing.budget(), BUDGET / 2);
        (0..100).for_each(|_| timing.too_slow());
        assert_eq!(timing.budget(), BUDGET / 16);
        timing.in_time();
        assert!(timing.budget() > BUDGET / 16 && timing.budget() < BUDGET / 8);
        (0..28).for_each(|_| timing.in_time());
        assert!(timing.budget() < BUDGET, "not at once");
        (0..100).for_each(|_| timing.in_time());
        assert_eq!(timing.budget(), BUDGET);
    }

    #[test]
    fn roots_are_estimated_by_what_they_took_before() {
        let timing = Timing::default();
        let progress = Progress { gas_used: 0, changes: 1_000 };
        assert_eq!(timing.roots(progress), 1_000 * FIRST_COST);
        (0..40).for_each(|_| timing.learn(1_000, Duration::from_millis(10)));
        assert!((10..11).contains(&timing.roots(progress).as_millis()), "{:?}", timing.roots(progress));
        let before = timing.roots(progress);
        timing.learn(1, Duration::from_secs(1));
        assert_eq!(timing.roots(progress), before, "a block without changes teaches nothing");
    }
}
