//! Final blocks and certificates that are on disk before their state is: the engine brings them, in any order when it was behind,
//! and delivers them for execution one after another. A block that is executed moves to the tables of final blocks in the batch of
//! its state, so that it is on disk once.

use std::sync::PoisonError;

use alloy_primitives::B256;
use alloy_rlp::Decodable as _;

use super::{
    open::Chain,
    rows::{block_number, corrupt},
};
use crate::{
    block::Block,
    state::store::{Batch, Store, StoreError, Table},
};

/// Ends the key of a block.
const BLOCK: u8 = 0;

/// Ends the key of a certificate.
const CERTIFICATE: u8 = 1;

/// A final block, or its certificate, that may be ahead of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    pub number: u64,
    /// keccak256 of the block's header.
    pub hash: B256,
    /// RLP of the block.
    pub block: Option<Vec<u8>>,
    /// Its finality certificate.
    pub certificate: Option<Vec<u8>>,
}

impl<S: Store> Chain<S> {
    /// Keeps blocks and certificates, durably: one batch. What is final here already, or kept, stays as it is.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn keep_ahead(&self, kept: &[Ahead]) -> Result<(), StoreError> {
        // No block may move to its final place between the question whether it is there and the write.
        let _one_at_a_time = self.finalizing.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.head().number;
        let mut batch = Batch::default();
        for Ahead { number, hash, block, certificate } in kept {
            if *number <= head {
                if let Some(certificate) = certificate {
                    self.certificate_batch(&mut batch, *number, certificate)?;
                }
                continue;
            }
            for (part, value) in [(BLOCK, block), (CERTIFICATE, certificate)] {
                if let Some(value) = value {
                    batch.put(Table::Ahead, key(*number, part), [hash.as_slice(), value].concat());
                }
            }
        }
        if batch.writes.is_empty() { Ok(()) } else { self.store.write(batch) }
    }

    /// Which blocks and certificates are kept ahead of the state, from `from` on, by number; at most `limit` rows are read. Without
    /// their bytes: `block` and `certificate` are empty where they are there.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn kept_ahead(&self, from: u64, limit: usize) -> Result<Vec<Ahead>, StoreError> {
        let mut kept: Vec<Ahead> = Vec::new();
        for (key, value) in self.store.scan(Table::Ahead, &from.to_be_bytes(), limit)? {
            let (number, part, hash) = place(&key, &value)?;
            if kept.last().is_none_or(|last| last.number != number) {
                kept.push(Ahead { number, hash, block: None, certificate: None });
            }
            let last = kept.last_mut().expect("pushed above");
            *(if part == BLOCK { &mut last.block } else { &mut last.certificate }) = Some(Vec::new());
        }
        Ok(kept)
    }

    /// A block that is final here, or kept ahead of the state.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn final_block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        if number > self.head().number
            && let Some(row) = self.store.get(Table::Ahead, &key(number, BLOCK))?
        {
            let rlp = row.get(B256::len_bytes()..).unwrap_or_default();
            let block = Block::decode(&mut &*rlp);
            return block.map(Some).map_err(|error| corrupt(Table::Ahead, format!("block {number}: {error}")));
        }
        // It may have moved meanwhile.
        Ok(self.stored(number)?.map(|stored| stored.block.clone()))
    }

    /// The certificate of a block that is final here, or kept ahead of the state.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn final_certificate(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        if number > self.head().number
            && let Some(row) = self.store.get(Table::Ahead, &key(number, CERTIFICATE))?
        {
            return Ok(Some(row.get(B256::len_bytes()..).unwrap_or_default().to_vec()));
        }
        self.finality(number)
    }

    /// Numbers of final blocks with a certificate of their own, from `from` on.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn certified(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        let rows = self.store.scan(Table::Finality, &from.to_be_bytes(), limit)?;
        rows.iter().map(|(key, _)| block_number(Table::Finality, key)).collect()
    }

    /// Keeps a certificate for a block that is final already, unless it has one: any valid one will do.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn put_finality(&self, number: u64, certificate: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        self.certificate_batch(&mut batch, number, certificate)?;
        if batch.writes.is_empty() { Ok(()) } else { self.store.write(batch) }
    }

    fn certificate_batch(&self, batch: &mut Batch, number: u64, certificate: &[u8]) -> Result<(), StoreError> {
        if self.finality(number)?.is_none() {
            batch.put(Table::Finality, number.to_be_bytes(), certificate);
        }
        Ok(())
    }

    /// Moves what was kept of a block to its final place; its body is in the batch already.
    pub(super) fn move_ahead(
        &self,
        batch: &mut Batch,
        number: u64,
        certificate: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let mut certificate = certificate.map(<[u8]>::to_vec);
        for (key, value) in self.store.scan(Table::Ahead, &number.to_be_bytes(), 2)? {
            let (found, part, hash) = place(&key, &value)?;
            if found != number {
                break;
            }
            if part == CERTIFICATE {
                certificate.get_or_insert_with(|| value[hash.len()..].to_vec());
            }
            batch.delete(Table::Ahead, key);
        }
        if let Some(certificate) = certificate {
            batch.put(Table::Finality, number.to_be_bytes(), certificate);
        }
        Ok(())
    }
}

fn key(number: u64, part: u8) -> [u8; 9] {
    let mut key = [part; 9];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

/// Number, part and hash of a row.
fn place(key: &[u8], value: &[u8]) -> Result<(u64, u8, B256), StoreError> {
    let wrong = || corrupt(Table::Ahead, format!("a key of {} bytes, a value of {}", key.len(), value.len()));
    let (number, part) = key.split_first_chunk::<8>().ok_or_else(wrong)?;
    let hash = value.get(..B256::len_bytes()).ok_or_else(wrong)?;
    match part {
        [part @ (BLOCK | CERTIFICATE)] => Ok((u64::from_be_bytes(*number), *part, B256::from_slice(hash))),
        _ => Err(wrong()),
    }
}
