//! The payer: signs a growing total for each request, within limits, and remembers it first.
//!
//! ```text
//!   plan --> Planned --> kept (on disk) --> Promise --> sign --> voucher --> request
//!            total = all so far + price                               <-- receipt: answered
//! ```
//! Only a [`Promise`] can be signed, and one is only had by writing the plan down: a payer that is killed at any moment never signs a total twice for
//! different requests, and never asks below what it signed. A request that was not answered is sent again with the same voucher ([`Payer::plan`] with the same
//! request gives it), and is charged for once. Beside vouchers it gives the ticks of [`streams`], by the same books.
//!
//! What is lost with the file comes back from the chain and the payee: by its receipts, or by our own vouchers ([`Payer::recover`], [`Payer::recall`]).

pub mod limits;
pub mod payment;
pub mod record;
#[cfg(test)]
mod stream_tests;
pub mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes};
use secp256k1::SecretKey;

use self::limits::{Limits, OverLimit, Spent};
use self::payment::{MAX_ENDPOINT_BYTES, Payment, Standing, Streaming};
use self::record::Record;
use crate::account_signature::BadForm;
use crate::channel::Channel;
use crate::receipt::SignedReceipt;
use crate::stream::TickRefused;
use crate::typed_data::Domain;
use crate::voucher::{SignedVoucher, Voucher};

/// Channels of one payer.
pub const MAX_CHANNELS: usize = 1_000;

/// Requests of one channel that are not answered: as many as a payee can have overtake each other ([`crate::free_totals::MAX_STRETCHES`]).
pub const MAX_UNANSWERED: usize = crate::free_totals::MAX_STRETCHES;

/// One channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Paying {
    standing: Standing,
    unanswered: BTreeMap<B256, Payment>,
    /// The stream that is under way; none once its place was taken.
    streaming: Option<Streaming>,
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    channel: Channel,
    /// Who signs its receipts.
    receipt_signer: Address,
}

/// A payment that is to be written down.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    payment: Payment,
}

/// A payment that was written down, and may be signed.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    payment: Payment,
}

/// Why nothing is promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayRefused {
    #[error("channel {id} is not known here")]
    UnknownChannel { id: B256 },
    #[error("channel {id} is closed, or its payer asked to close it")]
    Closing { id: B256 },
    #[error("a price of {price} makes no payment")]
    Price { price: u128 },
    #[error("the total would be {got}, the channel's deposit is {deposit}: top it up")]
    BeyondDeposit { got: u128, deposit: u128 },
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    #[error("{most} requests of channel {id} are not answered: send them again, or give them up")]
    TooManyUnanswered { id: B256, most: usize },
    #[error("request {request} was to pay {want} to {endpoint}, now {got}")]
    OtherRequest { request: B256, endpoint: String, got: u128, want: u128 },
    #[error("an endpoint's name has {got} bytes, {most} are allowed")]
    LongEndpoint { got: usize, most: usize },
    #[error("a request without a key cannot be sent again")]
    NoKey,
    #[error("{most} channels are known already")]
    TooManyChannels { most: usize },
    /// Never begun, or a voucher took its place: begin another.
    #[error("channel {id} has no stream {root} under way")]
    UnknownStream { id: B256, root: B256 },
    #[error("stream {root} has {left} ticks left, wanted are {got}")]
    TooManyTicks { root: B256, got: u32, left: u32 },
}

/// Why a receipt, or a voucher shown by somebody, is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceRefused {
    #[error("channel {id} is not known here")]
    UnknownChannel { id: B256 },
    #[error("receipt is signed by {got:?}, expected {want}")]
    NotThePayee { got: Option<Address>, want: Address },
    #[error("voucher is signed by {got:?}, expected {want}")]
    NotOurs { got: Option<Address>, want: Address },
    #[error(transparent)]
    BadForm(#[from] BadForm),
    #[error("no request {request} of channel {id} waits for an answer")]
    NotAsked { id: B256, request: B256 },
    /// The payee's signature under it shows it to anybody.
    #[error("receipt is over {got}, promised were {want}")]
    Overcharged { got: u128, want: u128 },
    #[error("receipt is for the total {got}, the voucher's was {want}")]
    OtherTotal { got: u128, want: u128 },
    #[error(transparent)]
    Tick(TickRefused),
}

