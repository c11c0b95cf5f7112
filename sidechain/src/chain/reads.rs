//! Final blocks as stored: by number, by hash, by transaction; and their certificates.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};

use super::{
    open::Chain,
    rows::{block_number, corrupt, decode, decode_body, stored_header},
    unfinal::Role,
};
use crate::{
    block::{Block, Header, Receipt, Transaction},
    state::store::{Store, StoreError, Table},
};

/// A final block as stored.
#[derive(Clone, Debug)]
pub struct Stored {
    pub block: Block,
    /// keccak256 of its header.
    pub hash: B256,
    /// The sender of each transaction, in the same order.
    pub senders: Vec<Address>,
}

/// A transaction in a final block.
#[derive(Clone, Debug)]
pub struct Located {
    /// The transaction with its sender.
    pub transaction: Transaction,
    /// Header of the block that includes it.
    pub header: Header,
    /// keccak256 of `header`.
    pub block_hash: B256,
    /// Position in the block, from 0.
    pub index: usize,
}

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

    /// Whether a block with transactions may stand on `parent`, before more is final (see [`Role`]). None may stand on a
    /// block that cannot be built on.
    pub fn has_room_above(&self, parent: B256, role: Role) -> bool {
        let tip = self.tip();
        let branch = tip.pending.branch(parent, tip.hash);
        branch.is_some_and(|branch| branch.burden().leaves_room(self.rules.gas_limit, role))
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
        Ok(self.stored(number)?.map(|stored| stored.block))
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

    /// Header of the final block with this number; none above the head.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn header(&self, number: u64) -> Result<Option<Header>, StoreError> {
        stored_header(&self.store, number)
    }

    /// The final block with this number, with its senders; none above the head.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn stored(&self, number: u64) -> Result<Option<Stored>, StoreError> {
        let Some(header) = self.header(number)? else {
            return Ok(None);
        };
        let Some(body) = self.store.get(Table::Body, &number.to_be_bytes())? else {
            self.windows.bodies.check(number)?;
            return Err(corrupt(Table::Body, format!("block {number} is missing")));
        };
        let (transactions, senders) = decode_body(&body)?;
        let hash = header.hash_slow();
        Ok(Some(Stored { block: Block { header, transactions }, hash, senders }))
    }

    /// Receipts of a final block, one for each transaction; none above the head.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, StoreError> {
        let Some(row) = self.store.get(Table::Receipts, &number.to_be_bytes())? else {
            self.windows.bodies.check(number)?;
            return Ok(None);
        };
        decode(Table::Receipts, &row).map(Some)
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
        let Stored { block, hash: block_hash, senders } = self.stored(number)?.ok_or_else(wrong)?;
        let (Some(envelope), Some(sender)) = (block.transactions.get(index), senders.get(index)) else {
            return Err(wrong());
        };
        let transaction = Transaction::new_unchecked(envelope.clone(), *sender);
        Ok(Some(Located { transaction, header: block.header, block_hash, index }))
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
