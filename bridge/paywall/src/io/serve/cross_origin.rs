//! Pages of other origins: their browsers are told that they may pay, and read what they got (Fetch, section 3.2).

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, Request, Response, StatusCode};

use crate::io::http::{Body, value, whole};
use crate::io::listener::Answers;
use crate::origins::Origins;

/// What of an answer a page needs to pay, beside what it may always read.
const EXPOSED: &str = "payment-required, payment-response, www-authenticate, payment-receipt, causeway-receipt, \
    retry-after, content-length";
/// How long a browser need not ask again, in seconds: two hours are the longest that all of them take.
const MAX_AGE_S: u32 = 7_200;

/// Answers as `inner` does, and says whose pages may read it.
pub struct CrossOrigin<A> {
    pub origins: Origins,
    pub inner: Arc<A>,
}

impl<A: Answers> Answers for CrossOrigin<A> {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
        let allowed = origin.and_then(|origin| self.origins.answer(origin)).and_then(value);
        let Some(allowed) = allowed else {
            let mut response = self.inner.clone().answer(request).await;
            if self.origins != Origins::Own {
                response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
            }
            return response;
        };
        let mut response = match preflight(request.method(), request.headers()) {
            Some(response) => response,
            None => self.inner.clone().answer(request).await,
        };
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.append(VARY, HeaderValue::from_static("origin"));
        response
    }
}

/// A browser asks whether a page may send such a request. It may: the request itself is refused if there is a reason to. Nothing is charged for the question.
fn preflight(method: &Method, asked: &HeaderMap) -> Option<Response<Body>> {
    let wanted = (method == Method::OPTIONS).then(|| asked.get(ACCESS_CONTROL_REQUEST_METHOD).cloned()).flatten()?;
    let mut response = Response::new(whole(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, wanted);
    if let Some(fields) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, fields.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE_S));
    Some(response)
}
