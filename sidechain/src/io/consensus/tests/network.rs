//! Validators on a simulated network, each with its engine and its chain.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::simulated::{self, Link, Oracle};
use commonware_runtime::{Clock as _, Handle, Quota, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::{NZU32, NZUsize, probability};
use light::finality;

use super::super::{
    Application as _, ConsensusError, Pacing, Setup, Validator,
    network::{Channels, MAX_MESSAGE_BYTES},
    start,
};
use super::ledger::Ledger;
use crate::io::keys::ValidatorKeys;

pub type Runtime = deterministic::Context;

const CHAIN_ID: u64 = 51717;

const PACING: Pacing = Pacing { interval: Duration::from_millis(500), heartbeat: Duration::from_millis(2000) };

/// Validators that are connected with each other. Where it is lossy, one message of a hundred is lost, as when connections break.
pub struct Network {
    pub runtime: Runtime,
    oracle: Oracle<PublicKey, Runtime>,
    keys: Vec<ValidatorKeys>,
    validators: Vec<Validator>,
    pub ledgers: Vec<Arc<Ledger>>,
    running: Vec<Option<Handle<Result<(), ConsensusError>>>>,
}

impl Network {
    pub async fn new(runtime: Runtime, count: u8, lossy: bool, refuses: impl Fn(u8) -> Option<u64>) -> Self {
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
                disconnect_on_block: true,
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
        let ledgers = (0..count).map(|i| Ledger::new(refuses(i))).collect();
        let running = (0..count).map(|_| None).collect();
        Self { runtime, oracle, keys, validators, ledgers, running }
    }

    pub async fn start(&mut self, index: usize) {
        let key = peer(&self.validators[index].p2p_key);
        let control = self.oracle.control(key.clone());
        let quota = Quota::per_second(NZU32!(512));
        let channels = Channels {
            votes: control.register(0, quota).await.expect("registers"),
            certificates: control.register(1, quota).await.expect("registers"),
            resolver: control.register(2, quota).await.expect("registers"),
            blocks: control.register(3, quota).await.expect("registers"),
            backfill: control.register(4, quota).await.expect("registers"),
        };
        let (validators, keys) = (self.validators.clone(), self.keys[index].clone());
        let (ledger, peers) = (self.ledgers[index].clone(), self.oracle.manager());
        let runtime = self.runtime.child("validator").with_attribute("index", index);
        self.running[index] = Some(runtime.spawn(move |runtime| async move {
            let setup = Setup {
                chain_id: CHAIN_ID,
                validators: &validators,
                keys: &keys,
                pacing: PACING,
                partition: format!("{index}-"),
            };
            start(runtime, setup, ledger, channels, peers, control).await
        }));
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

    /// All chains are prefixes of the longest, every certificate is valid, and the last block is final by its own or none.
    pub fn check(&self) {
        let longest = self.ledgers.iter().map(|l| l.hashes()).max_by_key(Vec::len).expect("validators");
        let members = self.validators.iter().map(|v| (v.p2p_key, v.validator_key));
        let validators = finality::Validators::new(CHAIN_ID, members).expect("valid keys");
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

pub fn peer(key: &[u8; 32]) -> PublicKey {
    PublicKey::decode(Copying(key)).expect("made by ValidatorKeys")
}
