//! What the two lanes of a block have used, and what is left in them: for all free transactions together, and for each member.
//!
//! ```text
//! gas    |<------------------------- block ------------------------->|
//!        |<------ free: half ------>|  always left for those who pay |
//!        |<- a member: half of it ->|
//! ```
//! So neither all members together can keep paying users out of a block, nor one member the others.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use super::{error::InclusionError, rules::Rules};
use crate::limits::{MAX_BLOCK_BYTES, MAX_FREE_BYTES, MAX_MEMBER_BYTES, MAX_MEMBER_TRANSACTIONS};

/// What transactions of one kind took of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    count: usize,
    gas: u64,
    bytes: usize,
}

impl Usage {
    fn add(&mut self, gas: u64, bytes: usize) {
        self.count += 1;
        self.gas += gas;
        self.bytes += bytes;
    }
}

/// What is left for one transaction.
#[derive(Clone, Copy, Debug)]
struct Left {
    gas: u64,
    bytes: usize,
}

impl Left {
    fn within(self, gas: u64, bytes: usize, used: Usage) -> Self {
        Self {
            gas: self.gas.min(gas.saturating_sub(used.gas)),
            bytes: self.bytes.min(bytes.saturating_sub(used.bytes)),
        }
    }
}

/// The room that a block has.
#[derive(Debug)]
pub(super) struct Lanes {
    gas_limit: u64,
    free_gas: u64,
    member_gas: u64,
    all: Usage,
    free: Usage,
    members: BTreeMap<Address, Usage>,
}

impl Lanes {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            gas_limit: rules.gas_limit,
            free_gas: rules.free_gas(),
            member_gas: rules.member_gas(),
            all: Usage::default(),
            free: Usage::default(),
            members: BTreeMap::new(),
        }
    }

    /// Whether not even the smallest transaction fits any more.
    pub(super) const fn is_full(&self) -> bool {
        self.gas_limit - self.all.gas < 21_000 || self.all.bytes + 100 > MAX_BLOCK_BYTES
    }

    /// Whether a transaction fits; `member` is the sender of a free one.
    ///
    /// # Errors
    ///
    /// `BlockGas`, `BlockBytes`, `MemberCount`.
    pub(super) fn check(&self, member: Option<Address>, gas: u64, bytes: usize) -> Result<(), InclusionError> {
        let used = member.map(|member| self.members.get(&member).copied().unwrap_or_default());
        if used.is_some_and(|used| used.count >= MAX_MEMBER_TRANSACTIONS) {
            return Err(InclusionError::MemberCount);
        }
        let left = self.left(used);
        if gas > left.gas {
            return Err(InclusionError::BlockGas { got: gas, left: left.gas });
        }
        if bytes > left.bytes {
            return Err(InclusionError::BlockBytes { got: bytes, left: left.bytes });
        }
        Ok(())
    }

    /// What is left for a paid transaction; or for a free one, of a member that used so much already.
    fn left(&self, used: Option<Usage>) -> Left {
        let block = Left { gas: self.gas_limit - self.all.gas, bytes: MAX_BLOCK_BYTES - self.all.bytes };
        match used {
            None => block,
            Some(used) => {
                block.within(self.free_gas, MAX_FREE_BYTES, self.free).within(self.member_gas, MAX_MEMBER_BYTES, used)
            }
        }
    }

    /// Counts a transaction that was included.
    pub(super) fn add(&mut self, member: Option<Address>, gas_used: u64, bytes: usize) {
        self.all.add(gas_used, bytes);
        if let Some(member) = member {
            self.free.add(gas_used, bytes);
            self.members.entry(member).or_default().add(gas_used, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: Address = Address::repeat_byte(1);
    const OTHER: Address = Address::repeat_byte(2);

    fn lanes(gas_limit: u64) -> Lanes {
        Lanes::new(&Rules { chain_id: 1, gas_limit, members: [MEMBER, OTHER].into() })
    }

    #[test]
    fn every_free_transaction_that_may_be_sent_fits_into_an_empty_block() {
        for gas_limit in [34_000_000, 60_000_000, 400_000_000] {
            let lanes = lanes(gas_limit);
            lanes
                .check(Some(MEMBER), crate::limits::MAX_TRANSACTION_GAS, crate::limits::MAX_TRANSACTION_BYTES)
                .unwrap_or_else(|error| panic!("{gas_limit}: {error}"));
        }
    }

    #[test]
    fn one_member_leaves_room_for_another_and_both_for_who_pays() {
        let mut lanes = lanes(60_000_000);
        lanes.add(Some(MEMBER), 1 << 24, MAX_MEMBER_BYTES);
        assert_eq!(lanes.check(Some(MEMBER), 1, 1), Err(InclusionError::BlockGas { got: 1, left: 0 }));
        assert_eq!(lanes.check(Some(OTHER), 30_000_000 - (1 << 24), MAX_MEMBER_BYTES), Ok(()));
        lanes.add(Some(OTHER), 30_000_000 - (1 << 24), MAX_MEMBER_BYTES);
        assert!(lanes.check(Some(OTHER), 21_000, 1).is_err());
        assert_eq!(lanes.check(None, 30_000_000, MAX_BLOCK_BYTES - MAX_FREE_BYTES), Ok(()));
    }

    #[test]
    fn small_ones_are_counted() {
        let mut lanes = lanes(60_000_000);
        (0..MAX_MEMBER_TRANSACTIONS).for_each(|_| lanes.add(Some(MEMBER), 21_000, 100));
        assert_eq!(lanes.check(Some(MEMBER), 21_000, 100), Err(InclusionError::MemberCount));
        assert_eq!(lanes.check(Some(OTHER), 21_000, 100), Ok(()));
    }
}