/// All channels of a payer.
#[derive(Clone, Debug)]
pub struct Payer {
    domain: Domain,
    limits: Limits,
    spent: Spent,
    channels: BTreeMap<B256, Paying>,
    /// The last signature of a payee that was checked: many receipts are under one.
    checked: Option<Checked>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Checked {
    root: B256,
    signature: Bytes,
    signer: Option<Address>,
}

impl Planned {
    #[must_use]
    pub fn record(&self) -> Record {
        Record::Planned(self.payment.clone())
    }

    /// A promise, once `write` has put the record on disk.
    ///
    /// # Errors
    ///
    /// What `write` says; the total is not used again then.
    pub fn kept<E>(self, write: impl FnOnce(&Record) -> Result<(), E>) -> Result<Promise, E> {
        write(&self.record())?;
        Ok(Promise { payment: self.payment })
    }
}

impl Promise {
    /// The voucher; the same each time.
    #[must_use]
    pub fn sign(&self, domain: &Domain, secret: &SecretKey) -> SignedVoucher {
        let voucher = Voucher { channel_id: self.payment.channel, cumulative_amount: self.payment.total };
        voucher.sign(domain, secret)
    }

    #[must_use]
    pub fn payment(&self) -> &Payment {
        &self.payment
    }
}

impl Payer {
    #[must_use]
    pub fn new(domain: Domain, limits: Limits) -> Self {
        Self { domain, limits, spent: Spent::default(), channels: BTreeMap::new(), checked: None }
    }

    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Where a channel stands.
    #[must_use]
    pub fn standing(&self, id: B256) -> Option<&Standing> {
        self.channels.get(&id).map(|paying| &paying.standing)
    }

    /// Requests of a channel that wait for an answer: to be sent again after a start.
    pub fn unanswered(&self, id: B256) -> impl Iterator<Item = &Payment> {
        self.channels.get(&id).into_iter().flat_map(|paying| paying.unanswered.values())
    }

    /// Learns what the chain says of a channel, and who signs its receipts (the payee, unless it said otherwise).
    ///
    /// # Errors
    ///
    /// `TooManyChannels`.
    pub fn observe(&mut self, channel: Channel, receipt_signer: Address) -> Result<(), PayRefused> {
        let id = channel.id;
        if !self.channels.contains_key(&id) && self.channels.len() >= MAX_CHANNELS {
            return Err(PayRefused::TooManyChannels { most: MAX_CHANNELS });
        }
        let paying = self.channels.entry(id).or_default();
        // What was settled was signed once, whatever this file says.
        paying.standing.signed = paying.standing.signed.max(channel.settled);
        paying.drop_overtaken();
        paying.seen = Some(Seen { channel, receipt_signer });
        Ok(())
    }

    /// Plans to pay for a request. For one that was planned before and not answered, the same payment again.
    ///
    /// # Errors
    ///
    /// [`PayRefused`]: nothing is promised.
    pub fn plan(
        &mut self,
        id: B256,
        endpoint: &str,
        price: u128,
        request: B256,
        now_unix_s: u64,
    ) -> Result<Planned, PayRefused> {
        let paying = self.channels.get_mut(&id).ok_or(PayRefused::UnknownChannel { id })?;
        if let Some(before) = paying.unanswered.get(&request) {
            return again(before, endpoint, price);
        }
        check_request(endpoint, price, request)?;
        let channel = paying.open_channel(id)?;
        if paying.unanswered.len() >= MAX_UNANSWERED {
            return Err(PayRefused::TooManyUnanswered { id, most: MAX_UNANSWERED });
        }
        let total = paying.standing.signed.saturating_add(price);
        if total > channel.deposit {
            return Err(PayRefused::BeyondDeposit { got: total, deposit: channel.deposit });
        }
        self.limits.check(&self.spent, endpoint, price, now_unix_s)?;
        let payment =
            Payment { channel: id, request, total, price, at_unix_s: now_unix_s, endpoint: endpoint.to_owned() };
        self.promise(payment.clone());
        Ok(Planned { payment })
    }

