//! Registrations of deposit addresses: what an address commits to, kept so that the relayers find the deposit.

use std::sync::PoisonError;

use alloy_primitives::{Address, B256};

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
    /// Account on the sidechain.
    pub recipient: Address,
    /// x-only key that can take the deposit back.
    pub reclaim_key: B256,
    /// Largest share of fees the depositor pays.
    pub max_fee_sat: u64,
    /// Epoch whose key the address uses.
    pub epoch: u32,
    /// x-only output key of the address; the registration's identity.
    pub output_key: B256,
}

impl Registration {
    /// recipient 20, reclaim key 32, largest fee 8, epoch 4, output key 32.
    const BYTES: usize = 96;

    fn to_bytes(&self) -> Vec<u8> {
        [
            self.recipient.as_slice(),
            self.reclaim_key.as_slice(),
            &self.max_fee_sat.to_be_bytes(),
            &self.epoch.to_be_bytes(),
            self.output_key.as_slice(),
        ]
        .concat()
    }

    fn from_bytes(row: &[u8]) -> Result<Self, StoreError> {
        let row: &[u8; Self::BYTES] =
            row.try_into().map_err(|_| corrupt(Table::Registration, format!("entry of {} bytes", row.len())))?;
        let (recipient, rest) = row.split_at(20);
        let (reclaim_key, rest) = rest.split_at(32);
        let (fee, rest) = rest.split_at(8);
        let (epoch, output_key) = rest.split_at(4);
        Ok(Self {
            recipient: Address::from_slice(recipient),
            reclaim_key: B256::from_slice(reclaim_key),
            max_fee_sat: u64::from_be_bytes(fee.try_into().expect("8 bytes")),
            epoch: u32::from_be_bytes(epoch.try_into().expect("4 bytes")),
            output_key: B256::from_slice(output_key),
        })
    }
}

/// Why a deposit is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// This node keeps no more.
    #[error("this node keeps {MAX_REGISTRATIONS} deposit registrations and takes no more; ask another node")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store> Chain<S> {
    /// Keeps a deposit registration. Answers its cursor, and whether it is new.
    ///
    /// # Errors
    ///
    /// `TooMany` above [`MAX_REGISTRATIONS`].
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

    /// Registrations after a cursor (0: from the first), in order.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn registrations(&self, after: u64, limit: usize) -> Result<Vec<(u64, Registration)>, StoreError> {
        let rows = self.store.scan(Table::Registration, &after.saturating_add(1).to_be_bytes(), limit)?;
        rows.into_iter()
            .map(|(key, row)| Ok((block_number(Table::Registration, &key)?, Registration::from_bytes(&row)?)))
            .collect()
    }

    /// The registration of an output key.
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
        Ok(Some((block_number(Table::RegistrationKey, &cursor)?, Registration::from_bytes(&row)?)))
    }
}
