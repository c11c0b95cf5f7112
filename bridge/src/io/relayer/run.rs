//! Starting a relayer, and joining its tasks.

use std::future::Future;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::Amount;
use light::finality::Validators;
use mainchain::Network;
use mainchain::deposit::Peg;
use mainchain::header::Height;
use mainchain::io::rpc::{Auth, BitcoinRpc};
use rand::rngs::OsRng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::approving::Approving;
use super::bitcoin_task::BitcoinTask;
use super::bitcoind::Bitcoind;
use super::duty_task::DutyTask;
use super::error::{FatalError, RoundError};
use super::gather_bitcoin::BitcoinGatherer;
use super::gather_ledger::{LedgerGatherer, index_of};
use super::health::{Health, Vitals};
use super::health_server::{self, Told};
use super::identity::Identity;
use super::key_generation::KeyGeneration;
use super::member::{Member, Random};
use super::node::Node;
use super::outlook::Outlook;
use super::perform::Performer;
use super::promises::Promises;
use super::recover::recover;
use super::signing::Signing;
use super::signing_task::{BITCOIN_READ, CURSOR, SigningTask};
use super::tx_sender::TxSender;
use super::waiting::Waiting;
use crate::io::clock::Clock;
use crate::io::config::{self, Config, Login};
use crate::io::sidechain::{Account, Client, Error};
use crate::io::store::Store;
use crate::keystore::OperatorKeys;
use crate::peg;
use crate::policy::Limit;
use crate::relay::absent::Absent;
use crate::relay::duty::DutySchedule;
use crate::relay::fees::FeeEstimate;
use crate::relay::ledger::{Cursor, Ledger};
use crate::relay::machine::Machine;
use crate::relay::posts::Posts;
use crate::relay::rereading::Rereading;

const IDENTITY: &str = "identity.json";
const NODE: &str = "the sidechain node";

/// Between two tries to start.
const START_AGAIN: Duration = Duration::from_millis(250);

/// The network that a relayer works for, by its operator's genesis file: nothing of it is believed of a node.
#[derive(Clone, Debug)]
pub struct Work {
    pub identity: Identity,
    /// Whose signatures make a block final.
    pub validators: Validators,
    /// The ledger's rules.
    pub parameters: peg::Parameters,
    /// Hash of the script leaf that recovers vault outputs.
    pub recovery_leaf: [u8; 32],
    /// Blocks after which the recovery keys can take a vault output: each is refreshed before half of it.
    pub recovery_delay: u16,
}

/// Hidden knobs for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestHooks {
    /// Die, as by kill -9, right after so many durable writes.
    pub crash_after_writes: Option<u32>,
}

/// All that a relayer is surrounded by, and a simulation puts others in the place of.
pub struct Surroundings<N, C> {
    pub node: N,
    /// Makes the client of bitcoind, once the node has said on which network the bridge is.
    pub connect: C,
    pub clock: Clock,
    pub random: Box<dyn Random>,
}

/// Runs a relayer until `stop` ends.
///
/// # Errors
///
/// [`FatalError`] for its own errors. It does not stop because node or bitcoind are down, lag or are of another network.
pub async fn run(
    config: &Config,
    work: Work,
    keys: &OperatorKeys,
    hooks: TestHooks,
    stop: impl Future<Output = ()>,
) -> Result<(), FatalError> {
    let node = Client::new(&config.node).map_err(|error| FatalError::Configuration(error.to_string()))?;
    let connect = |network| Ok(BitcoinRpc::new(config.bitcoind.url.clone(), auth(&config.bitcoind)?, network));
    let surroundings = Surroundings { node, connect, clock: Clock::system(), random: Box::new(OsRng) };
    run_within(surroundings, config, work, keys, hooks, stop).await
}

