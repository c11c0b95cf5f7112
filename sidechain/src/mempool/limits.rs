//! How much may wait, and how long.

use crate::limits::{MAX_MEMBER_BYTES, MAX_MEMBER_TRANSACTIONS, MAX_TRANSACTION_GAS};

/// Gas that is run for one member of the federation outside of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub gas_per_s: u64,
    /// After a pause.
    pub at_once: u64,
}

/// Bounds of the pool. Bytes are those of the EIP-2718 encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Paid transactions of all senders.
    pub count: usize,
    pub bytes: usize,
    /// Paid transactions of one sender: one sender cannot fill the pool alone.
    pub sender_count: usize,
    pub sender_bytes: usize,
    /// Free transactions of one member.
    pub free_count: usize,
    pub free_bytes: usize,
    /// A paid transaction that found no block by then is dropped.
    pub lifetime_ms: u64,
    /// The same for one that waits behind a missing nonce.
    pub queued_lifetime_ms: u64,
    pub free_lifetime_ms: u64,
    /// A free transaction costs nothing to replace, so it must have had time to be proposed.
    pub free_replace_after_ms: u64,
    /// To see whether a member's new free transactions would succeed.
    pub trials: Allowance,
    /// To see whether those that wait still would, on a new head.
    pub repeated_trials: Allowance,
    /// A transaction that its user sends again is passed on again after so long, and twice as long each time after that.
    pub retry_after_ms: u64,
    /// A transaction that failed so often in blocks on parents that are not final is dropped; on a final parent, once suffices.
    pub failures: u32,
    /// A transaction that had its share of a block's time so often and was not done, although the machine was busy, is held against its
    /// sender as well: else a busy machine would run it for nothing in each of its blocks.
    pub stops: u32,
}

/// The largest transaction each second, and eight at once, however small the blocks are.
const LEAST_TRIALS: Allowance = Allowance { gas_per_s: MAX_TRANSACTION_GAS, at_once: 8 * MAX_TRANSACTION_GAS };

impl Limits {
    /// Fits what is run for a member to what blocks may take of it: `member_gas` in one block, and a block each `interval_ms`. A
    /// member that keeps to it has all its transactions run as they come; what is run beyond it could not get into blocks.
    #[must_use]
    pub fn for_lane(self, member_gas: u64, interval_ms: u64) -> Self {
        let gas_per_s = member_gas.saturating_mul(1000) / interval_ms.max(1);
        let trials = Allowance {
            gas_per_s: gas_per_s.max(LEAST_TRIALS.gas_per_s),
            at_once: member_gas.saturating_mul(2).max(LEAST_TRIALS.at_once),
        };
        Self { trials, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            count: 20_000,
            bytes: 64 << 20,
            sender_count: 4_096,
            sender_bytes: 8 << 20,
            // A member's quota in two blocks: while one becomes final here, another node may be a block further, and what a relayer
            // sends for the next must not be lost.
            free_count: 2 * MAX_MEMBER_TRANSACTIONS,
            free_bytes: 2 * MAX_MEMBER_BYTES,
            lifetime_ms: 3 * 60 * 60 * 1000,
            // What is missing was lost, or is on its way for seconds.
            queued_lifetime_ms: 10 * 60 * 1000,
            // A dozen blocks under load: later, the relayer looks at the ledger again and decides anew.
            free_lifetime_ms: 10_000,
            free_replace_after_ms: 1_000,
            trials: LEAST_TRIALS,
            // The largest transaction each second: less than that is run again for each head that is seen in a second.
            repeated_trials: Allowance { gas_per_s: MAX_TRANSACTION_GAS, at_once: 4 * MAX_TRANSACTION_GAS },
            // Some blocks: a retry before that brings nothing that is not on its way.
            retry_after_ms: 5_000,
            failures: 3,
            stops: 3,
        }
    }
}
