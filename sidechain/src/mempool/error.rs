//! Why the pool does not take a transaction.

use alloy_primitives::{Address, U256};

use crate::limits::{MAX_TRANSACTION_BYTES, MIN_BASE_FEE};

/// Whoever offers nothing may look for the free lane.
const FREE_CALLS: &str =
    "; a member's free call has type 2, maxFeePerGas 0xffffffffffffffff and maxPriorityFeePerGas 0x0";

/// Why the pool did not take a transaction; nothing changed. The wording is geth's where clients look for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("already known")]
    AlreadyKnown,
    #[error("nonce too low: next nonce {next}, tx nonce {got}")]
    NonceTooLow { next: u64, got: u64 },
    #[error("nonce too high: next nonce {next}, tx nonce {got}, at most {limit} ahead")]
    NonceTooHigh { next: u64, got: u64, limit: usize },
    #[error("insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}")]
    InsufficientFunds { balance: U256, queued: U256, cost: U256 },
    #[error("replacement transaction underpriced: max fee and tip must rise by 10% from {max_fee} and {tip} wei")]
    ReplacementUnderpriced { max_fee: u128, tip: u128 },
    #[error(
        "replacement transaction too early: the free transaction with this nonce is {age_ms} ms old, wait until it is {wanted_ms}"
    )]
    ReplacementTooEarly { age_ms: u64, wanted_ms: u64 },
    /// EIP-7702: others may spend the balance, so more than one could become unpayable at once.
    #[error(
        "in-flight transaction limit reached for delegated accounts: {sender} is or becomes delegated and has one already"
    )]
    DelegatedFull { sender: Address },
    #[error("gapped-nonce tx from delegated accounts: next nonce {next}, tx nonce {got}")]
    DelegatedGap { next: u64, got: u64 },
    #[error("authority already reserved: {authority} has more than one pending transaction")]
    AuthorityReserved { authority: Address },
    /// EIP-3607.
    #[error("sender not an eoa: {sender} has code")]
    SenderIsContract { sender: Address },
    #[error("too many free transactions of {sender} were tried lately: wait {wait_ms} ms")]
    TooManyTrials { sender: Address, wait_ms: u64 },
    #[error(
        "transaction underpriced: max fee {max_fee} wei per gas, the base fee is never below {MIN_BASE_FEE}{}",
        if *max_fee == 0 { FREE_CALLS } else { "" }
    )]
    Underpriced { max_fee: u128 },
    #[error("oversized data: transaction size {got}, limit {MAX_TRANSACTION_BYTES}")]
    TooLarge { got: usize },
    #[error("too many pending transactions of {sender}: limit {count} transactions or {bytes} bytes")]
    SenderFull { sender: Address, count: usize, bytes: usize },
    #[error("{sender} is held back for {left_ms} ms more: a transaction of it took longer than a block has time for")]
    Held { sender: Address, left_ms: u64 },
    #[error("txpool is full: a higher gas price than {cheapest} wei is needed")]
    Full { cheapest: u128 },
}
