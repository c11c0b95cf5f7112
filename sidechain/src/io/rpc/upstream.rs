//! The node that a follower follows, as the RPC sees it: it takes what users send, for a follower has no say in blocks.

use std::time::Duration;

use jsonrpsee::core::{ClientError, client::ClientT};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;

use super::error;

/// How long a user waits for the followed node before hearing that it does not answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the followed node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upstream {
    url: String,
    client: HttpClient,
}

impl Upstream {
    /// # Errors
    ///
    /// When `url` is not an http URL.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let client = HttpClientBuilder::default().request_timeout(TIMEOUT).build(url)?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// Passes a request on; its answer, also an error, is the followed node's.
    ///
    /// # Errors
    ///
    /// That of the followed node, or `-32000` that says it does not answer.
    pub async fn pass(&self, method: &str, params: Vec<Value>) -> Result<Value, ErrorObjectOwned> {
        self.client.request(method, params).await.map_err(|error| match error {
            ClientError::Call(error) => error,
            other => error::server(format!("the followed node {} does not answer: {other}", self.url)),
        })
    }
}
