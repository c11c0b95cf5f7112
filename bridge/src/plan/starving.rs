//! What others leave to a withdrawal that is overdue, so that a stream of small ones cannot starve a large one, and the large one never stops them.
//!
//! Both bounds end by themselves. What is missing in the vault is kept only while all that is in it or on its way back could pay the large one, so until that is back. What is
//! missing in the payout window is kept by a level that rises with half the speed at which the window refills, so that others always have the other half.

use super::coins::Coins;
use super::conditions::{Conditions, PATIENCE_S};
use super::queue::Candidate;
use crate::charges;
use crate::vault_tx::facts::LedgerFacts;
use crate::vault_tx::layout::{ANCHOR_SCRIPT, VAULT_SCRIPT_LEN, output_size, vsize_of};

/// What outputs can pay.
#[derive(Clone, Debug)]
pub(super) struct Reach<'a> {
    /// What so many bring at best, from one on.
    sums: Vec<u64>,
    ledger: &'a LedgerFacts,
    on: &'a Conditions,
}

impl<'a> Reach<'a> {
    pub(super) fn new(sums: Vec<u64>, ledger: &'a LedgerFacts, on: &'a Conditions) -> Self {
        Self { sums, ledger, on }
    }

    /// The fewest inputs, from so many on, that bring this and what the transaction costs.
    pub(super) fn fewest(&self, from: usize, out_sat: u64, payouts: usize, payout_bytes: u64) -> Option<usize> {
        (from.max(1)..=self.sums.len()).find(|inputs| {
            let want_sat = out_sat.saturating_add(self.cost_sat(*inputs, payouts, payout_bytes));
            self.fits(*inputs, payouts, payout_bytes) && self.best_sat(*inputs) >= want_sat
        })
    }

    pub(super) fn best_sat(&self, inputs: usize) -> u64 {
        inputs.checked_sub(1).and_then(|last| self.sums.get(last)).copied().unwrap_or(0)
    }

    pub(super) fn cost_sat(&self, inputs: usize, payouts: usize, payout_bytes: u64) -> u64 {
        charges::cost(size(inputs, payouts, payout_bytes), self.on.rate(&self.ledger.rules)).to_sat()
    }

    pub(super) fn fits(&self, inputs: usize, payouts: usize, payout_bytes: u64) -> bool {
        size(inputs, payouts, payout_bytes) <= self.on.budget.vsize
    }
}

/// With change and anchor.
fn size(inputs: usize, payouts: usize, payout_bytes: u64) -> u64 {
    let bytes = payout_bytes + output_size(VAULT_SCRIPT_LEN) + output_size(ANCHOR_SCRIPT.len());
    vsize_of(inputs, payouts + 2, bytes)
}

/// What newer ones leave to the oldest that is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The one that it is kept for.
    id: u64,
    /// What newer ones may take together.
    others_sat: u64,
    /// What they leave in the window.
    window_sat: u64,
}

impl Kept {
    /// Whether a newer one may be paid when so much is paid already and so much of the window is left then.
    pub(super) fn allows(&self, candidate: &Candidate, gross_sat: u64, window_sat: u64) -> bool {
        let fits = gross_sat.saturating_add(candidate.sat) <= self.others_sat && window_sat >= self.window_sat;
        candidate.id <= self.id || fits
    }
}

/// For the oldest that is overdue and cannot be paid now, but will be once what is under way is back.
pub(super) fn kept(ledger: &LedgerFacts, on: &Conditions, queue: &[Candidate], free: &Coins) -> Option<Kept> {
    let most = on.most_inputs(&ledger.rules);
    let now = Reach::new(free.best_sums(most), ledger, on);
    let all = with_what_comes(ledger, free);
    let later = Reach::new(sums(&all, most), ledger, on);
    let waits = |candidate: &&Candidate| {
        let is_blocked = candidate.sat > ledger.window_left.to_sat() || !pays(&now, candidate);
        on.is_overdue(candidate.asked_at) && is_blocked && pays(&later, candidate)
    };
    let starving = queue.iter().find(waits)?;
    let total_sat = all.iter().fold(0, |sum: u64, sat| sum.saturating_add(*sat));
    let wants_sat = starving.paid_sat.saturating_add(later.cost_sat(most.min(all.len()), 1, starving.bytes));
    Some(Kept {
        id: starving.id,
        others_sat: total_sat.saturating_sub(wants_sat),
        window_sat: window_level(starving, ledger, on),
    })
}

fn pays(reach: &Reach<'_>, candidate: &Candidate) -> bool {
    reach.fewest(1, candidate.paid_sat, 1, candidate.bytes).is_some()
}

/// Free outputs and those that come, the largest first.
pub(super) fn with_what_comes(ledger: &LedgerFacts, free: &Coins) -> Vec<u64> {
    let coming = ledger.coming.iter().map(|amount| amount.to_sat());
    let mut all: Vec<u64> = free.iter().map(|coin| coin.sat).chain(coming).collect();
    all.sort_unstable_by_key(|sat| std::cmp::Reverse(*sat));
    all
}

/// Of the first, of the first two, and so on.
pub(super) fn sums(all: &[u64], most: usize) -> Vec<u64> {
    let add = |sum: &mut u64, sat: &u64| {
        *sum = sum.saturating_add(*sat);
        Some(*sum)
    };
    all.iter().take(most).scan(0, add).collect()
}

/// Rises to the whole within two windows.
fn window_level(starving: &Candidate, ledger: &LedgerFacts, on: &Conditions) -> u64 {
    let overdue_s = on.now_s.saturating_sub(starving.asked_at).saturating_sub(PATIENCE_S);
    let level = u128::from(starving.sat) * u128::from(overdue_s) / (2 * u128::from(ledger.rules.window_s.max(1)));
    u64::try_from(level).unwrap_or(u64::MAX).min(starving.sat)
}
