//! The chain's id, and methods with the same answer always.

use alloy_primitives::{Address, U64, U256};

use super::super::method::{Methods, Registered, inline};

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "eth_chainId", |context, _| Ok(U64::from(context.chain().genesis().chain_id)))?;
    inline(methods, "eth_accounts", |_, _| Ok(Vec::<Address>::new()))?;
    // Every block that this node shows is final. A follower that lags behind shows the blocks it has.
    inline(methods, "eth_syncing", |_, _| Ok(false))?;
    inline(methods, "eth_mining", |_, _| Ok(false))?;
    inline(methods, "eth_hashrate", |_, _| Ok(U256::ZERO))
}
