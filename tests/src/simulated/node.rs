//! A simulated sidechain: the real chain, contracts and pool; blocks come when they are asked for. All relayers' nodes show
//! the same chain, and each fails by itself.

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use bridge::io::clock::Clock;
use bridge::io::relayer::{Identity, Node, Work};
use bridge::io::sidechain::proven::ProvenError;
use bridge::io::sidechain::{Block, Call, Error, Fees, Revert};
use bridge::peg;
use bridge::relay::view::{BlockLog, Head};
use contracts::address::{BRIDGE, FEDERATION, LIGHT_CLIENT};
use contracts::alloy_sol_types::SolCall;
use contracts::coin::{GENESIS_COINS_WEI, WEI_PER_SAT};
use contracts::{BitcoinLightClient, Bridge, Federation};
use light::FinalHeader;
use light::facts::{Facts, Question, Wanted};
use light::finality::{Validators, certify};
use sidechain::block::next_base_fee;
use sidechain::chain::{AccountProof, Chain, LogFilter, LogLimits, Registration, Retention, SimulateError, Trial};
use sidechain::execution::{self, InclusionError, Stop};
use sidechain::genesis::Genesis;
use sidechain::io::db::Database;
use sidechain::io::node_state::{AdmitError, NodeState};
use sidechain::mempool::{Limits, Mempool};
use sidechain::testing::{Key, validator};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::faults::{Fault, Faults};

/// The patience of a real client.
const TIMEOUT: Duration = Duration::from_secs(10);
const URL: &str = "simulated";
/// More logs than a simulation makes in the blocks asked for at once.
const LOGS: LogLimits = LogLimits { logs: 100_000, answer_bytes: usize::MAX, rows: u64::MAX, bytes: u64::MAX };

/// The chain that all see. Clones are the same.
#[derive(Clone)]
pub struct Sidechain {
    state: NodeState,
    clock: Clock,
    _directory: Arc<TempDir>,
}

/// One relayer's node.
pub struct SimulatedNode {
    pub sidechain: Sidechain,
    pub faults: Faults,
}

impl Sidechain {
    /// A chain at its first block.
    ///
    /// # Panics
    ///
    /// When there is no room for its files.
    #[must_use]
    pub fn new(genesis: Genesis, clock: Clock) -> Self {
        let directory = tempfile::tempdir().expect("a directory for tests");
        let database = Database::open(directory.path()).expect("a fresh directory");
        let chain = Chain::open_with(genesis, database, Retention::default(), &[]).expect("the genesis is right");
        // Nobody listens: there are no other validators.
        let (gossip, _) = mpsc::channel(1);
        let state = NodeState::new(Arc::new(chain), Mempool::new(Limits::default()), gossip, None);
        Self { state, clock, _directory: Arc::new(directory) }
    }

    /// Makes a block of what waits, and makes it final.
    pub fn make_block(&self) {
        let chain = &self.state.chain;
        let base_fee = next_base_fee(&chain.head());
        let candidates: Vec<_> = self.state.pool().candidates(base_fee).take(1_000).collect();
        let (now_ms, proposer) = (self.clock.unix_ms(), Address::repeat_byte(0xbe));
        let block = chain
            .propose(chain.head_hash(), now_ms, proposer, candidates.into_iter(), &Stop::never())
            .expect("the head is known");
        if let Some(finalized) = chain.finalize(&block).expect("our own block") {
            self.state.on_finalized(finalized, now_ms).expect("the store works");
            self.state.try_free_heads_again(now_ms);
        }
    }

    /// Registers a deposit address with all nodes.
    pub fn register(&self, registration: &Registration) {
        self.state.chain.register_deposit(registration).expect("the store works");
    }

    /// Everything that a contract has logged so far.
    #[must_use]
    pub fn logs(&self, contracts: &[Address], from: u64, to: u64) -> Vec<BlockLog> {
        let filter = LogFilter { from, to, addresses: contracts.iter().copied().collect(), ..LogFilter::default() };
        let logs = self.state.chain.logs(&filter, &LOGS, &Stop::never()).expect("the store works");
        let log = |entry: sidechain::chain::LogEntry| BlockLog {
            block: Head { number: entry.block_number, time_s: entry.block_timestamp },
            log: entry.log,
        };
        logs.into_iter().map(log).collect()
    }

