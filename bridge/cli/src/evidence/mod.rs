//! What the chain has made final, by proofs: before a holder is shown that something is done, and in receipts that anybody checks without a
//! node (docs/evidence.md).

pub mod receipt;
pub mod verify;
pub mod witness;
