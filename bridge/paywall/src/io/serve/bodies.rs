//! Bodies of requests that are kept until an upstream has them, as far as there is room ([`crate::room`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::room::Room;

/// Bytes of all bodies. Those who make room are a moment in going.
pub const MOST_BYTES: usize = 64 << 20;
/// Of these, what is there for all; the rest is for requests whose payment was found right, as others need not pay to send a body.
const FOR_ALL: usize = MOST_BYTES / 2;

/// Room that is left.
#[derive(Clone)]
pub struct Bodies(Arc<Mutex<State>>);

struct State {
    room: Room,
    /// Who hears that it has to make room.
    senders: BTreeMap<u64, Arc<Notify>>,
}

/// A body of which as much is kept as there is room for. Its room is free again when it is dropped.
pub struct Kept {
    pub bytes: Vec<u8>,
    place: Place,
    pub is_over: bool,
}

/// The room of one body.
pub struct Place {
    bodies: Bodies,
    id: u64,
    /// It has to make room.
    makes_room: Arc<Notify>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { room: Room::new(MOST_BYTES, FOR_ALL), senders: BTreeMap::new() })))
    }
}

impl Bodies {
    pub fn begin(&self, is_paid: bool) -> Kept {
        let makes_room = Arc::new(Notify::new());
        let mut state = self.state();
        let id = state.room.begin(is_paid);
        state.senders.insert(id, makes_room.clone());
        drop(state);
        Kept { bytes: Vec::new(), place: Place { bodies: self.clone(), id, makes_room }, is_over: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.bodies.state();
        state.room.leave(self.id);
        state.senders.remove(&self.id);
    }
}

impl Kept {
    /// Is told when it has to make room.
    pub fn makes_room(&self) -> Arc<Notify> {
        self.place.makes_room.clone()
    }

    /// Keeps a further part. When there is no room for it, nothing is kept any more.
    pub fn add(&mut self, part: &[u8]) {
        if self.is_over {
            return;
        }
        let mut state = self.place.bodies.state();
        match state.room.add(self.place.id, part.len()) {
            Some(gone) => {
                for id in gone {
                    if let Some(sender) = state.senders.remove(&id) {
                        sender.notify_one();
                    }
                }
                drop(state);
                self.bytes.extend_from_slice(part);
            }
            None => {
                state.room.leave(self.place.id);
                drop(state);
                (self.bytes, self.is_over) = (Vec::new(), true);
            }
        }
    }

    /// All of it has come: its bytes, and what keeps their room.
    pub fn into_parts(self) -> (Vec<u8>, Place) {
        let Self { bytes, place, .. } = self;
        place.bodies.state().room.whole(place.id);
        (bytes, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PART: [u8; 1 << 20] = [7; 1 << 20];

    #[test]
    fn a_body_for_which_there_is_no_room_gives_back_what_it_had() {
        let bodies = Bodies::default();
        let mut kept = bodies.begin(false);
        (0..40).for_each(|_| kept.add(&PART));
        assert!(kept.is_over && kept.bytes.is_empty());
        let mut others: Vec<Kept> = (0..32).map(|_| bodies.begin(false)).collect();
        others.iter_mut().for_each(|other| other.add(&PART));
        assert!(others.iter().all(|other| !other.is_over));
    }

    #[tokio::test]
    async fn whoever_makes_room_hears_of_it() {
        let bodies = Bodies::default();
        let mut slow: Vec<Kept> = (0..64).map(|_| bodies.begin(true)).collect();
        slow.iter_mut().for_each(|one| one.add(&PART));
        let mut honest = bodies.begin(true);
        honest.add(&PART);
        assert!(!honest.is_over);
        slow[0].makes_room().notified().await;
        slow[0].add(&PART);
        assert!(slow[0].is_over && slow[0].bytes.is_empty());
        drop((slow, honest));
        assert!(bodies.state().senders.is_empty());
    }
}
