//! One request, from its head to its answer.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};

use super::batch::Channels;
use super::bodies::Bodies;
use super::desk::{Desk, Held, Offer, now};
use super::facilitator;
use super::passing::{Paid, Passing, Whole, answered, clean, keep_private, key, text};
use super::session::{self, Sessions};
use crate::access::Access;
use crate::answers::{Answer, MOST_BYTES};
use crate::batch::payload::payer;
use crate::book::{Claim, Id, Settled};
use crate::discovery;
use crate::io::http::{Beginning, Body, Unread, begin, each_part, rest, value, whole};
use crate::io::listener;
use crate::io::upstream::NoAnswer;
use crate::mpp::{self, PAYMENT_AUTHORIZATION, Receipt};
use crate::path;
use crate::price_list::{Entry, PriceList};
use crate::refusal::Refusal;
use crate::session::refused::{SessionRefused, Why};
use crate::till::{Fields, Payment, Protocol, Till};
use crate::x402::{self, SettleResponse};

/// Until a request's body has arrived.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// Answers requests.
pub struct Respond {
    pub desk: Arc<Desk>,
    pub passing: Arc<Passing>,
    pub prices: PriceList,
    pub till: Arc<Till>,
    /// Channels of `batch-settlement`, if they are taken.
    pub channels: Option<Arc<Channels>>,
    pub facilitator: Option<Access>,
    pub sessions: Option<Arc<Sessions>>,
    pub most_body_bytes: usize,
    pub bodies: Bodies,
    /// Whether pages are sold for less than their settlement costs.
    pub is_at_a_loss: bool,
}

/// A refusal, with what is needed to ask anew.
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    /// Who paid, if it was by x402: told in its own header, too.
    pub(super) x402_payer: Option<Address>,
    pub(super) demand: Option<(crate::till::Request, Entry)>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, x402_payer: None, demand: None }
    }
}

impl listener::Answers for Respond {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        match self.serve(request).await {
            Ok(response) => response,
            Err(refused) => {
                let refused = self.unless_at_a_loss(refused);
                let code = refused.refusal.code();
                self.desk.count(|counters| counters.refused(code));
                tracing::debug!(code, refusal = %refused.refusal, "refused");
                self.refuse(refused)
            }
        }
    }
}

impl Respond {
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, Refused> {
        let plain = path::plain(request.uri().path())?;
        if let Some(access) = self.facilitator.as_ref().filter(|_| facilitator::is_for(&plain)) {
            return Ok(facilitator::answer(
                &self.desk,
                self.channels.as_ref(),
                &self.till,
                access,
                &plain,
                request,
                self.most_body_bytes,
            )
            .await);
        }
        if let Some(sessions) = self.sessions.as_ref().filter(|_| session::is_for_ticks(&plain)) {
            return Ok(session::take_ticks(sessions, &plain, request).await?);
        }
        let Some(entry) = self.prices.find(request.method().as_str(), &plain) else {
            if plain == discovery::PATH && matches!(*request.method(), Method::GET | Method::HEAD) {
                return Ok(self.discovery());
            }
            return Err(Refusal::NotListed.into());
        };
        let target = match request.uri().query() {
            Some(query) => format!("{plain}?{query}"),
            None => plain,
        };
        let is_free = entry.amount.is_zero();
        let found = if is_free { Ok(false) } else { self.look(&request, &target, entry) };
        let by_session = || matches!(fields(request.headers()).session(), Ok(Some(_)));
        let is_kept = is_free || self.sessions.is_some() && by_session();
        let whole = self.whole(request, target, is_kept, found == Ok(true)).await?;
        if let Err(refusal) = found {
            return Err(self.refused(refusal, &whole, entry));
        }
        if is_free {
            self.desk.count(|counters| counters.free());
            let failed = |why: NoAnswer| Refusal::FreeUpstreamFailed { why: why.to_string() };
            let response = self.passing.pass_on(whole, None).await.map_err(failed)?;
            let (parts, body) = clean(response);
            return Ok(Response::from_parts(parts, rest(Vec::new(), body, self.passing.patience())));
        }
        if let Some(channels) = self.channels.as_ref().filter(|_| entry.meter.is_none())
            && let Some(payload) = fields(&whole.parts.headers).by_channel()
        {
            return self.charge_channel(channels, whole, entry, payload).await;
        }
        self.charge(whole, entry).await
    }

