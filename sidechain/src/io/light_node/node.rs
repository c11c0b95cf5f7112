//! The light node: the newest final header, and which header a request means.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64};
use api::peg::Finality;
use futures::future::join_all;
use light::FinalHeader;
use light::finality::Validators;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::fault::{Fault, OpenError, Told, Unproven};
use super::kept::Kept;
use super::upstream::Upstream;
use crate::chain::Stored;
use crate::execution::Rules;
use crate::genesis::Genesis;
use crate::io::clock::now_ms;
use crate::io::rpc::error;
use crate::light_node::{Codes, Heads, NotTaken, Rows, Taken};
use crate::state::CodeCache;

/// How long a head is not asked for again: half of the time between two blocks.
const FRESH: Duration = Duration::from_millis(400);
/// How long the kept head serves when no node shows it or a newer one: one that is a block behind is common.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds after which the newest header tells nothing of now: a chain that is up makes one each second.
const MAX_AGE_S: u64 = 300;
/// How long one node may take to show its head while others have shown theirs.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of code that are kept in memory.
const MAX_CODE_BYTES: usize = 16 << 20;
/// Calls that run at a time.
const MAX_RUNS: usize = 4;

/// What becomes of a question whose answer nothing proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is refused: for wallets, which take every answer for a fact.
    Refused,
    /// The nodes' word is passed on: for commands, which show it as that, or prove it themselves.
    PassedOn,
}

/// A light node.
pub struct LightNode {
    pub(super) genesis: Arc<Genesis>,
    pub(super) rules: Rules,
    pub(super) validators: Validators,
    pub(super) word: Word,
    pub(super) upstream: Upstream,
    /// Of the genesis block.
    first: FinalHeader,
    heads: Mutex<Heads>,
    /// When nodes were last asked for the head, and when one showed the newest.
    asked: tokio::sync::Mutex<Asked>,
    kept: Option<Kept>,
    /// What was proven of the newest states that were asked for, by block.
    pub(super) states: Mutex<BTreeMap<u64, Arc<Mutex<Rows>>>>,
    pub(super) codes: Arc<Mutex<Codes>>,
    pub(super) analysed: Arc<CodeCache>,
    pub(super) runs: Semaphore,
    /// Blocks that were asked for last.
    pub(super) blocks: Mutex<VecDeque<Arc<Stored>>>,
}

#[derive(Debug, Default)]
struct Asked {
    last: Option<Instant>,
    shown: Option<Instant>,
}

impl std::fmt::Debug for LightNode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LightNode").field("upstream", &self.upstream.urls()).finish_non_exhaustive()
    }
}

