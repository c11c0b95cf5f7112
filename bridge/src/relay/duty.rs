//! Whose turn it is, and which work is left alone for now.
//!
//! Work that one relayer does for all (headers, proposals, broadcast, settlement) goes by turns: the time of the last
//! final block names the relayer on duty. Nobody has to notice that it is dead: work that has waited for `takeover_ms` is
//! done by the next in line too, after twice that time by the one after, and so on. The price of two relayers doing the
//! same is a refused transaction.
//!
//! What was refused is left alone for a while, for longer each time: whatever the reason, it concerns that work alone, and what fails for good
//! costs less and less. Of each kind only so much is done at once, so that no kind takes the others' place.
//!
//! It remembers since when work has waited, which runs, and what failed how often. Lost in a crash, that costs some patience and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::{Discriminant, discriminant};

use bitcoin::{BlockHash, OutPoint};

/// How long a task that was refused is left alone; twice as long after each further refusal in a row.
pub const HOLD_MS: u64 = 2_000;
/// The longest that a task is left alone: a try costs no more than a question to one's own node.
pub const LONGEST_HOLD_MS: u64 = 10 * 60_000;
/// Tasks of one kind that run at once.
const AT_ONCE: usize = 8;

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
    Broadcast(u32),
    Settle(u32),
    Unsettle(u32),
    Bind(u64),
    /// The next proposal of a kind, after so many vault transactions that were bound.
    Propose(Kind, u32),
    Prove(OutPoint),
    /// Coins for what a vault transaction sweeps: all that is ready, or one deposit by its place.
    Mint(u32, Option<u32>),
    Void(u32),
    Resubmit(OutPoint),
    Left(OutPoint),
    DepositGone(OutPoint),
    OutputGone(u32),
    Alarm(u32),
    Refund(u64),
}

/// What a member proposes; each kind has a place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Sweep,
    Payout,
    /// Consolidation, or refresh.
    Consolidation,
    /// Another version of a bound vault transaction.
    Version,
}

