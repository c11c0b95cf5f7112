//! One request, from its head to its answer.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Uri};

use super::desk::{Desk, Held, now};
use super::facilitator;
use crate::answers::{Answer, MOST_BYTES};
use crate::book::{Claim, Id, Settled};
use crate::discovery;
use crate::io::http::{Beginning, Body, Unread, begin, each_part, rest, take_out_hop_by_hop, value, whole};
use crate::io::listener;
use crate::io::upstream::{self, Upstream};
use crate::mpp::{self, PAYMENT_AUTHORIZATION, Receipt};
use crate::path;
use crate::price_list::{Entry, PriceList};
use crate::refusal::Refusal;
use crate::till::{Fields, Payment, Protocol, Till};
use crate::x402::{self, SettleResponse};

/// Until a request's body has arrived.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// A key by which a retry is known again, as the draft draft-ietf-httpapi-idempotency-key-header has it.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Who paid for a request, for the upstream.
const PAYER: HeaderName = HeaderName::from_static("causeway-payer");
/// The transaction that paid for it.
const PAYMENT: HeaderName = HeaderName::from_static("causeway-payment");

/// Answers requests.
pub struct Respond {
    pub desk: Arc<Desk>,
    pub upstream: Upstream,
    /// Where the upstream is.
    pub base: Uri,
    pub prices: PriceList,
    pub till: Till,
    pub is_facilitator: bool,
    pub most_body_bytes: usize,
}

/// A request with its body.
struct Whole {
    parts: Parts,
    body: Bytes,
    asked: crate::till::Request,
}

