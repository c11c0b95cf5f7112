//! The validators' network: one authenticated, encrypted connection for each pair, with a channel for each kind of message.
//!
//! Membership is fixed and addresses are known, so peers are looked up in the genesis file (or its override in the
//! configuration) instead of being discovered: a node that comes back is dialled within a second.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use alloy_primitives::B256;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{
    ChaCha20Poly1305,
    ed25519::{self, PublicKey},
};
use commonware_p2p::{
    self as p2p, Address, AddressableManager as _, Ingress, LimitedSender,
    authenticated::lookup::{self, Network, Oracle},
};
use commonware_runtime::{Clock, Handle, Metrics, Network as Sockets, Quota, Resolver, Spawner};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZUsize, ordered::Map};
use rand_core::CryptoRng;

use super::{
    application::Validator,
    parts::{HEAD_BYTES, PART_BYTES, PartReceiver, PartSender, in_parts, parts},
    payload::MAX_PAYLOAD_BYTES,
};
use crate::{io::keys::ValidatorKeys, limits::MAX_TRANSACTION_BYTES};

/// Messages that wait inside the engine. Mailboxes are allocated ahead, so they are small.
pub(super) const MAILBOX_SIZE: NonZeroUsize = NZUsize!(512);

/// Messages on their way to one peer, for each of two priorities: a few of the largest blocks in parts.
const MAX_OUTGOING: NonZeroUsize = NZUsize!(256);

/// Largest message that the network carries. Votes and certificates are far smaller, everything else travels in parts.
pub(crate) const MAX_MESSAGE_BYTES: usize = PART_BYTES + HEAD_BYTES;

/// Largest message of old blocks: a block with a certificate and framing.
pub(super) const MAX_BACKFILL_BYTES: usize = MAX_PAYLOAD_BYTES + (16 << 10);

/// Largest message of gossip: a transaction with framing.
const MAX_GOSSIP_BYTES: usize = MAX_TRANSACTION_BYTES + 16;

/// Parts of a full block.
const BLOCK_PARTS: u32 = parts(MAX_BACKFILL_BYTES) as u32;

/// How many messages of a channel each peer may send. What goes beyond waits in the peer's connection; an honest peer keeps to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    per_second: u32,
    at_once: u32,
}

impl Rate {
    /// The rate as the network counts it.
    pub(crate) fn quota(self) -> Quota {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Quota::per_second(at_least_one(self.per_second)).allow_burst(at_least_one(self.at_once))
    }
}

/// Single votes: three in each round of half a second, and one more for each second that a round lasts.
pub(crate) const VOTES_RATE: Rate = Rate { per_second: 64, at_once: 64 };

/// Quorums of votes: as many. Who was away asks for those that it missed, one after the other.
pub(crate) const CERTIFICATES_RATE: Rate = Rate { per_second: 64, at_once: 64 };

/// New blocks, in parts: three full ones a second. Each peer makes a block in its rounds, and passes others' on to who missed them.
pub(crate) const BLOCKS_RATE: Rate = Rate { per_second: 3 * BLOCK_PARTS, at_once: 2 * BLOCK_PARTS };

/// Old blocks, in parts: four full ones a second from each peer, or hundreds of small ones. A peer that is behind catches up.
pub(crate) const BACKFILL_RATE: Rate = Rate { per_second: 4 * BLOCK_PARTS, at_once: 2 * BLOCK_PARTS };

/// Gossip, in parts: 6 MiB a second, which is some ten thousand transactions.
const GOSSIP_RATE: Rate = Rate { per_second: 96, at_once: 32 };

/// A sender and a receiver for each kind of message.
pub struct Channels<S: LimitedSender, R: p2p::Receiver> {
    /// Votes of single validators.
    pub votes: (S, R),
    /// Quorums of votes.
    pub certificates: (S, R),
    /// Requests for certificates that a validator missed.
    pub resolver: (S, R),
    /// New blocks.
    pub(super) blocks: (PartSender<S>, PartReceiver<R>),
    /// Requests for old blocks.
    pub(super) backfill: (PartSender<S>, PartReceiver<R>),
}

