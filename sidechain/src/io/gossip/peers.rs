//! Who is connected: what a starting validator waits for, and what it says to each of the others first.

use std::{collections::BTreeSet, time::Duration};

use alloy_primitives::B256;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{CheckedSender as _, Recipients, Sender};
use commonware_runtime::Clock;

use super::batch::Item;

/// Time that a starting validator waits for all others. Peers are dialled every half second.
const WAIT_FOR_ALL: Duration = Duration::from_secs(2);

/// Time that it waits for a quorum.
const WAIT_FOR_QUORUM: Duration = Duration::from_secs(5);

/// Waits for connections, but not for ever: a round that starts without its leader, or without a quorum, is lost.
pub(in crate::io) async fn wait_for_peers<E: Clock>(
    runtime: &E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    others: usize,
    quorum: usize,
) {
    let started = runtime.current();
    loop {
        let waited = runtime.current().duration_since(started).unwrap_or_default();
        let wanted = if waited < WAIT_FOR_ALL { others } else { quorum.saturating_sub(1) };
        if waited >= WAIT_FOR_QUORUM || connected(&mut sender).len() >= wanted {
            return;
        }
        runtime.sleep(Duration::from_millis(50)).await;
    }
}

/// Sends the hash of the genesis block to each of the other validators once, when it is connected.
pub(in crate::io) async fn announce_genesis<E: Clock>(
    runtime: E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    genesis: B256,
    others: usize,
) {
    let mut hello = Vec::new();
    Item::Hello(genesis).encode(&mut hello);
    let mut reached = BTreeSet::new();
    while reached.len() < others {
        runtime.sleep(Duration::from_secs(1)).await;
        let new: Vec<_> = connected(&mut sender).into_iter().filter(|peer| !reached.contains(peer)).collect();
        if !new.is_empty() {
            reached.extend(sender.send(Recipients::Some(new), hello.clone(), false));
        }
    }
}

pub(super) fn connected(sender: &mut impl Sender<PublicKey = PublicKey>) -> Vec<PublicKey> {
    sender.check(Recipients::All).map(|checked| checked.recipients()).unwrap_or_default()
}
