//! A payee's process: vouchers in, receipts out, and what was taken is on disk before.
//!
//! Calls come from as many threads or tasks as there are requests. One lock is held for microseconds at a time; signatures are checked without it, on the
//! caller's core. [`Answer`] is a future, and waits for a thread by [`Answer::wait`].

mod sessions;

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use alloy_primitives::{Address, B256};
use files::DirectoryLock;
use secp256k1::SecretKey;

use super::journal::{Journal, JournalError, OpenError, Opened, SLACK_BYTES, Ticket};

use super::verification::verify_all;
use crate::channel::{Channel, SeenAt};
use crate::payee::claims::{ClaimRules, Due};
use crate::payee::locks::LockOffer;
use crate::payee::questions::{Asked, Question, Questions};
use crate::payee::record::Record;
use crate::payee::streams::StreamOffer;
use crate::payee::{Accepted, Examined, Offer, Payee, Refused, Rules, Verified};
use crate::receipt::{Receipt, SignedReceipt};
use crate::seals::{Seals, Slot};
use crate::typed_data::Domain;

/// Why there is no receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayeeError {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// `Full`: try again. Others: end this process, and start it again when the disk works.
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

/// Asks the chain.
pub trait ContractSigners: Sync {
    /// What `isValidSignature` answers in the last final state, with 100,000 gas: whether it is its magic number (EIP-1271).
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    fn is_valid(&self, question: &Question) -> impl Future<Output = Result<bool, Unanswered>> + Send;
}

/// The chain does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot ask a contract for its signature: {0}")]
pub struct Unanswered(pub String);

/// Ends a question, also when nobody waits for its answer any more.
struct UnderWay<'a> {
    question: Question,
    questions: &'a Mutex<Questions>,
    answer: Option<(bool, u64)>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut questions = questions(self.questions);
        match self.answer {
            Some((answer, now_unix_s)) => questions.answered(&self.question, answer, now_unix_s),
            None => questions.unanswered(&self.question),
        }
    }
}

/// A payee with its file.
#[derive(Debug)]
pub struct DurablePayee {
    state: Arc<Mutex<Payee>>,
    questions: Mutex<Questions>,
    journal: Journal,
    seals: Arc<Seals>,
    /// One process for a directory.
    _lock: DirectoryLock,
}

/// A receipt that is on its way to the disk. It is signed, and given, once it is there.
#[must_use]
#[derive(Debug)]
pub struct Answer {
    receipt: Receipt,
    is_known: bool,
    ticket: Ticket,
    slot: Arc<Slot>,
    seals: Arc<Seals>,
}

