//! What the ledger has, as far as vault transactions depend on it.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, OutPoint, ScriptBuf, Txid, XOnlyPublicKey};

use crate::charges;
use crate::peg::{Limits, Parameters};

/// The ledger's rules that a vault transaction depends on; they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Of each deposit and withdrawal, for the reserve.
    pub peg_in_fee: Amount,
    pub peg_out_fee: Amount,
    /// Change below it is not made where that can be helped.
    pub useful: Amount,
    /// Bounds of the rate, in satoshis per 1,000 vB.
    pub min_rate: u64,
    pub max_rate: u64,
    pub max_inputs: usize,
    pub max_payouts: usize,
    /// First ties: at most this at once, and as much again in so many seconds.
    pub window: Amount,
    pub window_s: u64,
    /// Blocks after which a depositor can take an unswept deposit back.
    pub reclaim_delay: u32,
}

impl From<&Parameters> for Rules {
    fn from(parameters: &Parameters) -> Self {
        Self {
            peg_in_fee: Amount::from_sat(parameters.peg_in_fee_sat),
            peg_out_fee: Amount::from_sat(parameters.peg_out_fee_sat),
            useful: Amount::from_sat(parameters.useful_sat),
            min_rate: parameters.min_rate,
            max_rate: parameters.max_rate,
            max_inputs: parameters.max_inputs.into(),
            max_payouts: parameters.max_payouts.into(),
            window: Amount::from_sat(parameters.window_sat),
            window_s: parameters.window_seconds.into(),
            reclaim_delay: parameters.reclaim_delay.into(),
        }
    }
}

/// A deposit that can be swept: nothing settled sweeps it, it is not gone, and its block is in the best chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposit {
    pub amount: Amount,
    pub max_fee: Amount,
    pub epoch: u32,
    /// Whether it was in a bound vault transaction before: its maximum and the cap are not asked about again.
    pub was_bound: bool,
    /// The coins that were made for it.
    pub minted: Option<Amount>,
    /// Whether its terms name the bridge itself.
    pub for_reserve: bool,
    /// Of the block that holds it.
    pub height: u32,
    /// Whether a bound or proposed vault transaction that may still confirm sweeps it. Only a planner asks.
    pub in_use: bool,
}

impl Deposit {
    /// Whether it pays its whole charge at a rate, as its first binding wants.
    #[must_use]
    pub fn pays_whole(&self, rate: u64, rules: &Rules) -> bool {
        let full = charges::deposit_charge(rate, rules.peg_in_fee);
        full <= self.max_fee && full < self.amount
    }
}

/// A live vault output: settled, and unspent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// It is output 0 of this transaction.
    pub txid: Txid,
    pub amount: Amount,
    pub epoch: u32,
    /// Of the block it settled in.
    pub height: u32,
    /// Whether nothing that it descends from can be taken back any more; only then are withdrawals tied to it for the first time.
    pub is_rooted: bool,
    /// Whether a bound or proposed vault transaction that may still confirm spends it. Only a planner asks.
    pub in_use: bool,
}

impl Output {
    #[must_use]
    pub fn outpoint(&self) -> OutPoint {
        OutPoint::new(self.txid, 0)
    }
}

/// A withdrawal that is open: not paid, cancelled or refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    pub amount: Amount,
    pub max_fee: Amount,
    pub script: ScriptBuf,
    /// The vault output it is tied to; none when that tie has ended.
    pub tie: Option<u32>,
    /// In seconds since 1970.
    pub asked_at: u64,
}

impl Withdrawal {
    /// Its charge at a rate, whatever its maximum.
    #[must_use]
    pub fn whole_charge(&self, rate: u64, rules: &Rules) -> Amount {
        charges::withdrawal_charge(self.script.len(), rate, rules.peg_out_fee)
    }
}

/// What the ledger has, as far as vault transactions depend on it. What is not to be had is not here.
#[derive(Clone, Debug)]
pub struct LedgerFacts {
    pub rules: Rules,
    pub deposits: BTreeMap<OutPoint, Deposit>,
    /// By number.
    pub outputs: BTreeMap<u32, Output>,
    /// By id.
    pub withdrawals: BTreeMap<u64, Withdrawal>,
    /// The change of bound vault transactions that may still confirm; of versions over the same inputs one alone. Only a planner asks.
    pub coming: Vec<Amount>,
    /// Ids of vault transactions that are bound: the ledger numbers none twice.
    pub bound: BTreeSet<Txid>,
    /// Negative while overdrawn.
    pub reserve_sat: i64,
    /// The most that the reserve may be overdrawn by, by what a vault transaction costs beyond whole charges.
    pub credit: Amount,
    /// What deposits may still be bound for the first time.
    pub cap_left: Amount,
    /// What may be tied for the first time now; zero while that is stopped.
    pub window_left: Amount,
    /// The epoch in force, and its vault key: of the group key, with the recovery leaf.
    pub epoch: u32,
    pub vault_key: XOnlyPublicKey,
}

impl LedgerFacts {
    /// Takes what bounds deposits, first ties and the reserve's credit now; the reserve is known already.
    pub fn limit(&mut self, limits: &Limits) {
        self.cap_left = Amount::from_sat(limits.cap_sat.saturating_sub(limits.cap_used_sat));
        self.window_left = Amount::from_sat(if limits.stopped { 0 } else { limits.window_left_sat });
        // Binding.sol, `_affords`.
        let overdraft = self.reserve_sat.min(0).unsigned_abs();
        let other = limits.missing_sat.saturating_sub(overdraft);
        let below_the_stop = limits.stop_sat.saturating_sub(1).saturating_sub(other);
        self.credit = Amount::from_sat(below_the_stop.min(limits.stop_sat / 2));
    }
}
