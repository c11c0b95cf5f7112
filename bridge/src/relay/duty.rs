//! Whose turn it is, and which work is left alone for now.
//!
//! Work that one relayer does for all (headers, proposals, broadcast, settlement) goes by turns: the time of the last
//! final block names the relayer on duty. Nobody has to notice that it is dead: work that has waited for `takeover_ms` is
//! done by the next in line too, after twice that time by the one after, and so on. The price of two relayers doing the
//! same is a refused transaction.
//!
//! It remembers since when work has waited, which runs, and which was refused a moment ago. Lost in a crash, that costs some
//! patience and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::BlockHash;

/// How long a task that was refused is left alone.
pub const HOLD_MS: u64 = 2_000;

/// How relayers share the work; every relayer of a federation should have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DutySchedule {
    /// Seconds of block time that one relayer is on duty before the next one is.
    pub window_s: u64,
    /// Milliseconds that work may wait before the next relayer in line does it too.
    pub takeover_ms: u64,
    /// Milliseconds for which deposits and withdrawals are collected before they are proposed together.
    pub batch_ms: u64,
}

/// Work that one relayer does for all, told apart from the same work at another time: progress starts the wait anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Headers after this block.
    Headers(BlockHash),
    /// The proposal after so many.
    Proposal(u64),
    Broadcast(u64),
    Settle(u64),
    Unsettle(u64),
}

/// The facts that decide whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Milliseconds of a clock that never goes back.
    pub clock_ms: u64,
    /// Time of the last final sidechain block, in unix seconds.
    pub block_time_s: u64,
    /// This relayer, 1 to `members`.
    pub me: u16,
    pub members: u16,
}

/// The memory of one relayer about the work that waits.
#[derive(Clone, Debug)]
pub struct Duty {
    schedule: DutySchedule,
    since_ms: BTreeMap<Task, u64>,
    running: BTreeSet<Task>,
    held_since_ms: BTreeMap<Task, u64>,
}

/// Work that waits, and for how long it is left to wait even by the relayer on duty.
#[derive(Clone, Debug)]
pub struct Offer<W> {
    pub task: Task,
    pub patience_ms: u64,
    pub work: W,
}

impl Duty {
    #[must_use]
    pub fn new(schedule: DutySchedule) -> Self {
        Self { schedule, since_ms: BTreeMap::new(), running: BTreeSet::new(), held_since_ms: BTreeMap::new() }
    }

    #[must_use]
    pub fn schedule(&self) -> &DutySchedule {
        &self.schedule
    }

    /// The part of all work that waits which this relayer does now, in the same order. `in_flight` was sent and is not included
    /// yet. Work that is not offered any more is forgotten.
    pub fn due<W>(&mut self, turn: Turn, in_flight: &BTreeSet<Task>, offers: Vec<Offer<W>>) -> Vec<(Task, W)> {
        self.held_since_ms.retain(|_, since| turn.clock_ms.saturating_sub(*since) < HOLD_MS);
        let waiting: BTreeSet<Task> = offers.iter().map(|offer| offer.task).collect();
        self.since_ms.retain(|task, _| waiting.contains(task));
        let mut is_due =
            |offer: &Offer<W>| self.is_due(offer.task, offer.patience_ms, turn) && !in_flight.contains(&offer.task);
        let due: Vec<bool> = offers.iter().map(&mut is_due).collect();
        offers.into_iter().zip(due).filter(|(_, due)| *due).map(|(offer, _)| (offer.task, offer.work)).collect()
    }

    /// Somebody works on it: it is not due until [`Duty::ended`].
    pub fn started(&mut self, task: Task) {
        self.running.insert(task);
    }

    /// The work on it ended, well or badly.
    pub fn ended(&mut self, task: Task) {
        self.running.remove(&task);
    }

    /// Leaves a task alone for [`HOLD_MS`].
    pub fn hold(&mut self, task: Task, clock_ms: u64) {
        self.held_since_ms.insert(task, clock_ms);
    }

    fn is_due(&mut self, task: Task, patience_ms: u64, turn: Turn) -> bool {
        let since = *self.since_ms.entry(task).or_insert(turn.clock_ms);
        let wait = patience_ms + self.schedule.takeover_ms * place_in_line(&self.schedule, &turn);
        turn.clock_ms.saturating_sub(since) >= wait
            && !self.running.contains(&task)
            && !self.held_since_ms.contains_key(&task)
    }
}

/// The relayer whose turn it is at a block time, 1 to `members`.
#[must_use]
pub fn on_duty(schedule: &DutySchedule, block_time_s: u64, members: u16) -> u16 {
    let turn = (block_time_s / schedule.window_s.max(1)) % u64::from(members.max(1));
    u16::try_from(turn).expect("a remainder of a u16 is one") + 1
}

/// How many relayers come before this one: zero on duty.
fn place_in_line(schedule: &DutySchedule, turn: &Turn) -> u64 {
    let duty = on_duty(schedule, turn.block_time_s, turn.members);
    u64::from((turn.me + turn.members - duty) % turn.members.max(1))
}
