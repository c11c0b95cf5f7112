//! The next vault transaction, as the relayer on duty plans it: who takes part, at which fee, and what each pays of it.
//!
//! ```text
//!  confirmed deposits ──┐                       ┌─▶ inputs: deposits, then the fewest vault outputs that fund the rest
//!  queued withdrawals ──┼─▶ draft ─▶ plan, or ──┤
//!  vault outputs ───────┘     ▲   leave one out └─▶ outputs: vault, withdrawals, anchor (vault_tx)
//!                             └────────┘
//! ```
//!
//! Who takes part pays `fee + anchor` in proportion to the weight it adds; see [`shares`]. Sizes and shares are computed
//! as `Bridge.propose` does (contracts/src/Bridge.sol), so that a plan is never refused for a satoshi.

use std::cmp::Reverse;

use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Weight};
use mainchain::P2TR_DUST;
use mainchain::deposit::DEPOSIT_WEIGHT;

use crate::vault_tx::{ANCHOR, ANCHOR_SCRIPT, MAX_VSIZE, VAULT_SCRIPT_LEN, vsize};

/// Most deposits in one plan: each brings a proof, which costs gas and calldata (the limits are 2^24 gas a transaction
/// and half a block for the free lane).
pub const MAX_DEPOSITS: usize = 24;
/// Most withdrawals in one plan.
pub const MAX_WITHDRAWALS: usize = 100;
/// Vault outputs to keep apart, so that several vault transactions can be under way; above it plans join them.
pub const VAULT_OUTPUTS_KEPT: usize = 4;

/// A deposit that can be swept: confirmed, proven, not yet in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyDeposit {
    /// The output that was paid.
    pub outpoint: OutPoint,
    /// What the sweep takes in, before its share of the cost.
    pub amount: Amount,
    /// The largest share of the cost that its terms allow to take off.
    pub max_fee: Amount,
}

/// A settled vault output that nothing spends yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultOutput {
    /// Number of the vault transaction whose output 0 it is.
    pub number: u64,
    /// What spending it takes in.
    pub amount: Amount,
}

/// A withdrawal that waits for its payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedWithdrawal {
    /// Its number in the ledger, from 1.
    pub id: u64,
    /// The coins that its owner gave back on the sidechain; the payout is this less its share of the cost.
    pub amount: Amount,
    /// The largest share of the cost that its owner pays.
    pub max_fee: Amount,
    /// The script to pay to.
    pub script: ScriptBuf,
}

/// The ingredients of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// Deposits to sweep, oldest first.
    pub deposits: Vec<ReadyDeposit>,
    /// Withdrawals to pay, oldest first; empty while the ledger has a deficit.
    pub withdrawals: Vec<QueuedWithdrawal>,
    /// Vault outputs to spend.
    pub vault_outputs: Vec<VaultOutput>,
    /// Whether vault value is in transactions that are not settled yet: then withdrawals too large for what is here wait
    /// for it, and those behind them too, so that a stream of small ones cannot starve a large one.
    pub in_flight: bool,
    /// Fee rate to aim for: the estimate of the relayer's own bitcoind.
    pub fee_rate: FeeRate,
    /// The least fee rate that the ledger takes.
    pub min_fee_rate: FeeRate,
    /// The greatest fee rate that the ledger takes.
    pub max_fee_rate: FeeRate,
}

/// Nothing to do, for free.
impl Default for Available {
    fn default() -> Self {
        Self {
            deposits: Vec::new(),
            withdrawals: Vec::new(),
            vault_outputs: Vec::new(),
            in_flight: false,
            fee_rate: FeeRate::ZERO,
            min_fee_rate: FeeRate::ZERO,
            max_fee_rate: FeeRate::ZERO,
        }
    }
}

/// A proposal to make to the Bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Deposits to sweep, in the order of the inputs.
    pub deposits: Vec<OutPoint>,
    /// Numbers of the vault transactions whose output is spent, in the order of the inputs.
    pub vault_inputs: Vec<u64>,
    /// Ids of the withdrawals to pay, in the order of the outputs.
    pub withdrawals: Vec<u64>,
    /// The miners' part; the value of the anchor output is not in it.
    pub fee: Amount,
    /// Shares of fee and anchor together, deposits first.
    pub shares: Vec<Amount>,
    /// Value of output 0, back to the vault.
    pub change: Amount,
}

/// The next vault transaction: as many deposits and withdrawals as fit, nobody above its max fee, or none.
///
/// Left out are, one at a time: who would pay more than its max fee (the worst first, since its leaving raises the
/// others' shares), withdrawals that cannot be funded, and the newest when it gets too large.
pub fn plan(available: &Available) -> Option<Plan> {
    let mut draft = Draft::new(available);
    while !draft.deposits.is_empty() || !draft.withdrawals.is_empty() {
        match draft.attempt(available) {
            Ok(plan) => return Some(plan),
            Err(leave_out) => draft.leave_out(leave_out),
        }
    }
    None
}

