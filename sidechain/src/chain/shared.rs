//! Final blocks as they were decoded or executed, kept for those who ask next. Bounded by bytes.
//!
//! Blocks near the head have a part of their own: whoever walks through the old ones pushes out only old ones.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of decoded blocks, and as much again of receipts, that are kept in memory: near the head, and as much of older ones.
/// The last full blocks each, or hundreds of ordinary ones.
pub(super) const SHARED_BYTES: usize = 8 << 20;

/// Things by the number of their block.
#[derive(Debug)]
pub(super) struct Shared<T>(Mutex<Parts<T>>);

#[derive(Debug)]
struct Parts<T> {
    /// Bytes of each of the two.
    limit: usize,
    /// The highest blocks of all that were seen.
    newest: Part<T>,
    /// Others that were asked for lately.
    older: Part<T>,
    /// Of `older`, in the order they came.
    order: VecDeque<u64>,
}

#[derive(Debug)]
struct Part<T> {
    kept: BTreeMap<u64, (Arc<T>, usize)>,
    bytes: usize,
}

impl<T> Shared<T> {
    /// Room for `limit` bytes near the head, and as much for older ones.
    pub(super) fn new(limit: usize) -> Self {
        let part = || Part { kept: BTreeMap::new(), bytes: 0 };
        Self(Mutex::new(Parts { limit, newest: part(), older: part(), order: VecDeque::new() }))
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<T>> {
        let parts = self.parts();
        let (value, _) = parts.newest.kept.get(&number).or_else(|| parts.older.kept.get(&number))?;
        Some(value.clone())
    }

    /// Keeps a value of about `bytes`; others go for it. One that is larger than the room is not kept.
    pub(super) fn put(&self, number: u64, value: Arc<T>, bytes: usize) {
        let mut parts = self.parts();
        let Parts { limit, newest, older, order } = &mut *parts;
        if bytes > *limit || newest.kept.contains_key(&number) || older.kept.contains_key(&number) {
            return;
        }
        let lowest = newest.kept.keys().next().copied();
        if lowest.is_none_or(|lowest| lowest < number) || newest.bytes + bytes <= *limit {
            newest.put(number, value, bytes);
            newest.shrink(*limit, |part| part.kept.keys().next().copied());
        } else {
            older.put(number, value, bytes);
            order.push_back(number);
            older.shrink(*limit, |_| order.pop_front());
        }
    }

    /// What was removed from the store.
    pub(super) fn forget(&self, number: u64) {
        let mut parts = self.parts();
        parts.newest.remove(number);
        parts.older.remove(number);
        parts.order.retain(|other| *other != number);
    }

    fn parts(&self) -> MutexGuard<'_, Parts<T>> {
        // Changed by methods that do not panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Part<T> {
    fn put(&mut self, number: u64, value: Arc<T>, bytes: usize) {
        self.bytes += bytes;
        self.kept.insert(number, (value, bytes));
    }

    fn remove(&mut self, number: u64) {
        if let Some((_, bytes)) = self.kept.remove(&number) {
            self.bytes -= bytes;
        }
    }

    fn shrink(&mut self, limit: usize, mut first: impl FnMut(&Self) -> Option<u64>) {
        while self.bytes > limit
            && let Some(number) = first(self)
        {
            self.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(shared: &Shared<u64>) -> Vec<u64> {
        (0..100).filter(|number| shared.get(*number).is_some_and(|value| *value == *number)).collect()
    }

    #[test]
    fn who_walks_through_old_blocks_pushes_out_no_new_ones() {
        let shared = Shared::new(30);
        (90..=95).for_each(|number| shared.put(number, Arc::new(number), 10));
        assert_eq!(kept(&shared), [93, 94, 95]);
        (0..50).for_each(|number| shared.put(number, Arc::new(number), 10));
        assert_eq!(kept(&shared), [47, 48, 49, 93, 94, 95]);
        shared.put(10, Arc::new(10), 10);
        assert_eq!(kept(&shared), [10, 48, 49, 93, 94, 95], "downwards too the last one stays");
        shared.put(96, Arc::new(96), 10);
        assert_eq!(kept(&shared), [10, 48, 49, 94, 95, 96]);
    }

    #[test]
    fn what_is_kept_has_a_bound_in_bytes() {
        let shared = Shared::new(30);
        shared.put(1, Arc::new(1), 31);
        assert_eq!(kept(&shared), [0; 0], "larger than all the room");
        (1..=3).for_each(|number| shared.put(number, Arc::new(number), 10));
        shared.put(4, Arc::new(4), 25);
        assert_eq!(kept(&shared), [4]);
        (0..5).for_each(|_| shared.put(4, Arc::new(4), 25));
        shared.put(2, Arc::new(2), 5);
        assert_eq!(kept(&shared), [2, 4], "the same block again takes no more room");
        shared.forget(4);
        shared.forget(2);
        shared.put(5, Arc::new(5), 30);
        assert_eq!(kept(&shared), [5], "what is forgotten gives its room back");
    }
}
