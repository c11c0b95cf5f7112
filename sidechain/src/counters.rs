//! What a node counts for its operator's monitoring. Events in, numbers out; nothing here decides anything.
//!
//! A vote is this validator's word in a round of the engine. It *missed* a round whose block became final without a word of its own: whoever does
//! that often is late or cut off, although the chain goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Rounds of which the own votes are remembered: far more than are open at a time.
const ROUNDS: usize = 1_024;

/// What happened in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundEvent {
    /// This validator voted.
    Voted { round: u64, vote: Vote },
    /// The round's block is final.
    Final { round: u64 },
}

/// The kinds of votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vote {
    Notarize,
    Nullify,
    Finalize,
}

/// How a request of the JSON-RPC is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    FromMemory,
    FromStore,
    ByExecution,
    AfterWaiting,
    BySubscription,
    Withheld,
    UnknownMethod,
}

/// Which limit a client of the JSON-RPC came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReached {
    OfAddress,
    OfNode,
    Work,
    Registrations,
}

/// The votes of a validator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// The latest round that anything was heard of.
    pub round: u64,
    /// Cast, by kind.
    pub cast: [u64; 3],
    /// Rounds that became final.
    pub rounds_final: u64,
    /// Of these, those without a vote of this validator.
    pub missed: u64,
    own: BTreeSet<(u64, Vote)>,
    last_final: u64,
}

/// How often something was done, and how long it took altogether.
#[derive(Debug, Default)]
pub struct Timing {
    count: AtomicU64,
    micros: AtomicU64,
}

/// All that is counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    votes: Mutex<Votes>,
    /// Blocks of others that were executed before a vote.
    pub checked: Timing,
    /// Blocks that were made final here; a follower executes them then.
    pub committed: Timing,
    answered: [AtomicU64; Answered::ALL.len()],
    limits: [AtomicU64; LimitReached::ALL.len()],
}

impl Vote {
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Notarize, "notarize"), (Self::Nullify, "nullify"), (Self::Finalize, "finalize")];
}

impl Answered {
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::FromMemory, "memory"),
        (Self::FromStore, "store"),
        (Self::ByExecution, "execution"),
        (Self::AfterWaiting, "waiting"),
        (Self::BySubscription, "subscription"),
        (Self::Withheld, "withheld"),
        (Self::UnknownMethod, "unknown"),
    ];
}

impl LimitReached {
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::OfAddress, "address"),
        (Self::OfNode, "node"),
        (Self::Work, "work"),
        (Self::Registrations, "registrations"),
    ];
}

impl Votes {
    /// Takes note of an event. The engine tells some twice, after a start those of its journal too.
    pub fn note(&mut self, event: RoundEvent) {
        match event {
            RoundEvent::Voted { round, vote } => {
                self.round = self.round.max(round);
                if self.own.insert((round, vote)) {
                    self.cast[vote as usize] += 1;
                }
                while self.own.len() > ROUNDS * Vote::ALL.len() {
                    self.own.pop_first();
                }
            }
            RoundEvent::Final { round } if round > self.last_final => {
                (self.round, self.last_final) = (self.round.max(round), round);
                self.rounds_final += 1;
                let voted = self.own.range((round, Vote::Notarize)..=(round, Vote::Finalize)).next().is_some();
                self.missed += u64::from(!voted);
            }
            RoundEvent::Final { .. } => {}
        }
    }
}

impl Timing {
    pub fn took(&self, time: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How often, and how long.
    pub fn sum(&self) -> (u64, Duration) {
        (self.count.load(Ordering::Relaxed), Duration::from_micros(self.micros.load(Ordering::Relaxed)))
    }
}

impl Counters {
    pub fn note(&self, event: RoundEvent) {
        self.lock().note(event);
    }

    pub fn votes(&self) -> Votes {
        self.lock().clone()
    }

    pub fn answered(&self, how: Answered) {
        self.answered[how as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn limited(&self, by: LimitReached) {
        self.limits[by as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests of the JSON-RPC, by how they were answered.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Answered::ALL.iter().map(|(how, name)| (*name, self.answered[*how as usize].load(Ordering::Relaxed)))
    }

    /// Times that a client came to a limit, by limit.
    pub fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        LimitReached::ALL.iter().map(|(by, name)| (*name, self.limits[*by as usize].load(Ordering::Relaxed)))
    }

    /// Held for moments.
    fn lock(&self) -> MutexGuard<'_, Votes> {
        // Plain values: a panic elsewhere does not spoil them.
        self.votes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_missed_when_it_became_final_without_a_vote_of_ones_own() {
        let mut votes = Votes::default();
        let voted = |round, vote| RoundEvent::Voted { round, vote };
        for event in [
            voted(1, Vote::Notarize),
            voted(1, Vote::Finalize),
            RoundEvent::Final { round: 1 },
            // Of the journal, once more.
            voted(1, Vote::Notarize),
            RoundEvent::Final { round: 1 },
            voted(2, Vote::Nullify),
            RoundEvent::Final { round: 3 },
        ] {
            votes.note(event);
        }
        assert_eq!((votes.round, votes.cast, votes.rounds_final, votes.missed), (3, [1, 1, 1], 2, 1));
    }

    #[test]
    fn the_votes_that_are_remembered_are_bounded() {
        let mut votes = Votes::default();
        (1..5_000).for_each(|round| votes.note(RoundEvent::Voted { round, vote: Vote::Notarize }));
        assert_eq!((votes.own.len(), votes.cast[0]), (3 * ROUNDS, 4_999));
    }

    #[test]
    fn every_count_has_a_place_of_its_own() {
        let counters = Counters::default();
        for (index, (how, _)) in Answered::ALL.into_iter().enumerate() {
            assert_eq!(how as usize, index);
            (0..=index).for_each(|_| counters.answered(how));
        }
        assert!(counters.requests().map(|(_, count)| count).eq(1..=7));
        for (index, (by, _)) in LimitReached::ALL.into_iter().enumerate() {
            assert_eq!(by as usize, index);
            counters.limited(by);
        }
        assert!(counters.limits().all(|(_, count)| count == 1));
        assert!(Vote::ALL.into_iter().enumerate().all(|(index, (vote, _))| vote as usize == index));
        counters.checked.took(Duration::from_micros(1_500));
        counters.checked.took(Duration::from_micros(500));
        assert_eq!(counters.checked.sum(), (2, Duration::from_millis(2)));
    }
}
