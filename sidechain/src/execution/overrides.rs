//! What a call is tried with in the place of what is there: accounts, and the block it runs in.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::{
    block::Header,
    state::{StateReader, Working, store::StoreError},
};

/// Accounts and block as whoever tries a call would like them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub accounts: BTreeMap<Address, AccountOverride>,
    pub block: BlockOverride,
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
            let AccountOverride { nonce, balance, code, is_whole, slots } = account;
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
