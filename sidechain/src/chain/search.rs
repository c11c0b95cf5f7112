//! When something became true in the state that was never true before, and is since then: found by halving, in as many looks as the number of kept blocks has
//! binary digits.

use super::{error::SimulateError, open::Chain, state_at::StateAt};
use crate::{
    execution::Stop,
    state::store::{Store, StoreError},
};

/// Since when something is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It is not.
    Never,
    /// The first block after which it is; 0: since genesis.
    Block(u64),
    /// Since before the oldest block whose state is kept.
    Before { oldest: u64 },
}

impl<S: Store> Chain<S> {
    /// The block since which something is true.
    ///
    /// # Errors
    ///
    /// When the store fails, or is pruned meanwhile; `Stopped`.
    pub fn since(
        &self,
        stop: &Stop,
        is_true: impl Fn(&StateAt<'_, S>) -> Result<bool, StoreError>,
    ) -> Result<Since, SimulateError> {
        let after = |number| {
            if stop.is_stopped() {
                return Err(SimulateError::Stopped);
            }
            Ok(is_true(&self.state_at(number)?)?)
        };
        let (mut low, mut high) = (self.windows.states.oldest(), self.head().number);
        if !after(high)? {
            return Ok(Since::Never);
        }
        if after(low)? {
            return Ok(if low == 0 { Since::Block(0) } else { Since::Before { oldest: low } });
        }
        // False after `low`, true after `high`.
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if after(middle)? { high = middle } else { low = middle }
        }
        Ok(Since::Block(high))
    }
}
