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

pub use block_id::number;
pub use subscriptions::{Wanted, follow};

use super::method::{Method, Methods, Namespace, Registered};

pub fn register(methods: &mut Methods) -> Registered {
    identity::register(methods)?;
    blocks::register(methods)?;
    transactions::register(methods)?;
    logs::register(methods)?;
    calls::register(methods)?;
    fees::register(methods)?;
    filters::register(methods)?;
    methods.insert("eth_subscribe", Method::Subscribe(Namespace::Eth))?;
    methods.insert("eth_unsubscribe", Method::Unsubscribe)?;
    send::register(methods)
}
