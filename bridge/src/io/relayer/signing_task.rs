//! The task that follows the ledger and takes part in key generation and signing.
//!
//! It depends on its node and its store alone. Nothing that bitcoind or another action does can delay it: what it wants
//! from bitcoind it is told by the task that follows bitcoind, or asks in tasks of their own.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::FeeRate;
use contracts::SigningBoard;
use contracts::address::SIGNING_BOARD;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::bitcoind::Bitcoind;
use super::error::{FatalError, RoundError};
use super::gather_ledger::LedgerGatherer;
use super::health::Health;
use super::key_generation::KeyGeneration;
use super::member::{Member, Random};
use super::node::Node;
use super::signing::Signing;
use super::waiting::Waiting;
use crate::board::Post;
use crate::io::sidechain::{Call, Error};
use crate::relay::facts::{self, BitcoinView};
use crate::relay::following::is_head_old;
use crate::relay::ledger::LedgerView;
use crate::relay::owed::{Part, parts};
use crate::relay::posts::{PostEnd, Posts};

pub const CURSOR: &str = "cursor.json";

/// From which block on the ledger has to be read again after a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    pub from: u64,
}

/// What the task is made of.
pub struct SigningTask<N, B> {
    pub member: Arc<Member<N>>,
    pub gatherer: LedgerGatherer<N>,
    pub keys: KeyGeneration<N>,
    pub signing: Signing<N, B>,
    pub random: Box<dyn Random>,
    pub cursor: Cursor,
    pub poll: Duration,
    /// What it tells the other tasks; none while its node does not answer.
    pub ledger: watch::Sender<Option<Arc<LedgerView>>>,
    /// What it is told of bitcoind; none while that does not answer.
    pub bitcoin: watch::Receiver<Option<Arc<BitcoinView>>>,
    pub posts: Posts,
    pub node_health: Health,
    pub node_lag: Health,
    pub waiting: Waiting,
}

impl<N: Node, B: Bitcoind> SigningTask<N, B> {
    /// Works until it is dropped, or cannot go on.
    pub async fn run(mut self) -> Result<(), FatalError> {
        loop {
            match self.round().await {
                Ok(()) => self.node_health.recovered(),
                Err(RoundError::Fatal(error)) => return Err(error),
                Err(error) => {
                    self.node_health.failed(error.kind(), &error);
                    self.ledger.send_replace(None);
                }
            }
            self.pause().await?;
        }
    }

    /// Waits for the next round, which comes at once when its policy has agreed to something.
    async fn pause(&mut self) -> Result<(), FatalError> {
        let clock = self.member.clock.clone();
        let mut pause = pin!(clock.sleep(self.poll));
        loop {
            tokio::select! {
                biased;
                gathered = self.signing.gathered() => {
                    let fee_rate = fee_rate(&self.bitcoin);
                    if self.signing.approve(gathered, self.gatherer.ledger.view(), fee_rate)? {
                        return Ok(());
                    }
                }
                () = &mut pause => return Ok(()),
            }
        }
    }

    async fn round(&mut self) -> Result<(), RoundError> {
        self.follow().await?;
        if !self.gatherer.ledger.is_current() {
            return Ok(()); // Still reading old blocks: what they say may be over.
        }
        self.publish();
        let bitcoin = self.bitcoin.borrow().clone();
        let progress = facts::progress(self.gatherer.ledger.view(), bitcoin.as_deref());
        let key = facts::key_state(self.gatherer.ledger.view());
        let mut failed = Ok(());
        for part in parts(key, &progress) {
            // Each fails by itself.
            match self.take_part(part).await {
                Err(RoundError::Fatal(error)) => return Err(error.into()),
                result => failed = failed.and(result),
            }
        }
        self.tell_who_is_waited_for();
        failed.and(self.send_posts().await)?;
        // The others look once in a round, except when there is something to broadcast.
        if self.signing.complete.len() != self.gatherer.ledger.view().signed.len() {
            self.publish();
        }
        Ok(self.forget_what_is_over()?)
    }

