//! The `eth` namespace.

mod accounts;
mod block_id;
mod blocks;
mod calls;
mod capabilities;
mod fees;
mod fill;
mod filters;
mod identity;
mod logs;
mod send;
mod simulate;
mod subscriptions;
mod transactions;
mod typed_data;

pub use block_id::{Place, number, number_of_tag, place};
pub use blocks::{by_hash, by_number};
pub use subscriptions::{Wanted, follow};
pub use transactions::{block_since, located, raw_transaction, used};

use super::method::{Method, Methods, Namespace, Registered};

pub fn register(methods: &mut Methods) -> Registered {
    identity::register(methods)?;
    blocks::register(methods)?;
    transactions::register(methods)?;
    logs::register(methods)?;
    calls::register(methods)?;
    simulate::register(methods)?;
    fees::register(methods)?;
    fill::register(methods)?;
    capabilities::register(methods)?;
    filters::register(methods)?;
    methods.insert("eth_subscribe", Method::Subscribe(Namespace::Eth))?;
    methods.insert("eth_unsubscribe", Method::Unsubscribe)?;
    send::register(methods)?;
    accounts::register(methods)
}