/// A vault transaction without participants that joins or renews vault outputs, paid by the reserve `held`; none if the
/// reserve does not cover it.
pub fn plan_refresh(outputs: &[VaultOutput], held: Amount, available: &Available) -> Option<Plan> {
    let fee = fee(outputs.len(), std::iter::empty(), available);
    let sum: Amount = outputs.iter().map(|output| output.amount).sum();
    let cost = fee + ANCHOR;
    let change = sum.checked_sub(cost).filter(|change| *change >= P2TR_DUST && cost <= held && !outputs.is_empty())?;
    let vault_inputs = outputs.iter().map(|output| output.number).collect();
    Some(Plan { vault_inputs, fee, change, ..Plan::default() })
}

/// Splits a cost by weight, rounded down; the odd satoshis go one each to the first.
///
/// Nothing for nobody: without participants the ledger pays from its reserve.
pub fn shares(cost: Amount, weights: &[Weight]) -> Vec<Amount> {
    let cost_sat = cost.to_sat();
    let total: u128 = weights.iter().map(|weight| u128::from(weight.to_wu())).sum();
    if total == 0 {
        return vec![Amount::ZERO; weights.len()];
    }
    let part = |weight: &Weight| {
        let part = u128::from(cost_sat) * u128::from(weight.to_wu()) / total;
        u64::try_from(part).expect("a part of a u64")
    };
    let mut shares_sat: Vec<u64> = weights.iter().map(part).collect();
    // Fewer than there are shares, since each lost less than one to rounding.
    let odd = cost_sat - shares_sat.iter().sum::<u64>();
    shares_sat.iter_mut().take(usize::try_from(odd).expect("fewer than the shares")).for_each(|share| *share += 1);
    shares_sat.into_iter().map(Amount::from_sat).collect()
}

/// Weight a withdrawal adds: its output.
pub fn withdrawal_weight(script: &ScriptBuf) -> Weight {
    Weight::from_non_witness_data_size(9 + script.len() as u64)
}

struct Draft<'a> {
    deposits: Vec<&'a ReadyDeposit>,
    withdrawals: Vec<&'a QueuedWithdrawal>,
    /// Largest first: the fewest inputs to fund withdrawals.
    vault: Vec<VaultOutput>,
}

/// What keeps a draft from being a plan.
enum LeaveOut {
    /// The deposit at this position.
    Deposit(usize),
    /// The withdrawal at this position.
    Withdrawal(usize),
    /// Not enough in the vault for all withdrawals.
    Unfunded,
}

/// Withdrawals that all there is could pay, before costs: first come, first served.
fn fundable(available: &Available) -> Vec<&QueuedWithdrawal> {
    let deposits = available.deposits.iter().take(MAX_DEPOSITS).map(|deposit| deposit.amount);
    let value: Amount = deposits.chain(available.vault_outputs.iter().map(|output| output.amount)).sum();
    let mut left = value.checked_sub(P2TR_DUST).unwrap_or(Amount::ZERO);
    let mut chosen = Vec::new();
    for withdrawal in &available.withdrawals {
        match left.checked_sub(withdrawal.amount) {
            Some(rest) => {
                left = rest;
                chosen.push(withdrawal);
            }
            None if available.in_flight => break,
            None => {}
        }
    }
    chosen.truncate(MAX_WITHDRAWALS);
    chosen
}

impl<'a> Draft<'a> {
    fn new(available: &'a Available) -> Self {
        let mut vault = available.vault_outputs.clone();
        vault.sort_by_key(|output| (Reverse(output.amount), output.number));
        Self {
            deposits: available.deposits.iter().take(MAX_DEPOSITS).collect(),
            withdrawals: fundable(available),
            vault,
        }
    }

    fn attempt(&self, available: &Available) -> Result<Plan, LeaveOut> {
        let least = usize::from(self.vault.len() > VAULT_OUTPUTS_KEPT);
        let joined = (least..=self.vault.len()).find_map(|count| self.funded_with(count, available));
        let plan = joined.ok_or(match self.withdrawals.len() {
            0 => self.newest(),
            _ => LeaveOut::Unfunded,
        })?;
        if vsize(plan.deposits.len() + plan.vault_inputs.len(), self.output_scripts()) > MAX_VSIZE {
            return Err(self.newest());
        }
        match self.worst_off(&plan.shares) {
            Some(leave_out) => Err(leave_out),
            None => Ok(plan),
        }
    }

