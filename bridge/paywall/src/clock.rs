//! What time it is: here, and on the chain.

use crate::refusal::Refusal;

/// How long an authorization must still be valid when it is sent: a few of the chain's blocks, which come every two seconds at the latest.
pub const MARGIN_S: u64 = 6;
/// How far the chain's time may be from the wall clock. It follows it by two seconds at the most; what is farther is a wrong clock, or a chain that
/// stands still.
pub const MOST_APART_S: u64 = 30;

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Of this machine, in Unix seconds.
    pub wall: u64,
    /// Of the newest final block.
    pub block: u64,
}

impl Clock {
    /// # Errors
    ///
    /// `ClockWrong`.
    pub fn check(self) -> Result<(), Refusal> {
        let apart_s = self.wall.abs_diff(self.block);
        if apart_s > MOST_APART_S { Err(Refusal::ClockWrong { apart_s }) } else { Ok(()) }
    }
}
