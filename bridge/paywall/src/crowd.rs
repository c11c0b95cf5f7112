//! Who holds a server's connections, and whose is closed when there is no place for another.
//!
//! ```text
//!   enters -> silent --a head--> busy --an answer--> idle --a head--> busy ...
//! ```
//! Two bounds, since whoever connects has paid nothing. When more than half of the places are taken, one address gets no more than [`MOST_BY_ADDRESS`] of them. When
//! all are taken, those make room that say nothing: first who never sent a head, then who is idle after an answer, the longest so first.
//!
//! This machine's own addresses are not counted: behind whatever ends TLS all clients come from one of them.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

/// Connections of one address. A browser opens six to a server; several people are behind one address.
pub const MOST_BY_ADDRESS: usize = 32;

/// Connections, by the order in which they came.
#[derive(Debug)]
pub struct Crowd {
    places: usize,
    /// Counts what happens: the order of all that wait.
    moment: u64,
    members: BTreeMap<u64, Member>,
    /// Those that say nothing: whether they ever did, since when, who.
    waiting: BTreeSet<(bool, u64, u64)>,
    by_address: BTreeMap<Address, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    address: Option<Address>,
    /// As it is in `waiting`; none if it is not.
    waits: Option<(bool, u64)>,
    was_heard: bool,
}

/// An address, or 2^64 of them: one customer of a provider has so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Address {
    V4(u32),
    V6(u64),
}

impl Crowd {
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { places, moment: 0, members: BTreeMap::new(), waiting: BTreeSet::new(), by_address: BTreeMap::new() }
    }

    /// Whether somebody of this address may enter.
    #[must_use]
    pub fn is_welcome(&self, address: IpAddr) -> bool {
        let of_it = Address::of(address).and_then(|address| self.by_address.get(&address)).copied();
        2 * self.members.len() < self.places || of_it.unwrap_or_default() < MOST_BY_ADDRESS
    }

    /// A connection; its number.
    #[must_use]
    pub fn enter(&mut self, address: IpAddr) -> u64 {
        self.moment += 1;
        let (id, address) = (self.moment, Address::of(address));
        if let Some(address) = address {
            *self.by_address.entry(address).or_default() += 1;
        }
        self.members.insert(id, Member { address, waits: Some((false, id)), was_heard: false });
        self.waiting.insert((false, id, id));
        id
    }

    /// It sent a head.
    pub fn heard(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.was_heard = true;
        if let Some((was_heard, since)) = member.waits.take() {
            self.waiting.remove(&(was_heard, since, id));
        }
    }

    /// It has its answer, or the beginning of one.
    pub fn answered(&mut self, id: u64) {
        self.moment += 1;
        let Some(member) = self.members.get_mut(&id).filter(|member| member.waits.is_none()) else { return };
        member.waits = Some((true, self.moment));
        self.waiting.insert((true, self.moment, id));
    }

    /// Whoever has to make room; none if all are busy. It is asked once.
    #[must_use]
    pub fn make_room(&mut self) -> Option<u64> {
        let (_, _, id) = self.waiting.pop_first()?;
        self.members.get_mut(&id)?.waits = None;
        Some(id)
    }

    /// Whether it sent nothing that was understood yet.
    #[must_use]
    pub fn was_heard(&self, id: u64) -> bool {
        self.members.get(&id).is_some_and(|member| member.was_heard)
    }

    /// It is gone.
    pub fn leave(&mut self, id: u64) {
        let Some(member) = self.members.remove(&id) else { return };
        if let Some((was_heard, since)) = member.waits {
            self.waiting.remove(&(was_heard, since, id));
        }
        let Some(address) = member.address else { return };
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

impl Address {
    fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(address) => Some(Self::V4(address.to_bits())),
            IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).ok().map(Self::V6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: usize = 512;

    fn at(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    /// As many as are let in.
    fn enter(crowd: &mut Crowd, address: &str, times: usize) -> usize {
        (0..times).filter(|_| crowd.is_welcome(at(address)) && crowd.enter(at(address)) > 0).count()
    }

    #[test]
    fn one_address_takes_half_of_the_places_at_the_most() {
        for (attacker, other) in [("203.0.113.5", "203.0.113.6"), ("2001:db8:1:2::7", "2001:db8:1:3::7")] {
            let mut crowd = Crowd::new(PLACES);
            assert_eq!(enter(&mut crowd, attacker, 520), PLACES / 2);
            assert_eq!(enter(&mut crowd, other, 520), MOST_BY_ADDRESS);
        }
        let mut crowd = Crowd::new(PLACES);
        let neighbours = (0..600).filter(|n| enter(&mut crowd, &format!("2001:db8::{n:x}"), 1) == 1).count();
        assert_eq!(neighbours, PLACES / 2, "addresses of one customer are one");
        let mut crowd = Crowd::new(PLACES);
        enter(&mut crowd, "203.0.113.5", 520);
        assert_eq!(enter(&mut crowd, "::ffff:203.0.113.5", 1), 0, "however it is written");
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(enter(&mut crowd, own, 520), 520, "{own} is whatever ends TLS");
        }
    }

    #[test]
    fn those_make_room_who_say_nothing_the_longest_first() {
        let mut crowd = Crowd::new(PLACES);
        let [busy, idle, silent, later] = [(); 4].map(|()| crowd.enter(at("127.0.0.1")));
        for id in [busy, idle] {
            crowd.heard(id);
        }
        crowd.answered(idle);
        assert!(crowd.was_heard(idle) && !crowd.was_heard(silent));
        assert_eq!([(); 4].map(|()| crowd.make_room()), [Some(silent), Some(later), Some(idle), None]);
        crowd.answered(busy);
        crowd.leave(silent);
        assert_eq!(crowd.make_room(), Some(busy));
    }

    #[test]
    fn whoever_is_gone_is_not_counted() {
        let mut crowd = Crowd::new(4);
        let first = crowd.enter(at("203.0.113.5"));
        crowd.heard(first);
        let second = crowd.enter(at("203.0.113.5"));
        for id in [first, second, second] {
            crowd.leave(id);
        }
        assert!(crowd.members.is_empty() && crowd.waiting.is_empty() && crowd.by_address.is_empty());
    }
}
