//! What waits, across ends of a node of every kind, and what a file that others wrote to can do.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use alloy_consensus::{TxEip1559, TxLegacy};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{B256, TxKind, U256};
use contracts::address::SIGNING_BOARD;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{
    super::journal::{RETRY_MS, SLACK_BYTES},
    *,
};
use crate::{
    block::Transaction,
    chain::{Chain, Retention},
    io::{
        clock::now_ms,
        db::Database,
        node_state::NodeState,
        testing::{LastUser, make_block},
    },
    mempool::{
        Limits, Mempool,
        journal::{MAGIC, append},
    },
    testing::{self, Key, genesis, member, stranger},
};

const CHAIN: u64 = 51_717;
const MINUTE_MS: u64 = 60_000;

/// A folder of a node that is started and ended again and again.
struct Folder(TempDir);

/// A started node. Dropped without a word, as `kill -9` ends one: nothing is written then.
struct Node {
    state: NodeState,
    _last: LastUser,
}

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory for tests"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("pool.journal")
    }

    fn start(&self) -> Node {
        self.start_at(now_ms(), Limits::default())
    }

    fn start_at(&self, now_ms: u64, limits: Limits) -> Node {
        let database = Database::open(&self.0.path().join("chain")).expect("nobody else has it");
        let coins: Vec<_> = (0..40).map(|number| (Key::new(number).address, 100_000_000)).collect();
        let chain = Chain::open_with(genesis(), database, Retention::default(), &coins).expect("the genesis is right");
        let chain = Arc::new(chain);
        let state = NodeState::new(chain.clone(), Mempool::new(limits), mpsc::channel(1).0, None);
        state.keep_pool_in(self.file(), now_ms);
        Node { state, _last: LastUser::of(chain) }
    }

    fn size(&self) -> u64 {
        fs::metadata(self.file()).expect("it is there").len()
    }
}

impl Node {
    fn take(&self, transactions: &[Transaction]) {
        for transaction in transactions {
            self.state.admit(&transaction.encoded_2718(), now_ms()).expect("it is good");
        }
    }

    /// Hashes in the order in which they came, and whether each could be in the next block.
    fn waiting(&self) -> Vec<(B256, bool)> {
        let pool = self.state.pool();
        let ready: BTreeMap<_, _> = pool.content().map(|(ready, it)| (*it.tx_hash(), ready)).collect();
        pool.waiting().map(|(transaction, _)| (*transaction.tx_hash(), ready[transaction.tx_hash()])).collect()
    }

    fn hashes(&self) -> Vec<B256> {
        self.waiting().into_iter().map(|(hash, _)| hash).collect()
    }
}

fn pay(key: u64, nonce: u64) -> Transaction {
    Key::new(key).transfer(CHAIN, nonce, stranger(nonce), 1)
}

/// As dear as wanted.
fn pay_with(key: u64, nonce: u64, fee: u128, wei: U256) -> Transaction {
    Key::new(key).sign(TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: fee,
        to: TxKind::Call(stranger(7)),
        value: wei,
        ..TxEip1559::default()
    })
}

fn hashes(transactions: &[Transaction]) -> Vec<B256> {
    transactions.iter().map(|transaction| *transaction.tx_hash()).collect()
}

/// A file of these, as if they had come one after the other.
fn write(folder: &Folder, records: &[(u64, Transaction)]) {
    let mut bytes = MAGIC.to_vec();
    records.iter().for_each(|(arrived_ms, transaction)| append(&mut bytes, *arrived_ms, transaction));
    fs::write(folder.file(), bytes).expect("written");
}

#[test]
fn what_waits_is_there_after_a_kill_in_its_order_and_what_is_final_is_not() {
    let folder = Folder::new();
    let waits = [pay(1, 0), pay(2, 0), pay(3, 5), pay(1, 1)];
    let node = folder.start();
    node.take(&waits);
    let before = node.waiting();
    assert_eq!(before.iter().filter(|(_, ready)| !ready).count(), 1, "one waits behind a gap");
    drop(node);
    let node = folder.start();
    assert_eq!(node.waiting(), before);
    assert_eq!(node.state.pool().pending_nonce(Key::new(1).address, 0), 2, "clients count on from there");
    // A second kill, before anything else came.
    drop(node);
    let node = folder.start();
    assert_eq!(node.waiting(), before);
    make_block(&node.state);
    node.take(&[pay(2, 1)]);
    drop(node);
    let node = folder.start();
    assert_eq!(node.hashes(), hashes(&[waits[2].clone(), pay(2, 1)]));
}

