//! Why the pool does not take a transaction.

use alloy_primitives::{Address, U256};

use crate::geth;
use crate::limits::{MAX_TRANSACTION_BYTES, MIN_BASE_FEE};

/// Whoever offers nothing may look for the free lane.
const FREE_CALLS: &str =
    "; a member's free call has type 2, maxFeePerGas 0xffffffffffffffff and maxPriorityFeePerGas 0x0";

/// Why the pool did not take a transaction; nothing changed. The wording is geth's where clients look for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{}", geth::ALREADY_KNOWN)]
    AlreadyKnown,
    #[error("{}: next nonce {next}, tx nonce {got}", geth::NONCE_TOO_LOW)]
    NonceTooLow { next: u64, got: u64 },
    #[error("{}: next nonce {next}, tx nonce {got}, at most {limit} ahead", geth::NONCE_TOO_HIGH)]
    NonceTooHigh { next: u64, got: u64, limit: usize },
    #[error("{}: balance {balance}, queued cost {queued}, tx cost {cost}", geth::INSUFFICIENT_FUNDS)]
    InsufficientFunds { balance: U256, queued: U256, cost: U256 },
    #[error("{}: max fee and tip must rise by 10% from {max_fee} and {tip} wei", geth::REPLACE_UNDERPRICED)]
    ReplacementUnderpriced { max_fee: u128, tip: u128 },
    #[error(
        "replacement transaction too early: the free transaction with this nonce is {age_ms} ms old, wait until it is {wanted_ms}"
    )]
    ReplacementTooEarly { age_ms: u64, wanted_ms: u64 },
    /// EIP-7702: others may spend the balance, so more than one could become unpayable at once.
    #[error("{}: {sender} is or becomes delegated and has one already", geth::IN_FLIGHT_LIMIT)]
    DelegatedFull { sender: Address },
    #[error("{}: next nonce {next}, tx nonce {got}", geth::OUT_OF_ORDER)]
    DelegatedGap { next: u64, got: u64 },
    #[error("{}: {authority} has more than one pending transaction", geth::AUTHORITY_RESERVED)]
    AuthorityReserved { authority: Address },
    /// EIP-3607.
    #[error("{}: {sender} has code", geth::SENDER_NO_EOA)]
    SenderIsContract { sender: Address },
    #[error("too many free transactions of {sender} were tried lately: wait {wait_ms} ms")]
    TooManyTrials { sender: Address, wait_ms: u64 },
    #[error(
        "{}: max fee {max_fee} wei per gas, the base fee is never below {MIN_BASE_FEE}{}",
        geth::UNDERPRICED,
        if *max_fee == 0 { FREE_CALLS } else { "" }
    )]
    Underpriced { max_fee: u128 },
    #[error("{}: transaction size {got}, limit {MAX_TRANSACTION_BYTES}", geth::OVERSIZED)]
    TooLarge { got: usize },
    #[error("too many pending transactions of {sender}: limit {count} transactions or {bytes} bytes")]
    SenderFull { sender: Address, count: usize, bytes: usize },
    #[error("{sender} is held back for {left_ms} ms more: a transaction of it took longer than a block has time for")]
    Held { sender: Address, left_ms: u64 },
    #[error("{}: a higher gas price than {cheapest} wei is needed", geth::POOL_FULL)]
    Full { cheapest: u128 },
}
