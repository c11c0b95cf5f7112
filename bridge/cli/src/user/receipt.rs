//! What a transaction did, by the events of its receipt.

use alloy_primitives::Address;
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolEvent;
use eyre::{Result, eyre};

/// The event that the contract at `emitter` must have emitted.
///
/// # Errors
///
/// It emitted no such event.
pub fn emitted<E: SolEvent>(receipt: &TransactionReceipt, emitter: Address) -> Result<E> {
    let logs = receipt.inner.logs().iter().filter(|log| log.inner.address == emitter);
    let found = logs.filter_map(|log| E::decode_log(&log.inner).ok()).next();
    let hash = receipt.transaction_hash;
    Ok(found.ok_or_else(|| eyre!("transaction {hash} succeeded, but did not do what it should"))?.data)
}
