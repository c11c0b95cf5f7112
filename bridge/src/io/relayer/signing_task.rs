//! The task that follows the ledger and takes part in key generation and signing.
//!
//! It depends on its node and its store alone. Nothing that bitcoind or another action does can delay it: what it wants
//! from bitcoind it is told by the task that follows bitcoind, or asks in tasks of their own.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use contracts::SigningBoard;
use contracts::address::SIGNING_BOARD;
use mainchain::deposit::Peg;
use mainchain::header::Height;
use tokio::sync::watch;

use super::approving::Approving;
use super::bitcoind::Bitcoind;
use super::error::{FatalError, RoundError};
use super::gather_ledger::LedgerGatherer;
use super::health::{Health, Pulse, Work};
use super::key_generation::KeyGeneration;
use super::member::{Member, Random};
use super::node::Node;
use super::outlook::Outlook;
use super::promises::Promises;
use super::signing::Signing;
use super::waiting::Waiting;
use crate::board::{Post, Session};
use crate::io::sidechain::{Call, Error};
use crate::relay::absent::Absent;
use crate::relay::facts::BitcoinView;
use crate::relay::following::is_head_old;
use crate::relay::ledger::Cursor;
use crate::relay::owed::{Part, parts};
use crate::relay::posts::{PostEnd, Posts};
use crate::relay::quiet::LastRound;
use crate::relay::rereading::Rereading;
use crate::relay::tally::Tally;
use crate::relay::view::LedgerView;

pub const CURSOR: &str = "cursor.json";
/// The last block of Bitcoin that was read.
pub const BITCOIN_READ: &str = "bitcoin.json";
/// Blocks of Bitcoin between two notes of how far it was read.
const NOTE_BITCOIN_EVERY: Height = 6;

/// What the task is made of.
pub struct SigningTask<N, B> {
    pub member: Arc<Member<N>>,
    pub gatherer: LedgerGatherer<N>,
    pub keys: KeyGeneration<N>,
    pub approving: Approving<N, B>,
    pub signing: Signing<N, B>,
    pub promises: Promises<N>,
    pub peg: Peg,
    pub random: Box<dyn Random>,
    pub cursor: Cursor,
    pub bitcoin_read: Option<Height>,
    pub poll: Duration,
    /// What it tells the other tasks; none while its node does not answer.
    pub ledger: watch::Sender<Option<Arc<LedgerView>>>,
    /// What it is told of bitcoind; none while that does not answer.
    pub bitcoin: watch::Receiver<Option<Arc<BitcoinView>>>,
    pub posts: Posts,
    pub node_health: Health,
    pub node_lag: Health,
    pub waiting: Waiting,
    pub absent: Absent,
    pub outlook: Outlook,
    pub pulse: Pulse,
    pub rereading: Rereading,
    /// None after one that failed, or left something to be done.
    pub last_round: Option<LastRound>,
}

impl<N: Node, B: Bitcoind> SigningTask<N, B> {
    /// Works until it is dropped, or cannot go on.
    pub async fn run(mut self) -> Result<(), FatalError> {
        loop {
            let began_ms = self.member.clock.ms();
            self.pulse.beat();
            self.last_round = None;
            match self.round().await {
                Ok(()) => {
                    self.node_health.recovered();
                    self.last_round = self.now(self.gatherer.ledger.view().head.number, began_ms);
                }
                Err(RoundError::Fatal(error)) => return Err(error),
                Err(error) => {
                    self.node_health.failed(error.kind(), &error);
                    self.ledger.send_replace(None);
                }
            }
            self.pause().await?;
        }
    }

    /// What a round goes by that begins at `at_ms`; none when another is needed soon, whatever happens.
    fn now(&self, head: u64, at_ms: u64) -> Option<LastRound> {
        let is_idle = self.gatherer.ledger.is_current() && self.member.sender.in_flight().is_empty();
        let bitcoin = self.bitcoin.borrow().as_ref().map(|view| view.read);
        is_idle.then_some(LastRound { at_ms, head, bitcoin })
    }

