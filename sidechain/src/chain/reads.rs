//! Final blocks as stored: by number, by hash, by transaction; and their certificates. What was decoded once is shared.

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::{B256, Log};
use alloy_rlp::Encodable as _;
use alloy_trie::EMPTY_ROOT_HASH;

use super::{
    fees::BlockFees,
    open::Chain,
    receipts::stored_receipts,
    rows::{block_number, corrupt, decode_body, stored_header},
    stored::{Finalized, Located, Stored},
    unfinal::{Role, Room},
};
use crate::{
    block::{Block, Header, Receipt, TxEnvelope},
    state::store::{Store, StoreError, Table},
};

impl<S: Store> Chain<S> {
    /// Whether a block can be built on: it is the head, or was executed on top of it.
    pub fn is_usable(&self, hash: B256) -> bool {
        let tip = self.tip();
        tip.pending.branch(hash, tip.hash).is_some()
    }

    /// Header of a block that can be built on, and the hashes of the transactions between the head and it, its own among
    /// them.
    pub fn usable(&self, hash: B256) -> Option<(Header, BTreeSet<B256>)> {
        let tip = self.tip();
        let branch = tip.pending.branch(hash, tip.hash)?;
        Some((branch.tip().unwrap_or(&tip.head).clone(), branch.transactions()))
    }

    /// Whether to put transactions into a block on `parent`, before more is final and written. None into one on a block that cannot be
    /// built on.
    pub fn has_room_above(&self, parent: B256) -> bool {
        let tip = self.tip();
        let branch = tip.pending.branch(parent, tip.hash);
        branch.is_some_and(|branch| branch.burden_above(0).leaves_room(Role::Proposer))
    }

    /// Whether to vote for a block with transactions on `parent`. Blocks up to `last_final` are final, whether or not that is
    /// written here.
    pub fn room_to_vote(&self, parent: B256, last_final: u64) -> Room {
        let tip = self.tip();
        let Some(branch) = tip.pending.branch(parent, tip.hash) else { return Room::TooMuchUnfinal };
        if !branch.burden_above(last_final).leaves_room(Role::Voter) {
            Room::TooMuchUnfinal
        } else if !branch.burden_above(0).leaves_room(Role::Keeper) {
            Room::DiskBehind
        } else {
            Room::Enough
        }
    }