impl<S: LimitedSender, R: p2p::Receiver> Channels<S, R> {
    /// The channels over those of the network, for votes, certificates, the resolver, new blocks and old ones.
    pub(crate) fn new<E>(runtime: &E, [votes, certificates, resolver, blocks, backfill]: [(S, R); 5]) -> Self
    where
        E: Clock + Spawner + Metrics,
    {
        let blocks = in_parts(&runtime.child("blocks"), MAX_PAYLOAD_BYTES, blocks);
        let backfill = in_parts(&runtime.child("backfill"), MAX_BACKFILL_BYTES, backfill);
        Self { votes, certificates, resolver, blocks, backfill }
    }
}

/// Channel numbers: part of the protocol between validators.
const VOTES: u64 = 0;
const CERTIFICATES: u64 = 1;
const RESOLVER: u64 = 2;
const BLOCKS: u64 = 3;
const BACKFILL: u64 = 4;
const GOSSIP: u64 = 5;

type Sender<E> = lookup::Sender<PublicKey, E>;
type Receiver = lookup::Receiver<PublicKey>;

/// Connections to the other validators, running.
pub(crate) struct Connected<E: Clock> {
    pub(crate) channels: Channels<Sender<E>, Receiver>,
    /// Transactions and deposit registrations.
    pub(crate) gossip: (PartSender<Sender<E>>, PartReceiver<Receiver>),
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
    network: B256,
    keys: &ValidatorKeys,
    listen: SocketAddr,
    validators: &[Validator],
    addresses: &BTreeMap<[u8; 32], String>,
) -> Result<Connected<E>, NetworkError>
where
    E: Spawner + Clock + CryptoRng + Sockets + Resolver + Metrics,
{
    let peers = peers(validators, addresses)?;
    let config = config(network, keys, listen, peers.len())?;
    let (mut network, mut oracle) = Network::new(runtime.child("network"), config);
    let channels = Channels::new(
        &runtime,
        [
            network.register(VOTES, VOTES_RATE.quota()),
            network.register(CERTIFICATES, CERTIFICATES_RATE.quota()),
            network.register(RESOLVER, CERTIFICATES_RATE.quota()),
            network.register(BLOCKS, BLOCKS_RATE.quota()),
            network.register(BACKFILL, BACKFILL_RATE.quota()),
        ],
    );
    let gossip = network.register(GOSSIP, GOSSIP_RATE.quota());
    let gossip = in_parts(&runtime.child("gossip"), MAX_GOSSIP_BYTES, gossip);
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

/// A handshake is taken from whoever proves its key, whatever its clock shows: a validator with a wrong clock must hear the others'
/// to know ([`crate::clocks`]). One that is repeated by somebody else leads nowhere, for it names keys made for that connection.
const ANY_CLOCK: Duration = Duration::from_secs(u32::MAX as u64);

/// Keys, limits and the rules for peers.
fn config(network: B256, keys: &ValidatorKeys, listen: SocketAddr, peers: usize) -> Result<Config, NetworkError> {
    let handshake = Cups::new(
        Sake {
            signer: keys.p2p(),
            synchrony_bound: ANY_CLOCK,
            max_handshake_age: ANY_CLOCK,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let max_peers = NonZeroUsize::new(peers).ok_or(NetworkError::DuplicateKey)?;
    let max_message = u32::try_from(MAX_MESSAGE_BYTES).expect("some KiB");
    let namespace = format!("causeway/{network:x}/p2p");
    let mut config =
        lookup::Config::local(handshake, namespace.as_bytes(), listen, max_peers, max_message, MAX_OUTGOING);
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
    use commonware_p2p::{Receiver as _, Sender as _};
    use commonware_runtime::{Runner as _, Supervisor as _, deterministic};

    use super::{super::arrivals::KEPT_BYTES, *};

    // Whatever others send, and however slowly they take what they asked for.
    #[test]
    fn all_that_waits_of_four_members_is_below_half_a_gibibyte() {
        let (members, mib) = (4, 1 << 20);
        let rates = [VOTES_RATE, CERTIFICATES_RATE, CERTIFICATES_RATE, BLOCKS_RATE, BACKFILL_RATE, GOSSIP_RATE];
        let arrived: usize = rates.iter().map(|rate| rate.at_once as usize * MAX_MESSAGE_BYTES).sum();
        let incomplete = 2 * (MAX_PAYLOAD_BYTES + MAX_BACKFILL_BYTES + MAX_GOSSIP_BYTES);
        let incoming = members * (arrived + incomplete + KEPT_BYTES) + KEPT_BYTES;
        // What waits for each of the others, in its connection and before; and an old block of the chain's and one of the engine's, each
        // as it was read, decoded, encoded and framed.
        let queued = 2 * MAX_OUTGOING.get() * MAX_MESSAGE_BYTES + incomplete;
        let outgoing = (members - 1) * queued + 2 * 4 * MAX_BACKFILL_BYTES;
        println!("incoming {} MiB, outgoing {} MiB", incoming / mib, outgoing / mib);
        assert!(incoming + outgoing < 512 * mib);
    }

    /// Two validators that listen on this machine.
    fn pair() -> ([ValidatorKeys; 2], Vec<Validator>, BTreeMap<[u8; 32], String>) {
        let keys = [1, 2].map(|number| {
            let mut bytes = [number; crate::io::keys::KEYS_BYTES];
            bytes[0] = 1;
            ValidatorKeys::from_bytes(&bytes).expect("small numbers are valid secrets")
        });
        let validators = keys.iter().map(|keys| Validator {
            p2p_key: keys.public().p2p_key,
            validator_key: keys.public().validator_key,
            account: alloy_primitives::Address::ZERO,
        });
        let validators: Vec<_> = validators.collect();
        let ports = [9001, 9002];
        let addresses =
            validators.iter().zip(ports).map(|(v, port)| (v.p2p_key, format!("127.0.0.1:{port}"))).collect();
        (keys, validators, addresses)
    }

    #[test]
    fn a_validator_that_floods_with_the_largest_messages_is_heard_at_its_rate() {
        deterministic::Runner::timed(Duration::from_secs(600)).start(|runtime| async move {
            let ([honest, flooding], validators, addresses) = pair();
            let listen = |port| SocketAddr::from(([127, 0, 0, 1], port));
            let connected =
                connect(runtime.child("honest"), B256::ZERO, &honest, listen(9001), &validators, &addresses)
                    .expect("connects");
            let config = config(B256::ZERO, &flooding, listen(9002), 2).expect("two peers");
            let (mut network, mut oracle) = Network::new(runtime.child("flooding"), config);
            let beyond = Rate { per_second: 100_000, at_once: 1_000 }.quota();
            let mut floods: Vec<_> = (VOTES..=GOSSIP).map(|channel| network.register(channel, beyond).0).collect();
            oracle.track(0, peers(&validators, &addresses).expect("two peers"));
            network.start();

            let [mut votes, mut resolver] = [connected.channels.votes.1, connected.channels.resolver.1];
            let message = vec![0xff; MAX_MESSAGE_BYTES];
            let until = runtime.current() + Duration::from_secs(20);
            let mut heard = [0, 0];
            while runtime.current() < until {
                for flood in [VOTES, RESOLVER].map(|channel| channel as usize) {
                    let _ = floods[flood].send(p2p::Recipients::All, message.clone(), true);
                }
                tokio::select! {
                    arrived = votes.recv() => heard[0] += usize::from(arrived.is_ok()),
                    arrived = resolver.recv() => heard[1] += usize::from(arrived.is_ok()),
                    () = runtime.sleep(Duration::from_millis(5)) => {}
                }
            }
            println!("{heard:?} messages in 20 s");
            let most = VOTES_RATE.at_once as usize + 20 * VOTES_RATE.per_second as usize;
            assert!(heard.iter().all(|heard| (50..=most).contains(heard)), "{heard:?}");
        });
    }

    #[test]
    fn a_full_block_is_sent_at_once() {
        for rate in [BLOCKS_RATE, BACKFILL_RATE] {
            assert!(rate.at_once as usize >= parts(MAX_BACKFILL_BYTES));
            assert!(MAX_OUTGOING.get() >= rate.at_once as usize);
        }
        assert!(GOSSIP_RATE.at_once as usize >= parts(MAX_GOSSIP_BYTES));
    }

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
