//! What bounds a proposal, besides the ledger.

use crate::vault_tx::facts::Rules;
use crate::vault_tx::layout::MAX_VSIZE;

/// Useful vault outputs to keep apart, so that several payouts can be under way.
pub const FEWEST_OUTPUTS: usize = 8;
/// Above so many useful vault outputs some are joined when that is cheap.
pub const MOST_OUTPUTS: usize = 32;
/// Seconds after which a withdrawal that could not be funded is overdue: others leave it what it needs. Half an hour: three blocks of Bitcoin, in
/// which change that is under way mostly comes back by itself.
pub const PATIENCE_S: u64 = 1_800;

/// What one proposal may take, of Bitcoin's limits and of the sidechain's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub inputs: usize,
    pub payouts: usize,
    /// Virtual bytes of the vault transaction.
    pub vsize: u64,
    /// Gas of the most expensive call that the proposal leads to.
    pub gas: u64,
}

impl Default for Budget {
    /// The ledger's own limits, and half of the gas that a transaction may use (EIP-7825: 2^24).
    fn default() -> Self {
        Self { inputs: usize::MAX, payouts: usize::MAX, vsize: MAX_VSIZE, gas: 1 << 23 }
    }
}

/// What a decision depends on besides the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// To propose at, in satoshis per 1,000 vB; the ledger's bounds apply.
    pub rate: u64,
    /// What is usual: a low rate is at most half of it.
    pub usual_rate: u64,
    /// A rate that is always low.
    pub low_rate: u64,
    /// Seconds since 1970.
    pub now_s: u64,
    /// Height of the best chain.
    pub tip: u32,
    /// Blocks after which the recovery key can take a vault output.
    pub recovery_delay: u32,
    pub budget: Budget,
}

impl Conditions {
    /// The rate within the ledger's bounds.
    pub(super) fn rate(&self, rules: &Rules) -> u64 {
        self.rate.max(rules.min_rate).min(rules.max_rate)
    }

    /// Whether it is a time for what can wait.
    pub(super) fn is_cheap(&self, rules: &Rules) -> bool {
        self.rate(rules) <= self.low_rate.max(self.usual_rate / 2)
    }

    pub(super) fn most_inputs(&self, rules: &Rules) -> usize {
        rules.max_inputs.min(self.budget.inputs)
    }

    /// How many items fit the gas of a call that takes `whole` in any case.
    pub(super) fn by_gas(&self, whole: u64, each: u64) -> usize {
        usize::try_from(self.budget.gas.saturating_sub(whole) / each).unwrap_or(usize::MAX)
    }

    /// Whether somebody who asked then has waited too long.
    pub(super) fn is_overdue(&self, asked_at: u64) -> bool {
        self.now_s.saturating_sub(asked_at) >= PATIENCE_S
    }
}
