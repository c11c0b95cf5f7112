//! The relayer's transactions that are not included yet, and the nonce of the next one.
//!
//! A free transaction that would fail is dropped by whoever proposes a block, so a nonce can stay open while later ones
//! wait behind it. An open nonce goes to the next transaction; what was dropped is owed again and comes back by itself.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;

use super::duty::Task;

/// After so many milliseconds a transaction that still waits is sent anew. It may have been behind an open nonce. Blocks come every
/// half second to two seconds.
const GIVE_UP_AFTER_MS: u64 = 8_000;

/// Transactions that may wait at once: more is a sign that something is stuck.
const MAX_WAITING: usize = 16;

/// The gas limit for an estimate. What a free transaction costs can grow before it is included (the last member to
/// confirm a key also activates it), and gas that is not used costs nothing here. `most` is what a transaction may use.
#[must_use]
pub fn gas_limit(estimate: u64, most: u64) -> u64 {
    (estimate + estimate / 2 + 250_000).min(most.max(estimate))
}

/// The transactions under way, by nonce.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    waiting: BTreeMap<u64, Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    hash: B256,
    /// None for posts to the board, which their sessions repeat by themselves.
    task: Option<Task>,
    at_ms: u64,
}

impl Outgoing {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The account's next nonce by the last final block: those below it are done.
    pub fn included(&mut self, next_nonce: u64) {
        self.waiting.retain(|nonce, _| *nonce >= next_nonce);
    }

    /// What to ask the node about: does it still know this transaction?
    #[must_use]
    pub fn questions(&self) -> Vec<B256> {
        self.waiting.values().map(|sent| sent.hash).collect()
    }

    /// The node does not know it any more: its nonce is open.
    pub fn forgotten(&mut self, hash: B256) {
        self.waiting.retain(|_, sent| sent.hash != hash);
    }

    /// The work that is under way.
    #[must_use]
    pub fn in_flight(&self, clock_ms: u64) -> BTreeSet<Task> {
        self.waiting.values().filter(|sent| !sent.is_given_up(clock_ms)).filter_map(|sent| sent.task).collect()
    }

    /// The nonce for the next transaction.
    pub fn next_nonce(&mut self, next_nonce: u64, clock_ms: u64) -> u64 {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.retain(|_, sent| !sent.is_given_up(clock_ms));
        }
        (next_nonce..).find(|nonce| !self.waiting.contains_key(nonce)).expect("fewer wait than there are nonces")
    }

    pub fn sent(&mut self, nonce: u64, hash: B256, task: Option<Task>, clock_ms: u64) {
        self.waiting.insert(nonce, Sent { hash, task, at_ms: clock_ms });
    }
}

impl Sent {
    fn is_given_up(&self, clock_ms: u64) -> bool {
        clock_ms.saturating_sub(self.at_ms) >= GIVE_UP_AFTER_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> B256 {
        B256::repeat_byte(byte)
    }

    // nonces   0[included] 1[dropped] 2[waits]      the next one takes 1
    #[test]
    fn an_open_nonce_goes_to_the_next_transaction() {
        let mut outgoing = Outgoing::default();
        for nonce in 0..3u8 {
            assert_eq!(outgoing.next_nonce(0, 0), u64::from(nonce));
            outgoing.sent(u64::from(nonce), hash(nonce), Some(Task::Settle(nonce.into())), 0);
        }
        outgoing.included(1);
        outgoing.forgotten(hash(1));
        assert_eq!(outgoing.questions(), [hash(2)]);
        assert_eq!(outgoing.next_nonce(1, 0), 1);
        assert_eq!(outgoing.in_flight(0), BTreeSet::from([Task::Settle(2)]));
    }

    #[test]
    fn work_that_waits_too_long_is_owed_again() {
        let mut outgoing = Outgoing::default();
        outgoing.sent(0, hash(0), Some(Task::Settle(7)), 1_000);
        assert_eq!(outgoing.in_flight(1_000 + GIVE_UP_AFTER_MS - 1).len(), 1);
        assert_eq!(outgoing.in_flight(1_000 + GIVE_UP_AFTER_MS).len(), 0);
    }

    #[test]
    fn nonces_are_taken_back_only_when_many_wait() {
        let mut outgoing = Outgoing::default();
        for nonce in 0..MAX_WAITING as u64 {
            outgoing.sent(nonce, hash(u8::try_from(nonce).expect("few")), None, 0);
        }
        assert_eq!(outgoing.next_nonce(0, GIVE_UP_AFTER_MS - 1), MAX_WAITING as u64);
        assert_eq!(outgoing.next_nonce(0, GIVE_UP_AFTER_MS), 0);
    }
}
