//! The book of payments: what was sent, what is settled, and what was given for it.
//!
//! ```text
//!            begin              sent               settled             delivered
//!   (none) --------> checking -------> on its way ---------> settled ----------> delivered --> forgotten
//!                        |                  |                   ^   |  the upstream failed, or nobody waited
//!                        +---- failed ------+                   +---+  (so the same payment is shown again)
//! ```
//! A payment is one authorization: (payer, nonce), whichever protocol brought it. It is for one request, the first it was shown with; one request at a time
//! has it in hand, and a payment that gave a page gives no other, except for whoever repeats the `Idempotency-Key` that came with it.
//!
//! The chain has the truth about what was paid. The book says what was given for it, so each change that must not be forgotten is a [`Record`] which is on
//! disk before anything follows from it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::authorization::Authorization;
use crate::refusal::Refusal;

/// For how long a settled payment can be shown again, in seconds: an hour, for a client that lost its connection or an upstream that is restarted. A
/// delivered one is remembered as long; after that the chain itself says that it is used.
pub const REDEEMABLE_S: u64 = 3_600;
/// How often the upstream is asked for one payment.
pub const MOST_TRIES: u32 = 8;
/// Payments that are remembered, at 400 bytes or so each.
pub const MOST_PAYMENTS: usize = 100_000;
/// How many make room at once when there are so many.
const ROOM: usize = MOST_PAYMENTS / 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id {
    pub payer: Address,
    pub nonce: B256,
}

/// What a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The request.
    pub purpose: B256,
    /// Hash of its `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<B256>,
    pub value: U256,
}

/// A transaction that was sent for a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What it brings to the token.
    pub authorization: Authorization,
    pub signature: Bytes,
    pub transaction: B256,
    pub sender: Address,
    pub sender_nonce: u64,
    pub raw: Bytes,
}

/// A change that must not be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    Sent { id: Id, claim: Claim, sent: Box<Sent>, at: u64 },
    Settled { id: Id, claim: Claim, transaction: B256, at: u64 },
    Delivered { id: Id },
    Failed { id: Id },
}

/// What to do with a payment that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is new: check it with the chain, and send it. The request has it in hand.
    Settle,
    /// It is on its way: wait for it. The request has it in hand.
    Await,
    /// It is settled: ask the upstream. The request has it in hand.
    Serve(Settled),
    /// The same request has it in hand, with the same key: wait, and show it again.
    Join,
    Refuse(Refusal),
}

/// A payment that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    pub transaction: B256,
    /// Unix seconds.
    pub at: u64,
    /// Whether something was given for it before: then the answer may still be kept.
    pub was_delivered: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Payment {
    claim: Claim,
    stage: Stage,
    /// A request has it in hand.
    is_busy: bool,
    tries: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Checking,
    OnItsWay { sent: Box<Sent>, at: u64 },
    Settled { transaction: B256, at: u64 },
    Delivered { transaction: B256, at: u64 },
}

/// All payments that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    payments: BTreeMap<Id, Payment>,
    /// What is checked or on its way, by payer: promised, and not paid yet.
    promised: BTreeMap<Address, U256>,
}

