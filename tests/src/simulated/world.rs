//! Relayers and what surrounds them. They run as tasks of one thread, by a clock that jumps from one thing to do to the next.

use std::future::Future;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use bitcoin::{Amount, XOnlyPublicKey};
use bridge::board::Kind;
use bridge::io::clock::Clock;
use bridge::io::config::{Bitcoind, Config, Duty};
use bridge::io::relayer::{FatalError, Identity, Surroundings, TestHooks, run_within};
use bridge::keystore::OperatorKeys;
use contracts::SigningBoard;
use contracts::address::{BRIDGE, SIGNING_BOARD};
use contracts::alloy_sol_types::SolEvent;
use mainchain::deposit::{DepositTerms, Peg};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sidechain::chain::Registration;
use sidechain::testing::genesis;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::bitcoind::{Bitcoin, SimulatedBitcoind};
use super::faults::Faults;
use super::node::{Sidechain, SimulatedNode};
use super::time::SimulatedTime;

/// Unix milliseconds at which a simulation begins: shortly after its genesis block.
const START_MS: u64 = 1_700_000_100_000;
/// Time between two blocks of the sidechain.
const BLOCK_INTERVAL: Duration = Duration::from_millis(500);
/// The longest that anything waited for may take, by the simulated clock.
const PATIENCE: Duration = Duration::from_secs(300);
/// An x-only key whose secret nobody needs: the generator of secp256k1.
const RECLAIM_KEY: [u8; 32] =
    alloy_primitives::hex!("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");

/// A bridge with its four operators.
pub struct World {
    pub seed: u64,
    pub rng: StdRng,
    pub sidechain: Sidechain,
    pub bitcoin: Bitcoin,
    pub operators: Vec<Operator>,
    clock: Clock,
    directory: TempDir,
    blocks: JoinHandle<()>,
}

/// One operator: its relayer, and the faults of its own servers.
pub struct Operator {
    pub bitcoind: Faults,
    pub node: Faults,
    keys: (bitcoin::secp256k1::SecretKey, bitcoin::secp256k1::SecretKey),
    relayer: Option<JoinHandle<Result<(), FatalError>>>,
}

/// Prints the seed when a test fails.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failing seed: {}, {} ms after the start", self.seed, self.clock.ms());
        }
        self.blocks.abort();
    }
}

/// Runs a story, once for each seed, or for the one in `SEED`.
///
/// # Panics
///
/// When the story fails, after its seed was printed.
pub fn simulate<F: Future<Output = ()>>(seeds: std::ops::Range<u64>, story: impl Fn(World) -> F) {
    let chosen: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in chosen.map_or(seeds, |seed| seed..seed + 1) {
        let time = SimulatedTime::new(START_MS);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(time.clone().drive(async { story(World::new(seed, Clock::new(time))).await }));
    }
}

