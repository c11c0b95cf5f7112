//! Work of many sources in bounded room, taken in turns: what one source brings keeps no other waiting longer than its turn.
//!
//! ```text
//! a  [..........]  --+
//! b  [.]           --+--> turns, by cost --> a batch
//! c  [....]        --+
//! ```
//! A source that filled its share is refused. When all the room is taken, the source with most in it gives up its newest for
//! whoever has less: so there is always room for a source that has nothing waiting.

use std::collections::{BTreeMap, VecDeque};

/// Cost that a source may take in one turn; what it does not use it keeps for the next while it has work.
const TURN: usize = 16 << 10;

/// Room in the queue. The cost of an item is its bytes and [`ITEM`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// For all sources together.
    pub all: usize,
    /// For one source.
    pub source: usize,
}

/// What an item costs besides its bytes: about what a signature check is worth in hashing.
pub const ITEM: usize = 1 << 10;

/// Why an item was not queued; it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom<T>(pub T);

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<(usize, T)>,
    cost: usize,
    credit: usize,
}

/// The queue. Every source in `turns` has something waiting, and every other is forgotten.
#[derive(Debug)]
pub struct FairQueue<S, T> {
    room: Room,
    sources: BTreeMap<S, Waiting<T>>,
    turns: VecDeque<S>,
    cost: usize,
}

