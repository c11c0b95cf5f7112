//! Joins the engine's questions to [`Application`]: when a leader builds, on which parent, and whether others vote for its block.

use std::{
    collections::VecDeque,
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256};
use commonware_codec::EncodeSize as _;
use commonware_consensus::{
    Application as EngineApplication, marshal::ancestry::Ancestry, simplex::types::Context as Round,
};
use commonware_cryptography::{Digested, Digestible as _, ed25519::PublicKey, keccak256::Digest};
use commonware_runtime::{Clock, Metrics, Spawner};
use commonware_utils::sync::Mutex;
use futures::StreamExt as _;
use tracing::{debug, error, warn};

use super::{
    application::{Application, BUILD_LIMIT, CHECK_LIMIT, Pacing, Verdict},
    blocking::limited,
    catch_up::{CatchUp, Judgement},
    payload::{MAX_PAYLOAD_BYTES, Payload},
    scheme::Scheme,
};
use crate::{block::Block, chain::Room, execution::Stop, io::clock::unix_ms};

/// Blocks whose time of arrival is remembered: somewhat more than can be pending at once.
const SEEN_BLOCKS: usize = 64;

/// Time between two looks whether the disk followed.
const WRITE_POLL: Duration = Duration::from_millis(20);

/// The application in the engine's eyes.
pub(super) struct Adapter<A> {
    application: Arc<A>,
    pacing: Pacing,
    beneficiary: Address,
    /// When blocks were first seen here. Headers have whole seconds, too coarse to pace by.
    seen: Arc<Mutex<VecDeque<(B256, SystemTime)>>>,
    /// Number of the last block that is final, although it may not have been delivered yet.
    final_tip: Arc<AtomicU64>,
    catch_up: CatchUp<A>,
}

impl<A> Clone for Adapter<A> {
    fn clone(&self) -> Self {
        Self {
            application: self.application.clone(),
            pacing: self.pacing,
            beneficiary: self.beneficiary,
            seen: self.seen.clone(),
            final_tip: self.final_tip.clone(),
            catch_up: self.catch_up.clone(),
        }
    }
}

impl<A: Application> Adapter<A> {
    /// `catch_up` must [run](CatchUp::run), until this is dropped.
    pub(super) fn new(
        application: Arc<A>,
        pacing: Pacing,
        beneficiary: Address,
        final_tip: Arc<AtomicU64>,
        catch_up: CatchUp<A>,
    ) -> Self {
        Self { application, pacing, beneficiary, seen: Arc::default(), final_tip, catch_up }
    }

    /// Remembers when a block was first seen here.
    fn record_seen(&self, hash: B256, now: SystemTime) {
        let mut seen = self.seen.lock();
        if seen.iter().any(|(known, _)| *known == hash) {
            return;
        }
        if seen.len() == SEEN_BLOCKS {
            seen.pop_front();
        }
        seen.push_back((hash, now));
    }

    /// When the block was first seen, else what its header says, but never in the future.
    fn seen_at(&self, payload: &Payload, now: SystemTime) -> SystemTime {
        let seen = self.seen.lock().iter().find(|(hash, _)| *hash == payload.hash()).map(|(_, at)| *at);
        // A stamp that no clock can show is in the future.
        let stamped = UNIX_EPOCH.checked_add(Duration::from_secs(payload.block().header.timestamp));
        seen.or(stamped).unwrap_or(now).min(now)
    }

    /// Judges a block that asks for this validator's vote.
    async fn judge<E>(&self, runtime: &E, payload: &Payload, mut ancestry: impl Ancestry<Payload>) -> Judgement
    where
        E: Spawner + Metrics + Clock,
    {
        let hash = payload.hash();
        if self.application.knows(hash) || self.application.is_final(hash) {
            return Judgement::Valid;
        }
        if self.application.doubts_clock(unix_ms(runtime.current())) {
            return Judgement::Unknown;
        }
        let Some(parent) = ancestry.next().await else { return Judgement::Unknown };
        let parent = self.catch_up.reach(parent.inner(), ancestry).await;
        if parent != Judgement::Valid {
            return parent;
        }
        if !self.has_room_for(runtime, payload).await {
            return Judgement::Invalid;
        }
        self.check(runtime, payload).await
    }

    /// Whether a block may hold the transactions that it does. While this node's disk is behind it waits, as long as the round lasts:
    /// that says nothing about the block.
    async fn has_room_for(&self, runtime: &impl Clock, payload: &Payload) -> bool {
        let (number, hash) = (payload.block().header.number, payload.hash());
        loop {
            match self.application.room_for(payload.block(), self.final_tip.load(Ordering::Relaxed)) {
                Room::Enough => return true,
                Room::TooMuchUnfinal => {
                    warn!(number, %hash, "block holds transactions although too many before it are not final");
                    return false;
                }
                Room::DiskBehind => runtime.sleep(WRITE_POLL).await,
            }
        }
    }

