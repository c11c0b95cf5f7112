//! The payee: takes vouchers for requests, answers with receipts, and says what to claim.
//!
//! ```text
//!   offer --> examine --> Check::verify --> accept --> Taken --> (on disk) --> receipt
//!             cheap       the signature,    cheap       the caller writes it down before it answers
//!                         on any core
//! ```
//! [`Payee::examine`] and [`Payee::accept`] take microseconds, so that one lock around them is enough; what takes time, the signature, is checked between
//! them without it. Whatever changed meanwhile, [`Payee::accept`] looks at again. Each unit of a channel's total pays for one request
//! ([`crate::free_totals`]), so requests may overtake each other. The same voucher, or the same Idempotency-Key with any voucher of the channel's signer, gets
//! the same receipt and is charged for once.
//!
//! Vouchers that pay ahead, and what is spent of them, are in [`sessions`]. Beside vouchers for requests it takes [`streams`], whose ticks need no signature each, and [`locks`], which are paid only with a secret. A signer that is a contract
//! is asked ([`questions`]).
//!
//! What the chain says is believed as it is told ([`Payee::observe`], [`Payee::advance`]): whoever tells it has checked proofs. No voucher is taken while the
//! chain was not heard of for a while, or once the payer asked to close.

pub mod account;
pub mod claim_gas;
pub mod claims;
pub mod flow;
pub mod lock;
pub mod locks;
pub mod prepaid;
pub mod questions;
pub mod record;
mod refused;
pub mod remembered;
pub mod sessions;
pub mod streams;
pub mod taken;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use secp256k1::PublicKey;

pub use self::refused::{Fault, Refused};

use self::account::{Account, Seen};
use self::questions::Question;
use self::record::Record;
use self::remembered::{LEAST_REMEMBERED, MOST_REMEMBERED, ROOM};
use self::taken::Taken;
use crate::account_signature::Parts;
use crate::channel::{Channel, SeenAt};
use crate::free_totals::{FreeTotals, NotFree};
use crate::receipt::Receipt;
use crate::typed_data::Domain;
use crate::voucher::SignedVoucher;

/// Channels that are kept, each with a deposit that was worth taking. With the least that is remembered of each they take 300 MB.
pub const MAX_CHANNELS: usize = 10_000;

/// How far the chain's time may be ahead of ours, in seconds: validators' clocks are that exact.
const CLOCK_TOLERANCE_S: u64 = 60;

/// Longest signature of a contract that is taken: a wallet of 15 owners needs as many.
pub const MAX_SIGNATURE_BYTES: usize = 1_024;

/// What a payee takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Who is paid.
    pub payee: Address,
    /// In which token; zero: the coin.
    pub token: Address,
    /// The least that a channel must have left when it is first seen: so much that a claim is worth it.
    pub least_deposit: u128,
    /// Blocks on a deposit until it counts; none where blocks are final.
    pub confirmations: u64,
    /// Seconds since the chain was heard of until nothing is taken any more: a small part of the delay after a request to close.
    pub max_age_s: u64,
    /// Whether others may get a part of what the payee is paid.
    pub splits: bool,
}

/// A voucher that came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the payer says that it is for.
    pub chain_id: u64,
    pub contract: Address,
    pub voucher: SignedVoucher,
    /// What the request costs; at least one unit is charged.
    pub price: u128,
    /// keccak256 of the request's Idempotency-Key; zero without one.
    pub request: B256,
}

/// What a first look says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Examined {
    /// It was taken before, for the same request: nothing more is to be given for it than the same answer.
    Known(Receipt),
    /// It can be taken if its signature is right.
    Check(Box<Check>),
}

/// A signature to check.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    offer: Offer,
    digest: B256,
    /// None: no key's signature.
    parts: Option<Parts>,
    signer: Address,
    signer_has_code: bool,
    key: Option<PublicKey>,
}

/// An offer whose signature is the signer's.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    offer: Offer,
    signer: Address,
    /// None: a contract signed.
    key: Option<PublicKey>,
}

