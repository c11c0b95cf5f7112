//! Final blocks as subscriptions hear of them: as they come, and from the store for who is slow.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::context::Context;
use super::error;
use super::method::{Caller, on_worker};
use super::outgoing::Gone;
use super::workers::Lane;
use crate::access::Client;
use crate::chain::Finalized;
use crate::execution::Stop;

/// Final blocks, each once and in order.
pub struct Heard {
    blocks: Receiver<Arc<Finalized>>,
    next: u64,
    context: Arc<Context>,
    client: Client,
}

impl Heard {
    /// From the block after the head on.
    pub fn new(context: &Arc<Context>, client: Client) -> Self {
        // Listens before it looks: nothing between the two is missed.
        let blocks = context.state.finalized.subscribe();
        Self { blocks, next: context.chain().head().number + 1, context: context.clone(), client }
    }

    /// The number of the next one.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The next one. An error when the node stops, or cannot read it.
    pub async fn block(&mut self) -> Result<Arc<Finalized>, Gone> {
        loop {
            if self.next <= self.context.chain().head().number && self.blocks.is_empty() {
                return self.missed().await;
            }
            match self.blocks.recv().await {
                Ok(block) if block.block.number() == self.next => {
                    self.next += 1;
                    return Ok(block);
                }
                // Sent already.
                Ok(block) if block.block.number() < self.next => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return self.missed().await,
                Err(RecvError::Closed) => return Err(Gone),
            }
        }
    }

    /// Counts the time that something takes as the subscriber's work.
    pub fn charged<R>(&self, work: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let done = work();
        self.context.shares.spend(self.client, begun.elapsed());
        done
    }

    async fn missed(&mut self) -> Result<Arc<Finalized>, Gone> {
        let block = load(&self.context, self.client, self.next).await?;
        self.next += 1;
        Ok(block)
    }
}

/// A final block from the store, in the form in which it was sent when it became final.
async fn load(context: &Arc<Context>, client: Client, number: u64) -> Result<Arc<Finalized>, Gone> {
    let deadline = Instant::now() + context.settings.deadline;
    let caller = Caller { client, stop: Stop::default(), deadline, _held: Arc::default() };
    let loaded = on_worker(context, &caller, Lane::Short, move |context| {
        let finalized = context.chain().finalized(number).map_err(|error| error::store(&error))?;
        finalized.map(Arc::new).ok_or_else(|| error::not_found(format!("block {number} not found")))
    });
    loaded.await.map_err(|error| {
        tracing::debug!(number, reason = error.message(), "a subscription ends");
        Gone
    })
}
