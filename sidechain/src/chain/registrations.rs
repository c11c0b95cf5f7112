//! Registrations of deposit addresses: what an address commits to, kept so that the relayers find the deposit.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use alloy_primitives::{Address, B256};
use api::peg::Terms;

use super::{
    open::Chain,
    registrants::{Oldest, Origin},
    rows::{META_LAST_CURSOR, META_REGISTRATIONS, block_number, corrupt},
};
use crate::state::store::{Batch, Store, StoreError, Table};

/// Deposit registrations kept. About 300 bytes each: 300 MB.
pub const MAX_REGISTRATIONS: u64 = 1_000_000;

/// How long a registration with a payment is kept before those without one, though the payment is not minted: a month. Whoever
/// takes the payment back after the reclaim delay (a week) keeps its place no longer than that.
const PAID_FOR_MS: u64 = 30 * 24 * 3_600_000;

/// The oldest of an origin that are looked at to find one that may go; those that must stay get a new place at the end.
const LOOKED_AT: usize = 8;

/// Questions to the ledger for one batch, whether a payment is minted. Beyond it a payment counts as waiting.
const MAX_QUESTIONS: usize = 64;

/// What a deposit address commits to, as registered by `peg_registerDeposit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub terms: Terms,
    /// x-only output key of the address that the terms make; the registration's identity.
    pub output_key: B256,
}

impl Registration {
    /// Length of the encoding that the store keeps and gossip carries.
    pub const BYTES: usize = 20 + 20 + 32 + 8 + 32 + 4 + 32;

    /// recipient 20 | claimant 20 | reclaim key 32 | largest fee, sat 8 | data hash 32 | epoch 4 | output key 32; numbers big endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Terms { recipient, claimant, reclaim_key, max_fee_sat, data_hash, epoch } = &self.terms;
        [
            recipient.as_slice(),
            claimant.as_slice(),
            reclaim_key.as_slice(),
            &max_fee_sat.to_be_bytes(),
            data_hash.as_slice(),
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
            claimant: Address::from_slice(&bytes[20..40]),
            reclaim_key: B256::from_slice(&bytes[40..72]),
            max_fee_sat: u64::from_be_bytes(bytes[72..80].try_into().ok()?),
            data_hash: B256::from_slice(&bytes[80..112]),
            epoch: u32::from_be_bytes(bytes[112..116].try_into().ok()?),
        };
        Some(Self { terms, output_key: B256::from_slice(&bytes[116..]) })
    }
}

/// An output that pays a registered address: the transaction, hashed, in internal byte order, and the output's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    pub txid: B256,
    pub vout: u32,
}

/// What is known of an address: its terms, or a payment, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// x-only, of the address.
    pub output_key: B256,
    /// `None`: only of interest when the address is registered.
    pub registration: Option<Registration>,
    pub origin: Origin,
    /// Proven, or in the ledger.
    pub payment: Option<Payment>,
}

/// Whether a registration is kept now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    New,
    /// It was kept before.
    Known,
    /// It was kept before; the payment is news.
    Paid,
    /// There was no room: everything older has a payment that waits.
    No,
}

/// Why a deposit address is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Everything that is kept has a payment that waits for the federation.
    #[error(
        "this node keeps {MAX_REGISTRATIONS} deposit registrations with payments and takes no more without; prove a payment, or ask another node"
    )]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A registration as stored. The row: registration 148 | origin 1 | until when its payment keeps it, ms 8 | txid 32 | vout 4, the
/// last three only with a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    registration: Registration,
    origin: Origin,
    paid: Option<(Payment, u64)>,
}

impl Row {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.registration.to_bytes();
        bytes.push(self.origin.0);
        if let Some((payment, until_ms)) = &self.paid {
            bytes.extend_from_slice(&until_ms.to_be_bytes());
            bytes.extend_from_slice(payment.txid.as_slice());
            bytes.extend_from_slice(&payment.vout.to_be_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (registration, rest) = bytes.split_at_checked(Registration::BYTES)?;
        let registration = Registration::from_bytes(registration)?;
        let (origin, paid) = rest.split_first()?;
        let paid = if paid.is_empty() { None } else { Some(Self::paid_from_bytes(paid)?) };
        Some(Self { registration, origin: Origin(*origin), paid })
    }

    fn paid_from_bytes(bytes: &[u8]) -> Option<(Payment, u64)> {
        let bytes: &[u8; 44] = bytes.try_into().ok()?;
        let until_ms = u64::from_be_bytes(bytes[..8].try_into().ok()?);
        let vout = u32::from_be_bytes(bytes[40..].try_into().ok()?);
        Some((Payment { txid: B256::from_slice(&bytes[8..40]), vout }, until_ms))
    }
}

impl<S: Store> Chain<S> {
    /// Keeps what arrived, on disk when this returns, with one write for all. At most `room` registrations are kept: beyond it
    /// the oldest go, of the origin that has most; one with a payment goes only when the payment is `minted`, or no other can.
    /// A cursor is a place in the list, from 1; a registration whose payment is new, or that is asked for again after half of
    /// the list is younger, gets a new one at the end.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn register_deposits(
        &self,
        arrivals: &[Arrival],
        now_ms: u64,
        room: u64,
        minted: &dyn Fn(&Payment) -> bool,
    ) -> Result<Vec<Kept>, StoreError> {
        let mut oldest = self.registering.lock().unwrap_or_else(PoisonError::into_inner);
        let mut draft = Draft::new(&self.store, now_ms, room, minted)?;
        draft.oldest.clone_from(&oldest);
        let kept = arrivals.iter().map(|arrival| draft.take(arrival)).collect::<Result<_, _>>()?;
        if let Some((batch, new_oldest)) = draft.finish() {
            self.store.write(batch)?;
            *oldest = new_oldest;
        }
        Ok(kept)
    }

