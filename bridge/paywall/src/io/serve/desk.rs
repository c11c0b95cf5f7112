//! Where payments are taken: the book, its journal and the chain together.
//!
//! A settlement runs by itself once it is begun, whether or not its client still waits. Each step is kept before the next follows from it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use bridge::io::sidechain::Pending;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::queue::Queue;
use crate::answers::Answers;
use crate::authorization::{Authorization, Signed};
use crate::book::{Book, Claim, Id, Record, Sent, Settled, Shown};
use crate::clock::MOST_APART_S;
use crate::counters::Counters;
use crate::io::chain::Chain;
use crate::io::journal::{Durable, Journal};
use crate::payers::{self, Outcome, Payers};
use crate::refusal::Refusal;

/// Settlements at a time: less than a block's worth of gas, and four times what one payer may have.
pub const MOST_IN_FLIGHT: usize = 1_024;
/// How long a client waits for its payment to be final. A block comes within two seconds; half a minute allows for a busy chain.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Desk {
    book: Mutex<Book>,
    journal: Journal<Record>,
    pub chain: Arc<Chain>,
    /// How often a payment was taken in hand.
    holds: AtomicU64,
    /// Changes with the book.
    changed: watch::Sender<()>,
    places: Arc<Semaphore>,
    counters: Mutex<Counters>,
    answers: Mutex<Answers>,
    payers: Mutex<Payers>,
    pub(super) queue: Queue,
}

/// A payer's turn. Its next one begins when this is dropped.
pub struct Turn {
    desk: Arc<Desk>,
    payer: Address,
    pub outcome: Outcome,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.desk.payers().ended(self.payer, self.outcome, now());
        self.desk.changed.send_replace(());
    }
}

/// A payment that was made, in the hand of one request. Whatever ends that request lets it go.
pub struct Held {
    hand: Hand,
    pub settled: Settled,
}

/// A payment in the hand of one request.
struct Hand {
    desk: Arc<Desk>,
    id: Id,
    hold: u64,
}

/// A payment as it was shown, with what was found of it.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    pub authorization: &'a Authorization,
    /// Found right, and in the form that the token takes.
    pub signature: &'a Bytes,
    /// Terms and times are right. If not, they were when it was first taken for the same request.
    pub is_checked: bool,
    /// Its nonce is that of a challenge which was issued here for this request, and which is not expired.
    pub is_challenged: bool,
}

/// How a payment comes to the chain.
enum Way {
    /// It is to be sent.
    Due,
    /// Somebody else brought it before it was shown here.
    Brought(B256),
}

/// An amount that a payer has promised by a deposit, until it is there or never will be.
pub struct Promise {
    desk: Arc<Desk>,
    payer: Address,
    value: U256,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.desk.book().withdraw(self.payer, self.value);
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.desk.change(|book| book.let_go(self.id, self.hold));
    }
}

impl Desk {
    /// Opens with what the journal had.
    pub fn open(journal: Journal<Record>, records: Vec<Record>, chain: Arc<Chain>) -> Arc<Self> {
        Arc::new(Self {
            book: Mutex::new(Book::replay(records)),
            journal,
            chain,
            holds: AtomicU64::default(),
            changed: watch::channel(()).0,
            places: Arc::new(Semaphore::new(MOST_IN_FLIGHT)),
            counters: Mutex::default(),
            answers: Mutex::default(),
            payers: Mutex::default(),
            queue: Queue::default(),
        })
    }

    /// Payments of which nobody knows yet whether they are made.
    pub(super) fn on_their_way(&self) -> Vec<(Id, Claim, Sent)> {
        self.book().on_their_way()
    }

    /// Takes a payment. Returns when it is final.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being final now.
    pub async fn take(self: &Arc<Self>, claim: Claim, offer: Offer<'_>) -> Result<Held, Refusal> {
        let id = Id::of(offer.authorization);
        let hold = self.holds.fetch_add(1, Ordering::Relaxed);
        let hand = || Hand { desk: self.clone(), id, hold };
        let until = Instant::now() + PATIENCE;
        loop {
            let mut changed = self.changed.subscribe();
            let shown = self.book().show(id, claim, offer.is_checked, hold, now());
            match shown {
                Shown::Refuse(refusal) => return Err(refusal),
                Shown::Serve(settled) => return Ok(Held { hand: hand(), settled }),
                Shown::Settle => {
                    let hand = hand();
                    let payment = Signed { authorization: *offer.authorization, signature: offer.signature.clone() };
                    let settling = self.clone().settle(payment, offer.is_challenged);
                    let settling = tokio::spawn(settling);
                    let settled = timeout(until.saturating_duration_since(Instant::now()), settling).await;
                    let settled = settled.map_err(|_| Refusal::NotFinal)?.map_err(|_| Refusal::NotFinal)??;
                    return Ok(Held { hand, settled });
                }
                Shown::Await => {
                    let hand = hand();
                    let settled = self.outcome(id, until).await?;
                    return Ok(Held { hand, settled });
                }
                Shown::Join => {
                    let left = until.saturating_duration_since(Instant::now());
                    if timeout(left, changed.changed()).await.is_err() {
                        return Err(Refusal::InProgress);
                    }
                }
            }
        }
    }

