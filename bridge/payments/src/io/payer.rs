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
use crate::payer::payment::{Payment, Standing};
use crate::payer::record::Record;
use crate::payer::{EvidenceRefused, PayRefused, Payer, Planned, Promise};
use crate::receipt::SignedReceipt;
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

/// A panic of somebody else changes nothing by halves: decisions do not panic after they began to change something.
fn lock_of(state: &Mutex<Payer>) -> MutexGuard<'_, Payer> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
