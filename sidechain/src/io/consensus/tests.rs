//! The engine over a chain that executes nothing: blocks are real, state is a list. Tested are order, finality,
//! certificates, pacing and recovery. Runs on the deterministic runtime: one seed, one history.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use alloy_consensus::{Header, TxEnvelope, proofs::calculate_transaction_root};
use alloy_primitives::{Address, B256};
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::simulated::{self, Link, Oracle};
use commonware_runtime::{Clock as _, Handle, Quota, Runner as _, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::{NZU32, NZUsize, probability, sync::Mutex};
use light::finality;
use tokio::sync::Notify;

use super::{
    Application, ConsensusError, Pacing, Setup, Validator, Verdict,
    network::{Channels, MAX_MESSAGE_BYTES},
    start,
};
use crate::{block::Block, io::keys::ValidatorKeys, testing::unsigned_transaction};

const CHAIN_ID: u64 = 51717;

const PACING: Pacing = Pacing { interval: Duration::from_millis(500), heartbeat: Duration::from_millis(2000) };

type Runtime = deterministic::Context;

/// A chain without state. It survives the crashes of its engine, as a disk would.
#[derive(Default)]
struct Ledger {
    known: Mutex<BTreeMap<B256, Block>>,
    /// Final blocks with their certificates, from number 0.
    last: Mutex<Vec<(Block, Option<Vec<u8>>)>>,
    waiting: Mutex<Vec<TxEnvelope>>,
    arrived: Notify,
    /// Blocks whose first transaction has this nonce are refused.
    refuses: Option<u64>,
}

impl Ledger {
    fn new(refuses: Option<u64>) -> Arc<Self> {
        let ledger = Self { refuses, ..Self::default() };
        let genesis = ledger.genesis();
        ledger.known.lock().insert(genesis.hash(), genesis.clone());
        ledger.last.lock().push((genesis, None));
        Arc::new(ledger)
    }

    fn submit(&self, nonce: u64) {
        self.waiting.lock().push(unsigned_transaction(nonce));
        self.arrived.notify_waiters();
    }

    fn hashes(&self) -> Vec<B256> {
        self.last.lock().iter().map(|(block, _)| block.hash()).collect()
    }
}

impl Application for Ledger {
    fn genesis(&self) -> Block {
        let transactions_root = calculate_transaction_root::<TxEnvelope>(&[]);
        Block { header: Header { transactions_root, ..Header::default() }, transactions: Vec::new() }
    }

    fn head(&self) -> u64 {
        self.last.lock().len() as u64 - 1
    }

    fn knows(&self, hash: B256) -> bool {
        self.known.lock().contains_key(&hash)
    }

    fn has_work(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    fn work_arrived(&self) -> impl Future<Output = ()> + Send {
        self.arrived.notified()
    }

    fn build(&self, parent: B256, now_ms: u64, beneficiary: Address) -> Result<Block, String> {
        let mut known = self.known.lock();
        let parent = known.get(&parent).ok_or("unknown parent")?.clone();
        let taken: Vec<_> = parent.transactions.clone();
        let waiting = self.waiting.lock();
        let transactions: Vec<_> = waiting.iter().filter(|t| !taken.contains(t)).cloned().collect();
        let header = Header {
            parent_hash: parent.hash(),
            number: parent.header.number + 1,
            timestamp: (now_ms / 1000).max(parent.header.timestamp),
            transactions_root: calculate_transaction_root(&transactions),
            beneficiary,
            ..Header::default()
        };
        let block = Block { header, transactions };
        known.insert(block.hash(), block.clone());
        Ok(block)
    }

    fn check(&self, block: &Block, now_ms: u64) -> Verdict {
        if block.header.timestamp > now_ms / 1000 + 1 {
            return Verdict::NotYet { until_ms: (block.header.timestamp - 1) * 1000 };
        }
        let nonce = block.transactions.first().map(alloy_consensus::Transaction::nonce);
        if nonce.is_some() && nonce == self.refuses {
            return Verdict::Invalid("refused".into());
        }
        let mut known = self.known.lock();
        assert!(known.contains_key(&block.header.parent_hash), "parents are checked first");
        known.insert(block.hash(), block.clone());
        Verdict::Valid
    }

    fn commit(&self, block: &Block, certificate: Option<&[u8]>, _: u64) -> Result<(), String> {
        let mut last = self.last.lock();
        if block.header.number < last.len() as u64 {
            assert_eq!(last[block.header.number as usize].0, *block, "finality is for ever");
            return Ok(());
        }
        assert_eq!(block.header.number, last.len() as u64, "blocks come in order");
        assert_eq!(block.header.parent_hash, last[last.len() - 1].0.hash());
        last.push((block.clone(), certificate.map(<[u8]>::to_vec)));
        self.known.lock().insert(block.hash(), block.clone());
        self.waiting.lock().retain(|transaction| !block.transactions.contains(transaction));
        Ok(())
    }
}

/// A network of validators on a simulated internet. Where it is lossy, one message of a hundred is lost, as when connections break.
struct World {
    runtime: Runtime,
    oracle: Oracle<PublicKey, Runtime>,
    keys: Vec<ValidatorKeys>,
    validators: Vec<Validator>,
    ledgers: Vec<Arc<Ledger>>,
    running: Vec<Option<Handle<Result<(), ConsensusError>>>>,
}

impl World {
    async fn new(runtime: Runtime, count: u8, lossy: bool, refuses: impl Fn(u8) -> Option<u64>) -> Self {
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

    async fn start(&mut self, index: usize) {
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

    async fn kill(&mut self, index: usize) {
        let running = self.running[index].take().expect("it runs");
        running.abort();
        let _ = running.await;
    }

    async fn sleep(&self, seconds: u64) {
        self.runtime.sleep(Duration::from_secs(seconds)).await;
    }

    fn heads(&self) -> Vec<u64> {
        self.ledgers.iter().map(|ledger| ledger.head()).collect()
    }

    /// All chains are prefixes of the longest, every certificate is valid, and the last block is final by its own or none.
    fn check(&self) {
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

fn peer(key: &[u8; 32]) -> PublicKey {
    PublicKey::decode(Copying(key)).expect("made by ValidatorKeys")
}

fn simulate<F: Future<Output = ()>>(seed: u64, run: impl FnOnce(Runtime) -> F) {
    let config = deterministic::Config::default().with_seed(seed).with_timeout(Some(Duration::from_secs(600)));
    deterministic::Runner::new(config).start(run);
}

#[test]
fn four_validators_make_the_same_blocks_final() {
    for seed in 0..3 {
        simulate(seed, |runtime| async move {
            let mut world = World::new(runtime, 4, true, |_| None).await;
            for i in 0..4 {
                world.start(i).await;
            }
            world.sleep(20).await;
            world.check();
            let heads = world.heads();
            // A heartbeat of 2 s: about ten empty blocks, no storm of them.
            assert!(heads.iter().all(|head| (6..=12).contains(head)), "{heads:?}");
            let certified = world.ledgers[0].last.lock().iter().filter(|(_, c)| c.is_some()).count();
            assert!(certified as u64 + 1 >= heads[0], "{certified} of {heads:?} have their own certificate");
        });
    }
}

#[test]
fn a_transaction_waits_for_the_interval_and_not_for_the_heartbeat() {
    simulate(1, |runtime| async move {
        let mut world = World::new(runtime, 4, false, |_| None).await;
        for i in 0..4 {
            world.start(i).await;
        }
        world.sleep(5).await;
        for nonce in 0..10 {
            let before: SystemTime = world.runtime.current();
            world.ledgers.iter().for_each(|ledger| ledger.submit(nonce));
            while world.ledgers.iter().any(|ledger| ledger.has_work()) {
                world.runtime.sleep(Duration::from_millis(10)).await;
            }
            let took = world.runtime.current().duration_since(before).expect("time passes");
            assert!(took < Duration::from_millis(900), "final after {took:?}");
        }
        world.check();
    });
}

#[test]
fn a_killed_validator_returns_and_catches_up() {
    for seed in 0..3 {
        simulate(seed, |runtime| async move {
            let mut world = World::new(runtime, 4, true, |_| None).await;
            for i in 0..4 {
                world.start(i).await;
            }
            world.sleep(6).await;
            world.kill(2).await;
            let then = world.heads();
            world.sleep(40).await;
            let now = world.heads();
            assert_eq!(then[2], now[2], "it is dead");
            // Its rounds are skipped at once after the first: the others make a block in little more than a heartbeat.
            assert!(now[0] >= then[0] + 12, "the others went on: {then:?} {now:?}");
            world.start(2).await;
            world.sleep(10).await;
            let heads = world.heads();
            assert!(heads[2] + 1 >= heads[0], "it caught up: {heads:?}");
            assert!(heads[2] > now[0]);
            world.check();
        });
    }
}

#[test]
fn a_network_continues_after_all_were_killed_at_once() {
    simulate(7, |runtime| async move {
        let mut world = World::new(runtime, 4, true, |_| None).await;
        for round in 0..3 {
            for i in 0..4 {
                world.start(i).await;
            }
            world.sleep(11 + round).await;
            let heads = world.heads();
            for i in 0..4 {
                world.kill(i).await;
            }
            world.check();
            assert!(*heads.iter().max().expect("four") >= 3 * (round + 1), "{heads:?}");
        }
    });
}

#[test]
fn lost_state_is_filled_up_from_the_engines_archive() {
    simulate(5, |runtime| async move {
        let mut world = World::new(runtime, 4, true, |_| None).await;
        for i in 0..4 {
            world.start(i).await;
        }
        world.sleep(10).await;
        world.kill(1).await;
        let had = world.ledgers[1].head();
        assert!(had > 2);
        world.ledgers[1] = Ledger::new(None);
        // No peer can help: what it had is in its own archive.
        for i in [0, 2, 3] {
            world.kill(i).await;
        }
        world.start(1).await;
        world.sleep(2).await;
        assert_eq!(world.ledgers[1].head(), had);
        world.check();
    });
}

#[test]
fn two_of_four_make_nothing_final() {
    simulate(3, |runtime| async move {
        let mut world = World::new(runtime, 4, true, |_| None).await;
        world.start(0).await;
        world.start(1).await;
        world.sleep(30).await;
        assert_eq!(world.heads(), [0; 4]);
        world.start(2).await;
        world.sleep(20).await;
        assert!(world.heads()[0] > 2, "a third makes the quorum: {:?}", world.heads());
        world.check();
    });
}

// Validators 1, 2 and 3 refuse any block that starts with transaction 5; validator 0 knows only that transaction.
#[test]
fn an_invalid_block_gets_no_quorum_and_costs_one_round() {
    simulate(4, |runtime| async move {
        let mut world = World::new(runtime, 4, true, |i| (i > 0).then_some(5)).await;
        for i in 0..4 {
            world.start(i).await;
        }
        world.sleep(5).await;
        world.ledgers[0].submit(5);
        world.sleep(30).await;
        world.check();
        let heads = world.heads();
        assert!(heads[1] > 6, "{heads:?}");
        assert!(world.ledgers[1].last.lock().iter().all(|(block, _)| block.transactions.is_empty()));
    });
}
