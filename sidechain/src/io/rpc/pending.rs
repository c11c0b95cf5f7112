//! The pending block that was made last, and the one that is being made ([`super::preview`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use futures::future::{BoxFuture, Shared};

use super::error;
use crate::chain::Preview;
use crate::io::node_state::building::Timing;

/// Ends with the block; whoever waits has a clone.
pub type Making = Shared<BoxFuture<'static, error::Result<Arc<Preview>>>>;

/// What a block is made of: the head's hash, and the pool's revision.
pub type Of = (B256, u64);

/// What is kept for those who ask next.
#[derive(Default)]
pub struct Pending {
    made: Mutex<Made>,
    /// What roots cost on this machine.
    pub timing: Timing,
}

#[derive(Default)]
struct Made {
    last: Option<Last>,
    making: Option<Making>,
    /// How many were made, and the time that they took.
    count: u64,
    spent: Duration,
}

/// A block that was made.
pub struct Last {
    pub preview: Arc<Preview>,
    pub of: Of,
    pub began: Instant,
    pub ended: Instant,
}

impl Last {
    /// Time until the next may begin.
    fn pause(&self) -> Duration {
        (self.ended - self.began).saturating_sub(self.ended.elapsed())
    }
}

impl Pending {
    fn made(&self) -> MutexGuard<'_, Made> {
        // Plain values: a panic elsewhere does not spoil them.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block as it is `now`, or one that was begun after it was `asked` for.
    ///
    /// # Errors
    ///
    /// The one that is being made, which `start` begins after a pause if there is none.
    pub fn last_or_making(
        &self,
        now: Of,
        asked: Instant,
        start: impl FnOnce(Duration) -> Making,
    ) -> Result<Arc<Preview>, Making> {
        let mut made = self.made();
        if let Some(last) = made.last.as_ref().filter(|last| last.of == now || last.began >= asked) {
            return Ok(last.preview.clone());
        }
        let pause = made.last.as_ref().map_or(Duration::ZERO, Last::pause);
        Err(made.making.get_or_insert_with(|| start(pause)).clone())
    }

    /// Keeps what was made, or that it could not be.
    ///
    /// # Errors
    ///
    /// Why it could not be made.
    pub fn keep(&self, made: error::Result<Last>) -> error::Result<Arc<Preview>> {
        let mut kept = self.made();
        kept.making = None;
        let last = made?;
        kept.count += 1;
        kept.spent += last.ended - last.began;
        tracing::debug!(count = kept.count, spent = ?kept.spent, "pending blocks until now");
        let preview = last.preview.clone();
        kept.last = Some(last);
        Ok(preview)
    }

    /// How many were made until now, and the time that they took.
    #[cfg(test)]
    pub fn made_until_now(&self) -> (u64, Duration) {
        let made = self.made();
        (made.count, made.spent)
    }
}
