//! Where payments are taken: the book, its journal and the chain together.
//!
//! A settlement runs by itself once it is begun, whether or not its client still waits. Each step is kept before the next follows from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::answers::Answers;
use crate::authorization::Authorization;
use crate::book::{Book, Claim, Id, Record, Sent, Settled, Shown};
use crate::counters::Counters;
use crate::io::chain::{Chain, End, Keep};
use crate::io::journal::{Durable, Journal};
use crate::refusal::Refusal;

/// Settlements at a time: a few blocks' worth, so that a payer waits for seconds at the most.
pub const MOST_IN_FLIGHT: usize = 256;
/// How long a client waits for its payment to be final. A block comes within two seconds; half a minute allows for a busy chain.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Desk {
    book: Mutex<Book>,
    journal: Journal,
    pub chain: Arc<Chain>,
    /// Changes with the book.
    changed: watch::Sender<()>,
    places: Arc<Semaphore>,
    counters: Mutex<Counters>,
    answers: Mutex<Answers>,
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
}

/// A payment that is about to be sent.
struct Payment<'a> {
    desk: &'a Desk,
    id: Id,
}

impl Keep for Payment<'_> {
    async fn keep(&self, sent: &Sent) -> Result<(), Refusal> {
        self.desk.keep_sent(self.id, sent).await
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.desk.change(|book| book.let_go(self.id));
    }
}

impl Desk {
    /// Opens with what the journal had, and waits for what was on its way.
    pub fn open(journal: Journal, records: Vec<Record>, chain: Arc<Chain>) -> Arc<Self> {
        let book = Book::replay(records);
        let on_their_way = book.on_their_way();
        let desk = Arc::new(Self {
            book: Mutex::new(book),
            journal,
            chain,
            changed: watch::channel(()).0,
            places: Arc::new(Semaphore::new(MOST_IN_FLIGHT)),
            counters: Mutex::default(),
            answers: Mutex::default(),
        });
        for (id, _, sent) in on_their_way {
            tracing::info!(transaction = %sent.transaction, "going on with a settlement");
            tokio::spawn(desk.clone().follow(id, sent, Instant::now()));
        }
        desk
    }

    /// Takes a payment whose signature is right, and whose terms and times are (`is_checked`) or were when it was first taken for the same request. Returns when it
    /// is final.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being final now.
    pub async fn take(
        self: &Arc<Self>,
        claim: Claim,
        authorization: &Authorization,
        signature: &Bytes,
        is_checked: bool,
    ) -> Result<Held, Refusal> {
        let id = Id { payer: authorization.from, nonce: authorization.nonce };
        let until = Instant::now() + PATIENCE;
        loop {
            let mut changed = self.changed.subscribe();
            let shown = self.book().show(id, claim, is_checked);
            match shown {
                Shown::Refuse(refusal) => return Err(refusal),
                Shown::Serve(settled) => return Ok(Held { hand: Hand { desk: self.clone(), id }, settled }),
                Shown::Settle => {
                    let hand = Hand { desk: self.clone(), id };
                    let Ok(place) = self.places.clone().try_acquire_owned() else {
                        self.change(|book| book.failed(id));
                        return Err(Refusal::Busy);
                    };
                    let settling = tokio::spawn(self.clone().settle(id, *authorization, signature.clone(), place));
                    let settled = timeout(until.saturating_duration_since(Instant::now()), settling).await;
                    let settled = settled.map_err(|_| Refusal::NotFinal)?.map_err(|_| Refusal::NotFinal)??;
                    return Ok(Held { hand, settled });
                }
                Shown::Await => {
                    let hand = Hand { desk: self.clone(), id };
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
    async fn settle(
        self: Arc<Self>,
        id: Id,
        authorization: Authorization,
        signature: Bytes,
        place: OwnedSemaphorePermit,
    ) -> Result<Settled, Refusal> {
        let begun = Instant::now();
        let sent = async {
            let promised = self.book().promised_beside(id);
            self.chain.check(&authorization, &signature, promised).await?;
            self.chain.send(&authorization, &signature, &Payment { desk: &self, id }).await
        };
        let settled = match sent.await {
            Ok(sent) => self.clone().follow(id, sent, begun).await,
            Err(refusal) => {
                self.fail(id);
                Err(refusal)
            }
        };
        drop(place);
        settled
    }

    /// Until it is paid, or never will be.
    async fn follow(self: Arc<Self>, id: Id, mut sent: Sent, begun: Instant) -> Result<Settled, Refusal> {
        let mut tries = 0;
        loop {
            let again = match self.chain.wait(&sent).await {
                End::Paid(transaction) => return self.paid(id, transaction, begun).await,
                End::Never => break,
                End::Waits => {
                    tries += 1;
                    let Some(more) = self.chain.outbid(&sent, tries) else { continue };
                    self.keep_sent(id, &more).await?;
                    self.chain.send_again(&more).await;
                    Ok(more)
                }
                End::Lost => {
                    let keep = &Payment { desk: &self, id };
                    self.chain.send(&sent.authorization, &sent.signature, keep).await
                }
            };
            match again {
                Ok(again) => sent = again,
                Err(Refusal::ChainDown | Refusal::Busy | Refusal::NoGas) => {
                    tokio::time::sleep(Duration::from_secs(1)).await
                }
                Err(_) => break,
            }
        }
        self.fail(id);
        Err(Refusal::TokenRefuses("it was sent and not carried out".to_owned()))
    }

    async fn keep_sent(&self, id: Id, sent: &Sent) -> Result<(), Refusal> {
        let durable = {
            let mut book = self.book();
            book.sent(id, sent.clone(), now()).map(|record| self.journal.add(&record))
        };
        kept(durable).await
    }

    async fn paid(&self, id: Id, transaction: alloy_primitives::B256, begun: Instant) -> Result<Settled, Refusal> {
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
        Ok(Settled { transaction, at, was_delivered: false })
    }

    fn fail(&self, id: Id) {
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
    pub async fn check(&self, id: Id, authorization: &Authorization, signature: &Bytes) -> Result<(), Refusal> {
        let promised = self.book().promised_beside(id);
        self.chain.check(authorization, signature, promised).await
    }

    /// Whether a payment was checked before, for this purpose.
    pub fn knows(&self, id: Id, purpose: alloy_primitives::B256) -> bool {
        self.book().knows(id, purpose)
    }

    /// Forgets what is old; makes the journal anew without it.
    pub fn tidy(&self) {
        let mut book = self.book();
        book.expire(now());
        self.journal.renew(&book.records());
        drop(book);
        self.answers().expire(now());
    }

    /// Why the journal stopped; does not end before it does.
    pub async fn broken(&self) -> String {
        let mut broken = self.journal.broken.clone();
        let why = broken.wait_for(Option::is_some).await.map(|why| why.clone());
        why.ok().flatten().unwrap_or_else(|| "the journal's thread ended".to_owned())
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
        self.hand.desk.book().tried(self.hand.id);
    }

    /// Something is given for it: on disk when this returns.
    ///
    /// # Errors
    ///
    /// `NotKept`.
    pub async fn delivered(&self) -> Result<(), Refusal> {
        let durable = {
            let Hand { desk, id } = &self.hand;
            let mut book = desk.book();
            book.delivered(*id).map(|record| desk.journal.add(&record))
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
