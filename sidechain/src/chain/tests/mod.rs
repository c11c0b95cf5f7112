//! Proposing, verifying, finalizing and reading, over a store in memory and on disk.

mod account_changes;
mod block_hashes;
mod blocks;
mod channels;
mod counting;
mod free_lane;
mod genesis;
mod log_index;
#[cfg(feature = "io")]
mod long_history;
mod newest_logs;
mod old_state;
#[cfg(feature = "io")]
mod on_disk;
mod preview;
mod prices;
mod reading;
mod records;
mod registrations;
mod retention;
mod snapshot;
mod standard;
mod stopping;
mod supply;
mod tokens;
mod unfinal;
mod x402;

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::{TxEip2930, TxEip7702, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, hex, keccak256, uint};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::{HashBuilder, Nibbles, proof::verify_proof};
use contracts::{
    alloy_sol_types::SolCall,
    coin::{GENESIS_COINS_WEI, wei},
};
use proptest::prelude::*;

use super::{log_index::index_batch, *};
use crate::{
    block::{self, Block, Header, Transaction},
    execution::{BlockError, Call, Execution, InclusionError, Stop, child_header},
    limits::MIN_BASE_FEE,
    state::{
        Overlay, StateReader, Working, decode_account, slot_hash,
        store::{Memory, Store, StoreError, Table},
    },
    testing::{self, Key, genesis, member},
};

const CHAIN: u64 = 51_717;
const NOW_MS: u64 = 1_700_000_100_000;
const COIN_SAT: u64 = 100_000_000;
const PROPOSER: Address = Address::repeat_byte(0xbe);

/// slot 0 += 1; log it with topic 42. In front of it what deploys it.
const COUNTER: [u8; 27] = hex!("60128060095f395ff3" "5f546001015f555f545f52602a60205fa100");
/// storage[word 0 of the call data] = word 1. In front of it what deploys it.
const WRITER: [u8; 16] = hex!("60078060095f395ff3" "6020355f355500");
/// Pays all it has to the caller.
const GIVER: [u8; 10] = hex!("5f5f5f5f47335af10000");

fn allocation() -> Vec<(Address, u64)> {
    (1..=10).map(|number| (Key::new(number).address, COIN_SAT)).collect()
}

fn open<S: Store>(store: S) -> Chain<S> {
    Chain::open_with(genesis(), store, Retention::default(), &allocation()).expect("the genesis is right")
}

/// With another gas limit.
fn chain_of(gas_limit: u64) -> Chain<Memory> {
    let mut genesis = genesis();
    genesis.block.gas_limit = gas_limit;
    Chain::open_with(genesis, Memory::default(), Retention::default(), &allocation()).expect("the genesis is right")
}

fn chain() -> Chain<Memory> {
    open(Memory::default())
}

/// Proposes on the head and makes it final.
fn next<S: Store>(chain: &Chain<S>, transactions: Vec<Transaction>) -> Arc<Finalized> {
    let block = chain
        .propose(chain.head_hash(), NOW_MS, PROPOSER, transactions.into_iter(), &Stop::never())
        .expect("the head is known");
    chain.finalize(&block).expect("our own block").expect("it is new")
}

fn create(key: &Key, nonce: u64, code: &[u8]) -> Transaction {
    key.send(CHAIN, nonce, 1_000_000, TxKind::Create, U256::ZERO, Bytes::copy_from_slice(code))
}

/// Puts a contract that runs `code` on the chain, in a block of its own.
fn deployed<S: Store>(chain: &Chain<S>, key: &Key, nonce: u64, code: &[u8]) -> Address {
    let length = u16::try_from(code.len()).expect("short").to_be_bytes();
    // PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN
    let constructor = [&hex!("61")[..], &length, &hex!("80600a5f395ff3"), code].concat();
    let finalized = next(chain, vec![create(key, nonce, &constructor)]);
    assert!(finalized.receipts[0].status(), "deployed");
    key.address.create(nonce)
}

fn call(key: &Key, nonce: u64, to: Address, input: impl Into<Bytes>) -> Transaction {
    key.send(CHAIN, nonce, 200_000, to.into(), U256::ZERO, input.into())
}

fn write(key: &Key, nonce: u64, to: Address, slot: u64, value: u64) -> Transaction {
    call(key, nonce, to, [U256::from(slot).to_be_bytes::<32>(), U256::from(value).to_be_bytes::<32>()].concat())
}

fn balance<S: Store>(chain: &Chain<S>, number: u64, address: Address) -> U256 {
    let state = chain.state_at(number).expect("kept");
    state.account(address).expect("in memory").map_or(U256::ZERO, |account| account.balance)
}

/// State root from all rows, by the builder of alloy-trie.
fn naive_root(store: &Memory) -> B256 {
    let leaves = |rows: &[(Vec<u8>, Vec<u8>)]| {
        let mut builder = HashBuilder::default();
        rows.iter().for_each(|(key, value)| builder.add_leaf(Nibbles::unpack(key), value));
        builder.root()
    };
    let accounts = store.scan(Table::Account, &[], usize::MAX).expect("in memory");
    for (hash, row) in &accounts {
        let account = decode_account(row).expect("written by us");
        let slots = store.scan(Table::Slot, hash, usize::MAX).expect("in memory").into_iter();
        let slots = slots.take_while(|(key, _)| key.starts_with(hash));
        let slots = slots.map(|(key, value)| (key[32..].to_vec(), alloy_rlp::encode(U256::from_be_slice(&value))));
        let slots: Vec<_> = slots.collect();
        assert_eq!(account.storage_root, leaves(&slots), "storage of {}", hex::encode(hash));
    }
    let accounts =
        accounts.into_iter().map(|(hash, row)| (hash, alloy_rlp::encode(decode_account(&row).expect("read above"))));
    leaves(&accounts.collect::<Vec<_>>())
}

/// Whether the proposer broke a rule, so that the block will never be valid.
fn is_fault(error: &BlockError) -> bool {
    matches!(error, BlockError::Header { .. } | BlockError::Transaction { .. } | BlockError::Supply { .. })
}
