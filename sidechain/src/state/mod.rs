//! Accounts and storage: how they are read at a block, how transactions change them, and what a block changes in the store.
//!
//! ```text
//!  EVM -> Working (this block's accounts and slots)
//!           | misses                    | commit: new roots, changed rows and trie nodes
//!           v                           v
//!         StateReader: overlays of pending ancestors, then the store      Overlay
//! ```

mod folded;
mod overlay;
mod reader;
pub mod store;
pub mod trie;
pub mod undo;
mod working;

pub use folded::Folded;
pub use overlay::{Change, Overlay, VERSIONED};
pub use reader::{
    Account, AccountNodes, Nothing, StateReader, StorageNodes, decode_account, encode_account, slot_hash,
};
pub(crate) use reader::{account_node_key, slot_key, storage_node_key};
pub use working::{CodeCache, CommitError, Working};
