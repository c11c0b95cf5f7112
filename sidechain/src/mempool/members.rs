//! What each member of the federation has used of the free lane lately, so that no member has it for itself.
//!
//! A free transaction costs its sender nothing, but every node runs it before it takes it, and a proposer runs it although it
//! may fail. Two accounts for each member bound that:
//! - `owed`: gas that was run for it here outside of blocks. It falls by time; whoever owes too much has to wait;
//! - `spent`: gas in blocks, and of what failed when a block was made. It halves with each final block; a proposer tries first
//!   the member that spent least, so that one that always fills its quota comes last.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use super::{error::Refused, limits::Limits};

/// The members that used the lane lately; the caller lets in nobody else.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(BTreeMap<Address, Member>);

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    owed_gas: u64,
    owed_at_ms: u64,
    spent_gas: u64,
}

impl Member {
    /// Lets what is owed fall until `now_ms`.
    fn settle(&mut self, gas_per_s: u64, now_ms: u64) {
        let paid = now_ms.saturating_sub(self.owed_at_ms).saturating_mul(gas_per_s) / 1000;
        // Less than a unit of gas is never lost: a millisecond pays for thousands.
        self.owed_gas = self.owed_gas.saturating_sub(paid);
        self.owed_at_ms = self.owed_at_ms.max(now_ms);
    }
}

impl Members {
    /// Counts gas that is about to be run for a member, if it does not owe more than `most` with it.
    ///
    /// # Errors
    ///
    /// `TooManyTrials`: how long to wait.
    pub(super) fn owe(
        &mut self,
        sender: Address,
        gas: u64,
        most: u64,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<(), Refused> {
        let member = self.0.entry(sender).or_default();
        member.settle(limits.trial_gas_per_s, now_ms);
        let owed = member.owed_gas.saturating_add(gas);
        if owed > most {
            let wait_ms = ((owed - most).saturating_mul(1000) / limits.trial_gas_per_s.max(1)).saturating_add(1);
            return Err(Refused::TooManyTrials { sender, wait_ms });
        }
        member.owed_gas = owed;
        Ok(())
    }

    /// What was counted by `owe` and not used after all.
    pub(super) fn give_back(&mut self, sender: Address, gas: u64) {
        if let Some(member) = self.0.get_mut(&sender) {
            member.owed_gas = member.owed_gas.saturating_sub(gas);
        }
    }

    /// A free transaction of this gas limit failed when a block was made.
    pub(super) fn failed(&mut self, sender: Address, gas: u64) {
        let member = self.0.entry(sender).or_default();
        member.spent_gas = member.spent_gas.saturating_add(gas);
        member.owed_gas = member.owed_gas.saturating_add(gas);
    }

    /// A final block with the gas that free transactions used in it.
    pub(super) fn on_finalized(&mut self, used: impl IntoIterator<Item = (Address, u64)>) {
        self.0.values_mut().for_each(|member| member.spent_gas /= 2);
        for (sender, gas) in used {
            let member = self.0.entry(sender).or_default();
            member.spent_gas = member.spent_gas.saturating_add(gas);
        }
        self.0.retain(|_, member| member.spent_gas > 0 || member.owed_gas > 0);
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
        Limits { trial_gas_per_s: 1_000_000, ..Limits::default() }
    }

    #[test]
    fn who_had_much_tried_waits_and_hears_how_long() {
        let mut members = Members::default();
        let limits = limits();
        assert_eq!(members.owe(MEMBER, 3_000_000, 3_000_000, &limits, 0), Ok(()));
        let refused = members.owe(MEMBER, 500_000, 3_000_000, &limits, 0);
        assert_eq!(refused, Err(Refused::TooManyTrials { sender: MEMBER, wait_ms: 501 }));
        assert_eq!(members.owe(MEMBER, 500_000, 3_000_000, &limits, 501), Ok(()));
        // Another is not concerned.
        assert_eq!(members.owe(Address::repeat_byte(2), 3_000_000, 3_000_000, &limits, 0), Ok(()));
    }

    #[test]
    fn what_was_not_used_is_not_owed() {
        let mut members = Members::default();
        assert_eq!(members.owe(MEMBER, 3_000_000, 3_000_000, &limits(), 0), Ok(()));
        members.give_back(MEMBER, 2_900_000);
        assert_eq!(members.owe(MEMBER, 2_900_000, 3_000_000, &limits(), 0), Ok(()));
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
