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
/// How often the upstream is asked for one payment as soon as it is shown; after that once in [`REST_S`], as long as it can be shown.
pub const FREE_TRIES: u32 = 8;
/// Seconds between two further tries: an upstream that fails is not asked by everybody at once, and nobody's payment ends by its failures.
pub const REST_S: u64 = 60;
/// Payments that are remembered, at 400 bytes or so each.
pub const MOST_PAYMENTS: usize = 100_000;
/// How many make room at once when there are so many.
const ROOM: usize = MOST_PAYMENTS / 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id {
    pub payer: Address,
    pub nonce: B256,
}

impl Id {
    #[must_use]
    pub fn of(terms: &Authorization) -> Self {
        Self { payer: terms.from, nonce: terms.nonce }
    }
}

/// What a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The request.
    pub purpose: B256,
    /// Hash of all that the payer signed: what else it signed under the same nonce is not this payment.
    #[serde(default)]
    pub terms: B256,
    /// Hash of all that was shown, of which the chain tells only a part: whoever shows it again is who showed it first.
    #[serde(default)]
    pub shown: B256,
    /// Hash of its `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<B256>,
    pub value: U256,
}

impl Claim {
    /// Whether it is the same payment for the same request, shown by the same, with whichever key.
    fn is_of(&self, other: &Self) -> bool {
        (self.purpose, self.terms, self.shown) == (other.purpose, other.terms, other.shown)
    }
}

/// A transaction that was sent for a payment, and perhaps for others with it. What it says is made anew of them if it has to be sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What it brings to the token.
    pub authorization: Authorization,
    pub signature: Bytes,
    pub transaction: B256,
    pub sender: Address,
    pub sender_nonce: u64,
}

/// A change that must not be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    Sent {
        id: Id,
        claim: Claim,
        sent: Box<Sent>,
        at: u64,
    },
    Settled {
        id: Id,
        claim: Claim,
        transaction: B256,
        at: u64,
    },
    Delivered {
        id: Id,
    },
    Failed {
        id: Id,
    },
    /// Payments were forgotten for lack of room that gave something, none of them settled after this time.
    Forgot {
        until: u64,
    },
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub transaction: B256,
    /// Unix seconds.
    pub at: u64,
    /// Whether something was given for it before: then the answer may still be kept.
    pub was_delivered: bool,
    /// Whether the upstream may be asked for it. Not if this process gave something for it: what is not kept any more is gone.
    pub may_ask: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Payment {
    claim: Claim,
    stage: Stage,
    /// The hold of the request that has it in hand.
    hold: Option<u64>,
    tries: u32,
    /// Unix seconds: when the upstream was asked last.
    tried_at: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Checking,
    OnItsWay {
        sent: Box<Sent>,
        at: u64,
    },
    Settled {
        transaction: B256,
        at: u64,
    },
    Delivered {
        transaction: B256,
        at: u64,
        /// By this process. What an earlier one gave may not have arrived, and its kept answers are gone with it.
        is_here: bool,
    },
}