    /// A voucher of a total that was promised before, or of less: it gives a payee nothing that it has not got. None beyond that.
    #[must_use]
    pub fn again(&self, id: B256, total: u128, secret: &SecretKey) -> Option<SignedVoucher> {
        let standing = self.standing(id).filter(|standing| total <= standing.signed)?;
        let voucher = Voucher { channel_id: id, cumulative_amount: total.min(standing.signed) };
        Some(voucher.sign(&self.domain, secret))
    }

    /// Takes the payee's receipt for a request; returns what to write down.
    ///
    /// # Errors
    ///
    /// [`EvidenceRefused`]: the payee, or who stands between, is at fault. The request waits on.
    pub fn answer(&mut self, signed: SignedReceipt) -> Result<Record, EvidenceRefused> {
        self.check_receipt(&signed)?;
        let (id, request) = (signed.receipt.channel_id, signed.receipt.request);
        let paying = self.channels.get_mut(&id).ok_or(EvidenceRefused::UnknownChannel { id })?;
        let payment = paying.unanswered.get(&request).ok_or(EvidenceRefused::NotAsked { id, request })?;
        let (got, want) = (signed.receipt.price, payment.price);
        if got > want {
            return Err(EvidenceRefused::Overcharged { got, want });
        }
        let (got, want) = (signed.receipt.cumulative_amount, payment.total);
        if got != want {
            return Err(EvidenceRefused::OtherTotal { got, want });
        }
        paying.answered(&signed);
        Ok(Record::Answered(signed))
    }

    /// Waits no longer for an answer. The promise stays: it counts as paid. Returns what to write down; none if nobody waited.
    pub fn give_up(&mut self, id: B256, request: B256) -> Option<Record> {
        let paying = self.channels.get_mut(&id)?;
        paying.give_up(request).then_some(Record::GivenUp { channel: id, request })
    }

    /// Learns from a receipt, after the file was lost, what was signed. Returns what to write down.
    ///
    /// # Errors
    ///
    /// [`EvidenceRefused`].
    pub fn recover(&mut self, signed: SignedReceipt) -> Result<Record, EvidenceRefused> {
        self.check_receipt(&signed)?;
        let id = signed.receipt.channel_id;
        let paying = self.channels.get_mut(&id).ok_or(EvidenceRefused::UnknownChannel { id })?;
        paying.answered(&signed);
        Ok(Record::Answered(signed))
    }

    /// Learns from a voucher of our own that somebody shows what was signed. Nobody is trusted with it. Returns what to write down.
    ///
    /// # Errors
    ///
    /// [`EvidenceRefused`].
    pub fn recall(&mut self, shown: &SignedVoucher) -> Result<Record, EvidenceRefused> {
        let id = shown.voucher.channel_id;
        let unknown = EvidenceRefused::UnknownChannel { id };
        let paying = self.channels.get_mut(&id).ok_or(unknown.clone())?;
        let want = paying.seen.ok_or(unknown)?.channel.signer;
        let got = shown.signer(&self.domain)?;
        if got != Some(want) {
            return Err(EvidenceRefused::NotOurs { got, want });
        }
        paying.standing.signed = paying.standing.signed.max(shown.voucher.cumulative_amount);
        paying.drop_overtaken();
        Ok(Record::Kept { channel: id, standing: paying.standing.clone() })
    }

    /// By how much the payee was paid more than it confirmed, and was promised beside it. The receipt of [`Payer::standing`] shows it.
    #[must_use]
    pub fn overclaim(&self, id: B256) -> Option<u128> {
        let paying = self.channels.get(&id)?;
        let unanswered =
            paying.unanswered.values().fold(paying.standing.given_up, |sum, p| sum.saturating_add(p.price));
        let settled = paying.seen?.channel.settled;
        Some(paying.standing.receipt.as_ref()?.receipt.overclaim(settled, unanswered))
    }

    fn check_receipt(&mut self, signed: &SignedReceipt) -> Result<(), EvidenceRefused> {
        let id = signed.receipt.channel_id;
        let seen = self.channels.get(&id).and_then(|paying| paying.seen);
        let want = seen.ok_or(EvidenceRefused::UnknownChannel { id })?.receipt_signer;
        let got = self.receipts_signer(signed);
        if got == Some(want) { Ok(()) } else { Err(EvidenceRefused::NotThePayee { got, want }) }
    }

