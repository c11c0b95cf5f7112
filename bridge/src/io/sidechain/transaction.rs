//! What a transaction does, what it pays, and how it is told apart on its way.

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use api::free_lane;

/// Largest gas limit of a transaction (EIP-7825).
pub const MAX_GAS: u64 = 1 << 24;

/// The target and content of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// None creates a contract.
    pub to: Option<Address>,
    /// Wei.
    pub value: U256,
    pub input: Bytes,
}

/// Prices of a transaction's gas (EIP-1559), in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The most that is paid, base fee included.
    pub max_fee: u128,
    /// The most that the proposer of the block gets.
    pub priority_fee: u128,
}

/// A transaction on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub hash: B256,
    pub sender: Address,
    pub nonce: u64,
    /// EIP-2718 bytes.
    pub raw: Bytes,
}

impl Call {
    /// Calls a contract without value.
    #[must_use]
    pub fn new<C: SolCall>(to: Address, call: &C) -> Self {
        Self { to: Some(to), value: U256::ZERO, input: call.abi_encode().into() }
    }

    /// Sends coins.
    #[must_use]
    pub fn transfer(to: Address, value: U256) -> Self {
        Self { to: Some(to), value, input: Bytes::new() }
    }

    #[must_use]
    pub fn with_value(self, value: U256) -> Self {
        Self { value, ..self }
    }
}

impl Fees {
    /// The federation's free lane: nothing is charged of what these say.
    pub const FREE: Self =
        Self { max_fee: free_lane::MAX_FEE_PER_GAS, priority_fee: free_lane::MAX_PRIORITY_FEE_PER_GAS };

    /// What a signed transaction offers.
    #[must_use]
    pub fn of(transaction: &impl Transaction) -> Self {
        Self { max_fee: transaction.max_fee_per_gas(), priority_fee: transaction.priority_fee_or_price() }
    }

    /// The most that so much gas costs, in wei.
    #[must_use]
    pub fn cost(self, gas: u64) -> U256 {
        if self == Self::FREE { U256::ZERO } else { U256::from(gas) * U256::from(self.max_fee) }
    }
}
