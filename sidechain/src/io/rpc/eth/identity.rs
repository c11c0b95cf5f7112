//! The chain's id, and methods with the same answer always.

use alloy_primitives::{Address, U64, U256};
use jsonrpsee::RpcModule;

use super::super::context::Context;
use super::super::method::{Registered, worker};

pub fn register(module: &mut RpcModule<Context>) -> Registered {
    worker(module, "eth_chainId", |context, _| Ok(U64::from(context.chain().genesis().chain_id)))?;
    worker(module, "eth_accounts", |_, _| Ok(Vec::<Address>::new()))?;
    // Every block that this node shows is final. A follower that lags behind shows the blocks it has.
    worker(module, "eth_syncing", |_, _| Ok(false))?;
    worker(module, "eth_mining", |_, _| Ok(false))?;
    worker(module, "eth_hashrate", |_, _| Ok(U256::ZERO))
}
