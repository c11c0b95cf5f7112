//! The `net` and `web3` namespaces.

use alloy_primitives::{B256, Bytes, U64, keccak256};

use super::method::{Methods, Registered, inline};

/// Name and version of this node.
pub const CLIENT_VERSION: &str = concat!("causeway/v", env!("CARGO_PKG_VERSION"));

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "net_version", |context, _| Ok(context.chain().genesis().chain_id.to_string()))?;
    inline(methods, "net_listening", |_, _| Ok(true))?;
    inline(methods, "net_peerCount", |context, _| {
        // Validators know each other from genesis; a follower has the one node it follows.
        let others = context.chain().genesis().federation.members.len().saturating_sub(1);
        Ok(U64::from(if context.state.upstream.is_some() { 1 } else { others }))
    })?;
    inline(methods, "web3_clientVersion", |_, _| Ok(CLIENT_VERSION))?;
    inline(methods, "web3_sha3", |_, arguments| -> super::error::Result<B256> {
        Ok(keccak256(arguments.next::<Bytes>("data")?))
    })
}
