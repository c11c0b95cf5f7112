//! The way to a block that others built on and that was not executed here: after a restart, or when this validator was slow.
//!
//! ```text
//!   usable -- o -- o -- o -- o -- o -- wanted <-- the block that asks for a vote
//!             executed, oldest first ---------->  kept by the application, whatever becomes of the round that asked
//!   <------------------------------ gone back, block by block, until one is usable
//! ```
//! It lasts as long as it lasts, longer than many rounds if need be: a round that ends takes back its question and not the work, and
//! one of the next finds its parent usable. A quorum has accepted all these blocks, so none has a deadline, and none is held against
//! this machine's clock. One way is gone at a time. Of those who ask meanwhile the last is next: its block stands on most of the others.
//!
//! Memory is bounded: of a way that is too long to be kept, the oldest part is executed first, and then the rest is gone again.
//! All of it ends with the engine.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use commonware_codec::EncodeSize as _;
use commonware_consensus::marshal::ancestry::{Ancestry, BoxedAncestry};
use commonware_runtime::{Clock, Metrics, Spawner};
use commonware_utils::sync::Mutex;
use futures::{
    StreamExt as _,
    future::{Either, select},
};
use tokio::sync::{Notify, oneshot};
use tracing::{error, info, warn};

use super::{
    application::{Application, Verdict},
    blocking::awaited,
    payload::Payload,
};

/// Memory of the blocks of one way: all that may hold transactions above the last final one (the chain's rules bound them), and
/// the empty ones of a day or two.
const MAX_WAY_BYTES: usize = 256 << 20;

/// Memory of a decoded block besides its bytes, about.
const PAYLOAD_BYTES: usize = 1 << 10;

/// Time between two looks whether a final block was delivered.
const DELIVERY_POLL: Duration = Duration::from_millis(20);

/// From so many blocks on a way is worth a line in the log.
const LONG_WAY: usize = 16;

/// A clock that shows the end of time: nothing is ahead of it.
const NO_CLOCK_MS: u64 = u64::MAX;

/// This validator's judgement of a block and its ancestors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Valid,
    Invalid,
    /// It cannot be judged here: no vote.
    Unknown,
}

/// Executes what others built on, in the background.
pub(super) struct CatchUp<A> {
    application: Arc<A>,
    /// Number of the last block that is final, although it may not have been delivered yet. The way up to it is not executed here: this
    /// validator is behind, and the engine delivers those blocks, each on disk before the next.
    final_tip: Arc<AtomicU64>,
    /// How long the engine may take to find one ancestor.
    patience: Duration,
    max_bytes: usize,
    wanted: Arc<Newest>,
}

/// What is gone to next. One place: a later question takes it.
#[derive(Default)]
struct Newest {
    wanted: Mutex<Option<Wanted>>,
    came: Notify,
}

struct Wanted {
    block: Payload,
    /// From its parent on.
    ancestry: BoxedAncestry<Payload>,
    answer: oneshot::Sender<Judgement>,
}

impl<A> Clone for CatchUp<A> {
    fn clone(&self) -> Self {
        Self {
            application: self.application.clone(),
            final_tip: self.final_tip.clone(),
            patience: self.patience,
            max_bytes: self.max_bytes,
            wanted: self.wanted.clone(),
        }
    }
}

impl<A: Application> CatchUp<A> {
    pub(super) fn new(application: Arc<A>, final_tip: Arc<AtomicU64>, patience: Duration) -> Self {
        Self { application, final_tip, patience, max_bytes: MAX_WAY_BYTES, wanted: Arc::default() }
    }

