//! A chain on disk with many accounts, slots and contracts.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use sidechain::{
    block::{Block, Transaction},
    chain::{Chain, Retention},
    execution::{Call, Halt, Stop},
    io::db::Database,
    limits::MAX_TRANSACTION_GAS,
    testing::{Key, genesis},
};
use tempfile::TempDir;

use super::{
    Row,
    code::{Loop, constructor, run_as_constructor},
};

/// Accounts with coins at [`account`]: more than one transaction can read.
pub const ACCOUNTS: u64 = 100_000;
/// Slots from 0 of [`Network::storage`].
pub const SLOTS: u64 = 40_000;
/// Contracts of 24 KiB, each with code of its own.
pub const CONTRACTS: u64 = 1_100;
/// Accounts that send.
pub const SENDERS: u64 = 3_000;

/// What `account(0)` is, without leading zeroes.
const FIRST_ACCOUNT: u64 = 0x0100_0000_0000;

pub struct Network {
    chain: Option<Chain<Database>>,
    directory: TempDir,
    /// A contract with slots.
    pub storage: Address,
    /// Ends at once.
    pub stops: Address,
    /// Reverts at once.
    pub reverts: Address,
    /// Writes ten transient slots, then reverts.
    pub writes_and_reverts: Address,
    /// Calls itself with all gas, as deep as it can.
    pub recurses: Address,
    /// Touches 64 KiB of memory.
    pub expands: Address,
    /// Those of 24 KiB.
    pub contracts: Vec<Address>,
    nonce: u64,
}

/// An account that has coins.
pub fn account(number: u64) -> Address {
    Address::left_padding_from(&(FIRST_ACCOUNT + number).to_be_bytes())
}

fn allocation() -> Vec<(Address, u64)> {
    let accounts = (0..ACCOUNTS).map(|number| (account(number), 1_000));
    accounts.chain((0..SENDERS).map(|number| (Key::new(number).address, 100_000_000))).collect()
}

