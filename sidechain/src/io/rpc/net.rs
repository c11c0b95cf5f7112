//! The `net` and `web3` namespaces.

use alloy_primitives::{B256, Bytes, U64, keccak256};

use super::method::{Methods, Registered, inline};

/// Name and version of this node.
pub const CLIENT_VERSION: &str = concat!("causeway/v", env!("CARGO_PKG_VERSION"));

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "net_version", |context, _| Ok(context.chain().genesis().chain_id.to_string()))?;
    // Followers ask, and nobody can reach them as a peer.
    inline(methods, "net_listening", |context, _| Ok(context.state.upstream.is_none()))?;
    // Connected validators; of a follower the node that it follows, while that answers.
    inline(methods, "net_peerCount", |context, _| Ok(U64::from(context.state.facts().peers)))?;
    inline(methods, "web3_clientVersion", |_, _| Ok(CLIENT_VERSION))?;
    inline(methods, "web3_sha3", |_, arguments| -> super::error::Result<B256> {
        Ok(keccak256(arguments.next::<Bytes>("data")?))
    })
}
