//! What a validator may have missed while it was away, as batches to send to it: registrations, and transactions that wait.

use std::collections::VecDeque;

use alloy_eips::Encodable2718 as _;
use tracing::warn;

use super::batch::{Item, MAX_BATCH_BYTES};
use crate::{chain::Registration, io::node_state::NodeState, state::store::StoreError};

/// Registrations sent to a peer that was away; those of about a day on a busy network. The ledger needs none of them,
/// and users can register again.
const MAX_REGISTRATIONS: usize = 4096;

/// Bytes of transactions sent to a peer that was away: some ten thousand transfers, in seconds, and less than it queues of one peer.
const MAX_WAITING_BYTES: usize = 2 << 20;

/// Registrations read at a time.
const PAGE: usize = 1024;

/// The latest registrations, in batches; none when the store fails.
pub(super) fn latest_registrations(state: &NodeState) -> Vec<Vec<u8>> {
    match read_latest(state) {
        Ok(latest) => batches(latest.into_iter().map(Item::Registration)),
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

/// Transactions that wait here and cost their senders something, the first that came first, in batches. What is beyond the bound, those who sent it send
/// again, or this validator puts it into a block.
pub(super) fn waiting_transactions(state: &NodeState) -> Vec<Vec<u8>> {
    let mut bytes = 0;
    let waiting: Vec<_> = {
        let pool = state.pool();
        let all = pool.waiting().map(|(transaction, _)| transaction);
        let few = all.take_while(|transaction| {
            bytes += transaction.inner().encode_2718_len();
            bytes <= MAX_WAITING_BYTES
        });
        few.cloned().collect()
    };
    batches(waiting.iter().map(|transaction| Item::Transaction(transaction.inner().encoded_2718().into())))
}

/// An item that is larger than a batch has one of its own.
fn batches(items: impl IntoIterator<Item = Item>) -> Vec<Vec<u8>> {
    let (mut full, mut batch) = (Vec::new(), Vec::new());
    for item in items {
        let before = batch.len();
        item.encode(&mut batch);
        if before > 0 && batch.len() > MAX_BATCH_BYTES {
            let last = batch.split_off(before);
            full.push(std::mem::replace(&mut batch, last));
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

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;

    use super::super::batch::{MAX_MESSAGE_BYTES, decode};
    use super::*;
    use crate::limits::MAX_TRANSACTION_BYTES;

    #[test]
    fn what_is_sent_to_one_that_was_away_is_in_messages_that_it_takes() {
        let sizes =
            [1, 200, 60 << 10, MAX_TRANSACTION_BYTES, 5, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_BYTES, 100, 100];
        let items: Vec<_> = sizes.map(|size| Item::Transaction(Bytes::from(vec![7; size]))).into();
        let batches = batches(items.clone());
        assert!(batches.iter().all(|batch| batch.len() <= MAX_MESSAGE_BYTES));
        assert_eq!(batches.len(), 7);
        let read: Vec<Item> = batches.iter().flat_map(|batch| decode(batch).expect("our own")).collect();
        assert_eq!(read, items);
    }
}
