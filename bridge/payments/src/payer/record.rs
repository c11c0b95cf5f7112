//! What a payer's file says, record by record.

use alloy_primitives::{B256, FixedBytesSliceExt as _};

use super::payment::{Payment, Standing, Streaming};
use crate::bytes::{Reader, put};
use crate::receipt::{Receipt, SignedReceipt};
use crate::stream::StreamTerms;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A total is about to be signed for a request.
    Planned(Payment),
    /// The payee's receipt came.
    Answered(SignedReceipt),
    /// No answer is waited for any more.
    GivenUp { channel: B256, request: B256 },
    /// A channel as it is, in place of the records before.
    Kept { channel: B256, standing: Standing },
    /// Of a kept channel, a request that was not answered.
    Unanswered(Payment),
    /// What was spent at an endpoint in a period.
    Spent { period: u64, endpoint: String, amount: u128 },
    /// A stream is about to be signed; nothing was given of it.
    Stream(Streaming),
    /// A stream as it is.
    KeptStream(Streaming),
    /// The ticks of a stream up to this one are about to be given.
    Ticks { channel: B256, root: B256, last: u32, at_unix_s: u64 },
}

const PLANNED: u8 = 1;
const ANSWERED: u8 = 2;
const GIVEN_UP: u8 = 3;
const KEPT: u8 = 4;
const UNANSWERED: u8 = 5;
const SPENT: u8 = 6;
const STREAM: u8 = 7;
const KEPT_STREAM: u8 = 8;
const TICKS: u8 = 9;

impl Record {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        match self {
            Self::Planned(payment) => {
                out.push(PLANNED);
                put_payment(&mut out, payment);
            }
            Self::Answered(receipt) => {
                out.push(ANSWERED);
                put_receipt(&mut out, receipt);
            }
            Self::GivenUp { channel, request } => {
                out.push(GIVEN_UP);
                put(&mut out, channel.as_slice());
                put(&mut out, request.as_slice());
            }
            Self::Kept { channel, standing } => {
                out.push(KEPT);
                put(&mut out, channel.as_slice());
                put(&mut out, &standing.signed.to_be_bytes());
                put(&mut out, &standing.given_up.to_be_bytes());
                out.push(u8::from(standing.receipt.is_some()));
                standing.receipt.iter().for_each(|receipt| put_receipt(&mut out, receipt));
            }
            Self::Unanswered(payment) => {
                out.push(UNANSWERED);
                put_payment(&mut out, payment);
            }
            Self::Spent { period, endpoint, amount } => {
                out.push(SPENT);
                put(&mut out, &period.to_be_bytes());
                put(&mut out, &amount.to_be_bytes());
                put_text(&mut out, endpoint);
            }
            Self::Stream(streaming) => {
                out.push(STREAM);
                put_streaming(&mut out, streaming);
            }
            Self::KeptStream(streaming) => {
                out.push(KEPT_STREAM);
                put_streaming(&mut out, streaming);
            }
            Self::Ticks { channel, root, last, at_unix_s } => {
                out.push(TICKS);
                put(&mut out, channel.as_slice());
                put(&mut out, root.as_slice());
                put(&mut out, &last.to_be_bytes());
                put(&mut out, &at_unix_s.to_be_bytes());
            }
        }
        out
    }

    /// None for bytes that [`Record::encode`] never makes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let record = match reader.u8()? {
            PLANNED => Self::Planned(read_payment(&mut reader)?),
            ANSWERED => Self::Answered(read_receipt(&mut reader)?),
            GIVEN_UP => Self::GivenUp { channel: reader.word()?, request: reader.word()? },
            KEPT => Self::Kept { channel: reader.word()?, standing: read_standing(&mut reader)? },
            UNANSWERED => Self::Unanswered(read_payment(&mut reader)?),
            SPENT => {
                let (period, amount) = (reader.u64()?, reader.u128()?);
                Self::Spent { period, amount, endpoint: read_text(&mut reader)? }
            }
            STREAM => Self::Stream(read_streaming(&mut reader)?),
            KEPT_STREAM => Self::KeptStream(read_streaming(&mut reader)?),
            TICKS => Self::Ticks {
                channel: reader.word()?,
                root: reader.word()?,
                last: reader.u32()?,
                at_unix_s: reader.u64()?,
            },
            _ => return None,
        };
        reader.is_empty().then_some(record)
    }
}

fn put_payment(out: &mut Vec<u8>, payment: &Payment) {
    put(out, payment.channel.as_slice());
    put(out, payment.request.as_slice());
    put(out, &payment.total.to_be_bytes());
    put(out, &payment.price.to_be_bytes());
    put(out, &payment.at_unix_s.to_be_bytes());
    put_text(out, &payment.endpoint);
}

fn read_payment(reader: &mut Reader<'_>) -> Option<Payment> {
    Some(Payment {
        channel: reader.word()?,
        request: reader.word()?,
        total: reader.u128()?,
        price: reader.u128()?,
        at_unix_s: reader.u64()?,
        endpoint: read_text(reader)?,
    })
}

fn put_streaming(out: &mut Vec<u8>, streaming: &Streaming) {
    let StreamTerms { channel_id, cumulative_amount, tick_amount, ticks, root } = streaming.terms;
    put(out, channel_id.as_slice());
    put(out, &cumulative_amount.to_be_bytes());
    put(out, &tick_amount.to_be_bytes());
    put(out, &ticks.to_be_bytes());
    put(out, root.as_slice());
    put(out, &streaming.given.to_be_bytes());
    put_text(out, &streaming.endpoint);
}

/// None also for one whose ticks have no total.
fn read_streaming(reader: &mut Reader<'_>) -> Option<Streaming> {
    let terms = StreamTerms {
        channel_id: reader.word()?,
        cumulative_amount: reader.u128()?,
        tick_amount: reader.u128()?,
        ticks: reader.u32()?,
        root: reader.word()?,
    };
    let streaming = Streaming { terms, given: reader.u32()?, endpoint: read_text(reader)? };
    terms.total(terms.ticks).filter(|_| streaming.given <= terms.ticks).map(|_| streaming)
}

fn put_receipt(out: &mut Vec<u8>, signed: &SignedReceipt) {
    signed.receipt.put(out);
    out.push(u8::try_from(signed.path.len()).expect("a path's length is checked with its signature"));
    put(out, signed.path.as_flattened());
    put(out, &signed.signature);
}

fn read_receipt(reader: &mut Reader<'_>) -> Option<SignedReceipt> {
    let receipt = Receipt::read(reader)?;
    let hashes = reader.u8()?;
    let path = (0..hashes).map(|_| reader.word()).collect::<Option<_>>()?;
    Some(SignedReceipt { receipt, path, signature: reader.array::<65>()?.to_vec().into() })
}

fn read_standing(reader: &mut Reader<'_>) -> Option<Standing> {
    let (signed, given_up) = (reader.u128()?, reader.u128()?);
    let receipt = if reader.flag()? { Some(read_receipt(reader)?) } else { None };
    Some(Standing { signed, given_up, receipt })
}

/// No longer than [`super::payment::MAX_ENDPOINT_BYTES`].
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("an endpoint's length is checked when it is paid"));
    put(out, text.as_bytes());
}

fn read_text(reader: &mut Reader<'_>) -> Option<String> {
    let length = reader.u8()?;
    String::from_utf8(reader.slice(length.into())?.to_vec()).ok()
}
