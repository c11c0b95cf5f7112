//! When to claim, decided by value and time; and what to save when a payer starts to close.
//!
//! ```text
//!   |--settled--|-------- spent --------|---- paid ahead ----|---- not signed for yet ---- deposit
//!               '--- what is worth it --'
//!               '------- what a claim brings, by one voucher -----'
//! ```
//! A claim makes its voucher public, and from then on its payer shows by a larger one that it asks for something. What counts is therefore what was spent; and who paid
//! all of a deposit ahead, so that there is no larger one, is left to spend it for [`PATIENCE`] times as long.

use alloy_primitives::B256;

use super::account::{Account, Best};
use super::locks::CLAIM_MARGIN_S;
use super::{Payee, claim_gas};
use crate::channel::Closing;
use crate::locked::SignedLockedVoucher;
use crate::stream::SignedStream;
use crate::voucher::SignedVoucher;

/// When a claim is worth its cost. Amounts in the token's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRules {
    /// What a plain voucher's part of a claim costs: none that adds no more is ever claimed. One that takes more gas costs more in proportion.
    pub cost: u128,
    /// A voucher that adds as much is claimed at once.
    pub worth: u128,
    /// One that adds less is claimed when its oldest payment is so many seconds old.
    pub wait_s: u64,
}

/// How many times as long as others a channel waits whose payer can sign for nothing more and has not spent all.
pub const PATIENCE: u64 = 30;

/// Why a voucher should be claimed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The payer takes the rest soon.
    Closing,
    /// The secret is worth nothing soon.
    LockExpires,
    Worth,
    Waited,
}

/// What to claim with, as the contract wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// By `settle`, `claim` or `claimMany`.
    Voucher(SignedVoucher),
    /// By `claimLocked`.
    Locked { voucher: SignedLockedVoucher, preimage: B256 },
    /// By `claimStream`.
    Stream { stream: SignedStream, ticks: u32, tick: B256 },
}

/// A claim that should be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub claim: Claim,
    /// What it adds to what was settled.
    pub amount: u128,
    pub reason: Reason,
    /// Until when it must be done, if the payer is closing or a lock expires (with block 0: its time alone counts).
    pub before: Option<Closing>,
}

impl ClaimRules {
    /// The decision for one channel. `waits_since`: when its oldest payment came that was not claimed.
    #[must_use]
    pub fn reason(&self, unclaimed: u128, waits_since: Option<u64>, closing: bool, now_unix_s: u64) -> Option<Reason> {
        if unclaimed <= self.cost {
            return None;
        }
        if closing {
            return Some(Reason::Closing);
        }
        if unclaimed >= self.worth {
            return Some(Reason::Worth);
        }
        let waited = waits_since.is_some_and(|since| now_unix_s.saturating_sub(since) >= self.wait_s);
        waited.then_some(Reason::Waited)
    }
}

impl Payee {
    /// What should be claimed now, in one transaction: first of the channels that are being closed, those that close soonest in front; then the largest. What does
    /// not fit is due when these are claimed.
    #[must_use]
    pub fn due(&self, rules: &ClaimRules, now_unix_s: u64) -> Vec<Due> {
        let mut due: Vec<(Wanted, B256, &Account)> = self
            .accounts()
            .filter_map(|(id, account)| Some((wanted(account, rules, now_unix_s)?, id, account)))
            .collect();
        due.sort_by_key(|(wanted, id, _)| {
            let before = wanted.before.map_or(u64::MAX, |closing| closing.from_unix_s);
            (before, u128::MAX - wanted.amount, *id)
        });
        due.truncate(claim_gas::fitting(due.iter().map(|(wanted, _, _)| wanted.gas)));
        due.into_iter().filter_map(|(wanted, id, account)| self.claimable(wanted, id, account, now_unix_s)).collect()
    }

    fn claimable(&self, wanted: Wanted, id: B256, account: &Account, now: u64) -> Option<Due> {
        let channel = account.seen?.channel;
        let (domain, signer) = (self.domain(), channel.signer);
        let claim = match account.best_claim(now).1 {
            Best::Flow(flow) => {
                let (ticks, tick) = flow.meter.latest();
                Claim::Stream { stream: flow.signed().claimable(domain, signer)?, ticks, tick }
            }
            Best::Lock(lock) => {
                Claim::Locked { voucher: lock.signed().claimable(domain, signer)?, preimage: lock.opened?.preimage }
            }
            Best::Voucher => {
                let best = account.best_voucher(id)?;
                // What a contract's code signed stays as it is.
                Claim::Voucher(best.claimable(domain, signer).or(channel.signer_has_code.then_some(best))?)
            }
        };
        let Wanted { amount, reason, before, .. } = wanted;
        Some(Due { claim, amount, reason, before })
    }
}

struct Wanted {
    amount: u128,
    gas: u64,
    reason: Reason,
    before: Option<Closing>,
}

fn wanted(account: &Account, rules: &ClaimRules, now_unix_s: u64) -> Option<Wanted> {
    let channel = account.seen?.channel;
    let (total, best) = account.best_claim(now_unix_s);
    let amount = total.saturating_sub(channel.settled);
    let gas = claim_gas::of(&channel, true);
    let rules = &ClaimRules { cost: claim_gas::cost(gas, rules.cost), ..*rules };
    let is_closing = channel.closing.is_some();
    let spent = account.spent_below(total);
    let worth = if is_closing { amount } else { spent.saturating_sub(account.spent_below(channel.settled)) };
    let reason = rules.reason(worth, account.waits_since, is_closing, now_unix_s);
    if let (None | Some(Reason::Worth | Reason::Waited), Best::Lock(lock)) = (reason, best) {
        let expiry = lock.voucher.lock_expiry;
        if amount > rules.cost && now_unix_s.saturating_add(CLAIM_MARGIN_S) >= expiry {
            let before = Some(Closing { from_unix_s: expiry, from_block: 0 });
            return Some(Wanted { amount, gas, reason: Reason::LockExpires, before });
        }
    }
    let reason = reason?;
    let is_all_ahead = spent < total && total >= channel.deposit;
    let patience = rules.wait_s.saturating_mul(PATIENCE);
    let waited = account.waits_since.is_some_and(|since| now_unix_s.saturating_sub(since) >= patience);
    if is_all_ahead && !is_closing && !waited {
        return None;
    }
    Some(Wanted { amount, gas, reason, before: channel.closing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_made_for_its_worth_or_after_a_while_or_when_the_payer_leaves_and_never_for_less_than_it_costs() {
        let rules = ClaimRules { cost: 10, worth: 100, wait_s: 60 };
        for (unclaimed, waits_since, closing, want) in [
            (0, None, true, None),
            (10, Some(0), true, None),
            (11, Some(1_000), true, Some(Reason::Closing)),
            (99, Some(941), false, None),
            (99, Some(940), false, Some(Reason::Waited)),
            (100, Some(1_000), false, Some(Reason::Worth)),
            (99, Some(2_000), false, None),
        ] {
            let got = rules.reason(unclaimed, waits_since, closing, 1_000);
            assert_eq!(got, want, "{unclaimed} since {waits_since:?}, closing: {closing}");
        }
    }
}