/// What panics while it holds a lock leaves nothing half-done there.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LightNode {
    /// A light node of the network of `genesis`, which asks the nodes at `urls` and keeps its newest header in `folder`. Asks nothing yet.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(
        genesis: Genesis,
        urls: &[String],
        folder: Option<PathBuf>,
        word: Word,
    ) -> Result<Arc<Self>, OpenError> {
        let upstream = Upstream::new(urls)?;
        let validators = genesis.validators()?;
        let built = genesis.build()?;
        let first =
            FinalHeader { header: built.block.header, hash: built.hash, signers: 0, validators: validators.len() };
        let kept = folder.map(Kept::new);
        let newest = kept.as_ref().map_or(Ok(None), |kept| kept.read(&validators))?;
        let mut codes = Codes::new(MAX_CODE_BYTES);
        built.overlay.codes.into_iter().for_each(|(hash, code)| codes.put(hash, code));
        Ok(Arc::new(Self {
            rules: genesis.rules(),
            genesis: Arc::new(genesis),
            validators,
            word,
            upstream,
            heads: Heads::new(newest.unwrap_or_else(|| first.clone())).into(),
            first,
            asked: tokio::sync::Mutex::default(),
            kept,
            states: Mutex::default(),
            codes: Arc::new(codes.into()),
            analysed: Arc::default(),
            runs: Semaphore::new(MAX_RUNS),
            blocks: Mutex::default(),
        }))
    }

    /// The nodes that it asks, for people.
    #[must_use]
    pub fn urls(&self) -> String {
        self.upstream.urls()
    }

    /// The newest final header that any node shows, and never an older one than before.
    ///
    /// # Errors
    ///
    /// No node shows one that holds, or it is too old to tell what is so now.
    pub async fn head(&self) -> Result<Arc<FinalHeader>, Unproven> {
        let mut asked = self.asked.lock().await;
        if asked.last.is_none_or(|last| last.elapsed() >= FRESH) {
            let shown = self.ask_for_heads().await;
            asked.last = Some(Instant::now());
            match shown {
                Ok(()) => asked.shown = asked.last,
                Err(_) if asked.shown.is_some_and(|shown| shown.elapsed() < PATIENCE) => {}
                Err(error) => {
                    asked.last = None;
                    return Err(error);
                }
            }
        }
        let newest = locked(&self.heads).newest();
        let age_s = (now_ms() / 1_000).saturating_sub(newest.header.timestamp);
        if age_s > MAX_AGE_S {
            let (number, urls) = (newest.header.number, self.urls());
            let old = format!(
                "the newest final block that {urls} show, {number}, is {age_s} s old: the chain stands still, or they hide what is newer"
            );
            return Err(error::server(old).into());
        }
        Ok(newest)
    }

    /// Asks all nodes at once; one that shows what is kept, or newer, is enough.
    async fn ask_for_heads(&self) -> Result<(), Unproven> {
        let mut told = Told::default();
        for order in self.upstream.order() {
            let answers = join_all(order.iter().map(|index| self.ask_for_head(*index))).await;
            let mut holds = false;
            for (index, answer) in order.into_iter().zip(answers) {
                match answer {
                    Ok(()) => holds = true,
                    Err(fault) => self.upstream.blame(index, fault, &mut told),
                }
            }
            if holds {
                return Ok(());
            }
        }
        Err(told.into_error())
    }

    async fn ask_for_head(&self, index: usize) -> Result<(), Fault> {
        let asked = self.upstream.ask_one(index, "peg_getFinality", vec![json!("latest")], |answer| self.check(answer));
        let timeout = |_| Fault::NoAnswer(format!("no head within {} s", HEAD_TIMEOUT.as_secs()));
        let (answer, header) = tokio::time::timeout(HEAD_TIMEOUT, asked).await.map_err(timeout)??;
        let taken = locked(&self.heads).take(header).map_err(|why| match why {
            NotTaken::Older { .. } => Fault::Behind(why.to_string()),
            NotTaken::Fork { .. } => Fault::Lie(why.to_string()),
        })?;
        if let (Taken::Newer, Some(kept)) = (taken, &self.kept) {
            kept.write(&answer, &self.validators)
                .unwrap_or_else(|error| tracing::warn!(%error, "the head is not kept"));
        }
        Ok(())
    }

    fn check(&self, answer: Finality) -> Result<(Finality, FinalHeader), String> {
        let header = FinalHeader::verify(&answer, &self.validators)
            .map_err(|error| format!("does not prove that its block {} is final: {error}", answer.number))?;
        Ok((answer, header))
    }

    /// The header of a block that a request names.
    ///
    /// # Errors
    ///
    /// There is no such block yet, or no node proves it.
    pub(super) async fn header_of(&self, id: BlockId) -> Result<Arc<FinalHeader>, Unproven> {
        match id {
            BlockId::Number(BlockNumberOrTag::Number(number)) => self.header_at(number).await,
            BlockId::Number(BlockNumberOrTag::Earliest) => self.header_at(0).await,
            BlockId::Number(_) => self.head().await,
            BlockId::Hash(hash) => self
                .header_by_hash(hash.block_hash)
                .await?
                .ok_or_else(|| error::no_block(format_args!("block {}", hash.block_hash)).into()),
        }
    }

    /// The header at a height.
    pub(super) async fn header_at(&self, number: u64) -> Result<Arc<FinalHeader>, Unproven> {
        if number == 0 {
            return Ok(Arc::new(self.first.clone()));
        }
        if let Some(known) = locked(&self.heads).at(number) {
            return Ok(known);
        }
        let head = self.head().await?.header.number;
        if number > head {
            return Err(error::no_block(format_args!("block {number}, the head is {head}")).into());
        }
        self.finality(number).await.map(|(_, header)| header)
    }

    /// A block's header with what shows that it is final.
    pub(super) async fn finality(&self, number: u64) -> Result<(Finality, Arc<FinalHeader>), Unproven> {
        let check = |answer: Finality| {
            let (answer, header) = self.check(answer)?;
            let got = header.header.number;
            if got != number {
                return Err(format!("shows block {got}, asked was for block {number}"));
            }
            let header = locked(&self.heads).remember(header).map_err(|why| why.to_string())?;
            Ok((answer, header))
        };
        self.upstream.ask("peg_getFinality", vec![json!(U64::from(number))], check).await
    }

    /// The header of a hash; none when no node knows of it. Only its number is a node's word, and that is checked.
    pub(super) async fn header_by_hash(&self, hash: B256) -> Result<Option<Arc<FinalHeader>>, Unproven> {
        if hash == self.first.hash {
            return Ok(Some(Arc::new(self.first.clone())));
        }
        if let Some(known) = locked(&self.heads).of(hash) {
            return Ok(Some(known));
        }
        let number = |answer: Value| Ok(answer["number"].as_str().and_then(|text| text.parse::<U64>().ok()));
        let params = vec![json!(hash), json!(false)];
        let Some(number) = self.upstream.find("eth_getBlockByHash", params, number).await? else { return Ok(None) };
        let header = self.header_at(number.to()).await?;
        Ok((header.hash == hash).then_some(header))
    }
}
