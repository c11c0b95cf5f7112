//! A payer's process: a voucher is signed when its total is on disk.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use alloy_primitives::{Address, B256};
use files::DirectoryLock;
use secp256k1::SecretKey;

use super::journal::{Journal, JournalError, OpenError, Opened, SLACK_BYTES, Ticket};
use crate::channel::Channel;
use crate::payer::limits::Limits;
use crate::payer::payment::{Payment, Standing, Streaming};
use crate::payer::record::Record;
use crate::payer::streams::{PlannedStream, PlannedTicks, Tick};
use crate::payer::{EvidenceRefused, PayRefused, Payer, Planned, Promise};
use crate::receipt::SignedReceipt;
use crate::stream::SignedStream;
use crate::typed_data::Domain;
use crate::voucher::SignedVoucher;

/// Why nothing is paid, or an answer is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayerError {
    #[error(transparent)]
    Refused(#[from] PayRefused),
    #[error(transparent)]
    Evidence(#[from] EvidenceRefused),
    /// `Full`: try again. Others: end this process, and start it again when the disk works.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A payer with its file.
#[derive(Debug)]
pub struct DurablePayer {
    state: Arc<Mutex<Payer>>,
    journal: Journal,
    domain: Domain,
    /// One process for a directory.
    _lock: DirectoryLock,
}

/// A payment that is on its way to the disk. It is signed, and given, once it is there.
#[must_use]
#[derive(Debug)]
pub struct Pledge {
    planned: Planned,
    ticket: Ticket,
    domain: Domain,
    secret: SecretKey,
}

/// A stream that is on its way to the disk. It is signed once it is there.
#[must_use]
#[derive(Debug)]
pub struct StreamPledge {
    planned: PlannedStream,
    ticket: Ticket,
    domain: Domain,
    secret: SecretKey,
}

/// A stream whose ticks can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenStream {
    pub signed: SignedStream,
    /// The last tick that was promised before it was opened here. It is to be given again: it may never have arrived.
    pub given: Option<Tick>,
    /// The root, and all ticks.
    chain: Vec<B256>,
}

/// Ticks that are on their way to the disk. They are given once they are there.
#[must_use]
#[derive(Debug)]
pub struct TicksPledge {
    planned: PlannedTicks,
    ticket: Ticket,
}

impl DurablePayer {
    /// Reads what was promised so far from `directory`, which is made when it is missing.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(directory: &Path, domain: Domain, limits: Limits) -> Result<Self, OpenError> {
        let lock = DirectoryLock::acquire(directory)?;
        let mut payer = Payer::new(domain, limits);
        let opened = Opened::read(&directory.join("promises"), |bytes| {
            Record::decode(bytes).map(|record| payer.replay(record)).is_some()
        })?;
        let state = Arc::new(Mutex::new(payer));
        let shown = state.clone();
        let snapshot = Box::new(move |each: &mut dyn FnMut(&[u8])| {
            let records = lock_of(&shown).records();
            records.iter().for_each(|record| each(&record.encode()));
        });
        let journal = Journal::start(opened, SLACK_BYTES, snapshot).map_err(OpenError::Thread)?;
        Ok(Self { state, journal, domain, _lock: lock })
    }

    /// As [`Payer::observe`].
    ///
    /// # Errors
    ///
    /// As [`Payer::observe`].
    pub fn observe(&self, channel: Channel, receipt_signer: Address) -> Result<(), PayerError> {
        Ok(lock_of(&self.state).observe(channel, receipt_signer)?)
    }

    /// Pays for a request: its voucher comes when its total is on disk. `secret`: the channel's signer.
    ///
    /// # Errors
    ///
    /// [`PayerError`]: nothing is promised.
    pub fn pay(
        &self,
        channel: B256,
        endpoint: &str,
        price: u128,
        request: B256,
        secret: &SecretKey,
        now_unix_s: u64,
    ) -> Result<Pledge, PayerError> {
        let mut payer = lock_of(&self.state);
        self.journal.ready()?;
        let planned = payer.plan(channel, endpoint, price, request, now_unix_s)?;
        // One that was planned before is written once more, which changes nothing.
        let ticket = self.journal.append(&planned.record().encode())?;
        Ok(Pledge { planned, ticket, domain: self.domain, secret: *secret })
    }

    /// As [`Payer::plan_stream`]: it is signed when its terms are on disk.
    ///
    /// # Errors
    ///
    /// As [`Payer::plan_stream`], or the file fails.
    pub fn open_stream(
        &self,
        channel: B256,
        endpoint: &str,
        tick_amount: u128,
        most: u32,
        secret: &SecretKey,
    ) -> Result<StreamPledge, PayerError> {
        let mut payer = lock_of(&self.state);
        self.journal.ready()?;
        let planned = payer.plan_stream(channel, endpoint, tick_amount, most, secret)?;
        // One that is under way is written once more, which changes nothing.
        let ticket = self.journal.append(&planned.record().encode())?;
        Ok(StreamPledge { planned, ticket, domain: self.domain, secret: *secret })
    }

    /// As [`Payer::end_stream`].
    pub fn end_stream(&self, channel: B256) {
        lock_of(&self.state).end_stream(channel);
    }

    /// As [`Payer::plan_ticks`]: they come when the last one's number is on disk.
    ///
    /// # Errors
    ///
    /// As [`Payer::plan_ticks`], or the file fails.
    pub fn give(&self, stream: &OpenStream, count: u32, now_unix_s: u64) -> Result<TicksPledge, PayerError> {
        let terms = &stream.signed.terms;
        let mut payer = lock_of(&self.state);
        self.journal.ready()?;
        let planned = payer.plan_ticks(terms.channel_id, terms.root, count, now_unix_s)?;
        let ticket = self.journal.append(&planned.record().encode())?;
        Ok(TicksPledge { planned, ticket })
    }

    /// As [`Payer::recall_tick`].
    ///
    /// # Errors
    ///
    /// As [`Payer::recall_tick`], or the file fails.
    pub fn recall_tick(&self, channel: B256, tick: Tick, now_unix_s: u64) -> Result<(), PayerError> {
        self.learn(|payer| payer.recall_tick(channel, tick, now_unix_s))
    }

    /// As [`Payer::again`]. What was planned last may not be on disk yet: it is not to be asked for before its pledge came.
    #[must_use]
    pub fn again(&self, channel: B256, total: u128, secret: &SecretKey) -> Option<SignedVoucher> {
        lock_of(&self.state).again(channel, total, secret)
    }

    /// As [`Payer::streaming`].
    #[must_use]
    pub fn streaming(&self, channel: B256) -> Option<Streaming> {
        lock_of(&self.state).streaming(channel).cloned()
    }

    /// As [`Payer::answer`].
    ///
    /// # Errors
    ///
    /// As [`Payer::answer`], or the file fails.
    pub fn answer(&self, receipt: SignedReceipt) -> Result<(), PayerError> {
        self.learn(|payer| payer.answer(receipt).map(Some))
    }

    /// As [`Payer::give_up`].
    ///
    /// # Errors
    ///
    /// The file fails.
    pub fn give_up(&self, channel: B256, request: B256) -> Result<(), PayerError> {
        self.learn(|payer| Ok(payer.give_up(channel, request)))
    }

    /// As [`Payer::recover`].
    ///
    /// # Errors
    ///
    /// As [`Payer::recover`], or the file fails.
    pub fn recover(&self, receipt: SignedReceipt) -> Result<(), PayerError> {
        self.learn(|payer| payer.recover(receipt).map(Some))
    }

    /// As [`Payer::recall`].
    ///
    /// # Errors
    ///
    /// As [`Payer::recall`], or the file fails.
    pub fn recall(&self, shown: &SignedVoucher) -> Result<(), PayerError> {
        self.learn(|payer| payer.recall(shown).map(Some))
    }

    /// As [`Payer::standing`].
    #[must_use]
    pub fn standing(&self, channel: B256) -> Option<Standing> {
        lock_of(&self.state).standing(channel).cloned()
    }

    /// As [`Payer::unanswered`].
    #[must_use]
    pub fn unanswered(&self, channel: B256) -> Vec<Payment> {
        lock_of(&self.state).unanswered(channel).cloned().collect()
    }

    /// Nobody waits for these: what is lost of them is learned again.
    fn learn(
        &self,
        decide: impl FnOnce(&mut Payer) -> Result<Option<Record>, EvidenceRefused>,
    ) -> Result<(), PayerError> {
        let mut payer = lock_of(&self.state);
        self.journal.ready()?;
        if let Some(record) = decide(&mut payer)? {
            drop(self.journal.append(&record.encode())?);
        }
        Ok(())
    }
}

