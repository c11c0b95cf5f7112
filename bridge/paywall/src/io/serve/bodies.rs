//! Room for the bodies of requests, of all together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of all bodies that are kept until an upstream has them.
pub const MOST_BYTES: usize = 64 << 20;
/// Of these, what is left to requests whose payment was found right: others need not pay to send a body.
const FOR_PAYERS: usize = MOST_BYTES / 2;

/// Room that is left.
#[derive(Clone)]
pub struct Bodies(Arc<Semaphore>);

/// A body of which as much is kept as there is room for. Its room is free again when it is dropped.
pub struct Kept {
    pub bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
    is_paid: bool,
    pub is_over: bool,
}

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_BYTES)))
    }
}

impl Bodies {
    pub fn begin(&self, is_paid: bool) -> Kept {
        Kept { bytes: Vec::new(), room: None, is_paid, is_over: false }
    }

    fn reserve(&self, bytes: usize, is_paid: bool) -> Option<OwnedSemaphorePermit> {
        let left = if is_paid { 0 } else { FOR_PAYERS };
        let is_there = self.0.available_permits() >= bytes.saturating_add(left);
        let bytes = u32::try_from(bytes).ok().filter(|_| is_there)?;
        self.0.clone().try_acquire_many_owned(bytes).ok()
    }
}

impl Kept {
    /// Keeps a further part. When there is no room for it, nothing is kept any more.
    pub fn add(&mut self, part: &[u8], bodies: &Bodies) {
        if self.is_over {
            return;
        }
        match bodies.reserve(part.len(), self.is_paid) {
            Some(more) => {
                match &mut self.room {
                    Some(room) => room.merge(more),
                    room => *room = Some(more),
                }
                self.bytes.extend_from_slice(part);
            }
            None => *self = Self { is_over: true, ..bodies.begin(self.is_paid) },
        }
    }

    /// Its bytes, and what keeps their room.
    pub fn into_parts(self) -> (Vec<u8>, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PART: [u8; 1 << 20] = [7; 1 << 20];

    /// Mebibytes that are kept of bodies which come part by part.
    fn fill(bodies: &Bodies, is_paid: bool) -> Vec<Kept> {
        let kept = std::iter::repeat_with(|| {
            let mut kept = bodies.begin(is_paid);
            kept.add(&PART, bodies);
            kept
        });
        kept.take_while(|kept| !kept.is_over).collect()
    }

    #[test]
    fn who_pays_nothing_leaves_half_of_the_room_to_those_who_pay() {
        let bodies = Bodies::default();
        let free = fill(&bodies, false);
        assert_eq!(free.len(), 32);
        let paid = fill(&bodies, true);
        assert_eq!(paid.len(), 32);
        drop((free, paid));
        assert_eq!(fill(&bodies, true).len(), 64);
    }

    #[test]
    fn a_body_for_which_there_is_no_room_gives_back_what_it_had() {
        let bodies = Bodies::default();
        let mut kept = bodies.begin(false);
        for _ in 0..40 {
            kept.add(&PART, &bodies);
        }
        assert!(kept.is_over && kept.bytes.is_empty());
        assert_eq!(bodies.0.available_permits(), MOST_BYTES);
    }
}
