//! Locked vouchers: a part that is paid for a secret, before a time.
//!
//! ```text
//!   offered --> Held: its units of the total are kept free for it --> opened with the secret: charged, and there is a receipt
//!                          \--> the chain's time reaches its expiry: dropped, and its units are free again
//! ```
//! Nothing of the locked part counts as paid until the secret is there. One that was opened is claimed with it before it expires, unless a plain voucher says as much by
//! then: a payer that got the secret signs one. The payer may put another lock on the same hash in place of the first, with a larger total in front: so it pays on beside.

use alloy_primitives::{Address, B256};
use secp256k1::PublicKey;

use super::account::Account;
use super::lock::{Lock, MAX_LOCKS, Opened};
use super::record::Record;
use super::{Payee, Refused};
use crate::account_signature::Parts;
use crate::free_totals::FreeTotals;
use crate::locked::{LockedVoucher, SignedLockedVoucher};
use crate::receipt::Receipt;

/// Seconds that it may take to claim: a lock that expires sooner is not taken, and one that was opened is claimed when no more are left. Enough to start a payee again.
pub const CLAIM_MARGIN_S: u64 = 1_800;

/// Seconds that must be left when a lock is opened: what is given for its secret is given at once, and a claim takes some blocks.
pub const OPEN_MARGIN_S: u64 = 600;

/// A locked voucher that came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOffer {
    /// What the payer says that it is for.
    pub chain_id: u64,
    pub contract: Address,
    pub voucher: SignedLockedVoucher,
    /// What the request costs; all that is locked is charged.
    pub price: u128,
    /// keccak256 of the request's Idempotency-Key; zero without one.
    pub request: B256,
}

/// A lock's signature to check.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockCheck {
    lock: Lock,
    digest: B256,
    parts: Parts,
    signer: Address,
    key: Option<PublicKey>,
}

/// A lock whose signature is the signer's.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedLock {
    lock: Lock,
    signer: Address,
    key: PublicKey,
}

/// What [`Payee::open_lock`] did: to be written down before the receipt is given, unless it was opened before.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOpened {
    pub receipt: Receipt,
    pub record: Option<Record>,
}

impl LockCheck {
    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`Refused::NotTheSigner`].
    pub fn verify(self) -> Result<VerifiedLock, Refused> {
        let Self { lock, digest, parts, signer, key } = self;
        let key = parts.key_of(digest, signer, key);
        Ok(VerifiedLock { lock, signer, key: key.ok_or(Refused::NotTheSigner { signer })? })
    }
}

impl Account {
    /// Holds a lock in place of the one with its hash. Again, from a file, it changes nothing. None if its units are not free.
    pub(super) fn hold(&mut self, lock: Lock) -> Option<()> {
        let hash = lock.voucher.sha256_hash;
        match self.locks.get(hash) {
            Some(before) if before.opened.is_some() || before.voucher == lock.voucher => return Some(()),
            _ => self.drop_lock(hash),
        }
        self.locks.forget_overtaken(self.best_beside_locks());
        self.free.take(lock.total(), lock.voucher.locked_amount).ok()?;
        self.locks.insert(lock);
        Some(())
    }

    /// Of a file that was written anew: its units are not free there.
    pub(super) fn held(&mut self, lock: Lock) {
        self.locks.insert(lock);
    }

    /// One that was not opened: its units are free again. Again, from a file, it may come upon the same lock, held and opened later: that one stays.
    pub(super) fn drop_lock(&mut self, hash: B256) {
        if self.locks.get(hash).is_some_and(|lock| lock.opened.is_none())
            && let Some(lock) = self.locks.remove(hash)
        {
            self.free.give_back(lock.total(), lock.voucher.locked_amount);
        }
    }

    /// Charges for a lock. Again, from a file, it changes nothing: also not if its hash is another lock's by now, which has another total.
    pub(super) fn opened(&mut self, hash: B256, opened: Opened) {
        let total = opened.receipt.cumulative_amount;
        let own = |lock: &&mut Lock| lock.opened.is_none() && lock.total() == total;
        let Some(lock) = self.locks.get_mut(hash).filter(own) else { return };
        lock.opened = Some(opened);
        self.charged = self.charged.saturating_add(opened.receipt.price);
        self.wait_since(opened.receipt.accepted_at);
    }

    fn expired(&self, unix_s: u64) -> Vec<B256> {
        let expired = self.locks.iter().filter(|lock| lock.opened.is_none() && lock.voucher.lock_expiry <= unix_s);
        expired.map(|lock| lock.voucher.sha256_hash).collect()
    }
}

