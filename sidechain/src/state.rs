//! Accounts and storage: how they are read at a block, how transactions change them, and what a block changes in the store.
//!
//! ```text
//!  EVM -> Working (this block's accounts and slots)
//!           | misses                    | commit: new roots, changed rows and trie nodes
//!           v                           v
//!         StateReader: overlays of pending ancestors, then the store      Overlay
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    sync::{PoisonError, RwLock},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable;
/// An account, as hashed into the state trie.
pub use alloy_trie::TrieAccount as Account;
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles};
use revm::{
    Database, DatabaseCommit,
    database_interface::DBErrorMarker,
    state::{AccountInfo, Bytecode, EvmState},
};

use crate::{
    store::{StoreError, Table},
    trie::{Commit, NodeReader, Trie},
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
        Account::decode(&mut &*row).map(Some).map_err(|error| StoreError::Corrupt {
            table: Table::Account.name(),
            detail: format!("account {hash}: {error}"),
        })
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
        let row = self.get(Table::Slot, &slot_key(hash, slot_hash(slot)))?;
        Ok(row.map_or(U256::ZERO, |row| U256::from_be_slice(&row)))
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
}

/// Nodes of the storage trie of one account, by the hash of its address.
pub struct StorageNodes<'a, R>(pub &'a R, pub B256);

impl<R: StateReader> NodeReader for StorageNodes<'_, R> {
    fn node(&self, path: &Nibbles) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(Table::StorageNode, &storage_node_key(self.1, path))
    }
}

/// Ends a path in a key, so that no path's key is the beginning of another's. Nibbles are below 16.
const PATH_END: u8 = 0xff;

fn account_node_key(path: &Nibbles) -> Vec<u8> {
    path.iter().chain([PATH_END]).collect()
}

fn storage_node_key(account: B256, path: &Nibbles) -> Vec<u8> {
    account.iter().copied().chain(path.iter()).chain([PATH_END]).collect()
}

fn slot_key(account: B256, slot: B256) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(account.as_slice());
    key[32..].copy_from_slice(slot.as_slice());
    key
}

/// Key of a slot in the storage trie.
pub fn slot_hash(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

/// A row of a head table that a block changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Row before the block.
    pub before: Option<Vec<u8>>,
    /// Row after the block.
    pub after: Option<Vec<u8>>,
}

/// The tables whose rows have a history.
pub const VERSIONED: [Table; 4] = [Table::Account, Table::Slot, Table::AccountNode, Table::StorageNode];

/// All that a block changes in the state.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// In the order of [`VERSIONED`].
    tables: [HashMap<Vec<u8>, Change>; 4],
    /// Code that the block brought.
    pub codes: BTreeMap<B256, Bytes>,
}

impl Overlay {
    /// The row, if this block changed it.
    pub fn get(&self, table: Table, key: &[u8]) -> Option<Option<Vec<u8>>> {
        if table == Table::Code {
            let code = self.codes.get(&B256::try_from(key).ok()?)?;
            return Some(Some(code.to_vec()));
        }
        let position = VERSIONED.iter().position(|versioned| *versioned == table)?;
        self.tables[position].get(key).map(|change| change.after.clone())
    }

    /// The changed rows, table by table.
    pub fn changes(&self) -> impl Iterator<Item = (Table, &Vec<u8>, &Change)> {
        VERSIONED
            .into_iter()
            .zip(&self.tables)
            .flat_map(|(table, rows)| rows.iter().map(move |(key, change)| (table, key, change)))
    }

    fn put(&mut self, table: Table, key: Vec<u8>, before: Option<Vec<u8>>, after: Option<Vec<u8>>) {
        let position =
            VERSIONED.iter().position(|versioned| *versioned == table).expect("only versioned tables change");
        self.tables[position].insert(key, Change { before, after });
    }
}

/// Analysed code by hash, shared by all executions. Code never changes, so nothing is ever stale.
#[derive(Debug, Default)]
pub struct CodeCache(RwLock<HashMap<B256, Bytecode>>);

