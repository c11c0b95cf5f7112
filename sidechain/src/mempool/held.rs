//! Senders who are held back, because a transaction of theirs ran longer than a block has time for.
//!
//! Such a transaction is in no block, so nobody paid for the time that it took. Whoever sends the next one pays by waiting: at
//! first a minute, then twice as long each time, up to an hour. A hold is by the signature of its sender alone: nobody can
//! bring one upon another.

use std::collections::BTreeMap;

use alloy_primitives::Address;

/// The first hold, in milliseconds.
pub const FIRST_HOLD_MS: u64 = 60_000;
/// The longest, in milliseconds.
pub const LONGEST_HOLD_MS: u64 = 60 * FIRST_HOLD_MS;
/// Senders remembered, 64 bytes each. With more than these the first to be free is forgotten.
pub const MAX_HELD: usize = 4_096;

/// By sender.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(BTreeMap<Address, Hold>);

#[derive(Clone, Copy, Debug)]
struct Hold {
    until_ms: u64,
    length_ms: u64,
}

impl Hold {
    /// Once it is over, it is remembered for as long as it lasted: then the next is a first one again.
    const fn is_forgotten(&self, now_ms: u64) -> bool {
        now_ms >= self.until_ms.saturating_add(self.length_ms)
    }
}

impl Held {
    /// Holds a sender back; returns until when, in Unix milliseconds.
    pub(super) fn hold(&mut self, sender: Address, now_ms: u64) -> u64 {
        self.0.retain(|_, hold| !hold.is_forgotten(now_ms));
        let before = self.0.get(&sender).map_or(0, |hold| hold.length_ms);
        if before == 0 && self.0.len() >= MAX_HELD {
            self.forget_first();
        }
        let length_ms = (2 * before).clamp(FIRST_HOLD_MS, LONGEST_HOLD_MS);
        let until_ms = now_ms.saturating_add(length_ms);
        self.0.insert(sender, Hold { until_ms, length_ms });
        until_ms
    }

    /// Until when the sender is held back, if it is.
    pub(super) fn until(&self, sender: Address, now_ms: u64) -> Option<u64> {
        self.0.get(&sender).map(|hold| hold.until_ms).filter(|until_ms| now_ms < *until_ms)
    }

    fn forget_first(&mut self) {
        let first = self.0.iter().min_by_key(|(_, hold)| hold.until_ms).map(|(sender, _)| *sender);
        first.and_then(|sender| self.0.remove(&sender));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Address = Address::repeat_byte(1);

    #[test]
    fn each_hold_is_twice_as_long_up_to_an_hour() {
        let (mut held, mut now_ms) = (Held::default(), 1_000);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let until_ms = held.hold(SENDER, now_ms);
            assert_eq!(until_ms - now_ms, minutes * 60_000);
            assert_eq!(held.until(SENDER, until_ms - 1), Some(until_ms));
            assert_eq!(held.until(SENDER, until_ms), None);
            now_ms = until_ms;
        }
    }

    #[test]
    fn a_sender_that_behaves_as_long_as_it_was_held_starts_anew() {
        let mut held = Held::default();
        held.hold(SENDER, 0);
        let second = held.hold(SENDER, FIRST_HOLD_MS);
        assert_eq!(second, 3 * FIRST_HOLD_MS);
        let later = second + 2 * FIRST_HOLD_MS;
        assert_eq!(held.hold(SENDER, later), later + FIRST_HOLD_MS);
    }

    #[test]
    fn however_many_are_held_the_memory_is_bounded_and_the_newest_are_held() {
        let mut held = Held::default();
        let sender = |number: u64| Address::left_padding_from(&number.to_be_bytes());
        let many = 3 * MAX_HELD as u64;
        for number in 0..many {
            held.hold(sender(number), number);
        }
        assert_eq!(held.0.len(), MAX_HELD);
        assert!((many - MAX_HELD as u64..many).all(|number| held.until(sender(number), many).is_some()));
        assert_eq!(held.until(sender(0), many), None);
    }
}
