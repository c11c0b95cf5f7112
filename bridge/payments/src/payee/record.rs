//! What a payee's file says, record by record. Read again in order, in whatever state, it leads to where it was written.

use alloy_primitives::B256;

use super::account::Account;
use super::flow::Flow;
use super::lock::{Lock, Opened};
use super::taken::{Signature, Taken};
use crate::bytes::{Reader, put};
use crate::free_totals::{FreeTotals, MAX_STRETCHES, Stretch};
use crate::locked::LockedVoucher;
use crate::receipt::Receipt;
use crate::stream::{StreamMeter, StreamTerms};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A channel is known from here on; so much was settled before.
    Admitted { id: B256, settled: u128 },
    /// A voucher was taken.
    Taken(Taken),
    /// All of a channel but what was taken last, in place of the records before.
    Kept { id: B256, charged: u128, best: Option<(u128, Signature)>, waits_since: Option<u64>, free: FreeTotals },
    /// Of a kept channel, what was taken last.
    Remembered(Taken),
    /// A stream was taken, and so many ticks of it before.
    Stream(Flow),
    /// A tick was taken.
    Tick { id: B256, root: B256, number: u32, tick: B256, at_unix_s: u64 },
    /// A voucher pays ahead.
    Credited { id: B256, total: u128, signature: Signature, at_unix_s: u64 },
    /// A tick pays ahead.
    CreditedTick { id: B256, root: B256, number: u32, tick: B256, at_unix_s: u64 },
    /// So much was spent for a request; what was charged for in all since then.
    Spent { id: B256, amount: u128, charged: u128, request: B256 },
    /// Of a kept channel, a request that was paid.
    Paid { id: B256, request: B256 },
    /// A claim of so much was brought to the chain.
    Published { id: B256, total: u128 },
    /// A lock is held.
    Locked(Lock),
    /// Of a kept channel, a lock that is held.
    KeptLock(Lock),
    /// A lock was opened; its receipt names the channel.
    Opened { hash: B256, opened: Opened },
    /// A lock that was not opened is held no more.
    Dropped { id: B256, hash: B256 },
    /// A channel is forgotten.
    Ended { id: B256 },
}

const ADMITTED: u8 = 1;
const TAKEN: u8 = 2;
const KEPT: u8 = 3;
const REMEMBERED: u8 = 4;
const ENDED: u8 = 5;
const STREAM: u8 = 6;
const TICK: u8 = 7;
const LOCKED: u8 = 8;
const KEPT_LOCK: u8 = 9;
const OPENED: u8 = 10;
const DROPPED: u8 = 11;
const CREDITED: u8 = 12;
const CREDITED_TICK: u8 = 13;
const SPENT: u8 = 14;
const PAID: u8 = 15;
const PUBLISHED: u8 = 16;

impl Record {
    /// A channel as it is, in as many records as it takes.
    #[must_use]
    pub fn all_of(id: B256, account: &Account) -> Vec<Self> {
        let kept = Self::Kept {
            id,
            charged: account.charged,
            best: account.best.clone(),
            waits_since: account.waits_since,
            free: account.free.clone(),
        };
        let mut records = Vec::with_capacity(1 + account.taken.len());
        records.push(kept);
        records.extend(account.flows.iter().cloned().map(Self::Stream));
        records.extend(account.locks.iter().cloned().map(Self::KeptLock));
        let public = account.prepaid.public;
        let totals = [public.up_to, public.last].into_iter().filter(|total| *total > 0);
        records.extend(totals.map(|total| Self::Published { id, total }));
        records.extend(account.prepaid.paid().map(|request| Self::Paid { id, request }));
        records.extend(account.taken.iter().cloned().map(Self::Remembered));
        records
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        match self {
            Self::Admitted { id, settled } => {
                out.push(ADMITTED);
                put(&mut out, id.as_slice());
                put(&mut out, &settled.to_be_bytes());
            }
            Self::Taken(taken) => {
                out.push(TAKEN);
                put_taken(&mut out, taken);
            }
            Self::Kept { id, charged, best, waits_since, free } => {
                out.push(KEPT);
                put(&mut out, id.as_slice());
                put(&mut out, &charged.to_be_bytes());
                put_kept(&mut out, best.as_ref(), *waits_since, free);
            }
            Self::Remembered(taken) => {
                out.push(REMEMBERED);
                put_taken(&mut out, taken);
            }
            Self::Stream(flow) => {
                out.push(STREAM);
                put_flow(&mut out, flow);
            }
            Self::Tick { id, root, number, tick, at_unix_s }
            | Self::CreditedTick { id, root, number, tick, at_unix_s } => {
                out.push(if matches!(self, Self::Tick { .. }) { TICK } else { CREDITED_TICK });
                [id, root, tick].into_iter().for_each(|word| put(&mut out, word.as_slice()));
                put(&mut out, &number.to_be_bytes());
                put(&mut out, &at_unix_s.to_be_bytes());
            }
            Self::Locked(lock) => {
                out.push(LOCKED);
                put_lock(&mut out, lock);
            }
            Self::KeptLock(lock) => {
                out.push(KEPT_LOCK);
                put_lock(&mut out, lock);
            }
            Self::Opened { hash, opened } => {
                out.push(OPENED);
                put(&mut out, hash.as_slice());
                put_opened(&mut out, opened);
            }
            Self::Dropped { id, hash } => {
                out.push(DROPPED);
                put(&mut out, id.as_slice());
                put(&mut out, hash.as_slice());
            }
            Self::Ended { id } => {
                out.push(ENDED);
                put(&mut out, id.as_slice());
            }
            prepaid => prepaid.put_prepaid(&mut out),
        }
        out
    }

