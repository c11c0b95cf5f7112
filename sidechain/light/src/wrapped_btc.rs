//! Balances of the contract `WrappedBtc`, by a proof of its storage.

use alloy_primitives::{Address, U256};
use contracts::layout::wrapped_btc::BALANCE_OF;
use contracts::storage::entry;

/// The slot of `WrappedBtc` that holds what an account has, in wei: what to ask `eth_getProof` for.
#[must_use]
pub fn balance_slot(account: Address) -> U256 {
    entry(U256::from(BALANCE_OF), account.into_word())
}
