//! Joins the engine's calls to [`Application`]: pacing, ancestors, and delivery of final blocks.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256};
use commonware_actor::Feedback;
use commonware_codec::{Encode as _, EncodeSize as _};
use commonware_consensus::{
    Application as EngineApplication, Heightable as _, Reporter,
    marshal::{
        Update,
        ancestry::Ancestry,
        core::{Mailbox, Processed},
        standard::Standard,
    },
    simplex::types::Context as Round,
    types::Height,
};
use commonware_cryptography::{Digested, Digestible as _, ed25519::PublicKey, keccak256::Digest};
use commonware_runtime::{Clock, Metrics, Spawner};
use commonware_utils::{Acknowledgement as _, acknowledgement::Exact, sync::Mutex};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::{
    Application, Pacing, Verdict,
    engine::Scheme,
    payload::{MAX_PAYLOAD_BYTES, Payload},
};

/// Blocks whose time of arrival is remembered: as many as can be pending at once, and some.
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

    fn saw(&self, hash: B256, now: SystemTime) {
        let mut seen = self.seen.lock();
        if seen.iter().all(|(known, _)| *known != hash) {
            if seen.len() == SEEN_BLOCKS {
                seen.pop_front();
            }
            seen.push_back((hash, now));
        }
    }

    /// When the block was first seen, else what its header says, but never in the future.
    fn seen_at(&self, payload: &Payload, now: SystemTime) -> SystemTime {
        let seen = self.seen.lock().iter().find(|(hash, _)| *hash == payload.hash()).map(|(_, at)| *at);
        let stamped = UNIX_EPOCH + Duration::from_secs(payload.block().header.timestamp);
        seen.unwrap_or(stamped).min(now)
    }

    /// Executes `payload` and those of its ancestors that were not executed yet, oldest first. `None`: cannot be judged here.
    async fn judge<E>(&self, runtime: &E, payload: Payload, mut ancestry: impl Ancestry<Payload>) -> Option<bool>
    where
        E: Spawner + Metrics + Clock,
    {
        let mut unknown = Vec::new();
        let mut oldest = payload;
        while !self.application.knows(oldest.hash()) {
            let number = oldest.block().header.number;
            if number <= self.application.head() {
                warn!(number, hash = %oldest.hash(), "block conflicts with the final chain");
                return Some(false);
            }
            if unknown.len() == MAX_PENDING_ANCESTORS {
                return None;
            }
            unknown.push(oldest);
            oldest = ancestry.next().await?.inner().clone();
        }
        while let Some(payload) = unknown.pop() {
            loop {
                let (application, block) = (self.application.clone(), payload.block().clone());
                let now_ms = unix_ms(runtime.current());
                match blocking(runtime, "check", move || application.check(&block, now_ms)).await? {
                    Verdict::Valid => break,
                    Verdict::Invalid(reason) => {
                        warn!(number = payload.block().header.number, hash = %payload.hash(), reason, "block is invalid");
                        return Some(false);
                    }
                    Verdict::Unknown(reason) => {
                        error!(number = payload.block().header.number, reason, "cannot judge a block");
                        return None;
                    }
                    // Validity may not depend on whose clock is right: wait until ours agrees, or the round ends.
                    Verdict::NotYet { until_ms } => {
                        runtime.sleep_until(UNIX_EPOCH + Duration::from_millis(until_ms)).await;
                    }
                }
            }
        }
        Some(true)
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
        let parent = ancestry.next().await?.inner().clone();
        self.judge(&runtime, parent.clone(), ancestry).await.filter(|valid| *valid)?;

        let parent_seen = self.seen_at(&parent, runtime.current());
        runtime.sleep_until(parent_seen + self.pacing.interval).await;
        let deadline = parent_seen + self.pacing.heartbeat;
        loop {
            let work_arrived = self.application.work_arrived();
            let late = runtime.current() >= deadline;
            if late || self.application.has_work() {
                let (application, hash, beneficiary) = (self.application.clone(), parent.hash(), self.beneficiary);
                let now_ms = unix_ms(runtime.current());
                match blocking(&runtime, "build", move || application.build(hash, now_ms, beneficiary)).await? {
                    Err(reason) => {
                        warn!(view = %round.round.view(), reason, "cannot build a block");
                        return None;
                    }
                    // Work that is in the pending parent already, or cannot run yet, is no reason for an empty block.
                    Ok(block) if late || !block.transactions.is_empty() => {
                        let payload = Payload::new(block);
                        if payload.encode_size() > MAX_PAYLOAD_BYTES {
                            error!(bytes = payload.encode_size(), "a block of ours is too large to send");
                            return None;
                        }
                        self.saw(payload.hash(), runtime.current());
                        let digest = payload.digest();
                        debug!(
                            number = payload.block().header.number,
                            transactions = payload.block().transactions.len(),
                            view = %round.round.view(),
                            "block proposed"
                        );
                        return Some(Digested::precomputed(payload, digest));
                    }
                    Ok(_) => {}
                }
            }
            let timeout = runtime.sleep_until(deadline);
            futures::future::select(std::pin::pin!(work_arrived), std::pin::pin!(timeout)).await;
        }
    }

    async fn verify(&mut self, (runtime, _): (E, Self::Context), mut ancestry: impl Ancestry<Payload>) -> bool {
        let judged = match ancestry.next().await {
            Some(block) => {
                self.saw(block.inner().hash(), runtime.current());
                self.judge(&runtime, block.inner().clone(), ancestry).await
            }
            None => None,
        };
        match judged {
            Some(valid) => valid,
            // Not judged is not refused: abstain until the round ends without this validator.
            None => std::future::pending().await,
        }
    }
}