/// Runs a relayer in these surroundings until `stop` ends. Of `config`, the addresses of node and bitcoind are not used.
///
/// # Errors
///
/// As [`run`].
pub async fn run_within<N: Node, B: Bitcoind>(
    surroundings: Surroundings<N, impl Fn(Network) -> Result<B, FatalError>>,
    config: &Config,
    work: Work,
    keys: &OperatorKeys,
    hooks: TestHooks,
    stop: impl Future<Output = ()>,
) -> Result<(), FatalError> {
    let Surroundings { node, connect, clock, random } = surroundings;
    let store = Arc::new(Store::open(&config.data_dir, keys.storage_key())?.crash_after(hooks.crash_after_writes));
    check_data(&store, work.identity)?;
    let vitals = Vitals::default();
    let mut tasks = JoinSet::new();
    if let Some(address) = config.health_listen {
        let told = Told::new(vitals.clone(), clock.clone(), config.data_dir.clone());
        tasks.spawn(health_server::serve(health_server::listen(address).await?, told));
    }
    let started_s = clock.unix_ms() / 1000;
    let starting = Starting { config, work, keys, store, node: Arc::new(node), connect, clock, vitals, started_s };
    tokio::pin!(stop);
    let start = tokio::select! {
        start = starting.start() => start?,
        () = &mut stop => return Ok(()),
    };
    tracing::info!(member = start.member.me, account = %keys.address(), "relayer started");
    start.spawn(random, &mut tasks)?;
    tokio::select! {
        error = failure(&mut tasks) => return Err(error),
        // The tasks end where they wait: what they promised is durable already.
        () = &mut stop => {}
    }
    tracing::info!("relayer stopped");
    Ok(())
}

/// Why the tasks ended. Those that only listen end when the one that follows the ledger does: its reason counts.
async fn failure(tasks: &mut JoinSet<Result<(), FatalError>>) -> FatalError {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(error) => return FatalError::Task(error.to_string()),
        }
    }
    FatalError::Task("all of them ended by themselves".to_owned())
}

/// What is known before the node has answered.
struct Starting<'a, N, C> {
    config: &'a Config,
    work: Work,
    keys: &'a OperatorKeys,
    store: Arc<Store>,
    node: Arc<N>,
    connect: C,
    clock: Clock,
    vitals: Vitals,
    /// In seconds since 1970.
    started_s: u64,
}

/// What a relayer is made of.
struct Started<N, B> {
    member: Arc<Member<N>>,
    bitcoind: Arc<B>,
    fees: FeeEstimate,
    vitals: Vitals,
    ledger: Ledger,
    peg: Peg,
    schedule: DutySchedule,
    cursor: Cursor,
    bitcoin_read: Option<Height>,
    poll: Duration,
}

