//! Lets browsers ask from any page: the server keeps no secrets and no sessions, so no page can misuse a visitor's.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use tower::{Layer, Service};

/// How long a browser may remember the answer to its question, in seconds.
const MAX_AGE: &str = "86400";

#[derive(Clone, Copy, Debug)]
pub struct CorsLayer;

impl<S> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        Cors { inner }
    }
}

#[derive(Clone, Debug)]
pub struct Cors<S> {
    inner: S,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<HttpResponse, E>> + Send>>;

impl<S, B> Service<HttpRequest<B>> for Cors<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Answer<S::Error> {
        // The browser asks whether it may ask.
        if request.method().as_str() == "OPTIONS" {
            let answer: Ready<Result<HttpResponse, S::Error>> = ready(Ok(preflight()));
            return Box::pin(answer);
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map(|answer| with(answer, &[("access-control-allow-origin", "*")])) })
    }
}

fn preflight() -> HttpResponse {
    let allowed = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "POST, GET, OPTIONS"),
        ("access-control-allow-headers", "*"),
        ("access-control-max-age", MAX_AGE),
    ];
    with(HttpResponse::new(HttpBody::empty()), &allowed)
}

fn with(mut answer: HttpResponse, headers: &[(&'static str, &'static str)]) -> HttpResponse {
    for (name, value) in headers {
        let value = value.parse().expect("a constant of plain ASCII");
        answer.headers_mut().insert(*name, value);
    }
    answer
}
