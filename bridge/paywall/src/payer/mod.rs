//! The payer's side of sessions: which demand is answered by a channel, and how far, while an answer comes.
//!
//! ```text
//!   demand    what a 402 asks for a unit
//!   tally     what came, what it cost, and how much more is promised: by our own count, and within limits
//!   payload   what goes back
//! ```
//! A payee's word is not believed: neither about what it delivered, where that can be counted, nor about what was spent before. It is held against what was promised.

pub mod demand;
pub mod payload;
pub mod tally;
