//! Sessions: vouchers and ticks that pay ahead, and what is spent of them as it is given.
//!
//! ```text
//!   |--settled--|-------- spent --------|---- available ----|---- not signed for yet ---- deposit
//!                                                           ^ accepted: the largest total that the payee holds
//! ```
//! A voucher for a request ([`Payee::accept`]) is charged for when it is taken. In a session it only raises what was accepted, and requests, as many at once as there are,
//! draw on it: each reserves what it costs before anything is done for it, and spends it before it is given. What is spent are the lowest free units of the channel's total
//! ([`crate::free_totals`]), so sessions, vouchers for requests, and locks share one channel without a unit that is charged for twice.
//!
//! A voucher that was brought to the chain can be read by everybody there, so it proves no more that its payer asks for something: [`Balance::public`].

use alloy_primitives::B256;
use secp256k1::PublicKey;

use super::account::{Account, Seen};
use super::prepaid::Public;
use super::record::Record;
use super::taken::Signature;
use super::{Payee, Refused};
use crate::account_signature::Parts;
use crate::receipt::Receipt;
use crate::stream::TickRefused;
use crate::voucher::SignedVoucher;

/// Where a channel stands. Amounts in the token's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The largest total that the payee holds, or that was settled.
    pub accepted: u128,
    /// What of it is spent, settled before, or held by locks.
    pub spent: u128,
    /// What neither is nor is reserved.
    pub available: u128,
    pub deposit: u128,
    /// Which vouchers buy nothing.
    pub public: Public,
}

/// A voucher's signature to check. `is_new`: whether its total is larger than all before.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditCheck {
    voucher: SignedVoucher,
    digest: B256,
    parts: Parts,
    signer: alloy_primitives::Address,
    key: Option<PublicKey>,
    least_delta: u128,
}

/// A voucher whose signature is the signer's.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCredit {
    voucher: SignedVoucher,
    signer: alloy_primitives::Address,
    key: PublicKey,
    least_delta: u128,
}

/// What was spent: to be written down before what it pays for is given.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    pub receipt: Receipt,
    pub record: Record,
}

/// Ticks that were taken: to be written down before what they pay for is given.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicksTaken {
    /// The number of the last one.
    pub latest: u32,
    /// None: nothing is new.
    pub record: Option<Record>,
    /// Why those behind it were not taken.
    pub refused: Option<Refused>,
}

impl CreditCheck {
    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`Refused::NotTheSigner`].
    pub fn verify(self) -> Result<VerifiedCredit, Refused> {
        let Self { voucher, digest, parts, signer, key, least_delta } = self;
        let key = parts.key_of(digest, signer, key).ok_or(Refused::NotTheSigner { signer })?;
        Ok(VerifiedCredit { voucher, signer, key, least_delta })
    }
}

impl Account {
    /// Whether a stream with this root is open.
    #[must_use]
    pub fn has_stream(&self, root: B256) -> bool {
        self.flows.get(root).is_some()
    }

    fn balance(&self) -> Balance {
        let accepted = self.highest();
        let spent = self.spent_below(accepted);
        Balance {
            accepted,
            spent,
            available: (accepted - spent).saturating_sub(self.prepaid.reserved),
            deposit: self.seen.map_or(0, |seen| seen.channel.deposit),
            public: self.prepaid.public.with_settled(self.seen.map_or(0, |seen| seen.channel.settled)),
        }
    }

    /// Again, from a file, it changes nothing.
    pub(super) fn credit(&mut self, total: u128, signature: &Signature, at_unix_s: u64) {
        if self.best.as_ref().is_none_or(|(best, _)| *best < total) {
            self.best = Some((total, signature.clone()));
        }
        self.wait_since(at_unix_s);
    }

    /// Takes a tick that was checked and charges nothing. Again, from a file, it changes nothing.
    pub(super) fn credit_tick(
        &mut self,
        root: B256,
        number: u32,
        tick: B256,
        at_unix_s: u64,
    ) -> Result<(), TickRefused> {
        let Some(flow) = self.flows.get_mut(root) else { return Ok(()) };
        flow.meter.accept(number, tick)?;
        self.wait_since(at_unix_s);
        Ok(())
    }

    /// Spends the lowest free units. `charged`: what was charged for in all when it was done, so that it is not done again from a file that has it twice.
    pub(super) fn spend(&mut self, amount: u128, charged: u128, request: B256) {
        if self.charged < charged {
            self.free.take_lowest(amount);
            self.charged = charged;
        }
        self.prepaid.add_paid(request);
    }
}

impl Payee {
    /// Where a channel stands; none if it is not known.
    #[must_use]
    pub fn balance(&self, id: B256) -> Option<Balance> {
        self.accounts.get(&id).filter(|account| account.seen.is_some()).map(Account::balance)
    }

    /// The voucher of a channel with the largest total. Whoever has it can spend what it pays ahead.
    #[must_use]
    pub fn best_voucher(&self, id: B256) -> Option<SignedVoucher> {
        self.accounts.get(&id)?.best_voucher(id)
    }

