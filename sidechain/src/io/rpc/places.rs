//! Places that are given to newcomers when all are taken: whose connection is cheapest to lose.
//!
//! ```text
//!   Waiting    it waits for its client, idle or with half a request       a reconnection
//!   Quiet      a WebSocket that never subscribed                          a reconnection, and what it just asked
//!   Listening  one that did                                               what happens until it subscribes again
//! ```
//! A WebSocket of a client that has no more of them than the others goes only when nobody has more: whoever wants to cut others short needs as many
//! addresses as there are places. Of equals the one goes that asked for nothing for longest. Where a connection stands is looked up when it is its turn: what it does only puts it
//! further back, so a request costs nothing here, and a newcomer as little as those did something since the last one came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::{Loss, Pace};
use super::shares::{Hold, Limit, Resource, Shares};
use crate::access::Client;

/// Work that a WebSocket of somebody else costs whoever takes its place: one address does so once a second, and not for long.
const COST_OF_A_SOCKET: Duration = Duration::from_secs(1);

/// From the cheapest on.
const LOSSES: [Loss; 3] = [Loss::Waiting, Loss::Quiet, Loss::Listening];

/// Where a connection stands: whether limits hold for its client, what is lost with it, since when, and its number. Those without limits and
/// the others never make way for each other.
type Key = (bool, Loss, Duration, u64);

/// The places of one kind that are taken.
#[derive(Debug)]
pub struct Places {
    begun: Instant,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    by_number: BTreeMap<u64, Entry>,
    order: BTreeSet<Key>,
}

#[derive(Debug)]
struct Entry {
    /// As it was looked up last.
    key: Key,
    pace: Arc<Pace>,
    hold: Hold,
}

/// A place of one connection, until it is dropped or another has it.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let entry = self.places.taken().remove(self.number);
        // Given back when nobody waits for the lock.
        drop(entry);
    }
}

