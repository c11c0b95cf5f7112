//! A validator's answers to the engine: chain, pool and subscribers joined.

use std::collections::BTreeSet;

use alloy_consensus::Transaction as _;
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256};
use tracing::info;

use super::super::{
    consensus::{Application, Verdict},
    rpc::Handles,
};
use crate::{
    app::MAX_CLOCK_DRIFT_MS,
    execution::BlockError,
    types::{Block, MAX_BLOCK_BYTES, Transaction, next_base_fee},
};

/// Candidates are offered for twice a block: some will not fit, or fail.
const OFFERED: u64 = 2;

pub(super) struct Validator {
    pub(super) handles: Handles,
}

impl Validator {
    /// What the pool offers for the block after `parent`, without what is pending in its ancestors already.
    fn candidates(&self, parent: B256) -> Result<Vec<Transaction>, String> {
        let chain = &self.handles.chain;
        let head = chain.head().number;
        let mut pending = BTreeSet::new();
        let mut base_fee = None;
        let mut hash = parent;
        loop {
            let block = chain.block(hash).map_err(|error| error.to_string())?;
            let block = block.ok_or_else(|| format!("block {hash} is not known"))?;
            base_fee.get_or_insert_with(|| next_base_fee(&block.header));
            if block.header.number <= head {
                break;
            }
            pending.extend(block.transactions.iter().map(|transaction| *transaction.tx_hash()));
            hash = block.header.parent_hash;
        }

        let (mut gas, mut bytes) = (0, 0);
        let limit = OFFERED * chain.head().gas_limit;
        let pool = self.handles.pool();
        let offered = pool
            .candidates(base_fee.unwrap_or_default())
            .filter(|transaction| !pending.contains(transaction.tx_hash()))
            .take_while(|transaction| {
                gas += transaction.gas_limit();
                bytes += transaction.encode_2718_len();
                gas <= limit && bytes <= OFFERED as usize * MAX_BLOCK_BYTES
            });
        Ok(offered.collect())
    }
}

impl Application for Validator {
    fn genesis(&self) -> Block {
        self.handles.chain.genesis_block()
    }

    fn head(&self) -> u64 {
        self.handles.chain.head().number
    }

    fn knows(&self, hash: B256) -> bool {
        matches!(self.handles.chain.block(hash), Ok(Some(_)))
    }

    fn has_work(&self) -> bool {
        // What waits behind a gap, or offers too little, is no work: else it would keep empty blocks coming for free.
        let base_fee = next_base_fee(&self.handles.chain.head());
        self.handles.pool().candidates(base_fee).next().is_some()
    }

    fn work_arrived(&self) -> impl Future<Output = ()> + Send {
        let mut pending = self.handles.pending.subscribe();
        async move {
            // Lagging means that more than enough arrived.
            let _ = pending.recv().await;
        }
    }

    fn build(&self, parent: B256, now_ms: u64, beneficiary: Address) -> Result<Block, String> {
        let candidates = self.candidates(parent)?;
        self.handles
            .chain
            .propose(parent, now_ms, beneficiary, candidates.into_iter())
            .map_err(|error| error.to_string())
    }

    fn check(&self, block: &Block, now_ms: u64) -> Verdict {
        match self.handles.chain.verify(block, now_ms) {
            Ok(()) => Verdict::Valid,
            Err(BlockError::Future { got, .. }) => {
                Verdict::NotYet { until_ms: (got * 1000).saturating_sub(MAX_CLOCK_DRIFT_MS) }
            }
            Err(error @ (BlockError::Store(_) | BlockError::UnknownParent { .. })) => {
                Verdict::Unknown(error.to_string())
            }
            Err(error) => Verdict::Invalid(error.to_string()),
        }
    }

    fn commit(&self, block: &Block, certificate: Option<&[u8]>, now_ms: u64) -> Result<(), String> {
        commit(&self.handles, block, certificate, now_ms)
    }
}

/// Makes a block final here, with its certificate where it has one, and tells the pool and the subscribers.
pub(super) fn commit(handles: &Handles, block: &Block, certificate: Option<&[u8]>, now_ms: u64) -> Result<(), String> {
    let chain = &handles.chain;
    let finalized = chain.finalize(block).map_err(|error| error.to_string())?;
    if let Some(certificate) = certificate {
        chain.put_finality(block.header.number, certificate).map_err(|error| error.to_string())?;
    }
    let Some(finalized) = finalized else {
        return Ok(());
    };
    info!(
        number = block.header.number,
        hash = %finalized.hash,
        transactions = block.transactions.len(),
        gas = block.header.gas_used,
        "block final"
    );
    handles.on_finalized(finalized, now_ms).map_err(|error| error.to_string())
}