impl CodeCache {
    /// Contracts kept; at 24 KiB each at most 24 MiB and their jump tables.
    const LIMIT: usize = 1024;

    fn get(&self, hash: &B256) -> Option<Bytecode> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    fn put(&self, hash: B256, code: Bytecode) {
        let mut codes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if codes.len() >= Self::LIMIT {
            codes.clear();
        }
        codes.insert(hash, code);
    }
}

/// Accounts and slots as transactions see and change them within one block, or one call that is tried.
pub struct Working<'a, R> {
    reader: &'a R,
    cache: &'a CodeCache,
    accounts: HashMap<Address, Entry>,
    codes: HashMap<B256, Bytecode>,
}

struct Entry {
    /// keccak256 of the address.
    hash: B256,
    before: Option<Account>,
    now: Option<Info>,
    slots: HashMap<U256, SlotEntry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Info {
    nonce: u64,
    balance: U256,
    code_hash: B256,
}

#[derive(Clone, Copy)]
struct SlotEntry {
    before: U256,
    now: U256,
}

impl<'a, R: StateReader> Working<'a, R> {
    /// Starts from the state of `reader`.
    pub fn new(reader: &'a R, cache: &'a CodeCache) -> Self {
        Self { reader, cache, accounts: HashMap::new(), codes: HashMap::new() }
    }

    /// Puts code at an address, as genesis does; the account counts as a contract (nonce 1, EIP-161).
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn set_code(&mut self, address: Address, code: Bytes) -> Result<(), StoreError> {
        let hash = keccak256(&code);
        let entry = self.entry(address)?;
        let balance = entry.now.map_or(U256::ZERO, |info| info.balance);
        entry.now = Some(Info { nonce: 1, balance, code_hash: hash });
        self.codes.insert(hash, Bytecode::new_legacy(code));
        Ok(())
    }

    /// Sets a balance, as genesis does.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn set_balance(&mut self, address: Address, balance: U256) -> Result<(), StoreError> {
        let entry = self.entry(address)?;
        let info = entry.now.unwrap_or(Info { nonce: 0, balance, code_hash: KECCAK_EMPTY });
        entry.now = Some(Info { balance, ..info });
        Ok(())
    }

    /// Sets a storage slot, as genesis does.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn set_storage(&mut self, address: Address, slot: U256, value: U256) -> Result<(), StoreError> {
        self.storage(address, slot)?;
        let entry = self.entry(address)?;
        entry.slots.entry(slot).or_insert(SlotEntry { before: U256::ZERO, now: U256::ZERO }).now = value;
        Ok(())
    }

    /// Computes the state root after all changes, and what the block changes in the store.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn commit_block(self, parent_root: B256) -> Result<(B256, Overlay), StoreError> {
        let mut overlay = Overlay::default();
        let account_nodes = AccountNodes(self.reader);
        let mut accounts = Trie::open(&account_nodes, parent_root);
        for entry in self.accounts.into_values() {
            let storage_root = commit_storage(self.reader, &entry, &mut overlay)?;
            let after = entry.now.map(|info| Account {
                nonce: info.nonce,
                balance: info.balance,
                storage_root,
                code_hash: info.code_hash,
            });
            if after == entry.before {
                continue;
            }
            if let Some(code) = after.and_then(|account| self.codes.get(&account.code_hash)) {
                overlay.codes.insert(keccak256(code.original_byte_slice()), code.original_bytes());
            }
            let before = entry.before.map(alloy_rlp::encode);
            let after = after.map(alloy_rlp::encode);
            accounts.set(entry.hash, after.clone())?;
            overlay.put(Table::Account, entry.hash.to_vec(), before, after);
        }
        let Commit { root, nodes } = accounts.commit();
        for node in nodes {
            overlay.put(Table::AccountNode, account_node_key(&node.path), node.before, node.after);
        }
        Ok((root, overlay))
    }

    fn entry(&mut self, address: Address) -> Result<&mut Entry, StoreError> {
        // Two look-ups where the borrow checker would like one: the entry API would need the read before the check.
        if !self.accounts.contains_key(&address) {
            let hash = keccak256(address);
            let before = self.reader.account_by_hash(hash)?;
            let now = before.map(|account| Info {
                nonce: account.nonce,
                balance: account.balance,
                code_hash: account.code_hash,
            });
            self.accounts.insert(address, Entry { hash, before, now, slots: HashMap::new() });
        }
        Ok(self.accounts.get_mut(&address).expect("inserted above"))
    }
}