    /// The plan that spends the `count` largest vault outputs (and, where plans join, the smallest instead of the last).
    fn funded_with(&self, count: usize, available: &Available) -> Option<Plan> {
        let spent = self.vault_inputs(count);
        let scripts = self.withdrawals.iter().map(|withdrawal| withdrawal.script.len());
        let fee = fee(self.deposits.len() + spent.len(), scripts, available);
        let shares = shares(fee + ANCHOR, &self.weights());

        let deposited: Amount = self.deposits.iter().map(|deposit| deposit.amount).sum();
        let from_vault: Amount = spent.iter().map(|output| output.amount).sum();
        let withdrawn: Amount = self.withdrawals.iter().map(|withdrawal| withdrawal.amount).sum();
        // Withdrawals' shares are taken off what is paid to them, so only those of the deposits leave the vault.
        let deposit_shares: Amount = shares[..self.deposits.len()].iter().copied().sum();
        let change = (deposited + from_vault).checked_sub(withdrawn)?.checked_sub(deposit_shares)?;
        (change >= P2TR_DUST).then(|| Plan {
            deposits: self.deposits.iter().map(|deposit| deposit.outpoint).collect(),
            vault_inputs: spent.iter().map(|output| output.number).collect(),
            withdrawals: self.withdrawals.iter().map(|withdrawal| withdrawal.id).collect(),
            fee,
            shares,
            change,
        })
    }

    fn vault_inputs(&self, count: usize) -> Vec<VaultOutput> {
        let joining = self.vault.len() > VAULT_OUTPUTS_KEPT && count > 0 && count < self.vault.len();
        if joining {
            self.vault[..count - 1].iter().chain(self.vault.last()).copied().collect()
        } else {
            self.vault[..count].to_vec()
        }
    }

    /// What each participant adds, deposits first.
    fn weights(&self) -> Vec<Weight> {
        let deposits = std::iter::repeat_n(DEPOSIT_WEIGHT, self.deposits.len());
        deposits.chain(self.withdrawals.iter().map(|withdrawal| withdrawal_weight(&withdrawal.script))).collect()
    }

    /// The participant whose share is furthest above the share it accepts.
    fn worst_off(&self, shares: &[Amount]) -> Option<LeaveOut> {
        let less = |amount: Amount, kept| amount.checked_sub(kept).unwrap_or(Amount::ZERO);
        let deposits = self.deposits.iter().map(|deposit| deposit.max_fee.min(less(deposit.amount, Amount::ONE_SAT)));
        let withdrawals =
            self.withdrawals.iter().map(|withdrawal| withdrawal.max_fee.min(less(withdrawal.amount, P2TR_DUST)));
        let excess = deposits.chain(withdrawals).zip(shares).map(|(accepted, share)| less(*share, accepted));
        let (worst, _) = excess
            .enumerate()
            .filter(|(_, excess)| *excess > Amount::ZERO)
            .max_by_key(|(position, excess)| (*excess, *position))?;
        Some(match worst.checked_sub(self.deposits.len()) {
            None => LeaveOut::Deposit(worst),
            Some(withdrawal) => LeaveOut::Withdrawal(withdrawal),
        })
    }

    /// The newest participant: a withdrawal while there is one. Only called while there is a participant.
    fn newest(&self) -> LeaveOut {
        match self.withdrawals.len() {
            0 => LeaveOut::Deposit(self.deposits.len() - 1),
            withdrawals => LeaveOut::Withdrawal(withdrawals - 1),
        }
    }

    fn leave_out(&mut self, who: LeaveOut) {
        match who {
            LeaveOut::Deposit(position) => drop(self.deposits.remove(position)),
            LeaveOut::Withdrawal(position) => drop(self.withdrawals.remove(position)),
            // The costs did not fit in any more: the newest waits.
            LeaveOut::Unfunded => drop(self.withdrawals.pop()),
        }
    }

    fn output_scripts(&self) -> impl Iterator<Item = usize> {
        output_scripts(self.withdrawals.iter().map(|withdrawal| withdrawal.script.len()))
    }
}

/// Lengths of all output scripts: vault, withdrawals, anchor.
fn output_scripts(withdrawals: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
    std::iter::once(VAULT_SCRIPT_LEN).chain(withdrawals).chain(std::iter::once(ANCHOR_SCRIPT.len()))
}

/// The fee at the rate aimed for, within the ledger's bounds, rounded up.
fn fee(inputs: usize, withdrawal_scripts: impl Iterator<Item = usize>, available: &Available) -> Amount {
    let low = available.min_fee_rate;
    let rate = available.fee_rate.clamp(low, available.max_fee_rate.max(low));
    // A fee that overflows is more than any vault holds: nothing funds the plan.
    rate.fee_vb(vsize(inputs, output_scripts(withdrawal_scripts))).unwrap_or(Amount::MAX_MONEY)
}

#[cfg(test)]
mod tests;
