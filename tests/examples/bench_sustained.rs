//! Blocks under load for a long time, in a state that grows: `make bench`, or
//! `cargo run --release -p causeway-tests --example bench_sustained -- SECONDS [ACCOUNTS]`, where so many accounts are there from the start on.
//!
//! A proposer and a second validator, each with a database of its own, work through blocks at the gas target one after the other, as fast as they
//! can: half of the transactions pay an account that is new, a quarter one of those that were made before, and a quarter write two
//! storage slots and a log, as a token transfer does. A line a minute says what one block takes by then. Signing and making up the
//! transactions are not counted. Asserts nothing about time.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use sidechain::{
    block::{Block, Transaction, recover},
    chain::{Chain, Retention},
    execution::Stop,
    io::db::Database,
    testing::{Key, genesis, stranger},
};
use tests::{disk::bytes_below, proc};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SENDERS: u64 = 1_000;

/// Gas that a token transfer may take: two slots that are new, and a log.
const TOKEN_GAS: u64 = 80_000;

/// Time of one run in seconds, where the command line has none.
const SECONDS: u64 = 600;

/// Adds 1 to the slots of the caller and of the call data's first word, and logs both: what a token transfer costs. In front of it what
/// deploys it.
const TOKEN: [u8; 35] = hex!("601a8060095f395ff3" "335460010133555f35546001015f35555f3533602a60205fa300");

fn main() {
    let seconds = std::env::args().nth(1).map_or(SECONDS, |text| text.parse().expect("seconds"));
    let accounts = std::env::args().nth(2).map_or(0, |text| text.parse().expect("accounts"));
    let genesis = genesis();
    let senders = (0..=SENDERS).map(|number| (Key::new(number).address, 100_000_000));
    let allocation: Vec<_> = senders.chain((0..accounts).map(|number| (stranger(number), 1))).collect();
    let directory = tempfile::tempdir().expect("a place for files");
    let open = |name: &str| {
        let database = Database::open(&directory.path().join(name)).expect("free");
        Chain::open_with(genesis.clone(), database, Retention::default(), &allocation).expect("right")
    };
    let gas = genesis.block.gas_limit;
    // More, and the base fee would rise without end (EIP-1559).
    println!("blocks of {} gas, half of their limit, for {seconds} s, in a state that grows", gas / 2);
    println!("minute   blocks   accounts   transactions   propose   verify   commit   us/transaction   disk   memory");
    sustain(&open("proposer"), &open("validator"), accounts, Duration::from_secs(seconds), directory.path());
}

/// Fills blocks until the time is over, and prints a line for each minute.
fn sustain(proposer: &Chain<Database>, validator: &Chain<Database>, accounts: u64, time: Duration, directory: &Path) {
    let mut load = Load { accounts, ..Load::new(proposer, validator) };
    let mut minute = Minute::default();
    let started = Instant::now();
    let mut minutes = 1;
    while started.elapsed() < time {
        let candidates = load.block(proposer.genesis().block.gas_limit / 2);
        let transactions = step(proposer, validator, &candidates, &mut minute);
        assert_eq!(transactions, candidates.len(), "all of them fit, and none fails");
        if started.elapsed() >= Duration::from_secs(60 * minutes).min(time) {
            minute.print(minutes, load.accounts, directory);
            minute = Minute::default();
            minutes += 1;
        }
    }
}

/// One block, from its transactions' bytes to two databases; returns how many transactions it has.
fn step(
    proposer: &Chain<Database>,
    validator: &Chain<Database>,
    candidates: &[Transaction],
    minute: &mut Minute,
) -> usize {
    let chain_id = proposer.genesis().chain_id;
    let now_ms = 1_700_000_100_000 + 500 * proposer.head().number;
    // Each node recovers a sender once, when the transaction reaches its pool.
    let admitted: Vec<_> = minute.admit.time(|| {
        let recovered = candidates.iter().map(|candidate| recover(candidate.inner().clone(), chain_id));
        recovered.collect::<Result<_, _>>().expect("signed")
    });
    admitted.iter().for_each(|transaction| validator.remember_sender(transaction));
    let block: Block = minute.propose.time(|| {
        let parent = proposer.head_hash();
        proposer.propose(parent, now_ms, Address::ZERO, admitted.into_iter(), &Stop::never()).expect("its own head")
    });
    minute.verify.time(|| validator.verify(&block, now_ms, &Stop::never()).expect("valid"));
    minute.commit.time(|| proposer.finalize(&block).expect("stored").expect("new"));
    minute.blocks += 1;
    minute.transactions += block.transactions.len();
    validator.finalize(&block).expect("stored").expect("new");
    block.transactions.len()
}