impl Kind {
    /// Which of a member's places for proposals it takes.
    #[must_use]
    pub fn place(self) -> u8 {
        self as u8
    }
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
    failed: BTreeMap<Task, Failed>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    times: u32,
    until_ms: u64,
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
        Self { schedule, since_ms: BTreeMap::new(), running: BTreeSet::new(), failed: BTreeMap::new() }
    }

    #[must_use]
    pub fn schedule(&self) -> &DutySchedule {
        &self.schedule
    }

    /// The part of all work that waits which this relayer does now, in the same order. `in_flight` was sent and is not included
    /// yet. Work that is not offered any more is forgotten.
    pub fn due<W>(&mut self, turn: Turn, in_flight: &BTreeSet<Task>, offers: Vec<Offer<W>>) -> Vec<(Task, W)> {
        let waiting: BTreeSet<Task> = offers.iter().map(|offer| offer.task).collect();
        self.since_ms.retain(|task, _| waiting.contains(task));
        self.failed.retain(|task, failed| waiting.contains(task) || failed.until_ms > turn.clock_ms);
        let mut under_way: HashMap<Discriminant<Task>, usize> = HashMap::new();
        for task in self.running.union(in_flight) {
            *under_way.entry(discriminant(task)).or_default() += 1;
        }
        let mut due = Vec::new();
        for Offer { task, patience_ms, work } in offers {
            if !self.is_due(task, patience_ms, turn) || in_flight.contains(&task) {
                continue;
            }
            let of_its_kind = under_way.entry(discriminant(&task)).or_default();
            if *of_its_kind < AT_ONCE {
                *of_its_kind += 1;
                due.push((task, work));
            }
        }
        due
    }

    /// Somebody works on it: it is not due until [`Duty::ended`].
    pub fn started(&mut self, task: Task) {
        self.running.insert(task);
    }

    /// The work on it ended, well or badly.
    pub fn ended(&mut self, task: Task) {
        self.running.remove(&task);
    }

    /// It was refused: leaves it alone for [`HOLD_MS`], and for longer each time. Returns for how long.
    pub fn failed(&mut self, task: Task, clock_ms: u64) -> u64 {
        let failed = self.failed.entry(task).or_insert(Failed { times: 0, until_ms: 0 });
        let hold_ms = HOLD_MS.saturating_mul(1 << failed.times.min(16)).min(LONGEST_HOLD_MS);
        (failed.times, failed.until_ms) = (failed.times + 1, clock_ms + hold_ms);
        hold_ms
    }

    /// Leaves it alone for a moment, as what takes one to be seen.
    pub fn hold(&mut self, task: Task, clock_ms: u64) {
        let failed = self.failed.entry(task).or_insert(Failed { times: 0, until_ms: 0 });
        failed.until_ms = clock_ms + HOLD_MS;
    }

    /// How often a task was refused in a row.
    #[must_use]
    pub fn times_failed(&self, task: Task) -> u32 {
        self.failed.get(&task).map_or(0, |failed| failed.times)
    }

    fn is_due(&mut self, task: Task, patience_ms: u64, turn: Turn) -> bool {
        let since = *self.since_ms.entry(task).or_insert(turn.clock_ms);
        let wait = patience_ms + self.schedule.takeover_ms * place_in_line(&self.schedule, &turn);
        turn.clock_ms.saturating_sub(since) >= wait
            && !self.running.contains(&task)
            && self.failed.get(&task).is_none_or(|failed| failed.until_ms <= turn.clock_ms)
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

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: DutySchedule = DutySchedule { window_s: 30, takeover_ms: 2_000, batch_ms: 500 };

    fn turn(clock_ms: u64) -> Turn {
        Turn { clock_ms, block_time_s: 0, me: 1, members: 4 }
    }

    fn offer(task: Task) -> Offer<()> {
        Offer { task, patience_ms: 0, work: () }
    }

    fn tasks(duty: &mut Duty, clock_ms: u64, offers: impl IntoIterator<Item = Task>) -> Vec<Task> {
        let offers = offers.into_iter().map(offer).collect();
        duty.due(turn(clock_ms), &BTreeSet::new(), offers).into_iter().map(|(task, ())| task).collect()
    }

    #[test]
    fn what_fails_again_and_again_is_left_alone_for_longer_each_time_and_delays_nothing_else() {
        let mut duty = Duty::new(SCHEDULE);
        let (bad, good) = (Task::Settle(1), Task::Settle(2));
        let mut now_ms = 0;
        for times in 0..12u32 {
            assert_eq!(tasks(&mut duty, now_ms, [bad, good]), [bad, good]);
            let hold_ms = duty.failed(bad, now_ms);
            assert_eq!(hold_ms, (HOLD_MS << times).min(LONGEST_HOLD_MS));
            assert_eq!(tasks(&mut duty, now_ms + hold_ms - 1, [bad, good]), [good]);
            now_ms += hold_ms;
        }
        assert_eq!(duty.times_failed(bad), 12);
        tasks(&mut duty, now_ms, []);
        assert_eq!(duty.times_failed(bad), 0, "it is not wanted any more");
    }

    #[test]
    fn a_thousand_tasks_of_one_kind_leave_room_for_the_other_kinds() {
        let mut duty = Duty::new(SCHEDULE);
        let flood = (0..1_000).map(Task::Refund).chain([Task::Settle(7)]);
        let due = tasks(&mut duty, 0, flood);
        assert_eq!(due.len(), AT_ONCE + 1);
        assert_eq!(due.last(), Some(&Task::Settle(7)));
        due.into_iter().for_each(|task| duty.started(task));
        assert_eq!(tasks(&mut duty, 1, (0..1_000).map(Task::Refund)), [] as [Task; 0]);
    }

    #[test]
    fn who_is_not_on_duty_waits_for_its_place_in_line() {
        for me in 2..=4u16 {
            let mut duty = Duty::new(SCHEDULE);
            let mut due = |clock_ms| {
                let turn = Turn { me, ..turn(clock_ms) };
                !duty.due(turn, &BTreeSet::new(), vec![offer(Task::Settle(1))]).is_empty()
            };
            let patience_ms = SCHEDULE.takeover_ms * u64::from(me - 1);
            assert!(!due(0) && !due(patience_ms - 1) && due(patience_ms), "member {me}");
        }
        let duty: Vec<u16> = (0..5).map(|window| on_duty(&SCHEDULE, window * SCHEDULE.window_s, 4)).collect();
        assert_eq!(duty, [1, 2, 3, 4, 1]);
    }
}