    fn receipts_signer(&mut self, signed: &SignedReceipt) -> Option<Address> {
        let root = signed.root()?;
        let known = self.checked.as_ref().filter(|known| known.root == root && known.signature == signed.signature);
        if let Some(known) = known {
            return known.signer;
        }
        let signer = signed.signer(&self.domain);
        self.checked = Some(Checked { root, signature: signed.signature.clone(), signer });
        signer
    }

    fn promise(&mut self, payment: Payment) {
        let paying = self.channels.entry(payment.channel).or_default();
        if payment.total <= paying.standing.signed {
            return;
        }
        self.limits.count(&mut self.spent, &payment.endpoint, payment.price, payment.at_unix_s);
        paying.standing.signed = payment.total;
        paying.drop_overtaken();
        paying.unanswered.insert(payment.request, payment);
    }

    // ------------------------------------------------------------------ the file

    /// Does again what a record says.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Planned(payment) => self.promise(payment),
            Record::Answered(receipt) => {
                self.channels.entry(receipt.receipt.channel_id).or_default().answered(&receipt);
            }
            Record::GivenUp { channel, request } => {
                self.channels.entry(channel).or_default().give_up(request);
            }
            Record::Kept { channel, standing } => {
                let paying = self.channels.entry(channel).or_default();
                paying.standing = standing;
                paying.drop_overtaken();
            }
            Record::Unanswered(payment) => {
                self.channels.entry(payment.channel).or_default().unanswered.insert(payment.request, payment);
            }
            Record::Spent { period, endpoint, amount } => {
                self.limits.count(
                    &mut self.spent,
                    &endpoint,
                    amount,
                    period.saturating_mul(self.limits.period_s.max(1)),
                );
            }
            record @ (Record::Stream(_) | Record::KeptStream(_) | Record::Ticks { .. }) => self.replay_stream(record),
        }
    }

    /// All that it knows, as records.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let kept = self.channels.iter().flat_map(|(id, paying)| {
            let kept = Record::Kept { channel: *id, standing: paying.standing.clone() };
            let unanswered = paying.unanswered.values().cloned().map(Record::Unanswered);
            std::iter::once(kept).chain(unanswered).chain(paying.streaming.clone().map(Record::KeptStream))
        });
        let period = self.spent.period;
        let spent = self.spent.by_endpoint.iter();
        let spent =
            spent.map(|(endpoint, amount)| Record::Spent { period, endpoint: endpoint.clone(), amount: *amount });
        kept.chain(spent).collect()
    }
}

impl Paying {
    /// The channel, if it can pay.
    fn open_channel(&self, id: B256) -> Result<Channel, PayRefused> {
        let channel = self.seen.ok_or(PayRefused::UnknownChannel { id })?.channel;
        if channel.finalized || channel.closing.is_some() {
            return Err(PayRefused::Closing { id });
        }
        Ok(channel)
    }

    fn answered(&mut self, signed: &SignedReceipt) {
        self.unanswered.remove(&signed.receipt.request);
        self.learn(signed);
    }

    fn learn(&mut self, signed: &SignedReceipt) {
        self.standing.signed = self.standing.signed.max(signed.receipt.highest);
        self.drop_overtaken();
        let before = self.standing.receipt.as_ref().map_or(0, |best| best.receipt.charged);
        if signed.receipt.charged > before {
            self.standing.receipt = Some(signed.clone());
        }
    }

    fn give_up(&mut self, request: B256) -> bool {
        let payment = self.unanswered.remove(&request);
        self.standing.given_up += payment.as_ref().map_or(0, |payment| payment.price);
        payment.is_some()
    }
}

fn again(before: &Payment, endpoint: &str, price: u128) -> Result<Planned, PayRefused> {
    if before.endpoint != endpoint || before.price != price {
        let (request, endpoint, want) = (before.request, before.endpoint.clone(), before.price);
        return Err(PayRefused::OtherRequest { request, endpoint, got: price, want });
    }
    Ok(Planned { payment: before.clone() })
}

fn check_request(endpoint: &str, price: u128, request: B256) -> Result<(), PayRefused> {
    if price == 0 {
        return Err(PayRefused::Price { price });
    }
    if request.is_zero() {
        return Err(PayRefused::NoKey);
    }
    let (got, most) = (endpoint.len(), MAX_ENDPOINT_BYTES);
    if got > most { Err(PayRefused::LongEndpoint { got, most }) } else { Ok(()) }
}
