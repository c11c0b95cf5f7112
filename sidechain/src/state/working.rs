//! Accounts and slots as transactions see and change them, and what remains of it when the block ends.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use revm::{
    Database, DatabaseCommit,
    database_interface::DBErrorMarker,
    state::{AccountInfo, Bytecode, EvmState},
};

use super::{
    overlay::Overlay,
    reader::{
        Account, AccountNodes, StateReader, StorageNodes, account_node_key, encode_account, slot_hash, slot_key,
        storage_node_key,
    },
    store::{StoreError, Table},
    trie::{Commit, Trie},
};
use crate::stop::{Stop, Stopped};

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
    /// Hashes of earlier blocks that were asked for: at most 256, and each read once.
    block_hashes: HashMap<u64, B256>,
    /// Accounts and slots that transactions changed, each once.
    changes: u64,
}

struct Entry {
    /// keccak256 of the address.
    hash: B256,
    before: Option<Account>,
    now: Option<Info>,
    slots: HashMap<U256, SlotEntry>,
    /// Whether slots that nobody has set are empty, whatever the state has.
    cleared: bool,
    /// Whether it is counted among the changes.
    counted: bool,
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
    /// Whether it is counted among the changes.
    counted: bool,
}

impl SlotEntry {
    const fn unchanged(value: U256) -> Self {
        Self { before: value, now: value, counted: false }
    }
}

impl<'a, R: StateReader> Working<'a, R> {
    /// Starts from the state of `reader`.
    pub fn new(reader: &'a R, cache: &'a CodeCache) -> Self {
        Self {
            reader,
            cache,
            accounts: HashMap::new(),
            codes: HashMap::new(),
            block_hashes: HashMap::new(),
            changes: 0,
        }
    }

    /// Puts code at an address without running a constructor, for the genesis block; the account counts as a contract (nonce 1,
    /// EIP-161).
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

    /// Sets a balance in wei that no transaction pays, for the genesis block.
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

    /// Puts another nonce, balance or code in the place of an account's, for a call that is tried: nothing of it is ever committed.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn replace(
        &mut self,
        address: Address,
        nonce: Option<u64>,
        balance: Option<U256>,
        code: Option<Bytes>,
    ) -> Result<(), StoreError> {
        let entry = self.entry(address)?;
        let before = entry.now.unwrap_or(Info { nonce: 0, balance: U256::ZERO, code_hash: KECCAK_EMPTY });
        let code_hash = code.as_ref().map_or(before.code_hash, keccak256);
        entry.now =
            Some(Info { nonce: nonce.unwrap_or(before.nonce), balance: balance.unwrap_or(before.balance), code_hash });
        if let Some(code) = code {
            let parsed = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
            self.codes.insert(code_hash, parsed);
        }
        Ok(())
    }

    /// Empties an account's storage, for a call that is tried.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn clear_storage(&mut self, address: Address) -> Result<(), StoreError> {
        let entry = self.entry(address)?;
        entry.cleared = true;
        entry.slots.clear();
        Ok(())
    }

    /// Sets a storage slot without running the contract.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn set_storage(&mut self, address: Address, slot: U256, value: U256) -> Result<(), StoreError> {
        self.storage(address, slot)?;
        let entry = self.entry(address)?;
        entry.slots.entry(slot).or_insert(SlotEntry::unchanged(U256::ZERO)).now = value;
        Ok(())
    }

    /// Accounts and slots that transactions changed, each once however many changed it.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Computes the state root after all changes, and what the block changes in the store.
    ///
    /// # Errors
    ///
    /// When the store fails, or soon after `stop`.
    pub fn commit_block(self, parent_root: B256, stop: &Stop) -> Result<(B256, Overlay), CommitError> {
        let mut overlay = Overlay::default();
        let account_nodes = AccountNodes(self.reader);
        let mut accounts = Trie::open(&account_nodes, parent_root);
        for entry in self.accounts.into_values() {
            stop.check()?;
            let storage_root = commit_storage(self.reader, &entry, &mut overlay, stop)?;
            let after = entry.now.map(|info| Account {
                nonce: info.nonce,
                balance: info.balance,
                storage_root,
                code_hash: info.code_hash,
            });
            if after == entry.before {
                continue;
            }
            // Code that the account had before is in the store already.
            let had = entry.before.map_or(KECCAK_EMPTY, |account| account.code_hash);
            let brought = after.filter(|account| account.code_hash != had);
            if let Some(code) = brought.and_then(|account| self.codes.get(&account.code_hash)) {
                overlay.codes.insert(keccak256(code.original_byte_slice()), code.original_bytes());
            }
            accounts.set(entry.hash, after.map(alloy_rlp::encode))?;
            let [before, after] = [entry.before, after].map(|account| account.as_ref().map(encode_account));
            overlay.put(Table::Account, entry.hash.to_vec(), before, after);
        }
        let Commit { root, nodes } = accounts.commit(stop)?;
        for node in nodes {
            overlay.put(Table::AccountNode, account_node_key(&node.path), node.before, node.after);
        }
        Ok((root, overlay))
    }

    fn entry(&mut self, address: Address) -> Result<&mut Entry, StoreError> {
        // Two look-ups where the borrow checker would like one: the entry API would need the read before the check.
        if !self.accounts.contains_key(&address) {
            let hash = keccak256(address);
            let before = self.reader.account_at(address, hash)?;
            let now = before.map(|account| Info {
                nonce: account.nonce,
                balance: account.balance,
                code_hash: account.code_hash,
            });
            self.accounts
                .insert(address, Entry { hash, before, now, slots: HashMap::new(), cleared: false, counted: false });
        }
        Ok(self.accounts.get_mut(&address).expect("inserted above"))
    }
}