    /// Whether a request brings a payment that looks right before its body is there: nothing of the body is kept otherwise.
    fn look(&self, request: &Request<Incoming>, target: &str, entry: &Entry) -> Result<bool, Refusal> {
        let fields = fields(request.headers());
        if let Some(credential) = fields.session()? {
            // Of a request without a body there is nothing to keep.
            let sessions = self.sessions.as_ref().filter(|_| !request.body().is_end_stream());
            return Ok(sessions.is_some_and(|sessions| session::is_by_payer(sessions, entry, &credential)));
        }
        if entry.meter.is_some() {
            return Ok(false);
        }
        if let Some(channels) = &self.channels
            && let Some(payload) = fields.by_channel()
        {
            channels.check_head(&self.till, &payload)?;
            return Ok(true);
        }
        let Some(payment) = fields.read()? else { return Ok(false) };
        let id = Id::of(&payment.authorization);
        if !self.desk.was_shown(id, payment.shown) {
            let asked = asked(request.method(), request.headers(), target.to_owned(), None);
            payment.check_head(&self.till, &asked, entry.amount)?;
            payment.check_times(self.desk.chain.clock(now())?)?;
            // What was demanded a moment ago is taken also if the fee rose since, up to twice.
            self.loss(entry.amount, 2).map_or(Ok(()), Err)?;
        }
        payment.check_signature(&self.till.token)?;
        Ok(true)
    }

    /// Why a page is not sold by a transaction of its own at this moment: it would cost so many times what it brings.
    fn loss(&self, amount: U256, times: u64) -> Option<Refusal> {
        let least = self.desk.chain.head().ok()?.settlement_cost() / U256::from(times);
        (!self.is_at_a_loss && amount < least).then_some(Refusal::BelowCost { amount, least })
    }

    /// Where only channels are worth their gas, and none are taken, nothing can be demanded.
    fn unless_at_a_loss(&self, refused: Refused) -> Refused {
        let has_others = self.channels.is_some() || self.sessions.is_some();
        let asked = refused.demand.as_ref().filter(|_| refused.refusal.asks_anew() && !has_others);
        match asked.and_then(|(_, entry)| self.loss(entry.amount, 1)) {
            Some(refusal) => refusal.into(),
            None => refused,
        }
    }

    /// A payment is refused by its head alone.
    fn refused(&self, refusal: Refusal, whole: &Whole, entry: &Entry) -> Refused {
        let fields = fields(&whole.parts.headers);
        let is_settled = |refusal: &Refusal| fields.by_channel().is_none() || refusal.status() != 402;
        let payer = payer(&fields).filter(|_| is_settled(&refusal));
        let demand = Some((whole.asked.clone(), entry.clone()));
        Refused { refusal, x402_payer: payer, demand }
    }

    /// Reads a request's body. One that is only to be asked for money keeps none of it.
    async fn whole(
        &self,
        request: Request<Incoming>,
        target: String,
        is_kept: bool,
        is_paid: bool,
    ) -> Result<Whole, Refusal> {
        let (parts, body) = request.into_parts();
        let (mut kept, mut hash, mut is_empty) = (self.bodies.begin(is_paid), sha256::Hash::engine(), true);
        let makes_room = kept.makes_room();
        let show = |part: &[u8]| {
            hash.input(part);
            is_empty &= part.is_empty();
            if is_kept || is_paid {
                kept.add(part);
            }
        };
        let read = tokio::select! {
            read = each_part(body, self.most_body_bytes, BODY_PATIENCE, show) => read,
            () = makes_room.notified() => return Err(Refusal::TooManyBodies),
        };
        read.map_err(|unread| match unread {
            Unread::TooLarge => Refusal::BodyTooLarge { most: self.most_body_bytes },
            Unread::TooSlow | Unread::Broken => Refusal::BodyTooSlow,
        })?;
        if kept.is_over {
            return Err(Refusal::TooManyBodies);
        }
        let body = (!is_empty).then(|| sha256::Hash::from_engine(hash).to_byte_array().into());
        let asked = asked(&parts.method, &parts.headers, target, body);
        let (body, room) = kept.into_parts();
        Ok(Whole { parts, body: body.into(), room, asked })
    }

