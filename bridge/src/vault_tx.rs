//! The vault transaction as a member sees it: read from the ledger's event, checked, hashed, signed, completed; and
//! planned, by the relayer on duty.
//!
//! The Bridge contract fixes a vault transaction byte for byte before anyone signs it:
//!
//! ```text
//!  version 3, locktime 0
//!  in    deposits, then vault outputs       sequence fffffffd, no scriptSig, one 64-byte signature each
//!  out   [0] vault output  5120<vault key>  what is left, at least 330 sat
//!        withdrawals in order               amount - share
//!        pay to anchor  51024e73, 240 sat   anybody may bump the fee by a child
//! ```
//!
//! Who takes part pays `fee + 240` in proportion to the weight it adds; see [`shares`]. Sizes and shares are computed as
//! the contract does, so that a plan is never refused for a satoshi.

use std::collections::BTreeMap;

use bitcoin::hashes::Hash as _;
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxOut, Txid, Witness, XOnlyPublicKey, absolute, consensus,
    transaction,
};
use secp256k1::{Message, SECP256K1, schnorr};

use crate::{signing, vault};

/// Largest vault transaction, in virtual bytes: the limit of version 3 transactions (BIP431, rule 4).
pub const MAX_VSIZE: u64 = 10_000;
/// Value of the pay-to-anchor output: Bitcoin Core's dust limit for it.
pub const ANCHOR_SAT: u64 = 240;
/// Least value of the vault output: Bitcoin Core's dust limit for P2TR.
pub const DUST_SAT: u64 = 330;
/// Script of the pay-to-anchor output.
pub const ANCHOR_SCRIPT: [u8; 4] = [0x51, 0x02, 0x4e, 0x73];
/// Weight a deposit adds: an input of 41 bytes and a witness of 66.
pub const DEPOSIT_WEIGHT: u64 = 4 * 41 + 66;
/// Most deposits in one plan: each brings a proof, which costs gas and calldata (the limits are 2^24 gas a transaction
/// and half a block for the free lane).
pub const MAX_DEPOSITS: usize = 24;
/// Most withdrawals in one plan.
pub const MAX_WITHDRAWALS: usize = 100;
/// Vault outputs to keep apart, so that several vault transactions can be under way; above it plans join them.
pub const VAULT_OUTPUTS_KEPT: usize = 4;

/// An output that a vault transaction spends, as the ledger's event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentOutput {
    /// The output.
    pub outpoint: OutPoint,
    /// Its value.
    pub amount_sat: u64,
    /// The key it pays to.
    pub output_key: XOnlyPublicKey,
    /// Root of its script tree: the hash of the deposit leaf or of the recovery leaf.
    pub merkle_root: [u8; 32],
    /// Epoch of the group key it is locked to.
    pub epoch: u32,
}

/// Why a transaction is not a vault transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultTxError {
    /// Not a transaction without witness.
    #[error("the ledger's transaction does not decode: {0}")]
    Encoding(String),
    /// Not what the layout says.
    #[error("{what}: found {got}, expected {want}")]
    Layout {
        /// Which part.
        what: String,
        /// What it is.
        got: String,
        /// What it should be.
        want: String,
    },
    /// It pays more than it takes.
    #[error("outputs of {out} sat from inputs of {inputs} sat")]
    Overspent {
        /// Sum of the inputs.
        inputs: u64,
        /// Sum of the outputs.
        out: u64,
    },
    /// An input that the group key of its epoch cannot spend.
    #[error("input {input} pays to key {got}, the group key of epoch {epoch} makes {want}")]
    OutputKey {
        /// Position of the input.
        input: usize,
        /// Its epoch.
        epoch: u32,
        /// Key of the output.
        got: String,
        /// Key that the group key and the tree make.
        want: String,
    },
    /// No group key is known for the epoch.
    #[error("input {input} is of epoch {epoch}, whose group key is not known")]
    Epoch {
        /// Position of the input.
        input: usize,
        /// Its epoch.
        epoch: u32,
    },
    /// A signature that Bitcoin would refuse.
    #[error("the signature of input {input} does not verify")]
    Signature {
        /// Position of the input.
        input: usize,
    },
}

/// A vault transaction that has the layout of one, with what it spends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultTransaction {
    unsigned: Transaction,
    inputs: Vec<SpentOutput>,
}