impl Payee {
    /// Looks at a lock, without the curve.
    ///
    /// # Errors
    ///
    /// [`Refused`]: also if what it locks could not all be charged once it is opened.
    pub fn examine_lock(&self, offer: &LockOffer, now_unix_s: u64) -> Result<LockCheck, Refused> {
        self.check_domain(offer.chain_id, offer.contract)?;
        let (voucher, signature) = (offer.voucher.voucher, &offer.voucher.signature);
        let parts = Parts::of(signature)?;
        let id = voucher.channel_id;
        let account = self.accounts.get(&id).ok_or(Refused::UnknownChannel { id })?;
        let seen = account.seen.ok_or(Refused::UnknownChannel { id })?;
        self.check_lock(account, &voucher, offer.price, now_unix_s)?;
        let lock = Lock { voucher, signature: signature.clone(), request: offer.request, opened: None };
        let digest = voucher.digest(self.domain());
        Ok(LockCheck { lock, digest, parts, signer: seen.channel.signer, key: account.key })
    }

    fn check_lock(&self, account: &Account, voucher: &LockedVoucher, price: u128, now: u64) -> Result<(), Refused> {
        let (id, hash, locked) = (voucher.channel_id, voucher.sha256_hash, voucher.locked_amount);
        let seen = account.seen.ok_or(Refused::UnknownChannel { id })?;
        let got = voucher.cumulative_amount.checked_add(locked);
        let got = got.ok_or(Refused::BeyondDeposit { got: u128::MAX, deposit: seen.channel.deposit })?;
        if locked < price.max(1) {
            return Err(Refused::BelowPrice { got, pays: locked, price });
        }
        let (expiry, least) = (voucher.lock_expiry, now.saturating_add(CLAIM_MARGIN_S));
        if expiry < least {
            return Err(Refused::LockTooShort { expiry, least });
        }
        if !account.locks.has_room(hash, account.best_beside_locks()) {
            return Err(Refused::TooManyLocks { id, most: MAX_LOCKS });
        }
        let before = account.locks.get(hash);
        if before.is_some_and(|before| before.opened.is_some()) {
            return Err(Refused::LockOpened { id, hash });
        }
        let free: &FreeTotals = &match before {
            Some(before) => account.free.clone().with_back(before.total(), before.voucher.locked_amount),
            None => account.free.clone(),
        };
        self.check_total_in(free, account, &seen, got, locked, now)
    }

    /// Holds a lock whose signature was checked; returns what to write down before the payer is told.
    ///
    /// # Errors
    ///
    /// [`Refused`]: something changed since it was examined.
    pub fn accept_lock(&mut self, verified: VerifiedLock, price: u128, now_unix_s: u64) -> Result<Record, Refused> {
        let VerifiedLock { lock, signer, key } = verified;
        let id = lock.voucher.channel_id;
        let account = self.accounts.get(&id).ok_or(Refused::UnknownChannel { id })?;
        account.seen.filter(|seen| seen.channel.signer == signer).ok_or(Refused::UnknownChannel { id })?;
        self.check_lock(account, &lock.voucher, price, now_unix_s)?;
        let account = self.accounts.get_mut(&id).expect("it was just there");
        account.key = Some(key);
        account.hold(lock.clone()).expect("that its units are free was just looked at");
        Ok(Record::Locked(lock))
    }

    /// Opens a lock with its secret: only now it is paid. The same again gets the same receipt. One that could not be claimed any more before it expires is not opened.
    ///
    /// # Errors
    ///
    /// [`Refused`]: nothing is charged.
    pub fn open_lock(&mut self, id: B256, hash: B256, preimage: B256, now_unix_s: u64) -> Result<LockOpened, Refused> {
        let head = self.head.map_or(0, |head| head.unix_s);
        let account = self.accounts.get_mut(&id).ok_or(Refused::UnknownChannel { id })?;
        let lock = account.locks.get(hash).ok_or(Refused::UnknownLock { id, hash })?;
        if let Some(opened) = lock.opened {
            return Ok(LockOpened { receipt: opened.receipt, record: None });
        }
        let now = now_unix_s.max(head);
        let total = lock.voucher.opened(preimage, now)?;
        let (expiry, least) = (lock.voucher.lock_expiry, now.saturating_add(OPEN_MARGIN_S));
        if expiry < least {
            return Err(Refused::LockTooShort { expiry, least });
        }
        let receipt = account.receipt(id, total, lock.voucher.locked_amount, now_unix_s, lock.request);
        let opened = Opened { preimage, receipt };
        account.opened(hash, opened);
        Ok(LockOpened { receipt, record: Some(Record::Opened { hash, opened }) })
    }

    /// Drops locks that can be opened no more: their time has come on the chain.
    pub(super) fn drop_expired(&mut self, unix_s: u64) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, account) in &mut self.accounts {
            for hash in account.expired(unix_s) {
                account.drop_lock(hash);
                records.push(Record::Dropped { id: *id, hash });
            }
        }
        records
    }
}
