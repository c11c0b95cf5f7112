//! The relayer's shell: gathers facts from its own node and its own bitcoind, decides, keeps, performs.
//!
//! ```text
//!   own node     --ledger--> \                                          / --sender----> free transactions
//!                             facts --relay::decide--> owed actions ----
//!   own bitcoind --bitcoin-> /                                          \ --bitcoin-> broadcast
//!                                     rounds (key generation, signing) <-> store
//! ```
//! Neither node nor bitcoind has to be there: the relayer says so once, waits, and goes on where it was. What it stops
//! for is its own errors ([`FatalError`]): a damaged or full disk, another process on its data, a wrong key.

mod bitcoin;
mod ledger;
mod perform;
mod rounds;
mod store;
mod tx_sender;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::bitcoin::{Amount, FeeRate, OutPoint, XOnlyPublicKey};
use alloy_primitives::{Address, B256};
use contracts::Federation;
use contracts::address::FEDERATION;
use mainchain::Network;
use mainchain::deposit::{DepositTerms, Peg};
use mainchain::io::rpc::{Auth, BitcoinRpc, RpcError};
use serde::{Deserialize, Serialize};

use self::bitcoin::{Ahead, Bitcoin, Place};
use self::ledger::{Ledger, index_of};
use self::rounds::Rounds;
use self::store::Store;
use self::tx_sender::TxSender;
use crate::config::{Config, Login};
use crate::deposit_tracker::{Position, TrackedDeposit};
use crate::io::sidechain::{Account, Client, Error};
use crate::keystore::OperatorKeys;
use crate::peg;
use crate::plan::{Available, ReadyDeposit};
use crate::relay::{DutySchedule, KeyState, Progress, Relay, Seen, Task, View};

pub use self::store::StoreError;

/// A node whose head is older than this lags, or its network has halted: heartbeat blocks come every few seconds.
const LAG_S: u64 = 60;
/// How long a task that was refused is left alone.
const HOLD: Duration = Duration::from_secs(2);
/// How long a deposit that the ledger refuses is left out of proposals.
const QUARANTINE: Duration = Duration::from_secs(60);
/// Blocks within which a vault transaction should confirm: its fee is estimated for that.
const CONFIRM_WITHIN: u16 = 3;
/// How long a fee estimate is good for.
const FEE_EVERY: Duration = Duration::from_secs(30);
/// Registrations asked for at once.
const REGISTRATIONS_PAGE: u32 = 500;
/// Confirmations before the outputs of a coinbase transaction can be spent (consensus).
const COINBASE_MATURITY: u32 = 100;
/// Blocks between two notes of how far the ledger was read.
const NOTE_EVERY: u64 = 500;

const IDENTITY: &str = "identity.json";
const CURSOR: &str = "cursor.json";

/// Why a relayer stops.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("account {account} is no member of the federation; its members are {members}")]
    NotAMember { account: Address, members: String },
    #[error(
        "the data directory belongs to chain {got_chain} with genesis {got_genesis}, the node is of chain {chain} with genesis {genesis}"
    )]
    OtherNetwork { got_chain: u64, got_genesis: B256, chain: u64, genesis: B256 },
    #[error(
        "{0}: the record of what this relayer has signed cannot be read; restore it from a backup, it must not sign without it"
    )]
    Record(String),
    #[error(transparent)]
    Dkg(Box<crate::dkg::DkgError>),
    #[error(transparent)]
    Session(Box<crate::signing::SessionError>),
    #[error("the federation's members cannot be used: {0}")]
    Federation(String),
    #[error("{0}")]
    Configuration(String),
}

/// What keeps a round of work from being finished.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Node(#[from] Error),
    #[error(transparent)]
    Bitcoin(#[from] RpcError),
    #[error("bitcoind's chain and the light client's have no block in common: bitcoind is on another network")]
    NoCommonBlock,
    #[error(transparent)]
    FatalError(#[from] FatalError),
}

impl From<StoreError> for RoundError {
    fn from(error: StoreError) -> Self {
        Self::FatalError(error.into())
    }
}

/// Hidden knobs for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestHooks {
    /// Die, as by kill -9, right after so many durable writes.
    pub crash_after_writes: Option<u32>,
}

