//! Joins the engine's questions to [`Application`]: when a leader builds, on which parent, and whether others vote for its block.

use std::{
    collections::VecDeque,
    fmt::Display,
    sync::Arc,
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
    application::{Application, Pacing, Verdict},
    blocking::blocking,
    payload::{MAX_PAYLOAD_BYTES, Payload},
    scheme::Scheme,
};
use crate::{block::Block, io::clock::unix_ms};

/// Blocks whose time of arrival is remembered: somewhat more than can be pending at once.
const SEEN_BLOCKS: usize = 64;

/// Ancestors that are executed to judge one block. Pending blocks are few; a longer way to the head means that this node
/// is behind, and final blocks will reach it before it could vote.
const MAX_PENDING_ANCESTORS: usize = 256;

/// The application in the engine's eyes.
pub(super) struct Adapter<A> {
    application: Arc<A>,
    pacing: Pacing,
    beneficiary: Address,
    /// When blocks were first seen here. Headers have whole seconds, too coarse to pace by.
    seen: Arc<Mutex<VecDeque<(B256, SystemTime)>>>,
}

impl<A> Clone for Adapter<A> {
    fn clone(&self) -> Self {
        Self {
            application: self.application.clone(),
            pacing: self.pacing,
            beneficiary: self.beneficiary,
            seen: self.seen.clone(),
        }
    }
}

impl<A: Application> Adapter<A> {
    pub(super) fn new(application: Arc<A>, pacing: Pacing, beneficiary: Address) -> Self {
        Self { application, pacing, beneficiary, seen: Arc::default() }
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
        let stamped = UNIX_EPOCH + Duration::from_secs(payload.block().header.timestamp);
        seen.unwrap_or(stamped).min(now)
    }

    /// Executes `payload` and those of its ancestors that were not executed yet, oldest first.
    async fn judge<E>(&self, runtime: &E, payload: Payload, ancestry: impl Ancestry<Payload>) -> Judgement
    where
        E: Spawner + Metrics + Clock,
    {
        let mut unexecuted = match self.unexecuted(payload, ancestry).await {
            Ok(unexecuted) => unexecuted,
            Err(judgement) => return judgement,
        };
        while let Some(payload) = unexecuted.pop() {
            let judgement = self.check(runtime, &payload).await;
            if judgement != Judgement::Valid {
                return judgement;
            }
        }
        Judgement::Valid
    }

    /// `payload` and its ancestors up to the first that was executed here, newest first; or why they cannot all be executed.
    async fn unexecuted(
        &self,
        payload: Payload,
        mut ancestry: impl Ancestry<Payload>,
    ) -> Result<Vec<Payload>, Judgement> {
        let mut unexecuted = Vec::new();
        let mut oldest = payload;
        while !self.application.knows(oldest.hash()) {
            let number = oldest.block().header.number;
            if number <= self.application.head() {
                warn!(number, hash = %oldest.hash(), "block conflicts with the final chain");
                return Err(Judgement::Invalid);
            }
            if unexecuted.len() == MAX_PENDING_ANCESTORS {
                return Err(Judgement::Unknown);
            }
            unexecuted.push(oldest);
            oldest = ancestry.next().await.ok_or(Judgement::Unknown)?.inner().clone();
        }
        Ok(unexecuted)
    }

    /// Executes a block on its parent, which is known.
    async fn check<E>(&self, runtime: &E, payload: &Payload) -> Judgement
    where
        E: Spawner + Metrics + Clock,
    {
        let (number, hash) = (payload.block().header.number, payload.hash());
        loop {
            let (application, block) = (self.application.clone(), payload.block().clone());
            let now_ms = unix_ms(runtime.current());
            match blocking(runtime, "check", move || application.check(&block, now_ms)).await {
                Some(Verdict::Valid) => return Judgement::Valid,
                Some(Verdict::Invalid(reason)) => {
                    warn!(number, %hash, reason, "block is invalid");
                    return Judgement::Invalid;
                }
                Some(Verdict::Unknown(reason)) => {
                    error!(number, reason, "cannot judge a block");
                    return Judgement::Unknown;
                }
                // Validity may not depend on whose clock is right: wait until ours agrees, or the round ends.
                Some(Verdict::NotYet { until_ms }) => {
                    runtime.sleep_until(UNIX_EPOCH + Duration::from_millis(until_ms)).await;
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
        let built = blocking(runtime, "build", move || application.build(parent, now_ms, beneficiary)).await?;
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

/// This validator's judgement of a block and its ancestors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Valid,
    Invalid,
    /// It cannot be judged here: no vote.
    Unknown,
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
        if self.judge(&runtime, parent.clone(), ancestry).await != Judgement::Valid {
            return None;
        }
        let parent_seen = self.seen_at(&parent, runtime.current());
        runtime.sleep_until(parent_seen + self.pacing.interval).await;
        let deadline = parent_seen + self.pacing.heartbeat;
        loop {
            // Listens before it looks, so that no work is missed between the two.
            let work_arrived = self.application.work_arrived();
            let late = runtime.current() >= deadline;
            if late || self.application.has_work() {
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
                self.judge(&runtime, block.inner().clone(), ancestry).await
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
