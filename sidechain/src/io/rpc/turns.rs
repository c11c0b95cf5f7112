//! Requests that may take long, in two turns.
//!
//! ```text
//!  first turn   on a long thread, for a moment      most end here, however many others run for seconds
//!  second turn  on a longest thread, from the start, until the deadline
//! ```
//! What runs cannot be put aside, only stopped: so what is long pays its moment twice, and nobody waits behind it for more than that.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use tokio::sync::oneshot;

use super::context::Context;
use super::method::{Answer, Arguments, Caller, Run, on_worker};
use super::workers::Lane;
use crate::execution::Stop;

/// The first turn: some five million gas on an ordinary machine.
const MOMENT: Duration = Duration::from_millis(100);

/// Runs a method that may take long.
///
/// # Errors
///
/// The method's; `-32005` at the deadline.
pub async fn in_turns(context: &Arc<Context>, mut arguments: Arguments, run: &Run) -> Answer {
    if let Some(answer) = first_turn(context, arguments.clone(), run.clone()).await {
        return answer;
    }
    let (run, caller) = (run.clone(), arguments.caller.clone());
    on_worker(context, &caller, Lane::Longest, move |context| run(context, &mut arguments)).await
}

/// None when it needs another.
async fn first_turn(context: &Arc<Context>, mut arguments: Arguments, run: Run) -> Option<Answer> {
    let stop = Stop::default();
    let caller = Caller { stop: stop.clone(), ..arguments.caller };
    arguments.caller = caller.clone();
    let (begin, begins) = oneshot::channel();
    let work = move |context: &Context| {
        // Nobody may be waiting any more.
        let _ = begin.send(());
        run(context, &mut arguments)
    };
    let answer = pin!(on_worker(context, &caller, Lane::Long, work));
    let moment = pin!(async {
        // Without a begin there is an answer: that of the deadline.
        if begins.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(MOMENT).await;
    });
    match select(answer, moment).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(((), answer)) => {
            stop.stop();
            // It may have ended by itself just now.
            Some(answer.await).filter(|answer| answer.is_ok() || Instant::now() >= caller.deadline)
        }
    }
}
