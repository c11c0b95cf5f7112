//! The state of a block as far as it was proven. Whatever is missing reads as empty, and is noted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::KECCAK_EMPTY;
use contracts::standard::{BLOCK_HASH_HISTORY, BLOCK_HASH_WINDOW};
use light::FinalHeader;

use super::codes::Codes;
use super::rows::{Missing, Rows};
use crate::block::Header;
use crate::chain::SimulateError;
use crate::execution::{self, Call, MovedPrecompiles, Outcome, Rules, Stop, history_slot};
use crate::peg::{self, States};
use crate::state::store::{StoreError, Table};
use crate::state::{Account, CodeCache, StateReader, Working};

/// A state to run calls on. Its answers hold if nothing was [`View::missing`] when they were there; else they say nothing.
pub struct View {
    header: Arc<FinalHeader>,
    rules: Rules,
    rows: Arc<Mutex<Rows>>,
    codes: Arc<Mutex<Codes>>,
    missing: Mutex<Missing>,
    analysed: Arc<CodeCache>,
}

impl View {
    #[must_use]
    pub fn new(
        header: Arc<FinalHeader>,
        rules: Rules,
        rows: Arc<Mutex<Rows>>,
        codes: Arc<Mutex<Codes>>,
        analysed: Arc<CodeCache>,
    ) -> Self {
        Self { header, rules, rows, codes, missing: Mutex::default(), analysed }
    }

    /// Header of the block whose state it is.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header.header
    }

    /// What was asked for and is not here, since this was called last.
    #[must_use]
    pub fn missing(&self) -> Missing {
        std::mem::take(&mut *locked(&self.missing))
    }

    /// Tries a call on it.
    ///
    /// # Errors
    ///
    /// As [`execution::simulate`].
    pub fn call(&self, call: &Call, stop: &Stop) -> Result<Outcome, SimulateError> {
        let working = Working::new(self, &self.analysed);
        Ok(execution::simulate(&self.rules, self.header(), working, (call, &MovedPrecompiles::default()), stop)?
            .outcome)
    }
}

/// What panics while it holds a lock leaves nothing half-done there.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl States for View {
    fn simulate(&self, _header: &Header, call: &Call, stop: &Stop) -> Result<Outcome, SimulateError> {
        self.call(call, stop)
    }

    fn read<const N: usize>(
        &self,
        _header: &Header,
        address: Address,
        slots: [U256; N],
    ) -> Result<(U256, [U256; N]), SimulateError> {
        Ok(peg::read(self, address, slots)?)
    }
}

impl StateReader for View {
    /// Rows are known by address and slot, not by their hashes: execution asks by those.
    fn get(&self, _table: Table, _key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Err(absent("rows by hash are not kept"))
    }

    fn account(&self, address: Address) -> Result<Option<Account>, StoreError> {
        if let Some(known) = locked(&self.rows).account(address) {
            return Ok(known);
        }
        locked(&self.missing).accounts.entry(address).or_default();
        Ok(None)
    }

    fn account_at(&self, address: Address, _hash: B256) -> Result<Option<Account>, StoreError> {
        self.account(address)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        if let Some(known) = locked(&self.rows).slot(address, slot) {
            return Ok(known);
        }
        locked(&self.missing).accounts.entry(address).or_default().insert(slot);
        Ok(U256::ZERO)
    }

    fn storage_at(&self, address: Address, _hash: B256, slot: U256) -> Result<U256, StoreError> {
        self.storage(address, slot)
    }

    /// An error where it is missing: nothing may be remembered as the code of this hash but the code.
    fn code(&self, hash: B256) -> Result<Option<Bytes>, StoreError> {
        if hash == KECCAK_EMPTY {
            return Ok(Some(Bytes::new()));
        }
        if let Some(code) = locked(&self.codes).get(hash) {
            return Ok(Some(code));
        }
        locked(&self.missing).codes.insert(hash);
        Err(absent("code is not here yet"))
    }

    /// From the state itself (EIP-2935): a header says only its parent's hash.
    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        let own = self.header.header.number;
        match own.checked_sub(number) {
            None => Ok(None),
            Some(0) => Ok(Some(self.header.hash)),
            Some(1) => Ok(Some(self.header.header.parent_hash)),
            Some(back) if back > BLOCK_HASH_WINDOW => Ok(None),
            Some(_) => self.storage(BLOCK_HASH_HISTORY, history_slot(number)).map(|hash| Some(B256::from(hash))),
        }
    }
}

fn absent(detail: &str) -> StoreError {
    StoreError::Io { action: "read what was not proven", detail: detail.to_owned() }
}
