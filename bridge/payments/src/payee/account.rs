//! What a payee knows of one channel.

use alloy_primitives::B256;
use secp256k1::PublicKey;

use super::flow::{Flow, Flows};
use super::lock::{Lock, Locks};
use super::prepaid::Prepaid;
use super::remembered::Remembered;
use super::taken::{Signature, Taken};
use crate::channel::{Channel, SeenAt};
use crate::free_totals::FreeTotals;
use crate::receipt::Receipt;
use crate::stream::TickRefused;
use crate::voucher::{SignedVoucher, Voucher};

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub(super) free: FreeTotals,
    /// Sum of all prices.
    pub(super) charged: u128,
    /// The voucher with the largest total.
    pub(super) best: Option<(u128, Signature)>,
    /// When the oldest voucher came that nothing was settled of since.
    pub(super) waits_since: Option<u64>,
    /// The last that were taken.
    pub(super) taken: Remembered,
    pub(super) flows: Flows,
    pub(super) locks: Locks,
    pub(super) prepaid: Prepaid,
    /// What the chain said; none until it was read since the start.
    pub(super) seen: Option<Seen>,
    /// The signer's key, once a voucher showed it.
    pub(super) key: Option<PublicKey>,
}

/// What the chain said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) channel: Channel,
    pub(super) block: u64,
    /// The deposit that enough blocks are on.
    confirmed: u128,
    /// A larger one, and the block in which it was seen first.
    waiting: Option<(u128, u64)>,
}

impl Seen {
    /// What vouchers may be worth in all at this block.
    pub(super) fn countable(&self, block: u64, confirmations: u64) -> u128 {
        let waited = |(_, since): &(u128, u64)| block >= since.saturating_add(confirmations);
        self.waiting.filter(waited).map_or(self.confirmed, |(deposit, _)| deposit)
    }

    /// Blocks on the deposit that waits.
    pub(super) fn blocks_on_waiting(&self, block: u64) -> u64 {
        self.waiting.map_or(0, |(_, since)| block.saturating_sub(since))
    }
}

