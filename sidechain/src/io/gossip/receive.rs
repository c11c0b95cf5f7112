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
    standing::{self, Refused},
};
use crate::{
    io::{
        clock::unix_ms,
        node_state::{NodeState, Source},
    },
    panics::contain,
    rate::RateLimit,
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
    let mut complaints = Complaints::default();
    while let Ok((peer, message)) = receiver.recv().await {
        let now = runtime.current();
        let items = match read(message.as_ref()) {
            Ok(items) => items,
            Err(unread) => {
                complaints.of(&peer, now, || warn!(%peer, %unread, "gossip is refused"));
                continue;
            }
        };
        let hello = hello(&items);
        if let Some(theirs) = hello.filter(|theirs| *theirs != genesis) {
            complaints.of(&peer, now, || {
                error!(%peer, %theirs, ours = %genesis, "a validator runs another genesis file: they can never agree");
            });
        }
        let asks = hello.is_some() && answered.get(&peer).is_none_or(|last| is_over(*last, now));
        let (taker, from, validators) = (state.clone(), peer.clone(), validators.clone());
        let work = runtime.child("gossip").shared(true).spawn(move |_| async move {
            let taken = contain(|| take(&taker, &from, &validators, items, unix_ms(now)));
            (taken, if asks { latest_registrations(&taker) } else { Vec::new() })
        });
        let Ok((taken, batches)) = work.await else { return };
        match taken {
            Ok(Ok(())) => {}
            Ok(Err(refused)) => complaints.of(&peer, now, || {
                warn!(%peer, %refused, "a validator announces a head that is not final");
            }),
            Err(panic) => complaints.of(&peer, now, || {
                error!(%peer, panic, "a bug, set off by gossip: the batch is given up");
            }),
        }
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

/// Lines of a minute in the log about one peer: it sends as often as its rate lets it, and is not to fill the disk with that.
const COMPLAINTS_PER_MINUTE: u32 = 6;

/// What was said of each peer lately. There are as many as validators.
#[derive(Debug, Default)]
struct Complaints(BTreeMap<PublicKey, RateLimit>);

impl Complaints {
    /// Says something of a peer, unless that was said often enough.
    fn of(&mut self, peer: &PublicKey, now: SystemTime, say: impl FnOnce()) {
        let limit = self.0.entry(peer.clone()).or_insert_with(|| RateLimit::new(COMPLAINTS_PER_MINUTE));
        if limit.take(unix_ms(now)) {
            say();
        }
    }
}

/// Why a message is not one that anybody honest sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unread {
    #[error("it has {0} bytes, expected at most {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    #[error("it does not decode")]
    Garbled,
}

/// The items of a message.
fn read(message: &[u8]) -> Result<Vec<Item>, Unread> {
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(Unread::TooLarge(message.len()));
    }
    batch::decode(message).ok_or(Unread::Garbled)
}

/// The genesis block that the sender announces, if it does.
fn hello(items: &[Item]) -> Option<B256> {
    items.iter().find_map(|item| match item {
        Item::Hello(genesis) => Some(*genesis),
        Item::Transaction(_) | Item::Registration(_) | Item::Paid(..) | Item::Head(_) | Item::Clock(_) => None,
    })
}

fn is_over(last: SystemTime, now: SystemTime) -> bool {
    now.duration_since(last).unwrap_or_default() >= ANSWER_INTERVAL
}

/// Transactions are queued: a peer that sends more than is checked in its turns loses what is too much.
fn take(
    state: &NodeState,
    peer: &PublicKey,
    validators: &Validators,
    items: Vec<Item>,
    now_ms: u64,
) -> Result<(), Refused> {
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
    head.map_or(Ok(()), |head| standing::take(state, peer, validators, &head))
}

/// An ed25519 key; one of another length would count as another, and no more.
fn key(peer: &PublicKey) -> [u8; 32] {
    let mut key = [0; 32];
    key.iter_mut().zip(peer.as_ref()).for_each(|(key, byte)| *key = *byte);
    key
}

#[cfg(test)]
mod tests {
    use commonware_cryptography::{Signer as _, ed25519::PrivateKey};

    use super::*;

    // one peer sends nonsense a hundred times a second for ten minutes, another once a minute
    #[test]
    fn a_validator_that_floods_with_nonsense_does_not_fill_the_log_and_hides_no_other() {
        let [noisy, other] = [1, 2].map(|seed| PrivateKey::from_seed(seed).public_key());
        let (mut complaints, mut of_noisy, mut of_other) = (Complaints::default(), 0, 0);
        for moment in 0..60_000_u64 {
            let now = SystemTime::UNIX_EPOCH + Duration::from_millis(10 * moment);
            complaints.of(&noisy, now, || of_noisy += 1);
            if moment.is_multiple_of(6_000) {
                complaints.of(&other, now, || of_other += 1);
            }
        }
        assert!((60..=66).contains(&of_noisy) && of_other == 10, "{of_noisy} and {of_other} lines");
    }

    #[test]
    fn what_nobody_honest_sends_is_refused_with_the_reason() {
        assert_eq!(read(&vec![0; MAX_MESSAGE_BYTES + 1]), Err(Unread::TooLarge(MAX_MESSAGE_BYTES + 1)));
        assert_eq!(read(&[9, 0, 0, 0, 0]), Err(Unread::Garbled));
        assert_eq!(read(&[]), Ok(Vec::new()));
    }
}
