//! How running work is ended from outside.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Ends an execution that runs on another thread: at a deadline, or when nobody waits for its result any more.
///
/// Execution reads no clock. Whoever has one keeps a clone and calls [`Self::stop`]; the execution ends within about a
/// millisecond, with an error that says nothing about the block or the call, and leaves nothing behind. It cannot be taken
/// back: another execution gets another `Stop`.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// For an execution that must run to its end, such as that of a block which is final.
    #[must_use]
    pub fn never() -> Self {
        Self::default()
    }

    /// Ends what runs with this or a clone of it, and what is started with it later.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Goes on, or ends what asks.
    ///
    /// # Errors
    ///
    /// When it is to end.
    pub(crate) fn check(&self) -> Result<(), Stopped> {
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// Whether the execution is to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        // Nothing else is published by this flag, so no order is needed, and the look costs an ordinary load.
        self.0.load(Ordering::Relaxed)
    }
}

/// Work was stopped before its end; says nothing about what it was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the end")]
pub struct Stopped;
