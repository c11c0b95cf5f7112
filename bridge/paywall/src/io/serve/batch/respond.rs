//! One request that is paid through a channel, from its payload to its answer.
//!
//! ```text
//!   terms, voucher's signature -> in hand -> deposit, if it brings one: final -> upstream -> charged on disk -> answer
//! ```
//! Nothing is charged unless the upstream answers with 2xx or 3xx.

use std::sync::Arc;

use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::Channels;
use super::channels::{Hand, Made};
use crate::answers::{Answer, MOST_BYTES};
use crate::batch::channel::Domain;
use crate::batch::ledger::Asked;
use crate::batch::payload::{Brought, Purpose, Voucher};
use crate::book::Id;
use crate::io::http::{Beginning, Body, begin, value, whole};
use crate::io::serve::desk::now;
use crate::io::serve::passing::{Paid, Whole, answered, clean, keep_private, key};
use crate::io::serve::respond::{Refused, Respond};
use crate::price_list::Entry;
use crate::refusal::Refusal;
use crate::x402::{self, PaymentPayload, SettleResponse};

/// A payment that was checked, with its channel in hand.
struct Held {
    hand: Hand,
    brought: Brought,
    /// As the contract takes it.
    voucher: Voucher,
    amount: u128,
    asked: Option<Asked>,
    /// What its deposit came to.
    deposited: Option<Deposited>,
    /// It was answered before, and asks for the same answer: nothing is charged.
    is_repeated: bool,
}

struct Deposited {
    transaction: String,
    amount: u128,
}

impl Respond {
    /// Serves a request for money from a channel, or gives back what is left of one.
    pub(in crate::io::serve) async fn charge_channel(
        &self,
        channels: &Arc<Channels>,
        whole: Whole,
        entry: &Entry,
        payload: PaymentPayload,
    ) -> Result<Response<Body>, Refused> {
        let demand = Some((whole.asked.clone(), entry.clone()));
        // A client looks at the demand of a 402 only if nothing says that its payment was settled, or was not.
        let refused = |refusal: Refusal, payer| Refused {
            x402_payer: (refusal.status() != 402).then_some(payer).flatten(),
            refusal,
            demand: demand.clone(),
        };
        let amount = u128::try_from(entry.amount).map_err(|_| refused(Refusal::Busy, None))?;
        let brought = Brought::read(&payload).map_err(|refusal| refused(refusal, None))?;
        let payer = Some(brought.config.payer);
        let checked = async {
            brought.check_terms(&self.till, &channels.terms, &payload.accepted)?;
            let voucher = brought.check_voucher(&self.till.token)?;
            if channels.ledger().is_behind(brought.channel, voucher.max) {
                channels.ledger().check(brought.channel, voucher.max, amount, 0, now())?;
            }
            Ok((voucher, channels.hold(brought.channel)?))
        };
        let (voucher, hand) = checked.await.map_err(|refusal| refused(refusal, payer))?;
        if let Purpose::Refund(asked) = &brought.purpose {
            let refunded = self.give_back(channels, hand, &brought, asked.as_deref()).await;
            return refunded.map_err(|refusal| refused(refusal, payer));
        }
        let asked = key(&whole.parts.headers).map(|key| Asked { purpose: whole.asked.purpose(), key });
        let held = Held { hand, brought, voucher, amount, asked, deposited: None, is_repeated: false };
        let held = held.admit(&self.till.token).await.map_err(|refusal| refused(refusal, payer))?;
        self.give(whole, held).await.map_err(|refusal| refused(refusal, payer))
    }

    /// Asks the upstream, and charges for what it gives.
    async fn give(&self, whole: Whole, held: Held) -> Result<Response<Body>, Refusal> {
        if held.is_repeated
            && let Some(answer) = self.desk.answers().find(held.answer_id(self.till.token.chain_id)).cloned()
        {
            self.desk.count(|counters| counters.repeated());
            return Ok(self.with_channel(answered(answer), &held, held.amount));
        }
        // What is not kept is given once more, and no page is given for each time that it is asked for.
        if held.is_repeated && held.hand.channels.ledger().repeated(held.brought.channel) > 1 {
            return Err(Refusal::Replayed);
        }
        let paid = Paid { payer: held.brought.config.payer, by: held.brought.channel };
        let response = match self.passing.pass_on(whole, Some(paid)).await {
            Ok(response) => response,
            Err(why) => return Ok(self.gave_nothing(&held, why.to_string())),
        };
        self.release_charged(response, held).await
    }

