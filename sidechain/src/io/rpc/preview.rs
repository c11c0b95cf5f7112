//! The block at `pending`: what would come next if it were made now.
//!
//! ```text
//!  request -> made of this head and this pool? ------------------------------------------------> answered
//!                 | no                                                                               ^
//!                 +-> one task for all who wait: pause, then make it on a thread of its own ---------+
//! ```
//! It is made at most once for each head and change of the pool, and whoever asks meanwhile waits for it without a thread. Between two there is
//! as much time as the last one took: however many ask, and however fast the pool changes, half of one thread is all that it costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;

use super::context::Context;
use super::error;
use super::method::{Caller, on_worker};
use super::pending::{Last, Making, Of};
use super::workers::Lane;
use crate::access::Client;
use crate::block::next_base_fee;
use crate::chain::Preview;
use crate::execution::Stop;
use crate::io::clock::now_ms;
use crate::io::node_state::{
    building::Build,
    offered::{Ancestors, Offered},
};

/// How often it is made while blocks become final.
const MOST_TRIES: u32 = 3;

/// The pending block as it is now: of this head and this pool, or begun after it was asked for.
///
/// # Errors
///
/// `-32005` at the caller's deadline; what the store says.
pub async fn pending(context: &Arc<Context>, caller: &Caller) -> error::Result<Arc<Preview>> {
    let asked = Instant::now();
    loop {
        let start = |pause| start(context, caller.client, pause);
        let making = match context.pending.last_or_making(now(context), asked, start) {
            Ok(preview) => return Ok(preview),
            Err(making) => making,
        };
        let made = tokio::time::timeout_at(caller.deadline.into(), making).await;
        // What was begun before may lack what its caller knows of; the next cannot.
        made.map_err(|_| error::deadline(context.settings.deadline))??;
    }
}

fn now(context: &Context) -> Of {
    (context.chain().head_hash(), context.state.pool().revision())
}

fn start(context: &Arc<Context>, client: Client, pause: Duration) -> Making {
    // A task of its own: it goes on for the others when whoever asked first is gone.
    let task = tokio::spawn(make(context.clone(), client, pause));
    async { task.await.unwrap_or_else(|_| Err(error::server("internal error"))) }.boxed().shared()
}

async fn make(context: Arc<Context>, client: Client, pause: Duration) -> error::Result<Arc<Preview>> {
    tokio::time::sleep(pause).await;
    let deadline = Instant::now() + context.settings.deadline;
    let caller = Caller { client, stop: Stop::default(), deadline, _held: Arc::default() };
    let stop = caller.stop.clone();
    let made = on_worker(&context, &caller, Lane::Preview, move |context| build(context, &stop)).await;
    context.pending.keep(made)
}

/// As the node's own proposal is made, in its time, of the same transactions in the same order. Nobody is blamed for what it lacks.
fn build(context: &Context, stop: &Stop) -> error::Result<Last> {
    let began = Instant::now();
    let (of, preview) = on_one_head(|| now(context), || build_once(context, stop))?;
    tracing::debug!(took = ?began.elapsed(), "made a pending block");
    Ok(Last { preview: Arc::new(preview), of, began, ended: Instant::now() })
}

/// Makes it anew when a block became final meanwhile: what is in that one has left the pool, and was not in the state either. No more than a few times,
/// for where it takes longer than a block that would never end.
fn on_one_head<T>(now: impl Fn() -> Of, mut make: impl FnMut() -> error::Result<T>) -> error::Result<(Of, T)> {
    let mut tries = 1;
    loop {
        let of = now();
        let made = make()?;
        if now().0 == of.0 || tries == MOST_TRIES {
            return Ok((of, made));
        }
        tries += 1;
    }
}

fn build_once(context: &Context, stop: &Stop) -> error::Result<Preview> {
    let chain = context.chain();
    let ancestors = Ancestors { base_fee: next_base_fee(&chain.head()), pending: Default::default() };
    let mut offered = Offered::new(&context.state, Arc::new(ancestors));
    let (made, left) =
        Build::run(&context.pending.timing, &mut offered, stop, |build| chain.preview(now_ms(), build, stop));
    tracing::trace!(%left, "of a pending block");
    let preview = made.map_err(|panic| {
        tracing::error!(panic, "a bug, set off by a transaction that waits");
        error::server("internal error")
    })?;
    preview.map_err(error::simulate)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use alloy_primitives::B256;

    use super::*;

    /// How often a block is made while the head changes during the first `changes` times, and of which head it is in the end.
    fn made(changes: u32) -> (u32, u8) {
        let (head, count) = (Cell::new(0u8), Cell::new(0u32));
        let (of, _) = on_one_head(
            || (B256::repeat_byte(head.get()), 7),
            || {
                count.set(count.get() + 1);
                head.set(head.get() + u8::from(count.get() <= changes));
                Ok(())
            },
        )
        .expect("nothing fails");
        (count.get(), of.0[0])
    }

    #[test]
    fn a_block_is_made_anew_when_its_parent_is_not_the_head_any_more_but_not_for_ever() {
        assert_eq!(made(0), (1, 0));
        assert_eq!(made(1), (2, 1));
        assert_eq!(made(u32::MAX).0, MOST_TRIES);
    }
}
