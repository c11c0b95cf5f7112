//! The peg's books, as the Bridge's storage has them.

use alloy_primitives::U256;

use crate::layout::bridge::{BOOKS, books};
use crate::storage::{Field, slots_from};

/// Amounts in satoshi. Invariant: supply + owed + reserve + unminted = vault + unswept + lost, where supply is 21,000,000 coins less
/// the Bridge's balance, and the unclaimed besides (docs/ledger.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// In live vault outputs.
    pub vault_sat: u64,
    /// To withdrawals that are queued or tied.
    pub owed_sat: u64,
    /// Brought by swept deposits that are not minted yet.
    pub unminted_sat: u64,
    /// Minted for deposits that nothing settled sweeps at the moment, less what was covered.
    pub unswept_sat: u64,
    /// Minted for deposits that are gone, and vault outputs that are gone, less what was covered or recovered.
    pub lost_sat: u64,
    /// For what fees do not pay; negative while overdrawn.
    pub reserve_sat: i64,
    /// Coins that are somebody's and still in the Bridge.
    pub unclaimed_sat: u64,
    /// Cover in force for what is unswept.
    pub covered_sat: u64,
}

const _: () = assert!(books::SLOTS == 2);

impl Books {
    /// The storage slots of the Bridge that hold them.
    #[must_use]
    pub fn slots() -> [U256; 2] {
        slots_from(U256::from(BOOKS))
    }

    /// From those slots.
    #[must_use]
    pub fn from_slots(slots: [U256; 2]) -> Self {
        let sat = |field: Field| field.in_slots(&slots).map_or(0, |amount| amount.saturating_to::<u64>());
        Self {
            vault_sat: sat(books::VAULT),
            owed_sat: sat(books::OWED),
            unminted_sat: sat(books::UNMINTED),
            unswept_sat: sat(books::UNSWEPT),
            lost_sat: sat(books::LOST),
            reserve_sat: sat(books::RESERVE).cast_signed(),
            unclaimed_sat: sat(books::UNCLAIMED),
            covered_sat: sat(books::COVERED),
        }
    }

    /// The two slots that hold them.
    #[must_use]
    pub fn to_slots(&self) -> [U256; 2] {
        let fields = [
            (books::VAULT, self.vault_sat),
            (books::OWED, self.owed_sat),
            (books::UNMINTED, self.unminted_sat),
            (books::UNSWEPT, self.unswept_sat),
            (books::LOST, self.lost_sat),
            (books::RESERVE, self.reserve_sat.cast_unsigned()),
            (books::UNCLAIMED, self.unclaimed_sat),
            (books::COVERED, self.covered_sat),
        ];
        let mut slots = [U256::ZERO; 2];
        for (field, sat) in fields {
            slots[usize::from(field.slot == 1)] |= U256::from(sat) << (8 * field.offset as usize);
        }
        slots
    }

    /// What they owe besides the coins outside the Bridge: to withdrawals, to depositors, to the reserve, to who can claim.
    #[must_use]
    pub fn owed_in_all_sat(&self) -> i128 {
        i128::from(self.owed_sat)
            + i128::from(self.unclaimed_sat)
            + i128::from(self.unminted_sat)
            + i128::from(self.reserve_sat)
    }

    /// What stands for the coins: bitcoin in the vault, and what is known to be missing.
    #[must_use]
    pub fn backing_sat(&self) -> i128 {
        i128::from(self.vault_sat) + i128::from(self.unswept_sat) + i128::from(self.lost_sat)
    }

    /// Whether this many satoshis may be outside the Bridge.
    #[must_use]
    pub fn covers(&self, supply_sat: u64) -> bool {
        i128::from(supply_sat) + self.owed_in_all_sat() <= self.backing_sat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_hold_the_eight_amounts_from_the_low_bytes() {
        let reserve = (-6i64).cast_unsigned();
        let books = Books::from_slots([U256::from_limbs([1, 2, 3, 4]), U256::from_limbs([5, reserve, 7, 8])]);
        let want = Books {
            vault_sat: 1,
            owed_sat: 2,
            unminted_sat: 3,
            unswept_sat: 4,
            lost_sat: 5,
            reserve_sat: -6,
            unclaimed_sat: 7,
            covered_sat: 8,
        };
        assert_eq!(books, want);
        assert_eq!(Books::from_slots(want.to_slots()), want);
    }

    #[test]
    fn an_overdrawn_reserve_covers_what_was_paid_too_much_and_no_satoshi_more() {
        let books = Books { vault_sat: 100, owed_sat: 30, reserve_sat: -5, ..Books::default() };
        assert!(books.covers(75));
        assert!(!books.covers(76));
        let full = Books { vault_sat: u64::MAX, unswept_sat: u64::MAX, lost_sat: u64::MAX, ..Books::default() };
        assert!(full.covers(u64::MAX));
    }
}
