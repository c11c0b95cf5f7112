//! What validators tell each other beside the engine: transactions and deposit registrations that users sent to one of them.
//!
//! Every validator is connected with every other, so each item is sent once, by the node that got it from its user, and
//! never passed on. Whoever receives it checks it as if a user had sent it. Items travel in batches; both queues and the
//! rate for each peer are bounded, and what does not fit is dropped: a user's retry brings it out.
//!
//! ```text
//! batch  = item*          item = kind (1) | length (4, big endian) | body
//! kind 0   transaction    EIP-2718 encoding
//! kind 1   registration   recipient 20 | reclaim key 32 | max fee, sat 8 | epoch 4 | output key 32
//! kind 2   hello          hash of the genesis block 32; asks for the registrations that its sender missed while it was away
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, SystemTime},
};

use alloy_primitives::{Address, B256, Bytes};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{CheckedSender as _, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Metrics, Spawner};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use crate::{
    app::Registration,
    io::rpc::{Gossip, Handles},
    types::MAX_TRANSACTION_BYTES,
};

/// Bytes of a batch, but for a transaction that is larger by itself.
const MAX_BATCH_BYTES: usize = 256 << 10;

/// Bytes of a message that a peer may send.
const MAX_MESSAGE_BYTES: usize = MAX_TRANSACTION_BYTES + HEAD_BYTES;

const HEAD_BYTES: usize = 5;

/// Items that wait to be sent. One transaction of usual size is some hundred bytes.
pub(super) const QUEUE: usize = 8192;

/// Time between batches: collects what arrives under load, and keeps this node below the rate that its peers accept.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);

/// Registrations answered to a peer that was away; those of about a day on a busy network. The ledger needs none of them,
/// and users can register again.
const MAX_MISSED: usize = 4096;

/// Time that a starting validator waits for all others, and for a quorum. Peers are dialled every half second.
const MEETING_ALL: Duration = Duration::from_secs(2);
const MEETING: Duration = Duration::from_secs(5);

/// Least time between two answers to the same question: answers are expensive, questions are not.
const MISSED_INTERVAL: Duration = Duration::from_secs(30);

/// Registrations read at a time.
const MISSED_PAGE: usize = 1024;

const REGISTRATION_BYTES: usize = 20 + 32 + 8 + 4 + 32;

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Transaction(Bytes),
    Registration(Registration),
    Hello(B256),
}

impl From<Gossip> for Item {
    fn from(gossip: Gossip) -> Self {
        match gossip {
            Gossip::Transaction(raw) => Self::Transaction(raw),
            Gossip::Registration(registration) => Self::Registration(registration),
        }
    }
}

impl Item {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Transaction(raw) => put(out, 0, &[raw]),
            Self::Registration(r) => put(
                out,
                1,
                &[
                    r.recipient.as_slice(),
                    r.reclaim_key.as_slice(),
                    &r.max_fee_sat.to_be_bytes(),
                    &r.epoch.to_be_bytes(),
                    r.output_key.as_slice(),
                ],
            ),
            Self::Hello(genesis) => put(out, 2, &[genesis.as_slice()]),
        }
    }

    fn decode(kind: u8, body: &[u8]) -> Option<Self> {
        match (kind, body.len()) {
            (0, 1..=MAX_TRANSACTION_BYTES) => Some(Self::Transaction(Bytes::copy_from_slice(body))),
            (1, REGISTRATION_BYTES) => Some(Self::Registration(Registration {
                recipient: Address::from_slice(&body[..20]),
                reclaim_key: B256::from_slice(&body[20..52]),
                max_fee_sat: u64::from_be_bytes(body[52..60].try_into().ok()?),
                epoch: u32::from_be_bytes(body[60..64].try_into().ok()?),
                output_key: B256::from_slice(&body[64..]),
            })),
            (2, 32) => Some(Self::Hello(B256::from_slice(body))),
            _ => None,
        }
    }
}