    /// Executes a block that asks for a vote on its parent, which is known.
    async fn check<E>(&self, runtime: &E, payload: &Payload) -> Judgement
    where
        E: Spawner + Metrics + Clock,
    {
        let (number, hash) = (payload.block().header.number, payload.hash());
        loop {
            let (application, block) = (self.application.clone(), payload.block().clone());
            let now_ms = unix_ms(runtime.current());
            match limited(runtime, "check", CHECK_LIMIT, move |stop| application.check(&block, now_ms, stop)).await {
                Some(Verdict::Valid) => return Judgement::Valid,
                Some(Verdict::Invalid(reason)) => {
                    warn!(number, %hash, reason, "block is invalid");
                    return Judgement::Invalid;
                }
                Some(Verdict::Unknown(reason)) => {
                    error!(number, reason, "cannot judge a block");
                    return Judgement::Unknown;
                }
                // Validity may not depend on whose clock is right: wait until ours agrees, if it can within this round.
                Some(Verdict::NotYet { until_ms }) => {
                    let wait = Duration::from_millis(until_ms.saturating_sub(now_ms));
                    if wait > self.pacing.round_timeout() {
                        warn!(number, %hash, ?wait, "block is stamped beyond its round");
                        return Judgement::Invalid;
                    }
                    runtime.sleep(wait).await;
                }
                None => return Judgement::Unknown,
            }
        }
    }

    /// Lets the application build on `parent`. `None` when it cannot: the round is skipped.
    async fn build<E>(&self, runtime: &E, parent: B256, view: impl Display) -> Option<Block>
    where
        E: Spawner + Metrics + Clock,
    {
        let (application, beneficiary) = (self.application.clone(), self.beneficiary);
        let now_ms = unix_ms(runtime.current());
        if application.doubts_clock(now_ms) {
            return None;
        }
        let build = move |stop: &Stop| application.build(parent, now_ms, beneficiary, stop);
        let built = limited(runtime, "build", BUILD_LIMIT, build).await?;
        built.inspect_err(|reason| warn!(%view, reason, "cannot build a block")).ok()
    }

    /// A block of this leader as it is sent. `None` when it is too large: the round is skipped.
    fn seal(&self, block: Block, view: impl Display, now: SystemTime) -> Option<Digested<Payload>> {
        let payload = Payload::new(block);
        if payload.encode_size() > MAX_PAYLOAD_BYTES {
            error!(bytes = payload.encode_size(), "a block of ours is too large to send");
            return None;
        }
        self.record_seen(payload.hash(), now);
        let digest = payload.digest();
        let block = payload.block();
        debug!(number = block.header.number, transactions = block.transactions.len(), %view, "block proposed");
        Some(Digested::precomputed(payload, digest))
    }
}

impl<E, A> EngineApplication<E> for Adapter<A>
where
    E: Spawner + Metrics + Clock,
    A: Application,
{
    type SigningScheme = Scheme;
    type Context = Round<Digest, PublicKey>;
    type Block = Payload;
    type Input = ();

    async fn propose(
        &mut self,
        (runtime, round): (E, Self::Context),
        mut ancestry: impl Ancestry<Payload>,
        (): (),
    ) -> Option<Digested<Payload>> {
        let view = round.round.view();
        let parent = ancestry.next().await?.inner().clone();
        if self.catch_up.reach(&parent, ancestry).await != Judgement::Valid {
            return None;
        }
        let parent_seen = self.seen_at(&parent, runtime.current());
        runtime.sleep_until(parent_seen + self.pacing.pause_after(&parent.block().header)).await;
        let deadline = parent_seen + self.pacing.heartbeat;
        loop {
            // Listens before it looks, so that no work is missed between the two.
            let work_arrived = self.application.work_arrived();
            let late = runtime.current() >= deadline;
            if late || self.application.has_work(parent.hash()) {
                let block = self.build(&runtime, parent.hash(), view).await?;
                // Work that is in the pending parent already, or cannot run yet, does not justify an empty block.
                if late || !block.transactions.is_empty() {
                    return self.seal(block, view, runtime.current());
                }
            }
            let timeout = runtime.sleep_until(deadline);
            futures::future::select(std::pin::pin!(work_arrived), std::pin::pin!(timeout)).await;
        }
    }

    async fn verify(&mut self, (runtime, _): (E, Self::Context), mut ancestry: impl Ancestry<Payload>) -> bool {
        let judgement = match ancestry.next().await {
            Some(block) => {
                self.record_seen(block.inner().hash(), runtime.current());
                self.judge(&runtime, block.inner(), ancestry).await
            }
            None => Judgement::Unknown,
        };
        match judgement {
            Judgement::Valid => true,
            Judgement::Invalid => false,
            // A block that was not judged is not refused: abstain until the round ends without this validator.
            Judgement::Unknown => std::future::pending().await,
        }
    }
}
