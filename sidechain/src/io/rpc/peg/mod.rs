//! The `peg` namespace: the bridge as its users, relayers, followers and auditors see it.
//!
//! Everything except registrations is read from the contracts at the head; nothing here is remembered by the server.

mod address;
mod finality;
mod info;
mod ledger;
mod limits;
mod lists;
mod registrations;
mod snapshot;
mod vault;

use super::method::{Methods, Registered};

pub fn register(methods: &mut Methods) -> Registered {
    info::register(methods)?;
    finality::register(methods)?;
    ledger::register(methods)?;
    limits::register(methods)?;
    lists::register(methods)?;
    registrations::register(methods)?;
    snapshot::register(methods)?;
    vault::register(methods)
}