/// The storage root of an account after the block.
fn commit_storage<R: StateReader>(
    reader: &R,
    entry: &Entry,
    overlay: &mut Overlay,
    stop: &Stop,
) -> Result<B256, CommitError> {
    let before = entry.before.filter(|_| !entry.cleared);
    let root = before.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
    let nodes = StorageNodes(reader, entry.hash);
    let mut trie = Trie::open(&nodes, root);
    for (slot, SlotEntry { before, now, .. }) in entry.slots.iter().filter(|(_, slot)| slot.before != slot.now) {
        stop.check()?;
        let hash = slot_hash(*slot);
        let row = |value: &U256| (!value.is_zero()).then(|| value.to_be_bytes_trimmed_vec());
        trie.set(hash, (!now.is_zero()).then(|| alloy_rlp::encode(now)))?;
        overlay.put(Table::Slot, slot_key(entry.hash, hash).to_vec(), row(before), row(now));
    }
    let Commit { root, nodes } = trie.commit(stop)?;
    for node in nodes {
        overlay.put(Table::StorageNode, storage_node_key(entry.hash, &node.path), node.before, node.after);
    }
    Ok(root)
}

/// Why a block's changes have no root.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Store(#[from] StoreError),
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
            Some(account) if account.storage_root != EMPTY_ROOT_HASH && !entry.cleared => {
                reader.storage_at(address, entry.hash, slot)?
            }
            _ => U256::ZERO,
        };
        entry.slots.insert(slot, SlotEntry::unchanged(value));
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StoreError> {
        if let Some(hash) = self.block_hashes.get(&number) {
            return Ok(*hash);
        }
        let hash = self.reader.block_hash(number)?.unwrap_or_default();
        self.block_hashes.insert(number, hash);
        Ok(hash)
    }
}

/// Counts what is not counted yet.
const fn count(changes: &mut u64, counted: &mut bool) {
    if !*counted {
        *counted = true;
        *changes += 1;
    }
}

impl<R: StateReader> DatabaseCommit for Working<'_, R> {
    fn commit(&mut self, changes: EvmState) {
        for (address, account) in changes.into_iter().filter(|(_, account)| account.is_touched()) {
            let entry = self.accounts.get_mut(&address).expect("the EVM loads an account before it changes it");
            count(&mut self.changes, &mut entry.counted);
            // EIP-6780: only what was created in the same transaction is destroyed, so no storage from before goes.
            if account.is_selfdestructed() || account.is_created() {
                entry.slots.values_mut().for_each(|slot| slot.now = U256::ZERO);
            }
            if account.is_selfdestructed() {
                entry.now = None;
                continue;
            }
            for (slot, value) in account.storage.into_iter().filter(|(_, value)| value.is_changed()) {
                let changed = entry.slots.entry(slot).or_insert(SlotEntry::unchanged(U256::ZERO));
                changed.now = value.present_value;
                count(&mut self.changes, &mut changed.counted);
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
