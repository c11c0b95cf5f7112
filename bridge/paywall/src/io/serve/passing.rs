//! What passes from a client to the upstream, and back: without what concerns one connection, the payment, or what only this paywall may say.

use alloy_primitives::{Address, B256};
use bitcoin::hashes::{Hash as _, sha256};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Uri};

use super::bodies::Place;
use crate::answers::Answer;
use crate::io::http::{Body, take_out_hop_by_hop, value, whole};
use crate::io::upstream::{self, NoAnswer, Upstream};
use crate::mpp::{self, PAYMENT_AUTHORIZATION};
use crate::x402;

/// A key by which a retry is known again, as the draft draft-ietf-httpapi-idempotency-key-header has it.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Who paid for a request, for the upstream.
const PAYER: HeaderName = HeaderName::from_static("causeway-payer");
/// The transaction or channel that paid for it.
const PAYMENT: HeaderName = HeaderName::from_static("causeway-payment");

/// By these, frameworks take a request for another one than was paid for: of another path or method.
const OTHER_REQUESTS: [&str; 5] =
    ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override"];

/// The upstream, and where it is.
pub struct Passing {
    pub upstream: Upstream,
    pub base: Uri,
}

/// A request with its body.
pub struct Whole {
    pub parts: Parts,
    pub body: Bytes,
    /// Of the body, until the upstream has it.
    pub room: Place,
    pub asked: crate::till::Request,
}

/// What an upstream is told of a payment: who paid, and by which transaction or channel.
pub struct Paid {
    pub payer: Address,
    pub by: B256,
}

impl Passing {
    /// For the head of an answer, and for each further part of it.
    pub fn patience(&self) -> std::time::Duration {
        self.upstream.patience
    }

    /// Asks the upstream; `paid`: who paid for it, and by what.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn pass_on(&self, whole: Whole, paid: Option<Paid>) -> Result<Response<Incoming>, NoAnswer> {
        let Whole { parts, body, room, asked } = whole;
        let uri = upstream::uri(&self.base, &asked.target).map_err(|error| NoAnswer::Unreached(error.to_string()))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method;
        *request.headers_mut() = self.forwarded(parts.headers);
        if let Some(Paid { payer, by }) = &paid {
            let marks = [(PAYER, value(&payer.to_string())), (PAYMENT, value(&by.to_string()))];
            request.headers_mut().extend(marks.into_iter().filter_map(|(name, value)| Some((name, value?))));
        }
        *request.uri_mut() = uri;
        let answer = self.upstream.ask(request).await;
        drop(room);
        match answer {
            // A client that has paid here would take it for a refusal of what it paid, and pay again.
            Ok(answer) if paid.is_some() && answer.status() == StatusCode::PAYMENT_REQUIRED => {
                Err(NoAnswer::Failed("it asks for money itself, by a 402".to_owned()))
            }
            answer => answer,
        }
    }

    /// A request's headers as the upstream gets them: without the payment, and without what only this paywall may say.
    fn forwarded(&self, mut headers: HeaderMap) -> HeaderMap {
        take_out_hop_by_hop(&mut headers);
        if let Some(host) = headers.remove(HOST) {
            headers.insert("x-forwarded-host", host);
        }
        let mut authorization = headers.get_all(AUTHORIZATION).iter();
        if authorization.any(|field| field.to_str().ok().and_then(mpp::token_of).is_some()) {
            headers.remove(AUTHORIZATION);
        }
        let taken_out: Vec<HeaderName> = headers.keys().filter(|name| is_taken_out(name.as_str())).cloned().collect();
        for name in taken_out {
            headers.remove(name);
        }
        headers.remove(CONTENT_LENGTH); // hyper writes it anew.
        headers
    }
}

/// Whether an upstream is not shown a header. Many a server makes the same variable of `causeway_payer` and `causeway-payer` (CGI, RFC 3875).
fn is_taken_out(name: &str) -> bool {
    let name = name.replace('_', "-");
    let of_payments = [x402::SIGNATURE, x402::SIGNATURE_V1, PAYMENT_AUTHORIZATION];
    of_payments.into_iter().chain(OTHER_REQUESTS).any(|own| own == name)
        || [PAYER, PAYMENT].iter().any(|own| own.as_str() == name)
}

/// An answer that was kept.
pub fn answered(kept: Answer) -> Response<Body> {
    let mut response = Response::new(whole(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// An upstream's answer without what concerns its connection, or what only this paywall may say.
pub fn clean(response: Response<Incoming>) -> (hyper::http::response::Parts, Incoming) {
    let (mut parts, body) = response.into_parts();
    take_out_hop_by_hop(&mut parts.headers);
    for name in [x402::RESPONSE, x402::REQUIRED, mpp::RECEIPT, "causeway-receipt"] {
        parts.headers.remove(name);
    }
    // A client that has paid here is not to pay there by what it read here.
    let others: Vec<HeaderValue> =
        parts.headers.get_all(WWW_AUTHENTICATE).iter().filter(|field| !asks_for_money(field)).cloned().collect();
    parts.headers.remove(WWW_AUTHENTICATE);
    for other in others {
        parts.headers.append(WWW_AUTHENTICATE, other);
    }
    (parts, body)
}

fn asks_for_money(challenge: &HeaderValue) -> bool {
    let text = challenge.to_str().unwrap_or_default().to_ascii_lowercase();
    let scheme = mpp::SCHEME.to_ascii_lowercase();
    text.split([',', ' ', '\t']).any(|word| word == scheme)
}

/// Whoever else asks for this page has paid nothing: caches keep it for whoever paid, or not at all if the upstream says so.
pub fn keep_private(headers: &mut HeaderMap) {
    let says = headers.get_all(CACHE_CONTROL).iter().any(|field| {
        let field = field.to_str().unwrap_or_default();
        field.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-store"))
    });
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(if says { "no-store" } else { "private" }));
}

pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

pub fn key(headers: &HeaderMap) -> Option<B256> {
    headers.get(IDEMPOTENCY_KEY).map(|key| sha(key.as_bytes()))
}

fn sha(bytes: &[u8]) -> B256 {
    sha256::Hash::hash(bytes).to_byte_array().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_upstream_lets_nobody_keep_is_kept_by_nobody() {
        for (says, want) in [
            (&[][..], "private"),
            (&["public, max-age=60"], "private"),
            (&["no-store"], "no-store"),
            (&["max-age=0, No-Store"], "no-store"),
            (&["public", "no-store"], "no-store"),
        ] {
            let mut headers = HeaderMap::new();
            for field in says {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(field));
            }
            keep_private(&mut headers);
            assert_eq!(headers.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(), [want], "{says:?}");
        }
    }

    #[test]
    fn another_servers_challenge_for_money_is_known_among_others() {
        for (challenge, is_for_money) in [
            ("Payment id=\"x\"", true),
            ("Basic realm=\"x\", payment id=\"x\"", true),
            ("Basic realm=\"Payments\"", false),
            ("Bearer", false),
        ] {
            assert_eq!(asks_for_money(&HeaderValue::from_static(challenge)), is_for_money, "{challenge}");
        }
    }
}