/// Takes final blocks from marshal; never waits.
#[derive(Clone)]
pub(super) struct Delivery(pub(super) mpsc::UnboundedSender<(Digested<Payload>, Exact)>);

impl Reporter for Delivery {
    type Activity = Update<Payload>;

    fn report(&mut self, update: Self::Activity) -> Feedback {
        match update {
            Update::Tip(..) => Feedback::Ok,
            // Marshal sends no more than its limit of pending acknowledgements.
            Update::Block(block, acknowledgement) => match self.0.send((block, acknowledgement)) {
                Ok(()) => Feedback::Ok,
                Err(_) => Feedback::Closed,
            },
        }
    }
}

/// Commits final blocks one after another, each acknowledged once it is durable. Returns why it could not go on.
pub(super) async fn deliver<E, A>(
    runtime: E,
    application: Arc<A>,
    marshal: Mailbox<Scheme, Standard<Payload>>,
    mut blocks: mpsc::UnboundedReceiver<(Digested<Payload>, Exact)>,
) -> Result<(), String>
where
    E: Spawner + Metrics + Clock,
    A: Application,
{
    // The engine's archive is kept apart from the state: one that was restored from an older copy is filled up from it.
    let processed = marshal.get_processed().await.map(Processed::height);
    fill(&runtime, &application, &marshal, processed.map_or(0, Height::get)).await?;
    while let Some((payload, acknowledgement)) = blocks.recv().await {
        fill(&runtime, &application, &marshal, payload.height().get().saturating_sub(1)).await?;
        commit(&runtime, &application, &marshal, payload.inner()).await?;
        acknowledgement.acknowledge();
    }
    info!("no more final blocks: the engine stopped");
    Ok(())
}

/// Commits what the state misses, up to a height that the engine had delivered.
async fn fill<E, A>(
    runtime: &E,
    application: &Arc<A>,
    marshal: &Mailbox<Scheme, Standard<Payload>>,
    upto: u64,
) -> Result<(), String>
where
    E: Spawner + Metrics + Clock,
    A: Application,
{
    let head = application.head();
    for height in head + 1..=upto {
        let Some(missed) = marshal.get_block(Height::new(height)).await else {
            return Err(format!("state is at block {head}, and the engine has no block {height}"));
        };
        commit(runtime, application, marshal, missed.inner()).await?;
    }
    Ok(())
}

async fn commit<E, A>(
    runtime: &E,
    application: &Arc<A>,
    marshal: &Mailbox<Scheme, Standard<Payload>>,
    payload: &Payload,
) -> Result<(), String>
where
    E: Spawner + Metrics + Clock,
    A: Application,
{
    let certificate = marshal.get_finalization(payload.height()).await.map(|finalization| finalization.encode());
    let (application, block) = (application.clone(), payload.block().clone());
    let now_ms = unix_ms(runtime.current());
    let committed =
        blocking(runtime, "commit", move || application.commit(&block, certificate.as_deref(), now_ms)).await;
    match committed {
        Some(Ok(())) => Ok(()),
        Some(Err(reason)) => {
            error!(number = payload.block().header.number, reason, "cannot commit a final block");
            Err(reason)
        }
        None => Err("the node stops".to_owned()),
    }
}

/// Runs long work on a thread that may block. `None` when the runtime is stopping.
async fn blocking<E, T>(runtime: &E, label: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Option<T>
where
    E: Spawner + Metrics,
    T: Send + 'static,
{
    runtime.child(label).shared(true).spawn(move |_| async move { work() }).await.ok()
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
