//! What a member makes sure of before it approves a proposal, and before it signs what was bound.
//!
//! A member trusts no other member. It approves what the ledger would make of its own facts: spending what its own bitcoind knows as unspent, at a rate that its own estimate
//! allows, taking no more from the reserve than is fair. It signs what it can make again byte for byte, whoever approved it. And it never signs a second payout of
//! a withdrawal that does not spend the same vault output as the first, unless it has seen that output finally ended: then at most one of them confirms. What it signed is a durable
//! record ([`Signed`]): the shell appends it before the first share leaves, and never forgets it. Versions over the same inputs are many, and no conflict.

pub use approving::{Proposed, approve};
pub use limit::Limit;
pub use refusal::{FeeBounds, Refusal};
pub use signed::{BadRecord, Signed, Tie};
pub use signing::{Bound, sign};

mod approving;
mod limit;
mod outputs;
pub mod proven;
pub mod recovery;
mod refusal;
mod signed;
mod signing;

#[cfg(test)]
mod tests;
