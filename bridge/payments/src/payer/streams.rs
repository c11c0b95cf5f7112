//! The payer's half of streams: ticks that are promised before they are given.
//!
//! ```text
//!   plan_stream --> kept --> sign: the terms, with a chain that the channel's key derives from them
//!   plan_ticks  --> kept --> reveal: tick 5, tick 6, ...           (a record names the last one, not the hashes)
//! ```
//! A stream begins at the largest total that was signed, and each of its ticks raises that total. So it lives as long as nothing else does: a voucher for a request
//! takes the units that follow the last tick, and with them the stream's place; the next stream begins behind it. Payee and payer thus count the same units, whatever
//! overtakes what on the way ([`crate::free_totals`]).
//!
//! A tick that is promised counts as given, whether or not it ever left: a payer that is killed gives it again ([`Payer::plan_stream`] with the same words shows the same stream
//! and how far it came), and never more than its limits. What is lost with the file is shown by whoever has the last tick ([`Payer::recall_tick`]).

use alloy_primitives::B256;
use secp256k1::SecretKey;

use super::payment::{MAX_ENDPOINT_BYTES, Streaming};
use super::record::Record;
use super::{EvidenceRefused, PayRefused, Payer, Paying};
use crate::stream::{MAX_TICKS, SignedStream, StreamMeter, StreamTerms, chain, chain_seed};
use crate::typed_data::Domain;

/// A stream that is to be written down.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStream {
    streaming: Streaming,
}

/// A stream that was written down, and may be signed.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPromise {
    streaming: Streaming,
}

/// Ticks that are to be written down.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTicks {
    channel: B256,
    root: B256,
    /// The tick before them.
    after: u32,
    last: u32,
    at_unix_s: u64,
}

/// Ticks that were written down, and may be given.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicksPromise {
    root: B256,
    after: u32,
    last: u32,
}

/// A tick, as it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    pub number: u32,
    pub tick: B256,
}

impl PlannedStream {
    #[must_use]
    pub fn record(&self) -> Record {
        Record::Stream(Streaming { given: 0, ..self.streaming.clone() })
    }

    /// A promise, once `write` has put the record on disk.
    ///
    /// # Errors
    ///
    /// What `write` says.
    pub fn kept<E>(self, write: impl FnOnce(&Record) -> Result<(), E>) -> Result<StreamPromise, E> {
        write(&self.record())?;
        Ok(StreamPromise { streaming: self.streaming })
    }
}

impl StreamPromise {
    /// The signed terms; the same each time.
    #[must_use]
    pub fn sign(&self, domain: &Domain, secret: &SecretKey) -> SignedStream {
        self.streaming.terms.sign(domain, secret)
    }

    /// As it was when it was planned: with the last tick that was promised before.
    #[must_use]
    pub fn streaming(&self) -> &Streaming {
        &self.streaming
    }

    /// The root and all ticks. 32 KiB at the most, from up to [`MAX_TICKS`] hashes.
    #[must_use]
    pub fn chain(&self, domain: &Domain, secret: &SecretKey) -> Vec<B256> {
        chain_of(&self.streaming.terms, domain, secret)
    }
}

impl PlannedTicks {
    #[must_use]
    pub fn record(&self) -> Record {
        let Self { channel, root, last, at_unix_s, .. } = *self;
        Record::Ticks { channel, root, last, at_unix_s }
    }

    /// A promise, once `write` has put the record on disk.
    ///
    /// # Errors
    ///
    /// What `write` says; the ticks are never given then.
    pub fn kept<E>(self, write: impl FnOnce(&Record) -> Result<(), E>) -> Result<TicksPromise, E> {
        write(&self.record())?;
        Ok(TicksPromise { root: self.root, after: self.after, last: self.last })
    }
}

impl TicksPromise {
    /// The ticks, of their stream's [`StreamPromise::chain`]; none of another's.
    #[must_use]
    pub fn reveal(&self, chain: &[B256]) -> Vec<Tick> {
        if chain.first() != Some(&self.root) {
            return Vec::new();
        }
        let numbers = self.after + 1..=self.last;
        numbers.filter_map(|number| Some(Tick { number, tick: *chain.get(number as usize)? })).collect()
    }
}