/// What [`Payee::accept`] did.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// To be written down before the receipt is given.
    New(Taken),
    /// It was taken meanwhile, by a request whose record may still be on its way to the disk.
    Known(Receipt),
}

/// All channels of a payee.
#[derive(Clone, Debug)]
pub struct Payee {
    domain: Domain,
    rules: Rules,
    head: Option<SeenAt>,
    accounts: BTreeMap<B256, Account>,
    /// Taken vouchers that all channels together remember.
    remembered: usize,
}

impl Check {
    /// Checks the signature: against the signer's key if it is known, else by finding the key. The same curve work as libsecp256k1's verification.
    ///
    /// # Errors
    ///
    /// [`Refused::NotTheSigner`]; [`Refused::NotAsked`] if that has code, which is to be asked: [`Check::question`].
    pub fn verify(self) -> Result<Verified, Refused> {
        let signer = self.signer;
        match self.found_key() {
            Some(key) => Ok(Verified { offer: self.offer, signer, key: Some(key) }),
            None if self.signer_has_code => Err(Refused::NotAsked { signer }),
            None => Err(Refused::NotTheSigner { signer }),
        }
    }

    /// What the signer's code is to be asked; none if it has none, or its key signed.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let Self { offer, digest, signer, signer_has_code, .. } = self;
        let asks = *signer_has_code && self.found_key().is_none();
        asks.then(|| Question { signer: *signer, digest: *digest, signature: offer.voucher.signature.clone() })
    }

    /// As its code answered [`Check::question`].
    ///
    /// # Errors
    ///
    /// [`Refused::NotTheSigner`].
    pub fn answered(self, is_valid: bool) -> Result<Verified, Refused> {
        let Self { offer, signer, .. } = self;
        if is_valid { Ok(Verified { offer, signer, key: None }) } else { Err(Refused::NotTheSigner { signer }) }
    }

    fn found_key(&self) -> Option<PublicKey> {
        self.parts?.key_of(self.digest, self.signer, self.key)
    }
}

impl Payee {
    #[must_use]
    pub fn new(domain: Domain, rules: Rules) -> Self {
        Self { domain, rules, head: None, accounts: BTreeMap::new(), remembered: 0 }
    }

    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// All channels, in the order of their ids.
    pub fn accounts(&self) -> impl Iterator<Item = (B256, &Account)> {
        self.accounts.iter().map(|(id, account)| (*id, account))
    }

    #[must_use]
    pub fn account(&self, id: B256) -> Option<&Account> {
        self.accounts.get(&id)
    }

    // ------------------------------------------------------------------ the chain

    /// Learns that the chain is at this block, and that every known channel that changed up to it was observed. What is older is ignored. Returns what to write
    /// down: locks that expired.
    pub fn advance(&mut self, at: SeenAt) -> Vec<Record> {
        if self.head.is_some_and(|head| at.block <= head.block) {
            return Vec::new();
        }
        self.head = Some(at);
        self.drop_expired(at.unix_s)
    }

    /// Learns what the chain says of a channel: one that changed, or one that a payer wants to pay by. What is older than known is ignored. Returns what to
    /// write down, which may wait for the next voucher.
    ///
    /// # Errors
    ///
    /// [`Refused`]: a new channel that is not taken.
    pub fn observe(&mut self, channel: Channel, at: SeenAt) -> Result<Vec<Record>, Refused> {
        let id = channel.id;
        if !self.accounts.contains_key(&id) {
            self.check_new(&channel)?;
        }
        let mut records = self.advance(at);
        let Some(account) = self.accounts.get_mut(&id) else {
            records.extend(self.admit(channel, at));
            return Ok(records);
        };
        if account.seen.is_some_and(|seen| at.block < seen.block) {
            return Ok(records);
        }
        if channel.finalized {
            // Nothing of it can be claimed any more.
            self.forget(id);
            records.push(Record::Ended { id });
            return Ok(records);
        }
        account.see(channel, at, self.rules.confirmations);
        Ok(records)
    }

