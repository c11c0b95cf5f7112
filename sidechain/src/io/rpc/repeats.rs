//! Registrations that their users send again, on their way to the other validators once more: what was gossiped may have been lost, or
//! let go there.
//!
//! Retries must be no means to make this node speak: an address is passed on once in a while, and all of them together at a pace that the
//! others' quotas for this node can bear. The caller counts each towards its client's registrations.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use alloy_primitives::B256;

use crate::rate::RateLimit;

/// Between two times that an address is passed on.
const PAUSE_MS: u64 = 60_000;

/// Of all addresses: a tenth of what a validator takes of another.
const PER_MINUTE: u32 = 600;

/// Addresses whose last time is remembered. New ones count too, so it can be full: then nothing is passed on again for up to a pause.
const MAX_REMEMBERED: usize = 16_384;

/// When addresses were passed on last.
#[derive(Debug)]
pub struct Repeats(Mutex<Passed>);

#[derive(Debug)]
struct Passed {
    /// Unix milliseconds, by output key.
    last_ms: BTreeMap<B256, u64>,
    /// The same in the order of time, so that forgetting costs no more than remembering did.
    order: VecDeque<(u64, B256)>,
    pace: RateLimit,
}

impl Default for Repeats {
    fn default() -> Self {
        Self(Mutex::new(Passed { last_ms: BTreeMap::new(), order: VecDeque::new(), pace: RateLimit::new(PER_MINUTE) }))
    }
}

impl Repeats {
    /// Notes that a new registration is passed on.
    pub fn passed_on(&self, output_key: B256, now_ms: u64) {
        self.with(|passed| {
            if passed.has_room(now_ms) {
                passed.remember(output_key, now_ms);
            }
        });
    }

    /// Whether one that is known is to be passed on again; asked only of those whose client may register.
    pub fn may_pass_on_again(&self, output_key: B256, client_may: impl FnOnce() -> bool, now_ms: u64) -> bool {
        self.with(|passed| {
            let rests = passed.last_ms.get(&output_key).is_some_and(|last_ms| !is_over(*last_ms, now_ms));
            let may = !rests && passed.has_room(now_ms) && passed.pace.left(now_ms) > 0 && client_may();
            if may {
                passed.pace.spend(1, now_ms);
                passed.remember(output_key, now_ms);
            }
            may
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Passed) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Passed {
    fn has_room(&mut self, now_ms: u64) -> bool {
        while let Some((last_ms, output_key)) = self.order.front().filter(|(last_ms, _)| is_over(*last_ms, now_ms)) {
            // A later time of the same address stays.
            if self.last_ms.get(output_key) == Some(last_ms) {
                self.last_ms.remove(output_key);
            }
            self.order.pop_front();
        }
        self.order.len() < MAX_REMEMBERED
    }

    fn remember(&mut self, output_key: B256, now_ms: u64) {
        self.last_ms.insert(output_key, now_ms);
        self.order.push_back((now_ms, output_key));
    }
}

const fn is_over(last_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(last_ms) >= PAUSE_MS
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    fn key(number: u64) -> B256 {
        U256::from(number).into()
    }

    #[test]
    fn a_registration_is_passed_on_again_after_a_pause_and_never_for_a_client_that_used_up_its_own() {
        let repeats = Repeats::default();
        repeats.passed_on(key(1), 1_000);
        assert!(!repeats.may_pass_on_again(key(1), || true, 60_999));
        assert!(!repeats.may_pass_on_again(key(1), || false, 61_000));
        assert!(repeats.may_pass_on_again(key(1), || true, 61_000));
        assert!(!repeats.may_pass_on_again(key(1), || true, 61_000), "not at once again");
        assert!(repeats.may_pass_on_again(key(2), || true, 61_000), "one of before this node's start");
    }

    #[test]
    fn all_together_have_a_pace_and_what_is_remembered_a_bound() {
        let repeats = Repeats::default();
        let passed =
            |now_ms| (0..100_000).filter(|number| repeats.may_pass_on_again(key(*number), || true, now_ms)).count();
        assert_eq!((passed(0), passed(60_000)), (600, 600));
        (0..100_000).for_each(|number| repeats.passed_on(key(1_000_000 + number), 120_000));
        assert!(repeats.with(|passed| passed.order.len()) <= MAX_REMEMBERED);
        assert!(repeats.may_pass_on_again(key(1), || true, 240_000), "it is forgotten after a pause");
    }
}
