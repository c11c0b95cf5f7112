//! How a member's transaction says that it is free: by a price that nobody else offers. It is an ordinary EIP-1559 transaction, which every client can
//! read and run again, since no base fee is above its maximum; of what it names nothing is charged.

/// `maxFeePerGas` of a free transaction, in wei per gas: the greatest base fee that a header can have.
pub const MAX_FEE_PER_GAS: u128 = u64::MAX as u128;

/// Its `maxPriorityFeePerGas`.
pub const MAX_PRIORITY_FEE_PER_GAS: u128 = 0;