impl Network {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a place for files");
        let none = Address::ZERO;
        let mut network = Self {
            chain: None,
            directory,
            storage: none,
            stops: none,
            reverts: none,
            writes_and_reverts: none,
            recurses: none,
            expands: none,
            contracts: Vec::new(),
            nonce: 0,
        };
        network.open();
        network.stops = network.deploy(&constructor(&hex!("00")));
        network.reverts = network.deploy(&constructor(&hex!("5f5ffd")));
        let write = hex!("5a5a5d").repeat(10);
        network.writes_and_reverts = network.deploy(&constructor(&[&write[..], &hex!("5f5ffd")].concat()));
        network.recurses = network.deploy(&constructor(&hex!("5f5f5f5f5f305af1")));
        network.expands = network.deploy(&constructor(&hex!("5f61ffe052")));
        network.storage = network.deploy(&constructor(&hex!("5f355b808055600101806020351160025700")));
        network.fill_slots();
        network.deploy_contracts();
        // What was in memory is read from files again.
        network.chain = None;
        network.open();
        network
    }

    fn open(&mut self) {
        let mut genesis = genesis();
        genesis.block.gas_limit = 1_000_000_000;
        let store = Database::open(&self.directory.path().join("chain")).expect("free");
        let chain = Chain::open_with(genesis, store, Retention::default(), &allocation()).expect("right");
        self.chain = Some(chain);
    }

    pub fn chain(&self) -> &Chain<Database> {
        self.chain.as_ref().expect("open")
    }

    /// Each slot holds its number: from word 0 of the call data to word 1.
    fn fill_slots(&mut self) {
        const STEP: u64 = 700;
        let calls = (0..SLOTS).step_by(STEP as usize).map(|from| {
            [U256::from(from.max(1)).to_be_bytes::<32>(), U256::from(from + STEP).to_be_bytes::<32>()].concat()
        });
        let calls: Vec<_> = calls.map(|input| (TxKind::Call(self.storage), input)).collect();
        self.send(calls);
    }

    fn deploy_contracts(&mut self) {
        let sender = Key::new(0).address;
        let first = self.nonce;
        let codes = (0..CONTRACTS).map(|number| {
            // JUMPDESTs, because they cost the most to analyse, and a number at the end.
            let code = [&[0u8][..], &[0x5b; 24_500], &number.to_be_bytes()].concat();
            (TxKind::Create, constructor(&code))
        });
        let codes: Vec<_> = codes.collect();
        self.send(codes);
        self.contracts = (first..first + CONTRACTS).map(|nonce| sender.create(nonce)).collect();
    }

    /// Puts a contract on the chain.
    pub fn deploy(&mut self, constructor: &[u8]) -> Address {
        let address = Key::new(0).address.create(self.nonce);
        self.send(vec![(TxKind::Create, constructor.to_vec())]);
        address
    }

    /// Sends from one account, in as many blocks as it takes.
    fn send(&mut self, inputs: Vec<(TxKind, Vec<u8>)>) {
        let chain_id = self.chain().genesis().chain_id;
        let transactions = inputs.into_iter().map(|(to, input)| {
            self.nonce += 1;
            Key::new(0).send(chain_id, self.nonce - 1, MAX_TRANSACTION_GAS, to, U256::ZERO, Bytes::from(input))
        });
        let transactions: Vec<_> = transactions.collect();
        for part in transactions.chunks(50) {
            let block = self.propose(part.to_vec()).0;
            assert_eq!(block.transactions.len(), part.len());
            let finalized = self.chain().finalize(&block).expect("stored").expect("new");
            assert!(finalized.receipts.iter().all(|receipt| receipt.status()), "all succeed");
        }
    }

    /// A block on the head, and how long it took to make.
    pub fn propose(&self, transactions: Vec<Transaction>) -> (Block, Duration) {
        let chain = self.chain();
        let start = clock();
        let now_ms = 1_700_000_100_000;
        let block = chain
            .propose(chain.head_hash(), now_ms, Address::ZERO, transactions.into_iter(), &Stop::never())
            .expect("proposed");
        (block, clock().saturating_sub(start))
    }

    /// One transaction's gas in a loop with `input` in its memory.
    pub fn measure(&self, program: &Loop, input: &[u8]) -> Row {
        self.measure_code(&program.name, &run_as_constructor(&program.code(), input))
    }

    /// The same with a constructor as it is.
    pub fn measure_code(&self, name: &str, code: &[u8]) -> Row {
        often(name, || self.run(name, code, MAX_TRANSACTION_GAS))
    }

    /// The same once, and with less gas, to find what is worth measuring.
    pub fn look(&self, program: &Loop, input: &[u8]) -> Row {
        let (time, gas) = self.run(&program.name, &run_as_constructor(&program.code(), input), 3_000_000);
        row(&program.name, gas, time)
    }

    fn run(&self, name: &str, code: &[u8], gas: u64) -> (Duration, u64) {
        let chain = self.chain();
        let call = Call {
            from: Key::new(1).address,
            to: TxKind::Create,
            input: code.to_vec().into(),
            gas: Some(gas),
            ..Call::default()
        };
        let start = clock();
        let outcome = chain.simulate(chain.head().number, &call, &Stop::never()).expect("starts");
        let time = clock().saturating_sub(start);
        // Whatever else ends it takes all gas too, and no time.
        let ended = outcome.halt.as_ref().is_none_or(Halt::is_out_of_gas);
        assert!(ended && outcome.gas_used > gas / 2, "{name} ends early: {outcome:?}");
        (time, outcome.gas_used)
    }
}

/// Time that this thread had a processor for, so that what else the machine does counts little; where the system does not tell, time.
pub fn clock() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// Runs something often enough for the clock, which counts in ticks of the system (mostly 4 ms).
pub fn often(name: &str, mut run: impl FnMut() -> (Duration, u64)) -> Row {
    // The first run fills caches.
    run();
    let (mut time, mut gas, mut runs) = (Duration::ZERO, 0, 0);
    while runs < 2 || (time < Duration::from_millis(200) && runs < 40) {
        let (took, used) = run();
        (time, gas, runs) = (time + took, gas + used, runs + 1);
    }
    row(name, gas, time)
}

/// What takes less than the clock's tick counts as one: it is at least as fast as that.
const TICK: Duration = Duration::from_millis(4);

fn row(name: &str, gas: u64, time: Duration) -> Row {
    let mgas_per_second = u128::from(gas) * 1_000 / time.max(TICK).as_nanos();
    Row { name: name.to_owned(), mgas_per_second: u64::try_from(mgas_per_second).expect("small") }
}