    /// Whether a round would find nothing new: what it asks for is much more than the one question here.
    async fn is_quiet(&mut self) -> bool {
        let Some(last) = self.last_round else { return false };
        let Ok(head) = self.member.node.head().await else { return false };
        self.now(head.number, self.member.clock.ms()).is_some_and(|now| last.holds(now))
    }

    /// Waits for the next round, which comes at once when its policy has agreed to something, and not while nothing happens.
    async fn pause(&mut self) -> Result<(), FatalError> {
        let clock = self.member.clock.clone();
        let mut pause = pin!(clock.sleep(self.poll));
        loop {
            tokio::select! {
                biased;
                gathered = self.approving.gathered() => {
                    let bitcoin = self.bitcoin.borrow().clone();
                    let view = self.gatherer.ledger.view();
                    if self.approving.decide(gathered, view, bitcoin.as_deref(), &mut self.promises) {
                        return Ok(());
                    }
                }
                gathered = self.signing.gathered() => {
                    let bitcoin = self.bitcoin.borrow().clone();
                    let view = self.gatherer.ledger.view();
                    if self.signing.decide(gathered, view, bitcoin.as_deref(), &mut self.promises)? {
                        return Ok(());
                    }
                }
                () = &mut pause => {
                    if !self.is_quiet().await {
                        return Ok(());
                    }
                    self.pulse.beat();
                    pause.set(clock.sleep(self.poll));
                }
            }
        }
    }

