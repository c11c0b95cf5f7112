//! Relayers and what surrounds them. They run as tasks of one thread, by a clock that jumps from one thing to do to the next.

use std::future::Future;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use bitcoin::{Amount, ScriptBuf, XOnlyPublicKey};
use bridge::board::Kind;
use bridge::io::clock::Clock;
use bridge::io::config::{Bitcoind, Config, Duty};
use bridge::io::relayer::{FatalError, Identity, Surroundings, TestHooks, Work, run_within};
use bridge::io::sidechain::Account;
use bridge::keystore::OperatorKeys;
use contracts::address::{BRIDGE, DEPOSITS, SIGNING_BOARD, VAULT};
use contracts::alloy_sol_types::{SolCall, SolEvent};
use contracts::{Bridge, Deposits, SigningBoard, Vault};
use mainchain::deposit::{DepositTerms, Peg};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sidechain::chain::Registration;
use sidechain::testing::{Key, genesis};
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
/// Blocks of Bitcoin after which the recovery keys can take a vault output: more than any simulation has.
const RECOVERY_DELAY: u16 = 4_000;
/// Satoshis of the reserve with which a network begins.
pub const RESERVE: Amount = Amount::from_sat(1_000_000);
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
        let work = Work { identity, ..self.sidechain.work(RECOVERY_DELAY) };
        operator.relayer = Some(tokio::spawn(async move {
            run_within(surroundings, &config, work, &keys, TestHooks::default(), std::future::pending()).await
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
            data_dir: self.folder(operator),
            keystore: Default::default(),
            duty: Duty { window_s: 10, takeover_ms: 2_000 },
            poll_ms: 200,
            batch_ms: 500,
            fee_rate: None,
            low_fee_rate: 2,
            limit: None,
            health_listen: None,
            log: None,
        }
    }

    /// Waits for the federation's key.
    pub async fn until_key(&mut self) -> XOnlyPublicKey {
        let sidechain = self.sidechain.clone();
        let key = self.until("the key is in force", || sidechain.info().group_key).await;
        XOnlyPublicKey::from_slice(key.as_slice()).expect("the contract checked it")
    }

    /// Registers a fresh deposit address for `recipient`, and pays to it; the script that was paid.
    pub fn deposit(&mut self, key: XOnlyPublicKey, recipient: Address, amount: Amount) -> ScriptBuf {
        let info = self.sidechain.info();
        let mut data_hash = [0; 32];
        self.rng.fill(&mut data_hash[..]);
        let terms = DepositTerms {
            recipient: recipient.into_array(),
            claimant: recipient.into_array(),
            reclaim_key: XOnlyPublicKey::from_slice(&RECLAIM_KEY).expect("a point"),
            max_fee: Amount::from_sat(20_000),
            data_hash,
            epoch: info.epoch,
        };
        let delay = info.parameters.reclaim_delay.try_into().expect("not zero");
        let output = terms.output(&Peg { network_id: info.network_id.0, bridge: BRIDGE.into_array(), delay }, key);
        let output_key = B256::from(output.output_key().serialize());
        self.sidechain.register(&Registration { terms: (&terms).into(), output_key });
        self.bitcoin.pay(output.script_pubkey(), amount);
        output.script_pubkey()
    }

    /// Waits for the key, then fills the reserve by a deposit to the bridge, and lets its sweep become final: a network begins so.
    pub async fn until_open(&mut self) -> XOnlyPublicKey {
        self.until_open_with(RESERVE).await
    }

    /// The same with another reserve.
    pub async fn until_open_with(&mut self, reserve: Amount) -> XOnlyPublicKey {
        let key = self.until_key().await;
        self.deposit(key, BRIDGE, reserve);
        let sidechain = self.sidechain.clone();
        self.mine_until("there is a rooted vault output", move || {
            let page = sidechain.view(VAULT, &Vault::liveOutputsCall { after_: 0, limit: 100 });
            let is_rooted =
                |number: &u32| sidechain.view(VAULT, &Vault::vaultTransactionCall { number: *number }).rooted;
            page.numbers.iter().any(is_rooted).then_some(())
        })
        .await;
        key
    }

    /// Mines a block every five seconds until there is an answer.
    ///
    /// # Panics
    ///
    /// When there is none for too long.
    pub async fn mine_until<T>(&mut self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        for _ in 0..100 {
            if let Some(answer) = ask() {
                return answer;
            }
            self.bitcoin.mine(1);
            self.pass(Duration::from_secs(5)).await;
        }
        panic!("mined 100 blocks until {what}");
    }

    /// A withdrawal of a member of the public who has coins; its id.
    pub async fn withdraw(&mut self, owner: &Key, script: &ScriptBuf, amount: Amount, max_fee: Amount) -> u64 {
        let call = Bridge::withdrawCall { script: script.to_bytes().into(), maxFeeSat: max_fee.to_sat() };
        let before = self.sidechain.view(BRIDGE, &Bridge::withdrawalCountCall {});
        self.sidechain.send(owner, BRIDGE, contracts::coin::wei(amount.to_sat()), call.abi_encode().into());
        let sidechain = self.sidechain.clone();
        let count = move || sidechain.view(BRIDGE, &Bridge::withdrawalCountCall {});
        self.until("the withdrawal is queued", move || (count() > before).then(|| count().saturating_to())).await
    }

    /// All deposits that were proven, as the ledger orders them.
    #[must_use]
    pub fn proven(&self) -> Vec<(B256, u32)> {
        let logs = self.sidechain.logs(&[DEPOSITS], 0, self.sidechain.head());
        let proven = |log: &bridge::relay::view::BlockLog| {
            let proven = Deposits::DepositProven::decode_log(&log.log).ok()?.data;
            Some((proven.txid, proven.vout))
        };
        let mut proven: Vec<(B256, u32)> = logs.iter().filter_map(proven).collect();
        proven.sort_unstable();
        proven.dedup();
        proven
    }

    /// An operator's account, for what it would not do by itself.
    #[must_use]
    pub fn account(&self, operator: usize) -> Account {
        Account::from_key(self.operators[operator].keys.0)
    }

    /// What the ledger has of a withdrawal.
    #[must_use]
    pub fn withdrawal(&self, id: u64) -> contracts::IBridge::Withdrawal {
        self.sidechain.view(BRIDGE, &Bridge::withdrawalCall { id: alloy_primitives::U256::from(id) })
    }

    /// Posts of a kind on the board so far, by member.
    #[must_use]
    pub fn posts(&self, kind: Kind) -> Vec<u16> {
        let logs = self.sidechain.logs(&[SIGNING_BOARD], 0, self.sidechain.head());
        let post = |log: bridge::relay::view::BlockLog| {
            let post = SigningBoard::Posted::decode_log(&log.log).expect("the board logs nothing else").data;
            (post.kind == kind as u8).then_some(post.member)
        };
        logs.into_iter().filter_map(post).collect()
    }

    /// Where an operator's relayer keeps its files.
    #[must_use]
    pub fn folder(&self, operator: usize) -> std::path::PathBuf {
        self.directory.path().join(operator.to_string())
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
