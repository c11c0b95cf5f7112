//! What a machine that is lost needs to sign again, in one file, and what is never copied back.
//!
//! ```text
//!   backed up    genesis file, node.toml, relayer.toml, both keystores, this member's share of the federation's key: nothing of it changes
//!   made anew    the chain (copied or executed), where it was read to, the record of what was signed (from the ledger: bridge::policy::recovery)
//!   never back   the journal of votes, nonces and shares of signings under way, an old record of what was signed: an old copy would vote or sign twice
//! ```

pub mod archive;
pub mod command;
mod make;
mod restore;