    async fn round(&mut self) -> Result<(), RoundError> {
        self.follow().await?;
        if !self.gatherer.ledger.is_current() {
            return Ok(()); // Still reading old blocks: what they say may be over.
        }
        let bitcoin = self.bitcoin.borrow().clone();
        if let Some(bitcoin) = &bitcoin {
            self.gatherer.ledger.look_for(&bitcoin.tracked, &self.peg);
            self.gatherer.ask().await?;
        }
        self.publish();
        let view = self.gatherer.ledger.view();
        self.approving.look(view, bitcoin.as_deref());
        self.outlook.tell(view, bitcoin.as_deref());
        self.outlook.tell_work(Work {
            me: self.member.me,
            tally: Tally::of(view, bitcoin.as_deref()),
            sessions: self.signing.open_sessions(),
            signed: self.promises.signed.count(),
            in_flight: self.member.sender.in_flight().len(),
            late_members: self.promises.remembered().len(),
        });
        let parts = parts(view, bitcoin.as_deref());
        let mut failed = Ok(());
        for part in parts {
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
        self.note_bitcoin(bitcoin.as_deref())?;
        Ok(self.forget_what_is_over()?)
    }

    async fn follow(&mut self) -> Result<(), RoundError> {
        self.gatherer.follow().await?;
        if self.promises.take_contradicted() | self.gatherer.take_odd() {
            self.rereading.doubt(self.member.clock.ms());
        }
        self.read_again().await;
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
        Ok(self.signing.recall(&self.gatherer.ledger.view().entries)?)
    }

    /// Reads what is open once more when that is due. What comes of it is what a restart would know.
    async fn read_again(&mut self) {
        let now_ms = self.member.clock.ms();
        if !self.gatherer.ledger.is_current() {
            return;
        }
        if self.rereading.is_due(now_ms) {
            self.rereading.begin(now_ms);
            self.gatherer.begin_again(self.cursor);
        }
        match self.gatherer.follow_again().await {
            Ok(true) => {
                self.rereading.end(self.member.clock.ms());
                self.keys.begin_again();
                self.approving.begin_again();
                self.signing.begin_again();
            }
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "what is open could not be read once more");
                self.rereading.doubt(now_ms);
                self.rereading.end(now_ms);
            }
        }
    }

    fn publish(&mut self) {
        self.gatherer.ledger.learn(&self.keys.group_keys, &self.signing.complete);
        self.ledger.send_replace(Some(Arc::new(self.gatherer.ledger.view().clone())));
    }

    async fn take_part(&mut self, part: Part) -> Result<(), RoundError> {
        let random = &mut *self.random;
        let ledger = &mut self.gatherer.ledger;
        let (shares, promises) = (&self.keys.shares, &mut self.promises);
        let posts = match part {
            Part::MakeKey { epoch } => self.keys.step(epoch, ledger, random).await?,
            Part::Approve { proposal } => self.approving.step(proposal, ledger.view(), shares, promises, random)?,
            Part::Sign { number } => self.signing.step(number, ledger, shares, promises, random)?,
        };
        posts.into_iter().for_each(|post| self.posts.push(post, self.member.clock.ms()));
        self.send_posts().await?;
        if let Part::MakeKey { .. } = part {
            self.keys.confirm(&self.gatherer.ledger).await?;
        }
        Ok(())
    }

    fn tell_who_is_waited_for(&mut self) {
        let view = self.gatherer.ledger.view();
        let key_generation =
            if view.key_is_active() { BTreeMap::new() } else { self.keys.waited_for(&self.gatherer.ledger) };
        let mut waited_for = self.promises.remembered();
        waited_for.extend(self.absent.look(view));
        waited_for.extend(self.signing.waited_for(view.head.time_s));
        waited_for.extend(key_generation);
        self.waiting.tell(waited_for, &view.info.members);
    }

    /// Sends what waits to be posted, in order.
    async fn send_posts(&mut self) -> Result<(), RoundError> {
        while let Some(post) = self.posts.first(self.member.clock.ms()) {
            let call = post_call(self.member.network, post);
            match self.member.sender.send(&call, None).await {
                Ok(_) => self.posts.ended(PostEnd::Sent),
                Err(error) if error.retry() => return Err(error.into()),
                Err(error @ Error::Refused { .. }) => {
                    tracing::debug!(%error, "a post was refused, it will be sent again");
                    self.posts.ended(PostEnd::RefusedByThePool);
                    return Ok(());
                }
                Err(error) => {
                    tracing::warn!(%error, "a post was refused");
                    self.promises.contradicted();
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
        self.approving.forget(self.gatherer.ledger.view(), &mut self.promises)?;
        // A node that is doubted may have hidden what is open.
        let cursor = self.gatherer.ledger.noteworthy(self.cursor).filter(|_| !self.rereading.is_doubted());
        if let Some(cursor) = cursor {
            self.cursor = cursor;
            self.member.store.put_json(CURSOR, &self.cursor)?;
        }
        Ok(())
    }

    /// Notes how far bitcoind's chain was read, so that what spends an output while this relayer is away is found.
    fn note_bitcoin(&mut self, bitcoin: Option<&BitcoinView>) -> Result<(), FatalError> {
        let Some(read) = bitcoin.map(|bitcoin| bitcoin.read) else { return Ok(()) };
        if self.bitcoin_read.is_none_or(|noted| read.abs_diff(noted) >= NOTE_BITCOIN_EVERY) {
            self.bitcoin_read = Some(read);
            self.member.store.put_json(BITCOIN_READ, &read)?;
        }
        Ok(())
    }
}

/// The call that makes a post.
fn post_call(network: alloy_primitives::B256, post: &Post) -> Call {
    let (kind, payload) = (post.kind as u8, post.payload.clone().into());
    match post.to {
        Session::Proposal { proposal, content } => {
            Call::new(SIGNING_BOARD, &SigningBoard::approveCall { network, proposal, contentHash: content, payload })
        }
        Session::Signing { number, attempt } => {
            Call::new(SIGNING_BOARD, &SigningBoard::postSigningCall { network, number, attempt, kind, payload })
        }
        Session::Keygen { epoch, attempt } => {
            Call::new(SIGNING_BOARD, &SigningBoard::postKeygenCall { network, epoch, attempt, kind, payload })
        }
    }
}