    /// The same with other bounds on memory.
    #[cfg(test)]
    pub(super) fn within(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Whether a block that a quorum accepted can be built on here: at once, or when it and its ancestors were executed. Whoever
    /// gives up waiting takes nothing back.
    pub(super) async fn reach(&self, block: &Payload, ancestry: impl Ancestry<Payload>) -> Judgement {
        if self.application.knows(block.hash()) {
            return Judgement::Valid;
        }
        if self.is_passed(block) {
            return self.below_head(block);
        }
        let (answer, answered) = oneshot::channel();
        let wanted = Wanted { block: block.clone(), ancestry: BoxedAncestry::new(ancestry), answer };
        *self.wanted.wanted.lock() = Some(wanted);
        self.wanted.came.notify_one();
        // Without an answer a later question took the place, or the node stops.
        answered.await.unwrap_or(Judgement::Unknown)
    }

    /// Goes to what is wanted, until it is dropped.
    pub(super) async fn run<E>(self, runtime: E)
    where
        E: Spawner + Metrics + Clock,
    {
        loop {
            self.wanted.came.notified().await;
            let wanted = self.wanted.wanted.lock().take();
            if let Some(Wanted { block, ancestry, answer }) = wanted {
                let judgement = self.go(&runtime, &block, ancestry).await;
                // Its round may be over.
                let _ = answer.send(judgement);
            }
        }
    }

    async fn go<E>(&self, runtime: &E, wanted: &Payload, ancestry: BoxedAncestry<Payload>) -> Judgement
    where
        E: Spawner + Metrics + Clock,
    {
        loop {
            let way = match self.way(runtime, wanted, ancestry.clone()).await {
                Ok(way) => way,
                Err(judgement) => return judgement,
            };
            let whole = way.is_whole;
            let judgement = self.execute(runtime, way).await;
            if judgement != Judgement::Valid {
                return judgement;
            }
            if whole {
                // Otherwise the head went past it meanwhile.
                return if self.application.knows(wanted.hash()) { Judgement::Valid } else { Judgement::Unknown };
            }
        }
    }

    /// `wanted` and its ancestors down to the first that can be built on here, as far as memory allows: the oldest of them.
    async fn way(
        &self,
        runtime: &impl Clock,
        wanted: &Payload,
        mut ancestry: BoxedAncestry<Payload>,
    ) -> Result<Way, Judgement> {
        let mut way = Way::new(self.max_bytes);
        let mut oldest = wanted.clone();
        while !self.application.knows(oldest.hash()) {
            if self.is_passed(&oldest) {
                if self.below_head(&oldest) == Judgement::Invalid {
                    return Err(Judgement::Invalid);
                }
                break;
            }
            if number(&oldest) <= self.final_tip.load(Ordering::Relaxed) {
                runtime.sleep(DELIVERY_POLL).await;
                continue;
            }
            let parent = oldest.block().header.parent_hash;
            way.push(oldest);
            // Final blocks need not be fetched.
            if self.application.knows(parent) {
                break;
            }
            oldest = self.parent(runtime, &mut ancestry).await.ok_or(Judgement::Unknown)?;
        }
        Ok(way)
    }

    /// The next ancestor. `None` when the engine cannot find it now.
    async fn parent(&self, runtime: &impl Clock, ancestry: &mut BoxedAncestry<Payload>) -> Option<Payload> {
        let timeout = std::pin::pin!(runtime.sleep(self.patience));
        match select(ancestry.next(), timeout).await {
            Either::Left((parent, _)) => Some(parent?.inner().clone()),
            Either::Right(_) => None,
        }
    }

    /// Executes a way from its oldest block on.
    async fn execute<E>(&self, runtime: &E, way: Way) -> Judgement
    where
        E: Spawner + Metrics + Clock,
    {
        let blocks = way.blocks.len();
        if blocks >= LONG_WAY {
            info!(blocks, "executing what others built on");
        }
        for payload in way.blocks.into_iter().rev() {
            let judgement = self.execute_one(runtime, &payload).await;
            if judgement != Judgement::Valid {
                return judgement;
            }
        }
        Judgement::Valid
    }

    async fn execute_one<E>(&self, runtime: &E, payload: &Payload) -> Judgement
    where
        E: Spawner + Metrics + Clock,
    {
        let (number, hash) = (number(payload), payload.hash());
        let (application, block) = (self.application.clone(), payload.block().clone());
        match awaited(runtime, "catch_up", move |stop| application.check(&block, NO_CLOCK_MS, stop)).await {
            Some(Verdict::Valid) => Judgement::Valid,
            // It was made final meanwhile.
            Some(_) if self.is_passed(payload) && self.application.is_final(hash) => Judgement::Valid,
            Some(Verdict::Invalid(reason)) => {
                warn!(number, %hash, reason, "a block that a quorum accepted is invalid");
                Judgement::Invalid
            }
            Some(Verdict::Unknown(reason)) => {
                error!(number, reason, "cannot execute a block");
                Judgement::Unknown
            }
            Some(Verdict::NotYet { .. }) | None => Judgement::Unknown,
        }
    }

    /// Whether a block is not above the head.
    fn is_passed(&self, payload: &Payload) -> bool {
        number(payload) <= self.application.head()
    }

    /// The judgement of what stands on a block that is not above the head, and not the head.
    fn below_head(&self, payload: &Payload) -> Judgement {
        let (number, hash): (u64, B256) = (number(payload), payload.hash());
        if self.application.is_final(hash) {
            // It was the head a moment ago: what stands on it is final too, or conflicts with what is.
            return Judgement::Unknown;
        }
        warn!(number, %hash, "block conflicts with the final chain");
        Judgement::Invalid
    }
}

fn number(payload: &Payload) -> u64 {
    payload.block().header.number
}

/// The blocks of a way, newest first, as many as memory allows.
struct Way {
    blocks: VecDeque<Payload>,
    bytes: usize,
    max_bytes: usize,
    /// Nothing had to be left away at its newer end.
    is_whole: bool,
}

impl Way {
    const fn new(max_bytes: usize) -> Self {
        Self { blocks: VecDeque::new(), bytes: 0, max_bytes, is_whole: true }
    }

    /// Adds the next older block. The newest go when there is no room; the last one stays, so that there is progress.
    fn push(&mut self, older: Payload) {
        self.bytes += memory(&older);
        self.blocks.push_back(older);
        while self.bytes > self.max_bytes && self.blocks.len() > 1 {
            self.bytes -= self.blocks.pop_front().as_ref().map_or(0, memory);
            self.is_whole = false;
        }
    }
}

fn memory(payload: &Payload) -> usize {
    PAYLOAD_BYTES + 2 * payload.encode_size()
}
