//! What a payee's file says, record by record. Read again in order, in whatever state, it leads to where it was written.

use alloy_primitives::B256;

use super::account::Account;
use super::flow::Flow;
use super::taken::{Signature, Taken};
use crate::bytes::{Reader, put};
use crate::free_totals::{FreeTotals, MAX_STRETCHES, Stretch};
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

impl Record {
    /// A channel as it is, in as many records as it takes.
    #[must_use]
    pub fn all_of(id: B256, account: &Account) -> Vec<Self> {
        let kept = Self::Kept {
            id,
            charged: account.charged,
            best: account.best,
            waits_since: account.waits_since,
            free: account.free.clone(),
        };
        let mut records = Vec::with_capacity(1 + account.taken.len());
        records.push(kept);
        records.extend(account.flows.iter().map(|flow| Self::Stream(*flow)));
        records.extend(account.taken.iter().map(|taken| Self::Remembered(*taken)));
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
            Self::Tick { id, root, number, tick, at_unix_s } => {
                out.push(TICK);
                [id, root, tick].into_iter().for_each(|word| put(&mut out, word.as_slice()));
                put(&mut out, &number.to_be_bytes());
                put(&mut out, &at_unix_s.to_be_bytes());
            }
            Self::Ended { id } => {
                out.push(ENDED);
                put(&mut out, id.as_slice());
            }
        }
        out
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
            ENDED => Self::Ended { id: reader.word()? },
            _ => return None,
        };
        reader.is_empty().then_some(record)
    }
}

fn put_taken(out: &mut Vec<u8>, taken: &Taken) {
    let Receipt { channel_id, cumulative_amount, price, charged, highest, accepted_at, request } = taken.receipt;
    put(out, channel_id.as_slice());
    for amount in [cumulative_amount, price, charged, highest] {
        put(out, &amount.to_be_bytes());
    }
    put(out, &accepted_at.to_be_bytes());
    put(out, request.as_slice());
    put(out, &taken.signature);
}

fn read_taken(reader: &mut Reader<'_>) -> Option<Taken> {
    let receipt = Receipt {
        channel_id: reader.word()?,
        cumulative_amount: reader.u128()?,
        price: reader.u128()?,
        charged: reader.u128()?,
        highest: reader.u128()?,
        accepted_at: reader.u64()?,
        request: reader.word()?,
    };
    Some(Taken { receipt, signature: reader.array()? })
}

fn put_flow(out: &mut Vec<u8>, flow: &Flow) {
    let StreamTerms { channel_id, cumulative_amount, tick_amount, ticks, root } = *flow.meter.terms();
    let (latest, tick) = flow.meter.latest();
    [channel_id, root, tick].iter().for_each(|word| put(out, word.as_slice()));
    [cumulative_amount, tick_amount].iter().for_each(|amount| put(out, &amount.to_be_bytes()));
    [ticks, latest].iter().for_each(|count| put(out, &count.to_be_bytes()));
    put(out, &flow.signature);
}

fn read_flow(reader: &mut Reader<'_>) -> Option<Flow> {
    let (channel_id, root, tick) = (reader.word()?, reader.word()?, reader.word()?);
    let (cumulative_amount, tick_amount) = (reader.u128()?, reader.u128()?);
    let (ticks, latest) = (reader.u32()?, reader.u32()?);
    let terms = StreamTerms { channel_id, cumulative_amount, tick_amount, ticks, root };
    Some(Flow { meter: StreamMeter::resumed(terms, latest, tick).ok()?, signature: reader.array()? })
}

fn put_kept(out: &mut Vec<u8>, best: Option<&(u128, Signature)>, waits_since: Option<u64>, free: &FreeTotals) {
    out.push(u8::from(best.is_some()));
    if let Some((total, signature)) = best {
        put(out, &total.to_be_bytes());
        put(out, signature);
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
    let best = if reader.flag()? { Some((reader.u128()?, reader.array()?)) } else { None };
    let waits_since = if reader.flag()? { Some(reader.u64()?) } else { None };
    let mut stretches = Vec::new();
    while !reader.is_empty() && stretches.len() < MAX_STRETCHES {
        stretches.push(Stretch { above: reader.u128()?, up_to: reader.u128()? });
    }
    Some(Record::Kept { id, charged, best, waits_since, free: FreeTotals::of(stretches)? })
}
