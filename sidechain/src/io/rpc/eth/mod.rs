//! The `eth` namespace.

mod block_id;
mod blocks;
mod calls;
mod fees;
mod filters;
mod identity;
mod logs;
mod send;
mod subscriptions;
mod transactions;

use jsonrpsee::RpcModule;

pub use block_id::number;
pub use subscriptions::HexIds;

use super::context::Context;
use super::method::Registered;

pub fn register(module: &mut RpcModule<Context>) -> Registered {
    identity::register(module)?;
    blocks::register(module)?;
    transactions::register(module)?;
    logs::register(module)?;
    calls::register(module)?;
    fees::register(module)?;
    filters::register(module)?;
    subscriptions::register(module)?;
    send::register(module)
}
