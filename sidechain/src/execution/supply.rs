//! The block rule: coins outside the Bridge, and what its books owe besides, are covered by bitcoin in the vault and by what is known to
//! be missing (docs/ledger.md, "Books").

use alloy_primitives::U256;
use contracts::{
    Books,
    coin::{GENESIS_COINS_WEI, WEI_PER_SAT},
};

/// What the rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// Coins outside the Bridge, in wei.
    pub supply: U256,
    /// Its books.
    pub books: Books,
}

impl Supply {
    /// From the Bridge's balance and the two slots of its books.
    pub fn new(balance: U256, slots: [U256; 2]) -> Self {
        // There are 21 million coins, so the Bridge cannot hold more.
        Self { supply: GENESIS_COINS_WEI.saturating_sub(balance), books: Books::from_slots(slots) }
    }

    /// supply + unclaimed + owed + reserve + unminted <= vault + unswept + lost, to the wei. (The contracts keep it equal, but for what
    /// somebody gives to the Bridge.)
    pub fn is_covered(&self) -> bool {
        // The supply is below 2^85, and four sums of satoshis below 2^100 wei: nothing overflows. The reserve alone may be negative.
        let wei_per_sat = i128::from(WEI_PER_SAT);
        let owed = self.supply.saturating_to::<i128>() + self.books.owed_in_all_sat() * wei_per_sat;
        owed <= self.books.backing_sat() * wei_per_sat
    }
}

impl std::fmt::Display for Supply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Books { vault_sat, owed_sat, unminted_sat, unswept_sat, lost_sat, reserve_sat, unclaimed_sat, .. } =
            self.books;
        write!(
            f,
            "supply {} wei + unclaimed {unclaimed_sat} + owed {owed_sat} + reserve {reserve_sat} + unminted {unminted_sat} > vault {vault_sat} + unswept {unswept_sat} + lost {lost_sat} (sat)",
            self.supply
        )
    }
}
