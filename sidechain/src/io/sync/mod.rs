//! Copies a snapshot from other nodes' JSON-RPC, and trusts none of them: the header by its certificate, each part by the
//! header ([`crate::chain::snapshot`]). A source that lies is named and not asked again; one that is slow, away or has given
//! the snapshot up is left for another.

mod copy;
mod sources;

pub use copy::{CopyError, copy};
pub use sources::{NoAnswer, Offered, Sources};