fn put(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(kind);
    out.extend_from_slice(&u32::try_from(length).expect("transactions are bounded").to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Reads a batch; `None` when any byte of it is not as it should be.
fn decode(mut bytes: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let length = u32::from_be_bytes(head[1..].try_into().ok()?) as usize;
        let (body, rest) = rest.split_at_checked(length)?;
        items.push(Item::decode(head[0], body)?);
        bytes = rest;
    }
    Some(items)
}

/// Sends what users brought to this node, until the channel or the runtime ends.
pub(super) async fn send<E: Clock>(
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
        let mut batch = Vec::new();
        first.encode(&mut batch);
        while batch.len() < MAX_BATCH_BYTES {
            let Ok(gossip) = queue.try_recv() else { break };
            let (before, item) = (batch.len(), Item::from(gossip));
            item.encode(&mut batch);
            if batch.len() > MAX_MESSAGE_BYTES {
                batch.truncate(before);
                held = Some(item);
                break;
            }
        }
        if sender.send(Recipients::All, batch, false).is_empty() {
            debug!("no validator took a gossiped batch");
        }
        runtime.sleep(BATCH_INTERVAL).await;
    }
}

/// Takes what other validators send into the pool and the store, until the network ends.
pub(super) async fn receive<E: Clock + Spawner + Metrics>(
    runtime: E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    mut receiver: impl Receiver<PublicKey = PublicKey>,
    handles: Handles,
) {
    let genesis = handles.chain.genesis_block().hash();
    let mut answered: BTreeMap<PublicKey, SystemTime> = BTreeMap::new();
    while let Ok((peer, message)) = receiver.recv().await {
        let message: Vec<u8> = message.as_ref().to_vec();
        if message.len() > MAX_MESSAGE_BYTES {
            warn!(%peer, bytes = message.len(), "gossip is too large");
            continue;
        }
        let Some(items) = decode(&message) else {
            warn!(%peer, "gossip does not decode");
            continue;
        };
        let now = runtime.current();
        let hello = items.iter().find_map(|item| match item {
            Item::Hello(genesis) => Some(*genesis),
            Item::Transaction(_) | Item::Registration(_) => None,
        });
        if let Some(theirs) = hello.filter(|theirs| *theirs != genesis) {
            error!(%peer, %theirs, ours = %genesis, "a validator runs another genesis file: they can never agree");
        }
        let asks = hello.is_some()
            && answered.get(&peer).is_none_or(|last| now.duration_since(*last).unwrap_or_default() >= MISSED_INTERVAL);
        let now_ms = super::unix_ms(now);
        let (taker, from) = (handles.clone(), peer.clone());
        let work = runtime.child("gossip").shared(true).spawn(move |_| async move {
            take(&taker, &from, items, now_ms);
            if asks { missed(&taker) } else { Vec::new() }
        });
        let Ok(answers) = work.await else { return };
        if asks {
            answered.insert(peer.clone(), now);
            if !answers.is_empty() {
                info!(%peer, batches = answers.len(), "sends registrations to a validator that was away");
            }
        }
        for batch in answers {
            sender.send(Recipients::One(peer.clone()), batch, false);
            runtime.sleep(BATCH_INTERVAL).await;
        }
    }
}

/// Waits for connections, but not for ever: a round that starts without its leader, or without a quorum, is lost.
pub(super) async fn meet<E: Clock>(
    runtime: &E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    others: usize,
    quorum: usize,
) {
    let started = runtime.current();
    loop {
        let waited = runtime.current().duration_since(started).unwrap_or_default();
        let wanted = if waited < MEETING_ALL { others } else { quorum.saturating_sub(1) };
        if waited >= MEETING || connected(&mut sender).len() >= wanted {
            return;
        }
        runtime.sleep(Duration::from_millis(50)).await;
    }
}