/// The storage root of an account after the block.
fn commit_storage<R: StateReader>(reader: &R, entry: &Entry, overlay: &mut Overlay) -> Result<B256, StoreError> {
    let root = entry.before.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
    let nodes = StorageNodes(reader, entry.hash);
    let mut trie = Trie::open(&nodes, root);
    for (slot, SlotEntry { before, now }) in entry.slots.iter().filter(|(_, slot)| slot.before != slot.now) {
        let hash = slot_hash(*slot);
        let row = |value: &U256| (!value.is_zero()).then(|| value.to_be_bytes_trimmed_vec());
        trie.set(hash, (!now.is_zero()).then(|| alloy_rlp::encode(now)))?;
        overlay.put(Table::Slot, slot_key(entry.hash, hash).to_vec(), row(before), row(now));
    }
    let Commit { root, nodes } = trie.commit();
    for node in nodes {
        overlay.put(Table::StorageNode, storage_node_key(entry.hash, &node.path), node.before, node.after);
    }
    Ok(root)
}

impl DBErrorMarker for StoreError {}

impl<R: StateReader> Database for Working<'_, R> {
    type Error = StoreError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        Ok(self.entry(address)?.now.map(|info| AccountInfo {
            balance: info.balance,
            nonce: info.nonce,
            code_hash: info.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StoreError> {
        if hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.codes.get(&hash).cloned().or_else(|| self.cache.get(&hash)) {
            return Ok(code);
        }
        let corrupt = |detail| StoreError::Corrupt { table: Table::Code.name(), detail };
        let raw = self.reader.code(hash)?.ok_or_else(|| corrupt(format!("code {hash} is missing")))?;
        let code = Bytecode::new_raw_checked(raw).map_err(|error| corrupt(format!("code {hash}: {error}")))?;
        self.cache.put(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StoreError> {
        let reader = self.reader;
        let entry = self.entry(address)?;
        if let Some(slot) = entry.slots.get(&slot) {
            return Ok(slot.now);
        }
        // An account that did not exist, or had no storage, has zeroes only.
        let value = match entry.before {
            Some(account) if account.storage_root != EMPTY_ROOT_HASH => reader.storage_by_hash(entry.hash, slot)?,
            _ => U256::ZERO,
        };
        entry.slots.insert(slot, SlotEntry { before: value, now: value });
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StoreError> {
        Ok(self.reader.block_hash(number)?.unwrap_or_default())
    }
}

impl<R: StateReader> DatabaseCommit for Working<'_, R> {
    fn commit(&mut self, changes: EvmState) {
        for (address, account) in changes.into_iter().filter(|(_, account)| account.is_touched()) {
            let entry = self.accounts.get_mut(&address).expect("the EVM loads an account before it changes it");
            // EIP-6780: only what was created in the same transaction is destroyed, so no storage from before goes.
            if account.is_selfdestructed() || account.is_created() {
                entry.slots.values_mut().for_each(|slot| slot.now = U256::ZERO);
            }
            if account.is_selfdestructed() {
                entry.now = None;
                continue;
            }
            for (slot, value) in account.storage.into_iter().filter(|(_, value)| value.is_changed()) {
                let zero = SlotEntry { before: U256::ZERO, now: U256::ZERO };
                entry.slots.entry(slot).or_insert(zero).now = value.present_value;
            }
            let info = account.info;
            // EIP-161: touched and empty is gone.
            entry.now = (!info.is_empty()).then_some(Info {
                nonce: info.nonce,
                balance: info.balance,
                code_hash: info.code_hash,
            });
            if let Some(code) = info.code.filter(|code| !code.is_empty()) {
                self.codes.insert(info.code_hash, code);
            }
        }
    }
}
