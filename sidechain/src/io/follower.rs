//! A node that follows without voting: it takes blocks from another node's RPC and believes none of them.
//!
//! A block is taken when a certificate of the validators in the genesis file signs it, or a descendant that links back to
//! it; then it is executed here, so that this node checks everything it shows by itself. The followed node can only
//! withhold blocks. It may stop and come back at any time.

use std::{sync::Arc, time::Duration};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable as _;
use api::peg::FollowedBlock;
use futures::StreamExt as _;
use jsonrpsee::{
    core::{ClientError, client::ClientT as _},
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use light::finality::{self, FinalityError, Validators};
use tracing::{debug, info, warn};

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

/// Why a block is not taken. The followed node is at fault; another answer may be better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("the answer is not a block: {0}")]
    Encoding(String),
    #[error("asked for block {want}, got {got}")]
    Number { got: u64, want: u64 },
    #[error("block {number} does not continue the final chain: parent {got}, expected {want}")]
    Parent { number: u64, got: B256, want: B256 },
    #[error(transparent)]
    Finality(#[from] FinalityError),
}

/// A block that the validators made final.
#[derive(Clone, Debug)]
struct Final {
    block: Block,
    /// When it is of this very block.
    certificate: Option<Bytes>,
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

/// Checks everything about an answer that needs no state. `None`: it is not provably final yet.
fn examine(
    answer: FollowedBlock,
    (number, hash): (u64, B256),
    validators: &Validators,
) -> Result<Option<Final>, Refused> {
    let want = number + 1;
    let block = decode::<Block>(&answer.block)?;
    if block.header.number != want {
        return Err(Refused::Number { got: block.header.number, want });
    }
    if block.header.parent_hash != hash {
        return Err(Refused::Parent { number: want, got: block.header.parent_hash, want: hash });
    }
    let Some(proof) = answer.finality else {
        debug!(number = want, "no certificate yet");
        return Ok(None);
    };
    let descendants = proof.descendants.iter().map(decode::<Header>).collect::<Result<Vec<_>, _>>()?;
    finality::verify_linked(&block.header, &descendants, &proof.certificate, validators)?;
    let certificate = (proof.certified.number == want && descendants.is_empty()).then_some(proof.certificate);
    Ok(Some(Final { block, certificate }))
}

fn decode<T: alloy_rlp::Decodable>(bytes: &Bytes) -> Result<T, Refused> {
    let mut rest = bytes.as_ref();
    let value = T::decode(&mut rest).map_err(|error| Refused::Encoding(error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(Refused::Encoding("trailing bytes".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::unsigned_transaction;
    use alloy_consensus::{TxEnvelope, proofs::calculate_transaction_root};
    use api::peg::{Certified, Finality};
    use blst::min_sig::SecretKey;

    const CHAIN_ID: u64 = 51717;

    fn secrets() -> Vec<SecretKey> {
        (1..=4).map(crate::testing::validator).collect()
    }

    fn validators() -> Validators {
        let members = secrets().into_iter().enumerate();
        let keys = members.map(|(i, secret)| ([i as u8; 32], secret.sk_to_pk().compress()));
        Validators::new(CHAIN_ID, keys).expect("valid keys")
    }

    fn child(parent: &Header, transactions: Vec<TxEnvelope>) -> Block {
        let transactions_root = calculate_transaction_root(&transactions);
        let header = Header {
            number: parent.number + 1,
            parent_hash: parent.hash_slow(),
            transactions_root,
            ..Header::default()
        };
        Block { header, transactions }
    }

    fn rlp(value: &impl alloy_rlp::Encodable) -> Bytes {
        alloy_rlp::encode(value).into()
    }

    /// What an honest node answers for `block`, certified at the last of `descendants` or itself.
    fn answer(block: &Block, descendants: &[&Block], signers: &[usize]) -> FollowedBlock {
        let certified = descendants.last().map_or(block, |last| *last);
        let certificate = finality::certify(CHAIN_ID, &secrets(), signers, 9, certified.hash());
        FollowedBlock {
            block: rlp(block),
            finality: Some(Finality {
                number: block.header.number,
                hash: block.hash(),
                header: rlp(&block.header),
                certificate: certificate.into(),
                certified: Certified { number: certified.header.number, hash: certified.hash() },
                descendants: descendants.iter().map(|block| rlp(&block.header)).collect(),
            }),
        }
    }

    // genesis <- 1 <- 2
    fn blocks() -> [Block; 3] {
        let genesis = Block { header: Header::default(), transactions: Vec::new() };
        let one = child(&genesis.header, vec![unsigned_transaction(0)]);
        let two = child(&one.header, Vec::new());
        [genesis, one, two]
    }

    #[test]
    fn a_block_is_taken_by_its_own_certificate_or_a_descendants() {
        let [genesis, one, two] = blocks();
        let tip = (0, genesis.hash());
        let taken = examine(answer(&one, &[], &[0, 1, 3]), tip, &validators());
        let taken = taken.expect("a quorum signed it").expect("final");
        assert_eq!(taken.block, one);
        assert!(taken.certificate.is_some());
        let taken = examine(answer(&one, &[&two], &[0, 1, 3]), tip, &validators());
        let taken = taken.expect("a quorum signed its child").expect("final");
        assert_eq!(taken.block, one);
        assert!(taken.certificate.is_none(), "it is the child's");
        let mut early = answer(&one, &[], &[0, 1, 3]);
        early.finality = None;
        assert!(matches!(examine(early, tip, &validators()), Ok(None)), "not final yet");
    }

    #[test]
    fn a_node_that_lies_is_not_believed() {
        let [genesis, one, two] = blocks();
        let tip = (0, genesis.hash());
        let examine = |answer| examine(answer, tip, &validators()).expect_err("a lie");
        assert!(matches!(
            examine(answer(&one, &[], &[0, 1])),
            Refused::Finality(FinalityError::NoQuorum { got: 2, want: 3 })
        ));
        assert!(matches!(examine(answer(&two, &[], &[0, 1, 2])), Refused::Number { got: 2, want: 1 }));
        let elsewhere = child(&Header { timestamp: 7, ..Header::default() }, Vec::new());
        assert!(matches!(examine(answer(&elsewhere, &[], &[0, 1, 2])), Refused::Parent { number: 1, .. }));
        let mut without_body = one.clone();
        without_body.transactions.clear();
        assert!(matches!(examine(answer(&without_body, &[], &[0, 1, 2])), Refused::Encoding(_)));
        // Another block with the certificate of the real one.
        let mut other = answer(&child(&genesis.header, Vec::new()), &[], &[0, 1, 2]);
        other.finality = answer(&one, &[], &[0, 1, 2]).finality;
        assert!(matches!(examine(other), Refused::Finality(FinalityError::WrongBlock { .. })));
        // A certified block that does not descend from it.
        let mut unlinked = answer(&one, &[&elsewhere], &[0, 1, 2]);
        assert!(matches!(examine(unlinked.clone()), Refused::Finality(FinalityError::Unlinked { .. })));
        unlinked.block = Bytes::from_static(&[0xc0]);
        assert!(matches!(examine(unlinked), Refused::Encoding(_)));
        let mut trailing = answer(&one, &[], &[0, 1, 2]);
        trailing.block = [trailing.block.as_ref(), &[0]].concat().into();
        assert!(matches!(examine(trailing), Refused::Encoding(_)));
    }
}