/// All payments that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    payments: BTreeMap<Id, Payment>,
    /// What is checked or on its way, by payer: promised, and not paid yet.
    promised: BTreeMap<Address, U256>,
    /// Unix seconds: when the newest payment was settled that was forgotten for lack of room.
    forgotten_until: u64,
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
                if let Some(payment) = self.payments.get_mut(&id)
                    && let Stage::Settled { transaction, at } = payment.stage
                {
                    payment.stage = Stage::Delivered { transaction, at, is_here: false };
                }
            }
            Record::Failed { id } => {
                self.failed(id);
            }
            Record::Forgot { until } => self.forgotten_until = self.forgotten_until.max(until),
        }
    }

    fn put(&mut self, id: Id, claim: Claim, stage: Stage) {
        self.remove(id);
        if stage.is_promise() {
            self.promise(id.payer, claim.value);
        }
        self.payments.insert(id, Payment { claim, stage, hold: None, tries: 0, tried_at: 0 });
    }

    /// Whether this payment is known for this request: then it was checked once.
    #[must_use]
    pub fn knows(&self, id: Id, claim: &Claim) -> bool {
        self.payments.get(&id).is_some_and(|payment| payment.claim.is_of(claim))
    }

    /// Whether this was shown before, and counted: then all of it but its request was checked once.
    #[must_use]
    pub fn was_shown(&self, id: Id, shown: B256) -> bool {
        self.payments.get(&id).is_some_and(|payment| payment.claim.shown == shown)
    }

    /// A request shows a payment. Only one whose terms and times were found right begins: one that was known a moment ago, and therefore not checked, may be
    /// gone by now, and say something else under the same nonce. `hold` is a number that no other request has: only by it is the payment let go again.
    #[must_use]
    pub fn show(&mut self, id: Id, claim: Claim, is_checked: bool, hold: u64, now: u64) -> Shown {
        let Some(payment) = self.payments.get_mut(&id) else {
            return if is_checked { self.begin(id, claim, hold) } else { Shown::Refuse(Refusal::InProgress) };
        };
        let has_key = claim.key.is_some() && claim.key == payment.claim.key;
        if !payment.claim.is_of(&claim) {
            return Shown::Refuse(Refusal::Replayed);
        }
        if payment.hold.is_some() {
            return if has_key { Shown::Join } else { Shown::Refuse(Refusal::InProgress) };
        }
        let rest_s = payment.rest_s(now);
        let shown = match payment.stage {
            Stage::Checking => Shown::Refuse(Refusal::InProgress),
            Stage::OnItsWay { .. } => Shown::Await,
            Stage::Delivered { .. } if !has_key => Shown::Refuse(Refusal::Replayed),
            Stage::Delivered { is_here: true, .. } => Shown::Serve(payment.settled().unwrap_or_default()),
            _ if rest_s > 0 => Shown::Refuse(Refusal::Failing { wait_s: rest_s }),
            Stage::Settled { .. } | Stage::Delivered { .. } => Shown::Serve(payment.settled().unwrap_or_default()),
        };
        if !matches!(shown, Shown::Refuse(_)) {
            payment.hold = Some(hold);
        }
        shown
    }

    fn begin(&mut self, id: Id, claim: Claim, hold: u64) -> Shown {
        if self.payments.len() >= MOST_PAYMENTS {
            self.make_room();
        }
        if self.payments.len() >= MOST_PAYMENTS {
            return Shown::Refuse(Refusal::Busy);
        }
        self.put(id, claim, Stage::Checking);
        if let Some(payment) = self.payments.get_mut(&id) {
            payment.hold = Some(hold);
        }
        Shown::Settle
    }

    /// Forgets the oldest of those that gave something: whoever shows one again is told by the chain that it is used.
    fn make_room(&mut self) {
        let given = |(id, payment): (&Id, &Payment)| match payment.stage {
            Stage::Delivered { at, .. } if payment.hold.is_none() => Some((at, *id)),
            _ => None,
        };
        let mut given: Vec<_> = self.payments.iter().filter_map(given).collect();
        if given.len() > ROOM {
            given.select_nth_unstable(ROOM);
            given.truncate(ROOM);
        }
        for (at, id) in given {
            self.payments.remove(&id);
            self.forgotten_until = self.forgotten_until.max(at);
        }
    }

    /// Until when payments were settled that gave something and are forgotten before their time was over. Of an older one that is not known here nobody can
    /// say what it gave.
    #[must_use]
    pub fn forgotten_until(&self) -> u64 {
        self.forgotten_until
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
    pub fn tried(&mut self, id: Id, now: u64) {
        if let Some(payment) = self.payments.get_mut(&id) {
            payment.tries = payment.tries.saturating_add(1);
            payment.tried_at = now;
        }
    }

    /// The upstream could not be asked: that uses nothing up.
    pub fn not_tried(&mut self, id: Id) {
        if let Some(payment) = self.payments.get_mut(&id) {
            payment.tries = payment.tries.saturating_sub(1);
        }
    }

    /// Whoever has it in hand is about to give something for it. To be on disk before it does.
    ///
    /// # Errors
    ///
    /// `Replayed`: something was given for it already, or it is in another hand.
    pub fn delivered(&mut self, id: Id, hold: u64) -> Result<Option<Record>, Refusal> {
        let held = self.payments.get_mut(&id).filter(|payment| payment.hold == Some(hold));
        let payment = held.ok_or(Refusal::Replayed)?;
        let (transaction, at, record) = match payment.stage {
            Stage::Settled { transaction, at } => (transaction, at, Some(Record::Delivered { id })),
            Stage::Delivered { transaction, at, is_here: false } => (transaction, at, None),
            _ => return Err(Refusal::Replayed),
        };
        payment.stage = Stage::Delivered { transaction, at, is_here: true };
        Ok(record)
    }

    /// The request that had it in hand is done with it, or gone. Another's hold stays.
    pub fn let_go(&mut self, id: Id, hold: u64) {
        if let Some(payment) = self.payments.get_mut(&id).filter(|payment| payment.hold == Some(hold)) {
            payment.hold = None;
        }
    }

    /// How a payment stands that somebody waits for; none when it failed.
    #[must_use]
    pub fn outcome(&self, id: Id) -> Option<Option<Settled>> {
        self.payments.get(&id).map(Payment::settled)
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
                payment.hold.is_some() || at.saturating_add(REDEEMABLE_S) > now
            }
            Stage::Checking | Stage::OnItsWay { .. } => true,
        });
    }

    /// The shortest records that replay to this book.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        if self.forgotten_until > 0 {
            records.push(Record::Forgot { until: self.forgotten_until });
        }
        for (id, Payment { claim, stage, .. }) in &self.payments {
            let (id, claim) = (*id, *claim);
            match stage {
                Stage::Checking => {}
                Stage::OnItsWay { sent, at } => records.push(Record::Sent { id, claim, sent: sent.clone(), at: *at }),
                Stage::Settled { transaction, at } | Stage::Delivered { transaction, at, .. } => {
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

    /// A payer promises so much more; what it had promised before.
    pub fn promise(&mut self, payer: Address, value: U256) -> U256 {
        let sum = self.promised.entry(payer).or_default();
        let before = *sum;
        *sum = sum.saturating_add(value);
        before
    }

    /// A promise is kept, or never will be.
    pub fn withdraw(&mut self, payer: Address, value: U256) {
        if let Some(sum) = self.promised.get_mut(&payer) {
            *sum = sum.saturating_sub(value);
            if sum.is_zero() {
                self.promised.remove(&payer);
            }
        }
    }
}

impl Payment {
    /// Seconds until the upstream is asked for it again.
    fn rest_s(&self, now: u64) -> u64 {
        let until = if self.tries < FREE_TRIES { 0 } else { self.tried_at.saturating_add(REST_S) };
        // A clock that was set back makes nobody wait longer.
        until.saturating_sub(now).min(REST_S)
    }

    fn settled(&self) -> Option<Settled> {
        match self.stage {
            Stage::Settled { transaction, at } => {
                Some(Settled { transaction, at, was_delivered: false, may_ask: true })
            }
            Stage::Delivered { transaction, at, is_here } => {
                Some(Settled { transaction, at, was_delivered: true, may_ask: !is_here })
            }
            Stage::Checking | Stage::OnItsWay { .. } => None,
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
    const HOLD: u64 = 1;
    const NOW: u64 = 1_000;

    fn id(payer: u8, nonce: u8) -> Id {
        Id { payer: Address::repeat_byte(payer), nonce: B256::repeat_byte(nonce) }
    }

    fn claim(purpose: u8, key: Option<u8>) -> Claim {
        let (terms, key) = (B256::repeat_byte(7), key.map(B256::repeat_byte));
        Claim { purpose: B256::repeat_byte(purpose), terms, shown: B256::ZERO, key, value: U256::from(10) }
    }

    fn sent() -> Sent {
        Sent {
            authorization: crate::testing::authorization(),
            signature: Bytes::new(),
            transaction: TX,
            sender: Address::ZERO,
            sender_nonce: 3,
        }
    }

    /// A book with a payment that is settled and let go.
    fn settled(claim: Claim) -> Book {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim, true, HOLD, NOW), Shown::Settle);
        assert!(book.sent(id(1, 1), sent(), 5).is_some() && book.settled(id(1, 1), TX, 6).is_some());
        book.let_go(id(1, 1), HOLD);
        book
    }

    #[test]
    fn of_sixty_four_that_show_one_payment_at_once_one_has_it() {
        let mut book = Book::default();
        let shown: Vec<_> = (0..64).map(|_| book.show(id(1, 1), claim(1, None), true, HOLD, NOW)).collect();
        assert_eq!(shown.iter().filter(|shown| **shown == Shown::Settle).count(), 1);
        assert_eq!(shown.iter().filter(|shown| **shown == Shown::Refuse(Refusal::InProgress)).count(), 63);
    }

    #[test]
    fn a_payment_gives_one_page() {
        let mut book = settled(claim(1, None));
        assert!(matches!(book.show(id(1, 1), claim(1, None), true, HOLD, NOW), Shown::Serve(_)));
        assert!(matches!(book.delivered(id(1, 1), HOLD), Ok(Some(_))));
        book.let_go(id(1, 1), HOLD);
        for again in [claim(1, None), claim(1, Some(1)), claim(2, None)] {
            assert_eq!(book.show(id(1, 1), again, true, HOLD, NOW), Shown::Refuse(Refusal::Replayed));
        }
    }

    #[test]
    fn a_payment_for_one_request_pays_no_other() {
        let mut book = settled(claim(1, None));
        assert_eq!(book.show(id(1, 1), claim(2, None), true, HOLD, NOW), Shown::Refuse(Refusal::Replayed));
        assert!(matches!(book.show(id(1, 1), claim(1, None), true, HOLD, NOW), Shown::Serve(_)));
    }

    /// A payer signs 1 wei and 100 satoshis under one nonce, has the first settled, and shows the second.
    #[test]
    fn what_else_was_signed_under_the_nonce_of_a_payment_pays_nothing() {
        let (cheap, dear) = (claim(1, Some(9)), Claim { terms: B256::repeat_byte(8), ..claim(1, Some(9)) });
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), cheap, true, HOLD, NOW), Shown::Settle);
        assert_eq!(
            book.show(id(1, 1), dear, true, HOLD, NOW),
            Shown::Refuse(Refusal::Replayed),
            "while it is on its way"
        );
        let mut book = settled(cheap);
        assert!(!book.knows(id(1, 1), &dear));
        assert_eq!(book.show(id(1, 1), dear, true, HOLD, NOW), Shown::Refuse(Refusal::Replayed), "when it is settled");
        assert!(matches!(book.show(id(1, 1), cheap, true, HOLD, NOW), Shown::Serve(_)));
    }

    /// The upstream failed, so a page is owed. A stranger has all from the chain, and guesses the key.
    #[test]
    fn a_stranger_neither_takes_what_is_owed_nor_uses_up_its_tries() {
        let stranger = |key| Claim { shown: B256::repeat_byte(8), ..claim(1, key) };
        let mut book = settled(claim(1, Some(9)));
        for _ in 0..2 * FREE_TRIES {
            for key in [None, Some(9)] {
                assert!(!book.knows(id(1, 1), &stranger(key)));
                assert_eq!(book.show(id(1, 1), stranger(key), true, HOLD, NOW), Shown::Refuse(Refusal::Replayed));
            }
        }
        assert!(matches!(book.show(id(1, 1), claim(1, Some(9)), true, HOLD, NOW), Shown::Serve(_)));
        assert_eq!(
            book.show(id(1, 1), stranger(Some(9)), true, HOLD, NOW),
            Shown::Refuse(Refusal::Replayed),
            "nor joins"
        );
        assert!(matches!(book.delivered(id(1, 1), HOLD), Ok(Some(_))));
        book.let_go(id(1, 1), HOLD);
        assert_eq!(
            book.show(id(1, 1), stranger(Some(9)), true, HOLD, NOW),
            Shown::Refuse(Refusal::Replayed),
            "nor a kept answer"
        );
    }

    #[test]
    fn an_upstream_that_fails_is_asked_a_few_times_and_then_once_a_minute_as_long_as_a_payment_is_good() {
        let mut book = settled(claim(1, Some(9)));
        for _ in 0..FREE_TRIES {
            assert!(matches!(book.show(id(1, 1), claim(1, Some(9)), true, HOLD, NOW), Shown::Serve(_)));
            assert_eq!(book.show(id(1, 1), claim(1, Some(9)), true, 2, NOW), Shown::Join);
            assert_eq!(book.show(id(1, 1), claim(1, Some(8)), true, 2, NOW), Shown::Refuse(Refusal::InProgress));
            book.tried(id(1, 1), NOW);
            book.let_go(id(1, 1), HOLD);
        }
        let asked = (0..REDEEMABLE_S).filter(|second| {
            let now = NOW + second;
            let is_asked = match book.show(id(1, 1), claim(1, Some(9)), true, HOLD, now) {
                Shown::Serve(_) => true,
                Shown::Refuse(Refusal::Failing { wait_s }) => {
                    assert!((1..=REST_S).contains(&wait_s), "{wait_s} s at {now}");
                    false
                }
                other => panic!("{other:?} at {now}"),
            };
            if is_asked {
                book.tried(id(1, 1), now);
                book.let_go(id(1, 1), HOLD);
            }
            is_asked
        });
        let asked: Vec<u64> = asked.collect();
        assert!(asked.windows(2).all(|pair| pair[1] - pair[0] == REST_S), "{asked:?}");
        assert_eq!((asked[0], asked.len() as u64), (REST_S, REDEEMABLE_S / REST_S - 1));
        let shown = book.show(id(1, 1), claim(1, Some(9)), true, HOLD, 0);
        assert_eq!(shown, Shown::Refuse(Refusal::Failing { wait_s: REST_S }), "after a clock was set back");
    }

    /// A page that is too long to be kept, or is kept no longer, is not given anew to whoever repeats the key; only after a kill it is, once.
    #[test]
    fn whoever_repeats_the_key_gets_what_is_kept_and_no_fresh_page() {
        let mut book = settled(claim(1, Some(9)));
        let serve = |book: &mut Book| match book.show(id(1, 1), claim(1, Some(9)), true, HOLD, NOW) {
            Shown::Serve(settled) => (settled.was_delivered, settled.may_ask),
            other => panic!("{other:?}"),
        };
        assert_eq!(serve(&mut book), (false, true));
        assert!(matches!(book.delivered(id(1, 1), HOLD), Ok(Some(_))));
        assert_eq!(book.delivered(id(1, 1), HOLD), Err(Refusal::Replayed), "it was given");
        book.let_go(id(1, 1), HOLD);
        for _ in 0..2 * FREE_TRIES {
            assert_eq!(serve(&mut book), (true, false));
            book.let_go(id(1, 1), HOLD);
        }
        let mut again = Book::replay(book.records());
        assert_eq!(serve(&mut again), (true, true));
        assert_eq!(again.delivered(id(1, 1), HOLD), Ok(None), "it is on disk already");
        again.let_go(id(1, 1), HOLD);
        assert_eq!(serve(&mut again), (true, false));
    }

    #[test]
    fn a_request_lets_go_and_gives_what_it_has_in_hand_itself() {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim(1, None), true, 1, NOW), Shown::Settle);
        book.failed(id(1, 1));
        assert_eq!(book.show(id(1, 1), claim(1, None), true, 2, NOW), Shown::Settle);
        book.let_go(id(1, 1), 1);
        assert!(book.sent(id(1, 1), sent(), 5).is_some() && book.settled(id(1, 1), TX, 6).is_some());
        assert_eq!(book.show(id(1, 1), claim(1, None), true, 3, NOW), Shown::Refuse(Refusal::InProgress));
        assert_eq!(book.delivered(id(1, 1), 1), Err(Refusal::Replayed));
        assert!(matches!(book.delivered(id(1, 1), 2), Ok(Some(_))));
    }

    #[test]
    fn a_payment_that_failed_can_be_shown_again() {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim(1, None), true, HOLD, NOW), Shown::Settle);
        assert_eq!(book.failed(id(1, 1)), None, "nothing was sent, nothing is on disk");
        assert_eq!(book.show(id(1, 1), claim(2, None), true, HOLD, NOW), Shown::Settle);
        assert!(book.sent(id(1, 1), sent(), 5).is_some());
        assert_eq!(book.failed(id(1, 1)), Some(Record::Failed { id: id(1, 1) }));
        assert_eq!(book, Book::default());
    }

    #[test]
    fn what_was_not_checked_since_it_was_known_begins_nothing() {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim(1, None), true, HOLD, NOW), Shown::Settle);
        assert!(book.knows(id(1, 1), &claim(1, None)));
        book.failed(id(1, 1));
        let cheap = Claim { value: U256::from(1), ..claim(1, None) };
        assert_eq!(book.show(id(1, 1), cheap, false, HOLD, NOW), Shown::Refuse(Refusal::InProgress));
        assert!(book.is_empty());
    }

    #[test]
    fn what_is_promised_is_not_promised_twice() {
        let mut book = Book::default();
        let _ = (
            book.show(id(1, 1), claim(1, None), true, HOLD, NOW),
            book.show(id(1, 2), claim(1, None), true, HOLD, NOW),
            book.show(id(2, 1), claim(1, None), true, HOLD, NOW),
        );
        assert_eq!(book.promised_beside(id(1, 1)), U256::from(10));
        assert_eq!(book.promised_beside(id(2, 1)), U256::ZERO);
        let _ = book.settled(id(1, 2), TX, 6);
        assert_eq!(book.promised_beside(id(1, 1)), U256::ZERO);
    }

    #[test]
    fn after_a_kill_what_was_sent_is_waited_for_and_what_was_settled_is_served() {
        let mut book = Book::default();
        assert_eq!(book.show(id(1, 1), claim(1, None), true, HOLD, NOW), Shown::Settle);
        let first = book.sent(id(1, 1), sent(), 5).expect("it is there");
        let mut again = Book::replay([first.clone()]);
        assert_eq!(again.on_their_way(), [(id(1, 1), claim(1, None), sent())]);
        assert_eq!(again.show(id(1, 1), claim(1, None), true, HOLD, NOW), Shown::Await);
        let second = book.settled(id(1, 1), TX, 6).expect("it is there");
        let mut again = Book::replay([first, second]);
        assert!(again.on_their_way().is_empty());
        assert!(matches!(again.show(id(1, 1), claim(1, None), true, HOLD, NOW), Shown::Serve(_)));
    }

    #[test]
    fn a_full_book_forgets_the_oldest_that_gave_something_and_none_that_is_owed_something() {
        let at = |number: usize| Id { payer: Address::repeat_byte(1), nonce: B256::from(U256::from(number)) };
        let mut book = Book::default();
        for number in 0..MOST_PAYMENTS {
            assert_eq!(book.show(at(number), claim(1, None), true, HOLD, NOW), Shown::Settle);
            let _ = book.settled(at(number), TX, number as u64);
            if number > 0 {
                let _ = book.delivered(at(number), HOLD);
            }
            book.let_go(at(number), HOLD);
        }
        assert_eq!(book.show(id(2, 2), claim(1, None), true, HOLD, NOW), Shown::Settle, "there is room");
        assert_eq!(book.len(), MOST_PAYMENTS - ROOM + 1);
        assert_eq!(
            (book.forgotten_until(), Book::replay(book.records()).forgotten_until()),
            (ROOM as u64, ROOM as u64)
        );
        assert!(matches!(book.show(at(0), claim(1, None), true, HOLD, NOW), Shown::Serve(_)), "it is owed a page");
        assert!(!book.knows(at(ROOM), &claim(1, None)) && book.knows(at(ROOM + 1), &claim(1, None)));
        let mut owed = Book::default();
        for number in 0..MOST_PAYMENTS {
            let _ = (owed.show(at(number), claim(1, None), true, HOLD, NOW), owed.settled(at(number), TX, 1));
        }
        assert_eq!(owed.show(id(2, 2), claim(1, None), true, HOLD, NOW), Shown::Refuse(Refusal::Busy));
    }

    #[test]
    fn what_is_old_is_forgotten_but_not_what_is_on_its_way() {
        let mut book = settled(claim(1, None));
        let _ = (book.show(id(2, 2), claim(1, None), true, HOLD, NOW), book.sent(id(2, 2), sent(), 5));
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
                    0 => drop(book.show(id, claim(purpose, Some(purpose)), true, HOLD, NOW)),
                    1 if book.outcome(id) == Some(None) => records.extend(book.sent(id, sent(), 5)),
                    2 if !book.on_their_way().iter().all(|(other, _, _)| *other != id) => records.extend(book.settled(id, TX, 6)),
                    3 if book.outcome(id) == Some(None) => records.extend(book.failed(id)),
                    4 => records.extend(book.delivered(id, HOLD).ok().flatten()),
                    5 => book.let_go(id, HOLD),
                    _ => {}
                }
            }
            let plain = |mut book: Book| {
                book.payments.retain(|_, payment| payment.stage != Stage::Checking);
                for payment in book.payments.values_mut() {
                    (payment.hold, payment.tries) = (None, 0);
                    if let Stage::Delivered { is_here, .. } = &mut payment.stage {
                        *is_here = false;
                    }
                }
                Book { promised: BTreeMap::new(), ..book }
            };
            prop_assert_eq!(plain(Book::replay(records)), plain(book.clone()));
            prop_assert_eq!(plain(Book::replay(book.records())), plain(book));
        }
    }
}
