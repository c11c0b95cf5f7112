//! Proposing, verifying, finalizing and reading, over a store in memory and on disk.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::{TxEip2930, TxEip7702, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256, uint};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::{HashBuilder, Nibbles, proof::verify_proof};
use contracts::{
    alloy_sol_types::SolCall,
    coin::{GENESIS_COINS_WEI, wei},
};
use proptest::prelude::*;

use super::{tip::MAX_PENDING, *};
use crate::{
    block::{self, Block, Header, Transaction},
    execution::{BlockError, Call, Execution, InclusionError, child_header},
    limits::MIN_BASE_FEE,
    state::{
        Account, Overlay, StateReader, Working, slot_hash,
        store::{Memory, Store, StoreError, Table},
    },
    testing::{Key, genesis, member},
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

fn chain() -> Chain<Memory> {
    open(Memory::default())
}

/// Proposes on the head and makes it final.
fn next<S: Store>(chain: &Chain<S>, transactions: Vec<Transaction>) -> Arc<Finalized> {
    let block =
        chain.propose(chain.head_hash(), NOW_MS, PROPOSER, transactions.into_iter()).expect("the head is known");
    chain.finalize(&block).expect("our own block").expect("it is new")
}

fn create(key: &Key, nonce: u64, code: &[u8]) -> Transaction {
    key.send(CHAIN, nonce, 1_000_000, TxKind::Create, U256::ZERO, Bytes::copy_from_slice(code))
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
    let leaves = |rows: Vec<(Vec<u8>, Vec<u8>)>| {
        let mut builder = HashBuilder::default();
        rows.iter().for_each(|(key, value)| builder.add_leaf(Nibbles::unpack(key), value));
        builder.root()
    };
    let accounts = store.scan(Table::Account, &[], usize::MAX).expect("in memory");
    for (hash, row) in &accounts {
        let account = Account::decode(&mut &row[..]).expect("written by us");
        let slots = store.scan(Table::Slot, hash, usize::MAX).expect("in memory").into_iter();
        let slots = slots.take_while(|(key, _)| key.starts_with(hash));
        let slots = slots.map(|(key, value)| (key[32..].to_vec(), alloy_rlp::encode(U256::from_be_slice(&value))));
        assert_eq!(account.storage_root, leaves(slots.collect()), "storage of {}", hex::encode(hash));
    }
    leaves(accounts)
}

#[test]
fn a_block_of_transfers_and_a_deployment_is_proposed_verified_and_final() {
    let (proposer, validator) = (chain(), chain());
    let [alice, bob] = [Key::new(1), Key::new(2)];
    let friend = Address::repeat_byte(0xf1);
    let transactions = vec![
        alice.transfer(CHAIN, 0, friend, 1_000),
        bob.transfer(CHAIN, 0, friend, 2_000),
        create(&alice, 1, &COUNTER),
        // Cannot stand in the block: skipped.
        bob.transfer(CHAIN, 7, friend, 1),
        call(&bob, 1, alice.address.create(1), Bytes::new()),
    ];
    let block = proposer.propose(proposer.head_hash(), NOW_MS, PROPOSER, transactions.into_iter()).expect("proposed");
    assert_eq!(block.transactions.len(), 4);
    validator.verify(&block, NOW_MS).expect("valid");
    for chain in [&proposer, &validator] {
        let finalized = chain.finalize(&block).expect("stored").expect("new");
        assert!(finalized.receipts.iter().all(|receipt| receipt.status()));
        assert_eq!(finalized.senders, [alice.address, bob.address, alice.address, bob.address]);
        assert!(chain.finalize(&block).expect("idempotent").is_none());
        assert_eq!(chain.head(), block.header);
        assert_eq!(balance(chain, 1, friend), U256::from(3_000));
        assert_eq!(balance(chain, 0, friend), U256::ZERO);
        assert_eq!(naive_root(&chain.store), block.header.state_root);
        let counter = chain.state_at(1).expect("kept").storage(alice.address.create(1), U256::ZERO).expect("in memory");
        assert_eq!(counter, U256::from(1));
    }
    assert_eq!(validator.receipts(1).expect("kept"), proposer.receipts(1).expect("kept"));
    let located = validator.transaction(*block.transactions[3].tx_hash()).expect("kept").expect("final");
    assert_eq!((located.index, located.transaction.signer(), located.block_hash), (3, bob.address, block.hash()));
}

#[test]
fn the_base_fee_goes_to_the_beneficiary_so_that_the_supply_stays() {
    let chain = chain();
    let total = |number| {
        let mut all: Vec<Address> = allocation().into_iter().map(|(address, _)| address).collect();
        all.extend([PROPOSER, contracts::address::BRIDGE, Address::repeat_byte(0xf1)]);
        all.into_iter().map(|address| balance(&chain, number, address)).sum::<U256>()
    };
    let finalized = next(&chain, vec![Key::new(1).transfer(CHAIN, 0, Address::repeat_byte(0xf1), 5)]);
    assert_eq!(finalized.block.header.gas_used, 21_000);
    assert_eq!(balance(&chain, 1, PROPOSER), U256::from(21_000 * (MIN_BASE_FEE + 1_000)));
    assert_eq!(total(0), total(1));
    assert_eq!(total(1), GENESIS_COINS_WEI);
}

#[test]
fn the_contracts_of_genesis_answer_what_genesis_says() {
    let chain = chain();
    let ask = |to: Address, input: Vec<u8>| {
        let call = Call { to: to.into(), input: input.into(), ..Call::default() };
        let outcome = chain.simulate(0, &call).expect("block 0 has state");
        assert!(outcome.success, "{outcome:?}");
        outcome.output
    };
    let count = ask(contracts::address::FEDERATION, contracts::Federation::memberCountCall {}.abi_encode());
    assert_eq!(U256::from_be_slice(&count), U256::from(4));
    let tip = ask(contracts::address::LIGHT_CLIENT, contracts::BitcoinLightClient::tipCall {}.abi_encode());
    let tip = contracts::BitcoinLightClient::tipCall::abi_decode_returns(&tip).expect("as declared");
    assert_eq!(tip.height, 0);
    let rules = ask(contracts::address::BRIDGE, contracts::Bridge::parametersCall {}.abi_encode());
    let rules = contracts::Bridge::parametersCall::abi_decode_returns(&rules).expect("as declared");
    assert_eq!((rules.reclaimDelay, rules.minDepositSat), (1008, 10_000));
    let supply = GENESIS_COINS_WEI - wei(10 * COIN_SAT);
    assert_eq!(balance(&chain, 0, contracts::address::BRIDGE), supply);
    assert_eq!(naive_root(&chain.store), chain.head().state_root);
}

// final 0 - 1a - 2a        pending
//        \  1b - 2b        becomes final
#[test]
fn blocks_stand_on_pending_parents_and_the_losing_branch_is_forgotten() {
    let chain = chain();
    let zero = chain.head_hash();
    let alice = Key::new(1);
    let propose = |parent, nonce, wei| {
        let transaction = alice.transfer(CHAIN, nonce, Address::repeat_byte(0xf1), wei);
        chain.propose(parent, NOW_MS, PROPOSER, std::iter::once(transaction)).expect("known parent")
    };
    let a1 = propose(zero, 0, 1);
    let a2 = propose(a1.hash(), 1, 10);
    let b1 = propose(zero, 0, 100);
    let b2 = propose(b1.hash(), 1, 1_000);
    assert!([&a1, &a2, &b1, &b2].iter().all(|block| block.transactions.len() == 1));

    assert!(matches!(chain.finalize(&b2), Err(FinalizeError::Gap { got: 2, head: 0 })));
    chain.finalize(&b1).expect("stored").expect("new");
    assert!(matches!(chain.finalize(&a1), Err(FinalizeError::Conflict { number: 1, .. })));
    assert!(matches!(chain.verify(&a1, NOW_MS), Err(BlockError::Final { number: 1, head: 1 })));
    assert!(matches!(chain.finalize(&a2), Err(FinalizeError::Conflict { .. } | FinalizeError::Invalid { .. })));
    chain.finalize(&b2).expect("stored").expect("new");
    assert_eq!(balance(&chain, 2, Address::repeat_byte(0xf1)), U256::from(1_100));
    assert!(chain.tip().pending.is_empty());

    // Another node that only hears of final blocks ends with the same state.
    let other = self::chain();
    for block in [&b1, &b2] {
        other.finalize(block).expect("executed and stored").expect("new");
    }
    assert_eq!(other.head(), chain.head());
}

#[test]
fn a_header_that_says_something_else_than_execution_is_refused() {
    let chain = chain();
    let block = chain
        .propose(chain.head_hash(), NOW_MS, PROPOSER, std::iter::once(Key::new(1).transfer(CHAIN, 0, PROPOSER, 1)))
        .expect("proposed");
    let other = self::chain();
    let field = |change: &dyn Fn(&mut Header)| {
        let mut block = block.clone();
        change(&mut block.header);
        let error = other.verify(&block, NOW_MS).expect_err("changed");
        assert!(error.is_fault(), "{error}");
        match error {
            BlockError::Header { field, .. } => field,
            error => panic!("{error}"),
        }
    };
    assert_eq!(field(&|header| header.state_root = B256::ZERO), "state_root");
    assert_eq!(field(&|header| header.receipts_root = B256::ZERO), "receipts_root");
    assert_eq!(field(&|header| header.gas_limit += 1), "gas_limit");
    assert_eq!(field(&|header| header.base_fee_per_gas = Some(7)), "base_fee_per_gas");
    assert_eq!(field(&|header| header.extra_data = Bytes::from_static(b"ad")), "extra_data");
    assert_eq!(field(&|header| header.nonce[0] = 1), "(other)");
    assert_eq!(field(&|header| header.number = 9), "number");
    assert_eq!(field(&|header| header.timestamp = 5), "timestamp");
    let mut late = block.clone();
    late.header.timestamp += 1_000;
    let error = other.verify(&late, NOW_MS).expect_err("from the future");
    assert!(matches!(error, BlockError::Future { .. }) && !error.is_fault());
    let mut orphan = block.clone();
    orphan.header.parent_hash = B256::ZERO;
    assert!(matches!(other.verify(&orphan, NOW_MS), Err(BlockError::UnknownParent { .. })));
    let mut double = block.clone();
    double.transactions.push(block.transactions[0].clone());
    assert!(matches!(
        other.verify(&double, NOW_MS),
        Err(BlockError::Transaction { index: 1, error: InclusionError::Nonce { got: 0, want: 1 }, .. })
    ));
    other.verify(&block, NOW_MS).expect("unchanged");
}

#[test]
fn a_block_survives_its_encoding() {
    let chain = chain();
    let alice = Key::new(1);
    let old = TxLegacy {
        chain_id: Some(CHAIN),
        gas_price: 2_000_000,
        gas_limit: 21_000,
        to: PROPOSER.into(),
        ..TxLegacy::default()
    };
    let lists = TxEip2930 {
        chain_id: CHAIN,
        nonce: 1,
        gas_price: 2_000_000,
        gas_limit: 30_000,
        to: PROPOSER.into(),
        ..TxEip2930::default()
    };
    let transactions = vec![alice.sign(old), alice.sign(lists), alice.transfer(CHAIN, 2, PROPOSER, 1)];
    let block = next(&chain, transactions).block.clone();
    assert_eq!(block.transactions.len(), 3);
    let bytes = alloy_rlp::encode(&block);
    assert_eq!(bytes.len(), block.length());
    assert_eq!(Block::decode(&mut &bytes[..]).expect("our own"), block);
    assert_eq!(chain.block(block.hash()).expect("kept"), Some(block));
    assert!(Block::decode(&mut &bytes[..bytes.len() - 1]).is_err());
    let mut other = chain.block(chain.head_hash()).expect("kept").expect("final");
    other.transactions.pop();
    assert!(Block::decode(&mut &alloy_rlp::encode(&other)[..]).is_err(), "other transactions under the same hash");
}

#[test]
fn transactions_of_other_chains_and_blobs_are_refused() {
    use alloy_eips::eip2718::Encodable2718;
    let raw = |transaction: Transaction| transaction.inner().encoded_2718();
    let decode = |raw: &[u8]| block::decode_transaction(raw, CHAIN);
    let alice = Key::new(1);
    let good = raw(alice.transfer(CHAIN, 0, PROPOSER, 1));
    assert_eq!(decode(&good).expect("good").signer(), alice.address);
    let foreign = decode(&raw(alice.transfer(1, 0, PROPOSER, 1))).expect_err("of chain 1");
    assert_eq!(foreign.to_string(), "transaction is for chain 1, wanted 51717");
    assert!(matches!(decode(&[3, 1, 2]), Err(block::TransactionError::Blob)));
    assert!(matches!(decode(&good[..50]), Err(block::TransactionError::Encoding(_))));
    assert!(decode(&[good, vec![0]].concat()).is_err());
}

mod free_lane {
    use super::*;

    fn post(nonce: u64, payload: &[u8]) -> Vec<u8> {
        contracts::SigningBoard::postCall {
            session: B256::with_last_byte(u8::try_from(nonce % 200).expect("small")),
            kind: 1,
            payload: Bytes::copy_from_slice(payload),
        }
        .abi_encode()
    }

    #[test]
    fn a_member_posts_without_owning_a_coin() {
        let chain = chain();
        let free = member(1).free(CHAIN, 0, 200_000, contracts::address::SIGNING_BOARD, post(0, b"hello").into());
        assert!(chain.check_free(&free).expect("allowed").success);
        let finalized = next(&chain, vec![free]);
        assert_eq!(finalized.receipts.len(), 1);
        assert!(finalized.receipts[0].status());
        assert_eq!(finalized.receipts[0].logs().len(), 1);
        assert_eq!(balance(&chain, 1, PROPOSER), U256::ZERO);
        assert_eq!(
            chain.state_at(1).expect("kept").account(member(1).address).expect("kept").map(|a| a.nonce),
            Some(1)
        );
    }

    /// In a proposal it is skipped, in a block it is refused.
    fn refused(transaction: Transaction, wanted: &str) {
        let chain = chain();
        let said = match chain.check_free(&transaction) {
            Err(SimulateError::Invalid(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(said.contains(wanted), "{said}");
        let mut block =
            chain.propose(chain.head_hash(), NOW_MS, PROPOSER, std::iter::once(transaction.clone())).expect("proposed");
        assert!(block.transactions.is_empty());
        block.transactions.push(transaction.into_inner());
        match chain.verify(&block, NOW_MS) {
            Err(BlockError::Transaction { index: 0, error, .. }) => {
                assert!(error.to_string().contains(wanted), "{error}")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn strangers_other_contracts_values_and_failures_are_refused() {
        let board = contracts::address::SIGNING_BOARD;
        refused(Key::new(1).free(CHAIN, 0, 100_000, board, post(0, b"x").into()), "the sender is not a member");
        refused(member(1).free(CHAIN, 0, 100_000, PROPOSER, Bytes::new()), "not a contract of the peg");
        refused(
            member(1).free(CHAIN, 0, 100_000, contracts::address::MICRO_CHANNEL, Bytes::new()),
            "not a contract of the peg",
        );
        refused(member(1).free(CHAIN, 0, 100_000, board, Bytes::from_static(&[1, 2, 3, 4])), "must succeed");
        let value = TxLegacy {
            chain_id: Some(CHAIN),
            gas_limit: 100_000,
            to: board.into(),
            value: U256::from(1),
            ..TxLegacy::default()
        };
        refused(member(1).sign(value), "sends value");
        let create = TxLegacy { chain_id: Some(CHAIN), gas_limit: 100_000, to: TxKind::Create, ..TxLegacy::default() };
        refused(member(1).sign(create), "not a contract of the peg");
    }

    #[test]
    fn a_revert_is_told_with_its_reason() {
        let chain = chain();
        let long = vec![1u8; 16_385];
        let transaction = member(1).free(CHAIN, 0, 5_000_000, contracts::address::SIGNING_BOARD, post(0, &long).into());
        let error = chain.check_free(&transaction).expect_err("too long").to_string();
        assert!(error.contains("16385") && error.contains("16384"), "{error}");
    }

    #[test]
    fn its_nonce_may_lie_ahead_when_it_is_checked_but_not_in_a_block() {
        let chain = chain();
        let ahead = member(1).free(CHAIN, 3, 200_000, contracts::address::SIGNING_BOARD, post(3, b"x").into());
        assert!(chain.check_free(&ahead).is_ok());
        assert!(next(&chain, vec![ahead]).block.transactions.is_empty());
    }

    #[test]
    fn it_takes_at_most_half_of_the_gas_and_a_megabyte() {
        let chain = chain();
        let board = contracts::address::SIGNING_BOARD;
        let payload = vec![0xab; 16_000];
        let mut posts: Vec<_> = (0..120)
            .map(|nonce| member(1).free(CHAIN, nonce, 1_500_000, board, post(nonce, &payload).into()))
            .collect();
        posts.push(Key::new(1).transfer(CHAIN, 0, PROPOSER, 1));
        let finalized = next(&chain, posts);
        let block = &finalized.block;
        let free: u64 = block.header.gas_used - 21_000;
        assert!(free <= chain.rules().free_gas(), "{free}");
        assert!(free > chain.rules().free_gas() - 2_000_000, "{free}");
        assert!(!block::is_free(block.transactions.last().expect("not empty")), "the paying one found room");
        // One more is refused although the block has gas left.
        let nonce = block.transactions.len() as u64 - 1;
        let more = member(1).free(CHAIN, nonce, 1_500_000, board, post(nonce, &payload).into()).into_inner();
        let mut fuller = block.clone();
        fuller.transactions.push(more);
        match self::chain().verify(&fuller, NOW_MS) {
            Err(BlockError::Transaction { error: InclusionError::BlockGas { got, left }, .. }) => assert!(left < got),
            other => panic!("{other:?}"),
        }
    }
}

mod supply {
    use super::*;

    // The Bridge's code is replaced by one that gives everything away.
    #[test]
    fn a_transaction_that_takes_uncovered_coins_out_of_the_bridge_is_refused() {
        let chain = chain();
        let view = chain.view(chain.head_hash()).expect("the head");
        let mut working = Working::new(&view, &chain.codes);
        working.set_code(contracts::address::BRIDGE, Bytes::from_static(&GIVER)).expect("in memory");
        let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
        let mut execution = Execution::new(&chain.rules, header, working);
        let theft = call(&Key::new(1), 0, contracts::address::BRIDGE, Bytes::new());
        assert!(matches!(execution.include(&theft), Err(BlockError::Supply(_))));
        // Nothing of it stays: the nonce is still free.
        execution.include(&Key::new(1).transfer(CHAIN, 0, PROPOSER, 1)).expect("unchanged");
        let executed = execution.finish(view.parent.state_root).expect("covered");
        assert_eq!(executed.block.transactions.len(), 1);
    }

    #[test]
    fn a_block_that_ends_uncovered_is_refused() {
        let chain = chain();
        let view = chain.view(chain.head_hash()).expect("the head");
        let mut working = Working::new(&view, &chain.codes);
        let one_wei_less = balance(&chain, 0, contracts::address::BRIDGE) - U256::from(1);
        working.set_balance(contracts::address::BRIDGE, one_wei_less).expect("in memory");
        let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
        let error =
            Execution::new(&chain.rules, header, working).finish(view.parent.state_root).expect_err("uncovered");
        assert!(matches!(error, BlockError::Supply(_)) && error.is_fault(), "{error}");
    }
}

/// What a random block does.
#[derive(Clone, Debug)]
enum Action {
    Transfer { from: u64, to: u8, wei: u64 },
    Write { from: u64, slot: u64, value: u64 },
    Count { from: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (1..5u64, 0..6u8, 1..1000u64).prop_map(|(from, to, wei)| Action::Transfer { from, to, wei }),
        (1..5u64, 0..8u64, 0..3u64).prop_map(|(from, slot, value)| Action::Write { from, slot, value }),
        (1..5u64).prop_map(|from| Action::Count { from }),
    ]
}

fn receiver(to: u8) -> Address {
    Address::repeat_byte(0x70 + to)
}

#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    balances: BTreeMap<Address, u64>,
    slots: BTreeMap<u64, u64>,
    count: u64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn reads_and_proofs_at_every_old_block_equal_a_naive_model(blocks in prop::collection::vec(prop::collection::vec(action(), 0..6), 1..8)) {
        let store = Arc::new(Memory::default());
        let chain = open(store.clone());
        let deployer = Key::new(9);
        next(&chain, vec![create(&deployer, 0, &WRITER), create(&deployer, 1, &COUNTER)]);
        let (writer, counter) = (deployer.address.create(0), deployer.address.create(1));
        let mut nonces = BTreeMap::<u64, u64>::new();
        let mut models = vec![Model::default(), Model::default()];
        for actions in &blocks {
            let mut model = models.last().expect("not empty").clone();
            let transactions: Vec<_> = actions.iter().map(|action| {
                let (Action::Transfer { from, .. } | Action::Write { from, .. } | Action::Count { from }) = action;
                let nonce = nonces.entry(*from).or_default();
                *nonce += 1;
                let (key, nonce) = (Key::new(*from), *nonce - 1);
                match action {
                    Action::Transfer { to, wei, .. } => {
                        *model.balances.entry(receiver(*to)).or_default() += wei;
                        key.transfer(CHAIN, nonce, receiver(*to), *wei)
                    }
                    Action::Write { slot, value, .. } => {
                        model.slots.insert(*slot, *value);
                        write(&key, nonce, writer, *slot, *value)
                    }
                    Action::Count { .. } => {
                        model.count += 1;
                        call(&key, nonce, counter, Bytes::new())
                    }
                }
            }).collect();
            let count = transactions.len();
            prop_assert_eq!(next(&chain, transactions).block.transactions.len(), count);
            prop_assert_eq!(naive_root(&store), chain.head().state_root);
            models.push(model);
        }
        // The same data opened again reads the same.
        let again = open(store);
        prop_assert_eq!(again.head(), chain.head());
        for (number, model) in (0u64..).zip(&models) {
            let state = again.state_at(number).expect("kept");
            let root = again.header(number).expect("kept").expect("final").state_root;
            for to in 0..6 {
                let want = U256::from(model.balances.get(&receiver(to)).copied().unwrap_or_default());
                prop_assert_eq!(balance(&again, number, receiver(to)), want);
                let proof = state.proof(receiver(to), &[]).expect("in the window");
                let leaf = proof.account.map(alloy_rlp::encode);
                let key = Nibbles::unpack(keccak256(receiver(to)));
                prop_assert!(verify_proof(root, key, leaf, &proof.proof).is_ok());
            }
            let slots: Vec<U256> = (0..8u64).map(U256::from).collect();
            let proof = state.proof(writer, &slots).expect("in the window");
            prop_assert!(verify_proof(root, Nibbles::unpack(keccak256(writer)), proof.account.map(alloy_rlp::encode), &proof.proof).is_ok());
            let storage_root = proof.account.map_or(alloy_trie::EMPTY_ROOT_HASH, |account| account.storage_root);
            for (slot, proof) in (0u64..).zip(&proof.storage) {
                let want = U256::from(model.slots.get(&slot).copied().unwrap_or_default());
                prop_assert_eq!(proof.value, want);
                prop_assert_eq!(state.storage(writer, U256::from(slot)).expect("in memory"), want);
                let leaf = (!want.is_zero()).then(|| alloy_rlp::encode(want));
                prop_assert!(verify_proof(storage_root, Nibbles::unpack(slot_hash(U256::from(slot))), leaf, &proof.proof).is_ok());
            }
            prop_assert_eq!(state.storage(counter, U256::ZERO).expect("in memory"), U256::from(model.count));
        }
    }
}

#[test]
fn outside_the_window_old_state_is_an_error_and_inside_it_still_reads() {
    let retention = Retention { state_blocks: Some(5), proof_blocks: 2 };
    let store = Arc::new(Memory::default());
    let chain = Chain::open_with(genesis(), store.clone(), retention, &allocation()).expect("right");
    for nonce in 0..10 {
        next(&chain, vec![Key::new(1).transfer(CHAIN, nonce, PROPOSER, 1)]);
    }
    let reward = U256::from(21_000 * (MIN_BASE_FEE + 1_000) + 1);
    for number in 5..=10u64 {
        assert_eq!(balance(&chain, number, PROPOSER), reward * U256::from(number));
    }
    assert!(matches!(chain.state_at(4), Err(SimulateError::Pruned { number: 4, oldest: 5 })));
    assert!(matches!(chain.state_at(11), Err(SimulateError::UnknownBlock { number: 11, head: 10 })));
    for number in 8..=10u64 {
        let proof = chain.state_at(number).expect("kept").proof(PROPOSER, &[]).expect("in the window");
        let root = chain.header(number).expect("kept").expect("final").state_root;
        let leaf = proof.account.map(alloy_rlp::encode);
        verify_proof(root, Nibbles::unpack(keccak256(PROPOSER)), leaf, &proof.proof).expect("the proof of that block");
    }
    let old = chain.state_at(7).expect("kept").proof(PROPOSER, &[]);
    assert!(matches!(old, Err(SimulateError::Pruned { number: 7, oldest: 8 })));
    // What was pruned is gone from the store too.
    let numbers = |table| {
        let rows = store.scan(table, &[], usize::MAX).expect("in memory");
        rows.iter().map(|(key, _)| u64::from_be_bytes(key[key.len() - 8..].try_into().expect("8 bytes"))).min()
    };
    assert_eq!(numbers(Table::AccountHistory), Some(6));
    assert_eq!(numbers(Table::AccountNodeHistory), Some(9));
}

#[test]
fn calls_are_tried_at_old_blocks_and_gas_is_estimated() {
    let chain = chain();
    let alice = Key::new(1);
    next(&chain, vec![create(&alice, 0, &COUNTER)]);
    let counter = alice.address.create(0);
    next(&chain, vec![call(&alice, 1, counter, Bytes::new())]);
    let ask = Call { from: Address::repeat_byte(5), to: counter.into(), ..Call::default() };
    let second = chain.simulate(2, &ask).expect("runs");
    assert_eq!(U256::from_be_slice(&second.logs[0].data.data), uint!(2_U256));
    let first = chain.simulate(1, &ask).expect("runs");
    assert_eq!(U256::from_be_slice(&first.logs[0].data.data), uint!(1_U256));
    assert!(first.gas_used > second.gas_used, "the slot was new");
    // Nothing was changed.
    assert_eq!(chain.simulate(2, &ask).expect("runs"), second);

    let gas = chain.estimate_gas(2, &ask).expect("succeeds");
    assert!(chain.simulate(2, &Call { gas: Some(gas), ..ask.clone() }).expect("runs").success);
    assert!(gas >= second.gas_used && gas * 100 <= second.gas_used * 102, "{gas} for {}", second.gas_used);
    let transfer = Call { from: alice.address, to: PROPOSER.into(), value: U256::from(1), ..Call::default() };
    assert_eq!(chain.estimate_gas(2, &transfer).expect("succeeds"), 21_000);
    let deploy =
        Call { from: alice.address, to: TxKind::Create, input: Bytes::from_static(&COUNTER), ..Call::default() };
    let gas = chain.estimate_gas(2, &deploy).expect("succeeds");
    assert!((53_000..80_000).contains(&gas), "{gas}");
    // A poor sender cannot send value, and a contract may call.
    let poor = Call { from: Address::repeat_byte(5), to: PROPOSER.into(), value: U256::from(1), ..Call::default() };
    assert!(matches!(chain.simulate(2, &poor), Err(SimulateError::Invalid(_))));
    assert!(chain.simulate(2, &Call { from: counter, to: PROPOSER.into(), ..Call::default() }).expect("runs").success);
    let reverts =
        Call { to: contracts::address::BRIDGE.into(), input: Bytes::from_static(&[1, 2, 3, 4]), ..Call::default() };
    assert!(!chain.simulate(2, &reverts).expect("runs").success);
    assert!(matches!(chain.estimate_gas(2, &reverts), Err(SimulateError::Failed(_))));
}

#[test]
fn logs_are_found_by_block_address_and_topic() {
    let chain = chain();
    let alice = Key::new(1);
    next(&chain, vec![create(&alice, 0, &COUNTER), create(&alice, 1, &COUNTER)]);
    let [one, two] = [0, 1].map(|nonce| alice.address.create(nonce));
    next(&chain, vec![call(&alice, 2, one, Bytes::new()), call(&alice, 3, two, Bytes::new())]);
    next(&chain, Vec::new());
    next(&chain, vec![call(&alice, 4, two, Bytes::new())]);
    let topic = B256::with_last_byte(42);
    let find = |from, to, addresses: &[Address], topics: &[B256]| {
        let mut filter = LogFilter { from, to, addresses: addresses.to_vec(), ..LogFilter::default() };
        filter.topics[0] = topics.to_vec();
        let found = chain.logs(&filter, 100).expect("few");
        found.into_iter().map(|entry| (entry.block_number, entry.log_index, entry.log.address)).collect::<Vec<_>>()
    };
    assert_eq!(find(0, 9, &[], &[]), [(2, 0, one), (2, 1, two), (4, 0, two)]);
    assert_eq!(find(0, 9, &[two], &[topic]), [(2, 1, two), (4, 0, two)]);
    assert_eq!(find(3, 9, &[one, two], &[topic, B256::ZERO]), [(4, 0, two)]);
    assert_eq!(find(0, 3, &[one], &[]), [(2, 0, one)]);
    assert!(find(0, 9, &[], &[B256::ZERO]).is_empty());
    let all = LogFilter { to: 9, ..LogFilter::default() };
    assert!(matches!(chain.logs(&all, 2), Err(LogsError::TooMany { limit: 2, from: 0, until: 3 })));
}

#[test]
fn certificates_and_registrations_are_kept() {
    let store = Arc::new(Memory::default());
    let chain = open(store.clone());
    chain.put_finality(3, b"three").expect("in memory");
    chain.put_finality(7, b"seven").expect("in memory");
    assert_eq!(chain.finality(3).expect("in memory"), Some(b"three".to_vec()));
    assert_eq!(chain.finality(4).expect("in memory"), None);
    assert_eq!(chain.finality_at_or_after(4).expect("in memory"), Some((7, b"seven".to_vec())));
    assert_eq!(chain.finality_at_or_after(8).expect("in memory"), None);

    let registration = |number: u8| Registration {
        recipient: Address::repeat_byte(number),
        reclaim_key: B256::repeat_byte(number),
        max_fee_sat: 1_000,
        epoch: 1,
        output_key: B256::repeat_byte(0xf0 + number),
    };
    assert_eq!(chain.register_deposit(&registration(1)).expect("room"), (1, true));
    assert_eq!(chain.register_deposit(&registration(2)).expect("room"), (2, true));
    assert_eq!(chain.register_deposit(&registration(1)).expect("room"), (1, false));
    let again = open(store);
    assert_eq!(again.registrations(0, 10).expect("kept"), [(1, registration(1)), (2, registration(2))]);
    assert_eq!(again.registrations(1, 10).expect("kept"), [(2, registration(2))]);
    assert_eq!(again.registration(registration(2).output_key).expect("kept"), Some((2, registration(2))));
    assert_eq!(again.register_deposit(&registration(3)).expect("room"), (3, true));
}

#[test]
fn data_of_another_genesis_is_refused() {
    let store = Arc::new(Memory::default());
    Chain::open(genesis(), store.clone()).expect("fresh");
    let mut other = genesis();
    other.chain_id += 1;
    assert!(matches!(Chain::open(other, store.clone()), Err(OpenError::OtherGenesis { .. })));
    Chain::open(genesis(), store).expect("the same");
}

#[test]
fn an_overlay_answers_only_for_what_it_changed() {
    let overlay = Overlay::default();
    assert_eq!(overlay.get(Table::Account, &[1]), None);
    assert_eq!(overlay.get(Table::Code, &[1; 32]), None);
    assert_eq!(overlay.get(Table::Header, &[1]), None);
}

#[cfg(feature = "io")]
mod on_disk {
    use super::*;
    use crate::io::db::Database;

    fn block_of_everything(nonce: u64) -> Vec<Transaction> {
        let [alice, bob] = [Key::new(1), Key::new(2)];
        vec![create(&alice, nonce, &COUNTER), bob.transfer(CHAIN, nonce, Address::repeat_byte(0xf1), 7)]
    }

    #[test]
    fn a_node_that_dies_between_blocks_goes_on_where_it_was() {
        let directory = tempfile::tempdir().expect("a place for files");
        let path = directory.path().join("chain");
        let memory = chain();
        let mut blocks = Vec::new();
        for nonce in 0..5 {
            let chain = open(Database::open(&path).expect("free"));
            assert_eq!(chain.head(), memory.head(), "what was final before is final after");
            // Executed and pending, but not final: lost with the process, without harm.
            chain
                .propose(chain.head_hash(), NOW_MS, Address::ZERO, block_of_everything(nonce).into_iter())
                .expect("proposed");
            let finalized = next(&chain, block_of_everything(nonce));
            // The same block from memory: equal in every root.
            memory.finalize(&finalized.block).expect("executed").expect("new");
            blocks.push(finalized.block.clone());
            // Dropped without ceremony, like the process.
        }
        let chain = open(Database::open(&path).expect("free"));
        for block in &blocks {
            assert!(chain.finalize(block).expect("idempotent").is_none());
            assert_eq!(chain.block(block.hash()).expect("kept").as_ref(), Some(block));
        }
        for number in 0..=5u64 {
            assert_eq!(balance(&chain, number, Address::repeat_byte(0xf1)), U256::from(7 * number));
            let proof = chain.state_at(number).expect("kept").proof(Key::new(1).address, &[]).expect("in the window");
            let expected =
                memory.state_at(number).expect("kept").proof(Key::new(1).address, &[]).expect("in the window");
            assert_eq!(proof, expected);
        }
    }

    #[test]
    fn a_directory_in_use_and_a_file_in_its_place_are_told() {
        let directory = tempfile::tempdir().expect("a place for files");
        let path = directory.path().join("chain");
        let first = Database::open(&path).expect("free");
        let error = Database::open(&path).err().expect("in use");
        assert!(matches!(error, OpenError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("in use by another process"), "{error}");
        drop(first);
        Database::open(&path).expect("free again");
        let file = directory.path().join("file");
        std::fs::write(&file, "x").expect("written");
        assert!(matches!(Database::open(&file), Err(OpenError::Store(StoreError::Io { .. }))));
    }
}

#[test]
fn an_account_that_delegates_by_eip_7702_runs_the_code_and_its_state_is_hashed() {
    let chain = chain();
    let alice = Key::new(1);
    next(&chain, vec![create(&alice, 0, &COUNTER)]);
    let counter = alice.address.create(0);
    let bob = Key::new(2);
    let authorization = bob.authorize(CHAIN, 0, counter);
    let delegate = alice.sign(TxEip7702 {
        chain_id: CHAIN,
        nonce: 1,
        gas_limit: 200_000,
        max_fee_per_gas: 10_000_000,
        to: bob.address,
        authorization_list: vec![authorization],
        ..TxEip7702::default()
    });
    let finalized = next(&chain, vec![delegate, call(&alice, 2, bob.address, Bytes::new())]);
    assert_eq!(finalized.receipts.len(), 2);
    let state = chain.state_at(2).expect("kept");
    assert_eq!(state.storage(bob.address, U256::ZERO).expect("in memory"), U256::from(2));
    assert_eq!(state.storage(counter, U256::ZERO).expect("in memory"), U256::ZERO);
    let account = state.account(bob.address).expect("in memory").expect("it exists");
    assert_eq!(account.nonce, 1);
    let code = state.code(account.code_hash).expect("in memory").expect("kept");
    assert_eq!(code[..], [&hex!("ef0100")[..], counter.as_slice()].concat());
    assert_eq!(naive_root(&chain.store), chain.head().state_root);
}

// Made and destroyed in one transaction: init code that ends in SELFDESTRUCT after it wrote a slot.
#[test]
fn a_contract_that_destroys_itself_in_its_constructor_leaves_nothing() {
    let chain = chain();
    let alice = Key::new(1);
    let code = hex!("60015f55" "33ff");
    let address = alice.address.create(0);
    // Coins that were there before go to the caller.
    next(&chain, vec![Key::new(2).transfer(CHAIN, 0, address, 5)]);
    let finalized = next(&chain, vec![create(&alice, 0, &code)]);
    assert!(finalized.receipts[0].status());
    assert_eq!(chain.state_at(2).expect("kept").account(address).expect("in memory"), None);
    assert_eq!(
        chain.state_at(1).expect("kept").account(address).expect("in memory").map(|account| account.balance),
        Some(U256::from(5))
    );
    assert_eq!(naive_root(&chain.store), chain.head().state_root);
}

#[test]
fn a_proposer_skips_what_validators_would_refuse() {
    let chain = chain();
    let alice = Key::new(1);
    let any_chain = TxLegacy {
        chain_id: None,
        gas_price: 10_000_000,
        gas_limit: 21_000,
        to: PROPOSER.into(),
        ..TxLegacy::default()
    };
    let candidates =
        vec![alice.sign(any_chain), alice.transfer(1, 0, PROPOSER, 1), alice.transfer(CHAIN, 0, PROPOSER, 1)];
    let block = chain.propose(chain.head_hash(), NOW_MS, PROPOSER, candidates.into_iter()).expect("proposed");
    assert_eq!(block.transactions.len(), 1);
    self::chain().verify(&block, NOW_MS).expect("valid");
}

#[test]
fn while_nothing_becomes_final_the_oldest_executed_blocks_are_dropped() {
    let chain = chain();
    let blocks: Vec<_> = (0..MAX_PENDING as u64 + 3)
        .map(|second| {
            chain.propose(chain.head_hash(), NOW_MS + 1000 * second, PROPOSER, std::iter::empty()).expect("proposed")
        })
        .collect();
    assert_eq!(chain.tip().pending.len(), MAX_PENDING);
    assert_eq!(chain.block(blocks[2].hash()).expect("in memory"), None);
    assert!(chain.block(blocks[3].hash()).expect("in memory").is_some());
    // One that was dropped is executed again.
    chain.finalize(&blocks[0]).expect("stored").expect("new");
    assert!(chain.tip().pending.is_empty() && chain.tip().order.is_empty());
}
