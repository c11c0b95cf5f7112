//! The JSON-RPC client of the node that a follower follows, for what users send to the follower.

use std::time::Duration;

use futures::{FutureExt as _, future::BoxFuture};
use jsonrpsee::core::{ClientError, client::ClientT as _};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use serde_json::Value;

use super::node_state::{Upstream, UpstreamError};

/// How long a user waits for the followed node before hearing that it does not answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the followed node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UpstreamClient {
    url: String,
    client: HttpClient,
}

impl UpstreamClient {
    /// A client that connects when it is used.
    ///
    /// # Errors
    ///
    /// When `url` is not an http URL.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let client = HttpClientBuilder::default().request_timeout(TIMEOUT).build(url)?;
        Ok(Self { url: url.to_owned(), client })
    }
}

impl Upstream for UpstreamClient {
    fn request<'a>(&'a self, method: &'static str, params: Vec<Value>) -> BoxFuture<'a, Result<Value, UpstreamError>> {
        let request = async move {
            self.client.request(method, params).await.map_err(|error| match error {
                ClientError::Call(error) => UpstreamError::Refused(error),
                other => UpstreamError::NoAnswer { url: self.url.clone(), reason: other.to_string() },
            })
        };
        request.boxed()
    }
}
