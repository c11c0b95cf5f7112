//! Answers that are kept for those who ask again with the same payment and the same `Idempotency-Key`: bounded in number by their bytes, and in time.

use std::collections::{BTreeMap, VecDeque};

use crate::book::{Id, REDEEMABLE_S};

/// Bytes of the longest answer that is kept, and that is held back until it is whole.
pub const MOST_BYTES: usize = 1 << 20;
/// Bytes of all of them.
const MOST_BYTES_IN_ALL: usize = 64 << 20;

/// An answer of the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// What is to be paid still before it is given.
    pub owed: u128,
}

/// What is kept.
#[derive(Debug, Default)]
pub struct Answers {
    kept: BTreeMap<Id, (Answer, u64)>,
    /// The oldest first.
    order: VecDeque<Id>,
    bytes: usize,
}

impl Answer {
    fn bytes(&self) -> usize {
        self.body.len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

impl Answers {
    pub fn keep(&mut self, id: Id, answer: Answer, now: u64) {
        if answer.bytes() > 2 * MOST_BYTES || self.kept.contains_key(&id) {
            return;
        }
        self.bytes += answer.bytes();
        self.kept.insert(id, (answer, now));
        self.order.push_back(id);
        self.drop_until(|answers| answers.bytes <= MOST_BYTES_IN_ALL);
    }

    #[must_use]
    pub fn find(&self, id: Id) -> Option<&Answer> {
        self.kept.get(&id).map(|(answer, _)| answer)
    }

    /// Nothing is owed for it any more.
    pub fn paid(&mut self, id: Id) {
        if let Some((answer, _)) = self.kept.get_mut(&id) {
            answer.owed = 0;
        }
    }

    pub fn expire(&mut self, now: u64) {
        self.drop_until(|answers| {
            let oldest = answers.order.front().and_then(|id| answers.kept.get(id));
            oldest.is_none_or(|(_, at)| at.saturating_add(REDEEMABLE_S) > now)
        });
    }

    fn drop_until(&mut self, is_enough: impl Fn(&Self) -> bool) {
        while !is_enough(self) {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some((answer, _)) = self.kept.remove(&oldest) {
                self.bytes -= answer.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256, U256};

    use super::*;

    fn id(number: usize) -> Id {
        Id { payer: Address::ZERO, nonce: B256::from(U256::from(number)) }
    }

    fn answer(bytes: usize) -> Answer {
        Answer { status: 200, headers: Vec::new(), body: vec![7; bytes], owed: 0 }
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room_and_when_their_time_is_over() {
        let mut answers = Answers::default();
        for number in 0..65 {
            answers.keep(id(number), answer(MOST_BYTES), number as u64);
        }
        assert!(answers.find(id(0)).is_none());
        assert_eq!(answers.find(id(1)).map(|answer| answer.body.len()), Some(MOST_BYTES));
        answers.expire(10 + REDEEMABLE_S);
        assert!(answers.find(id(10)).is_none() && answers.find(id(11)).is_some());
        answers.keep(id(99), answer(3 * MOST_BYTES), 99);
        assert!(answers.find(id(99)).is_none());
    }
}
