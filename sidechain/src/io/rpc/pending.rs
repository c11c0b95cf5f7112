//! The block at `pending`: what would come next if it were made now.
//!
//! ```text
//!  request -> made of this head and this pool? ------------------------------------------------> answered
//!                 | no                                                                               ^
//!                 +-> one task for all who wait: pause, then make it on a thread of its own ---------+
//! ```
//! It is made at most once for each head and change of the pool, and whoever asks meanwhile waits for it without a thread. Between two there is
//! as much time as the last one took: however many ask, and however fast the pool changes, half of one thread is all that it costs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

use super::context::Context;
use super::error;
use super::method::{Caller, on_worker};
use super::workers::Lane;
use crate::access::Client;
use crate::block::next_base_fee;
use crate::chain::Preview;
use crate::execution::Stop;
use crate::io::clock::now_ms;
use crate::io::node_state::{
    building::{Build, Timing},
    offered::{Ancestors, Offered},
};

type Making = Shared<BoxFuture<'static, error::Result<Arc<Preview>>>>;

/// The pending block that was made last, and the one that is being made.
#[derive(Default)]
pub struct Pending {
    made: Mutex<Made>,
    /// What roots cost on this machine.
    timing: Timing,
}

#[derive(Default)]
struct Made {
    last: Option<Last>,
    making: Option<Making>,
    /// How many were made, and the time that they took.
    count: u64,
    spent: Duration,
}

struct Last {
    preview: Arc<Preview>,
    /// The head and the pool that it was made of.
    of: (B256, u64),
    began: Instant,
    ended: Instant,
}

impl Pending {
    fn made(&self) -> MutexGuard<'_, Made> {
        // Plain values: a panic elsewhere does not spoil them.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were made until now, and the time that they took.
    #[cfg(test)]
    pub fn made_until_now(&self) -> (u64, Duration) {
        let made = self.made();
        (made.count, made.spent)
    }
}

/// The pending block as it is now: of this head and this pool, or begun after it was asked for.
///
/// # Errors
///
/// `-32005` at the caller's deadline; what the store says.
pub async fn pending(context: &Arc<Context>, caller: &Caller) -> error::Result<Arc<Preview>> {
    let asked = Instant::now();
    loop {
        let making = match made_or_making(context, caller.client, asked) {
            Ok(preview) => return Ok(preview),
            Err(making) => making,
        };
        let made = tokio::time::timeout_at(caller.deadline.into(), making).await;
        // What was begun before may lack what its caller knows of; the next cannot.
        made.map_err(|_| error::deadline(context.settings.deadline))??;
    }
}

fn made_or_making(context: &Arc<Context>, client: Client, asked: Instant) -> Result<Arc<Preview>, Making> {
    let now = (context.chain().head_hash(), context.state.pool().revision());
    let mut made = context.pending.made();
    if let Some(last) = made.last.as_ref().filter(|last| last.of == now || last.began >= asked) {
        return Ok(last.preview.clone());
    }
    let pause = made.last.as_ref().map_or(Duration::ZERO, Last::pause);
    let making = made.making.get_or_insert_with(|| {
        // A task of its own: it goes on for the others when whoever asked first is gone.
        let task = tokio::spawn(make(context.clone(), client, pause));
        async { task.await.unwrap_or_else(|_| Err(error::server("internal error"))) }.boxed().shared()
    });
    Err(making.clone())
}

impl Last {
    /// Time until the next may begin.
    fn pause(&self) -> Duration {
        (self.ended - self.began).saturating_sub(self.ended.elapsed())
    }
}

async fn make(context: Arc<Context>, client: Client, pause: Duration) -> error::Result<Arc<Preview>> {
    tokio::time::sleep(pause).await;
    let deadline = Instant::now() + context.settings.deadline;
    let caller = Caller { client, stop: Stop::default(), deadline, _held: Arc::default() };
    let stop = caller.stop.clone();
    let made = on_worker(&context, &caller, Lane::Preview, move |context| build(context, &stop)).await;
    let mut kept = context.pending.made();
    kept.making = None;
    let last = made?;
    let preview = last.preview.clone();
    kept.count += 1;
    kept.spent += last.ended - last.began;
    tracing::debug!(count = kept.count, spent = ?kept.spent, "pending blocks until now");
    kept.last = Some(last);
    Ok(preview)
}

/// As the node's own proposal is made, in its time, of the same transactions in the same order. Nobody is blamed for what it lacks.
fn build(context: &Context, stop: &Stop) -> error::Result<Last> {
    let (began, chain) = (Instant::now(), context.chain());
    let of = (chain.head_hash(), context.state.pool().revision());
    let ancestors = Ancestors { base_fee: next_base_fee(&chain.head()), pending: Default::default() };
    let mut offered = Offered::new(&context.state, Arc::new(ancestors));
    let (made, left) =
        Build::run(&context.pending.timing, &mut offered, stop, |build| chain.preview(now_ms(), build, stop));
    tracing::debug!(%left, took = ?began.elapsed(), "made a pending block");
    let preview = made.map_err(|panic| {
        tracing::error!(panic, "a bug, set off by a transaction that waits");
        error::server("internal error")
    })?;
    let preview = Arc::new(preview.map_err(error::simulate)?);
    Ok(Last { preview, of, began, ended: Instant::now() })
}