impl<N: Node, B: Bitcoind, C: Fn(Network) -> Result<B, FatalError>> Starting<'_, N, C> {
    /// Waits for the node, then checks that this relayer belongs to it.
    async fn start(&self) -> Result<Started<N, B>, FatalError> {
        let mut health = Health::new(&self.vitals, NODE, "the sidechain node is back");
        loop {
            match self.open().await {
                Ok(started) => {
                    health.recovered();
                    return Ok(started);
                }
                Err(RoundError::Fatal(error)) => return Err(error),
                Err(error) => health.failed(error.kind(), &error),
            }
            self.clock.sleep(self.config.poll().max(START_AGAIN)).await;
        }
    }

    /// Waits for a node of its own network: what another says counts for nothing here.
    async fn expect_network(&self, info: &peg::Info) -> Result<(), RoundError> {
        let genesis = self.node.block(0).await?.ok_or_else(|| Error::Malformed {
            method: "eth_getBlockByNumber",
            reason: "there is no block 0".to_owned(),
        })?;
        let got = Identity { chain_id: info.chain_id, network_id: info.network_id, genesis: genesis.hash };
        if got == self.work.identity {
            return Ok(());
        }
        let url = self.node.url().to_owned();
        Err(RoundError::OtherNetwork { url, got: got.to_string(), want: self.work.identity.to_string() })
    }

    /// The ledger's rules are those of the genesis file, which its contracts were made with.
    fn expect_rules(&self, info: &peg::Info) -> Result<(), RoundError> {
        if info.parameters == self.work.parameters {
            return Ok(());
        }
        Err(RoundError::OtherRules { url: self.node.url().to_owned() })
    }

    async fn open(&self) -> Result<Started<N, B>, RoundError> {
        let info = self.node.info().await?;
        self.expect_network(&info).await?;
        self.expect_rules(&info)?;
        // Only now, so that a wrong genesis file leaves nothing behind.
        if self.store.get(IDENTITY)?.is_none() {
            self.store.put_json(IDENTITY, &self.work.identity)?;
        }
        let me = index_of(&info, self.keys.address()).ok_or_else(|| not_a_member(self.keys, &info))?;
        let fees = FeeEstimate::new(self.config.fee_rate, info.bitcoin_network).map_err(FatalError::from)?;
        let bitcoind = Arc::new((self.connect)(info.bitcoin_network)?);
        let cursor: Cursor = self.store.get_json(CURSOR)?.unwrap_or_default();
        let bitcoin_read: Option<Height> = self.store.get_json(BITCOIN_READ)?;
        let account = Account::from_key(*self.keys.account());
        let member = Member {
            network: self.work.identity.network_id,
            me,
            threshold: info.threshold,
            encryption: *self.keys.encryption(),
            recovery_leaf: self.work.recovery_leaf,
            validators: self.work.validators.clone(),
            parameters: self.work.parameters.clone(),
            limit: limit(self.config, &self.work.parameters),
            recovery_delay: self.work.recovery_delay.into(),
            low_rate: u64::from(self.config.low_fee_rate) * 1_000,
            clock: self.clock.clone(),
            store: Arc::clone(&self.store),
            node: Arc::clone(&self.node),
            sender: Arc::new(TxSender::new(
                Arc::clone(&self.node),
                account,
                self.work.identity.chain_id,
                self.clock.clone(),
            )),
        };
        recover(&member, self.started_s).await?;
        Ok(Started {
            member: Arc::new(member),
            bitcoind,
            fees,
            vitals: self.vitals.clone(),
            peg: peg_of(&info)?,
            ledger: Ledger::new(me, cursor, info, self.work.recovery_leaf),
            schedule: schedule(self.config),
            cursor,
            bitcoin_read,
            poll: self.config.poll(),
        })
    }
}

impl<N: Node, B: Bitcoind> Started<N, B> {
    /// Begins the three tasks:
    ///
    /// ```text
    ///   signing task --ledger--> bitcoin task        each time it was read
    ///        ^   \------ledger------> duty task
    ///        +----bitcoin-----+--------^             each time bitcoind was asked
    /// ```
    fn spawn(self, random: Box<dyn Random>, tasks: &mut JoinSet<Result<(), FatalError>>) -> Result<(), FatalError> {
        let Self { member, bitcoind, fees, vitals, ledger, peg, schedule, cursor, bitcoin_read, poll } = self;
        let gatherer = BitcoinGatherer::new(
            Arc::clone(&member.node),
            Arc::clone(&bitcoind),
            member.clock.clone(),
            peg,
            (fees, bitcoin_read),
            &vitals,
        );
        let (ledger_sender, ledger_receiver) = watch::channel(None);
        let (bitcoin_sender, bitcoin_receiver) = watch::channel(None);
        let (clock, sender) = (member.clock.clone(), Arc::clone(&member.sender));
        let signing = SigningTask {
            gatherer: LedgerGatherer::new(Arc::clone(&member.node), ledger),
            keys: KeyGeneration::new(Arc::clone(&member)),
            approving: Approving::new(Arc::clone(&member), Arc::clone(&bitcoind)),
            signing: Signing::new(Arc::clone(&member), Arc::clone(&bitcoind)),
            promises: Promises::open(Arc::clone(&member))?,
            peg,
            member: Arc::clone(&member),
            random,
            cursor,
            bitcoin_read,
            poll,
            ledger: ledger_sender,
            bitcoin: bitcoin_receiver.clone(),
            posts: Posts::default(),
            waiting: Waiting::new(&vitals),
            absent: Absent::default(),
            outlook: Outlook::new(&vitals, member.recovery_delay),
            pulse: vitals.pulse("signing", &clock),
            rereading: Rereading::new(member.clock.ms()),
            last_round: None,
            node_health: Health::new(&vitals, NODE, "the sidechain node is back"),
            node_lag: Health::new(&vitals, "the sidechain's head", "the sidechain's head is young again"),
        };
        let bitcoin = BitcoinTask {
            gatherer,
            ledger: ledger_receiver.clone(),
            bitcoin: bitcoin_sender,
            health: Health::new(&vitals, "bitcoind", "bitcoind is back"),
            pulse: vitals.pulse("bitcoin", &clock),
        };
        let duty = DutyTask {
            machine: Machine::new(member.me, schedule, member.recovery_delay, member.low_rate),
            performer: Arc::new(Performer { bitcoind, sender: Arc::clone(&sender), peg }),
            sender,
            pulse: vitals.pulse("duty", &clock),
            clock,
            ledger: ledger_receiver,
            bitcoin: bitcoin_receiver,
            running: JoinSet::new(),
            said: Default::default(),
        };
        tasks.spawn(signing.run());
        tasks.spawn(bitcoin.run());
        tasks.spawn(duty.run());
        Ok(())
    }
}