    /// Serves a request for money.
    async fn charge(&self, whole: Whole, entry: &Entry) -> Result<Response<Body>, Refused> {
        let asked = whole.asked.clone();
        let with_demand = |refusal| Refused { refusal, x402_payer: None, demand: Some((asked.clone(), entry.clone())) };
        if let Some(credential) = fields(&whole.parts.headers).session().map_err(with_demand)? {
            let none = || with_demand(SessionRefused::of(Why::NoSessions).into());
            let sessions = self.sessions.as_ref().ok_or_else(none)?;
            return session::serve(sessions, whole, entry, credential).await.map_err(with_demand);
        }
        if entry.meter.is_some() && fields(&whole.parts.headers).is_there() {
            return Err(with_demand(SessionRefused::of(Why::MeteredOnly).into()));
        }
        let payment = fields(&whole.parts.headers).read().map_err(with_demand)?.ok_or_else(|| {
            with_demand(Refusal::PaymentRequired { amount: entry.amount, token: self.till.token.contract })
        })?;
        let x402_payer = matches!(payment.protocol, Protocol::X402(_)).then_some(payment.authorization.from);
        let refused = |refusal| Refused { x402_payer, ..with_demand(refusal) };
        let held = self.take(&whole, &payment, entry.amount).await.map_err(&refused)?;
        let key = key(&whole.parts.headers).is_some();
        if held.settled.was_delivered
            && let Some(answer) = key.then(|| self.desk.answers().find(held.id()).cloned()).flatten()
        {
            self.desk.count(|counters| counters.repeated());
            return Ok(self.with_receipt(answered(answer), &payment, held.settled));
        }
        if !held.settled.may_ask {
            return Err(refused(Refusal::Replayed));
        }
        held.tried();
        let failed = |why: &NoAnswer| Refused::from(Refusal::UpstreamFailed { why: why.to_string() });
        let paid = Paid { payer: payment.authorization.from, by: held.settled.transaction };
        let response = match self.passing.pass_on(whole, Some(paid)).await {
            Ok(response) => response,
            Err(error) => {
                if matches!(error, NoAnswer::Unreached(_)) {
                    held.not_tried();
                }
                return Err(failed(&error));
            }
        };
        self.release(response, &held, &payment, key).await
    }

    /// Checks a payment, and has it settled.
    async fn take(&self, whole: &Whole, payment: &Payment, amount: U256) -> Result<Held, Refusal> {
        let id = Id::of(&payment.authorization);
        let claim = Claim {
            purpose: whole.asked.purpose(),
            terms: self.till.token.digest(&payment.authorization),
            shown: payment.shown,
            key: key(&whole.parts.headers),
            value: payment.authorization.value,
        };
        // What is known was checked before; its times need not be right any more, and prices may have changed.
        let is_known = self.desk.knows(id, &claim);
        if !is_known {
            payment.check_terms(&self.till, &whole.asked, amount)?;
            payment.check_times(self.desk.chain.clock(now())?)?;
        }
        let signature = payment.check_signature(&self.till.token)?;
        let offer = Offer {
            authorization: &payment.authorization,
            signature: &signature,
            is_checked: !is_known,
            // x402's nonce names no challenge: whoever reads the chain could show what another paid here for anything.
            is_challenged: !is_known && matches!(payment.protocol, Protocol::Mpp(_)),
        };
        self.desk.take(claim, offer).await
    }

    /// Gives what was paid for. What is not too long is whole before anything of it leaves: until then a failure costs the payer nothing.
    async fn release(
        &self,
        response: Response<Incoming>,
        held: &Held,
        payment: &Payment,
        key: bool,
    ) -> Result<Response<Body>, Refused> {
        let is_good = response.status().is_success() || response.status().is_redirection();
        let (parts, body) = clean(response);
        let begun = begin(body, MOST_BYTES, self.passing.patience()).await;
        let begun = begun.map_err(|error| Refusal::UpstreamFailed { why: format!("its answer broke off: {error}") })?;
        if !is_good {
            // The payment stays good for the same request.
            let body = self.body(begun);
            return Ok(self.with_settlement(Response::from_parts(parts, body), payment, held.settled));
        }
        held.delivered().await?;
        let (protocol, amount) = (payment.protocol.name(), payment.authorization.value);
        self.desk.count(|counters| counters.paid(protocol, amount));
        if key && let Beginning::Whole(bytes) = &begun {
            let headers =
                parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
            let answer =
                Answer { status: parts.status.as_u16(), headers: headers.collect(), body: bytes.clone(), owed: 0 };
            self.desk.answers().keep(held.id(), answer, now());
        }
        let body = self.body(begun);
        Ok(self.with_receipt(Response::from_parts(parts, body), payment, held.settled))
    }

    pub(super) fn body(&self, begun: Beginning) -> Body {
        match begun {
            Beginning::Whole(bytes) => whole(bytes),
            Beginning::Part(bytes, body) => rest(bytes, body, self.passing.patience()),
        }
    }

    /// An answer that was paid for, with its receipt in the protocol of the payment.
    fn with_receipt(&self, response: Response<Body>, payment: &Payment, settled: Settled) -> Response<Body> {
        let mut response = self.with_settlement(response, payment, settled);
        let headers = response.headers_mut();
        keep_private(headers);
        if let Protocol::Mpp(credential) = &payment.protocol {
            let receipt =
                Receipt::new(&credential.challenge.id, settled.transaction, settled.at, self.till.token.chain_id);
            headers.extend(value(&receipt.encode()).map(|value| (HeaderName::from_static(mpp::RECEIPT), value)));
        }
        response
    }

