//! Streams: one signature, then a hash for each payment.
//!
//! A tick pays for the units of the channel's total between the tick before and itself, by the same books as vouchers ([`crate::free_totals`]): a stream and requests may
//! run side by side, and no unit is charged for twice. It needs no receipt: a payer that shows the next tick has got what the last one paid for.

use alloy_primitives::{Address, B256};
use secp256k1::PublicKey;

use super::flow::{Flow, MAX_STREAMS};
use super::record::Record;
use super::{Payee, Refused};
use crate::account_signature::Parts;
use crate::stream::SignedStream;

/// A stream that a payer opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOffer {
    /// What the payer says that it is for.
    pub chain_id: u64,
    pub contract: Address,
    pub stream: SignedStream,
}

/// A stream's signature to check.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCheck {
    flow: Flow,
    digest: B256,
    parts: Parts,
    signer: Address,
    key: Option<PublicKey>,
}

/// A stream whose signature is the signer's.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedStream {
    flow: Flow,
    signer: Address,
    key: PublicKey,
}

/// A tick that was taken: to be written down before what it pays for is given.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickTaken {
    /// What it added.
    pub amount: u128,
    pub record: Record,
}

impl StreamCheck {
    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`Refused::NotTheSigner`].
    pub fn verify(self) -> Result<VerifiedStream, Refused> {
        let Self { flow, digest, parts, signer, key } = self;
        let key = parts.key_of(digest, signer, key);
        Ok(VerifiedStream { flow, signer, key: key.ok_or(Refused::NotTheSigner { signer })? })
    }
}

impl Payee {
    /// Looks at a stream, without the curve. One that is open already is looked at anew, and goes on where it was.
    ///
    /// # Errors
    ///
    /// [`Refused`]: also when its first tick could not be taken.
    pub fn examine_stream(&self, offer: &StreamOffer, now_unix_s: u64) -> Result<StreamCheck, Refused> {
        self.check_domain(offer.chain_id, offer.contract)?;
        let (terms, signature) = (offer.stream.terms, &offer.stream.signature);
        let parts = Parts::of(signature)?;
        let flow = Flow::new(terms, signature.clone())?;
        let id = terms.channel_id;
        let account = self.accounts.get(&id).ok_or(Refused::UnknownChannel { id })?;
        let seen = account.seen.ok_or(Refused::UnknownChannel { id })?;
        if account.flows.get(terms.root).is_none() {
            let first = terms.cumulative_amount.saturating_add(terms.tick_amount);
            self.check_total(account, &seen, first, terms.tick_amount.max(1), now_unix_s)?;
            if !account.flows.has_room(account.best_total(), terms.cumulative_amount) {
                return Err(Refused::TooManyStreams { id, most: MAX_STREAMS });
            }
        }
        let digest = terms.digest(self.domain());
        Ok(StreamCheck { flow, digest, parts, signer: seen.channel.signer, key: account.key })
    }

    /// Takes a stream whose signature was checked; returns what to write down.
    ///
    /// # Errors
    ///
    /// [`Refused`]: something changed since it was examined.
    pub fn accept_stream(&mut self, verified: VerifiedStream) -> Result<Record, Refused> {
        let VerifiedStream { flow, signer, key } = verified;
        let id = flow.meter.terms().channel_id;
        let account = self.accounts.get_mut(&id).ok_or(Refused::UnknownChannel { id })?;
        account.seen.filter(|seen| seen.channel.signer == signer).ok_or(Refused::UnknownChannel { id })?;
        let (root, base) = (flow.meter.terms().root, flow.meter.terms().cumulative_amount);
        if account.flows.get(root).is_none() && !account.flows.has_room(account.best_total(), base) {
            return Err(Refused::TooManyStreams { id, most: MAX_STREAMS });
        }
        account.key = Some(key);
        account.open(flow.clone());
        Ok(Record::Stream(flow))
    }

    /// Takes a tick of a stream: no more than [`crate::stream::MAX_TICKS`] hashes.
    ///
    /// # Errors
    ///
    /// [`Refused`]: nothing is charged. `Tick` with `NotNew` says that it was taken before.
    pub fn tick(
        &mut self,
        id: B256,
        root: B256,
        number: u32,
        tick: B256,
        now_unix_s: u64,
    ) -> Result<TickTaken, Refused> {
        let account = self.accounts.get(&id).ok_or(Refused::UnknownChannel { id })?;
        let seen = account.seen.ok_or(Refused::UnknownChannel { id })?;
        let flow = account.flows.get(root).ok_or(Refused::UnknownStream { id, root })?;
        let mut meter = flow.meter;
        let amount = meter.accept(number, tick)?;
        self.check_total(account, &seen, meter.total(), amount, now_unix_s)?;
        let account = self.accounts.get_mut(&id).expect("it was just there");
        account.tick(root, number, tick, now_unix_s)?;
        Ok(TickTaken { amount, record: Record::Tick { id, root, number, tick, at_unix_s: now_unix_s } })
    }
}
