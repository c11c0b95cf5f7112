//! Whose request's body is kept when there is no room for all.
//!
//! ```text
//!   |------ for all ------|------ for those whose payment looks right ------|
//! ```
//! Those may use all of it while nobody else wants the first part. A payment that looks right may be worth nothing: its signer may have no coins. So whoever sends slowly
//! holds its room only for as long as nobody else of its kind wants it: bodies make room that are not whole, the oldest first. One that is whole stays until it was passed on.

use std::collections::BTreeMap;

/// Bytes of all bodies, and of whom.
#[derive(Debug)]
pub struct Room {
    free: usize,
    /// Of it, what those may use who show no payment that looks right.
    for_all: usize,
    next: u64,
    /// In the order in which they began.
    bodies: BTreeMap<u64, Kept>,
}

#[derive(Debug)]
struct Kept {
    bytes: usize,
    is_paid: bool,
    is_whole: bool,
}

impl Room {
    #[must_use]
    pub fn new(bytes: usize, for_all: usize) -> Self {
        Self { free: bytes, for_all, next: 0, bodies: BTreeMap::new() }
    }

    /// A body; its number.
    #[must_use]
    pub fn begin(&mut self, is_paid: bool) -> u64 {
        self.next += 1;
        self.bodies.insert(self.next, Kept { bytes: 0, is_paid, is_whole: false });
        self.next
    }

    /// Takes room for more of a body. Returns those who made it, of whom nothing is kept any more; none if there is none, or it made room itself.
    pub fn add(&mut self, id: u64, bytes: usize) -> Option<Vec<u64>> {
        let is_paid = self.bodies.get(&id)?.is_paid;
        let mut gone = Vec::new();
        while !is_paid && self.of_strangers().saturating_add(bytes) > self.for_all {
            gone.push(self.leave_slowest(id, false)?);
        }
        while self.free < bytes {
            gone.push(self.leave_slowest(id, true)?);
        }
        self.free -= bytes;
        self.bodies.get_mut(&id)?.bytes += bytes;
        Some(gone)
    }

    /// All of it has come.
    pub fn whole(&mut self, id: u64) {
        if let Some(body) = self.bodies.get_mut(&id) {
            body.is_whole = true;
        }
    }

    /// It is kept no longer.
    pub fn leave(&mut self, id: u64) {
        self.free += self.bodies.remove(&id).map_or(0, |body| body.bytes);
    }

    fn of_strangers(&self) -> usize {
        self.bodies.values().filter(|body| !body.is_paid).map(|body| body.bytes).sum()
    }

    fn leave_slowest(&mut self, but: u64, is_paid: bool) -> Option<u64> {
        let makes_room =
            |id: u64, body: &Kept| id != but && body.is_paid == is_paid && !body.is_whole && body.bytes > 0;
        let slowest = self.bodies.iter().find(|(id, body)| makes_room(**id, body)).map(|(id, _)| *id)?;
        self.leave(slowest);
        Some(slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(room: &mut Room, is_paid: bool, bytes: usize) -> (u64, Option<Vec<u64>>) {
        let id = room.begin(is_paid);
        (id, room.add(id, bytes))
    }

    #[test]
    fn who_shows_no_payment_leaves_half_of_the_room_to_those_who_do() {
        let mut room = Room::new(64, 32);
        let all = [false, false, true].map(|is_paid| begun(&mut room, is_paid, 16));
        assert!(all.iter().all(|(_, gone)| gone.as_ref().is_some_and(Vec::is_empty)), "{all:?}");
        all.iter().for_each(|(id, _)| room.whole(*id));
        assert_eq!(begun(&mut room, false, 1).1, None);
        assert_eq!(begun(&mut room, true, 17).1, None);
        assert_eq!(begun(&mut room, true, 16).1, Some(vec![]));
    }

    /// Sixty-four begin by a payment that looks right, and send no more.
    #[test]
    fn whoever_sends_slowly_makes_room_for_whoever_sends_at_once() {
        let mut room = Room::new(64, 32);
        let slow: Vec<u64> = (0..64).map(|_| begun(&mut room, true, 1).0).collect();
        let (honest, gone) = begun(&mut room, true, 2);
        assert_eq!(gone, Some(slow[..2].to_vec()));
        room.whole(honest);
        assert_eq!(room.add(slow[0], 1), None, "nothing of it is kept any more");
        assert_eq!(begun(&mut room, true, 62).1, Some(slow[2..].to_vec()), "and what is whole stays");
        assert_eq!(begun(&mut room, true, 63).1, None);
    }

    #[test]
    fn neither_kind_makes_room_for_the_other_but_for_what_is_beyond_its_part() {
        let mut room = Room::new(64, 32);
        let strangers = [(); 2].map(|()| begun(&mut room, false, 16).0);
        let paying = begun(&mut room, true, 20);
        assert_eq!(paying.1, Some(vec![]));
        assert_eq!(begun(&mut room, true, 13).1, Some(vec![paying.0]));
        assert_eq!(begun(&mut room, false, 10).1, Some(vec![strangers[0]]));
        let mut room = Room::new(64, 32);
        let paying = [(); 4].map(|()| begun(&mut room, true, 16).0);
        assert_eq!(begun(&mut room, false, 20).1, Some(paying[..2].to_vec()), "those were beyond their part");
    }

    #[test]
    fn who_leaves_gives_back_what_it_had() {
        let mut room = Room::new(64, 32);
        let id = begun(&mut room, false, 8).0;
        assert_eq!(room.add(id, 40), None);
        (0..2).for_each(|_| room.leave(id));
        assert!(room.free == 64 && room.bodies.is_empty());
    }
}
