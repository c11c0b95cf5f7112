//! Validators on a simulated network, each with its engine and its chain.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    self as p2p, LimitedSender,
    simulated::{self, Link, Oracle},
};
use commonware_runtime::{Clock as _, Handle, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::{NZUsize, probability};
use light::finality;

use super::{
    super::{
        Application, ConsensusError, Pacing, Setup, Validator,
        network::{BACKFILL_RATE, BLOCKS_RATE, CERTIFICATES_RATE, Channels, MAX_MESSAGE_BYTES, VOTES_RATE},
        scheme::{self, Scheme},
        start,
    },
    ledger::Ledger,
};
use crate::io::keys::ValidatorKeys;

pub type Runtime = deterministic::Context;
pub type Sender = simulated::Sender<PublicKey, Runtime>;
pub type Receiver = simulated::Receiver<PublicKey>;

pub const CHAIN_ID: u64 = 51717;

const NETWORK: B256 = B256::repeat_byte(0x51);

const PACING: Pacing = Pacing { interval: Duration::from_millis(500), heartbeat: Duration::from_millis(2000) };

/// Validators that are connected with each other. Where it is lossy, one message of a hundred is lost, as when connections break.
pub struct Network<A = Ledger> {
    pub runtime: Runtime,
    oracle: Oracle<PublicKey, Runtime>,
    keys: Vec<ValidatorKeys>,
    validators: Vec<Validator>,
    pub pacing: Pacing,
    pub ledgers: Vec<Arc<A>>,
    running: Vec<Option<Handle<Result<(), ConsensusError>>>>,
}

impl Network<Ledger> {
    pub async fn new(runtime: Runtime, count: u8, lossy: bool, refuses: impl Fn(u8) -> Option<u64>) -> Self {
        Self::of(runtime, (0..count).map(|i| Ledger::new(refuses(i))).collect(), lossy, true).await
    }

    /// All chains are prefixes of the longest, every certificate is valid, and the last block is final by its own or none.
    pub fn check(&self) {
        let longest = self.ledgers.iter().map(|l| l.hashes()).max_by_key(Vec::len).expect("validators");
        let members = self.validators.iter().map(|v| (v.p2p_key, v.validator_key));
        let validators = finality::Validators::new(NETWORK, members).expect("valid keys");
        for ledger in &self.ledgers {
            assert!(longest.starts_with(&ledger.hashes()));
            for (block, certificate) in ledger.last.lock().iter() {
                if let Some(certificate) = certificate {
                    let hash = block.hash();
                    let decoded = finality::verify(certificate, &validators, hash).expect("a quorum signed it");
                    assert!(finality::verify(certificate, &validators, B256::ZERO).is_err());
                    assert!(decoded.signers.iter().filter(|signed| **signed).count() >= validators.quorum());
                }
            }
        }
    }
}

impl<A: Application> Network<A> {
    /// A validator for each application. `blocking`: who blocks a peer hears no more of it.
    pub async fn of(runtime: Runtime, applications: Vec<Arc<A>>, lossy: bool, blocking: bool) -> Self {
        let count = u8::try_from(applications.len()).expect("a few");
        let keys: Vec<_> = (0..count)
            .map(|i| {
                let mut bytes = [i + 1; crate::io::keys::KEYS_BYTES];
                bytes[0] = 1;
                ValidatorKeys::from_bytes(&bytes).expect("small numbers are valid secrets")
            })
            .collect();
        let validators: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(i, keys)| Validator {
                p2p_key: keys.public().p2p_key,
                validator_key: keys.public().validator_key,
                account: Address::repeat_byte(i as u8),
            })
            .collect();
        let peers: Vec<_> = validators.iter().map(|v| peer(&v.p2p_key)).collect();
        let (network, oracle) = simulated::Network::new_with_peers(
            runtime.child("network"),
            simulated::Config {
                max_size: MAX_MESSAGE_BYTES as u32,
                max_peers_per_set: NZUsize!(64),
                disconnect_on_block: blocking,
                tracked_peer_sets: NZUsize!(1),
            },
            peers.clone(),
        )
        .await;
        network.start();
        let link = Link {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(5),
            success_rate: if lossy { probability!(0.99) } else { probability!(1.0) },
        };
        for a in &peers {
            for b in peers.iter().filter(|b| *b != a) {
                oracle.add_link(a.clone(), b.clone(), link.clone()).await.expect("new link");
            }
        }
        let running = applications.iter().map(|_| None).collect();
        Self { runtime, oracle, keys, validators, pacing: PACING, ledgers: applications, running }
    }

    pub async fn start(&mut self, index: usize) {
        let channels = self.channels(index).await;
        self.start_over(index, channels);
    }

    /// What a validator sends and hears: votes, certificates, the resolver, new blocks, old blocks.
    pub async fn channels(&self, index: usize) -> [(Sender, Receiver); 5] {
        let control = self.oracle.control(peer(&self.validators[index].p2p_key));
        let rates = [VOTES_RATE, CERTIFICATES_RATE, CERTIFICATES_RATE, BLOCKS_RATE, BACKFILL_RATE];
        let mut channels = Vec::new();
        for (channel, rate) in (0..).zip(rates) {
            channels.push(control.register(channel, rate.quota()).await.expect("registers"));
        }
        channels.try_into().expect("five rates")
    }

    /// Starts a validator that may say and hear something else.
    pub fn start_over<S, R>(&mut self, index: usize, channels: [(S, R); 5])
    where
        S: LimitedSender<PublicKey = PublicKey>,
        R: p2p::Receiver<PublicKey = PublicKey>,
    {
        let control = self.oracle.control(peer(&self.validators[index].p2p_key));
        let (validators, keys) = (self.validators.clone(), self.keys[index].clone());
        let (ledger, peers, pacing) = (self.ledgers[index].clone(), self.oracle.manager(), self.pacing);
        let runtime = self.runtime.child("validator").with_attribute("index", index);
        self.running[index] = Some(runtime.spawn(move |runtime| async move {
            let partition = format!("{index}-");
            let setup =
                Setup { network: NETWORK, validators: &validators, keys: &keys, pacing, votes_floor: None, partition };
            let channels = Channels::new(&runtime, channels);
            start(runtime, setup, ledger, channels, peers, control).await
        }));
    }

    /// The keys that a validator signs votes with.
    pub fn signer(&self, index: usize) -> Scheme {
        scheme::signer(NETWORK, &self.validators, &self.keys[index]).expect("one of them")
    }

    pub async fn kill(&mut self, index: usize) {
        let running = self.running[index].take().expect("it runs");
        running.abort();
        let _ = running.await;
    }

    pub async fn sleep(&self, seconds: u64) {
        self.runtime.sleep(Duration::from_secs(seconds)).await;
    }

    pub fn heads(&self) -> Vec<u64> {
        self.ledgers.iter().map(|ledger| ledger.head()).collect()
    }
}

pub fn peer(key: &[u8; 32]) -> PublicKey {
    PublicKey::decode(Copying(key)).expect("made by ValidatorKeys")
}
