//! Finding the transactions whose logs a filter may want, in the index, within bounds on what is read.
//!
//! A filter is a conjunction (emitter, topic 0, ... topic 3) of alternatives (any of these values). Each alternative is a
//! list of the index; the walk goes up the blocks and always jumps to the furthest of the conjunction's places, so it reads
//! about as much as is in the shortest part:
//!
//! ```text
//!  emitter with topic 0    3 . . . . 8 9 . . 12     any of its lists
//!  emitter with topic 1    . . 5 . . . 9 . . 12     any of its lists
//!                                      9     12     blocks in which one transaction is in both
//! ```

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
};

use super::{
    log_filter::LogFilter,
    log_index::{List, Subject, decode_row, row_key},
};
use crate::{
    execution::Stop,
    state::store::{Store, StoreError, Table},
};

/// Rows that looking for a place in a list counts as: finding it on disk takes about as long as reading so many.
const SEEK_ROWS: u64 = 16;

/// Lists for which emitters and topics are combined. Beyond it each has its own, and the walk finds what they share.
const MAX_COMBINED: usize = 1_000;

/// Rows read at once, of all lists together: with the longest values (every transaction of a full block) some megabytes.
const MAX_BUFFERED: usize = 1_024;

/// What a request may still read.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// Rows of the index.
    pub(super) rows: u64,
    /// Bytes of index and receipts.
    pub(super) bytes: u64,
    pub(super) stop: Stop,
}

impl Budget {
    pub(super) fn spend(&mut self, rows: u64, bytes: usize) {
        self.rows = self.rows.saturating_sub(rows);
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.rows == 0 || self.bytes == 0
    }
}

/// The next place of a walk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Transactions of a block that are in the index as the filter wants.
    Block(u64, BTreeSet<u32>),
    /// No more blocks.
    End,
    /// The budget is spent, or the search stopped; everything before this block was walked.
    Spent(u64),
}

/// A walk up the blocks of a filter.
pub(super) struct Walk {
    /// Those with fewer lists first: they decide where the others look.
    parts: Vec<Alternatives>,
    from: u64,
    to: u64,
}

impl Walk {
    pub(super) fn new(filter: &LogFilter) -> Self {
        let mut parts: Vec<_> = lists(filter);
        parts.sort_by_key(Vec::len);
        let lists = parts.iter().map(Vec::len).sum::<usize>().max(1);
        let most = (MAX_BUFFERED / lists).max(1);
        let parts = parts.into_iter().map(|lists| Alternatives::new(lists, most, filter.to)).collect();
        Self { parts, from: filter.from, to: filter.to }
    }

    /// The first block at or after `at` with a transaction that is in a list of each part. The first block of the filter is
    /// walked whatever is left of the budget, so that every request gets on.
    pub(super) fn next<S: Store>(&mut self, store: &S, mut at: u64, budget: &mut Budget) -> Result<Step, StoreError> {
        while at <= self.to {
            if budget.stop.is_stopped() || budget.is_spent() && at > self.from {
                return Ok(Step::Spent(at));
            }
            let Some(block) = self.agree(store, at, budget)? else {
                return Ok(Step::End);
            };
            if block == at {
                let transactions = self.transactions(at);
                if !transactions.is_empty() {
                    return Ok(Step::Block(at, transactions));
                }
                at += 1;
            } else {
                at = block;
            }
        }
        Ok(Step::End)
    }

    /// The furthest of the parts' places at or after `at`: `at` itself when all are there.
    fn agree<S: Store>(&mut self, store: &S, at: u64, budget: &mut Budget) -> Result<Option<u64>, StoreError> {
        let mut furthest = at;
        for part in &mut self.parts {
            match part.seek(store, furthest, budget)? {
                Some(block) => furthest = block,
                None => return Ok(None),
            }
        }
        Ok(Some(furthest))
    }

    fn transactions(&mut self, block: u64) -> BTreeSet<u32> {
        let mut parts = self.parts.iter_mut().map(|part| part.transactions(block));
        let first = parts.next().unwrap_or_default();
        parts.fold(first, |common, part| common.intersection(&part).copied().collect())
    }
}