impl Pledge {
    /// Waits for the disk, and signs.
    ///
    /// # Errors
    ///
    /// The write failed: nothing was signed.
    pub fn wait(self) -> Result<SignedVoucher, PayerError> {
        let Self { planned, ticket, domain, secret } = self;
        let promise: Promise = planned.kept(|_| ticket.wait())?;
        Ok(promise.sign(&domain, &secret))
    }
}

impl Future for Pledge {
    type Output = Result<SignedVoucher, PayerError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let written = ready!(Pin::new(&mut self.ticket).poll(context));
        let promise = self.planned.clone().kept(|_| written)?;
        Poll::Ready(Ok(promise.sign(&self.domain, &self.secret)))
    }
}

impl StreamPledge {
    /// Waits for the disk, and signs.
    ///
    /// # Errors
    ///
    /// The write failed: nothing was signed.
    pub fn wait(self) -> Result<OpenStream, PayerError> {
        let Self { planned, ticket, domain, secret } = self;
        opened(planned, ticket.wait(), domain, &secret)
    }

    /// As [`StreamPledge::wait`], for a task.
    ///
    /// # Errors
    ///
    /// As [`StreamPledge::wait`].
    pub async fn signed(self) -> Result<OpenStream, PayerError> {
        let Self { planned, ticket, domain, secret } = self;
        opened(planned, ticket.await, domain, &secret)
    }
}

