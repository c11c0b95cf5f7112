//! Delivers final blocks from the engine to [`Application::commit`], in order, each acknowledged once it is durable.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use commonware_actor::Feedback;
use commonware_codec::Encode as _;
use commonware_consensus::{
    Heightable as _, Reporter,
    marshal::{
        Update,
        core::{Mailbox, Processed},
        standard::Standard,
    },
    types::Height,
};
use commonware_cryptography::Digested;
use commonware_runtime::{Clock, Metrics, Spawner};
use commonware_utils::{Acknowledgement as _, acknowledgement::Exact};
use tokio::sync::mpsc;
use tracing::{error, info};

use super::{application::Application, blocking::blocking, payload::Payload, scheme::Scheme};
use crate::io::clock::unix_ms;

/// Takes final blocks from marshal; never waits.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) blocks: mpsc::UnboundedSender<(Digested<Payload>, Exact)>,
    /// Number of the last final block that marshal knows of.
    pub(super) tip: Arc<AtomicU64>,
}

impl Reporter for Delivery {
    type Activity = Update<Payload>;

    fn report(&mut self, update: Self::Activity) -> Feedback {
        match update {
            Update::Tip(_, height, _) => {
                self.tip.store(height.get(), Ordering::Relaxed);
                Feedback::Ok
            }
            // Marshal sends no more than its limit of pending acknowledgements.
            Update::Block(block, acknowledgement) => match self.blocks.send((block, acknowledgement)) {
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