impl VaultTransaction {
    /// Reads the bytes of `VaultTransactionProposed` and checks them against the inputs of the same event.
    ///
    /// # Errors
    ///
    /// When the bytes are not a vault transaction over exactly these inputs.
    pub fn parse(bytes: &[u8], inputs: Vec<SpentOutput>) -> Result<Self, VaultTxError> {
        let unsigned: Transaction =
            consensus::deserialize(bytes).map_err(|error| VaultTxError::Encoding(error.to_string()))?;
        if consensus::serialize(&unsigned) != bytes || unsigned.input.iter().any(|input| !input.witness.is_empty()) {
            return Err(VaultTxError::Encoding("it carries a witness".to_owned()));
        }
        let vault_tx = Self { unsigned, inputs };
        vault_tx.check_layout()?;
        Ok(vault_tx)
    }

    /// The transaction without signatures.
    pub fn unsigned(&self) -> &Transaction {
        &self.unsigned
    }

    /// What it spends, in order.
    pub fn inputs(&self) -> &[SpentOutput] {
        &self.inputs
    }

    /// Its id, which signatures do not change.
    pub fn txid(&self) -> Txid {
        self.unsigned.compute_txid()
    }

    /// Fee in sat, the anchor output not included.
    pub fn fee_sat(&self) -> u64 {
        let out: u64 = self.unsigned.output.iter().map(|output| output.value.to_sat()).sum();
        self.inputs.iter().map(|input| input.amount_sat).sum::<u64>() - out
    }

    /// Size in virtual bytes once it is signed.
    pub fn vsize(&self) -> u64 {
        let scripts = self.unsigned.output.iter().map(|output| output.script_pubkey.len());
        vsize(self.unsigned.input.len(), scripts)
    }

    /// The outputs it spends, as Bitcoin sees them.
    pub fn prevouts(&self) -> Vec<TxOut> {
        let prevout = |input: &SpentOutput| TxOut {
            value: Amount::from_sat(input.amount_sat),
            script_pubkey: vault::script(input.output_key),
        };
        self.inputs.iter().map(prevout).collect()
    }

    /// Whether every input is locked to the group key of its epoch, tweaked by its own tree.
    ///
    /// # Errors
    ///
    /// The first input that is not.
    pub fn check_keys(&self, group_keys: &BTreeMap<u32, XOnlyPublicKey>) -> Result<(), VaultTxError> {
        for (input, spent) in self.inputs.iter().enumerate() {
            let group_key = group_keys.get(&spent.epoch).ok_or(VaultTxError::Epoch { input, epoch: spent.epoch })?;
            let want = vault::output_key(*group_key, &spent.merkle_root);
            if want != spent.output_key {
                return Err(VaultTxError::OutputKey {
                    input,
                    epoch: spent.epoch,
                    got: spent.output_key.to_string(),
                    want: want.to_string(),
                });
            }
        }
        Ok(())
    }

    /// What there is to sign, in order (BIP341, key path, SIGHASH_DEFAULT).
    pub fn signing_inputs(&self) -> Vec<signing::Input> {
        let sighash = self.sighashes();
        let input = |(spent, sighash): (&SpentOutput, [u8; 32])| signing::Input {
            sighash,
            epoch: spent.epoch,
            merkle_root: spent.merkle_root,
            output_key: spent.output_key,
        };
        self.inputs.iter().zip(sighash).map(input).collect()
    }

    /// The transaction with its signatures, each verified by libsecp256k1.
    ///
    /// # Errors
    ///
    /// When a signature is missing or wrong.
    pub fn attach(&self, signatures: &[schnorr::Signature]) -> Result<Transaction, VaultTxError> {
        let mut signed = self.unsigned.clone();
        for (input, sighash) in self.sighashes().into_iter().enumerate() {
            let verifies = |signature: &&schnorr::Signature| {
                SECP256K1
                    .verify_schnorr(signature, &Message::from_digest(sighash), &self.inputs[input].output_key)
                    .is_ok()
            };
            let signature = signatures.get(input).filter(verifies).ok_or(VaultTxError::Signature { input })?;
            // SIGHASH_DEFAULT: 64 bytes, no type byte.
            signed.input[input].witness = Witness::from_slice(&[signature.as_ref()]);
        }
        Ok(signed)
    }

    fn sighashes(&self) -> Vec<[u8; 32]> {
        key_path_sighashes(&self.unsigned, &self.prevouts())
    }

