//! Who is connected: what a starting validator waits for, and what it says to each of the others first.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{CheckedSender as _, Recipients, Sender};
use commonware_runtime::Clock;
use tracing::info;

use super::{
    batch::{BATCH_INTERVAL, Item},
    catch_up::waiting_transactions,
};
use crate::io::node_state::NodeState;

/// Time between two looks who is connected.
const LOOK: Duration = Duration::from_secs(1);

/// Least time after which a peer is told again what waits: one whose connection breaks again and again costs no more than that.
const TELL_INTERVAL: Duration = Duration::from_secs(30);

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

/// Greets each of the other validators when it is connected: the first time with the hash of the genesis block, and whenever it was away with what
/// waits here, of which it heard nothing.
pub(in crate::io) async fn greet<E: Clock>(
    runtime: E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    state: NodeState,
) {
    let mut hello = Vec::new();
    Item::Hello(state.chain.genesis_block().hash()).encode(&mut hello);
    let (mut reached, mut there) = (BTreeSet::new(), BTreeSet::new());
    let mut told: BTreeMap<PublicKey, SystemTime> = BTreeMap::new();
    loop {
        runtime.sleep(LOOK).await;
        let connected: BTreeSet<_> = connected(&mut sender).into_iter().collect();
        let strangers: Vec<_> = connected.difference(&reached).cloned().collect();
        if !strangers.is_empty() {
            reached.extend(sender.send(Recipients::Some(strangers), hello.clone(), false));
        }
        let now = runtime.current();
        let is_due = |peer: &&PublicKey| told.get(*peer).is_none_or(|last| is_over(*last, now));
        let returned: Vec<_> = connected.difference(&there).filter(is_due).cloned().collect();
        // One that was told lately counts as away until it may be told again.
        there = connected.into_iter().filter(|peer| there.contains(peer) || returned.contains(peer)).collect();
        if returned.is_empty() {
            continue;
        }
        told.extend(returned.iter().map(|peer| (peer.clone(), now)));
        let batches = waiting_transactions(&state);
        if !batches.is_empty() {
            info!(peers = returned.len(), batches = batches.len(), "sends what waits to validators that were away");
        }
        for batch in batches {
            sender.send(Recipients::Some(returned.clone()), batch, false);
            runtime.sleep(BATCH_INTERVAL).await;
        }
    }
}

/// Whether a peer may be told again what waits.
fn is_over(last: SystemTime, now: SystemTime) -> bool {
    now.duration_since(last).unwrap_or_default() >= TELL_INTERVAL
}

pub(super) fn connected(sender: &mut impl Sender<PublicKey = PublicKey>) -> Vec<PublicKey> {
    sender.check(Recipients::All).map(|checked| checked.recipients()).unwrap_or_default()
}
