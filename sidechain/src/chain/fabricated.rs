//! Final blocks that nobody proposed, for tests and benchmarks of reading: as many and as full as wanted, in a moment.

use std::sync::Arc;

use alloy_consensus::{Eip658Value, Receipt as ConsensusReceipt, TxType};
use alloy_primitives::{Address, Bloom, Log};

use super::{
    open::Chain,
    receipts::{receipts_batch, stored_receipts},
    rows::{block_batch, corrupt, decode_body, stored_header},
    stored::{Finalized, Stored},
};
use crate::{
    block::{Block, Header, Receipt},
    execution::Executed,
    state::{
        Overlay,
        store::{Store, StoreError, Table},
    },
    testing::unsigned_transaction,
};

/// A block whose transactions log what is given, one entry each, and change nothing. 50,000 gas each, of 60 million.
#[must_use]
pub fn block(number: u64, logs: Vec<Vec<Log>>) -> Executed {
    let mut gas_used = 0;
    let receipt = |logs| {
        gas_used += 50_000;
        let receipt = ConsensusReceipt { status: Eip658Value::Eip658(true), cumulative_gas_used: gas_used, logs };
        Receipt::from_typed(TxType::Legacy, receipt.with_bloom())
    };
    let receipts: Vec<_> = logs.into_iter().map(receipt).collect();
    let first = number << 20;
    let transactions: Vec<_> = (first..).take(receipts.len()).map(unsigned_transaction).collect();
    let header = Header {
        number,
        timestamp: number,
        gas_used,
        gas_limit: 60_000_000,
        base_fee_per_gas: Some(1_000_000),
        logs_bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom()),
        ..Header::default()
    };
    let senders = vec![Address::ZERO; transactions.len()];
    let hash = header.hash_slow();
    Executed { hash, block: Block { header, transactions }, senders, receipts, overlay: Overlay::default() }
}

/// Writes a block as if it became final, and makes it the head of a chain that is opened later.
///
/// # Errors
///
/// When the store fails.
pub fn write<S: Store>(store: &S, executed: &Executed) -> Result<(), StoreError> {
    let mut batch = block_batch(executed);
    receipts_batch(&mut batch, executed);
    store.write(batch)
}

impl<S: Store> Chain<S> {
    /// A final block as it is decoded from its rows, whatever is in memory.
    ///
    /// # Errors
    ///
    /// When the store fails, or has no such block.
    pub fn decode_anew(&self, number: u64) -> Result<Finalized, StoreError> {
        let missing = || corrupt(Table::Body, format!("block {number} is missing"));
        let header = stored_header(&self.store, number)?.ok_or_else(missing)?;
        let body = self.store.get(Table::Body, &number.to_be_bytes())?.ok_or_else(missing)?;
        let (transactions, senders) = decode_body(&body)?;
        let hash = header.hash_slow();
        let stored = Arc::new(Stored { block: Block { header, transactions }, hash, senders });
        Ok(Finalized { stored, receipts: Arc::new(stored_receipts(&self.store, number)?) })
    }
}