/// The lists of each part of the conjunction.
fn lists(filter: &LogFilter) -> Vec<Vec<List>> {
    let emitters = &filter.addresses;
    let mut parts = Vec::new();
    let mut combined = false;
    for (position, topics) in (0u8..).zip(&filter.topics).filter(|(_, topics)| !topics.is_empty()) {
        let combine = !emitters.is_empty() && emitters.len() * topics.len() <= MAX_COMBINED;
        combined |= combine;
        let of = |topic| {
            let with = emitters.iter().map(move |emitter| Subject::EmitterAndTopic(*emitter, position, topic));
            let alone = (!combine).then_some(Subject::Topic(position, topic));
            with.filter(move |_| combine).chain(alone)
        };
        parts.push(topics.iter().flat_map(|topic| of(*topic)).map(Subject::list).collect());
    }
    if !emitters.is_empty() && !combined {
        parts.push(emitters.iter().map(|emitter| Subject::Emitter(*emitter).list()).collect());
    }
    if parts.is_empty() {
        parts.push(vec![Subject::Everything.list()]);
    }
    parts
}

/// Lists of which any one will do, each at its place.
struct Alternatives {
    cursors: Vec<Cursor>,
    /// Places of the cursors, lowest first; none: not looked for yet. A cursor that ended is not here.
    places: BinaryHeap<Reverse<(Option<u64>, usize)>>,
}

impl Alternatives {
    fn new(lists: Vec<List>, most: usize, to: u64) -> Self {
        let places = (0..lists.len()).map(|index| Reverse((None, index))).collect();
        let cursors = lists.into_iter().map(|list| Cursor::new(list, most, to)).collect();
        Self { cursors, places }
    }

    /// The lowest place at or after `at`.
    fn seek<S: Store>(&mut self, store: &S, at: u64, budget: &mut Budget) -> Result<Option<u64>, StoreError> {
        while let Some(Reverse((place, index))) = self.places.peek().copied() {
            if place >= Some(at) {
                return Ok(place);
            }
            self.places.pop();
            if let Some(block) = self.cursors[index].seek(store, at, budget)? {
                self.places.push(Reverse((Some(block), index)));
            }
        }
        Ok(None)
    }

    /// The transactions of `block`, which is the lowest place.
    fn transactions(&mut self, block: u64) -> BTreeSet<u32> {
        let mut transactions = BTreeSet::new();
        let mut here = Vec::new();
        while let Some(Reverse((place, index))) = self.places.peek().copied()
            && place == Some(block)
        {
            self.places.pop();
            transactions.extend(self.cursors[index].transactions());
            here.push(Reverse((place, index)));
        }
        self.places.extend(here);
        transactions
    }
}

/// A place in a list, with the rows read ahead of it.
struct Cursor {
    list: List,
    rows: VecDeque<(u64, Vec<u32>)>,
    /// No rows after those read.
    ended: bool,
    /// Rows read next time: doubles while they are used one after the other, begins anew after a jump.
    ahead: usize,
    /// Largest `ahead`.
    most: usize,
    /// Last block wanted.
    to: u64,
}

impl Cursor {
    /// Rows read at first: most lists are short.
    const FIRST: usize = 4;

    fn new(list: List, most: usize, to: u64) -> Self {
        Self { list, rows: VecDeque::new(), ended: false, ahead: Self::FIRST.min(most), most, to }
    }

    /// The first block at or after `at` that the list has.
    fn seek<S: Store>(&mut self, store: &S, at: u64, budget: &mut Budget) -> Result<Option<u64>, StoreError> {
        let passed = self.rows.iter().take_while(|(block, _)| *block < at).count();
        self.rows.drain(..passed);
        if passed > 1 {
            self.ahead = Self::FIRST.min(self.most);
        }
        if self.rows.is_empty() && !self.ended {
            self.read(store, at, budget)?;
        }
        Ok(self.rows.front().map(|(block, _)| *block))
    }

    fn read<S: Store>(&mut self, store: &S, at: u64, budget: &mut Budget) -> Result<(), StoreError> {
        let entries = store.scan(Table::LogIndex, &row_key(self.list, at), self.ahead)?;
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        budget.spend(SEEK_ROWS + entries.len() as u64, bytes);
        self.ended = entries.len() < self.ahead;
        for entry in &entries {
            match decode_row(self.list, entry)? {
                Some((block, transactions)) if block <= self.to => self.rows.push_back((block, transactions)),
                _ => {
                    self.ended = true;
                    break;
                }
            }
        }
        self.ahead = (2 * self.ahead).min(self.most);
        Ok(())
    }

    fn transactions(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.front().into_iter().flat_map(|(_, transactions)| transactions.iter().copied())
    }
}
