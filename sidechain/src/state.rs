//! Accounts and storage: how state is read at a block, and what a block changes.

use alloy_primitives::{Address, B256, Bytes, U256};

/// An account, as hashed into the state trie.
pub use alloy_trie::TrieAccount as Account;

use crate::store::StoreError;

/// The state after one block.
pub trait StateReader: Send + Sync {
    /// The account, or `None` if it is empty (EIP-161).
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn account(&self, address: Address) -> Result<Option<Account>, StoreError>;

    /// The value of a storage slot; zero when never written.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn storage(&self, address: Address, slot: U256) -> Result<U256, StoreError>;

    /// Code by its hash; `None` if no account ever had it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn code(&self, hash: B256) -> Result<Option<Bytes>, StoreError>;

    /// Hash of an ancestor; `None` above the block itself.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError>;
}
