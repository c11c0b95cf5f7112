//! The supply invariant: coins outside the Bridge are covered by bitcoin in the vault.

use alloy_primitives::U256;
use contracts::{
    Ledger,
    coin::{GENESIS_COINS_WEI, wei},
};

/// What the supply invariant is about, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// Coins outside the Bridge.
    pub supply: U256,
    /// Settled vault outputs.
    pub vault: U256,
    /// Queued and paying withdrawals.
    pub owed: U256,
    /// Fees held.
    pub held: U256,
    /// Recorded deficit.
    pub deficit: U256,
}

impl Supply {
    /// From the Bridge's balance and its slot 0: vault, owed, held and deficit in sat, 64 bits each from the low end.
    pub fn new(balance: U256, ledger: U256) -> Self {
        let ledger = Ledger::from_slot(ledger);
        Self {
            // There are 21 million coins, so the Bridge cannot hold more.
            supply: GENESIS_COINS_WEI.saturating_sub(balance),
            vault: wei(ledger.vault_sat),
            owed: wei(ledger.owed_sat),
            held: wei(ledger.held_sat),
            deficit: wei(ledger.deficit_sat),
        }
    }

    /// Coins outside the Bridge + withdrawals owed + fees held <= vault outputs + recorded deficits.
    pub fn is_covered(&self) -> bool {
        self.supply + self.owed + self.held <= self.vault + self.deficit
    }
}

impl std::fmt::Display for Supply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { supply, vault, owed, held, deficit } = self;
        write!(f, "supply {supply} + owed {owed} + held {held} > vault {vault} + deficit {deficit} (wei)")
    }
}
