//! Incoming gossip: checked and taken as if users had sent it here.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use alloy_primitives::B256;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Metrics, Spawner};
use light::finality::Validators;
use tracing::{error, info, warn};

use super::{
    batch::{self, BATCH_INTERVAL, Item, MAX_MESSAGE_BYTES},
    catch_up::latest_registrations,
    standing,
};
use crate::{
    io::{
        clock::unix_ms,
        node_state::{NodeState, Source},
    },
    panics::contain,
};

/// Least time between two answers to the same question: answers are expensive, questions are not.
const ANSWER_INTERVAL: Duration = Duration::from_secs(30);

/// Takes what other validators send into the pool and the store, until the network ends.
pub(in crate::io) async fn receive<E: Clock + Spawner + Metrics>(
    runtime: E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    mut receiver: impl Receiver<PublicKey = PublicKey>,
    state: NodeState,
    validators: Validators,
) {
    let validators = Arc::new(validators);
    let genesis = state.chain.genesis_block().hash();
    let mut answered: BTreeMap<PublicKey, SystemTime> = BTreeMap::new();
    while let Ok((peer, message)) = receiver.recv().await {
        let Some(items) = read(&peer, message.as_ref()) else { continue };
        let now = runtime.current();
        let hello = hello(&items);
        warn_of_another_network(&peer, hello, genesis);
        let asks = hello.is_some() && answered.get(&peer).is_none_or(|last| is_over(*last, now));
        let (taker, from, validators) = (state.clone(), peer.clone(), validators.clone());
        let work = runtime.child("gossip").shared(true).spawn(move |_| async move {
            if let Err(panic) = contain(|| take(&taker, &from, &validators, items, unix_ms(now))) {
                error!(peer = %from, panic, "a bug, set off by gossip: the batch is given up");
            }
            if asks { latest_registrations(&taker) } else { Vec::new() }
        });
        let Ok(batches) = work.await else { return };
        if asks {
            answered.insert(peer.clone(), now);
        }
        if !batches.is_empty() {
            info!(%peer, batches = batches.len(), "sends registrations to a validator that was away");
        }
        for batch in batches {
            sender.send(Recipients::One(peer.clone()), batch, false);
            runtime.sleep(BATCH_INTERVAL).await;
        }
    }
}

/// The items of a message; `None` for one that nobody honest sends.
fn read(peer: &PublicKey, message: &[u8]) -> Option<Vec<Item>> {
    if message.len() > MAX_MESSAGE_BYTES {
        warn!(%peer, bytes = message.len(), "gossip is too large");
        return None;
    }
    let items = batch::decode(message);
    if items.is_none() {
        warn!(%peer, "gossip does not decode");
    }
    items
}

/// The genesis block that the sender announces, if it does.
fn hello(items: &[Item]) -> Option<B256> {
    items.iter().find_map(|item| match item {
        Item::Hello(genesis) => Some(*genesis),
        Item::Transaction(_) | Item::Registration(_) | Item::Paid(..) | Item::Head(_) | Item::Clock(_) => None,
    })
}

fn warn_of_another_network(peer: &PublicKey, theirs: Option<B256>, ours: B256) {
    if let Some(theirs) = theirs.filter(|theirs| *theirs != ours) {
        error!(%peer, %theirs, %ours, "a validator runs another genesis file: they can never agree");
    }
}

fn is_over(last: SystemTime, now: SystemTime) -> bool {
    now.duration_since(last).unwrap_or_default() >= ANSWER_INTERVAL
}

/// Transactions are queued: a peer that sends more than is checked in its turns loses what is too much.
fn take(state: &NodeState, peer: &PublicKey, validators: &Validators, items: Vec<Item>, now_ms: u64) {
    let mut registrations = Vec::new();
    // One of each batch: checking a certificate costs a millisecond.
    let mut head = None;
    for item in items {
        match item {
            Item::Transaction(raw) => state.deliver(Source::Peer(key(peer)), raw),
            Item::Registration(registration) => registrations.push((registration, None)),
            Item::Paid(registration, proof) => registrations.push((registration, Some(Arc::unwrap_or_clone(proof)))),
            Item::Hello(_) => {}
            Item::Head(announced) => head = Some(announced),
            Item::Clock(theirs_ms) => state.facts().clocks.hear(key(peer), theirs_ms, now_ms),
        }
    }
    if !registrations.is_empty() {
        state.register_gossiped(peer.as_ref(), registrations, now_ms);
    }
    if let Some(Err(refused)) = head.map(|head| standing::take(state, peer, validators, &head)) {
        warn!(%peer, %refused, "a validator announces a head that is not final");
    }
}

/// An ed25519 key; one of another length would count as another, and no more.
fn key(peer: &PublicKey) -> [u8; 32] {
    let mut key = [0; 32];
    key.iter_mut().zip(peer.as_ref()).for_each(|(key, byte)| *key = *byte);
    key
}