    fn check_layout(&self) -> Result<(), VaultTxError> {
        let tx = &self.unsigned;
        expect("version", tx.version, transaction::Version(3))?;
        expect("locktime", tx.lock_time, absolute::LockTime::ZERO)?;
        expect("number of inputs", tx.input.len(), self.inputs.len())?;
        for (index, (input, spent)) in tx.input.iter().zip(&self.inputs).enumerate() {
            expect(&format!("outpoint of input {index}"), input.previous_output, spent.outpoint)?;
            expect(&format!("sequence of input {index}"), input.sequence, Sequence::ENABLE_RBF_NO_LOCKTIME)?;
            expect(&format!("script of input {index}"), &input.script_sig, &ScriptBuf::new())?;
        }
        let [vault, .., anchor] = tx.output.as_slice() else {
            return Err(layout("number of outputs", tx.output.len(), "at least 2"));
        };
        if !vault.script_pubkey.is_p2tr() || vault.value.to_sat() < DUST_SAT {
            return Err(layout(
                "output 0",
                format!("{} to {}", vault.value, vault.script_pubkey),
                "330 sat or more to the vault key",
            ));
        }
        expect("script of the last output", anchor.script_pubkey.as_bytes(), &ANCHOR_SCRIPT[..])?;
        expect("value of the last output", anchor.value, Amount::from_sat(ANCHOR_SAT))?;
        self.check_sums()
    }

    fn check_sums(&self) -> Result<(), VaultTxError> {
        let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(0u64, u64::saturating_add);
        let inputs = sum(&mut self.inputs.iter().map(|input| input.amount_sat));
        let out = sum(&mut self.unsigned.output.iter().map(|output| output.value.to_sat()));
        if out > inputs || inputs > Amount::MAX_MONEY.to_sat() {
            Err(VaultTxError::Overspent { inputs, out })
        } else {
            Ok(())
        }
    }
}

/// BIP341 hashes of all inputs for key path spends with SIGHASH_DEFAULT.
fn key_path_sighashes(unsigned: &Transaction, prevouts: &[TxOut]) -> Vec<[u8; 32]> {
    let mut cache = SighashCache::new(unsigned);
    let mut sighash = |input| {
        cache
            .taproot_key_spend_signature_hash(input, &Prevouts::All(prevouts), TapSighashType::Default)
            .expect("as many prevouts as inputs")
            .to_byte_array()
    };
    (0..unsigned.input.len()).map(&mut sighash).collect()
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), VaultTxError> {
    if got == want { Ok(()) } else { Err(layout(what, format!("{got:?}"), format!("{want:?}"))) }
}

fn layout(what: &str, got: impl ToString, want: impl ToString) -> VaultTxError {
    VaultTxError::Layout { what: what.to_owned(), got: got.to_string(), want: want.to_string() }
}

/// Virtual size of a signed vault transaction with these output scripts (all of them, vault and anchor included).
pub fn vsize(inputs: usize, output_scripts: impl Iterator<Item = usize>) -> u64 {
    let (mut outputs, mut output_bytes) = (0, 0);
    for script in output_scripts {
        outputs += 1;
        output_bytes += 8 + compact_size(script) + script as u64;
    }
    let stripped = 4 + compact_size(inputs) + 41 * inputs as u64 + compact_size(outputs) + output_bytes + 4;
    // Marker and flag, then for each input: one item of 64 bytes.
    let weight = 4 * stripped + 2 + 66 * inputs as u64;
    weight.div_ceil(4)
}

fn compact_size(value: usize) -> u64 {
    match value {
        0..=0xfc => 1,
        0xfd..=0xffff => 3,
        _ => 5,
    }
}

/// Weight a withdrawal adds: its output.
pub fn withdrawal_weight(script: &ScriptBuf) -> u64 {
    4 * (9 + script.len() as u64)
}

/// Splits a cost by weight, rounded down; the odd satoshis go one each to the first.
///
/// Nothing for nobody: without participants the ledger pays from its reserve.
pub fn shares(cost_sat: u64, weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let part =
        |weight: &u64| u64::try_from(u128::from(cost_sat) * u128::from(*weight) / total).expect("a part of a u64");
    let mut shares: Vec<u64> = weights.iter().map(part).collect();
    // Fewer than there are shares, since each lost less than one to rounding.
    let odd = cost_sat - shares.iter().sum::<u64>();
    shares.iter_mut().take(usize::try_from(odd).expect("fewer than the shares")).for_each(|share| *share += 1);
    shares
}

/// A deposit that can be swept: confirmed, proven, not yet in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyDeposit {
    /// The output.
    pub outpoint: OutPoint,
    /// Its value.
    pub amount_sat: u64,
    /// The largest share of the cost its owner pays.
    pub max_fee_sat: u64,
}