/// Greets each of the other validators once, when it is connected.
pub(super) async fn greet<E: Clock>(
    runtime: E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    genesis: B256,
    others: usize,
) {
    let mut hello = Vec::new();
    Item::Hello(genesis).encode(&mut hello);
    let mut greeted = BTreeSet::new();
    while greeted.len() < others {
        runtime.sleep(Duration::from_secs(1)).await;
        let new: Vec<_> = connected(&mut sender).into_iter().filter(|peer| !greeted.contains(peer)).collect();
        if !new.is_empty() {
            greeted.extend(sender.send(Recipients::Some(new), hello.clone(), false));
        }
    }
}

fn connected(sender: &mut impl Sender<PublicKey = PublicKey>) -> Vec<PublicKey> {
    sender.check(Recipients::All).map(|checked| checked.recipients()).unwrap_or_default()
}

fn take(handles: &Handles, peer: &PublicKey, items: Vec<Item>, now_ms: u64) {
    for item in items {
        let refused = match item {
            Item::Transaction(raw) => handles.admit(&raw, now_ms).err().map(|error| error.to_string()),
            Item::Registration(registration) => handles.register(&registration).err().map(|error| error.to_string()),
            Item::Hello(_) => None,
        };
        // Usual: two nodes see the pool in different orders, or a block came first.
        if let Some(reason) = refused {
            debug!(%peer, reason, "gossip not taken");
        }
    }
}

/// The latest registrations, in batches.
fn missed(handles: &Handles) -> Vec<Vec<u8>> {
    let mut latest = VecDeque::new();
    let mut cursor = 0;
    loop {
        let page = match handles.chain.registrations(cursor, MISSED_PAGE) {
            Ok(page) => page,
            Err(error) => {
                warn!(%error, "cannot read registrations");
                return Vec::new();
            }
        };
        let Some((last, _)) = page.last() else { break };
        cursor = *last;
        latest.extend(page.into_iter().map(|(_, registration)| registration));
        latest.drain(..latest.len().saturating_sub(MAX_MISSED));
    }
    let mut batches = vec![Vec::new()];
    for registration in latest {
        let last = batches.last_mut().expect("there is always one");
        Item::Registration(registration).encode(last);
        if last.len() > MAX_BATCH_BYTES {
            batches.push(Vec::new());
        }
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

/// What a validator that asks is told, as it reads it.
#[cfg(test)]
pub(super) fn told(handles: &Handles) -> Vec<Registration> {
    let batches = missed(handles);
    let items = batches.iter().flat_map(|batch| decode(batch).expect("our own batch"));
    items
        .map(|item| match item {
            Item::Registration(registration) => registration,
            other => panic!("{other:?} is no registration"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        let registration = Registration {
            recipient: Address::repeat_byte(1),
            reclaim_key: B256::repeat_byte(2),
            max_fee_sat: 3,
            epoch: 4,
            output_key: B256::repeat_byte(5),
        };
        vec![
            Item::Transaction(Bytes::from_static(&[2, 3, 4])),
            Item::Registration(registration),
            Item::Hello(B256::repeat_byte(6)),
            Item::Transaction(Bytes::from(vec![7; 1000])),
        ]
    }

    #[test]
    fn batches_are_read_as_written() {
        let mut batch = Vec::new();
        items().iter().for_each(|item| item.encode(&mut batch));
        assert_eq!(decode(&batch), Some(items()));
        assert_eq!(decode(&[]), Some(Vec::new()));
    }

    #[test]
    fn anything_else_is_refused() {
        let mut batch = Vec::new();
        items().iter().for_each(|item| item.encode(&mut batch));
        assert_eq!(decode(&batch[..batch.len() - 1]), None, "cut off");
        assert_eq!(decode(&[0, 0, 0, 0, 0]), None, "empty transaction");
        assert_eq!(decode(&[1, 0, 0, 0, 1, 9]), None, "short registration");
        assert_eq!(decode(&[9, 0, 0, 0, 0]), None, "unknown kind");
        assert_eq!(decode(&[0, 0xff, 0xff, 0xff, 0xff, 1]), None, "length beyond the end");
    }
}
