//! Work that blocks, off the engine's async threads.

use std::{pin::pin, time::Duration};

use commonware_runtime::{Clock, Metrics, Spawner};
use futures::future::{Either, select};

use tracing::error;

use crate::{execution::Stop, panics::contain};

/// Runs long work on a thread that may block. `None` when the runtime is stopping.
pub(super) async fn blocking<E, T>(
    runtime: &E,
    label: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T>
where
    E: Spawner + Metrics,
    T: Send + 'static,
{
    runtime.child(label).shared(true).spawn(move |_| async move { work() }).await.ok()
}

/// The same for work on what others sent: a panic in it costs its result, and not the process.
pub(super) async fn contained<E, T>(
    runtime: &E,
    label: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T>
where
    E: Spawner + Metrics,
    T: Send + 'static,
{
    let done = blocking(runtime, label, move || contain(work)).await?;
    done.inspect_err(|panic| error!(label, panic, "a bug, set off by what others sent: the work is given up")).ok()
}

/// The same for as long as somebody waits for the result, and no longer: then the work's `Stop` is set, and it ends soon after.
pub(super) async fn awaited<E, T>(
    runtime: &E,
    label: &'static str,
    work: impl FnOnce(&Stop) -> T + Send + 'static,
) -> Option<T>
where
    E: Spawner + Metrics,
    T: Send + 'static,
{
    let guard = StopOnDrop(Stop::default());
    let stop = guard.0.clone();
    contained(runtime, label, move || work(&stop)).await
}

/// The same for at most `limit`: then the work's `Stop` is set, and also when nobody waits for the result any more because
/// the round ended. The work ends soon after, so what was given up never piles up.
pub(super) async fn limited<E, T>(
    runtime: &E,
    label: &'static str,
    limit: Duration,
    work: impl FnOnce(&Stop) -> T + Send + 'static,
) -> Option<T>
where
    E: Spawner + Metrics + Clock,
    T: Send + 'static,
{
    let guard = StopOnDrop(Stop::default());
    let stop = guard.0.clone();
    let working = pin!(contained(runtime, label, move || work(&stop)));
    let timeout = pin!(runtime.sleep(limit));
    match select(working, timeout).await {
        Either::Left((done, _)) => done,
        Either::Right(((), working)) => {
            guard.0.stop();
            working.await
        }
    }
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Instant,
    };

    use commonware_runtime::{Runner as _, tokio::Runner};

    use super::*;

    /// Computes until it is stopped, as an execution does; counts those that run.
    fn endless(running: &Arc<AtomicUsize>) -> impl FnOnce(&Stop) -> &'static str + Send + 'static {
        let running = running.clone();
        move |stop| {
            running.fetch_add(1, Ordering::SeqCst);
            while !stop.is_stopped() {
                std::thread::sleep(Duration::from_millis(1));
            }
            running.fetch_sub(1, Ordering::SeqCst);
            "stopped"
        }
    }

    #[test]
    fn work_of_rounds_that_ended_stops_and_never_piles_up() {
        let running = Arc::new(AtomicUsize::new(0));
        Runner::default().start(|runtime| async move {
            for _ in 0..20 {
                let round = pin!(runtime.sleep(Duration::from_millis(50)));
                let work = pin!(limited(&runtime, "test", Duration::from_secs(600), endless(&running)));
                assert!(matches!(select(work, round).await, Either::Right(_)), "the round ends first");
                // Both futures are dropped here, as the engine drops those of a round that ended.
                assert!(running.load(Ordering::SeqCst) <= 5, "those before have ended");
            }
            let started = Instant::now();
            while running.load(Ordering::SeqCst) > 0 {
                assert!(started.elapsed() < Duration::from_secs(60), "all end");
                runtime.sleep(Duration::from_millis(1)).await;
            }
        });
    }

    #[test]
    fn a_panic_in_work_on_what_others_sent_costs_only_its_result() {
        Runner::default().start(|runtime| async move {
            let work = |_: &Stop| -> u8 { panic!("set off by a block") };
            assert_eq!(limited(&runtime, "test", Duration::from_secs(600), work).await, None);
        });
    }

    #[test]
    fn work_ends_at_its_limit() {
        let running = Arc::new(AtomicUsize::new(0));
        Runner::default().start(|runtime| async move {
            let done = limited(&runtime, "test", Duration::from_millis(20), endless(&running)).await;
            assert_eq!(done, Some("stopped"));
        });
    }
}