    /// One that never paid gives way, so that nobody keeps others out by opening channels alone.
    fn idle(&self) -> Option<B256> {
        self.accounts.iter().find(|(_, account)| account.is_idle()).map(|(id, _)| *id)
    }

    fn admit(&mut self, channel: Channel, at: SeenAt) -> Vec<Record> {
        let (id, settled) = (channel.id, channel.settled);
        let mut records = Vec::new();
        if self.accounts.len() >= MAX_CHANNELS
            && let Some(idle) = self.idle()
        {
            self.forget(idle);
            records.push(Record::Ended { id: idle });
        }
        let mut account = Account::new(settled);
        account.see(channel, at, self.rules.confirmations);
        self.accounts.insert(id, account);
        records.push(Record::Admitted { id, settled });
        records
    }

    fn check_new(&self, channel: &Channel) -> Result<(), Refused> {
        let (id, rules) = (channel.id, &self.rules);
        let left = channel.deposit.saturating_sub(channel.settled);
        if channel.payee != rules.payee {
            return Err(Refused::WrongPayee { id, got: channel.payee, want: rules.payee });
        }
        if channel.token != rules.token {
            return Err(Refused::WrongToken { id, got: channel.token, want: rules.token });
        }
        if channel.has_splits && !rules.splits {
            return Err(Refused::Splits { id });
        }
        if channel.finalized {
            return Err(Refused::Closed { id });
        }
        if channel.closing.is_some() {
            return Err(Refused::Closing { id });
        }
        if left < rules.least_deposit {
            return Err(Refused::Dust { id, got: left, least: rules.least_deposit });
        }
        if self.accounts.len() >= MAX_CHANNELS && self.idle().is_none() {
            return Err(Refused::TooManyChannels { most: MAX_CHANNELS });
        }
        Ok(())
    }

    // ------------------------------------------------------------------ vouchers