fn schedule(config: &Config) -> DutySchedule {
    DutySchedule { window_s: config.duty.window_s, takeover_ms: config.duty.takeover_ms, batch_ms: config.batch_ms }
}

/// By default what the ledger itself lets go.
fn limit(config: &Config, parameters: &peg::Parameters) -> Limit {
    let (window_sat, window_s) = config
        .limit
        .map_or((parameters.window_sat, parameters.window_seconds.into()), |own| (own.window_sat, own.window_seconds));
    Limit { window: Amount::from_sat(window_sat), window_s }
}

fn not_a_member(keys: &OperatorKeys, info: &peg::Info) -> FatalError {
    let members: Vec<String> =
        info.members.iter().map(|member| format!("{} ({})", member.account, member.name)).collect();
    FatalError::NotAMember { account: keys.address(), members: members.join(", ") }
}

/// Refuses to use the data of one network on another: keys and promises belong to one.
fn check_data(store: &Store, identity: Identity) -> Result<(), FatalError> {
    match store.get_json::<Identity>(IDENTITY)? {
        Some(kept) if kept != identity => {
            Err(FatalError::OtherNetwork { got: Box::new(kept), want: Box::new(identity) })
        }
        _ => Ok(()),
    }
}

fn peg_of(info: &peg::Info) -> Result<Peg, FatalError> {
    let delay = NonZeroU16::new(info.parameters.reclaim_delay)
        .ok_or_else(|| FatalError::Configuration("the reclaim delay is 0".to_owned()))?;
    Ok(Peg { network_id: info.network_id.0, bridge: info.contracts.bridge.into_array(), delay })
}

/// How to log in to the operator's bitcoind.
///
/// # Errors
///
/// `Configuration`: no way or two are configured, or the password's file cannot be read.
pub fn auth(bitcoind: &config::Bitcoind) -> Result<Auth, FatalError> {
    match bitcoind.login() {
        Some(Login::Cookie(path)) => Ok(Auth::Cookie(path)),
        Some(Login::Password { user, password_file }) => {
            let text = std::fs::read_to_string(&password_file)
                .map_err(|error| FatalError::Configuration(format!("{}: {error}", password_file.display())))?;
            let password = text.lines().next().unwrap_or_default().to_owned();
            Ok(Auth::UserPassword { user, password })
        }
        None => {
            Err(FatalError::Configuration("[bitcoind] wants either cookie_file, or user and password_file".to_owned()))
        }
    }
}