/// What is worth most of all that a payee holds of a channel.
pub(super) enum Best<'a> {
    Voucher,
    Flow(&'a Flow),
    Lock(&'a Lock),
}

impl Account {
    pub(super) fn new(settled: u128) -> Self {
        Self {
            free: FreeTotals::above(settled),
            charged: 0,
            best: None,
            waits_since: None,
            taken: Remembered::default(),
            flows: Flows::default(),
            locks: Locks::default(),
            prepaid: Prepaid::default(),
            seen: None,
            key: None,
        }
    }

    /// Nothing was paid by it, and nothing is promised.
    pub(super) fn is_idle(&self) -> bool {
        self.best_total() == 0 && self.locks.iter().next().is_none()
    }

    /// The largest total that there is a voucher, a tick or an opened lock of.
    pub(super) fn best_total(&self) -> u128 {
        self.locks.best().map_or(0, Lock::total).max(self.best_without_locks())
    }

    fn best_without_locks(&self) -> u128 {
        let voucher = self.best.as_ref().map_or(0, |(total, _)| *total);
        self.flows.best().map_or(0, |flow| flow.meter.total()).max(voucher)
    }

    /// What makes an opened lock superfluous.
    pub(super) fn best_beside_locks(&self) -> u128 {
        let settled = self.seen.map_or(0, |seen| seen.channel.settled);
        self.best_without_locks().max(settled)
    }

    /// What to claim with, and its total. A lock is worth nothing any more from its expiry on.
    pub(super) fn best_claim(&self, now_unix_s: u64) -> (u128, Best<'_>) {
        let voucher = self.best.as_ref().map_or(0, |(total, _)| *total);
        let flow = self.flows.best().map(|flow| (flow.meter.total(), Best::Flow(flow)));
        let lock = self.locks.best().filter(|lock| now_unix_s < lock.voucher.lock_expiry);
        let lock = lock.map(|lock| (lock.total(), Best::Lock(lock)));
        [flow, lock].into_iter().flatten().fold(
            (voucher, Best::Voucher),
            |best, other| {
                if other.0 > best.0 { other } else { best }
            },
        )
    }

    /// The largest total that there is a voucher or a tick of, or that was settled.
    pub(super) fn highest(&self) -> u128 {
        let settled = self.seen.map_or(0, |seen| seen.channel.settled);
        self.best_total().max(settled)
    }

    /// What up to this total is spent, settled before, or held by locks.
    pub(super) fn spent_below(&self, total: u128) -> u128 {
        total - self.free.sum_below(total)
    }

    /// What is said of a request that is charged for now, by a total that may be the largest.
    pub(super) fn receipt(
        &self,
        channel_id: B256,
        total: u128,
        price: u128,
        accepted_at: u64,
        request: B256,
    ) -> Receipt {
        Receipt {
            channel_id,
            cumulative_amount: total,
            price,
            charged: self.charged.saturating_add(price),
            highest: self.highest().max(total),
            accepted_at,
            request,
        }
    }

    /// The voucher with the largest total, as it came.
    pub(super) fn best_voucher(&self, id: B256) -> Option<SignedVoucher> {
        let (cumulative_amount, signature) = self.best.clone()?;
        Some(SignedVoucher { voucher: Voucher { channel_id: id, cumulative_amount }, signature })
    }

    /// What the best voucher adds to what was settled.
    pub(super) fn unclaimed(&self) -> u128 {
        let settled = self.seen.map_or(0, |seen| seen.channel.settled);
        self.best_total().saturating_sub(settled)
    }

    /// Takes a voucher that was checked. Again, from a file, it changes nothing.
    pub(super) fn take(&mut self, taken: Taken, most_remembered: usize) {
        let Receipt { cumulative_amount: total, price, .. } = taken.receipt;
        if self.free.take(total, price).is_err() {
            return;
        }
        self.charged = self.charged.saturating_add(price);
        if self.best.as_ref().is_none_or(|(best, _)| *best < total) {
            self.best = Some((total, taken.signature.clone()));
        }
        self.wait_since(taken.receipt.accepted_at);
        self.taken.add(taken, most_remembered);
    }

    /// Takes a stream whose signature was checked. Again, from a file, it changes nothing.
    pub(super) fn open(&mut self, flow: Flow) {
        let best = self.best_total();
        self.flows.insert(flow, best);
    }

    /// Takes a tick that was checked; returns what it added. Again, from a file, it changes nothing.
    pub(super) fn tick(&mut self, root: B256, number: u32, tick: B256, now_unix_s: u64) -> Result<u128, TickRefused> {
        let Some(flow) = self.flows.get_mut(root) else { return Ok(0) };
        let added = flow.meter.accept(number, tick)?;
        let total = flow.meter.total();
        if self.free.take(total, added).is_ok() {
            self.charged = self.charged.saturating_add(added);
        }
        self.wait_since(now_unix_s);
        Ok(added)
    }

    pub(super) fn wait_since(&mut self, unix_s: u64) {
        if self.unclaimed() > 0 {
            self.waits_since.get_or_insert(unix_s);
        }
    }

    /// Learns what the chain says in a block that is no older than the last.
    pub(super) fn see(&mut self, channel: Channel, at: SeenAt, confirmations: u64) {
        let confirmed = self.seen.map_or(0, |seen| seen.countable(at.block, confirmations));
        let still_waits = self.seen.and_then(|seen| seen.waiting).filter(|(deposit, _)| *deposit > confirmed);
        let waiting = still_waits.or((channel.deposit > confirmed).then_some((channel.deposit, at.block)));
        let settled_more = self.seen.is_some_and(|seen| channel.settled > seen.channel.settled);
        self.seen = Some(Seen { channel, block: at.block, confirmed, waiting });
        if settled_more || self.unclaimed() == 0 {
            self.waits_since = None;
        }
        self.wait_since(at.unix_s);
    }
}
