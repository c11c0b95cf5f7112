//! Sessions of a payee's process: what pays ahead, and what is spent of it, on disk before anything is given.

use alloy_primitives::B256;

use super::{Answer, DurablePayee, PayeeError, lock};
use crate::io::journal::Ticket;
use crate::payee::Refused;
use crate::payee::record::Record;
use crate::payee::sessions::{Balance, Spent};
use crate::payee::streams::StreamOffer;
use crate::voucher::SignedVoucher;

/// Ticks that were taken.
#[must_use]
#[derive(Debug)]
pub struct TicksKept {
    /// The number of the last one.
    pub latest: u32,
    pub ticket: Ticket,
    /// Why those behind it were not taken.
    pub refused: Option<Refused>,
}

impl DurablePayee {
    /// As [`crate::payee::Payee::balance`].
    #[must_use]
    pub fn balance(&self, id: B256) -> Option<Balance> {
        lock(&self.state).balance(id)
    }

    /// As [`crate::payee::Payee::best_voucher`].
    #[must_use]
    pub fn best_voucher(&self, id: B256) -> Option<SignedVoucher> {
        lock(&self.state).best_voucher(id)
    }

    /// As [`crate::payee::Payee::is_paid`].
    #[must_use]
    pub fn is_paid(&self, id: B256, request: B256) -> bool {
        lock(&self.state).is_paid(id, request)
    }

    /// Whether this voucher shows that its payer asks: it is the signer's, and nobody read it in the chain. Nothing is taken.
    #[must_use]
    pub fn is_by_signer(&self, voucher: &SignedVoucher, now_unix_s: u64) -> bool {
        let check = {
            let payee = lock(&self.state);
            let balance = payee.balance(voucher.voucher.channel_id);
            if balance.is_none_or(|balance| balance.public.has(voucher.voucher.cumulative_amount)) {
                return false;
            }
            payee.examine_credit(voucher, 0, now_unix_s)
        };
        check.is_ok_and(|check| check.verify().is_ok())
    }

    /// Whether this is a stream that could be opened, and is not. Nothing is taken.
    #[must_use]
    pub fn is_new_stream(&self, offer: &StreamOffer, now_unix_s: u64) -> bool {
        let terms = &offer.stream.terms;
        let check = lock(&self.state).examine_stream(offer, now_unix_s);
        !self.has_stream(terms.channel_id, terms.root) && check.is_ok_and(|check| check.verify().is_ok())
    }

    /// Takes a voucher that pays ahead; it counts at once, and what it pays for may be given when the ticket says that it is on disk, as whatever is spent comes behind it there.
    ///
    /// # Errors
    ///
    /// [`PayeeError`]: nothing changed.
    pub fn credit(
        &self,
        voucher: &SignedVoucher,
        least_delta: u128,
        now_unix_s: u64,
    ) -> Result<(Ticket, bool), PayeeError> {
        let check = lock(&self.state).examine_credit(voucher, least_delta, now_unix_s)?;
        let verified = check.verify()?;
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        let record = payee.accept_credit(verified, now_unix_s)?;
        let is_new = record.is_some();
        Ok((self.append(record)?, is_new))
    }

    /// Whether a stream with this root is open.
    #[must_use]
    pub fn has_stream(&self, id: B256, root: B256) -> bool {
        lock(&self.state).account(id).is_some_and(|account| account.has_stream(root))
    }

    /// Takes ticks that pay ahead.
    ///
    /// # Errors
    ///
    /// [`PayeeError`]: nothing changed.
    pub fn credit_ticks(&self, id: B256, root: B256, ticks: &[B256], now_unix_s: u64) -> Result<TicksKept, PayeeError> {
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        let taken = payee.credit_ticks(id, root, ticks, now_unix_s)?;
        Ok(TicksKept { latest: taken.latest, ticket: self.append(taken.record)?, refused: taken.refused })
    }

    /// As [`crate::payee::Payee::reserve`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn reserve(&self, id: B256, amount: u128, now_unix_s: u64) -> Result<(), Refused> {
        lock(&self.state).reserve(id, amount, now_unix_s)
    }

    /// As [`crate::payee::Payee::release`].
    pub fn release(&self, id: B256, amount: u128) {
        lock(&self.state).release(id, amount);
    }

    /// Spends an amount, of which `reserved` was reserved; its receipt comes when it is on disk, and not before that may anything be given for it.
    ///
    /// # Errors
    ///
    /// [`PayeeError`]: nothing was spent.
    pub fn spend(
        &self,
        id: B256,
        reserved: u128,
        amount: u128,
        request: B256,
        now_unix_s: u64,
    ) -> Result<Answer, PayeeError> {
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        let Spent { receipt, record } = payee.spend(id, reserved, amount, request, now_unix_s)?;
        let ticket = self.journal.append(&record.encode())?;
        Ok(self.answer(receipt, ticket))
    }

    /// A claim of so much is about to be brought to the chain: not before the ticket says so.
    ///
    /// # Errors
    ///
    /// The file fails.
    pub fn publish(&self, id: B256, total: u128) -> Result<Ticket, PayeeError> {
        let mut payee = lock(&self.state);
        self.journal.ready()?;
        let record = payee.publish(id, total);
        self.append(record)
    }

    /// As [`crate::payee::Payee::end`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn end(&self, id: B256, last: &SignedVoucher) -> Result<Option<SignedVoucher>, Refused> {
        lock(&self.state).end(id, last)
    }

    /// As [`crate::payee::Payee::go_on`].
    pub fn go_on(&self, id: B256) {
        lock(&self.state).go_on(id);
    }

    /// When all that was taken so far is on disk.
    pub fn durable(&self) -> Ticket {
        self.journal.latest()
    }

    fn append(&self, record: Option<Record>) -> Result<Ticket, PayeeError> {
        match record {
            Some(record) => Ok(self.journal.append(&record.encode())?),
            None => Ok(self.journal.latest()),
        }
    }
}
