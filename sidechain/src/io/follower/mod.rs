//! A node that follows without voting: it takes blocks from another node's RPC and believes none of them.
//!
//! A block is taken when a certificate of the validators in the genesis file signs it, or a descendant that links back to
//! it; then it is executed here, so that this node checks everything it shows by itself. The followed node can only
//! withhold blocks. It may stop and come back at any time.

mod follow;
mod verify;

pub use follow::{FollowError, follow};
