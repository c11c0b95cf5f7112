//! What a call is tried with in the place of what is there: accounts, and the block it runs in.
//!
//! Precompiles as geth has it: an account that is given code is none any more; what one is moved to (`movePrecompileToAddress` of `eth_simulateV1`,
//! ethereum/execution-apis) has no override of its own; and of two that are moved to one address the last counts.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};

use super::{moved_precompiles::MovedPrecompiles, precompiles::is_precompile};
use crate::{
    block::Header,
    state::{StateReader, Working, store::StoreError},
};

/// Accounts and block as whoever tries a call would like them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub accounts: BTreeMap<Address, AccountOverride>,
    /// What follows from the accounts.
    pub precompiles: MovedPrecompiles,
    pub block: BlockOverride,
}

/// Why a precompile cannot be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    #[error("account {0} is not a precompile")]
    NoPrecompile(Address),
    #[error("precompile {0} is moved to itself")]
    ToItself(Address),
    #[error("account {0} is already overridden")]
    Overridden(Address),
}

/// What is another one of an account; the rest stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOverride {
    pub nonce: Option<u64>,
    pub balance: Option<U256>,
    pub code: Option<Bytes>,
    /// Whether slots that are not named are empty.
    pub is_whole: bool,
    pub slots: BTreeMap<U256, U256>,
    /// Where the precompile that the account is answers instead.
    pub precompile_to: Option<Address>,
}

/// What is another one of the block's header; the rest stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockOverride {
    pub number: Option<u64>,
    pub timestamp: Option<u64>,
    pub gas_limit: Option<u64>,
    pub beneficiary: Option<Address>,
    pub random: Option<B256>,
    pub base_fee: Option<u64>,
}

impl Overrides {
    /// These accounts in this block.
    ///
    /// # Errors
    ///
    /// What is moved is no precompile, or it is moved to where it is, or to an account that is overridden.
    pub fn new(accounts: BTreeMap<Address, AccountOverride>, block: BlockOverride) -> Result<Self, MoveError> {
        let mut precompiles = MovedPrecompiles::default();
        for (address, account) in &accounts {
            if let Some(to) = account.precompile_to {
                check_move(&accounts, *address, to)?;
                precompiles.put(to, Some(*address));
            }
            if is_precompile(address) && (account.precompile_to.is_some() || account.code.is_some()) {
                precompiles.put(*address, None);
            }
        }
        Ok(Self { accounts, precompiles, block })
    }

    /// The header that the call sees.
    #[must_use]
    pub fn header(&self, header: Header) -> Header {
        let BlockOverride { number, timestamp, gas_limit, beneficiary, random, base_fee } = self.block;
        Header {
            number: number.unwrap_or(header.number),
            timestamp: timestamp.unwrap_or(header.timestamp),
            gas_limit: gas_limit.unwrap_or(header.gas_limit),
            beneficiary: beneficiary.unwrap_or(header.beneficiary),
            mix_hash: random.unwrap_or(header.mix_hash),
            base_fee_per_gas: base_fee.or(header.base_fee_per_gas),
            ..header
        }
    }

    /// Puts the accounts into a state that nothing was done on yet.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn apply<R: StateReader>(&self, working: &mut Working<'_, R>) -> Result<(), StoreError> {
        for (address, account) in &self.accounts {
            let AccountOverride { nonce, balance, code, is_whole, slots, precompile_to: _ } = account;
            working.replace(*address, *nonce, *balance, code.clone())?;
            if *is_whole {
                working.clear_storage(*address)?;
            }
            for (slot, value) in slots {
                working.set_storage(*address, *slot, *value)?;
            }
        }
        Ok(())
    }
}

fn check_move(accounts: &BTreeMap<Address, AccountOverride>, from: Address, to: Address) -> Result<(), MoveError> {
    if !is_precompile(&from) {
        Err(MoveError::NoPrecompile(from))
    } else if from == to {
        Err(MoveError::ToItself(from))
    } else if accounts.contains_key(&to) {
        Err(MoveError::Overridden(to))
    } else {
        Ok(())
    }
}