impl Book {
    /// The book after a start.
    #[must_use]
    pub fn replay(records: impl IntoIterator<Item = Record>) -> Self {
        let mut book = Self::default();
        records.into_iter().for_each(|record| book.take(record));
        book
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Sent { id, claim, sent, at } => self.put(id, claim, Stage::OnItsWay { sent, at }),
            Record::Settled { id, claim, transaction, at } => self.put(id, claim, Stage::Settled { transaction, at }),
            Record::Delivered { id } => {
                self.delivered(id);
            }
            Record::Failed { id } => {
                self.failed(id);
            }
        }
    }

    fn put(&mut self, id: Id, claim: Claim, stage: Stage) {
        self.remove(id);
        if stage.is_promise() {
            self.promise(id.payer, claim.value);
        }
        self.payments.insert(id, Payment { claim, stage, is_busy: false, tries: 0 });
    }

    /// Whether a payment is known with this purpose: then it was checked once.
    #[must_use]
    pub fn knows(&self, id: Id, purpose: B256) -> bool {
        self.payments.get(&id).is_some_and(|payment| payment.claim.purpose == purpose)
    }

    /// A request shows a payment. Only one whose terms and times were found right begins: one that was known a moment ago, and therefore not checked, may be
    /// gone by now, and say something else under the same nonce.
    #[must_use]
    pub fn show(&mut self, id: Id, claim: Claim, is_checked: bool) -> Shown {
        let Some(payment) = self.payments.get_mut(&id) else {
            return if is_checked { self.begin(id, claim) } else { Shown::Refuse(Refusal::InProgress) };
        };
        let has_key = claim.key.is_some() && claim.key == payment.claim.key;
        if payment.claim.purpose != claim.purpose {
            return Shown::Refuse(Refusal::Replayed);
        }
        if payment.is_busy {
            return if has_key { Shown::Join } else { Shown::Refuse(Refusal::InProgress) };
        }
        let shown = match payment.stage {
            Stage::Checking => Shown::Refuse(Refusal::InProgress),
            Stage::OnItsWay { .. } => Shown::Await,
            Stage::Delivered { .. } if !has_key => Shown::Refuse(Refusal::Replayed),
            _ if payment.tries >= MOST_TRIES => Shown::Refuse(Refusal::Replayed),
            Stage::Settled { transaction, at } => Shown::Serve(Settled { transaction, at, was_delivered: false }),
            Stage::Delivered { transaction, at } => Shown::Serve(Settled { transaction, at, was_delivered: true }),
        };
        payment.is_busy = !matches!(shown, Shown::Refuse(_));
        shown
    }

    fn begin(&mut self, id: Id, claim: Claim) -> Shown {
        if self.payments.len() >= MOST_PAYMENTS {
            self.make_room();
        }
        if self.payments.len() >= MOST_PAYMENTS {
            return Shown::Refuse(Refusal::Busy);
        }
        self.put(id, claim, Stage::Checking);
        if let Some(payment) = self.payments.get_mut(&id) {
            payment.is_busy = true;
        }
        Shown::Settle
    }

    /// Forgets the oldest of those that gave something: whoever shows one again is told by the chain that it is used.
    fn make_room(&mut self) {
        let given = |(id, payment): (&Id, &Payment)| match payment.stage {
            Stage::Delivered { at, .. } if !payment.is_busy => Some((at, *id)),
            _ => None,
        };
        let mut given: Vec<_> = self.payments.iter().filter_map(given).collect();
        if given.len() > ROOM {
            given.select_nth_unstable(ROOM);
            given.truncate(ROOM);
        }
        for (_, id) in given {
            self.payments.remove(&id);
        }
    }

    /// What this payer has promised beside this payment.
    #[must_use]
    pub fn promised_beside(&self, id: Id) -> U256 {
        let own = self.payments.get(&id).filter(|payment| payment.stage.is_promise());
        let all = self.promised.get(&id.payer).copied().unwrap_or_default();
        all.saturating_sub(own.map(|payment| payment.claim.value).unwrap_or_default())
    }

    /// A transaction is about to be sent for it. To be on disk before it is.
    #[must_use]
    pub fn sent(&mut self, id: Id, sent: Sent, at: u64) -> Option<Record> {
        let payment = self.payments.get_mut(&id)?;
        let sent = Box::new(sent);
        payment.stage = Stage::OnItsWay { sent: sent.clone(), at };
        Some(Record::Sent { id, claim: payment.claim, sent, at })
    }

    /// It is paid.
    #[must_use]
    pub fn settled(&mut self, id: Id, transaction: B256, at: u64) -> Option<Record> {
        let payment = self.payments.get_mut(&id)?;
        let (claim, was_promise) = (payment.claim, payment.stage.is_promise());
        payment.stage = Stage::Settled { transaction, at };
        if was_promise {
            self.withdraw(id.payer, claim.value);
        }
        Some(Record::Settled { id, claim, transaction, at })
    }

    /// It will never be paid.
    pub fn failed(&mut self, id: Id) -> Option<Record> {
        let payment = self.remove(id)?;
        matches!(payment.stage, Stage::OnItsWay { .. }).then_some(Record::Failed { id })
    }

    /// The upstream is asked for it once more.
    pub fn tried(&mut self, id: Id) {
        if let Some(payment) = self.payments.get_mut(&id) {
            payment.tries = payment.tries.saturating_add(1);
        }
    }

    /// Something is about to be given for it. To be on disk before it is.
    pub fn delivered(&mut self, id: Id) -> Option<Record> {
        let payment = self.payments.get_mut(&id)?;
        let Stage::Settled { transaction, at } = payment.stage else { return None };
        payment.stage = Stage::Delivered { transaction, at };
        Some(Record::Delivered { id })
    }

    /// The request that had it in hand is done with it, or gone.
    pub fn let_go(&mut self, id: Id) {
        if let Some(payment) = self.payments.get_mut(&id) {
            payment.is_busy = false;
        }
    }

    /// How a payment stands that somebody waits for; none when it failed.
    #[must_use]
    pub fn outcome(&self, id: Id) -> Option<Option<Settled>> {
        let payment = self.payments.get(&id)?;
        Some(match payment.stage {
            Stage::Settled { transaction, at } => Some(Settled { transaction, at, was_delivered: false }),
            Stage::Delivered { transaction, at } => Some(Settled { transaction, at, was_delivered: true }),
            Stage::Checking | Stage::OnItsWay { .. } => None,
        })
    }

    /// Payments of which nobody knows yet whether they are made: to be waited for after a start.
    #[must_use]
    pub fn on_their_way(&self) -> Vec<(Id, Claim, Sent)> {
        let on_its_way = |(id, payment): (&Id, &Payment)| match &payment.stage {
            Stage::OnItsWay { sent, .. } => Some((*id, payment.claim, Sent::clone(sent))),
            _ => None,
        };
        self.payments.iter().filter_map(on_its_way).collect()
    }

    /// Forgets what nobody can show any more.
    pub fn expire(&mut self, now: u64) {
        self.payments.retain(|_, payment| match payment.stage {
            Stage::Settled { at, .. } | Stage::Delivered { at, .. } => {
                payment.is_busy || at.saturating_add(REDEEMABLE_S) > now
            }
            Stage::Checking | Stage::OnItsWay { .. } => true,
        });
    }

    /// The shortest records that replay to this book.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, Payment { claim, stage, .. }) in &self.payments {
            let (id, claim) = (*id, *claim);
            match stage {
                Stage::Checking => {}
                Stage::OnItsWay { sent, at } => records.push(Record::Sent { id, claim, sent: sent.clone(), at: *at }),
                Stage::Settled { transaction, at } | Stage::Delivered { transaction, at } => {
                    records.push(Record::Settled { id, claim, transaction: *transaction, at: *at });
                    if matches!(stage, Stage::Delivered { .. }) {
                        records.push(Record::Delivered { id });
                    }
                }
            }
        }
        records
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.payments.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payments.is_empty()
    }

    fn remove(&mut self, id: Id) -> Option<Payment> {
        let payment = self.payments.remove(&id)?;
        if payment.stage.is_promise() {
            self.withdraw(id.payer, payment.claim.value);
        }
        Some(payment)
    }

    fn promise(&mut self, payer: Address, value: U256) {
        let sum = self.promised.entry(payer).or_default();
        *sum = sum.saturating_add(value);
    }

    fn withdraw(&mut self, payer: Address, value: U256) {
        if let Some(sum) = self.promised.get_mut(&payer) {
            *sum = sum.saturating_sub(value);
            if sum.is_zero() {
                self.promised.remove(&payer);
            }
        }
    }
}

