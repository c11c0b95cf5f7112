//! How much of one payer is settled at a time. Whoever empties its balance between trial and block has settlements fail that the payee pays for, so what may be lost by
//! one payer grows with what it paid, and whoever made some fail is trusted with one, and then with none.
//!
//! ```text
//!   never seen:                4 at a time, and one more for each that was paid
//!   one failed within an hour: 1 at a time
//!   three failed:              none, until the oldest of them is an hour ago
//! ```
//! What is beyond waits for its turn. All of it is forgotten when the process ends.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use crate::refusal::Refusal;

/// Settlements at a time of a payer that is not known. If all fail they cost the payee some 160,000 gas; to fund an account and empty it costs its owner some 120,000.
pub const AT_FIRST: u32 = 4;
/// Settlements at a time of the best payer: a quarter of all, so that it leaves room for others.
const AT_MOST: u32 = 256;
/// After so many failures nothing more is settled.
const MOST_FAILURES: usize = 3;
/// For how long a failure counts, in seconds.
const MEMORY_S: u64 = 3_600;
/// Payments of one payer that wait for its others.
const MOST_WAITING: u32 = 64;
/// Payers that are remembered, at 100 bytes or so each. To push one out that failed, others have to fail as often, which costs gas each time.
const MOST_PAYERS: usize = 10_000;

/// Payers of the last hour.
#[derive(Debug, Default)]
pub struct Payers(BTreeMap<Address, Payer>);

#[derive(Debug, Default)]
struct Payer {
    on_their_way: u32,
    waiting: u32,
    paid: u32,
    /// When, in Unix seconds; the oldest first.
    failed: Vec<u64>,
    seen: u64,
}

/// Whether a payer's next payment may be settled now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    Begin,
    /// Ask again when another of its payments ended.
    Wait,
    Refuse(Refusal),
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was sent, or nobody knows.
    #[default]
    Unknown,
    Paid,
    /// It was carried out, cost its gas, and paid nothing.
    Failed,
}

impl Payers {
    /// Asks for a turn. `is_waiting`: it was told to wait before.
    #[must_use]
    pub fn turn(&mut self, address: Address, is_waiting: bool, now: u64) -> Turn {
        if self.0.len() >= MOST_PAYERS && !self.0.contains_key(&address) {
            self.make_room();
        }
        let payer = self.0.entry(address).or_default();
        payer.seen = now;
        payer.forget(now);
        if is_waiting {
            payer.waiting = payer.waiting.saturating_sub(1);
        }
        if let [oldest, _, _] = payer.failed[..] {
            return Turn::Refuse(Refusal::FailedBefore {
                payer: address,
                wait_s: (oldest + MEMORY_S).saturating_sub(now),
            });
        }
        if payer.on_their_way < payer.limit() {
            payer.on_their_way += 1;
            return Turn::Begin;
        }
        if payer.waiting >= MOST_WAITING {
            return Turn::Refuse(Refusal::Busy);
        }
        payer.waiting += 1;
        Turn::Wait
    }

    /// One of an earlier process is still on its way.
    pub fn recall(&mut self, address: Address, now: u64) {
        let payer = self.0.entry(address).or_default();
        (payer.on_their_way, payer.seen) = (payer.on_their_way.saturating_add(1), now);
    }

    /// One that was told to wait does so no longer.
    pub fn gives_up(&mut self, address: Address) {
        if let Some(payer) = self.0.get_mut(&address) {
            payer.waiting = payer.waiting.saturating_sub(1);
        }
    }

    /// One that had its turn ended.
    pub fn ended(&mut self, address: Address, outcome: Outcome, now: u64) {
        let Some(payer) = self.0.get_mut(&address) else { return };
        payer.on_their_way = payer.on_their_way.saturating_sub(1);
        match outcome {
            Outcome::Unknown => {}
            Outcome::Paid => payer.paid = payer.paid.saturating_add(1),
            Outcome::Failed => {
                payer.failed.push(now);
                let first = payer.failed.len().saturating_sub(MOST_FAILURES);
                payer.failed.drain(..first);
                payer.paid = 0;
            }
        }
    }

    /// Forgets who was not seen for an hour.
    pub fn expire(&mut self, now: u64) {
        self.0.retain(|_, payer| payer.is_busy() || payer.seen.saturating_add(MEMORY_S) > now);
    }