impl Payer {
    /// The stream that is under way on a channel: what was promised of it is to be given again after a start, before anything else is promised.
    #[must_use]
    pub fn streaming(&self, id: B256) -> Option<&Streaming> {
        self.channels.get(&id)?.streaming.as_ref()
    }

    /// Plans a stream whose ticks are worth `tick_amount` each: no more of them than `most`, than one claim takes, and than the deposit covers. One that is under way for
    /// the same and has ticks left is gone on with. `secret`: the channel's signer. Nothing is promised by it yet.
    ///
    /// # Errors
    ///
    /// [`PayRefused`].
    pub fn plan_stream(
        &mut self,
        id: B256,
        endpoint: &str,
        tick_amount: u128,
        most: u32,
        secret: &SecretKey,
    ) -> Result<PlannedStream, PayRefused> {
        let domain = self.domain;
        let paying = self.channels.get_mut(&id).ok_or(PayRefused::UnknownChannel { id })?;
        let channel = paying.open_channel(id)?;
        check_stream(endpoint, tick_amount)?;
        let before = paying.streaming.as_ref().filter(|before| {
            before.endpoint == endpoint && before.terms.tick_amount == tick_amount && before.left() > 0
        });
        if let Some(before) = before {
            return Ok(PlannedStream { streaming: before.clone() });
        }
        let (base, deposit) = (paying.standing.signed, channel.deposit);
        let affordable = deposit.saturating_sub(base) / tick_amount;
        let ticks = most.min(MAX_TICKS).min(u32::try_from(affordable).unwrap_or(u32::MAX));
        if ticks == 0 {
            return Err(PayRefused::BeyondDeposit { got: base.saturating_add(tick_amount), deposit });
        }
        let terms = StreamTerms { channel_id: id, cumulative_amount: base, tick_amount, ticks, root: B256::ZERO };
        let root = chain_of(&terms, &domain, secret)[0];
        let streaming = Streaming { terms: StreamTerms { root, ..terms }, given: 0, endpoint: endpoint.to_owned() };
        paying.streaming = Some(streaming.clone());
        Ok(PlannedStream { streaming })
    }

    /// Gives no more ticks of the stream that is under way: the next one begins behind it, though it is for the same. For who lets a voucher of all that was promised stand for
    /// ticks that may not have arrived ([`Payer::again`]).
    pub fn end_stream(&mut self, id: B256) {
        self.channels.get_mut(&id).into_iter().for_each(|paying| paying.streaming = None);
    }

    /// Plans so many ticks more.
    ///
    /// # Errors
    ///
    /// [`PayRefused`]: none is promised.
    pub fn plan_ticks(
        &mut self,
        id: B256,
        root: B256,
        count: u32,
        now_unix_s: u64,
    ) -> Result<PlannedTicks, PayRefused> {
        let paying = self.channels.get(&id).ok_or(PayRefused::UnknownChannel { id })?;
        let channel = paying.open_channel(id)?;
        let streaming = paying.streaming.as_ref().filter(|streaming| streaming.terms.root == root);
        let streaming = streaming.ok_or(PayRefused::UnknownStream { id, root })?;
        let left = streaming.left();
        if count == 0 || count > left {
            return Err(PayRefused::TooManyTicks { root, got: count, left });
        }
        let (after, last) = (streaming.given, streaming.given + count);
        let total = streaming.terms.total(last).unwrap_or(u128::MAX);
        if total > channel.deposit {
            return Err(PayRefused::BeyondDeposit { got: total, deposit: channel.deposit });
        }
        let price = streaming.terms.tick_amount.saturating_mul(count.into());
        self.limits.check(&self.spent, &streaming.endpoint, price, now_unix_s)?;
        self.promise_ticks(id, root, last, now_unix_s);
        Ok(PlannedTicks { channel: id, root, after, last, at_unix_s: now_unix_s })
    }