impl DurablePayee {
    /// Reads what was taken so far from `directory`, which is made when it is missing. Receipts are signed by `secret`. Channels are known again, but pay
    /// only when they were observed again.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(directory: &Path, domain: Domain, rules: Rules, secret: SecretKey) -> Result<Self, OpenError> {
        Self::open_with_slack(directory, domain, rules, secret, SLACK_BYTES)
    }

    /// As [`DurablePayee::open`]; the file is written anew when it has outgrown twice its size then by so many bytes.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open_with_slack(
        directory: &Path,
        domain: Domain,
        rules: Rules,
        secret: SecretKey,
        slack_bytes: u64,
    ) -> Result<Self, OpenError> {
        let lock = DirectoryLock::acquire(directory)?;
        let mut payee = Payee::new(domain, rules);
        let opened = Opened::read(&directory.join("payments"), |bytes| {
            Record::decode(bytes).map(|record| payee.replay(record)).is_some()
        })?;
        let state = Arc::new(Mutex::new(payee));
        let shown = state.clone();
        let snapshot = Box::new(move |each: &mut dyn FnMut(&[u8])| show_all(&shown, each));
        let journal = Journal::start(opened, slack_bytes, snapshot).map_err(OpenError::Thread)?;
        Ok(Self {
            state,
            questions: Mutex::default(),
            journal,
            seals: Arc::new(Seals::new(domain, secret)),
            _lock: lock,
        })
    }

    /// Who signs receipts.
    #[must_use]
    pub fn receipt_signer(&self) -> Address {
        self.seals.signer()
    }

    /// As [`Payee::advance`].
    ///
    /// # Errors
    ///
    /// The file fails.
    pub fn advance(&self, at: SeenAt) -> Result<(), PayeeError> {
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        for record in payee.advance(at) {
            drop(self.journal.append(&record.encode())?);
        }
        Ok(())
    }

    /// As [`Payee::observe`].
    ///
    /// # Errors
    ///
    /// As [`Payee::observe`], or the file fails.
    pub fn observe(&self, channel: Channel, at: SeenAt) -> Result<(), PayeeError> {
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        for record in payee.observe(channel, at)? {
            // Nobody waits for it: it is in front of whatever is taken of this channel.
            drop(self.journal.append(&record.encode())?);
        }
        Ok(())
    }

    /// Takes a voucher for a request; its receipt comes when it is on disk.
    ///
    /// # Errors
    ///
    /// [`PayeeError`]: nothing was charged.
    pub fn accept(&self, offer: Offer, now_unix_s: u64) -> Result<Answer, PayeeError> {
        let examined = lock(&self.state).examine(offer, now_unix_s)?;
        match examined {
            Examined::Known(receipt) => Ok(self.answer_again(receipt)),
            Examined::Check(check) => self.take(check.verify()?, now_unix_s),
        }
    }

    /// Takes a stream that a payer opens. Its ticks may be sent at once: they are on disk after it.
    ///
    /// # Errors
    ///
    /// [`PayeeError`].
    pub fn open_stream(&self, offer: &StreamOffer, now_unix_s: u64) -> Result<Ticket, PayeeError> {
        let check = lock(&self.state).examine_stream(offer, now_unix_s)?;
        let verified = check.verify()?;
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        Ok(self.journal.append(&payee.accept_stream(verified)?.encode())?)
    }

    /// Takes a tick; what it pays for is given when it is on disk.
    ///
    /// # Errors
    ///
    /// [`PayeeError`]: nothing was charged.
    pub fn tick(&self, id: B256, root: B256, number: u32, tick: B256, now_unix_s: u64) -> Result<Ticket, PayeeError> {
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        let taken = payee.tick(id, root, number, tick, now_unix_s)?;
        Ok(self.journal.append(&taken.record.encode())?)
    }

    /// Holds a locked voucher; it is on disk when the ticket says so. Nothing of it is paid yet.
    ///
    /// # Errors
    ///
    /// [`PayeeError`]: nothing is held.
    pub fn hold(&self, offer: &LockOffer, now_unix_s: u64) -> Result<Ticket, PayeeError> {
        let check = lock(&self.state).examine_lock(offer, now_unix_s)?;
        let verified = check.verify()?;
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        Ok(self.journal.append(&payee.accept_lock(verified, offer.price, now_unix_s)?.encode())?)
    }

    /// Opens a lock with its secret; its receipt comes when that is on disk.
    ///
    /// # Errors
    ///
    /// [`PayeeError`]: nothing was charged.
    pub fn open_lock(&self, id: B256, hash: B256, preimage: B256, now_unix_s: u64) -> Result<Answer, PayeeError> {
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        let opened = payee.open_lock(id, hash, preimage, now_unix_s)?;
        match opened.record {
            Some(record) => Ok(self.answer(opened.receipt, self.journal.append(&record.encode())?)),
            None => Ok(self.answer_again(opened.receipt)),
        }
    }

    /// As [`DurablePayee::accept`], and asks the chain where the channel's signer is a contract whose key did not sign. Nobody else waits for that.
    ///
    /// # Errors
    ///
    /// [`PayeeError`]: nothing was charged.
    pub async fn accept_asking(
        &self,
        offer: Offer,
        now_unix_s: u64,
        chain: &impl ContractSigners,
    ) -> Result<Answer, PayeeError> {
        let examined = lock(&self.state).examine(offer, now_unix_s)?;
        let check = match examined {
            Examined::Known(receipt) => return Ok(self.answer_again(receipt)),
            Examined::Check(check) => check,
        };
        let verified = match check.question() {
            None => check.verify()?,
            Some(question) => check.answered(self.ask(question, now_unix_s, chain).await?)?,
        };
        self.take(verified, now_unix_s)
    }

    async fn ask(&self, question: Question, now_unix_s: u64, chain: &impl ContractSigners) -> Result<bool, PayeeError> {
        if let Asked::Known(answer) = questions(&self.questions).ask(&question, now_unix_s)? {
            return Ok(answer);
        }
        let mut under_way = UnderWay { question, questions: &self.questions, answer: None };
        let answer = chain.is_valid(&under_way.question).await?;
        under_way.answer = Some((answer, now_unix_s));
        Ok(answer)
    }

    /// Takes many vouchers at once, on all cores; the answers in their order.
    #[must_use]
    pub fn accept_many(&self, offers: Vec<Offer>, now_unix_s: u64) -> Vec<Result<Answer, PayeeError>> {
        let examined: Vec<_> = {
            let payee = lock(&self.state);
            offers.into_iter().map(|offer| payee.examine(offer, now_unix_s)).collect()
        };
        let checks = examined.iter().filter_map(|examined| match examined {
            Ok(Examined::Check(check)) => Some((**check).clone()),
            _ => None,
        });
        let mut verified = verify_all(checks.collect()).into_iter();
        let each = examined.into_iter().map(|examined| match examined? {
            Examined::Known(receipt) => Ok(self.answer_again(receipt)),
            Examined::Check(_) => self.take(verified.next().expect("one for each check")?, now_unix_s),
        });
        each.collect()
    }

    /// As [`Payee::due`].
    #[must_use]
    pub fn due(&self, rules: &ClaimRules, now_unix_s: u64) -> Vec<Due> {
        lock(&self.state).due(rules, now_unix_s)
    }

    /// The channels that were known when it started or were observed since: to be observed again after a start.
    #[must_use]
    pub fn channels(&self) -> Vec<B256> {
        lock(&self.state).accounts().map(|(id, _)| id).collect()
    }

    /// How many signatures were made for receipts.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.seals.signatures()
    }

    /// As [`Journal::broken`].
    pub async fn broken(&self) -> JournalError {
        self.journal.broken().await
    }

    /// How often the disk was synced for payments.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.journal.syncs()
    }

    /// Decides and appends under one lock, so that the file has the order of the decisions.
    fn take(&self, verified: Verified, now_unix_s: u64) -> Result<Answer, PayeeError> {
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        match payee.accept(verified, now_unix_s)? {
            Accepted::New(taken) => {
                let receipt = taken.receipt;
                let ticket = self.journal.append(&Record::Taken(taken).encode())?;
                Ok(self.answer(receipt, ticket))
            }
            Accepted::Known(receipt) => Ok(self.answer_again(receipt)),
        }
    }

    fn answer(&self, receipt: Receipt, ticket: Ticket) -> Answer {
        let slot = self.seals.enter(&receipt, ticket.position());
        Answer { receipt, is_known: false, ticket, slot, seals: self.seals.clone() }
    }

    /// Of what was taken before: its record may still be on its way.
    fn answer_again(&self, receipt: Receipt) -> Answer {
        Answer { is_known: true, ..self.answer(receipt, self.journal.latest()) }
    }
}