    /// Looks at an offer, without the curve.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn examine(&self, offer: Offer, now_unix_s: u64) -> Result<Examined, Refused> {
        let domain = &self.domain;
        self.check_domain(offer.chain_id, offer.contract)?;
        let parts = Parts::of(&offer.voucher.signature);
        let id = offer.voucher.voucher.channel_id;
        let account = self.accounts.get(&id).ok_or(Refused::UnknownChannel { id })?;
        let signer_has_code = account.seen.is_some_and(|seen| seen.channel.signer_has_code);
        let parts = if signer_has_code { parts.ok() } else { Some(parts?) };
        let (got, most) = (offer.voucher.signature.len(), MAX_SIGNATURE_BYTES);
        if got > most {
            return Err(Refused::LongSignature { got, most });
        }
        if let Some(receipt) = same_voucher(account, &offer)? {
            return Ok(Examined::Known(receipt));
        }
        let seen = account.seen.ok_or(Refused::UnknownChannel { id })?;
        if same_request(account, &offer)?.is_none() {
            self.check_payment(account, &seen, &offer, now_unix_s)?;
        }
        let digest = offer.voucher.voucher.digest(domain);
        let check = Check { offer, digest, parts, signer: seen.channel.signer, signer_has_code, key: account.key };
        Ok(Examined::Check(Box::new(check)))
    }

    /// Takes an offer whose signature was checked.
    ///
    /// # Errors
    ///
    /// [`Refused`]: something changed since it was examined. Nothing is charged.
    pub fn accept(&mut self, verified: Verified, now_unix_s: u64) -> Result<Accepted, Refused> {
        let Verified { offer, signer, key } = verified;
        let id = offer.voucher.voucher.channel_id;
        let account = self.accounts.get(&id).ok_or(Refused::UnknownChannel { id })?;
        let seen = account.seen.filter(|seen| seen.channel.signer == signer).ok_or(Refused::UnknownChannel { id })?;
        let known = match same_voucher(account, &offer)? {
            None => same_request(account, &offer)?,
            known => known,
        };
        if let Some(receipt) = known {
            return Ok(Accepted::Known(receipt));
        }
        self.check_payment(account, &seen, &offer, now_unix_s)?;
        let total = offer.voucher.voucher.cumulative_amount;
        let price = offer.price.max(1);
        let receipt = account.receipt(id, total, price, now_unix_s, offer.request);
        let taken = Taken { receipt, signature: offer.voucher.signature };
        self.remember(id, |account, most| {
            account.key = key.or(account.key);
            account.take(taken.clone(), most);
        });
        Ok(Accepted::New(taken))
    }

    /// All that does not need the signature.
    fn check_payment(&self, account: &Account, seen: &Seen, offer: &Offer, now: u64) -> Result<(), Refused> {
        self.check_total(account, seen, offer.voucher.voucher.cumulative_amount, offer.price.max(1), now)
    }

    fn check_total(&self, account: &Account, seen: &Seen, got: u128, price: u128, now: u64) -> Result<(), Refused> {
        self.check_total_in(&account.free, account, seen, got, price, now)
    }

    fn check_total_in(
        &self,
        free: &FreeTotals,
        account: &Account,
        seen: &Seen,
        got: u128,
        price: u128,
        now: u64,
    ) -> Result<(), Refused> {
        let (id, channel) = (seen.channel.id, &seen.channel);
        if channel.closing.is_some() {
            return Err(Refused::Closing { id });
        }
        let head = self.head.ok_or(Refused::UnknownChannel { id })?;
        self.check_clock(head, now)?;
        free.check(got, price).map_err(|not_free| match not_free {
            NotFree::Spent => Refused::Spent { got, highest: account.highest() },
            NotFree::Short { free } => Refused::BelowPrice { got, pays: free, price },
        })?;
        if got > channel.deposit {
            return Err(Refused::BeyondDeposit { got, deposit: channel.deposit });
        }
        if got > seen.countable(head.block, self.rules.confirmations) {
            let (seen, want) = (seen.blocks_on_waiting(head.block), self.rules.confirmations);
            return Err(Refused::Unconfirmed { got, seen, want });
        }
        Ok(())
    }

    fn check_domain(&self, chain_id: u64, contract: Address) -> Result<(), Refused> {
        let domain = &self.domain;
        if chain_id != domain.chain_id() {
            return Err(Refused::WrongChain { got: chain_id, want: domain.chain_id() });
        }
        if contract != domain.contract() {
            return Err(Refused::WrongContract { got: contract, want: domain.contract() });
        }
        Ok(())
    }

    fn check_clock(&self, head: SeenAt, now: u64) -> Result<(), Refused> {
        let seen = head.unix_s;
        if seen > now.saturating_add(CLOCK_TOLERANCE_S) {
            return Err(Refused::ClockBehind { seen, now });
        }
        if now > seen.saturating_add(self.rules.max_age_s) {
            return Err(Refused::Stale { seen, now });
        }
        Ok(())
    }

    // ------------------------------------------------------------------ the file

    /// Does again what a record says. Channels are as they were, but unknown to be open until they are observed again.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Admitted { id, settled } => {
                self.accounts.entry(id).or_insert_with(|| Account::new(settled));
            }
            Record::Taken(taken) => {
                self.remember(taken.receipt.channel_id, |account, most| account.take(taken, most));
            }
            Record::Kept { id, charged, best, waits_since, free } => {
                let kept = Account { charged, best, waits_since, free, ..Account::new(0) };
                self.forget(id);
                self.accounts.insert(id, kept);
            }
            Record::Remembered(taken) => {
                self.remember(taken.receipt.channel_id, |account, most| account.taken.add(taken, most));
            }
            Record::Stream(flow) => {
                if let Some(account) = self.accounts.get_mut(&flow.meter.terms().channel_id) {
                    account.open(flow);
                }
            }
            Record::Tick { id, root, number, tick, at_unix_s } => {
                // One that is known already, or whose stream is not: nothing is to be done.
                let _ = self.accounts.get_mut(&id).map(|account| account.tick(root, number, tick, at_unix_s));
            }
            record @ (Record::Credited { .. }
            | Record::CreditedTick { .. }
            | Record::Spent { .. }
            | Record::Paid { .. }
            | Record::Published { .. }) => self.replay_prepaid(record),
            Record::Locked(lock) => {
                // Its units are not free: it was dropped behind this record, and they were used.
                let _ = self.accounts.get_mut(&lock.voucher.channel_id).map(|account| account.hold(lock));
            }
            Record::KeptLock(lock) => {
                let account = self.accounts.get_mut(&lock.voucher.channel_id);
                account.into_iter().for_each(|account| account.held(lock.clone()));
            }
            Record::Opened { hash, opened } => {
                let account = self.accounts.get_mut(&opened.receipt.channel_id);
                account.into_iter().for_each(|account| account.opened(hash, opened));
            }
            Record::Dropped { id, hash } => {
                self.accounts.get_mut(&id).into_iter().for_each(|account| account.drop_lock(hash));
            }
            Record::Ended { id } => {
                self.forget(id);
            }
        }
    }
}

