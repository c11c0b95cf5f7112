//! Which final blocks and certificates there are: what the engine asks most, in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::B256;

use super::payload::Payload;

/// Sets of heights as ranges, inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds a range that overlaps no other.
    pub(super) fn insert(&mut self, start: u64, end: u64) {
        let mut merged = (start, end);
        if let Some((before, last)) = start.checked_sub(1).and_then(|height| self.around(height)) {
            merged.0 = before;
            debug_assert!(last + 1 == start, "ranges do not overlap");
        }
        if let Some((next, last)) = end.checked_add(1).and_then(|height| self.around(height)) {
            merged.1 = last;
            self.0.remove(&next);
        }
        self.0.insert(merged.0, merged.1);
    }

    /// The range that holds a height.
    pub(super) fn around(&self, height: u64) -> Option<(u64, u64)> {
        let (start, end) = self.0.range(..=height).next_back()?;
        (*end >= height).then_some((*start, *end))
    }

    pub(super) fn contains(&self, height: u64) -> bool {
        self.around(height).is_some()
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.0.last_key_value().map(|(_, end)| *end)
    }

    /// End of the range that holds a height, and start of the next range after it.
    pub(super) fn next_gap(&self, height: u64) -> (Option<u64>, Option<u64>) {
        let end = self.around(height).map(|(_, end)| end);
        let next = height.checked_add(1).and_then(|after| self.0.range(after..).next());
        (end, next.map(|(start, _)| *start))
    }

    /// At most `max` heights from `start` on that lie before some range and in none.
    pub(super) fn missing(&self, start: u64, max: usize) -> Vec<u64> {
        let mut missing = Vec::new();
        let mut height = start;
        while missing.len() < max {
            match self.next_gap(height) {
                (Some(end), Some(_)) => height = end + 1,
                (None, Some(next)) => {
                    missing.extend((height..next).take(max - missing.len()));
                    height = next;
                }
                (_, None) => break,
            }
        }
        missing
    }

    /// Ranges that hold a height of `from` or more.
    pub(super) fn from(&self, from: u64) -> Vec<(u64, u64)> {
        self.0.iter().filter(|(_, end)| **end >= from).map(|(start, end)| (*start, *end)).collect()
    }
}

/// A block or a certificate that the engine gave and that is not on disk yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) hash: B256,
    pub(super) block: Option<Arc<Payload>>,
    /// As the engine encodes it.
    pub(super) certificate: Option<Vec<u8>>,
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) blocks: Ranges,
    /// Complete from some height on that lies far enough below the head at start.
    pub(super) certificates: Ranges,
    /// Heights of blocks that were not executed yet when they came, by hash, and of those since.
    pub(super) heights: HashMap<B256, u64>,
    /// By height.
    pub(super) waiting: BTreeMap<u64, Waiting>,
}

impl Index {
    /// Notes a block; whether it is new.
    pub(super) fn add_block(&mut self, height: u64, hash: B256, block: &Arc<Payload>) -> bool {
        if self.blocks.contains(height) {
            return false;
        }
        self.blocks.insert(height, height);
        self.heights.insert(hash, height);
        self.wait(height, hash).block = Some(block.clone());
        true
    }

    /// Notes a certificate; whether it is new.
    pub(super) fn add_certificate(&mut self, height: u64, hash: B256, certificate: Vec<u8>) -> bool {
        if self.certificates.contains(height) {
            return false;
        }
        self.certificates.insert(height, height);
        self.heights.insert(hash, height);
        self.wait(height, hash).certificate = Some(certificate);
        true
    }

    fn wait(&mut self, height: u64, hash: B256) -> &mut Waiting {
        self.waiting.entry(height).or_insert(Waiting { hash, block: None, certificate: None })
    }

    /// Forgets hashes of blocks that are found by the chain's own index now: final and executed up to `head`.
    pub(super) fn forget(&mut self, head: u64) {
        self.heights.retain(|_, height| *height > head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn ranges_answer_as_a_set_does(heights in prop::collection::btree_set(0u64..40, 0..30), asked in 0u64..45, max in 0usize..12) {
            let mut ranges = Ranges::default();
            let mut order: Vec<_> = heights.iter().copied().collect();
            order.sort_by_key(|height| height * 7 % 41);
            order.iter().for_each(|height| ranges.insert(*height, *height));
            prop_assert_eq!(ranges.contains(asked), heights.contains(&asked));
            prop_assert_eq!(ranges.last(), heights.last().copied());
            let starts: BTreeSet<u64> = heights.iter().copied().filter(|h| *h == 0 || !heights.contains(&(h - 1))).collect();
            let end = heights.contains(&asked).then(|| (asked..).find(|h| !heights.contains(&(h + 1))).expect("finite"));
            prop_assert_eq!(ranges.next_gap(asked), (end, starts.range(asked + 1..).next().copied()));
            let last = heights.last().copied().unwrap_or_default();
            let missing: Vec<u64> = (asked..last).filter(|h| !heights.contains(h)).take(max).collect();
            prop_assert_eq!(ranges.missing(asked, max), missing);
            let held: BTreeSet<u64> = ranges.from(asked).into_iter().flat_map(|(start, end)| start..=end).collect();
            prop_assert!(heights.range(asked..).all(|height| held.contains(height)) && held.is_subset(&heights));
        }
    }
}