    /// What became of the payment, whatever became of the answer: x402 says so on errors as well, MPP does not.
    fn with_settlement(&self, mut response: Response<Body>, payment: &Payment, settled: Settled) -> Response<Body> {
        if let Protocol::X402(_) = &payment.protocol {
            let settlement = SettleResponse {
                success: true,
                error_reason: None,
                payer: Some(payment.authorization.from),
                transaction: settled.transaction.to_string(),
                network: x402::network(self.till.token.chain_id),
                amount: Some(payment.authorization.value.to_string()),
                extra: None,
            };
            let field = value(&x402::encode(&settlement)).map(|value| (HeaderName::from_static(x402::RESPONSE), value));
            response.headers_mut().extend(field);
        }
        response
    }

    fn discovery(&self) -> Response<Body> {
        let document = discovery::document(&discovery::Shop {
            till: &self.till,
            prices: &self.prices,
            has_sessions: self.sessions.is_some(),
            least: self
                .desk
                .chain
                .head()
                .ok()
                .filter(|_| !self.is_at_a_loss)
                .map(|head| head.settlement_cost())
                .unwrap_or_default(),
        });
        let mut response = Response::new(whole(document.to_string()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
        response
    }

    /// Asks for money in all the ways in which it is taken: what most clients know comes first, and the first is all that some of them read.
    fn demand(
        &self,
        asked: &crate::till::Request,
        entry: &Entry,
        refusal: &Refusal,
        problem: &mut serde_json::Value,
        headers: &mut HeaderMap,
    ) {
        let is_loss = self.loss(entry.amount, 1).is_some();
        if entry.meter.is_none() && (!is_loss || self.channels.is_some()) {
            let (amount, description) = (entry.amount, entry.description.as_deref());
            let demand = self.till.ask(asked, amount, description, refusal, now(), &rand::random());
            let demand = if is_loss { demand.by_channel_alone() } else { demand };
            if let Some(id) = demand.challenge_id {
                problem["challengeId"] = id.into();
            }
            let challenge = demand.www_authenticate.as_deref().and_then(value);
            headers.extend(challenge.map(|value| (WWW_AUTHENTICATE, value)));
            headers
                .extend(value(&demand.payment_required).map(|value| (HeaderName::from_static(x402::REQUIRED), value)));
        }
        if let Some(sessions) = &self.sessions {
            let terms = sessions.channels();
            let challenge = self.till.ask_for_session(terms, entry, asked.is_authorized, now(), &rand::random());
            if problem.get("challengeId").is_none() {
                problem["challengeId"] = challenge.id.clone().into();
            }
            if let Some(value) = value(&challenge.header()) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
    }

    pub(super) fn refuse(&self, Refused { refusal, x402_payer, demand }: Refused) -> Response<Body> {
        let mut problem = refusal.problem();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(refusal.retry_after_s().map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
        if let Some(payer) = x402_payer {
            let settlement = SettleResponse {
                success: false,
                error_reason: Some(refusal.x402_reason().to_owned()),
                payer: Some(payer),
                transaction: String::new(),
                network: x402::network(self.till.token.chain_id),
                amount: None,
                extra: None,
            };
            headers.extend(
                value(&x402::encode(&settlement)).map(|value| (HeaderName::from_static(x402::RESPONSE), value)),
            );
        }
        if let Some((asked, entry)) = demand.filter(|_| refusal.asks_anew()) {
            self.demand(&asked, &entry, &refusal, &mut problem, &mut headers);
        }
        let mut response = Response::new(whole(problem.to_string()));
        *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        response
    }
}

/// A request as its price and its payment depend on it.
fn asked(method: &Method, headers: &HeaderMap, target: String, body: Option<B256>) -> crate::till::Request {
    let authorization = text(headers, &AUTHORIZATION);
    let is_authorized = authorization.is_some_and(|field| mpp::token_of(field).is_none());
    crate::till::Request { method: method.as_str().to_owned(), target, body, is_authorized }
}

fn fields(headers: &HeaderMap) -> Fields<'_> {
    let field = |name: &'static str| text(headers, &HeaderName::from_static(name));
    Fields {
        authorization: text(headers, &AUTHORIZATION),
        payment_authorization: field(PAYMENT_AUTHORIZATION),
        payment_signature: field(x402::SIGNATURE),
        x_payment: field(x402::SIGNATURE_V1),
        is_doubled: [AUTHORIZATION.as_str(), PAYMENT_AUTHORIZATION, x402::SIGNATURE, x402::SIGNATURE_V1]
            .iter()
            .any(|name| headers.get_all(*name).iter().nth(1).is_some()),
    }
}