impl Payee {
    fn replay_prepaid(&mut self, record: Record) {
        match record {
            Record::Credited { id, total, signature, at_unix_s } => {
                let account = self.accounts.get_mut(&id);
                account.into_iter().for_each(|account| account.credit(total, &signature, at_unix_s));
            }
            Record::CreditedTick { id, root, number, tick, at_unix_s } => {
                // One that is known already, or whose stream is not: nothing is to be done.
                let _ = self.accounts.get_mut(&id).map(|account| account.credit_tick(root, number, tick, at_unix_s));
            }
            Record::Spent { id, amount, charged, request } => {
                let account = self.accounts.get_mut(&id);
                account.into_iter().for_each(|account| account.spend(amount, charged, request));
            }
            Record::Paid { id, request } => {
                let account = self.accounts.get_mut(&id);
                account.into_iter().for_each(|account| account.prepaid.add_paid(request));
            }
            Record::Published { id, total } => {
                let account = self.accounts.get_mut(&id);
                account.into_iter().for_each(|account| account.prepaid.public.learn(total));
            }
            _ => {}
        }
    }

    /// Adds to what is remembered of a channel, if it is known: much while there is room, and in any case what is usually in flight.
    fn remember(&mut self, id: B256, add: impl FnOnce(&mut Account, usize)) {
        let most = if self.remembered < ROOM { MOST_REMEMBERED } else { LEAST_REMEMBERED };
        let Some(account) = self.accounts.get_mut(&id) else { return };
        let before = account.taken.len();
        add(account, most);
        self.remembered = self.remembered + account.taken.len() - before;
    }

    fn forget(&mut self, id: B256) {
        self.remembered -= self.accounts.remove(&id).map_or(0, |account| account.taken.len());
    }
}

/// The receipt of the same voucher, byte for byte.
/// What this very voucher was taken for. It pays for that and for nothing else.
fn same_voucher(account: &Account, offer: &Offer) -> Result<Option<Receipt>, Refused> {
    let taken = account.taken.by_total(offer.voucher.voucher.cumulative_amount);
    let receipt = taken.filter(|taken| taken.signature[..] == offer.voucher.signature[..]).map(|taken| taken.receipt);
    receipt.map(|receipt| paid_for(receipt, offer)).transpose()
}

/// What this request was paid with.
fn same_request(account: &Account, offer: &Offer) -> Result<Option<Receipt>, Refused> {
    account.taken.by_request(offer.request).map(|taken| paid_for(taken.receipt, offer)).transpose()
}

fn paid_for(receipt: Receipt, offer: &Offer) -> Result<Receipt, Refused> {
    let is_same = offer.request.is_zero() || receipt.request == offer.request;
    if is_same && receipt.price >= offer.price {
        return Ok(receipt);
    }
    Err(Refused::PaidForAnother { got: receipt.cumulative_amount, paid: receipt.price, price: offer.price })
}