/// A settled vault output that nothing spends yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultOutput {
    /// Number of the vault transaction whose output 0 it is.
    pub number: u64,
    /// Its value.
    pub amount_sat: u64,
}

/// A withdrawal that waits for its payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedWithdrawal {
    /// Its id.
    pub id: u64,
    /// What its owner gave back.
    pub amount_sat: u64,
    /// The largest share of the cost its owner pays.
    pub max_fee_sat: u64,
    /// Where it goes.
    pub script: ScriptBuf,
}

/// What a plan is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Fee rate to aim for, in sat per 1,000 vB: the own node's estimate.
    pub fee_rate_sat_per_kvb: u64,
    /// The ledger's bounds, in sat per vB.
    pub min_fee_rate: u32,
    /// See `min_fee_rate`.
    pub max_fee_rate: u32,
}

/// A proposal to make to the Bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Deposits to sweep, in the order of the inputs.
    pub deposits: Vec<OutPoint>,
    /// Numbers of the vault transactions whose output is spent, in the order of the inputs.
    pub vault_inputs: Vec<u64>,
    /// Withdrawals to pay, in the order of the outputs.
    pub withdrawals: Vec<u64>,
    /// Fee, the anchor not included.
    pub fee_sat: u64,
    /// Shares of the cost, deposits first.
    pub shares_sat: Vec<u64>,
    /// Value of output 0.
    pub change_sat: u64,
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

/// A vault transaction without participants that joins or renews vault outputs, paid by the reserve; none if the reserve
/// does not cover it.
pub fn plan_refresh(outputs: &[VaultOutput], held_sat: u64, available: &Available) -> Option<Plan> {
    let fee_sat = fee(outputs.len(), std::iter::empty(), available);
    let sum: u64 = outputs.iter().map(|output| output.amount_sat).sum();
    let cost_sat = fee_sat + ANCHOR_SAT;
    let change_sat = sum
        .checked_sub(cost_sat)
        .filter(|change| *change >= DUST_SAT && cost_sat <= held_sat && !outputs.is_empty())?;
    Some(Plan {
        vault_inputs: outputs.iter().map(|output| output.number).collect(),
        fee_sat,
        change_sat,
        ..Plan::default()
    })
}

struct Draft<'a> {
    deposits: Vec<&'a ReadyDeposit>,
    withdrawals: Vec<&'a QueuedWithdrawal>,
    /// Largest first: the fewest inputs to fund withdrawals.
    vault: Vec<VaultOutput>,
}

