//! The validators' network: one authenticated, encrypted connection for each pair, with a channel for each kind of message.
//!
//! Membership is fixed and addresses are known, so peers are looked up in the genesis file (or its override in the
//! configuration) instead of being discovered: a node that comes back is dialled within a second.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroUsize, time::Duration};

use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{
    ChaCha20Poly1305,
    ed25519::{self, PublicKey},
};
use commonware_p2p::{
    Address, AddressableManager as _, Ingress,
    authenticated::lookup::{self, Network, Oracle},
};
use commonware_runtime::{Clock, Handle, Metrics, Network as Sockets, Quota, Resolver, Spawner};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZU32, NZUsize, ordered::Map};
use rand_core::CryptoRng;

use super::{application::Validator, payload::MAX_PAYLOAD_BYTES};
use crate::io::keys::ValidatorKeys;

/// Messages that wait inside the engine. Mailboxes are allocated ahead, so they are small.
pub(crate) const MAILBOX_SIZE: NonZeroUsize = NZUsize!(512);

/// Largest message: a block with a certificate and framing.
pub(crate) const MAX_MESSAGE_BYTES: usize = MAX_PAYLOAD_BYTES + (16 << 10);

/// A sender and a receiver for each kind of message.
pub struct Channels<S, R> {
    /// Votes of single validators.
    pub votes: (S, R),
    /// Quorums of votes.
    pub certificates: (S, R),
    /// Requests for certificates that a validator missed.
    pub resolver: (S, R),
    /// New blocks.
    pub blocks: (S, R),
    /// Requests for old blocks.
    pub backfill: (S, R),
}

/// Channel numbers: part of the protocol between validators.
const VOTES: u64 = 0;
const CERTIFICATES: u64 = 1;
const RESOLVER: u64 = 2;
const BLOCKS: u64 = 3;
const BACKFILL: u64 = 4;
const GOSSIP: u64 = 5;

pub(crate) type Sender<E> = lookup::Sender<PublicKey, E>;
pub(crate) type Receiver = lookup::Receiver<PublicKey>;

/// Connections to the other validators, running.
pub(crate) struct Connected<E: Clock> {
    pub(crate) channels: Channels<Sender<E>, Receiver>,
    /// Transactions and deposit registrations.
    pub(crate) gossip: (Sender<E>, Receiver),
    /// Who the peers are, and a way to block one.
    pub(crate) oracle: Oracle<PublicKey>,
    /// Ends when the network does, which it only does when something is wrong.
    pub(crate) running: Handle<()>,
}

/// Why the network cannot be set up from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The genesis file lists a key that no secret belongs to.
    #[error("validator {index} has a p2p key that is not a valid point")]
    BadKey {
        /// Position in the list of validators, from 0.
        index: usize,
    },
    /// The genesis file lists a key twice.
    #[error("two validators have the same p2p key")]
    DuplicateKey,
    /// The genesis file or the configuration has something else in its place.
    #[error("{address:?} is not an address, expected host:port")]
    BadAddress {
        /// As it is written there.
        address: String,
    },
}

/// Listens at `listen`, and keeps connections to all other validators at `addresses` ("host:port", by p2p key).
///
/// # Errors
///
/// See [`NetworkError`]. A listen address that is taken shows later: `running` ends.
pub(crate) fn connect<E>(
    runtime: E,
    chain_id: u64,
    keys: &ValidatorKeys,
    listen: SocketAddr,
    validators: &[Validator],
    addresses: &BTreeMap<[u8; 32], String>,
) -> Result<Connected<E>, NetworkError>
where
    E: Spawner + Clock + CryptoRng + Sockets + Resolver + Metrics,
{
    let peers = peers(validators, addresses)?;
    let config = config(chain_id, keys, listen, peers.len())?;
    let (mut network, mut oracle) = Network::new(runtime.child("network"), config);
    let small = Quota::per_second(NZU32!(512));
    let large = Quota::per_second(NZU32!(128));
    let channels = Channels {
        votes: network.register(VOTES, small),
        certificates: network.register(CERTIFICATES, small),
        resolver: network.register(RESOLVER, small),
        blocks: network.register(BLOCKS, large),
        backfill: network.register(BACKFILL, small),
    };
    let gossip = network.register(GOSSIP, small);
    oracle.track(0, peers);
    Ok(Connected { channels, gossip, oracle, running: network.start() })
}

/// Where each validator is reached.
fn peers(
    validators: &[Validator],
    addresses: &BTreeMap<[u8; 32], String>,
) -> Result<Map<PublicKey, Address>, NetworkError> {
    let mut peers = Vec::with_capacity(validators.len());
    for (index, validator) in validators.iter().enumerate() {
        let key = PublicKey::decode(Copying(&validator.p2p_key)).map_err(|_| NetworkError::BadKey { index })?;
        let address = addresses.get(&validator.p2p_key).map_or("", String::as_str);
        peers.push((key, ingress(address)?));
    }
    peers.try_into().map_err(|_| NetworkError::DuplicateKey)
}

type Config = lookup::Config<Cups<Sake<ed25519::PrivateKey>, ChaCha20Poly1305>>;

/// Keys, limits and the rules for peers.
fn config(chain_id: u64, keys: &ValidatorKeys, listen: SocketAddr, peers: usize) -> Result<Config, NetworkError> {
    let handshake = Cups::new(
        Sake {
            signer: keys.p2p(),
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let max_peers = NonZeroUsize::new(peers).ok_or(NetworkError::DuplicateKey)?;
    let max_message = u32::try_from(MAX_MESSAGE_BYTES).expect("a few MiB");
    let namespace = format!("causeway/{chain_id}/p2p");
    let mut config =
        lookup::Config::local(handshake, namespace.as_bytes(), listen, max_peers, max_message, MAILBOX_SIZE);
    // Who a peer is, its key proves; where it connects from does not matter (NAT, DNS names, several on one host).
    config.bypass_ip_check = true;
    config.tracked_peer_sets = NZUsize!(1);
    // A peer that misbehaved may have been repaired since.
    config.block_duration = Duration::from_secs(600);
    Ok(config)
}

/// Reads "host:port", where host is an IP address or a name.
fn ingress(address: &str) -> Result<Address, NetworkError> {
    let bad = || NetworkError::BadAddress { address: address.to_owned() };
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return Ok(Address::Symmetric(socket));
    }
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    // Loopback by name is common in configurations of one machine, and needs no resolver.
    if host == "localhost" {
        return Ok(Address::Symmetric(SocketAddr::from(([127, 0, 0, 1], port))));
    }
    let host = host.try_into().map_err(|_| bad())?;
    Ok(Address::Asymmetric { ingress: Ingress::Dns { host, port }, egress: SocketAddr::from(([0, 0, 0, 0], port)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_or_names() {
        assert_eq!(ingress("127.0.0.1:9000"), Ok(Address::Symmetric(([127, 0, 0, 1], 9000).into())));
        assert_eq!(ingress("localhost:9000"), ingress("127.0.0.1:9000"));
        assert!(matches!(ingress("validator-1.example:9000"), Ok(Address::Asymmetric { .. })));
        for bad in ["", "host", "host:port", ":1", "bad host:1", "host:70000"] {
            assert_eq!(ingress(bad), Err(NetworkError::BadAddress { address: bad.to_owned() }), "{bad}");
        }
    }
}
