//! Both sides of the books, and the vault outputs behind them, by proofs.
//!
//! ```text
//!   coins outside the Bridge + unclaimed + owed + reserve + unminted = vault + unswept + lost
//!                                                                      '--> live outputs of vault transactions
//! ```

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Bytes, U256};
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut, Txid};
use contracts::Books;
use contracts::coin::WEI_PER_SAT;

use crate::facts::Facts;
use crate::federation::FederationKeys;
use crate::ledger::VaultTransaction;

/// The two sides of the books, with coins in wei: gas is paid in parts of a satoshi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Everything that is owed, or outside the Bridge, is accounted for by the books.
    pub balanced: bool,
    /// And all of it is in the vault.
    pub covered: bool,
    /// Backed beyond what anybody can claim: coins that somebody gave away.
    pub surplus_wei: U256,
    /// Lost, unswept and overdrawn.
    pub missing_sat: u64,
}

impl Sums {
    #[must_use]
    pub fn of(supply_wei: U256, books: &Books) -> Self {
        let overdraft = books.reserve_sat.min(0).unsigned_abs();
        let reserve = books.reserve_sat.max(0).unsigned_abs();
        let wei =
            |parts: &[u64]| parts.iter().fold(U256::ZERO, |sum, sat| sum + U256::from(*sat) * U256::from(WEI_PER_SAT));
        let claims = supply_wei + wei(&[books.unclaimed_sat, books.owed_sat, books.unminted_sat, reserve]);
        let backing = wei(&[books.vault_sat, books.unswept_sat, books.lost_sat, overdraft]);
        let missing = [books.unswept_sat, books.lost_sat, overdraft].into_iter().fold(0, u64::saturating_add);
        Self {
            balanced: claims <= backing,
            covered: claims <= wei(&[books.vault_sat]),
            surplus_wei: backing.saturating_sub(claims),
            missing_sat: missing,
        }
    }
}

/// Why vault transactions are not those that the ledger has, or not all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReservesError {
    #[error("{got} vault transactions are shown, the ledger has {want}")]
    NotAll { got: usize, want: u32 },
    #[error("what is shown as vault transaction {number} has the txid {txid}, under which the ledger has no such one")]
    NotInLedger { number: u32, txid: Txid },
    #[error("the vault's key of epoch {epoch} is not proven, which vault transaction {number} pays")]
    NoKey { number: u32, epoch: u32 },
    #[error("the bytes of vault transaction {number} are no Bitcoin transaction: {reason}")]
    NotATransaction { number: u32, reason: String },
    #[error("output 0 of vault transaction {number} is {got:?}, and should be {want:?}")]
    WrongOutput { number: u32, got: Option<TxOut>, want: TxOut },
    #[error("the live outputs are worth {got} sat, the books count {want} sat: the ledger is broken")]
    WrongSum { got: u64, want: u64 },
}

/// The script of the vault of an epoch.
#[must_use]
pub fn vault_script(keys: &FederationKeys) -> ScriptBuf {
    let program = bitcoin::WitnessProgram::new(bitcoin::WitnessVersion::V1, keys.vault.as_slice())
        .expect("32 bytes are a taproot program");
    ScriptBuf::new_witness_program(&program)
}

/// A vault transaction with its bytes, which are those that the ledger has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub entry: VaultTransaction,
    pub transaction: Transaction,
    /// What output 0 is; none where it is no vault output.
    pub change: Option<TxOut>,
}

/// The txids of transactions by their bytes. What is no transaction has none, and is refused by [`vault_transactions`].
#[must_use]
pub fn txids(transactions: &[Bytes]) -> BTreeSet<Txid> {
    let decoded = transactions.iter().filter_map(|bytes| bitcoin::consensus::deserialize::<Transaction>(bytes).ok());
    decoded.map(|transaction| transaction.compute_txid()).collect()
}