fn opened(
    planned: PlannedStream,
    written: Result<(), JournalError>,
    domain: Domain,
    secret: &SecretKey,
) -> Result<OpenStream, PayerError> {
    let promise = planned.kept(|_| written)?;
    let chain = promise.chain(&domain, secret);
    let number = promise.streaming().given;
    let given = (number > 0).then(|| chain.get(number as usize).map(|tick| Tick { number, tick: *tick })).flatten();
    Ok(OpenStream { signed: promise.sign(&domain, secret), given, chain })
}

impl OpenStream {
    /// A tick that was promised: for a payee that lost what came after it.
    #[must_use]
    pub fn promised(&self, payer: &DurablePayer, number: u32) -> Option<Tick> {
        let terms = &self.signed.terms;
        let streaming = payer.streaming(terms.channel_id).filter(|streaming| streaming.terms.root == terms.root)?;
        let tick = self.chain.get(number as usize).filter(|_| number > 0 && number <= streaming.given)?;
        Some(Tick { number, tick: *tick })
    }
}

impl TicksPledge {
    /// Waits for the disk.
    ///
    /// # Errors
    ///
    /// The write failed: the ticks are never given.
    pub fn wait(self, stream: &OpenStream) -> Result<Vec<Tick>, PayerError> {
        let Self { planned, ticket } = self;
        Ok(planned.kept(|_| ticket.wait())?.reveal(&stream.chain))
    }

    /// As [`TicksPledge::wait`], for a task.
    ///
    /// # Errors
    ///
    /// As [`TicksPledge::wait`].
    pub async fn given(self, stream: &OpenStream) -> Result<Vec<Tick>, PayerError> {
        let Self { planned, ticket } = self;
        let written = ticket.await;
        Ok(planned.kept(|_| written)?.reveal(&stream.chain))
    }
}

/// A panic of somebody else changes nothing by halves: decisions do not panic after they began to change something.
fn lock_of(state: &Mutex<Payer>) -> MutexGuard<'_, Payer> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