    /// Keeps one registration of a user. Answers its cursor, and whether it is new.
    ///
    /// # Errors
    ///
    /// `TooMany`, `Store`.
    pub fn register_deposit(&self, registration: &Registration) -> Result<(u64, bool), RegistrationError> {
        let output_key = registration.output_key;
        let registration = Some(registration.clone());
        let arrival = Arrival { output_key, registration, origin: Origin::USERS, payment: None };
        let kept = self.register_deposits(&[arrival], 0, MAX_REGISTRATIONS, &|_| false)?;
        match self.registration(output_key)? {
            Some((cursor, _)) => Ok((cursor, kept == [Kept::New])),
            None => Err(RegistrationError::TooMany),
        }
    }

    /// At most `limit` registrations after a cursor (0: from the first) with their cursors, in order.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn registrations(&self, after: u64, limit: usize) -> Result<Vec<(u64, Registration)>, StoreError> {
        let listed = self.registrations_with_payments(after, limit)?;
        Ok(listed.into_iter().map(|(cursor, registration, _)| (cursor, registration)).collect())
    }

    /// The same, with the payments that were proven or are in the ledger.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn registrations_with_payments(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Registration, Option<Payment>)>, StoreError> {
        let rows = self.store.scan(Table::Registration, &after.saturating_add(1).to_be_bytes(), limit)?;
        let listed = |(key, row): (Vec<u8>, Vec<u8>)| -> Result<_, StoreError> {
            let Row { registration, paid, .. } = row_of(&row)?;
            Ok((block_number(Table::Registration, &key)?, registration, paid.map(|(payment, _)| payment)))
        };
        rows.into_iter().map(listed).collect()
    }

    /// The cursor of the youngest registration; 0 before the first.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn last_registration(&self) -> Result<u64, StoreError> {
        last_cursor(&self.store)
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
    Ok(row_of(row)?.registration)
}

fn last_cursor<S: Store>(store: &S) -> Result<u64, StoreError> {
    store.get(Table::Meta, META_LAST_CURSOR)?.map_or(Ok(0), |row| block_number(Table::Meta, &row))
}

fn row_of(row: &[u8]) -> Result<Row, StoreError> {
    Row::from_bytes(row).ok_or_else(|| corrupt(Table::Registration, format!("entry of {} bytes", row.len())))
}

/// Changes to the list that are written together.
struct Draft<'a, S> {
    store: &'a S,
    now_ms: u64,
    room: u64,
    minted: &'a dyn Fn(&Payment) -> bool,
    questions: usize,
    batch: Batch,
    last_cursor: u64,
    /// Registrations of each origin.
    counts: BTreeMap<Origin, u64>,
    /// What is before has gone, in this draft or earlier.
    oldest: Oldest,
    /// Rows of this draft, by output key; `None` for those that have gone.
    rows: BTreeMap<B256, Option<(u64, Row)>>,
}

impl<'a, S: Store> Draft<'a, S> {
    fn new(store: &'a S, now_ms: u64, room: u64, minted: &'a dyn Fn(&Payment) -> bool) -> Result<Self, StoreError> {
        let last_cursor = last_cursor(store)?;
        let counts = store.get(Table::Meta, META_REGISTRATIONS)?.unwrap_or_default();
        let counts =
            counts.chunks_exact(9).map(|entry| Ok((Origin(entry[0]), block_number(Table::Meta, &entry[1..])?)));
        Ok(Self {
            counts: counts.collect::<Result<_, StoreError>>()?,
            oldest: Oldest::new(),
            rows: BTreeMap::new(),
            batch: Batch::default(),
            questions: 0,
            store,
            now_ms,
            room,
            minted,
            last_cursor,
        })
    }

    fn take(&mut self, arrival: &Arrival) -> Result<Kept, StoreError> {
        let paid = arrival.payment.map(|payment| (payment, self.now_ms.saturating_add(PAID_FOR_MS)));
        if let Some((cursor, mut row)) = self.row(arrival.output_key)? {
            let news = paid.is_some_and(|(payment, _)| row.paid.is_none_or(|(known, _)| known != payment));
            let old = arrival.registration.is_some() && self.last_cursor - cursor > self.room / 2;
            if news || old {
                row.paid = paid.or(row.paid);
                self.remove(cursor, &row);
                self.append(row);
            }
            return Ok(if news { Kept::Paid } else { Kept::Known });
        }
        let Some(registration) = &arrival.registration else { return Ok(Kept::No) };
        if self.count() >= self.room && !self.make_room(paid.is_some())? {
            return Ok(Kept::No);
        }
        self.append(Row { registration: registration.clone(), origin: arrival.origin, paid });
        Ok(Kept::New)
    }