    /// Whether a request with this name was paid by this channel.
    #[must_use]
    pub fn is_paid(&self, id: B256, request: B256) -> bool {
        !request.is_zero() && self.accounts.get(&id).is_some_and(|account| account.prepaid.is_paid(request))
    }

    // ------------------------------------------------------------------ paying ahead

    /// Looks at a voucher that pays ahead, without the curve. One whose total is not larger than all before is right if its signature is, and changes nothing.
    /// `least_delta`: by how much it must be larger, unless it is all of the deposit.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn examine_credit(
        &self,
        voucher: &SignedVoucher,
        least_delta: u128,
        now_unix_s: u64,
    ) -> Result<CreditCheck, Refused> {
        let parts = Parts::of(&voucher.signature)?;
        let (id, total) = (voucher.voucher.channel_id, voucher.voucher.cumulative_amount);
        let (account, seen) = self.seen(id)?;
        self.check_credit(account, &seen, total, least_delta, now_unix_s)?;
        let (digest, signer, key) = (voucher.voucher.digest(self.domain()), seen.channel.signer, account.key);
        Ok(CreditCheck { voucher: voucher.clone(), digest, parts, signer, key, least_delta })
    }

    /// Takes a voucher whose signature was checked; returns what to write down before anything is given for it, if it was new.
    ///
    /// # Errors
    ///
    /// [`Refused`]: something changed since it was examined.
    pub fn accept_credit(&mut self, verified: VerifiedCredit, now_unix_s: u64) -> Result<Option<Record>, Refused> {
        let VerifiedCredit { voucher, signer, key, least_delta } = verified;
        let (id, total) = (voucher.voucher.channel_id, voucher.voucher.cumulative_amount);
        let (account, seen) = self.seen(id)?;
        if seen.channel.signer != signer {
            return Err(Refused::UnknownChannel { id });
        }
        self.check_credit(account, &seen, total, least_delta, now_unix_s)?;
        let is_new = total > account.highest();
        let account = self.accounts.get_mut(&id).expect("it was just there");
        account.key = Some(key);
        if !is_new {
            return Ok(None);
        }
        account.credit(total, &voucher.signature, now_unix_s);
        Ok(Some(Record::Credited { id, total, signature: voucher.signature, at_unix_s: now_unix_s }))
    }

    fn check_credit(
        &self,
        account: &Account,
        seen: &Seen,
        total: u128,
        least_delta: u128,
        now: u64,
    ) -> Result<(), Refused> {
        let Some(delta) = total.checked_sub(account.highest()).filter(|delta| *delta > 0) else { return Ok(()) };
        self.check_open(account, seen, now)?;
        let deposit = seen.channel.deposit;
        if total > deposit {
            return Err(Refused::BeyondDeposit { got: total, deposit });
        }
        if delta < least_delta && total < deposit {
            return Err(Refused::SmallDelta { got: delta, least: least_delta });
        }
        self.check_counts(seen, total)
    }

    /// Takes ticks of a stream that follow the last one taken, each by one hash. The last one taken may be in front of them: who lost an answer sends it again.
    ///
    /// # Errors
    ///
    /// [`Refused`]: there is no such channel or stream, or nothing of it is taken any more. A wrong tick is none: those before it count.
    pub fn credit_ticks(
        &mut self,
        id: B256,
        root: B256,
        ticks: &[B256],
        now_unix_s: u64,
    ) -> Result<TicksTaken, Refused> {
        let (account, seen) = self.seen(id)?;
        let flow = account.flows.get(root).ok_or(Refused::UnknownStream { id, root })?;
        self.check_open(account, &seen, now_unix_s)?;
        let mut meter = flow.meter;
        let before = meter.latest();
        let again = before.0 > 0 && ticks.first() == Some(&before.1);
        let mut refused = None;
        for tick in &ticks[usize::from(again)..] {
            let mut next = meter;
            let taken = next.accept(meter.latest().0.saturating_add(1), *tick).map_err(Refused::from);
            let deposit = seen.channel.deposit;
            let got = next.total();
            let covered = if got > deposit { Err(Refused::BeyondDeposit { got, deposit }) } else { Ok(()) };
            match taken.and(covered).and(self.check_counts(&seen, got)) {
                Ok(()) => meter = next,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let (latest, tick) = meter.latest();
        if latest == before.0 {
            return Ok(TicksTaken { latest, record: None, refused });
        }
        let account = self.accounts.get_mut(&id).expect("it was just there");
        account.credit_tick(root, latest, tick, now_unix_s)?;
        let record = Record::CreditedTick { id, root, number: latest, tick, at_unix_s: now_unix_s };
        Ok(TicksTaken { latest, record: Some(record), refused })
    }

    // ------------------------------------------------------------------ spending

    /// Reserves what a request may cost, so that no other spends it.
    ///
    /// # Errors
    ///
    /// [`Refused::Insufficient`], or nothing is given for this channel any more.
    pub fn reserve(&mut self, id: B256, amount: u128, now_unix_s: u64) -> Result<(), Refused> {
        let (account, seen) = self.seen(id)?;
        self.check_open(account, &seen, now_unix_s)?;
        check_available(account, amount)?;
        let account = self.accounts.get_mut(&id).expect("it was just there");
        account.prepaid.reserved = account.prepaid.reserved.saturating_add(amount);
        Ok(())
    }

    /// Gives up what was reserved.
    pub fn release(&mut self, id: B256, amount: u128) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.prepaid.reserved = account.prepaid.reserved.saturating_sub(amount);
        }
    }

    /// Spends an amount, of which `reserved` was reserved for it, for a request of this name (zero: of none).
    ///
    /// # Errors
    ///
    /// [`Refused::Insufficient`] for what is not covered; what was reserved stays so. Also when the channel is closed meanwhile.
    pub fn spend(
        &mut self,
        id: B256,
        reserved: u128,
        amount: u128,
        request: B256,
        now_unix_s: u64,
    ) -> Result<Spent, Refused> {
        let (account, seen) = self.seen(id)?;
        if account.prepaid.is_ending {
            return Err(Refused::Closing { id });
        }
        if amount > reserved {
            self.check_open(account, &seen, now_unix_s)?;
        }
        check_available(account, amount.saturating_sub(reserved))?;
        let receipt = account.receipt(id, account.highest(), amount, now_unix_s, request);
        let account = self.accounts.get_mut(&id).expect("it was just there");
        account.prepaid.reserved = account.prepaid.reserved.saturating_sub(reserved);
        account.spend(amount, receipt.charged, request);
        Ok(Spent { receipt, record: Record::Spent { id, amount, charged: receipt.charged, request } })
    }

    // ------------------------------------------------------------------ the chain

    /// A claim of so much is about to be brought to the chain, where everybody can read it: what to write down before.
    pub fn publish(&mut self, id: B256, total: u128) -> Option<Record> {
        let prepaid = &mut self.accounts.get_mut(&id)?.prepaid;
        prepaid.public.learn(total);
        Some(Record::Published { id, total })
    }

    /// Gives nothing for this channel any more, since the payee closes it. Returns the voucher to close with: the payer's last word if it covers what was spent, else the best
    /// one. None if no voucher is worth anything: then the total that was settled.
    ///
    /// # Errors
    ///
    /// [`Refused::InUse`]: requests are being answered. [`Refused::ByStream`]: the best is not a voucher.
    pub fn end(&mut self, id: B256, last: &SignedVoucher) -> Result<Option<SignedVoucher>, Refused> {
        let (account, seen) = self.seen(id)?;
        if account.prepaid.reserved > 0 {
            return Err(Refused::InUse { id });
        }
        let Balance { spent, accepted, .. } = account.balance();
        let (signer, settled) = (seen.channel.signer, seen.channel.settled);
        let total = last.voucher.cumulative_amount;
        let voucher = if (spent..=accepted).contains(&total) { Some(last.clone()) } else { account.best_voucher(id) };
        let voucher = voucher.filter(|voucher| voucher.voucher.cumulative_amount > settled);
        let covered = voucher.as_ref().map_or(settled, |voucher| voucher.voucher.cumulative_amount);
        if covered < spent {
            return Err(Refused::ByStream { id, got: covered, spent });
        }
        let voucher = match voucher {
            Some(voucher) => Some(voucher.claimable(self.domain(), signer).ok_or(Refused::NotTheSigner { signer })?),
            None => None,
        };
        let account = self.accounts.get_mut(&id).expect("it was just there");
        account.prepaid.is_ending = true;
        Ok(voucher)
    }

    /// The channel was not closed: it goes on.
    pub fn go_on(&mut self, id: B256) {
        self.accounts.get_mut(&id).into_iter().for_each(|account| account.prepaid.is_ending = false);
    }

    fn seen(&self, id: B256) -> Result<(&Account, Seen), Refused> {
        let account = self.accounts.get(&id).ok_or(Refused::UnknownChannel { id })?;
        Ok((account, account.seen.ok_or(Refused::UnknownChannel { id })?))
    }

    fn check_open(&self, account: &Account, seen: &Seen, now: u64) -> Result<(), Refused> {
        let id = seen.channel.id;
        if seen.channel.closing.is_some() || account.prepaid.is_ending {
            return Err(Refused::Closing { id });
        }
        self.check_clock(self.head.ok_or(Refused::UnknownChannel { id })?, now)
    }

    fn check_counts(&self, seen: &Seen, got: u128) -> Result<(), Refused> {
        let (block, want) = (self.head.map_or(0, |head| head.block), self.rules.confirmations);
        if got > seen.countable(block, want) {
            return Err(Refused::Unconfirmed { got, seen: seen.blocks_on_waiting(block), want });
        }
        Ok(())
    }
}

fn check_available(account: &Account, want: u128) -> Result<(), Refused> {
    let available = account.balance().available;
    if available < want { Err(Refused::Insufficient { available, want }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
