//! Signing one vault transaction together: machines over the signing board, robust against members that stop or lie.
//!
//! Signing goes by attempts, as in ROAST (<https://eprint.iacr.org/2022/550>), with the board in place of a coordinator:
//!
//! ```text
//!  proposal    approvals, each with commitments ──bind──▶ the set: the first t of those in good standing, in board order
//!  attempt 1                                              the set  ──all its shares──▶  signatures
//!                                                            │
//!                          a bad share, or none within the deadline
//!                                                            ▼
//!  attempt a+1  commitments  ──first t of those in good standing──▶   the set  ──all its shares──▶  signatures
//! ```
//!
//! The first round of the first attempt costs no round: a member approves a proposal ([`Approval`]) by its commitments, for as many inputs as the content names, and input i of what is
//! bound takes commitment i. The ledger takes no approval after the binding, so all members see the same set. A proposal is bound once and its number never comes back, so its nonces meet
//! one transaction.
//!
//! Who is in the set, which attempt runs and who is left out follows from posts and block times alone, so that all
//! members agree. Posts of other attempts, of members left out, and second posts are ignored. Exclusions are lifted when
//! too few members would remain, or when the rest has not filled a set within the deadline: a member may have been slow,
//! not dead. With at most n - t members at fault for good, each failing attempt costs one of them its place, so signing ends.
//! An approval that carries no commitments counts for the ledger, not here: where too few carry them, the second attempt begins at once.
//!
//! **Who kept others waiting before** is remembered by each member for itself, across sessions, and named with its commitments. Whoever
//! is named by more than n - t of those that committed, so by an honest one, is left out of the set, n - t members at most; and taken
//! after all when the others have not filled the set (at the binding, or within the deadline). The names are on the board, so all members agree, and at most
//! n - t liars can leave nobody out.
//!
//! **Nonces are used once.** They are durable before their commitment leaves ([`crate::board::Effect::Persist`], then
//! [`crate::board::Effect::Post`]); signing replaces them by the finished shares in one durable step before the shares leave: approval and session keep one state, in one file.
//! After a crash at any point the machine repeats what it said, word for word, or stays silent in this attempt.
//!
//! All inputs are signed in the same attempt: one post carries the commitments of all of them, one the shares.

pub use approval::{Approval, ApprovalConfig, ApprovalFacts, Enough, are_enough};
pub use commitments::MAX_INPUTS;
pub use error::SessionError;
pub use session::{Config, Effect, Facts, Input, Missing, SHARE_DEADLINE_S, Session};

mod approval;
mod attempt;
mod commitments;
mod error;
mod own;
mod session;

#[cfg(test)]
mod tests;