impl<S: Ord + Clone, T> FairQueue<S, T> {
    #[must_use]
    pub const fn new(room: Room) -> Self {
        Self { room, sources: BTreeMap::new(), turns: VecDeque::new(), cost: 0 }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Queues an item of so many bytes. Returns what found no room for it: items of sources that have more, or the item itself
    /// when no source has.
    ///
    /// # Errors
    ///
    /// `NoRoom`: the source has its share already.
    pub fn push(&mut self, source: S, bytes: usize, item: T) -> Result<Vec<T>, NoRoom<T>> {
        let cost = bytes.saturating_add(ITEM);
        let own = self.sources.get(&source).map_or(0, |waiting| waiting.cost).saturating_add(cost);
        if own > self.room.source {
            return Err(NoRoom(item));
        }
        let mut given_up = Vec::new();
        while self.cost.saturating_add(cost) > self.room.all {
            match self.largest().filter(|(_, most)| *most > own) {
                Some((largest, _)) => given_up.extend(self.pop_newest(&largest)),
                // What was given up is lost, but only by sources that have more than this one.
                None => {
                    given_up.push(item);
                    return Ok(given_up);
                }
            }
        }
        self.append(source, cost, item);
        Ok(given_up)
    }

    /// Takes items in turns until their cost is `most`; at least one if there is any.
    pub fn take(&mut self, most: usize) -> Vec<T> {
        self.take_of(most, |_| true)
    }

    /// The same, of some sources only; the turns of the others do not pass meanwhile.
    pub fn take_of(&mut self, most: usize, ready: impl Fn(&S) -> bool) -> Vec<T> {
        let (mut taken, mut cost, mut passed_over) = (Vec::new(), 0, 0);
        while cost < most
            && passed_over < self.turns.len()
            && let Some(source) = self.turns.pop_front()
        {
            if !ready(&source) {
                self.turns.push_back(source);
                passed_over += 1;
                continue;
            }
            passed_over = 0;
            cost += self.take_turn(source, most - cost, &mut taken);
        }
        taken
    }

    /// One turn of a source, which ends when what was taken costs `most`. Returns that cost.
    fn take_turn(&mut self, source: S, most: usize, taken: &mut Vec<T>) -> usize {
        let Some(waiting) = self.sources.get_mut(&source) else { return 0 };
        let mut cost = 0;
        // A batch that ended in the middle of a turn is no reason for more than the next item needs.
        let next = waiting.items.front().map_or(0, |(cost, _)| *cost);
        waiting.credit = (waiting.credit + TURN).min(next + TURN);
        while cost < most
            && let Some((next, _)) = waiting.items.front()
            && *next <= waiting.credit
            && let Some((of_item, item)) = waiting.items.pop_front()
        {
            waiting.credit -= of_item;
            waiting.cost -= of_item;
            self.cost -= of_item;
            cost += of_item;
            taken.push(item);
        }
        if waiting.items.is_empty() {
            self.sources.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        cost
    }

    /// Gives back an item that was taken and must wait: it is its source's first again. Room was made when it was taken; should it be
    /// gone meanwhile, the queue is fuller than its room by this one.
    pub fn put_back(&mut self, source: S, bytes: usize, item: T) {
        let cost = bytes.saturating_add(ITEM);
        let waiting = self.waiting(source);
        waiting.items.push_front((cost, item));
        waiting.cost += cost;
        waiting.credit += cost;
        self.cost += cost;
    }

    fn append(&mut self, source: S, cost: usize, item: T) {
        let waiting = self.waiting(source);
        waiting.items.push_back((cost, item));
        waiting.cost += cost;
        self.cost += cost;
    }

    fn waiting(&mut self, source: S) -> &mut Waiting<T> {
        self.sources.entry(source.clone()).or_insert_with(|| {
            self.turns.push_back(source);
            Waiting { items: VecDeque::new(), cost: 0, credit: 0 }
        })
    }

    fn largest(&self) -> Option<(S, usize)> {
        let largest = self.sources.iter().max_by_key(|(_, waiting)| waiting.cost);
        largest.map(|(source, waiting)| (source.clone(), waiting.cost))
    }

    fn pop_newest(&mut self, source: &S) -> Option<T> {
        let waiting = self.sources.get_mut(source)?;
        let (cost, item) = waiting.items.pop_back()?;
        waiting.cost -= cost;
        self.cost -= cost;
        if waiting.items.is_empty() {
            self.sources.remove(source);
            self.turns.retain(|other| other != source);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room { all: 40 * ITEM, source: 16 * ITEM };

    #[test]
    fn a_source_with_much_keeps_none_with_little_waiting() {
        let mut queue = FairQueue::new(Room { all: 4_000 * ITEM, source: 2_000 * ITEM });
        (0..1_500).for_each(|number| assert_eq!(queue.push("flood", 0, ("flood", number)), Ok(vec![])));
        assert_eq!(queue.push("user", 0, ("user", 0)), Ok(vec![]));
        let batch = queue.take(64 * ITEM);
        assert_eq!(batch.len(), 64);
        let place = batch.iter().position(|(source, _)| *source == "user").expect("in the first batch");
        assert!(place <= TURN / ITEM, "{place}");
        let in_order: Vec<_> =
            batch.iter().filter(|(source, _)| *source == "flood").map(|(_, number)| *number).collect();
        assert!(in_order.is_sorted());
    }

    #[test]
    fn a_source_that_filled_its_share_is_refused_and_others_are_not() {
        let mut queue = FairQueue::new(ROOM);
        (0..16).for_each(|number| assert_eq!(queue.push(1, 0, number), Ok(vec![])));
        assert_eq!(queue.push(1, 0, 16), Err(NoRoom(16)));
        assert_eq!(queue.push(2, 0, 17), Ok(vec![]));
    }

    #[test]
    fn when_all_room_is_taken_the_largest_gives_up_its_newest() {
        let mut queue = FairQueue::new(ROOM);
        for source in 0..2 {
            (0..16).for_each(|number| assert_eq!(queue.push(source, 0, (source, number)), Ok(vec![])));
        }
        (0..8).for_each(|number| assert_eq!(queue.push(2, 0, (2, number)), Ok(vec![])));
        let given_up = queue.push(3, 0, (3, 0)).expect("there is room for a new source");
        assert_eq!(given_up, [(1, 15)]);
    }

    #[test]
    fn a_large_item_waits_for_as_many_turns_as_it_costs() {
        let mut queue = FairQueue::new(Room { all: 1 << 30, source: 1 << 30 });
        queue.push("large", 512 << 10, "large").expect("room");
        (0..2_000).for_each(|_| drop(queue.push("small", 0, "small").expect("room")));
        let all = queue.take(usize::MAX);
        let place = all.iter().position(|item| *item == "large").expect("taken");
        assert!((400..600).contains(&place), "{place}");
    }

    #[test]
    fn a_source_that_must_wait_keeps_its_order_and_delays_no_other() {
        let mut queue = FairQueue::new(ROOM);
        (0..3).for_each(|number| assert_eq!(queue.push("waits", 0, ("waits", number)), Ok(vec![])));
        assert_eq!(queue.push("other", 0, ("other", 0)), Ok(vec![]));
        let first = queue.take(1);
        assert_eq!(first, [("waits", 0)]);
        queue.put_back("waits", 0, ("waits", 0));
        assert_eq!(queue.take_of(usize::MAX, |source| *source != "waits"), [("other", 0)]);
        assert_eq!(queue.take_of(usize::MAX, |_| false), []);
        assert_eq!(queue.take(usize::MAX), [("waits", 0), ("waits", 1), ("waits", 2)]);
        // Also when it was its source's only one.
        queue.put_back("waits", 0, ("waits", 3));
        assert_eq!(queue.take(usize::MAX), [("waits", 3)]);
        assert!(queue.is_empty() && queue.cost == 0);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_room_is_kept(
            steps in prop::collection::vec((0u8..5, 0usize..4_000, 0usize..3), 1..300)
        ) {
            let mut queue = FairQueue::new(ROOM);
            let (mut pushed, mut left) = (0usize, 0usize);
            for (source, bytes, take) in steps {
                pushed += 1;
                left += match queue.push(source, bytes, ()) {
                    Ok(given_up) => given_up.len(),
                    Err(NoRoom(())) => 1,
                };
                prop_assert!(queue.cost <= ROOM.all);
                if take == 0 {
                    let batch = queue.take(4 * ITEM);
                    prop_assert!(!batch.is_empty() || queue.is_empty());
                    left += batch.len();
                }
            }
            left += queue.take(usize::MAX).len();
            prop_assert_eq!(left, pushed);
            prop_assert!(queue.is_empty() && queue.sources.is_empty() && queue.cost == 0);
        }
    }
}