/// The transactions of an endless load, made from small numbers.
struct Load {
    keys: Vec<Key>,
    chain_id: u64,
    token: Address,
    /// Transactions so far: the senders take turns, so each nonce follows from it.
    made: u64,
    /// Accounts that were paid.
    accounts: u64,
}

impl Load {
    /// Deploys the token on both chains.
    fn new(proposer: &Chain<Database>, validator: &Chain<Database>) -> Self {
        let chain_id = proposer.genesis().chain_id;
        let deployer = Key::new(SENDERS);
        let deploy = deployer.send(chain_id, 0, 1_000_000, TxKind::Create, U256::ZERO, Bytes::from_static(&TOKEN));
        assert_eq!(step(proposer, validator, &[deploy], &mut Minute::default()), 1);
        let keys = (0..SENDERS).map(Key::new).collect();
        Self { keys, chain_id, token: deployer.address.create(0), made: 0, accounts: 0 }
    }

    /// As many transactions as the gas is enough for.
    fn block(&mut self, mut gas: u64) -> Vec<Transaction> {
        let mut transactions = Vec::new();
        while gas >= TOKEN_GAS {
            let transaction = self.next();
            gas -= transaction.gas_limit();
            transactions.push(transaction);
        }
        transactions
    }

    fn next(&mut self) -> Transaction {
        let (kind, sender, nonce) = (self.made % 4, self.made % SENDERS, self.made / SENDERS);
        self.made += 1;
        let key = &self.keys[usize::try_from(sender).expect("small")];
        // Scattered, so that reads find nothing near by.
        let old = U256::from_be_bytes(keccak256(self.made.to_be_bytes()).0) % U256::from(self.accounts.max(1));
        match kind {
            0 | 1 => {
                self.accounts += 1;
                key.transfer(self.chain_id, nonce, stranger(self.accounts), 1)
            }
            2 => key.transfer(self.chain_id, nonce, stranger(old.to()), 1),
            _ => {
                let receiver = stranger(old.to()).into_word();
                key.send(self.chain_id, nonce, TOKEN_GAS, self.token.into(), U256::ZERO, receiver.into())
            }
        }
    }
}

/// Sums of one minute.
#[derive(Default)]
struct Minute {
    blocks: u64,
    transactions: usize,
    admit: Stopwatch,
    propose: Stopwatch,
    verify: Stopwatch,
    commit: Stopwatch,
}

impl Minute {
    fn print(&self, minute: u64, accounts: u64, directory: &Path) {
        let each = |watch: &Stopwatch| watch.0.as_millis() / u128::from(self.blocks.max(1));
        let Self { blocks, transactions, admit, propose, verify, commit } = self;
        // What a validator that does not lead does for each: most of them, most of the time.
        let single =
            (admit.0 + verify.0 + commit.0).as_micros() / u128::try_from((*transactions).max(1)).expect("a count");
        println!(
            "{minute:>6} {blocks:>8} {accounts:>10} {transactions:>14} {:>6} ms {:>5} ms {:>5} ms {single:>16} {:>4} MB {:>5} MB",
            each(propose),
            each(verify),
            each(commit),
            bytes_below(directory) / 2 / 1_000_000,
            // Of both together.
            proc::memory(std::process::id()) / 1_000_000,
        );
    }
}

/// Time spent on one thing.
#[derive(Default)]
struct Stopwatch(Duration);

impl Stopwatch {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.0 += started.elapsed();
        result
    }
}
