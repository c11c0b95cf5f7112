//! Registrations of deposit addresses: what an address commits to, kept so that the relayers find the deposit.

use std::sync::PoisonError;

use alloy_primitives::{Address, B256};
use api::peg::Terms;

use super::{
    open::Chain,
    rows::{META_LAST_CURSOR, block_number, corrupt},
};
use crate::state::store::{Batch, Store, StoreError, Table};

/// Deposit registrations kept. About 200 bytes each: 200 MB.
pub const MAX_REGISTRATIONS: u64 = 1_000_000;

/// What a deposit address commits to, as registered by `peg_registerDeposit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub terms: Terms,
    /// x-only output key of the address that the terms make; the registration's identity.
    pub output_key: B256,
}

impl Registration {
    /// Length of the encoding that the store keeps and gossip carries.
    const BYTES: usize = 20 + 32 + 8 + 4 + 32;

    /// recipient 20 | reclaim key 32 | largest fee, sat 8 | epoch 4 | output key 32; numbers big endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Terms { recipient, reclaim_key, max_fee_sat, epoch } = &self.terms;
        [
            recipient.as_slice(),
            reclaim_key.as_slice(),
            &max_fee_sat.to_be_bytes(),
            &epoch.to_be_bytes(),
            self.output_key.as_slice(),
        ]
        .concat()
    }

    /// Reads [`Self::to_bytes`]. `None` when the length is not [`Self::BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let terms = Terms {
            recipient: Address::from_slice(&bytes[..20]),
            reclaim_key: B256::from_slice(&bytes[20..52]),
            max_fee_sat: u64::from_be_bytes(bytes[52..60].try_into().ok()?),
            epoch: u32::from_be_bytes(bytes[60..64].try_into().ok()?),
        };
        Some(Self { terms, output_key: B256::from_slice(&bytes[64..]) })
    }
}

/// Why a deposit address is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// [`MAX_REGISTRATIONS`] are kept already.
    #[error("this node keeps {MAX_REGISTRATIONS} deposit registrations and takes no more; ask another node")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store> Chain<S> {
    /// Keeps a registration, on disk when this returns. Answers its cursor (its place in the list, from 1), and whether it is new.
    ///
    /// # Errors
    ///
    /// `TooMany`: a new one, and [`MAX_REGISTRATIONS`] are kept. `Store`: the store failed.
    pub fn register_deposit(&self, registration: &Registration) -> Result<(u64, bool), RegistrationError> {
        let _one_at_a_time = self.registering.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cursor, _)) = self.registration(registration.output_key)? {
            return Ok((cursor, false));
        }
        let last = self.store.get(Table::Meta, META_LAST_CURSOR)?;
        let cursor = 1 + last.map_or(Ok(0), |row| block_number(Table::Meta, &row))?;
        if cursor > MAX_REGISTRATIONS {
            return Err(RegistrationError::TooMany);
        }
        let mut batch = Batch::default();
        batch.put(Table::Registration, cursor.to_be_bytes(), registration.to_bytes());
        batch.put(Table::RegistrationKey, registration.output_key.to_vec(), cursor.to_be_bytes());
        batch.put(Table::Meta, META_LAST_CURSOR, cursor.to_be_bytes());
        self.store.write(batch)?;
        Ok((cursor, true))
    }

    /// At most `limit` registrations after a cursor (0: from the first) with their cursors, in order.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn registrations(&self, after: u64, limit: usize) -> Result<Vec<(u64, Registration)>, StoreError> {
        let rows = self.store.scan(Table::Registration, &after.saturating_add(1).to_be_bytes(), limit)?;
        rows.into_iter().map(|(key, row)| Ok((block_number(Table::Registration, &key)?, from_row(&row)?))).collect()
    }

    /// The registration of an x-only output key, with its cursor.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn registration(&self, output_key: B256) -> Result<Option<(u64, Registration)>, StoreError> {
        let Some(cursor) = self.store.get(Table::RegistrationKey, output_key.as_slice())? else {
            return Ok(None);
        };
        let row = self.store.get(Table::Registration, &cursor)?;
        let row = row.ok_or_else(|| corrupt(Table::Registration, format!("{output_key} is missing")))?;
        Ok(Some((block_number(Table::RegistrationKey, &cursor)?, from_row(&row)?)))
    }
}

fn from_row(row: &[u8]) -> Result<Registration, StoreError> {
    Registration::from_bytes(row).ok_or_else(|| corrupt(Table::Registration, format!("entry of {} bytes", row.len())))
}
