//! Work that blocks, off the engine's async threads.

use commonware_runtime::{Metrics, Spawner};

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
