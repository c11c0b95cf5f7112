//! The bridge's four balances, as its storage has them.

use alloy_primitives::U256;

/// Amounts in satoshi. Invariant: supply + owed + held <= vault + deficit, where supply is 21,000,000 coins less the bridge's balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// In settled vault outputs.
    pub vault_sat: u64,
    /// To withdrawals that are queued or being paid.
    pub owed_sat: u64,
    /// Reserve for vault transactions without participants.
    pub held_sat: u64,
    /// Lost by reorganisations and not covered yet.
    pub deficit_sat: u64,
}

impl Ledger {
    /// The storage slot of the bridge that holds all four amounts.
    pub const SLOT: U256 = U256::ZERO;

    pub fn from_slot(word: U256) -> Self {
        let [vault_sat, owed_sat, held_sat, deficit_sat] = word.into_limbs();
        Self { vault_sat, owed_sat, held_sat, deficit_sat }
    }

    /// Whether this many satoshis may be outside the bridge.
    pub fn covers(&self, supply_sat: u128) -> bool {
        let owed = supply_sat + u128::from(self.owed_sat) + u128::from(self.held_sat);
        owed <= u128::from(self.vault_sat) + u128::from(self.deficit_sat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_holds_vault_owed_held_and_deficit_from_the_low_bytes() {
        let word = U256::from_limbs([4, 3, 2, 1]);
        let ledger = Ledger::from_slot(word);
        assert_eq!((ledger.vault_sat, ledger.owed_sat, ledger.held_sat, ledger.deficit_sat), (4, 3, 2, 1));
        assert!(ledger.covers(0));
        assert!(!ledger.covers(1));
    }
}
