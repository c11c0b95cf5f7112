//! The `peg` namespace: the bridge as its users, relayers, followers and auditors see it.
//!
//! Everything except registrations is read from the contracts at the head; nothing here is remembered by the server.

mod address;
mod finality;
mod info;
mod ledger;
mod registrations;

use jsonrpsee::RpcModule;

use super::context::Context;
use super::method::Registered;

pub fn register(module: &mut RpcModule<Context>) -> Registered {
    info::register(module)?;
    finality::register(module)?;
    ledger::register(module)?;
    registrations::register(module)
}
