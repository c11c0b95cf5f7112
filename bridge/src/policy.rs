//! What a member makes sure of before it commits to sign a vault transaction.
//!
//! A member trusts no other member: the transaction must be the ledger's, in a final block, spending what its own
//! bitcoind knows as unspent, at a fee its own estimate allows, and must not conflict with anything it ever signed.
//! The last is a durable record ([`Signed`]): which transaction each outpoint was signed for. The shell persists the
//! record with the new transaction before the first commitment leaves, and never forgets it.

use std::collections::BTreeMap;

use bitcoin::{FeeRate, OutPoint, Transaction, TxOut, Txid, XOnlyPublicKey, consensus};

use crate::vault_tx::{VaultTransaction, VaultTxError};

/// What is known when the decision is made; every field from the member's own node and own bitcoind.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The transaction of the event, with the layout already checked.
    pub vault_tx: &'a VaultTransaction,
    /// Whether the block of the event is final.
    pub block_final: bool,
    /// The id under which the ledger has it as proposed, read apart from the event; none if it is not (or no longer).
    pub ledger_txid: Option<Txid>,
    /// Group keys by epoch, as the Federation contract and its own shares have them.
    pub group_keys: &'a BTreeMap<u32, XOnlyPublicKey>,
    /// For each input, the output as its own bitcoind has it unspent; none if it does not.
    pub own_outputs: &'a [Option<TxOut>],
    /// Fees in sat per 1,000 vB that its own node accepts; see [`FeeBounds::around`].
    pub fee_bounds: FeeBounds,
}

/// Why a member does not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Wait for the block to be final.
    #[error("the block that proposes it is not final yet")]
    NotFinal,
    /// The ledger does not have it as proposed.
    #[error("the ledger has {ledger:?} as proposed, not {txid}")]
    NotInLedger {
        /// What the ledger has.
        ledger: Option<Txid>,
        /// What the event says.
        txid: Txid,
    },
    /// An input is not what the federation could have received.
    #[error(transparent)]
    Key(#[from] VaultTxError),
    /// Its own bitcoind does not know an input as unspent: it lags, or the input is gone.
    #[error("its own bitcoind does not have {outpoint} of input {input} unspent")]
    UnknownOutput {
        /// Position of the input.
        input: usize,
        /// What it spends.
        outpoint: OutPoint,
    },
    /// Its own bitcoind knows another value or script.
    #[error(
        "input {input} is {got_sat} sat to {got_script} in its own bitcoind, {want_sat} sat to {want_script} in the ledger"
    )]
    OtherOutput {
        /// Position of the input.
        input: usize,
        /// Value on Bitcoin.
        got_sat: u64,
        /// Script on Bitcoin.
        got_script: String,
        /// Value in the ledger.
        want_sat: u64,
        /// Script in the ledger.
        want_script: String,
    },
    /// A fee that wastes the users' money, or would never confirm.
    #[error("fee of {got} sat per 1000 vB, its own bounds are {} to {}", bounds.low_sat_per_kvb, bounds.high_sat_per_kvb)]
    Fee {
        /// The transaction's rate.
        got: u64,
        /// What was accepted.
        bounds: FeeBounds,
    },
    /// It would spend what another transaction with this member's signature spends.
    #[error("{outpoint} was signed for transaction {signed} before")]
    Conflict {
        /// What both spend.
        outpoint: OutPoint,
        /// The earlier one.
        signed: Txid,
    },
}

impl Refusal {
    /// Whether to ask again later; otherwise it stays refused.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NotFinal | Self::UnknownOutput { .. } | Self::Fee { .. })
    }
}

/// Fee rates that are accepted, in sat per 1,000 vB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeBounds {
    /// Least.
    pub low_sat_per_kvb: u64,
    /// Most.
    pub high_sat_per_kvb: u64,
}

impl FeeBounds {
    /// Around its own node's estimate: a quarter to four times it and 5 sat/vB more, since estimates of honest nodes
    /// differ and move while a proposal travels; never below the relay minimum of 1 sat/vB.
    pub fn around(estimate: FeeRate) -> Self {
        // A thousand virtual bytes are four thousand weight units.
        let estimate_sat_per_kvb = estimate.to_sat_per_kwu().saturating_mul(4);
        Self {
            low_sat_per_kvb: (estimate_sat_per_kvb / 4).max(1000),
            high_sat_per_kvb: estimate_sat_per_kvb.saturating_mul(4).saturating_add(5000),
        }
    }
}

