//! The state before a transaction, as a tracer compares it with the state after it.

use std::cell::{Cell, RefCell};

use alloy_primitives::{Address, B256, U256};
use revm::{
    Database as _, DatabaseRef,
    database_interface::DBErrorMarker,
    state::{AccountInfo, Bytecode},
};

use crate::{
    state::{StateReader, Working, store::StoreError},
    stop::Stop,
};

/// Why a tracer gets nothing more.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeforeError {
    #[error("too much")]
    Full,
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DBErrorMarker for BeforeError {}

/// What accounts and slots were before a transaction that is not committed yet, up to so many bytes of code.
pub(super) struct Before<'w, 'a, R> {
    working: RefCell<&'w mut Working<'a, R>>,
    bytes_left: Cell<usize>,
    stop: &'w Stop,
    /// The first error: tracers pass over what they cannot read.
    failed: RefCell<Option<BeforeError>>,
}

impl<'w, 'a, R: StateReader> Before<'w, 'a, R> {
    pub(super) const fn new(working: &'w mut Working<'a, R>, bytes: usize, stop: &'w Stop) -> Self {
        Self { working: RefCell::new(working), bytes_left: Cell::new(bytes), stop, failed: RefCell::new(None) }
    }

    /// # Errors
    ///
    /// The first that the tracer met.
    pub(super) fn check(self) -> Result<(), BeforeError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    fn read<T>(
        &self,
        bytes: impl FnOnce(&T) -> usize,
        read: impl FnOnce(&mut Working<'a, R>) -> Result<T, StoreError>,
    ) -> Result<T, BeforeError> {
        let value = self.within(bytes, read);
        value.map_err(|error| {
            // The tracer gets a copy in words; the first is kept as it is.
            let said = match &error {
                BeforeError::Full => BeforeError::Full,
                _ => BeforeError::Stopped,
            };
            self.failed.borrow_mut().get_or_insert(error);
            said
        })
    }

    fn within<T>(
        &self,
        bytes: impl FnOnce(&T) -> usize,
        read: impl FnOnce(&mut Working<'a, R>) -> Result<T, StoreError>,
    ) -> Result<T, BeforeError> {
        if self.stop.is_stopped() {
            return Err(BeforeError::Stopped);
        }
        let value = read(&mut self.working.borrow_mut())?;
        let left = self.bytes_left.get().checked_sub(bytes(&value)).ok_or(BeforeError::Full)?;
        self.bytes_left.set(left);
        Ok(value)
    }
}

/// Bytes that an account or a slot takes in a trace.
const ROW_BYTES: usize = 256;

impl<R: StateReader> DatabaseRef for Before<'_, '_, R> {
    type Error = BeforeError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, BeforeError> {
        self.read(|_| ROW_BYTES, |working| working.basic(address))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, BeforeError> {
        self.read(|code: &Bytecode| code.len(), |working| working.code_by_hash(hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, BeforeError> {
        self.read(|_| ROW_BYTES, |working| working.storage(address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, BeforeError> {
        self.read(|_| ROW_BYTES, |working| working.block_hash(number))
    }
}
