//! Snapshots for nodes that are far behind: offers, and parts of one.

use alloy_primitives::Bytes;
use jsonrpsee::types::ErrorObjectOwned;

use super::super::error;
use super::super::method::{Methods, Registered, long, worker};
use crate::io::{clock::now_ms, snapshots::PartError};

pub fn register(methods: &mut Methods) -> Registered {
    worker(methods, "peg_getSnapshots", |context, _| {
        let offers = context.state.snapshots.offers(context.chain().store(), now_ms());
        offers.map_err(|error| error::store(&error))
    })?;
    long(methods, "peg_getSnapshotPart", |context, arguments| {
        let (number, part) = (arguments.next("number")?, arguments.next("part")?);
        let given = context.state.snapshots.part(number, part, now_ms());
        given.map(Bytes::from).map_err(refused)
    })
}

fn refused(error: PartError) -> ErrorObjectOwned {
    match error {
        PartError::Store(error) => error::store(&error),
        error @ PartError::Gone(_) => error::not_found(error.to_string()),
        error @ PartError::Busy => error::limit(error.to_string()),
        error @ PartError::NoSuchPart => error::invalid(error.to_string()),
    }
}