impl Answer {
    /// Waits for the disk.
    ///
    /// # Errors
    ///
    /// The write failed: it may or may not count after the next start, and is found out by asking again then.
    pub fn wait(self) -> Result<SignedReceipt, PayeeError> {
        self.ticket.wait()?;
        Ok(self.sealed())
    }

    /// Waits for the disk, for a payer that wants no signed receipt.
    ///
    /// # Errors
    ///
    /// As [`Answer::wait`].
    pub fn wait_unsigned(self) -> Result<Receipt, PayeeError> {
        self.ticket.wait()?;
        Ok(self.receipt)
    }

    fn sealed(&self) -> SignedReceipt {
        self.seals.sealed(self.receipt, &self.slot, self.ticket.durable())
    }

    /// Whether the same was taken before, for the same request. Whoever gives something gives it once for a payment: for one that is known, the answer that it kept, or none.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// What the receipt will say.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

impl Future for Answer {
    type Output = Result<SignedReceipt, PayeeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(Pin::new(&mut self.ticket).poll(context))?;
        Poll::Ready(Ok(self.sealed()))
    }
}

/// Channel by channel, so that payments go on between them. What is appended meanwhile is written after it.
fn show_all(state: &Mutex<Payee>, each: &mut dyn FnMut(&[u8])) {
    let ids: Vec<B256> = lock(state).accounts().map(|(id, _)| id).collect();
    for id in ids {
        let records = lock(state).account(id).map(|account| Record::all_of(id, account));
        for record in records.into_iter().flatten() {
            each(&record.encode());
        }
    }
}

/// A panic of somebody else changes nothing by halves: decisions do not panic after they began to change something.
fn lock(state: &Mutex<Payee>) -> MutexGuard<'_, Payee> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn questions(questions: &Mutex<Questions>) -> MutexGuard<'_, Questions> {
    questions.lock().unwrap_or_else(PoisonError::into_inner)
}
