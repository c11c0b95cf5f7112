//! Attacks on the lanes of a proposer's blocks, with the real chain on disk, its pool and the application that the engine asks.

use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256};
use contracts::{
    BitcoinLightClient,
    address::{LIGHT_CLIENT, SIGNING_BOARD},
    alloy_sol_types::SolCall as _,
};

use super::{super::application::NodeApplication, maker::Maker};
use crate::{
    block::{Block, Transaction},
    execution::Stop,
    io::{clock::now_ms, consensus::Application as _, node_state::NodeState},
    limits::MAX_TRANSACTION_GAS,
    mempool::Refused,
    testing::{self, Key, genesis, member},
};

const CHAIN: u64 = 51_717;
const PROPOSER: Address = Address::repeat_byte(0xbe);

/// A node that makes blocks when it is told to.
struct Node {
    state: NodeState,
    application: NodeApplication,
    maker: Maker,
}

impl Node {
    fn new() -> Self {
        let maker = Maker::new(genesis(), &[(Key::new(1).address, 100_000_000)]);
        let state = maker.state.clone();
        Self { application: NodeApplication::new(state.clone()), state, maker }
    }

    fn take(&self, transaction: &Transaction) {
        self.maker.admit(transaction, now_ms()).unwrap_or_else(|error| panic!("{error}"));
    }

    fn build(&self, parent: B256) -> Block {
        self.application.build(parent, now_ms(), PROPOSER, &Stop::never()).expect("the parent is known")
    }

    /// Builds on the head, and makes the block final.
    fn make_block(&self) -> Vec<Address> {
        let block = self.build(self.state.chain.head_hash());
        self.maker.make_final(&block, now_ms()).senders.clone()
    }
}

fn post(index: u16, nonce: u64, gas: u64, bytes: usize) -> Transaction {
    let attempt = u32::try_from(nonce).expect("small");
    member(index).free(CHAIN, nonce, gas, SIGNING_BOARD, testing::post(attempt, vec![7; bytes]))
}

/// Brings block 1 of a Bitcoin of its own, which the light client takes once.
fn submit_header(index: u16) -> Transaction {
    let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Regtest).header;
    let mut header =
        bitcoin::block::Header { prev_blockhash: genesis.block_hash(), time: genesis.time + 600, nonce: 0, ..genesis };
    while header.validate_pow(header.target()).is_err() {
        header.nonce += 1;
    }
    let call = BitcoinLightClient::submitCall { headers: bitcoin::consensus::serialize(&header).into() };
    member(index).free(CHAIN, 0, 1_000_000, LIGHT_CLIENT, call.abi_encode().into())
}

#[test]
fn eight_free_transactions_that_ask_for_the_most_gas_leave_room_for_who_pays() {
    let node = Node::new();
    for index in 1..=4 {
        (0..2).for_each(|nonce| node.take(&post(index, nonce, MAX_TRANSACTION_GAS, 100)));
    }
    node.take(&Key::new(1).transfer(CHAIN, 0, PROPOSER, 1));
    let mut senders = node.make_block();
    assert!(senders.contains(&Key::new(1).address), "in the first block, whatever else is in it");
    // And the free ones are there or follow, each member's in its turn.
    senders.extend((0..7).flat_map(|_| node.make_block()));
    assert!((1..=4).all(|index| senders.contains(&member(index).address)));
    assert!(node.state.pool().is_empty());
}

#[test]
fn one_hostile_member_that_fills_everything_delays_no_other_member_and_nobody_who_pays() {
    for (gas, bytes) in [(MAX_TRANSACTION_GAS, 100), (1_500_000, 15_000), (200_000, 10)] {
        let node = Node::new();
        // As many as the pool takes of it, before all others.
        let hostile = (0..).take_while(|nonce| {
            let sent = post(1, *nonce, gas, bytes);
            node.state.admit(&sent.encoded_2718(), now_ms()).is_ok()
        });
        assert!(hostile.count() >= 32, "{gas} gas, {bytes} bytes");
        (2..=4).for_each(|index| node.take(&post(index, 0, 400_000, 1_000)));
        node.take(&Key::new(1).transfer(CHAIN, 0, PROPOSER, 1));
        for round in 0..5 {
            let senders = node.make_block();
            for index in 2..=4 {
                assert!(senders.contains(&member(index).address), "{gas} gas: member {index} in block {round}");
                node.take(&post(index, round + 1, 400_000, 1_000));
            }
            assert!(senders.contains(&Key::new(1).address), "{gas} gas: who pays, in block {round}");
            node.take(&Key::new(1).transfer(CHAIN, round + 1, PROPOSER, 1));
        }
    }
}

#[test]
fn a_free_transaction_that_fails_in_a_block_leaves_at_once_and_is_no_work() {
    let node = Node::new();
    // Two members bring the same header: whichever is second fails, although both would succeed on the head.
    let genesis = node.state.chain.head_hash();
    (1..=2).for_each(|index| node.take(&submit_header(index)));
    assert!(node.application.has_work(genesis));
    let first = node.build(genesis);
    assert_eq!((first.transactions.len(), node.state.pool().len()), (1, 1));
    assert!(!node.application.has_work(first.hash()), "what is left is in the parent already");
    assert!(node.build(first.hash()).transactions.is_empty());
    node.take(&Key::new(1).transfer(CHAIN, 0, PROPOSER, 1));
    assert!(node.application.has_work(first.hash()));
    assert_eq!(node.build(first.hash()).transactions.len(), 1);
}

#[test]
fn who_has_free_transactions_tried_without_end_has_to_wait_and_others_have_not() {
    let node = Node::new();
    // Each is run with all its gas and fails, so it is not taken and costs its sender no nonce.
    let failing = |index: u16, number: u64| {
        let payload = vec![1; 16_385 + usize::try_from(number).expect("small")];
        member(index).free(CHAIN, 0, MAX_TRANSACTION_GAS, SIGNING_BOARD, testing::post(0, payload))
    };
    let now_ms = now_ms();
    let tried = (0..100).take_while(|number| {
        let refused = node.state.admit(&failing(1, *number).encoded_2718(), now_ms).expect_err("it fails");
        !refused.to_string().contains("too many free transactions")
    });
    assert_eq!(tried.count(), 8);
    let waiting = node.state.admit(&post(1, 0, MAX_TRANSACTION_GAS, 100).encoded_2718(), now_ms);
    assert!(matches!(waiting, Err(crate::io::node_state::AdmitError::Refused(Refused::TooManyTrials { .. }))));
    node.state.admit(&post(2, 0, MAX_TRANSACTION_GAS, 100).encoded_2718(), now_ms).expect("another member");
    // After a second, one more of the largest.
    node.state.admit(&post(1, 0, MAX_TRANSACTION_GAS, 100).encoded_2718(), now_ms + 1_001).expect("it waited");
}
