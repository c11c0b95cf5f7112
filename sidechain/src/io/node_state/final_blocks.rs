//! What a log says of final blocks: a line a minute. One a block, each second on a quiet chain, hides whatever an operator looks for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is said.
const EVERY: Duration = Duration::from_secs(60);

/// Counts final blocks until they are said.
#[derive(Debug, Default)]
pub struct FinalBlocks {
    counted: Mutex<(Counted, Option<Instant>)>,
}

/// Those since the last line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub blocks: u64,
    pub transactions: u64,
}

impl FinalBlocks {
    /// Counts a block; returns what is to be said: at the first block, and then once a minute.
    pub fn count(&self, transactions: usize, now: Instant) -> Option<Counted> {
        // Plain values: a panic elsewhere does not spoil them.
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let (since_last, said) = &mut *counted;
        since_last.blocks += 1;
        since_last.transactions = since_last.transactions.saturating_add(transactions as u64);
        let is_due = said.is_none_or(|said| now.saturating_duration_since(said) >= EVERY);
        is_due.then(|| {
            *said = Some(now);
            std::mem::take(since_last)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_block_is_said_and_then_a_line_a_minute_with_all_that_came() {
        let (blocks, start) = (FinalBlocks::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        assert_eq!(blocks.count(2, at(0)), Some(Counted { blocks: 1, transactions: 2 }));
        for second in 1..60 {
            assert_eq!(blocks.count(1, at(second)), None);
        }
        assert_eq!(blocks.count(0, at(60)), Some(Counted { blocks: 60, transactions: 59 }));
        assert_eq!(blocks.count(0, at(61)), None);
        // The chain stood still meanwhile.
        assert_eq!(blocks.count(0, at(600)), Some(Counted { blocks: 2, transactions: 0 }));
    }
}