    /// A block by hash: executed here and recently, or final.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn block(&self, hash: B256) -> Result<Option<Block>, StoreError> {
        if let Some(executed) = self.tip().pending.get(hash) {
            return Ok(Some(executed.block.clone()));
        }
        let Some(number) = self.number_of(hash)? else {
            return Ok(None);
        };
        Ok(self.stored(number)?.map(|stored| stored.block.clone()))
    }

    /// Number of the final block with this hash; none when no final block has it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, StoreError> {
        let row = self.store.get(Table::BlockNumber, hash.as_slice())?;
        row.map(|row| block_number(Table::BlockNumber, &row)).transpose()
    }

    /// Header of the final block with this number; none above the head. A chain that began with a copied state has a few before it.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn header(&self, number: u64) -> Result<Option<Header>, StoreError> {
        let header = stored_header(&self.store, number)?;
        if header.is_none() {
            self.windows.bodies.check(number)?;
        }
        Ok(header)
    }

    /// The final block with this number, with its senders; none above the head.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn stored(&self, number: u64) -> Result<Option<Arc<Stored>>, StoreError> {
        if let Some(stored) = self.blocks.get(number) {
            return Ok(Some(stored));
        }
        let Some(header) = self.header(number)? else {
            return Ok(None);
        };
        let Some(body) = self.store.get(Table::Body, &number.to_be_bytes())? else {
            self.windows.bodies.check(number)?;
            return Err(corrupt(Table::Body, format!("block {number} is missing")));
        };
        let (transactions, senders) = decode_body(&body)?;
        let hash = header.hash_slow();
        let stored = Arc::new(Stored { block: Block { header, transactions }, hash, senders });
        self.keep_block(stored.clone());
        Ok(Some(stored))
    }

    /// Number of the first block, besides the genesis block, of which more than its header is known here; 0: of all.
    pub fn first_block(&self) -> u64 {
        self.windows.bodies.oldest()
    }

    /// Receipts of a final block, one for each transaction; none above the head.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn receipts(&self, number: u64) -> Result<Option<Arc<Vec<Receipt>>>, StoreError> {
        if let Some(receipts) = self.receipts.get(number) {
            return Ok(Some(receipts));
        }
        let Some(header) = self.header(number)? else {
            return Ok(None);
        };
        let receipts = stored_receipts(&self.store, number)?;
        if receipts.is_empty() && header.transactions_root != EMPTY_ROOT_HASH {
            return Err(self.missing_receipts(number));
        }
        let receipts = Arc::new(receipts);
        self.keep_receipts(number, receipts.clone());
        Ok(Some(receipts))
    }

    /// Why there are no receipts of a block that has transactions.
    pub(super) fn missing_receipts(&self, number: u64) -> StoreError {
        let missing = || corrupt(Table::Receipts, format!("some of block {number} are missing"));
        self.windows.bodies.check(number).err().unwrap_or_else(missing)
    }

    /// A final block with its receipts; none above the head.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn finalized(&self, number: u64) -> Result<Option<Finalized>, StoreError> {
        self.stored(number)?.map(|stored| self.with_receipts(stored)).transpose()
    }

    /// A final block that was read already, with its receipts: it is not read again, also when it is too large to be kept in memory.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn with_receipts(&self, stored: Arc<Stored>) -> Result<Finalized, StoreError> {
        let number = stored.block.number();
        let receipts = self.receipts(number)?;
        let receipts = receipts.filter(|receipts| receipts.len() == stored.block.transactions.len());
        let receipts = receipts.ok_or_else(|| self.missing_receipts(number))?;
        Ok(Finalized { stored, receipts })
    }

    /// The same, if it is in memory.
    pub(super) fn shared(&self, number: u64) -> Option<Finalized> {
        Some(Finalized { stored: self.blocks.get(number)?, receipts: self.receipts.get(number)? })
    }

    pub(super) fn keep_block(&self, stored: Arc<Stored>) {
        let Block { transactions, .. } = &stored.block;
        let bytes = size_of::<Stored>() + 2 * transactions.length() + transactions.len() * size_of::<TxEnvelope>();
        self.blocks.put(stored.block.number(), stored, bytes);
    }

    pub(super) fn keep_receipts(&self, number: u64, receipts: Arc<Vec<Receipt>>) {
        let bytes =
            receipts.iter().map(|receipt| size_of::<Receipt>() + receipt.logs().iter().map(log_bytes).sum::<usize>());
        let bytes = bytes.sum();
        self.receipts.put(number, receipts, bytes);
    }

    /// Whether a transaction is in a final block; much cheaper than [`Self::transaction`].
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn has_transaction(&self, hash: B256) -> Result<bool, StoreError> {
        Ok(self.store.get(Table::TransactionHash, hash.as_slice())?.is_some())
    }

    /// A final transaction by hash.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn transaction(&self, hash: B256) -> Result<Option<Located>, StoreError> {
        let Some(row) = self.store.get(Table::TransactionHash, hash.as_slice())? else {
            return Ok(None);
        };
        let wrong = || corrupt(Table::TransactionHash, format!("entry of {hash}"));
        let (number, index) = row.split_at_checked(8).ok_or_else(wrong)?;
        let number = block_number(Table::TransactionHash, number)?;
        let index = u32::from_be_bytes(index.try_into().map_err(|_| wrong())?) as usize;
        let stored = self.stored(number)?.filter(|stored| index < stored.senders.len()).ok_or_else(wrong)?;
        Ok(Some(Located { stored, index }))
    }

    /// Fees of at most `count` final blocks from `first` on, in order.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn fees(&self, first: u64, count: usize) -> Result<Vec<BlockFees>, StoreError> {
        self.windows.bodies.check(first)?;
        let rows = self.store.scan(Table::Fees, &first.to_be_bytes(), count)?;
        let fees = rows.into_iter().map(|(key, row)| {
            let number = block_number(Table::Fees, &key)?;
            BlockFees::decode(number, &row).ok_or_else(|| corrupt(Table::Fees, format!("fees of block {number}")))
        });
        fees.collect()
    }

    /// The certificate kept for exactly this block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finality(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(Table::Finality, &number.to_be_bytes())
    }

    /// The first block at or after `number` with a certificate.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finality_at_or_after(&self, number: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let Some((key, certificate)) = self.store.seek(Table::Finality, &number.to_be_bytes())? else {
            return Ok(None);
        };
        Ok(Some((block_number(Table::Finality, &key)?, certificate)))
    }
}

/// What a decoded log takes, with two allocations.
fn log_bytes(log: &Log) -> usize {
    size_of::<Log>() + 64 + 32 * log.topics().len() + log.data.data.len()
}
