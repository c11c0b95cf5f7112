//! Requests to another server, within bounds: the one behind a paywall, or whichever a payer fetches from.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::time::timeout;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of an answer's head.
const MOST_HEAD_BYTES: usize = 64 << 10;
/// Fields of it.
const MOST_HEADERS: usize = 128;

/// Sends requests, and keeps connections for further ones.
#[derive(Clone)]
pub struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// For the head of an answer, and for each further part of it.
    pub patience: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("it did not answer within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// There is no connection, so it was asked for nothing.
    #[error("{0}")]
    Unreached(String),
    #[error("{0}")]
    Failed(String),
}

impl Upstream {
    /// # Errors
    ///
    /// This machine has no certificates of authorities.
    pub fn new(patience: Duration) -> std::io::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_platform_verifier()
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_nodelay(true);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(MOST_HEAD_BYTES)
            .http1_max_headers(MOST_HEADERS)
            .build(connector);
        Ok(Self { client, patience })
    }

    /// The head of the answer; its body is read by whoever wants it.
    ///
    /// # Errors
    ///
    /// `NoAnswer`.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, NoAnswer> {
        let answer = timeout(self.patience, self.client.request(request)).await;
        answer.map_err(|_| NoAnswer::TooSlow(self.patience))?.map_err(|error| {
            let why = if error.is_connect() { NoAnswer::Unreached } else { NoAnswer::Failed };
            why(chain(&error))
        })
    }
}

/// Where requests for `target` (path and query) go, at a server with this scheme and authority.
pub fn uri(base: &Uri, target: &str) -> Result<Uri, hyper::http::Error> {
    let scheme = base.scheme().cloned().unwrap_or(Scheme::HTTP);
    let authority = base.authority().cloned().unwrap_or_else(|| Authority::from_static("localhost"));
    let above = base.path().trim_end_matches('/');
    Uri::builder().scheme(scheme).authority(authority).path_and_query(format!("{above}{target}")).build()
}

/// An error with its causes: those of connections say the useful part last.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    bridge::foreign::shown(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_looked_for_below_the_upstreams_own_path() {
        for (base, want) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/weather?city=Oslo"),
            ("https://up.example/base/", "https://up.example/base/weather?city=Oslo"),
        ] {
            let base = base.parse().expect("a URL");
            assert_eq!(uri(&base, "/weather?city=Oslo").expect("a URI").to_string(), want);
        }
    }
}