    /// Learns from a tick of our own, which somebody shows after the file was lost, how far a stream came: nobody else could know it. The stream is to be the one that
    /// is under way. Returns what to write down; none if it was promised here.
    ///
    /// # Errors
    ///
    /// [`EvidenceRefused`]: it is no tick of ours.
    pub fn recall_tick(&mut self, id: B256, tick: Tick, now_unix_s: u64) -> Result<Option<Record>, EvidenceRefused> {
        let streaming = self.streaming(id).ok_or(EvidenceRefused::UnknownChannel { id })?;
        let (root, given) = (streaming.terms.root, streaming.given);
        StreamMeter::new(streaming.terms)
            .and_then(|mut meter| meter.accept(tick.number, tick.tick))
            .map_err(EvidenceRefused::Tick)?;
        if tick.number <= given {
            return Ok(None);
        }
        self.promise_ticks(id, root, tick.number, now_unix_s);
        Ok(Some(Record::Ticks { channel: id, root, last: tick.number, at_unix_s: now_unix_s }))
    }

    /// Counts them. Again, from a file, it changes nothing.
    fn promise_ticks(&mut self, id: B256, root: B256, last: u32, at_unix_s: u64) {
        let Some(paying) = self.channels.get_mut(&id) else { return };
        let streaming = paying.streaming.as_mut().filter(|streaming| streaming.terms.root == root);
        let Some(streaming) = streaming.filter(|streaming| streaming.given < last && last <= streaming.terms.ticks)
        else {
            return;
        };
        let price = streaming.terms.tick_amount.saturating_mul((last - streaming.given).into());
        streaming.given = last;
        self.limits.count(&mut self.spent, &streaming.endpoint, price, at_unix_s);
        paying.standing.signed = streaming.total();
        // No receipt is waited for.
        paying.standing.given_up = paying.standing.given_up.saturating_add(price);
    }

    /// Does again what a record of a stream says.
    pub(super) fn replay_stream(&mut self, record: Record) {
        match record {
            Record::Stream(streaming) => {
                let id = streaming.terms.channel_id;
                self.channels.entry(id).or_default().begin(streaming);
            }
            Record::KeptStream(streaming) => {
                let id = streaming.terms.channel_id;
                self.channels.entry(id).or_default().streaming = Some(streaming);
            }
            Record::Ticks { channel, root, last, at_unix_s } => self.promise_ticks(channel, root, last, at_unix_s),
            _ => {}
        }
    }
}

impl Paying {
    /// Begins a stream again, from a file: unless it is under way, or was overtaken.
    fn begin(&mut self, streaming: Streaming) {
        let is_known = self.streaming.as_ref().is_some_and(|known| known.terms.root == streaming.terms.root);
        if is_known || streaming.terms.cumulative_amount < self.standing.signed {
            return;
        }
        // What the chain said when it was planned is not in the file.
        self.standing.signed = streaming.terms.cumulative_amount;
        self.streaming = Some(streaming);
    }

    /// Drops a stream whose place was taken: its next tick would pay with units that were promised otherwise.
    pub(super) fn drop_overtaken(&mut self) {
        let signed = self.standing.signed;
        self.streaming = self.streaming.take().filter(|streaming| streaming.total() == signed);
    }
}

fn check_stream(endpoint: &str, tick_amount: u128) -> Result<(), PayRefused> {
    if tick_amount == 0 {
        return Err(PayRefused::Price { price: 0 });
    }
    let (got, most) = (endpoint.len(), MAX_ENDPOINT_BYTES);
    if got > most { Err(PayRefused::LongEndpoint { got, most }) } else { Ok(()) }
}

/// The chain is of all the terms, so that a tick of one stream is never one of another, also when the file was lost between.
fn chain_of(terms: &StreamTerms, domain: &Domain, secret: &SecretKey) -> Vec<B256> {
    chain(chain_seed(terms, domain, secret), terms.ticks)
}
