//! Final blocks in the form in which they are read and shared.

use std::{ops::Deref, sync::Arc};

use alloy_primitives::{Address, B256};

use crate::block::{Block, Receipt, Transaction};

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
    /// The block that includes it.
    pub stored: Arc<Stored>,
    /// Position in the block, from 0.
    pub index: usize,
}

impl Stored {
    /// The transaction at a position, with its sender.
    pub fn transaction(&self, index: usize) -> Option<Transaction> {
        let (envelope, sender) = self.block.transactions.get(index).zip(self.senders.get(index))?;
        Some(Transaction::new_unchecked(envelope.clone(), *sender))
    }
}

/// A final block with its receipts: what subscriptions and the mempool need. A clone shares both.
#[derive(Clone, Debug)]
pub struct Finalized {
    pub stored: Arc<Stored>,
    /// One for each transaction.
    pub receipts: Arc<Vec<Receipt>>,
}

impl Deref for Finalized {
    type Target = Stored;

    fn deref(&self) -> &Stored {
        &self.stored
    }
}
