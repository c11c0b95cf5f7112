//! The registrations that a validator may have missed while it was away, as batches to send to it.

use std::collections::VecDeque;

use tracing::warn;

use super::batch::{Item, MAX_BATCH_BYTES};
use crate::{chain::Registration, io::node_state::NodeState, state::store::StoreError};

/// Registrations sent to a peer that was away; those of about a day on a busy network. The ledger needs none of them,
/// and users can register again.
const MAX_REGISTRATIONS: usize = 4096;

/// Registrations read at a time.
const PAGE: usize = 1024;

/// The latest registrations, in batches; none when the store fails.
pub(super) fn latest_registrations(state: &NodeState) -> Vec<Vec<u8>> {
    match read_latest(state) {
        Ok(latest) => batches(latest),
        Err(error) => {
            warn!(%error, "cannot read registrations");
            Vec::new()
        }
    }
}

/// The last [`MAX_REGISTRATIONS`], in order.
fn read_latest(state: &NodeState) -> Result<VecDeque<Registration>, StoreError> {
    let mut latest = VecDeque::new();
    // Not from the beginning: a question costs its sender nothing.
    let mut cursor = state.chain.last_registration()?.saturating_sub(MAX_REGISTRATIONS as u64);
    loop {
        let page = state.chain.registrations(cursor, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(latest) };
        cursor = *last;
        latest.extend(page.into_iter().map(|(_, registration)| registration));
        latest.drain(..latest.len().saturating_sub(MAX_REGISTRATIONS));
    }
}

fn batches(registrations: impl IntoIterator<Item = Registration>) -> Vec<Vec<u8>> {
    let (mut full, mut batch) = (Vec::new(), Vec::new());
    for registration in registrations {
        Item::Registration(registration).encode(&mut batch);
        if batch.len() > MAX_BATCH_BYTES {
            full.push(std::mem::take(&mut batch));
        }
    }
    if !batch.is_empty() {
        full.push(batch);
    }
    full
}

/// The registrations that a validator reads from the batches.
#[cfg(test)]
pub(in crate::io) fn decoded_registrations(state: &NodeState) -> Vec<Registration> {
    let batches = latest_registrations(state);
    let items = batches.iter().flat_map(|batch| super::batch::decode(batch).expect("our own batch"));
    items
        .map(|item| match item {
            Item::Registration(registration) => registration,
            other => panic!("{other:?} is not a registration"),
        })
        .collect()
}