    #[must_use]
    pub fn head(&self) -> u64 {
        self.state.chain.head().number
    }

    /// What a view of a contract answers at the head.
    pub fn view<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        let answer = self.call(to, call.abi_encode().into()).expect("a view does not revert");
        C::abi_decode_returns(&answer).expect("a contract returns what its artifact says")
    }

    fn call(&self, to: Address, input: Bytes) -> Result<Bytes, Error> {
        let call = execution::Call { to: TxKind::Call(to), input, ..execution::Call::default() };
        let outcome = self
            .state
            .chain
            .simulate(self.head(), &call, &Stop::never())
            .map_err(|error| simulate("eth_call", error))?;
        if outcome.success { Ok(outcome.output) } else { Err(reverted("eth_call", outcome.output)) }
    }

    fn block(&self, number: u64) -> Option<Block> {
        let header = self.state.chain.header(number).expect("the store works")?;
        Some(Block {
            number,
            hash: header.hash_slow(),
            timestamp: header.timestamp,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            gas_limit: header.gas_limit,
        })
    }

    /// What a relayer's genesis file says.
    #[must_use]
    pub fn work(&self, recovery_delay: u16) -> Work {
        let genesis = self.state.chain.genesis();
        Work {
            identity: self.identity(),
            validators: genesis.validators().expect("its keys are valid"),
            parameters: (&genesis.bridge).into(),
            recovery_leaf: genesis.federation.recovery_leaf().expect("its keys are valid").0,
            recovery_delay,
        }
    }

    /// Facts of the ledger at the head, by proofs and a certificate of three of four validators.
    fn facts(&self, validators: &Validators, wanted: &Wanted) -> Result<Facts, ProvenError> {
        let chain = &self.state.chain;
        let header = chain.head();
        let finality = certified(&header, chain.genesis().network_id());
        let header = FinalHeader::verify(&finality, validators).map_err(|source| ProvenError::NotFinal {
            url: URL.to_owned(),
            number: finality.number,
            source,
        })?;
        let number = header.header.number;
        let state = chain.state_at(number).map_err(|error| simulate("eth_getProof", error))?;
        let answers = wanted.questions().into_iter().map(|Question { account, slots }| {
            let proof = state.proof(account, &slots).map_err(|error| simulate("eth_getProof", error))?;
            Ok(answer(account, proof))
        });
        let answers: Vec<EIP1186AccountProofResponse> = answers.collect::<Result<_, Error>>()?;
        let facts = Facts::read(header, wanted, &answers);
        facts.map_err(|source| ProvenError::NoFacts { url: URL.to_owned(), number, source })
    }

    /// As a relayer reads it in its genesis file.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let genesis = self.state.chain.genesis();
        Identity {
            chain_id: genesis.chain_id,
            network_id: genesis.network_id(),
            genesis: self.state.chain.genesis_block().hash(),
        }
    }

    /// As a node's `peg_getInfo`, apart from amounts of coins, which no relayer looks at.
    #[must_use]
    pub fn info(&self) -> peg::Info {
        let genesis = self.state.chain.genesis();
        let epoch = self.view(FEDERATION, &Federation::epochCall {});
        let key = |key: B256| (!key.is_zero()).then_some(key);
        let head = self.block(self.head()).expect("the head");
        peg::Info {
            chain_id: genesis.chain_id,
            network_id: genesis.network_id(),
            bitcoin_network: genesis.bitcoin.network,
            contracts: peg::Contracts::GENESIS,
            epoch,
            group_key: key(self.view(FEDERATION, &Federation::groupKeyCall { epoch_: epoch })),
            vault_key: key(self.view(FEDERATION, &Federation::vaultKeyCall { epoch_: epoch })),
            threshold: genesis.federation.threshold,
            members: members(genesis),
            parameters: self.view(BRIDGE, &Bridge::parametersCall {}).into(),
            bitcoin_tip: self.bitcoin_tip(),
            books: self.books(),
            head: peg::Head { number: head.number, hash: head.hash, timestamp: head.timestamp },
            version: String::new(),
        }
    }

    /// The peg's books, with the coins outside the Bridge.
    #[must_use]
    pub fn books(&self) -> peg::Books {
        let books = self.view(BRIDGE, &Bridge::booksCall {});
        let supply = (GENESIS_COINS_WEI - self.balance(BRIDGE)) / alloy_primitives::U256::from(WEI_PER_SAT);
        peg::Books {
            vault_sat: books.vault,
            owed_sat: books.owed,
            unminted_sat: books.unminted,
            unswept_sat: books.unswept,
            lost_sat: books.lost,
            reserve_sat: books.reserve,
            unclaimed_sat: books.unclaimed,
            covered_sat: books.covered,
            supply_sat: supply.to(),
        }
    }

    fn bitcoin_tip(&self) -> peg::BitcoinTip {
        use bitcoin::hashes::Hash;
        let tip = self.view(LIGHT_CLIENT, &BitcoinLightClient::tipCall {});
        peg::BitcoinTip {
            hash: bitcoin::BlockHash::from_byte_array(tip.hash.0),
            height: tip.height,
            time: 0,
            lag_seconds: 0,
        }
    }

    /// Sends a call of a user with coins along; it is in the next block.
    ///
    /// # Panics
    ///
    /// When the pool does not take it.
    pub fn send(&self, key: &Key, to: Address, wei: alloy_primitives::U256, input: Bytes) {
        let nonce = self.state.account(key.address).expect("the store works").nonce;
        let chain_id = self.state.chain.genesis().chain_id;
        let transaction = key.send(chain_id, nonce, 1_000_000, to.into(), wei, input);
        let raw = transaction.encoded_2718();
        self.state.admit(&raw, self.clock.unix_ms()).expect("a good transaction");
    }

    /// Hands the nodes a transaction of a member, free of charge; whether they take it.
    pub fn send_free(&self, account: &bridge::io::sidechain::Account, call: &Call) -> bool {
        let nonce = self.state.account(account.address()).expect("the store works").nonce;
        let chain_id = self.state.chain.genesis().chain_id;
        let signed = account.sign(chain_id, nonce, 3_000_000, Fees::FREE, call);
        self.state.admit(&signed.raw, self.clock.unix_ms()).is_ok()
    }

    /// Wei.
    #[must_use]
    pub fn balance(&self, account: Address) -> alloy_primitives::U256 {
        self.state.account(account).expect("the store works").balance
    }
}