    async fn follow(&mut self) -> Result<(), RoundError> {
        self.gatherer.follow().await?;
        let head = self.gatherer.ledger.view().head;
        if is_head_old(self.member.clock.unix_ms() / 1000, head.time_s) {
            let (url, head) = (self.member.node.url(), head.number);
            let lags = format!("the sidechain node at {url} lags, or its network has halted: its head {head} is old");
            self.node_lag.failed("lag", &lags);
        } else {
            self.node_lag.recovered();
        }
        self.member.sender.refresh().await?;
        self.keys.learn(self.gatherer.ledger.view().info.epoch).await?;
        Ok(self.signing.recall(&self.gatherer.ledger.view().open)?)
    }

    fn publish(&mut self) {
        self.gatherer.ledger.learn(&self.keys.group_keys, &self.signing.complete);
        self.ledger.send_replace(Some(Arc::new(self.gatherer.ledger.view().clone())));
    }

    async fn take_part(&mut self, part: Part) -> Result<(), RoundError> {
        let random = &mut *self.random;
        let ledger = &self.gatherer.ledger;
        match part {
            Part::MakeKey { epoch } => {
                let posts = self.keys.step(epoch, ledger, random).await?;
                self.queue(posts);
                self.send_posts().await?;
                self.keys.confirm(&self.gatherer.ledger).await
            }
            Part::Sign { number } => {
                let fee_rate = fee_rate(&self.bitcoin);
                let posts = self.signing.step(number, ledger, &self.keys.shares, fee_rate, random)?;
                self.queue(posts);
                self.send_posts().await
            }
        }
    }

    fn tell_who_is_waited_for(&mut self) {
        let view = self.gatherer.ledger.view();
        let key_generation =
            if view.key_is_active() { BTreeMap::new() } else { self.keys.waited_for(&self.gatherer.ledger) };
        let mut waited_for = self.signing.waited_for(view.head.time_s);
        waited_for.extend(key_generation);
        self.waiting.tell(waited_for, &view.info.members);
    }

    fn queue(&mut self, posts: Vec<Post>) {
        posts.into_iter().for_each(|post| self.posts.push(post, self.member.clock.ms()));
    }

    /// Sends what waits to be posted, in order.
    async fn send_posts(&mut self) -> Result<(), RoundError> {
        while let Some(post) = self.posts.first(self.member.clock.ms()) {
            let call = SigningBoard::postCall {
                network: self.member.network,
                session: post.session,
                kind: post.kind as u8,
                payload: post.payload.clone().into(),
            };
            match self.member.sender.send(&Call::new(SIGNING_BOARD, &call), None).await {
                Ok(_) => self.posts.ended(PostEnd::Sent),
                Err(error) if error.retry() => return Err(error.into()),
                Err(error @ Error::Refused { .. }) => {
                    tracing::debug!(%error, "a post was refused, it will be sent again");
                    self.posts.ended(PostEnd::RefusedByThePool);
                    return Ok(());
                }
                Err(error) => {
                    tracing::warn!(%error, "a post was refused");
                    self.posts.ended(PostEnd::WouldFail);
                }
            }
        }
        Ok(())
    }

    /// Forgets what is over, and notes how far the ledger was read.
    fn forget_what_is_over(&mut self) -> Result<(), FatalError> {
        let over = self.gatherer.ledger.forget_what_is_over();
        self.signing.forget(&over)?;
        if let Some(from) = self.gatherer.ledger.noteworthy(self.cursor.from) {
            self.cursor = Cursor { from };
            self.member.store.put_json(CURSOR, &self.cursor)?;
        }
        Ok(())
    }
}

/// bitcoind's estimate; none while it has none, or does not answer.
fn fee_rate(bitcoin: &watch::Receiver<Option<Arc<BitcoinView>>>) -> Option<FeeRate> {
    bitcoin.borrow().as_ref().and_then(|bitcoin| bitcoin.fee_rate)
}