/// Which network the data directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Identity {
    chain_id: u64,
    genesis: B256,
}

/// From which block on the ledger has to be read again after a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    from: u64,
}

/// Runs a relayer until `stop` ends.
///
/// # Errors
///
/// [`FatalError`] for its own errors. That node or bitcoind is down, lags or is another network is no reason to stop.
pub async fn run(
    config: &Config,
    keys: &OperatorKeys,
    hooks: TestHooks,
    stop: impl Future<Output = ()>,
) -> Result<(), FatalError> {
    let store = Store::open(&config.data_dir, keys.storage_key())?.crash_after(hooks.crash_after_writes);
    let store = Arc::new(store);
    tokio::pin!(stop);
    let mut relayer = tokio::select! {
        relayer = start(config, keys, &store) => relayer?,
        () = &mut stop => return Ok(()),
    };
    tracing::info!(member = relayer.me, account = %keys.address(), "relayer started");
    loop {
        tokio::select! {
            done = relayer.round() => done?,
            () = &mut stop => break,
        }
        tokio::select! {
            () = tokio::time::sleep(config.poll()) => {}
            () = &mut stop => break,
        }
    }
    tracing::info!("relayer stopped");
    Ok(())
}

/// Waits for the node, then checks that this relayer belongs to it.
async fn start(config: &Config, keys: &OperatorKeys, store: &Arc<Store>) -> Result<Relayer, FatalError> {
    let client = Client::new(&config.node).map_err(|error| FatalError::Configuration(error.to_string()))?;
    let mut health = Health::new("the sidechain node");
    loop {
        match Relayer::open(config, keys, store, &client).await {
            Ok(relayer) => {
                health.recovered();
                return Ok(relayer);
            }
            Err(RoundError::FatalError(stop)) => return Err(stop),
            Err(error) => health.failed(&error),
        }
        tokio::time::sleep(config.poll().max(Duration::from_millis(250))).await;
    }
}

/// Says once what is wrong with somebody, and once that it is over.
struct Health {
    who: &'static str,
    error: Option<String>,
}

impl Health {
    fn new(who: &'static str) -> Self {
        Self { who, error: None }
    }

    fn failed(&mut self, error: &impl std::fmt::Display) {
        let text = error.to_string();
        if self.error.as_ref() != Some(&text) {
            tracing::warn!("{text}; waiting for it");
            self.error = Some(text);
        }
    }

    fn recovered(&mut self) {
        if self.error.take().is_some() {
            tracing::info!("{} is back", self.who);
        }
    }
}

/// A running relayer.
struct Relayer {
    store: Arc<Store>,
    client: Client,
    me: u16,
    peg: Peg,
    started: Instant,
    machine: Relay,
    ledger: Ledger,
    rounds: Rounds,
    sender: TxSender,
    rpc: BitcoinRpc,
    bitcoin: Option<Bitcoin>,
    ahead: (Option<(Position, Position)>, Ahead),
    fee: (Option<Instant>, FeeRate),
    registrations: u64,
    max_deposits: usize,
    /// Registrations whose group key is not known yet.
    keyless: Vec<peg::Registration>,
    /// Deposits the ledger has: they never come back.
    known_deposits: BTreeSet<OutPoint>,
    quarantine: BTreeMap<OutPoint, Instant>,
    /// Until then deposits are proposed one by one, to find the one that is refused.
    one_by_one: Option<Instant>,
    held: BTreeMap<Task, Instant>,
    cursor: Cursor,
    node_health: Health,
    node_lag: Health,
    bitcoin_health: Health,
    bitcoin_lag: Health,
    /// Warnings that are not repeated.
    said: BTreeSet<String>,
}