    /// The batch, and from where on the list has its oldest after it; `None` when nothing changed.
    fn finish(mut self) -> Option<(Batch, Oldest)> {
        if self.batch.writes.is_empty() {
            return None;
        }
        let counts =
            self.counts.iter().flat_map(|(origin, count)| std::iter::once(origin.0).chain(count.to_be_bytes()));
        let counts: Vec<u8> = counts.collect();
        self.batch.put(Table::Meta, META_REGISTRATIONS, counts);
        self.batch.put(Table::Meta, META_LAST_CURSOR, self.last_cursor.to_be_bytes());
        Some((self.batch, self.oldest))
    }

    fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    fn row(&self, output_key: B256) -> Result<Option<(u64, Row)>, StoreError> {
        if let Some(row) = self.rows.get(&output_key) {
            return Ok(row.clone());
        }
        let Some(cursor) = self.store.get(Table::RegistrationKey, output_key.as_slice())? else {
            return Ok(None);
        };
        let row = self.store.get(Table::Registration, &cursor)?;
        let row = row.ok_or_else(|| corrupt(Table::Registration, format!("{output_key} is missing")))?;
        Ok(Some((block_number(Table::RegistrationKey, &cursor)?, row_of(&row)?)))
    }

    fn append(&mut self, row: Row) {
        self.last_cursor += 1;
        let (cursor, key) = (self.last_cursor.to_be_bytes(), row.registration.output_key);
        self.batch.put(Table::Registration, cursor, row.to_bytes());
        self.batch.put(Table::RegistrationKey, key.to_vec(), cursor);
        self.batch.put(Table::RegistrationAge, age_key(row.origin, self.last_cursor), []);
        *self.counts.entry(row.origin).or_default() += 1;
        self.rows.insert(key, Some((self.last_cursor, row)));
    }

    fn remove(&mut self, cursor: u64, row: &Row) {
        let key = row.registration.output_key;
        self.batch.delete(Table::Registration, cursor.to_be_bytes());
        self.batch.delete(Table::RegistrationKey, key.to_vec());
        self.batch.delete(Table::RegistrationAge, age_key(row.origin, cursor));
        let count = self.counts.entry(row.origin).or_default();
        *count = count.saturating_sub(1);
        self.rows.insert(key, None);
    }

    /// Lets one go; whether that was possible. `at_any_price` takes one whose payment waits, when there is no other.
    fn make_room(&mut self, at_any_price: bool) -> Result<bool, StoreError> {
        let mut origins: Vec<_> = self.counts.iter().map(|(origin, count)| (*count, *origin)).collect();
        origins.sort_unstable();
        let mut last_resort = None;
        for (_, origin) in origins.into_iter().rev() {
            for _ in 0..LOOKED_AT {
                let Some((cursor, row)) = self.oldest_of(origin)? else { break };
                self.remove(cursor, &row);
                if !self.waits(&row) {
                    return Ok(true);
                }
                last_resort = last_resort.or(Some(row.registration.output_key));
                self.append(row);
            }
        }
        let last_resort = last_resort.filter(|_| at_any_price).and_then(|key| self.rows.get(&key).cloned().flatten());
        if let Some((cursor, row)) = &last_resort {
            self.remove(*cursor, row);
        }
        Ok(last_resort.is_some())
    }

    /// The oldest of an origin that this draft has not looked at.
    fn oldest_of(&mut self, origin: Origin) -> Result<Option<(u64, Row)>, StoreError> {
        loop {
            let from = self.oldest.get(&origin).copied().unwrap_or_default();
            let found = self.store.seek(Table::RegistrationAge, &age_key(origin, from))?;
            let Some((key, _)) = found.filter(|(key, _)| key.first() == Some(&origin.0)) else { return Ok(None) };
            let cursor = block_number(Table::RegistrationAge, &key[1..])?;
            self.oldest.insert(origin, cursor + 1);
            let row = self.store.get(Table::Registration, &cursor.to_be_bytes())?;
            let row = row.ok_or_else(|| corrupt(Table::Registration, format!("{cursor} is missing")))?;
            let row = row_of(&row)?;
            // What this draft touched has another place by now, or none.
            if !self.rows.contains_key(&row.registration.output_key) {
                return Ok(Some((cursor, row)));
            }
        }
    }

    /// Whether the federation still has to deal with a payment.
    fn waits(&mut self, row: &Row) -> bool {
        let Some((payment, _)) = row.paid.filter(|(_, until_ms)| *until_ms > self.now_ms) else { return false };
        self.questions += 1;
        self.questions > MAX_QUESTIONS || !(self.minted)(&payment)
    }
}

/// Registrations by origin and age.
fn age_key(origin: Origin, cursor: u64) -> Vec<u8> {
    [&[origin.0][..], &cursor.to_be_bytes()].concat()
}
