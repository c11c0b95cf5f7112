//! One part of what bitcoind is asked for. It fails by itself: the other parts go on.

use std::future::Future;

use super::error::{RoundError, kind};
use super::health::{Health, Vitals};
use crate::io::clock::Clock;

/// Milliseconds for which a part is not tried after bitcoind did not answer it: each try costs a round the client's patience.
const REST_MS: u64 = 20_000;

/// A part of a round.
pub struct Part {
    health: Health,
    rests_until_ms: u64,
}

impl Part {
    /// `who` and `recovery` as in [`Health::new`].
    pub fn new(vitals: &Vitals, who: &'static str, recovery: &'static str) -> Self {
        Self { health: Health::new(vitals, who, recovery), rests_until_ms: 0 }
    }

    /// Does it, unless it rests. Only what is wrong with bitcoind as a whole is an error of the round.
    pub async fn run(
        &mut self,
        clock: &Clock,
        work: impl Future<Output = Result<(), RoundError>>,
    ) -> Result<(), RoundError> {
        if clock.ms() < self.rests_until_ms {
            return Ok(());
        }
        match work.await {
            Ok(()) => self.health.recovered(),
            Err(RoundError::Bitcoin(error)) if error.is_of_the_node() => return Err(error.into()),
            Err(RoundError::Bitcoin(error)) => {
                if error.retry() {
                    self.rests_until_ms = clock.ms() + REST_MS;
                }
                self.health.failed(kind(&error), &error);
            }
            // The task that follows the ledger says so too.
            Err(RoundError::Node(error)) => tracing::debug!(%error, "the node did not answer about bitcoin"),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