#[test]
fn a_transaction_that_its_sender_took_back_does_not_return_even_when_what_replaced_it_cannot() {
    let folder = Folder::new();
    let coin = U256::from(10).pow(U256::from(18));
    let (first, instead) =
        (pay_with(1, 0, 10_000_000, U256::from(1)), pay_with(1, 0, 20_000_000, coin / U256::from(2)));
    let node = folder.start();
    node.take(&[first.clone(), instead.clone()]);
    assert_eq!(node.hashes(), hashes(std::slice::from_ref(&instead)));
    drop(node);
    assert_eq!(folder.start().hashes(), hashes(std::slice::from_ref(&instead)));
    // What replaced it is no longer payable at the next start: of the two none waits.
    write(&folder, &[(1, first), (2, pay_with(1, 0, 20_000_000, coin * U256::from(2)))]);
    assert!(folder.start().hashes().is_empty());
}

#[test]
fn a_restart_renews_no_waiting_and_a_clock_that_was_ahead_neither() {
    let folder = Folder::new();
    let limits = Limits::default();
    let now = now_ms();
    let (old, young, queued) = (pay(1, 0), pay(2, 0), pay(3, 5));
    write(&folder, &[(now, old.clone()), (now + limits.lifetime_ms, young.clone()), (now, queued.clone())]);
    let at = |later_ms: u64| folder.start_at(now + later_ms, Limits::default()).hashes();
    assert_eq!(at(limits.queued_lifetime_ms - 1), hashes(&[old.clone(), young.clone(), queued]));
    assert_eq!(at(limits.queued_lifetime_ms), hashes(&[old, young.clone()]), "ten minutes behind a gap");
    assert_eq!(at(limits.lifetime_ms + MINUTE_MS), hashes(std::slice::from_ref(&young)));
    // What came from the future, by the clock of then, came at the start.
    assert!(at(2 * limits.lifetime_ms).is_empty());
}

#[test]
fn the_pool_s_bounds_hold_for_what_a_file_brings() {
    let folder = Folder::new();
    let limits = || Limits { count: 5, sender_count: 3, ..Limits::default() };
    let now = now_ms();
    let crowd: Vec<_> = (0..4).map(|nonce| (now, pay(1, nonce))).collect();
    let dear: Vec<_> = (2..6).map(|key| (now, pay_with(key, 0, 50_000_000, U256::from(1)))).collect();
    write(&folder, &[crowd, dear].concat());
    let node = folder.start_at(now, limits());
    let status = node.state.pool().status();
    assert_eq!((status.executable, status.queued), (5, 0), "four dear ones, and one of the sender that had four");
    assert!((2..6).all(|key| node.state.pool().pending_nonce(Key::new(key).address, 0) == 1));
}

#[test]
fn whatever_stands_in_the_file_the_node_starts_and_takes_what_a_stranger_could_send() {
    let now = now_ms();
    let good = pay(1, 0);
    let free = member(1).free(CHAIN, 0, 200_000, SIGNING_BOARD, testing::post(0, vec![7; 100]));
    let other_chain = Key::new(2).transfer(CHAIN + 1, 0, stranger(1), 1);
    let no_chain = TxLegacy { nonce: 0, gas_price: 10_000_000, gas_limit: 21_000, ..TxLegacy::default() };
    let poor = Key::new(1_000).transfer(CHAIN, 0, stranger(1), 1);
    let greedy = Key::new(3).send(CHAIN, 0, 1 << 25, stranger(1).into(), U256::ZERO, Bytes::new());
    let records = [free, other_chain, Key::new(4).sign(no_chain), poor, greedy, good.clone(), good.clone()];
    let folder = Folder::new();
    write(&folder, &records.map(|transaction| (now, transaction)));
    assert_eq!(folder.start().hashes(), hashes(std::slice::from_ref(&good)));
    // Whole records of what is no transaction, and no records at all.
    let mut odd = MAGIC.to_vec();
    let whole = fs::read(folder.file()).expect("written anew");
    odd.extend(&whole[MAGIC.len()..]);
    odd.extend([0xff; 1_000]);
    for (bytes, left) in [(odd, 1), (whole[..whole.len() - 1].to_vec(), 0), (vec![7; 5_000_000], 0), (Vec::new(), 0)] {
        fs::write(folder.file(), bytes).expect("written");
        let node = folder.start();
        assert_eq!(node.hashes().len(), left);
        // And what comes now is kept.
        node.take(&[pay(5, 0)]);
        drop(node);
        assert!(folder.start().hashes().contains(pay(5, 0).tx_hash()));
    }
}

#[test]
fn a_pipe_in_the_place_of_the_file_keeps_no_node_from_starting() {
    let folder = Folder::new();
    let made = std::process::Command::new("mkfifo").arg(folder.file()).status().expect("coreutils");
    assert!(made.success());
    // Nobody will ever write into it.
    let node = folder.start();
    node.take(&[pay(1, 0)]);
    assert_eq!(node.hashes(), hashes(&[pay(1, 0)]));
    drop(node);
    assert_eq!(folder.start().hashes(), hashes(&[pay(1, 0)]), "the file took its place");
}