/// A refusal, with what is needed to ask anew.
struct Refused {
    refusal: Refusal,
    /// Who paid, if it was by x402: told in its own header, too.
    x402_payer: Option<Address>,
    demand: Option<(crate::till::Request, U256, Option<String>)>,
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
        if self.is_facilitator && facilitator::is_for(&plain) {
            return Ok(facilitator::answer(&self.desk, &self.till, &plain, request, self.most_body_bytes).await);
        }
        let Some(entry) = self.prices.find(request.method().as_str(), &plain) else {
            if plain == discovery::PATH && request.method() == hyper::Method::GET {
                return Ok(self.discovery());
            }
            return Err(Refusal::NotListed.into());
        };
        let target = match request.uri().query() {
            Some(query) => format!("{plain}?{query}"),
            None => plain,
        };
        let is_free = entry.amount.is_zero();
        let is_paid = fields(request.headers()).is_there();
        let whole = self.whole(request, target, is_free || is_paid).await?;
        if is_free {
            self.desk.count(|counters| counters.free());
            let failed = |why| Refusal::FreeUpstreamFailed { why };
            let response = self.pass_on(whole, None).await.map_err(failed)?;
            let (parts, body) = clean(response);
            return Ok(Response::from_parts(parts, rest(Vec::new(), body, self.upstream.patience)));
        }
        self.charge(whole, entry).await
    }

    /// Reads a request's body. One that is only to be asked for money keeps none of it.
    async fn whole(&self, request: Request<Incoming>, target: String, is_kept: bool) -> Result<Whole, Refusal> {
        let (parts, body) = request.into_parts();
        let (mut kept, mut hash, mut is_empty) = (Vec::new(), sha256::Hash::engine(), true);
        let show = |part: &[u8]| {
            hash.input(part);
            is_empty &= part.is_empty();
            if is_kept {
                kept.extend_from_slice(part);
            }
        };
        each_part(body, self.most_body_bytes, BODY_PATIENCE, show).await.map_err(|unread| match unread {
            Unread::TooLarge => Refusal::BodyTooLarge { most: self.most_body_bytes },
            Unread::TooSlow | Unread::Broken => Refusal::BodyTooSlow,
        })?;
        let authorization = text(&parts.headers, &AUTHORIZATION);
        let asked = crate::till::Request {
            method: parts.method.as_str().to_owned(),
            target,
            body: (!is_empty).then(|| sha256::Hash::from_engine(hash).to_byte_array().into()),
            is_authorized: authorization.is_some_and(|field| mpp::token_of(field).is_none()),
        };
        Ok(Whole { parts, body: kept.into(), asked })
    }

    /// Serves a request for money.
    async fn charge(&self, whole: Whole, entry: &Entry) -> Result<Response<Body>, Refused> {
        let asked = whole.asked.clone();
        let with_demand = |refusal| Refused {
            refusal,
            x402_payer: None,
            demand: Some((asked.clone(), entry.amount, entry.description.clone())),
        };
        let payment = fields(&whole.parts.headers).read().map_err(with_demand)?.ok_or_else(|| {
            with_demand(Refusal::PaymentRequired { amount: entry.amount, token: self.till.token.contract })
        })?;
        let x402_payer = matches!(payment.protocol, Protocol::X402(_)).then_some(payment.authorization.from);
        let refused = |refusal| Refused { x402_payer, ..with_demand(refusal) };
        let held = self.take(&whole, &payment, entry.amount).await.map_err(refused)?;
        let key = key(&whole.parts.headers).is_some();
        if held.settled.was_delivered
            && let Some(answer) = key.then(|| self.desk.answers().find(held.id()).cloned()).flatten()
        {
            self.desk.count(|counters| counters.repeated());
            return Ok(self.with_receipt(answer.into_response(), &payment, held.settled));
        }
        held.tried();
        let failed = |why| Refused::from(Refusal::UpstreamFailed { why });
        let response = match self.pass_on(whole, Some((&held, &payment))).await {
            Ok(response) => response,
            Err(why) => return Err(failed(why)),
        };
        self.release(response, &held, &payment, key).await
    }

    /// Checks a payment, and has it settled.
    async fn take(&self, whole: &Whole, payment: &Payment, amount: U256) -> Result<Held, Refusal> {
        let id = Id { payer: payment.authorization.from, nonce: payment.authorization.nonce };
        let claim = Claim {
            purpose: whole.asked.purpose(),
            key: key(&whole.parts.headers),
            value: payment.authorization.value,
        };
        // What is known was checked before; its times need not be right any more, and prices may have changed.
        let is_known = self.desk.knows(id, claim.purpose);
        if !is_known {
            payment.check_terms(&self.till, &whole.asked, amount)?;
            payment.check_times(self.desk.chain.clock(now())?)?;
        }
        let signature = payment.check_signature(&self.till.token)?;
        self.desk.take(claim, &payment.authorization, &signature, !is_known).await
    }

    /// Asks the upstream.
    async fn pass_on(&self, whole: Whole, paid: Option<(&Held, &Payment)>) -> Result<Response<Incoming>, String> {
        let Whole { parts, body, asked } = whole;
        let uri = upstream::uri(&self.base, &asked.target).map_err(|error| error.to_string())?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method;
        *request.headers_mut() = self.forwarded(parts.headers);
        if let Some((held, payment)) = paid {
            request.headers_mut().extend(
                [
                    (PAYER, value(&payment.authorization.from.to_string())),
                    (PAYMENT, value(&held.settled.transaction.to_string())),
                ]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
            );
        }
        *request.uri_mut() = uri;
        self.upstream.ask(request).await.map_err(|error| error.to_string())
    }

    /// A request's headers as the upstream gets them: without the payment, and without what only this paywall may say.
    fn forwarded(&self, mut headers: HeaderMap) -> HeaderMap {
        take_out_hop_by_hop(&mut headers);
        if let Some(host) = headers.remove(HOST) {
            headers.insert("x-forwarded-host", host);
        }
        if text(&headers, &AUTHORIZATION).and_then(mpp::token_of).is_some() {
            headers.remove(AUTHORIZATION);
        }
        for name in [x402::SIGNATURE, x402::SIGNATURE_V1, PAYMENT_AUTHORIZATION] {
            headers.remove(name);
        }
        headers.remove(PAYER);
        headers.remove(PAYMENT);
        headers.remove(CONTENT_LENGTH); // hyper writes it anew.
        headers
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
        let begun = begin(body, MOST_BYTES, self.upstream.patience).await;
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
            let answer = Answer { status: parts.status.as_u16(), headers: headers.collect(), body: bytes.clone() };
            self.desk.answers().keep(held.id(), answer, now());
        }
        let body = self.body(begun);
        Ok(self.with_receipt(Response::from_parts(parts, body), payment, held.settled))
    }

    fn body(&self, begun: Beginning) -> Body {
        match begun {
            Beginning::Whole(bytes) => whole(bytes),
            Beginning::Part(bytes, body) => rest(bytes, body, self.upstream.patience),
        }
    }

    /// An answer that was paid for, with its receipt in the protocol of the payment.
    fn with_receipt(&self, response: Response<Body>, payment: &Payment, settled: Settled) -> Response<Body> {
        let mut response = self.with_settlement(response, payment, settled);
        let headers = response.headers_mut();
        // Receipts are for whoever paid.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
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
            };
            let field = value(&x402::encode(&settlement)).map(|value| (HeaderName::from_static(x402::RESPONSE), value));
            response.headers_mut().extend(field);
        }
        response
    }

    fn discovery(&self) -> Response<Body> {
        let document = discovery::document(&self.till.realm, &self.till.token, &self.prices);
        let mut response = Response::new(whole(document.to_string()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
        response
    }

    fn refuse(&self, Refused { refusal, x402_payer, demand }: Refused) -> Response<Body> {
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
            };
            headers.extend(
                value(&x402::encode(&settlement)).map(|value| (HeaderName::from_static(x402::RESPONSE), value)),
            );
        }
        if let Some((asked, amount, description)) = demand.filter(|_| refusal.asks_anew()) {
            let demand = self.till.ask(&asked, amount, description.as_deref(), &refusal, now(), &rand::random());
            problem["challengeId"] = demand.challenge_id.into();
            headers.extend(value(&demand.www_authenticate).map(|value| (WWW_AUTHENTICATE, value)));
            headers
                .extend(value(&demand.payment_required).map(|value| (HeaderName::from_static(x402::REQUIRED), value)));
        }
        let mut response = Response::new(whole(problem.to_string()));
        *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        response
    }
}

impl Answer {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(whole(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// An upstream's answer without what concerns its connection, or what only this paywall may say.
fn clean(response: Response<Incoming>) -> (hyper::http::response::Parts, Incoming) {
    let (mut parts, body) = response.into_parts();
    take_out_hop_by_hop(&mut parts.headers);
    for name in [x402::RESPONSE, x402::REQUIRED, mpp::RECEIPT] {
        parts.headers.remove(name);
    }
    (parts, body)
}

fn fields(headers: &HeaderMap) -> Fields<'_> {
    let field = |name: &'static str| text(headers, &HeaderName::from_static(name));
    Fields {
        authorization: text(headers, &AUTHORIZATION),
        payment_authorization: field(PAYMENT_AUTHORIZATION),
        payment_signature: field(x402::SIGNATURE),
        x_payment: field(x402::SIGNATURE_V1),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn key(headers: &HeaderMap) -> Option<B256> {
    headers.get(IDEMPOTENCY_KEY).map(|key| sha(key.as_bytes()))
}

fn sha(bytes: &[u8]) -> B256 {
    sha256::Hash::hash(bytes).to_byte_array().into()
}
