//! Asks the followed node for one block after another.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use alloy_primitives::{B256, U64};
use alloy_rlp::Decodable as _;
use api::peg::{Finality, FollowedBlock};
use futures::StreamExt as _;
use jsonrpsee::{
    core::{ClientError, client::ClientT as _},
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use light::{FinalHeader, finality::Validators};
use tracing::{info, warn};

use super::verify::{Final, examine};
use crate::{block::Block, chain::Chain, limits::MAX_BLOCK_BYTES, state::store::Store};

/// Blocks asked for at the same time while this node is behind.
const FETCHED: usize = 16;

/// Blocks after which the followed node is asked for its head again: full ones take minutes to execute, and meanwhile it goes on.
const BEFORE_HEAD: u64 = 256;

/// Time between questions for a block that is not there yet.
const POLL: Duration = Duration::from_millis(250);

/// How often a proof that is not there yet is asked for: half a minute.
const PROOF_TRIES: usize = 120;

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
/// of its own; it may block. `heard` is told the highest block that the followed node proves to be final whenever it answers, and nothing when it does not.
///
/// # Errors
///
/// `Url`, `OtherNetwork`, `Commit`. Everything else is waited out.
pub async fn follow<S: Store>(
    url: &str,
    chain: Arc<Chain<S>>,
    validators: Validators,
    heard: impl Fn(Option<u64>),
    commit: impl Fn(&Block, Option<&[u8]>) -> Result<(), String> + Clone + Send + 'static,
) -> Result<(), FollowError> {
    let client = HttpClientBuilder::default()
        .request_timeout(REQUEST_TIMEOUT)
        .max_response_size(MAX_RESPONSE_BYTES)
        .build(url)
        .map_err(|error| FollowError::Url { url: url.to_owned(), reason: error.to_string() })?;
    ensure_same_network(&client, chain.genesis_block().hash()).await?;
    loop {
        let asked: Result<U64, _> = client.request("eth_blockNumber", rpc_params![]).await;
        let pause = match asked {
            Ok(head) => {
                let (own, head) = (chain.head().number, head.to());
                heard(Some(proven_head(&client, own, head, &validators).await));
                match catch_up(&client, &chain, head, &validators, &commit).await? {
                    Caught::Up if head > own => continue,
                    Caught::Up => POLL,
                    Caught::Fault => RETRY,
                }
            }
            Err(error) => {
                heard(None);
                warn!(%error, "the followed node does not answer");
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// How catching up ended.
enum Caught {
    Up,
    /// The followed node does not answer, or answers wrongly.
    Fault,
}

/// The highest block that the followed node proves to be final, as its word for `head` is worth nothing: else the own one. The next one proves itself when
/// it comes.
async fn proven_head(client: &HttpClient, own: u64, head: u64, validators: &Validators) -> u64 {
    if head <= own.saturating_add(1) {
        return own;
    }
    let asked: Result<Finality, _> = client.request("peg_getFinality", rpc_params![format!("{head:#x}")]).await;
    match asked.map(|proof| FinalHeader::verify(&proof, validators)) {
        Ok(Ok(proven)) if proven.header.number == head => head,
        Ok(Ok(proven)) => {
            warn!(
                head,
                proven = proven.header.number,
                "the followed node proves another block than the one it calls its head"
            );
            own
        }
        Ok(Err(error)) => {
            warn!(head, %error, "the followed node's proof of its head is wrong");
            own
        }
        Err(error) => {
            warn!(head, %error, "the followed node does not prove its head");
            own
        }
    }
}

/// The blocks that are asked for before the followed node's head is.
fn next_blocks(own: u64, head: u64) -> RangeInclusive<u64> {
    own + 1..=head.min(own.saturating_add(BEFORE_HEAD))
}

/// Takes blocks on the way to the followed node's head, each asked for once.
async fn catch_up<S: Store>(
    client: &HttpClient,
    chain: &Chain<S>,
    head: u64,
    validators: &Validators,
    commit: &(impl Fn(&Block, Option<&[u8]>) -> Result<(), String> + Clone + Send + 'static),
) -> Result<Caught, FollowError> {
    let own = chain.head();
    let mut tip = (own.number, own.hash_slow());
    let ask = |number| async move { (number, fetch(client, number).await) };
    let mut answers = futures::stream::iter(next_blocks(tip.0, head)).map(ask).buffered(FETCHED);
    while let Some((number, answer)) = answers.next().await {
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                warn!(number, "the followed node does not have a block below its head");
                return Ok(Caught::Fault);
            }
            Err(error) => {
                warn!(number, %error, "the followed node does not answer");
                return Ok(Caught::Fault);
            }
        };
        let Some(Final { block, certificate }) = proven(client, answer, tip, validators).await else {
            return Ok(Caught::Fault);
        };
        tip = (number, block.hash());
        let commit = commit.clone();
        let work = move || commit(&block, certificate.as_ref().map(AsRef::as_ref));
        let committed = tokio::task::spawn_blocking(work).await;
        committed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map_err(FollowError::Commit)?;
    }
    Ok(Caught::Up)
}

/// The block of an answer once it is proved to be the next final one. A proof that is not there yet is waited for; the block is
/// not asked for again. `None` when the followed node is at fault.
async fn proven(
    client: &HttpClient,
    mut answer: FollowedBlock,
    tip: (u64, B256),
    validators: &Validators,
) -> Option<Final> {
    for _ in 0..PROOF_TRIES {
        match examine(&answer, tip, validators) {
            Ok(Some(block)) => return Some(block),
            Ok(None) => {}
            Err(refused) => {
                warn!(number = tip.0 + 1, %refused, "the followed node sent a block that is not final");
                return None;
            }
        }
        tokio::time::sleep(POLL).await;
        let number = format!("{:#x}", tip.0 + 1);
        // An error says that there is none yet, or that the node is away.
        answer.finality = client.request("peg_getFinality", rpc_params![number]).await.ok();
    }
    warn!(number = tip.0 + 1, "the followed node has no proof that its block is final");
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_asked_for_again_after_some_blocks_however_many_are_missing() {
        assert_eq!(next_blocks(7, 9), 8..=9);
        assert_eq!(next_blocks(0, 1_000_000), 1..=256);
        assert!(
            next_blocks(9, 9).is_empty()
                && next_blocks(9, 3).is_empty()
                && next_blocks(u64::MAX - 1, u64::MAX).count() == 1
        );
    }
}