impl Relayer {
    async fn open(
        config: &Config,
        keys: &OperatorKeys,
        store: &Arc<Store>,
        client: &Client,
    ) -> Result<Self, RoundError> {
        let info = client.info().await?;
        let me = index_of(&info, keys.address()).ok_or_else(|| FatalError::NotAMember {
            account: keys.address(),
            members: info
                .members
                .iter()
                .map(|member| format!("{} ({})", member.account, member.name))
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        check_identity(store, client, &info).await?;
        let peg = peg_of(&info)?;
        let network: Network = info
            .bitcoin_network
            .parse()
            .map_err(|error: mainchain::params::UnknownNetwork| FatalError::Configuration(error.to_string()))?;
        let rpc = BitcoinRpc::new(config.bitcoind.url.clone(), auth(config)?, network);
        let recovery_leaf = client.call(FEDERATION, &Federation::recoveryLeafCall {}).await?;
        let limit = client.call(contracts::address::BRIDGE, &contracts::Bridge::maxDepositsCall {}).await?;
        let cursor: Cursor = read_json(store, CURSOR)?.unwrap_or_default();
        let ledger = Ledger::start(client.clone(), info.chain_id, cursor.from).await?;
        let rounds = Rounds::open(store, &ledger, me, *keys.encryption(), recovery_leaf.0)?;
        let sender = TxSender::new(client.clone(), Account::from_key(*keys.account()), info.chain_id);
        let schedule = DutySchedule {
            window_s: config.duty.window_s,
            takeover_ms: config.duty.takeover_ms,
            batch_ms: config.batch_ms,
        };
        Ok(Self {
            store: Arc::clone(store),
            client: client.clone(),
            me,
            peg,
            started: Instant::now(),
            machine: Relay::new(schedule),
            ledger,
            rounds,
            sender,
            rpc,
            bitcoin: None,
            ahead: (None, Ahead::default()),
            fee: (None, FeeRate::BROADCAST_MIN),
            registrations: 0,
            max_deposits: limit.saturating_to(),
            keyless: Vec::new(),
            known_deposits: BTreeSet::new(),
            quarantine: BTreeMap::new(),
            one_by_one: None,
            held: BTreeMap::new(),
            cursor,
            node_health: Health::new("the sidechain node"),
            node_lag: Health::new("the sidechain's head"),
            bitcoin_health: Health::new("bitcoind"),
            bitcoin_lag: Health::new("bitcoind's chain"),
            said: BTreeSet::new(),
        })
    }

    /// Gathers facts, decides, performs. Only the relayer's own trouble is an error.
    async fn round(&mut self) -> Result<(), FatalError> {
        match self.gather_and_act().await {
            Ok(()) => Ok(()),
            Err(RoundError::FatalError(stop)) => Err(stop),
            Err(error @ (RoundError::Bitcoin(_) | RoundError::NoCommonBlock)) => {
                self.bitcoin_health.failed(&error);
                Ok(())
            }
            Err(error) => {
                self.node_health.failed(&error);
                Ok(())
            }
        }
    }

    async fn gather_and_act(&mut self) -> Result<(), RoundError> {
        self.follow_sidechain().await?;
        let bitcoin_is_there = match self.follow_bitcoin().await {
            Ok(()) => true,
            Err(error @ (RoundError::Bitcoin(_) | RoundError::NoCommonBlock)) => {
                self.bitcoin_health.failed(&error);
                false
            }
            Err(error) => return Err(error),
        };
        if !self.ledger.is_current() {
            return Ok(()); // Still reading old blocks: what they say may be over.
        }
        let view = self.view(bitcoin_is_there).await?;
        for action in self.machine.decide(&view) {
            self.perform(action, bitcoin_is_there).await?;
        }
        self.node_health.recovered();
        if bitcoin_is_there {
            self.bitcoin_health.recovered();
        }
        self.tidy()
    }

    async fn follow_sidechain(&mut self) -> Result<(), RoundError> {
        self.ledger.follow(self.me).await?;
        let behind_s = unix_time().saturating_sub(self.ledger.head.timestamp);
        if behind_s > LAG_S {
            // Not an error: what is final stays final. But somebody should know.
            let (url, head) = (self.client.url(), self.ledger.head.number);
            self.node_lag.failed(&format!(
                "the sidechain node at {url} lags, or its network has halted: its head {head} is old"
            ));
        } else {
            self.node_lag.recovered();
        }
        self.sender.refresh().await?;
        self.rounds.learn_keys(&self.store, &self.ledger).await?;
        for (number, entry) in &self.ledger.open {
            self.rounds.recall(*number, entry, &self.store)?;
        }
        Ok(())
    }

    async fn follow_bitcoin(&mut self) -> Result<(), RoundError> {
        if self.bitcoin.is_none() {
            self.bitcoin = Some(Bitcoin::start(self.rpc.clone()).await?);
            self.registrations = 0;
        }
        self.read_registrations().await?;
        let Some(bitcoin) = &mut self.bitcoin else {
            return Ok(());
        };
        bitcoin.track(self.ledger.open.values().map(|entry| entry.transaction.txid()).collect());
        bitcoin.follow().await?;
        if bitcoin.is_catching_up() {
            self.bitcoin_lag
                .failed(&format!("bitcoind at {} lags: it has headers of blocks that it lacks", self.rpc.url()));
        } else {
            self.bitcoin_lag.recovered();
        }
        self.estimate_fee().await?;
        self.compare_headers().await
    }

    async fn read_registrations(&mut self) -> Result<(), RoundError> {
        for registration in std::mem::take(&mut self.keyless) {
            self.register(registration);
        }
        loop {
            let page = self.client.registered_deposits(self.registrations, REGISTRATIONS_PAGE).await?;
            let more = page.deposits.len() == REGISTRATIONS_PAGE as usize && page.next > self.registrations;
            self.registrations = page.next;
            for registration in page.deposits {
                self.register(registration);
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Watches for payments to a registered address, which is computed here and not believed.
    fn register(&mut self, registration: peg::Registration) {
        let Some(group_key) = self.rounds.group_keys.get(&registration.terms.epoch) else {
            self.keyless.push(registration);
            return;
        };
        let Some(terms) = deposit_terms(&registration.terms) else {
            return;
        };
        let script = terms.output(&self.peg, *group_key).script_pubkey();
        if let Some(bitcoin) = &mut self.bitcoin {
            bitcoin.tracker().register(script, terms);
        }
    }

    async fn estimate_fee(&mut self) -> Result<(), RoundError> {
        if self.fee.0.is_none_or(|at| at.elapsed() > FEE_EVERY) {
            let least = u64::from(self.ledger.info.min_fee_rate.max(1));
            let fallback = FeeRate::from_sat_per_vb(least).unwrap_or(FeeRate::BROADCAST_MIN);
            self.fee = (Some(Instant::now()), self.rpc.fee_rate(CONFIRM_WITHIN, fallback).await?);
        }
        Ok(())
    }

    /// Compares both best chains, when one of them has moved.
    async fn compare_headers(&mut self) -> Result<(), RoundError> {
        let Some(bitcoin) = &self.bitcoin else {
            return Ok(());
        };
        let light = self.ledger.light();
        let own = Position { height: bitcoin.info().height, hash: bitcoin.info().tip };
        if self.ahead.0 != Some((light, own)) {
            let ahead = bitcoin.ahead_of(light, &self.client).await?;
            self.ahead = (Some((light, own)), ahead);
        }
        Ok(())
    }

    async fn view(&mut self, bitcoin_is_there: bool) -> Result<View, RoundError> {
        self.held.retain(|_, since| since.elapsed() < HOLD);
        let info = &self.ledger.info;
        let key = if info.group_key.is_some_and(|key| key != B256::ZERO) {
            KeyState::Active
        } else {
            KeyState::Missing { epoch: info.epoch }
        };
        let mut open = BTreeMap::new();
        for (number, entry) in &self.ledger.open {
            let progress = Progress {
                status: entry.status,
                required_confirmations: entry.required_confirmations,
                settled_confirmations: entry.settled_confirmations,
                signed: self.rounds.complete.contains_key(number),
                seen: self.seen(entry, bitcoin_is_there).await?,
            };
            open.insert(*number, progress);
        }
        let mut in_flight = self.sender.in_flight();
        in_flight.extend(self.held.keys());
        Ok(View {
            clock_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            block_time_s: self.ledger.head.timestamp,
            me: self.me,
            members: u16::try_from(self.ledger.info.members.len()).unwrap_or(u16::MAX),
            key,
            light_tip: self.ledger.info.bitcoin_tip.hash,
            headers_ahead: if bitcoin_is_there { self.ahead.1.count } else { 0 },
            available: if bitcoin_is_there { self.available().await? } else { Available::default() },
            vault_transactions: self.ledger.count,
            open,
            in_flight,
        })
    }

    async fn seen(&self, entry: &ledger::Entry, bitcoin_is_there: bool) -> Result<Seen, RoundError> {
        let Some(bitcoin) = self.bitcoin.as_ref().filter(|_| bitcoin_is_there) else {
            return Ok(Seen::Unknown);
        };
        if entry.status == peg::VaultStatus::Settled {
            return Ok(Seen::Unknown); // The light client alone decides what becomes of it.
        }
        Ok(match bitcoin.place(entry.transaction.txid()).await? {
            Place::Nowhere => Seen::Nowhere,
            Place::Mempool => Seen::Mempool,
            Place::Block(block) => Seen::Block { hash: block.hash, confirmations: self.confirmations_at(block.height) },
        })
    }

    /// Confirmations by the light client of a block of bitcoind's best chain; zero when its own best chain differs there.
    fn confirmations_at(&self, height: u32) -> u32 {
        let light = self.ledger.light();
        let compared = self.ahead.0.is_some_and(|(compared, _)| compared == light);
        if compared && height <= self.ahead.1.fork { (light.height + 1).saturating_sub(height) } else { 0 }
    }

    /// What a vault transaction could be made of.
    async fn available(&mut self) -> Result<Available, RoundError> {
        let info = &self.ledger.info;
        let [min_fee_rate, max_fee_rate] = [info.min_fee_rate, info.max_fee_rate].map(FeeRate::from_sat_per_vb_u32);
        let deficit = info.ledger.deficit_sat > 0;
        self.quarantine.retain(|_, since| since.elapsed() < QUARANTINE);
        self.one_by_one = self.one_by_one.filter(|since| since.elapsed() < QUARANTINE);
        let mut deposits = self.ready_deposits().await?;
        let mut withdrawals = if deficit { Vec::new() } else { self.ledger.withdrawals.clone() };
        deposits.truncate(self.max_deposits);
        if self.one_by_one.is_some() && !deposits.is_empty() {
            deposits.truncate(1);
            withdrawals.clear();
        }
        Ok(Available {
            deposits,
            withdrawals,
            vault_outputs: self.ledger.vault_outputs.clone(),
            in_flight: self.ledger.open.values().any(|entry| entry.status != peg::VaultStatus::Settled),
            fee_rate: self.fee.1,
            min_fee_rate,
            max_fee_rate,
        })
    }

    /// Deposits that the ledger would take now, oldest first.
    async fn ready_deposits(&mut self) -> Result<Vec<ReadyDeposit>, RoundError> {
        let Some(bitcoin) = &mut self.bitcoin else {
            return Ok(Vec::new());
        };
        let mut found: Vec<(OutPoint, TrackedDeposit)> =
            bitcoin.tracker().found().map(|(outpoint, found)| (*outpoint, *found)).collect();
        found.sort_by_key(|(outpoint, found)| (found.height, *outpoint));
        let mut ready = Vec::new();
        for (outpoint, found) in found {
            if !self.is_ready(outpoint, &found) {
                continue;
            }
            if self.ledger.knows_deposit(outpoint).await? {
                self.known_deposits.insert(outpoint);
                continue;
            }
            ready.push(ReadyDeposit { outpoint, amount: found.amount, max_fee: found.terms.max_fee });
        }
        Ok(ready)
    }

    /// The ledger's rules for deposits that can be told from outside.
    fn is_ready(&self, outpoint: OutPoint, found: &TrackedDeposit) -> bool {
        let confirmations = self.confirmations_at(found.height);
        let least = if found.coinbase { COINBASE_MATURITY } else { 1 };
        // Older ones could be reclaimed before their sweep confirms.
        let most = u32::from(self.peg.delay.get()) / 2;
        (least..=most).contains(&confirmations)
            && found.amount.to_sat() >= self.ledger.info.min_deposit_sat
            && !self.known_deposits.contains(&outpoint)
            && !self.quarantine.contains_key(&outpoint)
    }

    /// Forgets what is over, and notes how far the ledger was read.
    fn tidy(&mut self) -> Result<(), RoundError> {
        let keyless = self.ledger.info.group_key.is_none_or(|key| key == B256::ZERO);
        let closed = self.ledger.prune(keyless);
        self.rounds.forget(&closed, &self.store)?;
        if self.ledger.from >= self.cursor.from + NOTE_EVERY {
            let cursor = Cursor { from: self.ledger.from };
            write_json(&self.store, CURSOR, &cursor)?;
            self.cursor = cursor;
        }
        Ok(())
    }
}

/// Refuses to use the data of one network on another: keys and promises belong to one.
async fn check_identity(store: &Store, client: &Client, info: &peg::Info) -> Result<(), RoundError> {
    let genesis = client
        .block(0)
        .await?
        .ok_or_else(|| Error::Malformed { method: "eth_getBlockByNumber", reason: "there is no block 0".to_owned() })?;
    let now = Identity { chain_id: info.chain_id, genesis: genesis.hash };
    match read_json::<Identity>(store, IDENTITY)? {
        None => write_json(store, IDENTITY, &now)?,
        Some(identity) if identity == now => {}
        Some(identity) => {
            return Err(FatalError::OtherNetwork {
                got_chain: identity.chain_id,
                got_genesis: identity.genesis,
                chain: now.chain_id,
                genesis: now.genesis,
            }
            .into());
        }
    }
    Ok(())
}

fn read_json<T: serde::de::DeserializeOwned>(store: &Store, name: &str) -> Result<Option<T>, FatalError> {
    let Some(bytes) = store.get(name)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| FatalError::Configuration(format!("{name} in the data directory is damaged: {error}")))
}

fn write_json(store: &Store, name: &str, value: &impl Serialize) -> Result<(), FatalError> {
    let bytes = serde_json::to_vec(value).expect("numbers and hashes always serialise");
    Ok(store.put(name, &bytes)?)
}

fn peg_of(info: &peg::Info) -> Result<Peg, FatalError> {
    let delay = NonZeroU16::new(info.reclaim_delay)
        .ok_or_else(|| FatalError::Configuration("the reclaim delay is 0".to_owned()))?;
    Ok(Peg { chain_id: info.chain_id, bridge: info.contracts.bridge.into_array(), delay })
}

fn auth(config: &Config) -> Result<Auth, FatalError> {
    match config.bitcoind.login() {
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

/// None when the reclaim key is no key: nobody can have paid such an address.
fn deposit_terms(terms: &peg::Terms) -> Option<DepositTerms> {
    Some(DepositTerms {
        recipient: terms.recipient.into_array(),
        reclaim_key: XOnlyPublicKey::from_slice(terms.reclaim_key.as_slice()).ok()?,
        max_fee: Amount::from_sat(terms.max_fee_sat),
        epoch: terms.epoch,
    })
}

fn unix_time() -> u64 {
    crate::io::clock::now().unwrap_or_default()
}
