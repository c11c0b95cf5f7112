//! What each member of the federation has used of the free lane lately, so that no member has it for itself.
//!
//! A free transaction costs its sender nothing, but every node runs it before it takes it, and a proposer runs it although it
//! may fail. Three accounts for each member bound that:
//! - `new`: gas that was run for its new transactions here, outside of blocks. It falls by time, as fast as blocks may take a member's
//!   gas, so that whoever keeps to its quota waits for nothing; whoever owes more has to wait;
//! - `again`: the same for transactions that wait in the pool and are tried again on a new head. It falls more slowly: a
//!   repetition brings nothing new into a block;
//! - `spent`: gas in blocks, and of what failed when a block was made. It halves with each final block; a proposer tries first
//!   the member that spent least, so that one that always fills its quota comes last.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use super::{
    error::Refused,
    limits::{Allowance, Limits},
};

/// The members that used the lane lately; the caller lets in nobody else.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(BTreeMap<Address, Member>);

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    new: Debt,
    again: Debt,
    spent_gas: u64,
}

/// Gas that was run and is paid off by time.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    gas: u64,
    at_ms: u64,
}

impl Debt {
    /// Owes more, unless that would be more than is allowed at once.
    ///
    /// # Errors
    ///
    /// How long to wait, in milliseconds.
    fn owe(&mut self, gas: u64, allowance: &Allowance, now_ms: u64) -> Result<(), u64> {
        let paid = now_ms.saturating_sub(self.at_ms).saturating_mul(allowance.gas_per_s) / 1000;
        // Less than a unit of gas is never lost: a millisecond pays for thousands.
        self.gas = self.gas.saturating_sub(paid);
        self.at_ms = self.at_ms.max(now_ms);
        let owed = self.gas.saturating_add(gas);
        if owed > allowance.at_once {
            let over = owed - allowance.at_once;
            return Err((over.saturating_mul(1000) / allowance.gas_per_s.max(1)).saturating_add(1));
        }
        self.gas = owed;
        Ok(())
    }

    fn give_back(&mut self, gas: u64) {
        self.gas = self.gas.saturating_sub(gas);
    }
}

impl Members {
    /// Counts gas that is about to be run for a member's new transaction, if it does not owe too much with it.
    ///
    /// # Errors
    ///
    /// `TooManyTrials`: how long to wait.
    pub(super) fn owe_new(&mut self, sender: Address, gas: u64, limits: &Limits, now_ms: u64) -> Result<(), Refused> {
        let member = self.0.entry(sender).or_default();
        let owed = member.new.owe(gas, &limits.trials, now_ms);
        owed.map_err(|wait_ms| Refused::TooManyTrials { sender, wait_ms })
    }

    /// The same for one that waits in the pool; whether it may be tried again now.
    pub(super) fn owe_again(&mut self, sender: Address, gas: u64, limits: &Limits, now_ms: u64) -> bool {
        self.0.entry(sender).or_default().again.owe(gas, &limits.repeated_trials, now_ms).is_ok()
    }

    /// What was counted by `owe_new` and not used after all.
    pub(super) fn give_back_new(&mut self, sender: Address, gas: u64) {
        self.0.entry(sender).and_modify(|member| member.new.give_back(gas));
    }

    /// The same for `owe_again`.
    pub(super) fn give_back_again(&mut self, sender: Address, gas: u64) {
        self.0.entry(sender).and_modify(|member| member.again.give_back(gas));
    }

    /// A free transaction of this gas limit failed when a block was made.
    pub(super) fn failed(&mut self, sender: Address, gas: u64) {
        let member = self.0.entry(sender).or_default();
        member.spent_gas = member.spent_gas.saturating_add(gas);
        member.new.gas = member.new.gas.saturating_add(gas);
    }

    /// A final block with the gas that free transactions used in it.
    pub(super) fn on_finalized(&mut self, used: impl IntoIterator<Item = (Address, u64)>) {
        self.0.values_mut().for_each(|member| member.spent_gas /= 2);
        for (sender, gas) in used {
            let member = self.0.entry(sender).or_default();
            member.spent_gas = member.spent_gas.saturating_add(gas);
        }
        self.0.retain(|_, member| member.spent_gas > 0 || member.new.gas > 0 || member.again.gas > 0);
    }

    pub(super) fn spent(&self, sender: Address) -> u64 {
        self.0.get(&sender).map_or(0, |member| member.spent_gas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: Address = Address::repeat_byte(1);

    fn limits() -> Limits {
        let trials = Allowance { gas_per_s: 1_000_000, at_once: 3_000_000 };
        Limits { trials, repeated_trials: Allowance { gas_per_s: 1_000, at_once: 10_000 }, ..Limits::default() }
    }

    #[test]
    fn who_had_much_tried_waits_and_hears_how_long() {
        let mut members = Members::default();
        let limits = limits();
        assert_eq!(members.owe_new(MEMBER, 3_000_000, &limits, 0), Ok(()));
        let refused = members.owe_new(MEMBER, 500_000, &limits, 0);
        assert_eq!(refused, Err(Refused::TooManyTrials { sender: MEMBER, wait_ms: 501 }));
        assert_eq!(members.owe_new(MEMBER, 500_000, &limits, 501), Ok(()));
        // Another is not concerned.
        assert_eq!(members.owe_new(Address::repeat_byte(2), 3_000_000, &limits, 0), Ok(()));
    }

    #[test]
    fn what_was_not_used_is_not_owed() {
        let mut members = Members::default();
        assert_eq!(members.owe_new(MEMBER, 3_000_000, &limits(), 0), Ok(()));
        members.give_back_new(MEMBER, 2_900_000);
        assert_eq!(members.owe_new(MEMBER, 2_900_000, &limits(), 0), Ok(()));
    }

    #[test]
    fn trials_that_are_repeated_take_nothing_from_new_ones_and_have_a_bound_of_their_own() {
        let mut members = Members::default();
        let limits = limits();
        assert!(members.owe_again(MEMBER, 10_000, &limits, 0));
        assert!(!members.owe_again(MEMBER, 1, &limits, 0));
        assert_eq!(members.owe_new(MEMBER, 3_000_000, &limits, 0), Ok(()));
        assert!(members.owe_new(MEMBER, 1, &limits, 0).is_err());
        members.give_back_again(MEMBER, 5_000);
        assert!(members.owe_again(MEMBER, 5_000, &limits, 0) && !members.owe_again(MEMBER, 1, &limits, 0));
        assert!(members.owe_again(MEMBER, 1_000, &limits, 1_000), "a second later");
    }

    #[test]
    fn what_was_spent_halves_with_each_block() {
        let mut members = Members::default();
        members.on_finalized([(MEMBER, 8)]);
        members.failed(MEMBER, 2);
        assert_eq!(members.spent(MEMBER), 10);
        members.on_finalized([]);
        assert_eq!(members.spent(MEMBER), 5);
    }
}