impl Stage {
    fn is_promise(&self) -> bool {
        matches!(self, Self::Checking | Self::OnItsWay { .. })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TX: B256 = B256::repeat_byte(0xaa);

    fn id(payer: u8, nonce: u8) -> Id {
        Id { payer: Address::repeat_byte(payer), nonce: B256::repeat_byte(nonce) }
    }

    fn claim(purpose: u8, key: Option<u8>) -> Claim {
        Claim { purpose: B256::repeat_byte(purpose), key: key.map(B256::repeat_byte), value: U256::from(10) }
    }

    fn sent() -> Sent {
        Sent {
            authorization: crate::testing::authorization(),
            signature: Bytes::new(),
            transaction: TX,
            sender: Address::ZERO,
            sender_nonce: 3,
            raw: Bytes::from_static(&[1, 2]),
        }
    }

    /// A book with a payment that is settled and let go.
    fn settled(claim: Claim) -> Book {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim, true), Shown::Settle);
        assert!(book.sent(id(1, 1), sent(), 5).is_some() && book.settled(id(1, 1), TX, 6).is_some());
        book.let_go(id(1, 1));
        book
    }

    #[test]
    fn of_sixty_four_that_show_one_payment_at_once_one_has_it() {
        let mut book = Book::default();
        let shown: Vec<_> = (0..64).map(|_| book.show(id(1, 1), claim(1, None), true)).collect();
        assert_eq!(shown.iter().filter(|shown| **shown == Shown::Settle).count(), 1);
        assert_eq!(shown.iter().filter(|shown| **shown == Shown::Refuse(Refusal::InProgress)).count(), 63);
    }

    #[test]
    fn a_payment_gives_one_page() {
        let mut book = settled(claim(1, None));
        assert!(matches!(book.show(id(1, 1), claim(1, None), true), Shown::Serve(_)));
        assert!(book.delivered(id(1, 1)).is_some());
        book.let_go(id(1, 1));
        for again in [claim(1, None), claim(1, Some(1)), claim(2, None)] {
            assert_eq!(book.show(id(1, 1), again, true), Shown::Refuse(Refusal::Replayed));
        }
    }

    #[test]
    fn a_payment_for_one_request_pays_no_other() {
        let mut book = settled(claim(1, None));
        assert_eq!(book.show(id(1, 1), claim(2, None), true), Shown::Refuse(Refusal::Replayed));
        assert!(matches!(book.show(id(1, 1), claim(1, None), true), Shown::Serve(_)));
    }

    #[test]
    fn whoever_repeats_the_key_gets_the_answer_again_a_few_times() {
        let mut book = settled(claim(1, Some(9)));
        for _ in 0..MOST_TRIES {
            assert!(matches!(book.show(id(1, 1), claim(1, Some(9)), true), Shown::Serve(_)));
            assert_eq!(book.show(id(1, 1), claim(1, Some(9)), true), Shown::Join);
            assert_eq!(book.show(id(1, 1), claim(1, Some(8)), true), Shown::Refuse(Refusal::InProgress));
            book.tried(id(1, 1));
            book.delivered(id(1, 1));
            book.let_go(id(1, 1));
        }
        assert_eq!(book.show(id(1, 1), claim(1, Some(9)), true), Shown::Refuse(Refusal::Replayed));
    }

    #[test]
    fn a_payment_that_failed_can_be_shown_again() {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim(1, None), true), Shown::Settle);
        assert_eq!(book.failed(id(1, 1)), None, "nothing was sent, nothing is on disk");
        assert_eq!(book.show(id(1, 1), claim(2, None), true), Shown::Settle);
        assert!(book.sent(id(1, 1), sent(), 5).is_some());
        assert_eq!(book.failed(id(1, 1)), Some(Record::Failed { id: id(1, 1) }));
        assert_eq!(book, Book::default());
    }

    #[test]
    fn what_was_not_checked_since_it_was_known_begins_nothing() {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim(1, None), true), Shown::Settle);
        assert!(book.knows(id(1, 1), claim(1, None).purpose));
        book.failed(id(1, 1));
        let cheap = Claim { value: U256::from(1), ..claim(1, None) };
        assert_eq!(book.show(id(1, 1), cheap, false), Shown::Refuse(Refusal::InProgress));
        assert!(book.is_empty());
    }

    #[test]
    fn what_is_promised_is_not_promised_twice() {
        let mut book = Book::default();
        let _ = (
            book.show(id(1, 1), claim(1, None), true),
            book.show(id(1, 2), claim(1, None), true),
            book.show(id(2, 1), claim(1, None), true),
        );
        assert_eq!(book.promised_beside(id(1, 1)), U256::from(10));
        assert_eq!(book.promised_beside(id(2, 1)), U256::ZERO);
        let _ = book.settled(id(1, 2), TX, 6);
        assert_eq!(book.promised_beside(id(1, 1)), U256::ZERO);
    }

    #[test]
    fn after_a_kill_what_was_sent_is_waited_for_and_what_was_settled_is_served() {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim(1, None), true), Shown::Settle);
        let first = book.sent(id(1, 1), sent(), 5).expect("it is there");
        let mut again = Book::replay([first.clone()]);
        assert_eq!(again.on_their_way(), [(id(1, 1), claim(1, None), sent())]);
        assert_eq!(again.show(id(1, 1), claim(1, None), true), Shown::Await);
        let second = book.settled(id(1, 1), TX, 6).expect("it is there");
        let mut again = Book::replay([first, second]);
        assert!(again.on_their_way().is_empty());
        assert!(matches!(again.show(id(1, 1), claim(1, None), true), Shown::Serve(_)));
    }

    #[test]
    fn a_full_book_forgets_the_oldest_that_gave_something_and_none_that_is_owed_something() {
        let at = |number: usize| Id { payer: Address::repeat_byte(1), nonce: B256::from(U256::from(number)) };
        let mut book = Book::default();
        for number in 0..MOST_PAYMENTS {
            assert_eq!(book.show(at(number), claim(1, None), true), Shown::Settle);
            let _ = book.settled(at(number), TX, number as u64);
            if number > 0 {
                let _ = book.delivered(at(number));
            }
            book.let_go(at(number));
        }
        assert_eq!(book.show(id(2, 2), claim(1, None), true), Shown::Settle, "there is room");
        assert_eq!(book.len(), MOST_PAYMENTS - ROOM + 1);
        assert!(matches!(book.show(at(0), claim(1, None), true), Shown::Serve(_)), "it is owed a page");
        assert!(!book.knows(at(ROOM), claim(1, None).purpose) && book.knows(at(ROOM + 1), claim(1, None).purpose));
        let mut owed = Book::default();
        for number in 0..MOST_PAYMENTS {
            let _ = (owed.show(at(number), claim(1, None), true), owed.settled(at(number), TX, 1));
        }
        assert_eq!(owed.show(id(2, 2), claim(1, None), true), Shown::Refuse(Refusal::Busy));
    }

    #[test]
    fn what_is_old_is_forgotten_but_not_what_is_on_its_way() {
        let mut book = settled(claim(1, None));
        let _ = (book.show(id(2, 2), claim(1, None), true), book.sent(id(2, 2), sent(), 5));
        book.expire(6 + REDEEMABLE_S - 1);
        assert_eq!(book.len(), 2);
        book.expire(6 + REDEEMABLE_S);
        assert_eq!(book.on_their_way().len(), book.len());
    }

    proptest! {
        /// Whatever happens in whatever order, what is on disk replays to the same book, but for what requests have in hand.
        #[test]
        fn records_replay_to_the_book(steps in prop::collection::vec((0u8..7, 0u8..3, 0u8..2), 0..60)) {
            let (mut book, mut records) = (Book::default(), Vec::new());
            for (step, nonce, purpose) in steps {
                let id = id(nonce % 2, nonce);
                match step {
                    0 => drop(book.show(id, claim(purpose, Some(purpose)), true)),
                    1 if book.outcome(id) == Some(None) => records.extend(book.sent(id, sent(), 5)),
                    2 if !book.on_their_way().iter().all(|(other, _, _)| *other != id) => records.extend(book.settled(id, TX, 6)),
                    3 if book.outcome(id) == Some(None) => records.extend(book.failed(id)),
                    4 => records.extend(book.delivered(id)),
                    5 => book.let_go(id),
                    _ => {}
                }
            }
            let plain = |mut book: Book| {
                book.payments.retain(|_, payment| payment.stage != Stage::Checking);
                for payment in book.payments.values_mut() {
                    (payment.is_busy, payment.tries) = (false, 0);
                }
                Book { promised: BTreeMap::new(), ..book }
            };
            prop_assert_eq!(plain(Book::replay(records)), plain(book.clone()));
            prop_assert_eq!(plain(Book::replay(book.records())), plain(book));
        }
    }
}
