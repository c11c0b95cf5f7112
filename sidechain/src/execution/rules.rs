//! What the blocks of one network may hold, and who may use the free lane.

use std::collections::BTreeSet;

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;

use super::error::InclusionError;
use super::free_calls::{FREE_CONTRACTS, is_free_call};
use crate::{block::Transaction, limits::MAX_TRANSACTION_GAS};

/// What the blocks of one network may do; from genesis.
#[derive(Clone, Debug)]
pub struct Rules {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Gas of a block.
    pub gas_limit: u64,
    /// Accounts that may use the free lane.
    pub members: BTreeSet<Address>,
}

impl Rules {
    /// Gas of free transactions in one block: half of it, so that paying users always find room.
    pub const fn free_gas(&self) -> u64 {
        self.gas_limit / 2
    }

    /// Gas of one member's free transactions in one block: half of the lane, so that one member leaves room for the others, but
    /// enough for the largest transaction.
    pub fn member_gas(&self) -> u64 {
        (self.free_gas() / 2).max(MAX_TRANSACTION_GAS).min(self.free_gas())
    }
}

/// Why the free lane is not for a transaction, first of all.
pub const NO_MEMBER: &str = "the sender is not a member";

/// Whether a transaction that asks for the free lane may use it, apart from its success.
///
/// # Errors
///
/// `NotFree`.
pub fn check_free(rules: &Rules, transaction: &Transaction) -> Result<(), InclusionError> {
    let refuse = |reason| Err(InclusionError::NotFree(reason));
    if !rules.members.contains(&transaction.signer()) {
        return refuse(NO_MEMBER);
    }
    let Some(to) = transaction.to().filter(|to| FREE_CONTRACTS.contains(to)) else {
        return refuse("the receiver is not a contract of the peg");
    };
    if !transaction.value().is_zero() {
        return refuse("it sends value");
    }
    // Kept for ever like the input, and of no use: what is called knows which slots it reads.
    if transaction.access_list().is_some_and(|list| !list.is_empty()) {
        return refuse("it has an access list");
    }
    if !is_free_call(to, transaction.input()) {
        return refuse("its input is none of the free calls, as they are encoded");
    }
    Ok(())
}