    /// Of what is paid ahead.
    fn put_prepaid(&self, out: &mut Vec<u8>) {
        match self {
            Self::Credited { id, total, signature, at_unix_s } => {
                out.push(CREDITED);
                put(out, id.as_slice());
                put(out, &total.to_be_bytes());
                put(out, &at_unix_s.to_be_bytes());
                put_signature(out, signature);
            }
            Self::Spent { id, amount, charged, request } => {
                out.push(SPENT);
                [id, request].into_iter().for_each(|word| put(out, word.as_slice()));
                [amount, charged].into_iter().for_each(|amount| put(out, &amount.to_be_bytes()));
            }
            Self::Paid { id, request } => {
                out.push(PAID);
                [id, request].into_iter().for_each(|word| put(out, word.as_slice()));
            }
            Self::Published { id, total } => {
                out.push(PUBLISHED);
                put(out, id.as_slice());
                put(out, &total.to_be_bytes());
            }
            _ => {}
        }
    }

    /// None for bytes that [`Record::encode`] never makes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let record = match reader.u8()? {
            ADMITTED => Self::Admitted { id: reader.word()?, settled: reader.u128()? },
            TAKEN => Self::Taken(read_taken(&mut reader)?),
            KEPT => read_kept(&mut reader)?,
            REMEMBERED => Self::Remembered(read_taken(&mut reader)?),
            STREAM => Self::Stream(read_flow(&mut reader)?),
            TICK => {
                let (id, root, tick) = (reader.word()?, reader.word()?, reader.word()?);
                Self::Tick { id, root, tick, number: reader.u32()?, at_unix_s: reader.u64()? }
            }
            CREDITED_TICK => {
                let (id, root, tick) = (reader.word()?, reader.word()?, reader.word()?);
                Self::CreditedTick { id, root, tick, number: reader.u32()?, at_unix_s: reader.u64()? }
            }
            CREDITED => {
                let (id, total, at_unix_s) = (reader.word()?, reader.u128()?, reader.u64()?);
                Self::Credited { id, total, at_unix_s, signature: read_signature(&mut reader)? }
            }
            SPENT => {
                let (id, request) = (reader.word()?, reader.word()?);
                Self::Spent { id, request, amount: reader.u128()?, charged: reader.u128()? }
            }
            PAID => Self::Paid { id: reader.word()?, request: reader.word()? },
            PUBLISHED => Self::Published { id: reader.word()?, total: reader.u128()? },
            LOCKED => Self::Locked(read_lock(&mut reader)?),
            KEPT_LOCK => Self::KeptLock(read_lock(&mut reader)?),
            OPENED => Self::Opened { hash: reader.word()?, opened: read_opened(&mut reader)? },
            DROPPED => Self::Dropped { id: reader.word()?, hash: reader.word()? },
            ENDED => Self::Ended { id: reader.word()? },
            _ => return None,
        };
        reader.is_empty().then_some(record)
    }
}

/// No longer than [`super::MAX_SIGNATURE_BYTES`].
fn put_signature(out: &mut Vec<u8>, signature: &Signature) {
    put(out, &u16::try_from(signature.len()).expect("a signature's length is checked before").to_be_bytes());
    put(out, signature);
}

