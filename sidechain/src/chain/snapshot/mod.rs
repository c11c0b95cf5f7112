//! The state after one block, copied from nodes that nobody trusts, so that a node that is new or was away need not execute
//! the whole chain.
//!
//! ```text
//!  serving node                                       fetching node
//!  state frozen at a block, every so often (Shelf)    header of that block, by its finality certificate
//!    | answer(part) <----------- which part --------- Restore::next
//!    +------------- leaves, and what proves them ---> Restore::take: checked against the header, written, and next
//!                                                     Restore::finish: the store is a chain that begins at that block
//! ```
//! The header's state root proves every account, the account's storage root every slot, the code hash the code, the header's
//! roots its transactions and receipts, and its parent hashes the headers before it. A part that is not the truth is refused
//! when it arrives, so whoever sent it is known. What was taken is never asked for again: each part is one batch together with
//! the place where to go on, so the copy may be interrupted anywhere.
//!
//! What such a node cannot answer is what was before that block: transactions, receipts, logs and old state.

mod answer;
mod part;
mod restore;
mod shelf;

pub use answer::{FrozenRows, MAX_ACCOUNTS, MAX_CODES, PART_BYTES, answer, certified_head};
pub use part::Malformed;
pub use restore::{Refused, Restore, RestoreError, Want};
pub use shelf::Shelf;