/// Withdrawals that all there is could pay, before costs: first come, first served.
fn fundable(available: &Available) -> Vec<&QueuedWithdrawal> {
    let value = available.deposits.iter().take(MAX_DEPOSITS).map(|deposit| deposit.amount_sat);
    let value: u64 = value.chain(available.vault_outputs.iter().map(|output| output.amount_sat)).sum();
    let mut left = value.saturating_sub(DUST_SAT);
    let mut chosen = Vec::new();
    for withdrawal in &available.withdrawals {
        match left.checked_sub(withdrawal.amount_sat) {
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

/// What keeps a draft from being a plan.
enum LeaveOut {
    Deposit(usize),
    Withdrawal(usize),
    /// Not enough in the vault for all of them.
    Unfunded,
}

impl<'a> Draft<'a> {
    fn new(available: &'a Available) -> Self {
        let mut vault = available.vault_outputs.clone();
        vault.sort_by_key(|output| (std::cmp::Reverse(output.amount_sat), output.number));
        Self {
            deposits: available.deposits.iter().take(MAX_DEPOSITS).collect(),
            withdrawals: fundable(available),
            vault,
        }
    }

    fn attempt(&self, available: &Available) -> Result<Plan, LeaveOut> {
        let least = usize::from(self.vault.len() > VAULT_OUTPUTS_KEPT);
        let joined = (least..=self.vault.len()).find_map(|count| self.funded_with(count, available));
        let plan = joined.ok_or(if self.withdrawals.is_empty() {
            LeaveOut::Deposit(self.deposits.len() - 1)
        } else {
            LeaveOut::Unfunded
        })?;
        let inputs = plan.deposits.len() + plan.vault_inputs.len();
        if vsize(inputs, self.output_scripts()) > MAX_VSIZE {
            return Err(match self.withdrawals.len() {
                0 => LeaveOut::Deposit(self.deposits.len() - 1),
                withdrawals => LeaveOut::Withdrawal(withdrawals - 1),
            });
        }
        match self.worst_off(&plan.shares_sat) {
            Some(leave_out) => Err(leave_out),
            None => Ok(plan),
        }
    }

    /// The plan that spends the `count` largest vault outputs (and, where plans join, the smallest instead of the last).
    fn funded_with(&self, count: usize, available: &Available) -> Option<Plan> {
        let joining = self.vault.len() > VAULT_OUTPUTS_KEPT && count > 0 && count < self.vault.len();
        let spent: Vec<VaultOutput> = if joining {
            self.vault[..count - 1].iter().chain(self.vault.last()).copied().collect()
        } else {
            self.vault[..count].to_vec()
        };
        let fee_sat = fee(
            self.deposits.len() + spent.len(),
            self.withdrawals.iter().map(|withdrawal| withdrawal.script.len()),
            available,
        );
        let weights: Vec<u64> = std::iter::repeat_n(DEPOSIT_WEIGHT, self.deposits.len())
            .chain(self.withdrawals.iter().map(|withdrawal| withdrawal_weight(&withdrawal.script)))
            .collect();
        let shares_sat = shares(fee_sat + ANCHOR_SAT, &weights);
        let deposit_shares: u64 = shares_sat[..self.deposits.len()].iter().sum();
        let value_in: u64 = self
            .deposits
            .iter()
            .map(|deposit| deposit.amount_sat)
            .chain(spent.iter().map(|output| output.amount_sat))
            .sum();
        let value_out: u64 = self.withdrawals.iter().map(|withdrawal| withdrawal.amount_sat).sum();
        // Withdrawals' shares are taken off what is paid to them, so only the deposits' leave the vault's side.
        let change_sat =
            value_in.checked_sub(value_out)?.checked_sub(deposit_shares).filter(|change| *change >= DUST_SAT)?;
        Some(Plan {
            deposits: self.deposits.iter().map(|deposit| deposit.outpoint).collect(),
            vault_inputs: spent.iter().map(|output| output.number).collect(),
            withdrawals: self.withdrawals.iter().map(|withdrawal| withdrawal.id).collect(),
            fee_sat,
            shares_sat,
            change_sat,
        })
    }

    /// The participant whose share is furthest above what it accepts.
    fn worst_off(&self, shares_sat: &[u64]) -> Option<LeaveOut> {
        let deposits =
            self.deposits.iter().map(|deposit| deposit.max_fee_sat.min(deposit.amount_sat.saturating_sub(1)));
        let withdrawals = self
            .withdrawals
            .iter()
            .map(|withdrawal| withdrawal.max_fee_sat.min(withdrawal.amount_sat.saturating_sub(DUST_SAT)));
        let excess =
            deposits.chain(withdrawals).zip(shares_sat).map(|(accepted, share)| share.saturating_sub(accepted));
        let (worst, _) = excess
            .enumerate()
            .filter(|(_, excess)| *excess > 0)
            .max_by_key(|(position, excess)| (*excess, *position))?;
        Some(match worst.checked_sub(self.deposits.len()) {
            None => LeaveOut::Deposit(worst),
            Some(withdrawal) => LeaveOut::Withdrawal(withdrawal),
        })
    }

    fn leave_out(&mut self, what: LeaveOut) {
        match what {
            LeaveOut::Deposit(position) => drop(self.deposits.remove(position)),
            LeaveOut::Withdrawal(position) => drop(self.withdrawals.remove(position)),
            // The costs did not fit in any more: the newest waits.
            LeaveOut::Unfunded => drop(self.withdrawals.pop()),
        }
    }

    fn output_scripts(&self) -> impl Iterator<Item = usize> {
        let withdrawals = self.withdrawals.iter().map(|withdrawal| withdrawal.script.len());
        std::iter::once(VAULT_SCRIPT_LEN).chain(withdrawals).chain(std::iter::once(ANCHOR_SCRIPT.len()))
    }
}

/// `5120<key>`.
const VAULT_SCRIPT_LEN: usize = 34;

/// The fee at the rate aimed for, within the ledger's bounds, rounded up.
fn fee(inputs: usize, withdrawal_scripts: impl Iterator<Item = usize>, available: &Available) -> u64 {
    let scripts =
        std::iter::once(VAULT_SCRIPT_LEN).chain(withdrawal_scripts).chain(std::iter::once(ANCHOR_SCRIPT.len()));
    let low = u64::from(available.min_fee_rate) * 1000;
    let high = u64::from(available.max_fee_rate.max(available.min_fee_rate)) * 1000;
    let rate = available.fee_rate_sat_per_kvb.clamp(low, high);
    (rate * vsize(inputs, scripts)).div_ceil(1000)
}

#[cfg(test)]
mod tests;
