//! Which network a relayer works for.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// The network that a relayer works for, by its operator's genesis file. Its data directory belongs to it, and a node of another one
/// is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// EIP-155.
    pub chain_id: u64,
    /// Hash of all that the operators agreed on.
    pub network_id: B256,
    /// Hash of the first block.
    pub genesis: B256,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { chain_id, network_id, genesis } = self;
        write!(f, "chain {chain_id}, network {network_id}, genesis block {genesis}")
    }
}