/// The header with the signatures of three validators.
fn certified(header: &Header, network: B256) -> peg::Finality {
    let hash = header.hash_slow();
    let secrets: Vec<_> = (1..=4).map(validator).collect();
    peg::Finality {
        number: header.number,
        hash,
        header: alloy_rlp::encode(header).into(),
        certificate: certify(network, &secrets, &[0, 1, 2], header.number + 1, hash).into(),
        certified: peg::Certified { number: header.number, hash },
        descendants: Vec::new(),
    }
}

/// As a node answers `eth_getProof`.
fn answer(address: Address, proof: AccountProof) -> EIP1186AccountProofResponse {
    let account = proof.account.unwrap_or_default();
    let slots = proof.storage.into_iter();
    EIP1186AccountProofResponse {
        address,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: account.nonce,
        storage_hash: account.storage_root,
        account_proof: proof.proof,
        storage_proof: slots
            .map(|slot| EIP1186StorageProof { key: B256::from(slot.slot).into(), value: slot.value, proof: slot.proof })
            .collect(),
    }
}

fn members(genesis: &Genesis) -> Vec<peg::Member> {
    let members = (1..).zip(&genesis.federation.members);
    members.map(|(index, member)| peg::Member { index, name: member.name.clone(), account: member.account }).collect()
}

impl SimulatedNode {
    /// The chain, unless the call fails.
    async fn ask(&self, method: &'static str) -> Result<&Sidechain, Error> {
        let down = |reason: &str| Error::Down { url: URL.to_owned(), reason: reason.to_owned() };
        match self.faults.of(method) {
            None => Ok(&self.sidechain),
            Some(Fault::Refuses) => Err(down("connection refused")),
            Some(Fault::Errs) => Err(refused(method, &"internal error")),
            Some(Fault::Hangs) => {
                self.sidechain.clock.sleep(TIMEOUT).await;
                Err(down("timeout"))
            }
        }
    }
}

