//! State at final blocks: reads, proofs, and calls that are tried on it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::{error::SimulateError, open::Chain, recent::RecentHashes};
use crate::{
    block::Transaction,
    execution::{self, Outcome, Stop, child_header},
    state::{
        Account, AccountNodes, StateReader, StorageNodes, Working, slot_hash,
        store::{Store, StoreError, Table},
        trie::prove,
        undo::{self, History, history, index_prefix, page_key},
    },
};

/// Rows of trie nodes, by table and key.
type Nodes = HashMap<(Table, Vec<u8>), Option<Vec<u8>>>;

/// State at a final block; reads never fall back to another block's state.
pub struct StateAt<'a, S> {
    chain: &'a Chain<S>,
    number: u64,
    recent: RecentHashes,
    /// Trie nodes that were put together for this block: a proof of many slots asks for the upper ones again and again.
    nodes: Mutex<Nodes>,
}

/// Merkle proof of an account and some of its slots (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// The account; `None` when the proof shows its absence.
    pub account: Option<Account>,
    /// RLP nodes from the root on.
    pub proof: Vec<Bytes>,
    /// One for each slot asked for.
    pub storage: Vec<StorageProof>,
}

/// Merkle proof of a storage slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    /// Index of the slot in the account's storage.
    pub slot: U256,
    /// Its value; zero when the proof shows its absence.
    pub value: U256,
    /// RLP nodes from the root on.
    pub proof: Vec<Bytes>,
}

impl<S: Store> Chain<S> {
    /// State after a final block.
    ///
    /// # Errors
    ///
    /// `UnknownBlock`, `Pruned`.
    pub fn state_at(&self, number: u64) -> Result<StateAt<'_, S>, SimulateError> {
        let head = self.head().number;
        if number > head {
            return Err(SimulateError::UnknownBlock { number, head });
        }
        self.windows.states.check(number)?;
        Ok(StateAt { chain: self, number, recent: self.tip().recent.clone(), nodes: Mutex::default() })
    }

    /// Whether a free-lane transaction has a place in the next block: members only, the peg's contracts, success. Its nonce
    /// may lie ahead.
    ///
    /// # Errors
    ///
    /// `Invalid` with the revert reason; `Stopped`.
    pub fn check_free(&self, transaction: &Transaction, stop: &Stop) -> Result<Outcome, SimulateError> {
        let (head, hash) = {
            let tip = self.tip();
            (tip.head.clone(), tip.hash)
        };
        let Some(view) = self.view(hash) else {
            return Err(SimulateError::UnknownBlock { number: head.number, head: self.head().number });
        };
        let header = child_header(&self.rules, &head, hash, head.timestamp, Address::ZERO);
        execution::try_free(&self.rules, &header, Working::new(&view, &self.codes), transaction, stop)
            .map_err(SimulateError::from)
    }
}

impl<S: Store> StateAt<'_, S> {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of the block that was executed last in this state.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Proof of an account and some of its slots against the block's state root.
    ///
    /// # Errors
    ///
    /// `Pruned` outside the window for which trie nodes are kept.
    pub fn proof(&self, address: Address, slots: &[U256]) -> Result<AccountProof, SimulateError> {
        self.chain.windows.proofs.check(self.number)?;
        Ok(self.prove(address, slots)?)
    }

    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, StoreError> {
        let hash = keccak256(address);
        let nodes = StorageNodes(self, hash);
        let storage = slots.iter().map(|slot| {
            let value = self.storage_by_hash(hash, *slot)?;
            Ok(StorageProof { slot: *slot, value, proof: prove(&nodes, slot_hash(*slot))? })
        });
        Ok(AccountProof {
            account: self.account_by_hash(hash)?,
            proof: prove(&AccountNodes(self), hash)?,
            storage: storage.collect::<Result<_, StoreError>>()?,
        })
    }
}

impl<S: Store> StateReader for StateAt<'_, S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // The order matters: if a block becomes final between the two reads, its record corrects the first.
        let now = self.chain.store.get(table, key)?;
        let Some(history) = history(table) else {
            return Ok(now);
        };
        if self.chain.writing.load(Ordering::SeqCst) <= self.number {
            return Ok(now);
        }
        if history.pages == Table::StateUndo {
            let row = self.row_before(&history, key, now);
            // Asked afterwards: records that were looked for may have been pruned meanwhile.
            self.chain.windows.states.check(self.number)?;
            return row;
        }
        let place = (table, key.to_vec());
        if let Some(row) = self.nodes().get(&place) {
            return Ok(row.clone());
        }
        let row = self.row_before(&history, key, now);
        self.chain.windows.proofs.check(self.number)?;
        let row = row?;
        self.nodes().insert(place, row.clone());
        Ok(row)
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        if number > self.number { Ok(None) } else { self.recent.hash_of(&self.chain.store, number) }
    }
}

impl<S: Store> StateAt<'_, S> {
    /// The row as it was before the first later block that changed it; `now` when none did.
    ///
    /// Costs a look into the index and, where a later block changed the row, one page. A branch of a trie costs a page for each
    /// later block that changed it, until all sixteen children are known or a record has it whole: ordinarily at most 32, at most
    /// the blocks for which proofs are kept.
    fn row_before(&self, history: &History, key: &[u8], now: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, StoreError> {
        /// Records looked up at once.
        const STEP: usize = 16;
        let nodes = history.pages == Table::NodeUndo;
        let (prefix, mut node) = (index_prefix(history.kind, key), undo::Node::default());
        let mut next = self.number + 1;
        loop {
            let rows = self.chain.store.scan(history.index, &[&prefix[..], &next.to_be_bytes()].concat(), STEP)?;
            let more = rows.len() == STEP;
            for (found, _) in rows {
                let Some(block) = found.strip_prefix(&prefix[..]).and_then(|rest| rest.try_into().ok()) else {
                    return node.finish(now);
                };
                next = u64::from_be_bytes(block) + 1;
                let page = self.chain.store.seek(history.pages, &page_key(block, history.kind, key))?;
                // A key with the same beginning, or a record that was pruned meanwhile: the caller looks.
                let page = page.filter(|(found, _)| found.starts_with(&page_key(block, history.kind, &[])));
                let Some((_, page)) = page else { continue };
                match undo::Rows::new(&page).find(key)? {
                    Some(before) if !nodes => return Ok((!before.is_empty()).then(|| before.to_vec())),
                    Some(before) => {
                        if let Some(whole) = node.meet(before)? {
                            return Ok(whole);
                        }
                    }
                    None => {}
                }
            }
            if !more {
                return node.finish(now);
            }
        }
    }
}