    /// Forgets an eighth: those that failed last, and the longest unseen first.
    fn make_room(&mut self) {
        let idle = self.0.iter().filter(|(_, payer)| !payer.is_busy());
        let mut idle: Vec<_> = idle.map(|(address, payer)| (payer.failed.len(), payer.seen, *address)).collect();
        idle.sort_unstable();
        for (_, _, address) in idle.into_iter().take(MOST_PAYERS / 8) {
            self.0.remove(&address);
        }
    }
}

impl Payer {
    fn forget(&mut self, now: u64) {
        self.failed.retain(|at| at.saturating_add(MEMORY_S) > now);
    }

    fn limit(&self) -> u32 {
        if self.failed.is_empty() { AT_FIRST.saturating_add(self.paid).min(AT_MOST) } else { 1 }
    }

    fn is_busy(&self) -> bool {
        self.on_their_way > 0 || self.waiting > 0
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    const NOW: u64 = 1_775_044_800;
    const PAYER: Address = Address::repeat_byte(1);

    fn begun(payers: &mut Payers, times: u32) -> u32 {
        (0..times).map(|_| u32::from(payers.turn(PAYER, false, NOW) == Turn::Begin)).sum()
    }

    /// 200 payments at once, then its balance is gone.
    #[test]
    fn whoever_empties_its_balance_makes_four_settlements_fail_and_no_more() {
        let mut payers = Payers::default();
        assert_eq!(begun(&mut payers, 200), AT_FIRST);
        for _ in 0..AT_FIRST {
            payers.ended(PAYER, Outcome::Failed, NOW);
        }
        let refused = Turn::Refuse(Refusal::FailedBefore { payer: PAYER, wait_s: MEMORY_S });
        assert_eq!(payers.turn(PAYER, true, NOW), refused);
        assert_eq!(payers.turn(Address::repeat_byte(2), false, NOW), Turn::Begin, "nobody else");
        assert_eq!(payers.turn(PAYER, false, NOW + MEMORY_S), Turn::Begin, "an hour later");
    }

    #[test]
    fn one_that_failed_leaves_one_at_a_time_and_what_was_paid_lets_more_begin() {
        let mut payers = Payers::default();
        assert_eq!(begun(&mut payers, 10), AT_FIRST);
        for _ in 0..AT_FIRST {
            payers.ended(PAYER, Outcome::Paid, NOW);
        }
        assert_eq!(begun(&mut payers, 20), 2 * AT_FIRST);
        payers.ended(PAYER, Outcome::Failed, NOW);
        for _ in 1..2 * AT_FIRST {
            payers.ended(PAYER, Outcome::Paid, NOW);
        }
        assert_eq!(begun(&mut payers, 10), 1);
    }

    #[test]
    fn what_waits_is_bounded_and_forgotten_when_it_gives_up() {
        let mut payers = Payers::default();
        let turns: Vec<_> = (0..100).map(|_| payers.turn(PAYER, false, NOW)).collect();
        let count = |want: &Turn| turns.iter().filter(|turn| *turn == want).count();
        assert_eq!((count(&Turn::Begin), count(&Turn::Wait)), (AT_FIRST as usize, MOST_WAITING as usize));
        assert_eq!(turns.last(), Some(&Turn::Refuse(Refusal::Busy)));
        payers.ended(PAYER, Outcome::Unknown, NOW);
        assert_eq!(payers.turn(PAYER, true, NOW), Turn::Begin);
        (0..MOST_WAITING).for_each(|_| payers.gives_up(PAYER));
        (0..AT_FIRST).for_each(|_| payers.ended(PAYER, Outcome::Unknown, NOW));
        payers.expire(NOW + MEMORY_S);
        assert!(payers.0.is_empty());
    }

    #[test]
    fn a_crowd_of_new_payers_pushes_nobody_out_that_failed() {
        let mut payers = Payers::default();
        assert_eq!(begun(&mut payers, 3), 3);
        (0..3).for_each(|_| payers.ended(PAYER, Outcome::Failed, NOW));
        for number in 0..3 * MOST_PAYERS as u64 {
            let address = Address::from_word(U256::from(number).into());
            let _ = payers.turn(address, false, NOW + 1);
            payers.ended(address, Outcome::Paid, NOW + 1);
        }
        assert!(payers.0.len() <= MOST_PAYERS);
        assert!(matches!(payers.turn(PAYER, false, NOW + 1), Turn::Refuse(_)));
    }
}
