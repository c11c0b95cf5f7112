//! How much there is of what the federation works on, for the operator's monitoring. It is counted, and nothing is decided by it.

use std::collections::BTreeMap;

use super::facts::BitcoinView;
use super::view::LedgerView;
use crate::peg::{DepositStatus, VaultStatus};

/// Numbers of one round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The last block of the ledger that was read.
    pub height: u64,
    /// Its time, in seconds since 1970.
    pub time_s: u64,
    /// Height of the best Bitcoin header that the ledger has.
    pub light_height: u32,
    /// Unspent outputs that pay a registered address, by its own bitcoind.
    pub deposits_seen: usize,
    /// Deposits in the ledger that are not over, by where they stand.
    pub deposits: BTreeMap<&'static str, usize>,
    /// Vault transactions that are not over, by where they stand.
    pub vault_transactions: BTreeMap<&'static str, usize>,
    /// How long the oldest that is bound, could confirm and is not settled has waited, in seconds.
    pub oldest_bound_s: u64,
    pub proposals: usize,
    pub withdrawals: usize,
    /// Whether the key of the current epoch is in force.
    pub has_key: bool,
}

impl Tally {
    /// Counts.
    #[must_use]
    pub fn of(ledger: &LedgerView, bitcoin: Option<&BitcoinView>) -> Self {
        let mut deposits = BTreeMap::from(["proven", "swept", "minted", "gone"].map(|state| (state, 0)));
        for deposit in ledger.deposits.values() {
            *deposits.entry(deposit_state(deposit.status)).or_default() += 1;
        }
        let mut vault_transactions = BTreeMap::from(["bound", "settled", "void"].map(|state| (state, 0)));
        for entry in ledger.entries.values() {
            *vault_transactions.entry(vault_state(entry.status)).or_default() += 1;
        }
        let waiting = ledger.entries.values().filter(|entry| ledger.may_confirm(entry));
        let oldest_s = waiting.map(|entry| entry.bound_in.time_s).min();
        Self {
            height: ledger.head.number,
            time_s: ledger.head.time_s,
            light_height: ledger.light().height,
            deposits_seen: bitcoin.map_or(0, |bitcoin| bitcoin.tracked.len()),
            deposits,
            vault_transactions,
            oldest_bound_s: oldest_s.map_or(0, |bound_s| ledger.head.time_s.saturating_sub(bound_s)),
            proposals: ledger.proposals.len(),
            withdrawals: ledger.withdrawals.len(),
            has_key: ledger.key_is_active(),
        }
    }
}

const fn deposit_state(status: DepositStatus) -> &'static str {
    match status {
        DepositStatus::Proven => "proven",
        DepositStatus::Swept => "swept",
        DepositStatus::Minted => "minted",
        DepositStatus::Gone => "gone",
    }
}

const fn vault_state(status: VaultStatus) -> &'static str {
    match status {
        VaultStatus::Bound => "bound",
        VaultStatus::Settled => "settled",
        VaultStatus::Void => "void",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::example;
    use crate::relay::places::Place;

    #[test]
    fn what_waits_is_counted_by_where_it_stands_and_the_oldest_by_its_age() {
        let (mut ledger, mut bitcoin) = (example::ledger(200), example::bitcoin(200, &[]));
        let outpoint = example::outpoint(1);
        let deposits = BTreeMap::from([(outpoint, example::deposit(190))]);
        ledger.deposits = deposits.into();
        let content = example::content(1_000, &[outpoint], &[], &[]);
        let mut entry = example::entry(&ledger, content);
        ledger.head.time_s = 100;
        entry.bound_in.time_s = 10;
        example::with_entries(&mut ledger, &mut bitcoin, &[(1, entry, Place::Mempool)]);
        let tally = Tally::of(&ledger, Some(&bitcoin));
        assert_eq!((tally.oldest_bound_s, tally.vault_transactions["bound"], tally.light_height), (90, 1, 200));
        assert_eq!(tally.deposits.values().sum::<usize>(), 1, "{tally:?}");
        assert_eq!(Tally::of(&example::ledger(200), None).oldest_bound_s, 0, "nothing waits");
    }
}
