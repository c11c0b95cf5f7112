//! Asking the nodes, one after the other, until an answer holds.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use jsonrpsee::core::{ClientError, client::ClientT as _};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;

use super::fault::{Fault, OpenError, Told, Unproven};
use crate::io::clock::now_ms;
use crate::light_node::Sources;
use crate::limits::MAX_BLOCK_BYTES;

/// How long a node may take. It answers in milliseconds; then the next one is asked.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Bytes of an answer: a block in hex, or its receipts.
const MAX_RESPONSE_BYTES: u32 = 8 * MAX_BLOCK_BYTES as u32;
/// Bytes of a question: the largest transaction in hex.
const MAX_REQUEST_BYTES: u32 = 4 << 20;

/// The nodes that are asked.
#[derive(Debug)]
pub(super) struct Upstream {
    clients: Vec<HttpClient>,
    sources: Mutex<Sources>,
}

impl Upstream {
    pub(super) fn new(urls: &[String]) -> Result<Self, OpenError> {
        if urls.is_empty() {
            return Err(OpenError::NoNode);
        }
        let client = |url: &String| {
            let builder = HttpClientBuilder::default().request_timeout(TIMEOUT);
            let builder = builder.max_response_size(MAX_RESPONSE_BYTES).max_request_size(MAX_REQUEST_BYTES);
            builder.build(url).map_err(|error| OpenError::Url { url: url.clone(), reason: error.to_string() })
        };
        let clients = urls.iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { clients, sources: Sources::new(urls).into() })
    }

    /// All URLs, for people.
    pub(super) fn urls(&self) -> String {
        self.sources().urls()
    }

    /// Whom to ask now, and who is left out: [`Sources::order`].
    pub(super) fn order(&self) -> [Vec<usize>; 2] {
        self.sources().order(now_ms())
    }

    /// The first answer that `check` takes. What it says of another is said of its node: "shows ...".
    pub(super) async fn ask<A: DeserializeOwned, T>(
        &self,
        method: &str,
        params: Vec<Value>,
        check: impl Fn(A) -> Result<T, String>,
    ) -> Result<T, Unproven> {
        let mut told = Told::default();
        for index in self.order().concat() {
            match self.ask_one(index, method, params.clone(), &check).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => self.blame(index, fault, &mut told),
            }
        }
        Err(told.into_error())
    }

    /// The same for what need not be there: none when all who answer know of none, so that one that keeps it back hides nothing.
    pub(super) async fn find<A: DeserializeOwned, T>(
        &self,
        method: &str,
        params: Vec<Value>,
        check: impl Fn(A) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, Unproven> {
        let (mut told, mut answered) = (Told::default(), false);
        for index in self.order().concat() {
            match self.ask_one(index, method, params.clone(), &check).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => answered = true,
                Err(fault) => self.blame(index, fault, &mut told),
            }
        }
        if answered { Ok(None) } else { Err(told.into_error()) }
    }

    /// Hands something to all nodes at once, so that one that keeps it back keeps back nothing. The first answer of one that takes it.
    pub(super) async fn hand_in(&self, method: &str, params: Vec<Value>) -> Result<Value, Unproven> {
        let mut told = Told::default();
        for order in self.order() {
            let each = order.iter().map(|index| self.ask_one(*index, method, params.clone(), Ok::<Value, String>));
            let mut taken = None;
            for (index, answer) in order.iter().zip(join_all(each).await) {
                match answer {
                    Ok(answer) => taken = taken.or(Some(answer)),
                    Err(fault) => self.blame(*index, fault, &mut told),
                }
            }
            if let Some(taken) = taken {
                return Ok(taken);
            }
        }
        Err(told.into_error())
    }

    /// The answer of one node, if `check` takes it.
    pub(super) async fn ask_one<A: DeserializeOwned, T>(
        &self,
        index: usize,
        method: &str,
        params: Vec<Value>,
        check: impl Fn(A) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let answer = self.clients[index].request(method, params).await.map_err(|error| match error {
            ClientError::Call(refusal) => Fault::Refused(refusal),
            ClientError::ParseError(error) => Fault::Lie(format!("answers {method} with something else: {error}")),
            other => Fault::NoAnswer(other.to_string()),
        })?;
        let checked = check(answer).map_err(Fault::Lie)?;
        self.sources().holds(index);
        Ok(checked)
    }

    /// Leaves a node out for a while, unless it only refused or is behind.
    pub(super) fn blame(&self, index: usize, fault: Fault, told: &mut Told) {
        let mut sources = self.sources();
        let url = sources.url(index).to_owned();
        let lied = matches!(fault, Fault::Lie(_));
        if matches!(fault, Fault::NoAnswer(_) | Fault::Lie(_)) {
            let left_out_ms = sources.fault(index, lied, now_ms());
            warn!(%url, left_out_ms, "{fault:?}");
        }
        told.note(&url, fault);
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
