//! Asks the followed node for one block after another.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use alloy_rlp::Decodable as _;
use api::peg::FollowedBlock;
use futures::StreamExt as _;
use jsonrpsee::{
    core::{ClientError, client::ClientT as _},
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use light::finality::Validators;
use tracing::{info, warn};

use super::verify::{Final, examine};
use crate::{block::Block, chain::Chain, limits::MAX_BLOCK_BYTES, state::store::Store};

/// Blocks asked for at the same time while this node is behind.
const FETCHED: usize = 16;

/// Time between questions for a block that is not there yet.
const POLL: Duration = Duration::from_millis(250);

/// Time before a node that failed, or answered wrongly, is asked again.
const RETRY: Duration = Duration::from_secs(2);

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer in hex with descendants; see [`MAX_BLOCK_BYTES`].
const MAX_RESPONSE_BYTES: u32 = 4 * MAX_BLOCK_BYTES as u32;

/// Why following cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The configuration does not name a node.
    #[error("{url:?} is not the http address of a node: {reason}")]
    Url {
        /// As it is written there.
        url: String,
        /// The client's error.
        reason: String,
    },
    /// The followed node was made from another genesis file.
    #[error("the followed node is of another network: its genesis block is {got}, genesis.json makes {want}")]
    OtherNetwork {
        /// Hash of its genesis block.
        got: B256,
        /// Hash of ours.
        want: B256,
    },
    /// The store failed, or a final block is invalid here.
    #[error("cannot make a block final: {0}")]
    Commit(String),
}

/// Takes blocks from the node at `url` for ever. `commit` executes one and makes it final, with its certificate if it has one
/// of its own; it may block.
///
/// # Errors
///
/// `Url`, `OtherNetwork`, `Commit`. Everything else is waited out.
pub async fn follow<S: Store>(
    url: &str,
    chain: Arc<Chain<S>>,
    validators: Validators,
    commit: impl Fn(&Block, Option<&[u8]>) -> Result<(), String> + Clone + Send + 'static,
) -> Result<(), FollowError> {
    let client = HttpClientBuilder::default()
        .request_timeout(REQUEST_TIMEOUT)
        .max_response_size(MAX_RESPONSE_BYTES)
        .build(url)
        .map_err(|error| FollowError::Url { url: url.to_owned(), reason: error.to_string() })?;
    ensure_same_network(&client, chain.genesis_block().hash()).await?;
    loop {
        if let Some(pause) = catch_up(&client, &chain, &validators, &commit).await? {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Takes blocks until one is missing or wrong. Returns how long to wait before the next question; `None`: not at all.
async fn catch_up<S: Store>(
    client: &HttpClient,
    chain: &Chain<S>,
    validators: &Validators,
    commit: &(impl Fn(&Block, Option<&[u8]>) -> Result<(), String> + Clone + Send + 'static),
) -> Result<Option<Duration>, FollowError> {
    let head = chain.head();
    let mut tip = (head.number, head.hash_slow());
    let ask = |number| async move { (number, fetch(client, number).await) };
    // One question while at the tip; many at once when it was answered.
    let at_once = if matches!(ask(tip.0 + 1).await.1, Ok(Some(_))) { FETCHED } else { 1 };
    let mut answers = futures::stream::iter((tip.0 + 1..).take(16 * at_once)).map(ask).buffered(at_once);
    while let Some((number, answer)) = answers.next().await {
        let Final { block, certificate } = match accept(number, answer, tip, validators) {
            Ok(accepted) => accepted,
            Err(pause) => return Ok(Some(pause)),
        };
        tip = (number, block.hash());
        let commit = commit.clone();
        let work = move || commit(&block, certificate.as_ref().map(AsRef::as_ref));
        let committed = tokio::task::spawn_blocking(work).await;
        committed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map_err(FollowError::Commit)?;
    }
    Ok(None)
}

/// The block of an answer when it is the next final one; else how long to wait before the next question.
fn accept(
    number: u64,
    answer: Result<Option<FollowedBlock>, ClientError>,
    tip: (u64, B256),
    validators: &Validators,
) -> Result<Final, Duration> {
    let answer = match answer {
        Ok(answer) => answer.ok_or(POLL)?,
        Err(error) => {
            warn!(number, error = %error, "the followed node does not answer");
            return Err(RETRY);
        }
    };
    match examine(answer, tip, validators) {
        Ok(block) => block.ok_or(POLL),
        Err(refused) => {
            warn!(number, %refused, "the followed node sent a block that is not final");
            Err(RETRY)
        }
    }
}

/// Waits for the followed node and compares genesis blocks: a wrong address is found before a signature fails.
async fn ensure_same_network(client: &HttpClient, want: B256) -> Result<(), FollowError> {
    loop {
        match fetch(client, 0).await {
            Ok(Some(answer)) => match Block::decode(&mut answer.block.as_ref()) {
                Ok(genesis) if genesis.hash() == want => {
                    info!(genesis = %want, "the followed node is of this network");
                    return Ok(());
                }
                Ok(genesis) => {
                    return Err(FollowError::OtherNetwork { got: genesis.hash(), want });
                }
                Err(error) => warn!(%error, "the followed node's genesis block does not decode"),
            },
            Ok(None) => warn!("the followed node has no genesis block"),
            Err(error) => warn!(error = %error, "the followed node does not answer"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn fetch(client: &HttpClient, number: u64) -> Result<Option<FollowedBlock>, ClientError> {
    client.request("peg_getBlock", rpc_params![number]).await
}
