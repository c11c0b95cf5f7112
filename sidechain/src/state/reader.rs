//! The state at a block, and where its accounts, slots and trie nodes are in the store.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable as _, Encodable as _, Header};
/// An account, as hashed into the state trie.
pub use alloy_trie::TrieAccount as Account;
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles};

use super::{
    store::{StoreError, Table},
    trie::NodeReader,
};

/// The state after one block, row by row of the head tables `Account`, `Slot`, `Code`, `AccountNode`, `StorageNode`.
pub trait StateReader: Send + Sync {
    /// The row as it was after the block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Hash of an ancestor or of the block itself; `None` above it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError>;

    /// The account, or `None` if it is empty (EIP-161).
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn account(&self, address: Address) -> Result<Option<Account>, StoreError> {
        self.account_by_hash(keccak256(address))
    }

    /// The account by the hash of its address.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn account_by_hash(&self, hash: B256) -> Result<Option<Account>, StoreError> {
        let Some(row) = self.get(Table::Account, hash.as_slice())? else {
            return Ok(None);
        };
        decode_account(&row).map(Some)
    }

    /// As [`StateReader::account_by_hash`], for readers that ask elsewhere by the address; `hash` is its hash.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn account_at(&self, _address: Address, hash: B256) -> Result<Option<Account>, StoreError> {
        self.account_by_hash(hash)
    }

    /// As [`StateReader::storage_by_hash`], for readers that ask elsewhere by the address; `hash` is its hash.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn storage_at(&self, _address: Address, hash: B256, slot: U256) -> Result<U256, StoreError> {
        self.storage_by_hash(hash, slot)
    }

    /// The value of a storage slot; zero when never written.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn storage(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        self.storage_by_hash(keccak256(address), slot)
    }

    /// The value of a storage slot, by the hash of the account's address.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn storage_by_hash(&self, hash: B256, slot: U256) -> Result<U256, StoreError> {
        self.storage_by_hashes(hash, slot_hash(slot))
    }

    /// The value of a storage slot, by the hashes of the account's address and of the slot's index.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn storage_by_hashes(&self, account: B256, slot: B256) -> Result<U256, StoreError> {
        let Some(row) = self.get(Table::Slot, &slot_key(account, slot))? else {
            return Ok(U256::ZERO);
        };
        U256::try_from_be_slice(&row).ok_or_else(|| StoreError::Corrupt {
            table: Table::Slot.name(),
            detail: format!("slot {slot} of account {account} has {} bytes, expected at most 32", row.len()),
        })
    }

    /// Code by its hash; `None` if no account ever had it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn code(&self, hash: B256) -> Result<Option<Bytes>, StoreError> {
        if hash == KECCAK_EMPTY {
            return Ok(Some(Bytes::new()));
        }
        Ok(self.get(Table::Code, hash.as_slice())?.map(Bytes::from))
    }
}

/// Row of an account: RLP of nonce, balance, storage root and code hash, the last two empty for an account without storage or
/// code. Most accounts have neither, and the two hashes would be two thirds of their rows.
pub fn encode_account(account: &Account) -> Vec<u8> {
    let [root, code] = [(account.storage_root, EMPTY_ROOT_HASH), (account.code_hash, KECCAK_EMPTY)]
        .map(|(hash, empty)| if hash == empty { Bytes::new() } else { Bytes::copy_from_slice(hash.as_slice()) });
    let payload_length = account.nonce.length() + account.balance.length() + root.length() + code.length();
    let mut row = Vec::with_capacity(payload_length + 2);
    Header { list: true, payload_length }.encode(&mut row);
    account.nonce.encode(&mut row);
    account.balance.encode(&mut row);
    root.encode(&mut row);
    code.encode(&mut row);
    row
}

/// The account of a row.
///
/// # Errors
///
/// `Corrupt` when [`encode_account`] did not write it.
pub fn decode_account(row: &[u8]) -> Result<Account, StoreError> {
    let corrupt = |error: &dyn std::fmt::Display| StoreError::Corrupt {
        table: Table::Account.name(),
        detail: format!("account {}: {error}", Bytes::copy_from_slice(row)),
    };
    let fields = || -> alloy_rlp::Result<_> {
        let rest = &mut Header::decode_bytes(&mut &*row, true)?;
        let (nonce, balance) = (u64::decode(rest)?, U256::decode(rest)?);
        let hashes = [Header::decode_bytes(rest, false)?, Header::decode_bytes(rest, false)?];
        if rest.is_empty() { Ok((nonce, balance, hashes)) } else { Err(alloy_rlp::Error::UnexpectedLength) }
    };
    let (nonce, balance, [root, code]) = fields().map_err(|error| corrupt(&error))?;
    let hash = |bytes: &[u8], empty| match bytes.len() {
        0 => Ok(empty),
        32 => Ok(B256::from_slice(bytes)),
        length => Err(corrupt(&format!("a hash of {length} bytes"))),
    };
    Ok(Account { nonce, balance, storage_root: hash(root, EMPTY_ROOT_HASH)?, code_hash: hash(code, KECCAK_EMPTY)? })
}

/// The state before the first block.
pub struct Nothing;

impl StateReader for Nothing {
    fn get(&self, _table: Table, _key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn block_hash(&self, _number: u64) -> Result<Option<B256>, StoreError> {
        Ok(None)
    }
}

/// Nodes of the account trie.
pub struct AccountNodes<'a, R>(pub &'a R);

impl<R: StateReader> NodeReader for AccountNodes<'_, R> {
    fn node(&self, path: &Nibbles) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(Table::AccountNode, &account_node_key(path))
    }

    fn value(&self, key: B256) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.account_by_hash(key)?.map(alloy_rlp::encode))
    }
}

/// Nodes of the storage trie of one account, by the hash of its address.
pub struct StorageNodes<'a, R>(pub &'a R, pub B256);

impl<R: StateReader> NodeReader for StorageNodes<'_, R> {
    fn node(&self, path: &Nibbles) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(Table::StorageNode, &storage_node_key(self.1, path))
    }

    fn value(&self, key: B256) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.0.storage_by_hashes(self.1, key)?;
        Ok((!value.is_zero()).then(|| alloy_rlp::encode(value)))
    }
}

/// Ends a path in a key, so that no path's key is the beginning of another's. Nibbles are below 16.
pub(super) const PATH_END: u8 = 0xff;

pub(crate) fn account_node_key(path: &Nibbles) -> Vec<u8> {
    path.iter().chain([PATH_END]).collect()
}

pub(crate) fn storage_node_key(account: B256, path: &Nibbles) -> Vec<u8> {
    account.iter().copied().chain(path.iter()).chain([PATH_END]).collect()
}

pub(crate) fn slot_key(account: B256, slot: B256) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(account.as_slice());
    key[32..].copy_from_slice(slot.as_slice());
    key
}

/// Key of a slot in the storage trie.
pub fn slot_hash(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}
