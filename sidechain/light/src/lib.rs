//! Reading the chain without trusting who shows it: a header by the signatures of the genesis file's validators, and what is
//! in its state by Merkle proofs.
//!
//! ```text
//! validators' keys --> certificate --> header (FinalHeader) --> state root --> account, slots (ProvenAccount)
//! ```
//! Pure: whoever asks a node (relayer, audit, command line, follower, an isolated signer) hands its answers in. A node can
//! still withhold, and show a final block that is not its latest.

pub mod branches;
pub mod facts;
pub mod federation;
pub mod finality;
mod header;
pub mod ledger;
pub mod micro_channel;
pub mod receipt;
pub mod reserves;
mod script;
mod state;
#[cfg(test)]
mod tests;
pub mod wrapped_btc;

pub use header::{FinalHeader, HeaderError};
pub use state::{ProofError, ProvenAccount};
