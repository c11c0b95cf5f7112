//! Which members kept others waiting, remembered across sessions and restarts.
//!
//! ```text
//!   at fault in a session --> named for five minutes --> tried again --in time--> forgotten
//!                                   ^                        | late again
//!                                   +---- twice as long -----+
//! ```
//! Each member remembers for itself, by the board, what it has seen itself. What follows from names is in [`crate::signing`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Seconds of block time for which a member is named after its first fault; twice as long after each further one. Long enough to be
/// spared the wait in many sessions, short enough that one restart costs a member little.
const FIRST_S: u64 = 300;
/// Seconds for which a member is named at most.
const LONGEST_S: u64 = 86_400;

/// The members that were late, as kept on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latecomers {
    members: BTreeMap<u16, Late>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Late {
    times: u32,
    /// In unix seconds of block time.
    until_s: u64,
    /// Session and attempt of the last fault: after a restart the board tells it again.
    last: (u64, u32),
}

impl Latecomers {
    /// A member was at fault in an attempt of a session; whether that is news.
    pub fn late(&mut self, member: u16, session: u64, attempt: u32, now_s: u64) -> bool {
        let known = self.members.get(&member).copied();
        if known.is_some_and(|late| late.last >= (session, attempt)) {
            return false;
        }
        let before = known.map_or(0, |late| late.times);
        let patience_s = FIRST_S.saturating_mul(1 << before.min(16)).min(LONGEST_S);
        let late = Late { times: before + 1, until_s: now_s.saturating_add(patience_s), last: (session, attempt) };
        self.members.insert(member, late);
        true
    }

    /// A session ended with the part of these members in it; whether one of them was remembered.
    pub fn in_time(&mut self, members: &[u16], session: u64) -> bool {
        let before = self.members.len();
        self.members.retain(|member, late| !members.contains(member) || late.last.0 >= session);
        self.members.len() < before
    }

    /// Those to leave out now, the worst first.
    #[must_use]
    pub fn named(&self, now_s: u64) -> Vec<u16> {
        let mut named: Vec<(u32, u16)> = self
            .members
            .iter()
            .filter(|(_, late)| late.until_s > now_s)
            .map(|(member, late)| (late.times, *member))
            .collect();
        named.sort_by_key(|(times, member)| (std::cmp::Reverse(*times), *member));
        named.into_iter().map(|(_, member)| member).collect()
    }

    /// All that are remembered, with how often they were late in a row.
    #[must_use]
    pub fn remembered(&self) -> BTreeMap<u16, u32> {
        self.members.iter().map(|(member, late)| (*member, late.times)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_late_again_and_again_is_named_for_longer_and_one_that_is_in_time_is_forgotten() {
        let mut latecomers = Latecomers::default();
        let mut now_s = 1_000;
        for (session, patience_s) in [(1, FIRST_S), (2, 2 * FIRST_S), (3, 4 * FIRST_S)] {
            assert!(latecomers.late(3, session, 0, now_s));
            assert!(!latecomers.late(3, session, 0, now_s + 5), "a restart tells it again");
            assert_eq!(latecomers.named(now_s + patience_s - 1), [3]);
            now_s += patience_s;
            assert!(latecomers.named(now_s).is_empty(), "it is tried again");
        }
        assert!(latecomers.late(2, 4, 0, now_s));
        assert_eq!(latecomers.remembered(), BTreeMap::from([(2, 1), (3, 3)]));
        assert!(!latecomers.in_time(&[3], 3), "that session was before");
        assert!(latecomers.in_time(&[1, 3], 5));
        assert_eq!(latecomers.remembered(), BTreeMap::from([(2, 1)]));
        assert!((0..40).all(|attempt| latecomers.late(2, 9, attempt, now_s)));
        assert_eq!(latecomers.named(now_s + LONGEST_S - 1), [2]);
        assert!(latecomers.named(now_s + LONGEST_S).is_empty());
    }

    #[test]
    fn the_worst_is_named_first() {
        let mut latecomers = Latecomers::default();
        latecomers.late(1, 1, 0, 0);
        latecomers.late(4, 1, 0, 0);
        latecomers.late(4, 1, 1, 0);
        assert_eq!(latecomers.named(1), [4, 1]);
    }
}