/// Whether to sign.
///
/// # Errors
///
/// The first reason not to; [`Refusal::may_pass`] says whether to ask again.
pub fn approve(facts: &Facts<'_>, signed: &Signed) -> Result<(), Refusal> {
    let txid = facts.vault_tx.txid();
    if !facts.block_final {
        return Err(Refusal::NotFinal);
    }
    if facts.ledger_txid != Some(txid) {
        return Err(Refusal::NotInLedger { ledger: facts.ledger_txid, txid });
    }
    facts.vault_tx.check_keys(facts.group_keys)?;
    // Before what may pass: a conflict never does.
    signed.check(facts.vault_tx.unsigned())?;
    check_outputs(facts)?;
    check_fee(facts)
}

fn check_outputs(facts: &Facts<'_>) -> Result<(), Refusal> {
    for (input, want) in facts.vault_tx.prevouts().into_iter().enumerate() {
        let outpoint = facts.vault_tx.inputs()[input].outpoint;
        let got = facts.own_outputs.get(input).cloned().flatten().ok_or(Refusal::UnknownOutput { input, outpoint })?;
        if got != want {
            return Err(Refusal::OtherOutput {
                input,
                got_sat: got.value.to_sat(),
                got_script: got.script_pubkey.to_hex_string(),
                want_sat: want.value.to_sat(),
                want_script: want.script_pubkey.to_hex_string(),
            });
        }
    }
    Ok(())
}

fn check_fee(facts: &Facts<'_>) -> Result<(), Refusal> {
    let bounds = facts.fee_bounds;
    let got = (facts.vault_tx.fee().to_sat() * 1000).div_ceil(facts.vault_tx.vsize());
    if (bounds.low_sat_per_kvb..=bounds.high_sat_per_kvb).contains(&got) {
        Ok(())
    } else {
        Err(Refusal::Fee { got, bounds })
    }
}

/// Which transaction each outpoint was signed for: a member never signs two that spend the same.
///
/// Kept as a log that only grows, of one record for each transaction: the version of its form, then the transaction without
/// signatures (consensus encoding).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    outpoints: BTreeMap<OutPoint, Txid>,
}

/// The form of a record.
const RECORD_VERSION: u8 = 1;

/// A record that this version did not write: the member must not sign, since it does not know what it signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {position} is not a transaction: {reason}")]
pub struct BadRecord {
    /// From 0.
    pub position: usize,
    /// Why.
    pub reason: String,
}

impl Signed {
    /// What the records of a log say.
    ///
    /// # Errors
    ///
    /// The first that cannot be read.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, BadRecord> {
        let mut signed = Self::default();
        for (position, record) in records.into_iter().enumerate() {
            let bad = |reason: String| BadRecord { position, reason };
            let transaction = match record.split_first() {
                Some((&RECORD_VERSION, transaction)) => transaction,
                version => return Err(bad(format!("version {:?}", version.map(|(version, _)| version)))),
            };
            let transaction: Transaction =
                consensus::deserialize(transaction).map_err(|error| bad(error.to_string()))?;
            // What is in the log was signed, whether or not it should have been.
            signed.remember(&transaction);
        }
        Ok(signed)
    }

    /// Whether signing `transaction` would conflict with an earlier signature; the same transaction never does.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] for the first outpoint that was signed for another transaction.
    pub fn check(&self, transaction: &Transaction) -> Result<(), Refusal> {
        let txid = transaction.compute_txid();
        let earlier = |outpoint: OutPoint| {
            self.outpoints.get(&outpoint).filter(|signed| **signed != txid).map(|signed| (outpoint, *signed))
        };
        match transaction.input.iter().find_map(|input| earlier(input.previous_output)) {
            Some((outpoint, signed)) => Err(Refusal::Conflict { outpoint, signed }),
            None => Ok(()),
        }
    }

    /// Remembers that `transaction` is signed; the record to append to the log before anything leaves, unless it is there.
    ///
    /// # Errors
    ///
    /// As [`Signed::check`]; then nothing changes.
    pub fn insert(&mut self, transaction: &Transaction) -> Result<Option<Vec<u8>>, Refusal> {
        self.check(transaction)?;
        let is_new = self.remember(transaction);
        Ok(is_new.then(|| [&[RECORD_VERSION][..], &consensus::serialize(transaction)].concat()))
    }

    /// Whether that was new.
    fn remember(&mut self, transaction: &Transaction) -> bool {
        let txid = transaction.compute_txid();
        let before = self.outpoints.len();
        self.outpoints.extend(transaction.input.iter().map(|input| (input.previous_output, txid)));
        self.outpoints.len() > before
    }
}

#[cfg(test)]
mod tests;
