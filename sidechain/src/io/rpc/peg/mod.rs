//! The `peg` namespace: the bridge as its users, relayers, followers and auditors see it.
//!
//! Everything except registrations is read from the contracts at the head; nothing here is remembered by the server.

mod address;
mod finality;
mod info;
mod ledger;
mod limits;
mod lists;
mod progress;
mod registrations;
mod snapshot;
mod subscriptions;
mod vault;

pub use subscriptions::{Wanted, follow};

use super::method::{Method, Methods, Namespace, Registered};

pub fn register(methods: &mut Methods) -> Registered {
    info::register(methods)?;
    finality::register(methods)?;
    ledger::register(methods)?;
    limits::register(methods)?;
    lists::register(methods)?;
    registrations::register(methods)?;
    snapshot::register(methods)?;
    methods.insert("peg_subscribe", Method::Subscribe(Namespace::Peg))?;
    methods.insert("peg_unsubscribe", Method::Unsubscribe)?;
    vault::register(methods)
}