impl Places {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), taken: Mutex::default() })
    }

    /// Enters a connection that has a place.
    pub fn enter(self: &Arc<Self>, limited: bool, pace: Arc<Pace>, hold: Hold) -> Place {
        let now = self.since(Instant::now());
        let mut taken = self.taken();
        let number = taken.next;
        taken.next += 1;
        // Looked up when it is its turn.
        let key = (limited, Loss::Waiting, now, number);
        taken.order.insert(key);
        taken.by_number.insert(number, Entry { key, pace, hold });
        Place { places: self.clone(), number }
    }

    /// One for a client that finds all taken, as `limit` says: that of the connection which is cheapest to lose. A WebSocket makes way for those
    /// only who have none of these places.
    pub fn displace(
        &self,
        shares: &Arc<Shares>,
        client: Client,
        resource: Resource,
        limit: Limit,
    ) -> Result<Hold, Limit> {
        let Limit::OfNode { .. } = limit else { return Err(limit) };
        let is_newcomer = shares.has_none(client, resource) && shares.may_work(client).is_ok();
        let waiting = || self.make_room(client.limited, Loss::Waiting, |_| true);
        let of_many = || self.make_room(client.limited, Loss::Listening, |hold| shares.is_of_more_than_average(hold));
        let any = || self.make_room(client.limited, Loss::Listening, |_| true);
        let room = if is_newcomer { waiting().or_else(of_many).or_else(any) } else { waiting() };
        let (hold, lost) = room.ok_or(limit)?;
        if lost > Loss::Waiting {
            shares.spend(client, COST_OF_A_SOCKET);
        }
        Ok(shares.hand_over(hold, client))
    }

    /// Ends the connection that is cheapest to lose, among those with limits or those without, no dearer than `most`, and of those that may go; returns its
    /// place, and what was lost.
    fn make_room(&self, limited: bool, most: Loss, may_go: impl Fn(&Hold) -> bool) -> Option<(Hold, Loss)> {
        let now = self.since(Instant::now());
        let mut taken = self.taken();
        let losses = LOSSES.into_iter().filter(|loss| *loss <= most);
        let key = losses.into_iter().find_map(|loss| self.longest(&mut taken, limited, loss, now, &may_go))?;
        let entry = taken.remove(key.3)?;
        drop(taken);
        entry.pace.end();
        Some((entry.hold, key.1))
    }

    /// The one of those that may go that has stood at `loss` for longest.
    fn longest(
        &self,
        taken: &mut Taken,
        limited: bool,
        loss: Loss,
        now: Duration,
        may_go: impl Fn(&Hold) -> bool,
    ) -> Option<Key> {
        let mut from = (limited, loss, Duration::ZERO, 0);
        // Those that were looked up in this round stand at `now` or elsewhere, so this ends.
        while let Some(key) = taken.order.range(from..(limited, loss, now, 0)).next() {
            let key = *key;
            let entry = taken.by_number.get_mut(&key.3)?;
            let (loss, since) = entry.pace.standing().map_or((Loss::Waiting, now), |(loss, at)| (loss, self.since(at)));
            let current = (limited, loss, since, key.3);
            if current == key && may_go(&entry.hold) {
                return Some(key);
            }
            if current == key {
                from = (limited, loss, since, key.3 + 1);
                continue;
            }
            entry.key = current;
            taken.order.remove(&key);
            taken.order.insert(current);
        }
        None
    }

    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.begun)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Changed in steps that do not panic.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.by_number.remove(&number)?;
        self.order.remove(&entry.key);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use crate::access::Source;

    const COUNT: u32 = 2_000;

    /// Waits until it is later.
    fn later() {
        let now = Instant::now();
        while Instant::now() <= now {}
    }

    type Connections = Vec<(Place, Arc<Pace>)>;

    fn places() -> (Arc<Places>, Connections, Arc<Shares>) {
        let settings = Settings::new(([127, 0, 0, 1], 0).into());
        let mut rules = settings.rules.clone();
        rules.in_all.connections = u64::from(COUNT);
        let (places, shares) = (Places::new(), Shares::new(rules));
        let one = |number: u32| {
            let client = Client { source: Source::V4(number.into()), limited: true };
            let hold = shares.hold(client, Resource::Connections, 1).expect("there is room");
            let pace = Pace::new(&settings);
            (places.enter(true, pace.clone(), hold), pace)
        };
        let taken = (0..COUNT).map(one).collect();
        (places, taken, shares)
    }

    // every third connection is a WebSocket, of which every second has subscribed; every fifth works
    #[test]
    fn the_cheapest_goes_first_and_of_equals_the_one_that_waited_longest() {
        let (places, taken, shares) = places();
        for (number, (_, pace)) in taken.iter().enumerate().rev() {
            later();
            match number {
                number if number.is_multiple_of(3) => pace.socket(),
                number if number.is_multiple_of(5) => pace.working(),
                _ => pace.idle(),
            }
            if number.is_multiple_of(6) {
                pace.subscribed();
            }
        }
        later();
        let expected = |loss: Loss| {
            let stands = move |number: &u32| match (
                number.is_multiple_of(3),
                number.is_multiple_of(6),
                number.is_multiple_of(5),
            ) {
                (true, true, _) => loss == Loss::Listening,
                (true, false, _) => loss == Loss::Quiet,
                (false, _, working) => loss == Loss::Waiting && !working,
            };
            (0..COUNT).rev().filter(stands)
        };
        let all: Vec<u32> = LOSSES.into_iter().flat_map(expected).collect();
        for number in all {
            assert!(places.make_room(false, Loss::Listening, |_| true).is_none(), "another kind of client's");
            let (hold, _) = places.make_room(true, Loss::Listening, |_| true).expect("one more");
            assert!(taken[number as usize].1.has_ended(), "{number}");
            drop(hold);
        }
        assert!(places.make_room(true, Loss::Listening, |_| true).is_none(), "those that work stay");
        assert_eq!(
            shares.count(Resource::Connections).1,
            taken.iter().filter(|(_, pace)| !pace.has_ended()).count() as u64
        );
        drop(taken);
        assert_eq!(shares.count(Resource::Connections).1, 0);
        assert!(places.taken().order.is_empty() && places.taken().by_number.is_empty());
    }

    #[test]
    fn who_asks_for_a_place_looks_only_at_those_that_did_something() {
        let (places, taken, _shares) = places();
        let sorted = |places: &Places| {
            let taken = places.taken();
            taken.by_number.values().filter(|entry| entry.key.1 == Loss::Quiet).count()
        };
        later();
        taken.iter().for_each(|(_, pace)| pace.socket());
        assert_eq!(sorted(&places), 0, "a change costs nothing");
        later();
        let _first = places.make_room(true, Loss::Quiet, |_| true).expect("one");
        assert_eq!(sorted(&places), COUNT as usize - 1);
        for (_, pace) in &taken[1..11] {
            pace.asked();
        }
        let keys = |places: &Places| places.taken().order.clone();
        let before = keys(&places);
        let _second = places.make_room(true, Loss::Quiet, |_| true).expect("another");
        assert_eq!(before.difference(&keys(&places)).count(), 11, "ten looked up anew, and the one that went");
    }
}
