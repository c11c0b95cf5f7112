//! The time of this machine, which a relayer reads here alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, SystemTimeError, UNIX_EPOCH};

/// Seconds since 1970.
///
/// # Errors
///
/// The clock is before 1970.
pub fn now() -> Result<u64, SystemTimeError> {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs())
}

/// A time that passes.
pub trait Time: Send + Sync {
    /// Milliseconds since some start; never goes back.
    fn ms(&self) -> u64;
    /// Milliseconds since 1970.
    fn unix_ms(&self) -> u64;
    /// Ends when so much time has passed.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The time as all parts of a relayer see it. Clones are the same.
#[derive(Clone)]
pub struct Clock(Arc<dyn Time>);

/// This machine's time.
struct System {
    started: Instant,
}

impl Clock {
    /// This machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(System { started: Instant::now() })
    }

    /// Another one, as simulations have it.
    #[must_use]
    pub fn new(time: impl Time + 'static) -> Self {
        Self(Arc::new(time))
    }

    /// Milliseconds since some start; never goes back.
    #[must_use]
    pub fn ms(&self) -> u64 {
        self.0.ms()
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        self.0.unix_ms()
    }

    pub async fn sleep(&self, time: Duration) {
        self.0.sleep(time).await;
    }

    /// What a future gives; none, and the future is dropped, when it takes longer than `limit`.
    pub async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.sleep(limit) => None,
        }
    }
}

impl Time for System {
    fn ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    fn unix_ms(&self) -> u64 {
        millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(time))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