fn read_signature(reader: &mut Reader<'_>) -> Option<Signature> {
    let length = reader.u16()?;
    Some(Signature::copy_from_slice(reader.slice(length.into())?))
}

fn put_taken(out: &mut Vec<u8>, taken: &Taken) {
    taken.receipt.put(out);
    put_signature(out, &taken.signature);
}

fn read_taken(reader: &mut Reader<'_>) -> Option<Taken> {
    Some(Taken { receipt: Receipt::read(reader)?, signature: read_signature(reader)? })
}

fn put_lock(out: &mut Vec<u8>, lock: &Lock) {
    let LockedVoucher { channel_id, cumulative_amount, locked_amount, sha256_hash, lock_expiry } = lock.voucher;
    [channel_id, sha256_hash, lock.request].iter().for_each(|word| put(out, word.as_slice()));
    [cumulative_amount, locked_amount].iter().for_each(|amount| put(out, &amount.to_be_bytes()));
    put(out, &lock_expiry.to_be_bytes());
    put_signature(out, &lock.signature);
    out.push(u8::from(lock.opened.is_some()));
    lock.opened.iter().for_each(|opened| put_opened(out, opened));
}

fn read_lock(reader: &mut Reader<'_>) -> Option<Lock> {
    let (channel_id, sha256_hash, request) = (reader.word()?, reader.word()?, reader.word()?);
    let (cumulative_amount, locked_amount) = (reader.u128()?, reader.u128()?);
    let lock_expiry = reader.u64()?;
    let voucher = LockedVoucher { channel_id, cumulative_amount, locked_amount, sha256_hash, lock_expiry };
    let signature = read_signature(reader)?;
    let opened = if reader.flag()? { Some(read_opened(reader)?) } else { None };
    Some(Lock { voucher, signature, request, opened })
}

fn put_opened(out: &mut Vec<u8>, opened: &Opened) {
    put(out, opened.preimage.as_slice());
    opened.receipt.put(out);
}

fn read_opened(reader: &mut Reader<'_>) -> Option<Opened> {
    Some(Opened { preimage: reader.word()?, receipt: Receipt::read(reader)? })
}

fn put_flow(out: &mut Vec<u8>, flow: &Flow) {
    let StreamTerms { channel_id, cumulative_amount, tick_amount, ticks, root } = *flow.meter.terms();
    let (latest, tick) = flow.meter.latest();
    [channel_id, root, tick].iter().for_each(|word| put(out, word.as_slice()));
    [cumulative_amount, tick_amount].iter().for_each(|amount| put(out, &amount.to_be_bytes()));
    [ticks, latest].iter().for_each(|count| put(out, &count.to_be_bytes()));
    put_signature(out, &flow.signature);
}

fn read_flow(reader: &mut Reader<'_>) -> Option<Flow> {
    let (channel_id, root, tick) = (reader.word()?, reader.word()?, reader.word()?);
    let (cumulative_amount, tick_amount) = (reader.u128()?, reader.u128()?);
    let (ticks, latest) = (reader.u32()?, reader.u32()?);
    let terms = StreamTerms { channel_id, cumulative_amount, tick_amount, ticks, root };
    Some(Flow { meter: StreamMeter::resumed(terms, latest, tick).ok()?, signature: read_signature(reader)? })
}

fn put_kept(out: &mut Vec<u8>, best: Option<&(u128, Signature)>, waits_since: Option<u64>, free: &FreeTotals) {
    out.push(u8::from(best.is_some()));
    if let Some((total, signature)) = best {
        put(out, &total.to_be_bytes());
        put_signature(out, signature);
    }
    out.push(u8::from(waits_since.is_some()));
    if let Some(waits_since) = waits_since {
        put(out, &waits_since.to_be_bytes());
    }
    for stretch in free.stretches() {
        put(out, &stretch.above.to_be_bytes());
        put(out, &stretch.up_to.to_be_bytes());
    }
}

fn read_kept(reader: &mut Reader<'_>) -> Option<Record> {
    let (id, charged) = (reader.word()?, reader.u128()?);
    let best = if reader.flag()? { Some((reader.u128()?, read_signature(reader)?)) } else { None };
    let waits_since = if reader.flag()? { Some(reader.u64()?) } else { None };
    let mut stretches = Vec::new();
    while !reader.is_empty() && stretches.len() < MAX_STRETCHES {
        stretches.push(Stretch { above: reader.u128()?, up_to: reader.u128()? });
    }
    Some(Record::Kept { id, charged, best, waits_since, free: FreeTotals::of(stretches)? })
}