#[test]
fn the_file_stays_small_while_blocks_take_what_comes() {
    let folder = Folder::new();
    let node = folder.start();
    node.take(&[pay(39, 7)]);
    let journal = node.state.door_for_tests().journal.get().expect("it keeps one").clone();
    let mut largest = 0;
    for nonce in 0..40 {
        // Four megabytes come and go.
        let large = |key| {
            Key::new(key).send(CHAIN, nonce, 2_000_000, TxKind::Call(stranger(1)), U256::ZERO, vec![0; 100_000].into())
        };
        let senders = if nonce == 0 { 0..39 } else { 0..4 };
        node.take(&senders.map(large).collect::<Vec<_>>());
        while node.state.pool().status().executable > 0 {
            make_block(&node.state);
        }
        node.state.door_for_tests().tidy_journal(now_ms());
        while journal.lock().rewriting {
            std::thread::yield_now();
        }
        largest = largest.max(folder.size());
    }
    assert!(largest < 3 * SLACK_BYTES, "{largest}");
    assert!(folder.size() < 2 * SLACK_BYTES, "{}", folder.size());
    drop(node);
    assert_eq!(folder.start().hashes(), hashes(&[pay(39, 7)]), "what waited all the time");
}

#[test]
fn what_comes_while_the_file_is_written_anew_is_in_it() {
    let folder = Folder::new();
    let node = folder.start();
    node.take(&[pay(1, 0)]);
    let journal = node.state.door_for_tests().journal.get().expect("it keeps one").clone();
    journal.lock().file = None;
    assert!(journal.begin(node.state.pool().status(), now_ms()));
    assert!(!journal.begin(node.state.pool().status(), now_ms()), "one at a time");
    let waiting = node.state.door_for_tests().waiting();
    node.take(&[pay(2, 0)]);
    journal.rewrite(&waiting, now_ms());
    node.take(&[pay(3, 0)]);
    drop((node, journal));
    assert_eq!(folder.start().hashes(), hashes(&[pay(1, 0), pay(2, 0), pay(3, 0)]));
}

#[test]
fn a_disk_that_fails_costs_no_transaction_and_the_file_is_there_again_when_it_works() {
    let folder = Folder::new();
    let node = folder.start();
    let journal = node.state.door_for_tests().journal.get().expect("it keeps one").clone();
    // A file that takes no writes, and a place that nothing can be renamed to.
    fs::remove_file(folder.file()).expect("it was there");
    fs::create_dir_all(folder.file().join("in the way")).expect("made");
    journal.lock().file = Some(File::open("/dev/null").expect("it is there"));
    node.take(&[pay(1, 0)]);
    assert!(journal.lock().file.is_none());
    let now = now_ms();
    let tidy = |now_ms| {
        node.state.door_for_tests().tidy_journal(now_ms);
        while journal.lock().rewriting {
            std::thread::yield_now();
        }
    };
    tidy(now);
    assert!(journal.lock().file.is_none() && !folder.file().with_extension("new").exists());
    fs::remove_dir_all(folder.file()).expect("removed");
    tidy(now + RETRY_MS - 1);
    assert!(!folder.file().exists(), "not at once");
    tidy(now + RETRY_MS);
    drop((node, journal));
    assert_eq!(folder.start().hashes(), hashes(&[pay(1, 0)]));
}

/// As many transactions of 2 KB as a pool takes: 42 MB, which are read before anybody is served.
const FULL: u64 = 20_000;

/// Writes a pool's file with so many transactions of 2 KB, of forty senders.
fn write_large(folder: &Folder, count: u64) {
    let large = |key: u64, nonce: u64| {
        Key::new(key).sign(TxEip1559 {
            chain_id: CHAIN,
            nonce,
            gas_limit: 50_000,
            max_fee_per_gas: 10_000_000,
            max_priority_fee_per_gas: 1_000_000,
            to: TxKind::Call(stranger(nonce)),
            input: vec![0; 2_000].into(),
            ..TxEip1559::default()
        })
    };
    let records: Vec<_> = (0..count).map(|index| (now_ms(), large(index % 40, index / 40))).collect();
    write(folder, &records);
}

/// Time that all cores gave this process, in hundredths of a second: fields 14 and 15 of proc_pid_stat(5). On a busy machine it says more than a clock.
fn worked() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[test]
fn the_file_of_a_full_pool_is_read_with_no_more_work_by_the_transaction_than_that_of_a_small_one() {
    let reading = |count: u64| {
        let folder = Folder::new();
        write_large(&folder, count);
        let before = folder.size();
        let (clock, begun) = (Instant::now(), worked());
        let node = folder.start();
        let work = worked() - begun;
        println!("{before} bytes are read in {:?}, by {work} hundredths of a second's work", clock.elapsed());
        assert_eq!(node.state.pool().len() as u64, count);
        assert_eq!(folder.size(), before, "all of it is kept");
        work
    };
    let [tenth, full] = [FULL / 10, FULL].map(reading);
    assert!(full < 20 * tenth.max(1), "ten times as many took {full} instead of {tenth}");
}
