//! Outgoing gossip: what users brought to this node.

use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{CheckedSender as _, Recipients, Sender};
use commonware_runtime::Clock;
use tokio::sync::mpsc;
use tracing::debug;

use super::batch::{BATCH_INTERVAL, Item, MAX_BATCH_BYTES, MAX_MESSAGE_BYTES};
use crate::io::node_state::Gossip;

/// Sends what users brought to this node, until the channel or the runtime ends.
pub(in crate::io) async fn send<E: Clock>(
    runtime: E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    mut queue: mpsc::Receiver<Gossip>,
) {
    let mut held = None;
    loop {
        let first = match held.take() {
            Some(item) => item,
            None => match queue.recv().await {
                Some(gossip) => Item::from(gossip),
                None => return,
            },
        };
        let batch;
        (batch, held) = fill_batch(&first, &mut queue);
        send_batch(&runtime, &mut sender, batch).await;
        runtime.sleep(BATCH_INTERVAL).await;
    }
}

/// Sends a batch as soon as the rate that the others accept allows it.
async fn send_batch(runtime: &impl Clock, sender: &mut impl Sender<PublicKey = PublicKey>, batch: Vec<u8>) {
    loop {
        match sender.check(Recipients::All) {
            Ok(checked) => {
                if !checked.send(batch, false).accepted() {
                    debug!("no validator took a gossiped batch");
                }
                return;
            }
            Err(until) => runtime.sleep_until(until).await,
        }
    }
}

/// A batch of `first` and what waits behind it; and the item that did not fit any more.
fn fill_batch(first: &Item, queue: &mut mpsc::Receiver<Gossip>) -> (Vec<u8>, Option<Item>) {
    let mut batch = Vec::new();
    first.encode(&mut batch);
    while batch.len() < MAX_BATCH_BYTES {
        let Ok(gossip) = queue.try_recv() else { break };
        let (before, item) = (batch.len(), Item::from(gossip));
        item.encode(&mut batch);
        if batch.len() > MAX_MESSAGE_BYTES {
            batch.truncate(before);
            return (batch, Some(item));
        }
    }
    (batch, None)
}