    async fn outcome(&self, id: Id, until: Instant) -> Result<Settled, Refusal> {
        let mut changed = self.changed.subscribe();
        loop {
            match self.book().outcome(id) {
                Some(Some(settled)) => return Ok(settled),
                Some(None) => {}
                None => return Err(Refusal::TokenRefuses("it was not carried out".to_owned())),
            }
            let left = until.saturating_duration_since(Instant::now());
            if timeout(left, changed.changed()).await.is_err() {
                return Err(Refusal::NotFinal);
            }
        }
    }

    /// Checks, sends and follows a payment. What fails before anything is sent is forgotten.
    async fn settle(self: Arc<Self>, payment: Signed, is_challenged: bool) -> Result<Settled, Refusal> {
        let begun = Instant::now();
        let id = Id::of(&payment.authorization);
        let turn = async {
            let turn = self.turn(id.payer).await?;
            let place = self.places.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
            Ok::<_, Refusal>((turn, place))
        };
        let (mut turn, place) = turn.await.inspect_err(|_| self.fail(id))?;
        let way = async {
            match self.check(&payment).await {
                Err(Refusal::Replayed) if is_challenged => self.brought(&payment.authorization).await.map(Way::Brought),
                Err(refusal) => Err(refusal),
                Ok(()) => Ok(Way::Due),
            }
        };
        let settled = match way.await {
            Ok(Way::Due) => {
                let settled = self.queue.bring(payment, begun).await.unwrap_or(Err(Refusal::NotFinal));
                turn.outcome = match settled {
                    Ok(_) => Outcome::Paid,
                    Err(Refusal::TokenRefuses(_)) => Outcome::Failed,
                    Err(_) => Outcome::Unknown,
                };
                settled
            }
            Ok(Way::Brought(transaction)) => Ok(self.paid(id, transaction, begun)),
            Err(refusal) => {
                self.fail(id);
                Err(refusal)
            }
        };
        drop((place, turn));
        settled
    }

    /// Waits until a payer may have one more settled.
    ///
    /// # Errors
    ///
    /// `FailedBefore`, `Busy`.
    pub async fn turn(self: &Arc<Self>, payer: Address) -> Result<Turn, Refusal> {
        let until = Instant::now() + PATIENCE;
        let (mut changed, mut is_waiting) = (self.changed.subscribe(), false);
        loop {
            changed.mark_unchanged();
            let next = self.payers().turn(payer, is_waiting, now());
            match next {
                payers::Turn::Begin => return Ok(Turn { desk: self.clone(), payer, outcome: Outcome::default() }),
                payers::Turn::Refuse(refusal) => return Err(refusal),
                payers::Turn::Wait => is_waiting = true,
            }
            let left = until.saturating_duration_since(Instant::now());
            if timeout(left, changed.changed()).await.is_err() {
                self.payers().gives_up(payer);
                return Err(Refusal::Busy);
            }
        }
    }

    /// The transaction by which somebody else brought a payment that nothing was given for: the book, where it is while this is asked, would know. What the book
    /// forgot in time answers a challenge that is expired; what it forgot for lack of room counts as given.
    async fn brought(&self, authorization: &Authorization) -> Result<B256, Refusal> {
        let (transaction, at) = self.chain.brought(authorization).await?.ok_or(Refusal::Replayed)?;
        let forgotten_until = self.book().forgotten_until();
        let is_known_in_time = forgotten_until == 0 || at > forgotten_until.saturating_add(MOST_APART_S);
        if is_known_in_time { Ok(transaction) } else { Err(Refusal::Replayed) }
    }