impl World {
    /// Four operators whose relayers run, three of which must sign.
    fn new(seed: u64, clock: Clock) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut genesis = genesis();
        let mut operators = Vec::new();
        for member in &mut genesis.federation.members {
            let keys = OperatorKeys::generate(&mut rng);
            member.account = keys.address();
            member.encryption_key = keys.encryption_key().serialize().into();
            operators.push(Operator::new(&keys));
        }
        let sidechain = Sidechain::new(genesis, clock.clone());
        let (making, ticks) = (sidechain.clone(), clock.clone());
        let blocks = tokio::spawn(async move {
            loop {
                ticks.sleep(BLOCK_INTERVAL).await;
                making.make_block();
            }
        });
        let bitcoin = Bitcoin::new(clock.clone());
        let directory = tempfile::tempdir().expect("a directory for tests");
        let mut world = Self { seed, rng, sidechain, bitcoin, operators, clock, directory, blocks };
        (0..world.operators.len()).for_each(|operator| world.start(operator));
        world
    }

    /// Starts an operator's relayer, with what it kept before.
    pub fn start(&mut self, operator: usize) {
        self.start_as(operator, self.sidechain.identity());
    }

    /// The same with a genesis file that makes this network.
    pub fn start_as(&mut self, operator: usize, identity: Identity) {
        let config = self.config(operator);
        let random = Box::new(StdRng::seed_from_u64(self.rng.r#gen()));
        let (sidechain, bitcoin, clock) = (self.sidechain.clone(), self.bitcoin.clone(), self.clock.clone());
        let operator = &mut self.operators[operator];
        let keys = OperatorKeys::new(operator.keys.0, operator.keys.1);
        let node = SimulatedNode { sidechain, faults: operator.node.clone() };
        let faults = operator.bitcoind.clone();
        let connect = move |_| Ok(SimulatedBitcoind { bitcoin: bitcoin.clone(), faults: faults.clone() });
        let surroundings = Surroundings { node, connect, clock, random };
        operator.relayer = Some(tokio::spawn(async move {
            run_within(surroundings, &config, identity, &keys, TestHooks::default(), std::future::pending()).await
        }));
    }

    /// Kills an operator's relayer, wherever it is.
    pub async fn kill(&mut self, operator: usize) {
        if let Some(relayer) = self.operators[operator].relayer.take() {
            relayer.abort();
            assert!(relayer.await.is_err_and(|error| error.is_cancelled()), "it had stopped by itself");
        }
    }

    fn config(&self, operator: usize) -> Config {
        let unused = Bitcoind { url: String::new(), cookie_file: None, user: None, password_file: None };
        Config {
            genesis: Default::default(),
            node: String::new(),
            bitcoind: unused,
            data_dir: self.directory.path().join(operator.to_string()),
            keystore: Default::default(),
            duty: Duty { window_s: 10, takeover_ms: 2_000 },
            poll_ms: 200,
            batch_ms: 500,
            fee_rate: None,
            health_listen: None,
        }
    }

    /// Waits for the federation's key.
    pub async fn until_key(&mut self) -> XOnlyPublicKey {
        let sidechain = self.sidechain.clone();
        let key = self.until("the key is in force", || sidechain.info().group_key).await;
        XOnlyPublicKey::from_slice(key.as_slice()).expect("the contract checked it")
    }

    /// Registers a fresh deposit address for `recipient`, and pays to it.
    pub fn deposit(&self, key: XOnlyPublicKey, recipient: Address, amount: Amount) {
        let info = self.sidechain.info();
        let terms = DepositTerms {
            recipient: recipient.into_array(),
            reclaim_key: XOnlyPublicKey::from_slice(&RECLAIM_KEY).expect("a point"),
            max_fee: Amount::from_sat(20_000),
            epoch: info.epoch,
        };
        let delay = info.reclaim_delay.try_into().expect("not zero");
        let output = terms.output(&Peg { network_id: info.network_id.0, bridge: BRIDGE.into_array(), delay }, key);
        let output_key = B256::from(output.output_key().serialize());
        self.sidechain.register(&Registration { terms: (&terms).into(), output_key });
        self.bitcoin.pay(output.script_pubkey(), amount);
    }

    /// Posts of a kind on the board so far, by member.
    #[must_use]
    pub fn posts(&self, kind: Kind) -> Vec<u16> {
        let logs = self.sidechain.logs(&[SIGNING_BOARD], 0, self.sidechain.head());
        let post = |log: bridge::relay::ledger::BlockLog| {
            let post = SigningBoard::Posted::decode_log(&log.log).expect("the board logs nothing else").data;
            (post.kind == kind as u8).then_some(post.member)
        };
        logs.into_iter().filter_map(post).collect()
    }

    /// Lets time pass.
    pub async fn pass(&mut self, time: Duration) {
        self.clock.sleep(time).await;
        self.expect_alive();
    }

    /// Lets time pass until there is an answer.
    ///
    /// # Panics
    ///
    /// When there is none for too long, or a relayer stops.
    pub async fn until<T>(&mut self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let start_ms = self.clock.ms();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            let waited = Duration::from_millis(self.clock.ms() - start_ms);
            assert!(waited < PATIENCE, "waited {} s until {what}", waited.as_secs());
            self.pass(Duration::from_millis(50)).await;
        }
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.ms()
    }

    fn expect_alive(&self) {
        for (index, operator) in self.operators.iter().enumerate() {
            let stopped = operator.relayer.as_ref().is_some_and(JoinHandle::is_finished);
            assert!(!stopped, "relayer {} stopped by itself", index + 1);
        }
    }
}

impl Operator {
    fn new(keys: &OperatorKeys) -> Self {
        let keys = (*keys.account(), *keys.encryption());
        Self { bitcoind: Faults::default(), node: Faults::default(), keys, relayer: None }
    }
}