impl Node for SimulatedNode {
    fn url(&self) -> &str {
        URL
    }

    async fn info(&self) -> Result<peg::Info, Error> {
        Ok(self.ask("peg_getInfo").await?.info())
    }

    async fn head(&self) -> Result<Block, Error> {
        let sidechain = self.ask("eth_getBlockByNumber").await?;
        Ok(sidechain.block(sidechain.head()).expect("the head"))
    }

    async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        Ok(self.ask("eth_getBlockByNumber").await?.block(number))
    }

    async fn logs(&self, contracts: &[Address], from: u64, to: u64) -> Result<Vec<BlockLog>, Error> {
        Ok(self.faults.tell(self.ask("eth_getLogs").await?.logs(contracts, from, to)))
    }

    async fn registered_deposits(&self, cursor: u64, limit: u32) -> Result<peg::Registrations, Error> {
        let chain = &self.ask("peg_getRegisteredDeposits").await?.state.chain;
        let found = chain.registrations(cursor, limit as usize).expect("the store works");
        let next = found.last().map_or(cursor, |(cursor, _)| *cursor);
        let shown = |(cursor, registration): (u64, Registration)| peg::Registration {
            cursor,
            terms: registration.terms,
            address: String::new(),
            output_key: registration.output_key,
            paid: None,
        };
        Ok(peg::Registrations { deposits: found.into_iter().map(shown).collect(), next })
    }

    async fn call_encoded(&self, to: Address, input: Bytes) -> Result<Bytes, Error> {
        self.ask("eth_call").await?.call(to, input)
    }

    async fn proven(&self, validators: &Validators, wanted: &Wanted) -> Result<Facts, ProvenError> {
        self.ask("eth_getProof").await?.facts(validators, wanted)
    }

    async fn nonce(&self, account: Address) -> Result<u64, Error> {
        Ok(self.ask("eth_getTransactionCount").await?.state.account(account).expect("the store works").nonce)
    }

    async fn knows(&self, hash: B256) -> Result<bool, Error> {
        let state = &self.ask("eth_getTransactionByHash").await?.state;
        let included = state.chain.transaction(hash).expect("the store works").is_some();
        Ok(included || state.pool().contains(hash))
    }

    async fn estimate_gas(&self, from: Address, call: &Call, fees: Fees) -> Result<u64, Error> {
        let sidechain = self.ask("eth_estimateGas").await?;
        let call = execution::Call {
            from,
            to: call.to.map_or(TxKind::Create, TxKind::Call),
            value: call.value,
            input: call.input.clone(),
            gas_price: if fees == Fees::FREE { 0 } else { fees.max_fee },
            ..execution::Call::default()
        };
        let estimate = sidechain.state.chain.estimate_gas(&Trial::after(sidechain.head()), &call, &Stop::never());
        estimate.map_err(|error| simulate("eth_estimateGas", error))
    }

    async fn send_raw(&self, transaction: &Bytes) -> Result<B256, Error> {
        let sidechain = self.ask("eth_sendRawTransaction").await?;
        let admitted = sidechain.state.admit(transaction, sidechain.clock.unix_ms());
        admitted.map_err(|error| match error {
            AdmitError::Simulate(error) => simulate("eth_sendRawTransaction", error),
            error => refused("eth_sendRawTransaction", &error),
        })
    }
}

fn simulate(method: &'static str, error: SimulateError) -> Error {
    match error {
        SimulateError::Failed(outcome) => reverted(method, outcome.output),
        SimulateError::Invalid(InclusionError::FreeFailed { output, .. }) if !output.is_empty() => {
            reverted(method, output)
        }
        error => refused(method, &error),
    }
}

fn reverted(method: &'static str, data: Bytes) -> Error {
    Error::Reverted { method, revert: Revert::decode(data) }
}

fn refused(method: &'static str, error: &impl std::fmt::Display) -> Error {
    Error::Refused { method, code: -32_000, message: error.to_string() }
}