    /// Keeps what is about to be sent for payments. On disk when this returns.
    pub(super) async fn keep_sent(&self, payments: &[Signed], pending: &Pending) -> Result<(), Refusal> {
        let keep = |payment: &Signed| {
            let authorization = payment.authorization;
            let sent = Sent {
                authorization,
                signature: payment.signature.clone(),
                transaction: pending.hash,
                sender: pending.sender,
                sender_nonce: pending.nonce,
            };
            let mut book = self.book();
            let record = book.sent(Id { payer: authorization.from, nonce: authorization.nonce }, sent, now());
            record.map(|record| self.journal.add(&record))
        };
        let all: Vec<_> = payments.iter().map(keep).collect();
        for durable in all {
            kept(durable).await?;
        }
        Ok(())
    }

    pub(super) fn paid(&self, id: Id, transaction: B256, begun: Instant) -> Settled {
        let at = now();
        // The chain has it: a crash before it is on disk loses nothing.
        {
            let mut book = self.book();
            if let Some(record) = book.settled(id, transaction, at) {
                drop(self.journal.add(&record));
            }
        }
        self.changed.send_replace(());
        self.count(|counters| counters.settled(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)));
        tracing::info!(payer = %id.payer, %transaction, "paid");
        Settled { transaction, at, was_delivered: false, may_ask: true }
    }

    pub(super) fn fail(&self, id: Id) {
        {
            let mut book = self.book();
            if let Some(record) = book.failed(id) {
                drop(self.journal.add(&record));
            }
        }
        self.changed.send_replace(());
    }

    /// That the chain would carry a payment out now; nothing is begun.
    ///
    /// # Errors
    ///
    /// Those of [`Chain::check`].
    pub async fn check(&self, payment: &Signed) -> Result<(), Refusal> {
        let id = Id::of(&payment.authorization);
        let promised = self.book().promised_beside(id);
        self.chain.check(payment, promised).await
    }

    /// What a payer has promised and not paid yet, to which its deposit is added until the promise is dropped.
    pub fn promise(self: &Arc<Self>, payer: Address, value: U256) -> (U256, Promise) {
        let promised = self.book().promise(payer, value);
        (promised, Promise { desk: self.clone(), payer, value })
    }

    /// Whether a payment was checked before, for this request.
    pub fn knows(&self, id: Id, claim: &Claim) -> bool {
        self.book().knows(id, claim)
    }

    /// Whether this was shown before, and counted.
    pub fn was_shown(&self, id: Id, shown: B256) -> bool {
        self.book().was_shown(id, shown)
    }

    /// Forgets what is old; makes the journal anew without it.
    pub fn tidy(&self) {
        let mut book = self.book();
        book.expire(now());
        self.journal.renew(&book.records());
        drop(book);
        self.answers().expire(now());
        self.payers().expire(now());
    }

    /// As [`Journal::broken`].
    pub async fn broken(&self) -> String {
        self.journal.broken().await
    }

    pub fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.counters());
    }

    pub fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn payers(&self) -> MutexGuard<'_, Payers> {
        self.payers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn in_flight(&self) -> usize {
        MOST_IN_FLIGHT - self.places.available_permits()
    }

    pub fn remembered(&self) -> usize {
        self.book().len()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) {
        change(&mut self.book());
        self.changed.send_replace(());
    }
}

impl Held {
    pub fn id(&self) -> Id {
        self.hand.id
    }

    /// The upstream is asked for it.
    pub fn tried(&self) {
        self.hand.desk.book().tried(self.hand.id, now());
    }

    /// It was not asked: there was no way to it.
    pub fn not_tried(&self) {
        self.hand.desk.book().not_tried(self.hand.id);
    }

    /// Something is given for it: on disk when this returns.
    ///
    /// # Errors
    ///
    /// `Replayed`, `NotKept`.
    pub async fn delivered(&self) -> Result<(), Refusal> {
        let durable = {
            let Hand { desk, id, hold } = &self.hand;
            let mut book = desk.book();
            book.delivered(*id, *hold)?.map(|record| desk.journal.add(&record))
        };
        kept(durable).await
    }
}

async fn kept(durable: Option<Durable>) -> Result<(), Refusal> {
    match durable {
        Some(durable) => durable.await.map_err(|_| Refusal::NotKept),
        None => Ok(()),
    }
}

/// Unix seconds; zero before 1970, when every payment is not yet valid.
pub fn now() -> u64 {
    bridge::io::clock::now().unwrap_or_default()
}
