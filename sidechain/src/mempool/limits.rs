//! How much may wait, and how long.

use crate::limits::MAX_TRANSACTION_GAS;

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
    /// Gas that is run for one member a second to see whether its free transactions would succeed, and how much at once.
    pub trial_gas_per_s: u64,
    pub trial_gas_at_once: u64,
    /// A transaction that its user sends again is passed on again after so long, and twice as long each time after that.
    pub retry_after_ms: u64,
    /// A transaction that failed so often in blocks on parents that are not final is dropped; on a final parent, once suffices.
    pub failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            count: 20_000,
            bytes: 64 << 20,
            sender_count: 4_096,
            sender_bytes: 8 << 20,
            // A relayer posts a few payloads a session and follows some sessions at once.
            free_count: 64,
            free_bytes: 1 << 20,
            lifetime_ms: 3 * 60 * 60 * 1000,
            // What is missing was lost, or is on its way for seconds.
            queued_lifetime_ms: 10 * 60 * 1000,
            // A dozen blocks under load: later, the relayer looks at the ledger again and decides anew.
            free_lifetime_ms: 10_000,
            free_replace_after_ms: 1_000,
            // The largest transaction each second, and eight at once after a pause.
            trial_gas_per_s: MAX_TRANSACTION_GAS,
            trial_gas_at_once: 8 * MAX_TRANSACTION_GAS,
            // Some blocks: a retry before that brings nothing that is not on its way.
            retry_after_ms: 5_000,
            failures: 3,
        }
    }
}
