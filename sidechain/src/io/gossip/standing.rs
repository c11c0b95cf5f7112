//! Validators tell each other how they stand: their last blocks, each with its certificate, so that everybody knows how far
//! behind it is, and one that lost its votes knows when it may vote again; and what their clocks show.

use std::{collections::BTreeMap, time::Duration};

use alloy_primitives::Bytes;
use alloy_rlp::Decodable as _;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Recipients, Sender};
use commonware_runtime::Clock;
use light::finality::{FinalityError, Validators, verify};
use tracing::warn;

use super::{
    batch::{Head, Item},
    peers::connected,
};
use crate::{
    block::Header,
    io::{clock::unix_ms, node_state::NodeState},
    rejoin::ProvenHead,
    state::store::StoreError,
};

/// Time between two announcements.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why an announcement is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("its header does not decode")]
    Header,
    #[error("block {0} has no certificate")]
    NoCertificate(u64),
    #[error("block {number}: {error}")]
    NotFinal { number: u64, error: FinalityError },
}

/// Announces clock and last block, if that has a certificate, to all, again and again, and counts who is connected. `others` are the names of the
/// other validators, by their p2p keys.
pub(in crate::io) async fn announce_standing<E: Clock>(
    runtime: E,
    mut sender: impl Sender<PublicKey = PublicKey>,
    state: NodeState,
    others: BTreeMap<[u8; 32], String>,
) {
    loop {
        let connected = connected(&mut sender);
        let is_away = |key: &[u8; 32]| !connected.iter().any(|peer| peer.as_ref() == key);
        let away = others.iter().filter(|(key, _)| is_away(key)).map(|(_, name)| name.clone()).collect();
        {
            let mut facts = state.facts();
            (facts.peers, facts.away) = (connected.len(), away);
        }
        let mut batch = Vec::new();
        match last(&state) {
            Ok(head) => head.into_iter().for_each(|head| Item::Head(head).encode(&mut batch)),
            Err(error) => warn!(%error, "cannot read the certificate of the head"),
        }
        Item::Clock(unix_ms(runtime.current())).encode(&mut batch);
        sender.send(Recipients::All, batch, false);
        runtime.sleep(INTERVAL).await;
    }
}

/// The head, if its certificate is here.
fn last(state: &NodeState) -> Result<Option<Head>, StoreError> {
    let header = state.chain.head();
    let certificate = match header.number {
        0 => Some(Vec::new()),
        number => state.chain.finality(number)?,
    };
    let header = Bytes::from(alloy_rlp::encode(&header));
    Ok(certificate.map(|certificate| Head { header, certificate: certificate.into() }))
}

/// Takes note of what a validator says of its last block. Only a later one than all before is checked.
pub(super) fn take(state: &NodeState, peer: &PublicKey, validators: &Validators, head: &Head) -> Result<(), Refused> {
    let header = Header::decode(&mut head.header.as_ref()).map_err(|_| Refused::Header)?;
    let (number, hash) = (header.number, header.hash_slow());
    let known = state.facts().best.as_ref().map_or(0, |best| best.number);
    if number > known {
        if head.certificate.is_empty() {
            return Err(Refused::NoCertificate(number));
        }
        verify(&head.certificate, validators, hash).map_err(|error| Refused::NotFinal { number, error })?;
        let (timestamp, certificate) = (header.timestamp, head.certificate.to_vec());
        state.facts().best = Some(ProvenHead { number, timestamp, certificate });
        state.heard_of(number);
    }
    if let Ok(key) = <[u8; 32]>::try_from(peer.as_ref()) {
        state.facts().announced.insert(key);
    }
    Ok(())
}