/// Every vault transaction that was ever bound, by number, from the bytes of all of them in their order: none is left out, and none is invented.
///
/// # Errors
///
/// Whoever showed the bytes is at fault, but for [`ReservesError::WrongSum`].
pub fn vault_transactions(facts: &Facts, transactions: &[Bytes]) -> Result<BTreeMap<u32, Shown>, ReservesError> {
    let (got, want) = (transactions.len(), facts.vault_count);
    if u32::try_from(got) != Ok(want) {
        return Err(ReservesError::NotAll { got, want });
    }
    let shown = (1u32..).zip(transactions);
    let shown = shown.map(|(number, bytes)| Ok((number, shown_as(facts, number, bytes)?)));
    let shown: BTreeMap<u32, Shown> = shown.collect::<Result<_, ReservesError>>()?;
    let live = shown.values().filter(|shown| shown.entry.is_live());
    let got = live.fold(0, |sum: u64, shown| sum.saturating_add(shown.entry.change_sat));
    let want = facts.books.vault_sat;
    if got == want { Ok(shown) } else { Err(ReservesError::WrongSum { got, want }) }
}

fn shown_as(facts: &Facts, number: u32, bytes: &Bytes) -> Result<Shown, ReservesError> {
    let transaction: Transaction = bitcoin::consensus::deserialize(bytes)
        .map_err(|error| ReservesError::NotATransaction { number, reason: error.to_string() })?;
    let txid = transaction.compute_txid();
    let entry = facts.vault_transaction(number, txid).cloned();
    let entry = entry.ok_or(ReservesError::NotInLedger { number, txid })?;
    let change = change(facts, number, &entry)?;
    let got = transaction.output.first();
    match &change {
        Some(want) if got != Some(want) => {
            Err(ReservesError::WrongOutput { number, got: got.cloned(), want: want.clone() })
        }
        _ => Ok(Shown { entry, transaction, change }),
    }
}

/// What output 0 has to be.
fn change(facts: &Facts, number: u32, entry: &VaultTransaction) -> Result<Option<TxOut>, ReservesError> {
    if entry.change_sat == 0 {
        return Ok(None);
    }
    let keys = facts.keys.get(&entry.epoch).ok_or(ReservesError::NoKey { number, epoch: entry.epoch })?;
    Ok(Some(TxOut { value: Amount::from_sat(entry.change_sat), script_pubkey: vault_script(keys) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::coin::wei;

    fn balanced() -> (U256, Books) {
        let books = Books {
            vault_sat: 100,
            owed_sat: 20,
            unminted_sat: 10,
            reserve_sat: 5,
            unclaimed_sat: 7,
            ..Books::default()
        };
        (wei(58), books)
    }

    #[test]
    fn books_that_balance_without_a_loss_are_covered_to_the_satoshi() {
        let (supply, books) = balanced();
        let sums = Sums::of(supply, &books);
        assert!(sums.balanced && sums.covered && sums.surplus_wei.is_zero() && sums.missing_sat == 0);
        let sums = Sums::of(supply + U256::from(1), &books);
        assert!(!sums.balanced && !sums.covered, "a wei too much");
        let sums = Sums::of(supply - U256::from(3), &books);
        assert!(sums.balanced && sums.covered && sums.surplus_wei == U256::from(3));
    }

    #[test]
    fn what_the_books_say_is_missing_is_accounted_for_and_not_there() {
        let (supply, books) = balanced();
        for missing in [
            Books { vault_sat: 90, lost_sat: 10, ..books },
            Books { vault_sat: 90, unswept_sat: 10, ..books },
            Books { vault_sat: 85, reserve_sat: -10, ..books },
        ] {
            let sums = Sums::of(supply, &missing);
            assert!(sums.balanced && !sums.covered, "{missing:?}");
            assert_eq!((sums.missing_sat, sums.surplus_wei), (10, U256::ZERO), "{missing:?}");
        }
    }

    #[test]
    fn no_number_in_the_books_breaks_the_sums() {
        let all = u64::MAX;
        let books = Books {
            vault_sat: all,
            owed_sat: all,
            unminted_sat: all,
            unswept_sat: all,
            lost_sat: all,
            reserve_sat: i64::MIN,
            unclaimed_sat: all,
            covered_sat: all,
        };
        assert_eq!(Sums::of(U256::ZERO, &books).missing_sat, u64::MAX);
    }
}
