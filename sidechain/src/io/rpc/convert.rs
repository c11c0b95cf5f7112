//! From the chain's types to Ethereum's JSON.

use alloy_consensus::Transaction as _;
use alloy_consensus::transaction::Recovered;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{Block as RpcBlock, BlockTransactions, Header as RpcHeader, Log as RpcLog};
use alloy_rpc_types_eth::{Transaction as RpcTransaction, TransactionReceipt};

use crate::block::{Header, Receipt, Transaction, TxEnvelope};
use crate::chain::{Finalized, LogEntry, LogFilter, Stored};

pub fn block(stored: Stored, full: bool) -> RpcBlock {
    let size = stored.block.length();
    let Stored { block, hash, senders } = stored;
    let transactions = if full {
        let transactions = block.transactions.into_iter().zip(senders).enumerate();
        let place = |index| Place { header: &block.header, hash, index };
        BlockTransactions::Full(
            transactions
                .map(|(index, (transaction, sender))| {
                    place(index).transaction(Recovered::new_unchecked(transaction, sender))
                })
                .collect(),
        )
    } else {
        BlockTransactions::Hashes(block.transactions.iter().map(|transaction| *transaction.tx_hash()).collect())
    };
    let withdrawals = block.header.withdrawals_root.map(|_| Withdrawals::default());
    RpcBlock {
        header: RpcHeader { size: Some(U256::from(size)), ..header(block.header, hash) },
        uncles: Vec::new(),
        transactions,
        withdrawals,
    }
}

pub fn header(header: Header, hash: B256) -> RpcHeader {
    RpcHeader { hash, inner: header, total_difficulty: None, size: None }
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub header: &'a Header,
    pub hash: B256,
    pub index: usize,
}

impl Place<'_> {
    pub fn transaction(self, transaction: Transaction) -> RpcTransaction {
        RpcTransaction {
            block_hash: Some(self.hash),
            block_number: Some(self.header.number),
            transaction_index: Some(self.index as u64),
            effective_gas_price: Some(transaction.effective_gas_price(self.header.base_fee_per_gas)),
            block_timestamp: Some(self.header.timestamp),
            inner: transaction,
        }
    }
}

/// A transaction of the pool.
pub fn pending(transaction: Transaction) -> RpcTransaction {
    RpcTransaction {
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: None,
        block_timestamp: None,
        inner: transaction,
    }
}

/// All receipts of a block, in order.
pub fn receipts(stored: &Stored, receipts: Vec<Receipt>) -> Vec<TransactionReceipt> {
    let (mut gas_before, mut logs_before) = (0, 0);
    let transactions = stored.block.transactions.iter().zip(&stored.senders).enumerate();
    transactions
        .zip(receipts)
        .map(|((index, (transaction, sender)), receipt)| {
            let place = Place { header: &stored.block.header, hash: stored.hash, index };
            let gas_used = receipt.cumulative_gas_used() - gas_before;
            let first_log = logs_before;
            gas_before = receipt.cumulative_gas_used();
            logs_before += receipt.logs().len() as u64;
            self::receipt(place, transaction, *sender, receipt, gas_used, first_log)
        })
        .collect()
}

fn receipt(
    place: Place<'_>,
    transaction: &TxEnvelope,
    sender: Address,
    receipt: Receipt,
    gas_used: u64,
    first_log: u64,
) -> TransactionReceipt {
    let hash = *transaction.tx_hash();
    let mut log_index = first_log;
    let inner = receipt.map_logs(|log| {
        let entry = LogEntry {
            log,
            block_number: place.header.number,
            block_hash: place.hash,
            block_timestamp: place.header.timestamp,
            transaction_hash: hash,
            transaction_index: place.index as u64,
            log_index,
        };
        log_index += 1;
        self::log(entry)
    });
    TransactionReceipt {
        inner,
        transaction_hash: hash,
        transaction_index: Some(place.index as u64),
        block_hash: Some(place.hash),
        block_number: Some(place.header.number),
        gas_used,
        effective_gas_price: transaction.effective_gas_price(place.header.base_fee_per_gas),
        blob_gas_used: None,
        blob_gas_price: None,
        from: sender,
        to: transaction.to(),
        contract_address: transaction.is_create().then(|| sender.create(transaction.nonce())),
    }
}

pub fn log(entry: LogEntry) -> RpcLog {
    RpcLog {
        inner: entry.log,
        block_hash: Some(entry.block_hash),
        block_number: Some(entry.block_number),
        block_timestamp: Some(entry.block_timestamp),
        transaction_hash: Some(entry.transaction_hash),
        transaction_index: Some(entry.transaction_index),
        log_index: Some(entry.log_index),
        removed: false,
    }
}

/// The logs of a block that just became final and match.
pub fn logs(finalized: &Finalized, filter: &LogFilter) -> Vec<RpcLog> {
    let transactions = finalized.block.transactions.iter().zip(&finalized.receipts).enumerate();
    let all = transactions.flat_map(|(index, (transaction, receipt))| {
        receipt.logs().iter().map(move |log| (index, *transaction.tx_hash(), log))
    });
    all.enumerate()
        .filter(|(_, (.., log))| filter.matches(log))
        .map(|(log_index, (index, transaction_hash, log))| {
            self::log(LogEntry {
                log: log.clone(),
                block_number: finalized.block.header.number,
                block_hash: finalized.hash,
                block_timestamp: finalized.block.header.timestamp,
                transaction_hash,
                transaction_index: index as u64,
                log_index: log_index as u64,
            })
        })
        .collect()
}