    /// What is not too long is whole before anything of it leaves: until then a failure costs the payer nothing.
    async fn release_charged(&self, response: Response<Incoming>, held: Held) -> Result<Response<Body>, Refusal> {
        let is_good = response.status().is_success() || response.status().is_redirection();
        let (parts, body) = clean(response);
        let begun = match begin(body, MOST_BYTES, self.passing.patience()).await {
            Ok(begun) => begun,
            Err(error) => return Ok(self.gave_nothing(&held, format!("its answer broke off: {error}"))),
        };
        if !is_good {
            held.failed();
            let response = Response::from_parts(parts, self.body(begun));
            return Ok(self.with_channel(response, &held, 0));
        }
        if !held.is_repeated {
            held.hand.channels.charge(&held.hand, &held.voucher, held.amount, held.asked).await?;
            self.desk.count(|counters| counters.paid("x402-batch", alloy_primitives::U256::from(held.amount)));
        }
        if held.asked.is_some()
            && let Beginning::Whole(bytes) = &begun
        {
            let headers =
                parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
            let answer =
                Answer { status: parts.status.as_u16(), headers: headers.collect(), body: bytes.clone(), owed: 0 };
            self.desk.answers().keep(held.answer_id(self.till.token.chain_id), answer, now());
        }
        let response = Response::from_parts(parts, self.body(begun));
        Ok(self.with_channel(response, &held, held.amount))
    }

    /// The upstream failed: nothing is charged, and what was deposited is told.
    fn gave_nothing(&self, held: &Held, why: String) -> Response<Body> {
        held.failed();
        let refusal = Refusal::FreeUpstreamFailed { why };
        self.desk.count(|counters| counters.refused(refusal.code()));
        self.with_channel(self.refuse(refusal.into()), held, 0)
    }

    async fn give_back(
        &self,
        channels: &Arc<Channels>,
        hand: Hand,
        brought: &Brought,
        asked: Option<&str>,
    ) -> Result<Response<Body>, Refusal> {
        let amount = channels.refundable(brought, asked).await?;
        let Made { hand, transaction, amount } = channels.refund(hand, brought, amount).await?;
        let state = channel_state(&hand);
        let mirror = hand.mirror();
        if mirror.balance == mirror.claimed {
            hand.close();
        }
        let settlement = SettleResponse {
            success: true,
            error_reason: None,
            payer: Some(brought.config.payer),
            transaction: transaction.map(|hash| hash.to_string()).unwrap_or_default(),
            network: x402::network(self.till.token.chain_id),
            amount: Some(amount.to_string()),
            extra: Some(json!({ "channelState": state })),
        };
        let mut response = Response::new(whole(json!({ "refunded": amount.to_string() }).to_string()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(with_settlement(response, &settlement))
    }

    /// What became of a payment from a channel.
    fn with_channel(&self, response: Response<Body>, held: &Held, charged: u128) -> Response<Body> {
        let (transaction, amount) = held
            .deposited
            .as_ref()
            .map_or_else(Default::default, |deposited| (deposited.transaction.clone(), deposited.amount.to_string()));
        let settlement = SettleResponse {
            success: true,
            error_reason: None,
            payer: Some(held.brought.config.payer),
            transaction,
            network: x402::network(self.till.token.chain_id),
            amount: Some(amount),
            extra: Some(json!({ "chargedAmount": charged.to_string(), "channelState": channel_state(&held.hand) })),
        };
        with_settlement(response, &settlement)
    }
}

impl Held {
    /// Until the channel has what the voucher promises: a deposit that comes with it is final when this returns.
    async fn admit(mut self, token: &crate::authorization::Token) -> Result<Self, Refusal> {
        let channels = self.hand.channels.clone();
        let (id, max) = (self.brought.channel, self.voucher.max);
        if channels.ledger().repeats(id, &self.voucher, self.asked) {
            self.is_repeated = true;
            return Ok(self);
        }
        let least = channels.terms.least(self.amount);
        let Purpose::Deposit(deposit) = &self.brought.purpose else {
            channels.ready(&self.brought, Some(least)).await?;
            channels.ledger().check(id, max, self.amount, 0, now())?;
            return Ok(self);
        };
        let deposit = deposit.check(&self.brought, least, channels.desk.chain.clock(now())?, token)?;
        channels.ready(&self.brought, None).await?;
        {
            let ledger = channels.ledger();
            ledger.check(id, max, self.amount, deposit.terms.amount, now())?;
            ledger.check_gas(id, 0, false)?;
        }
        let Made { hand, transaction, amount } = channels.deposit(self.hand, &self.brought, &deposit).await?;
        let transaction = transaction.map(|hash| hash.to_string()).unwrap_or_default();
        channels.ledger().check(id, max, self.amount, 0, now())?;
        Ok(Self { hand, deposited: Some(Deposited { transaction, amount }), ..self })
    }

    fn failed(&self) {
        self.hand.channels.ledger().failed(self.brought.channel, now());
    }

    /// Under what an answer is kept.
    fn answer_id(&self, chain_id: u64) -> Id {
        let nonce = Domain::new(chain_id).voucher(self.brought.channel, self.voucher.max);
        Id { payer: self.brought.config.payer, nonce }
    }
}

fn channel_state(hand: &Hand) -> Value {
    hand.channels.ledger().channel_state(hand.id).unwrap_or_default()
}

fn with_settlement(mut response: Response<Body>, settlement: &SettleResponse) -> Response<Body> {
    let headers = response.headers_mut();
    keep_private(headers);
    headers.extend(value(&x402::encode(settlement)).map(|value| (HeaderName::from_static(x402::RESPONSE), value)));
    response
}
