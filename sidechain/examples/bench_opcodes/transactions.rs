//! Blocks whose state root costs as much as it can.

use alloy_consensus::{TxEip1559, TxEip7702};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::SignedAuthorization,
};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use sidechain::{block::Transaction, testing::Key};

use super::{
    Row,
    network::{Network, SENDERS, SLOTS, account, often},
};

/// As the default block.
const GAS: u64 = 60_000_000;
const EACH: u64 = 15_000_000;

pub fn measure(network: &Network) -> Vec<Row> {
    let chain_id = network.chain().genesis().chain_id;
    let send = |sender: u64, gas: u64, to: TxKind, value: u64, input: Vec<u8>| {
        Key::new(sender).send(chain_id, 0, gas, to, U256::from(value), Bytes::from(input))
    };
    let many = |make: &dyn Fn(u64) -> Transaction, gas: u64| (1..=GAS / gas).map(make).collect::<Vec<_>>();
    let transfer = |to: &dyn Fn(u64) -> Address| {
        many(&|number| send(number, 21_000, TxKind::Call(to(number)), 1, Vec::new()), 21_000)
    };
    let program = |code: &str| {
        let code = hex::decode(code).expect("hex");
        many(&|number| send(number, EACH, TxKind::Create, 1_000_000, code.clone()), EACH)
    };
    const { assert!(SENDERS > GAS / 21_000, "one sender for each") };
    let writes =
        |from: u64| many(&|number| send(number, EACH, network.storage.into(), 0, range(from + number * 10_000)), EACH);
    vec![
        block(network, "transfers to new accounts", transfer(&fresh)),
        block(network, "transfers to cold accounts", transfer(&|number| account(number * 17))),
        // 700 slots each; the constructor's own storage is empty before.
        block(
            network,
            "SSTORE, new slots of a new contract",
            program("5f5b80805560010180610250116001 57".replace(' ', "").as_str()),
        ),
        block(network, "SSTORE, new slots of a contract with many", writes(SLOTS * 2)),
        // A wei to GAS, which is never the same.
        block(
            network,
            "CALL, new accounts with one wei",
            program("5b5f5f5f5f60015a60801b5af15061ffff5a11 5f57".replace(' ', "").as_str()),
        ),
        block(network, "CREATE, empty contracts", program("5b5f5f5ff05061ffff5a115f57")),
        block(network, "access lists of cold accounts", many(&|number| listing(number, chain_id), EACH)),
        block(network, "authorizations of new accounts", many(&|number| authorizing(number, chain_id), EACH)),
        block(
            network,
            "call data of zeroes",
            many(&|number| send(number, 1_500_000, account(0).into(), 0, vec![0; 75_000]), 1_500_000),
        ),
    ]
}

fn block(network: &Network, name: &str, transactions: Vec<Transaction>) -> Row {
    often(name, || {
        let (block, time) = network.propose(transactions.clone());
        assert_eq!(block.transactions.len(), transactions.len(), "{name}: all fit");
        let gas = block.header.gas_used;
        assert!(gas > GAS / 4, "{name} uses only {gas}");
        (time, gas)
    })
}

fn fresh(number: u64) -> Address {
    Address::from_slice(&keccak256(number.to_be_bytes())[..20])
}

/// 600 slots: call data for [`Network::storage`].
fn range(from: u64) -> Vec<u8> {
    [U256::from(from).to_be_bytes::<32>(), U256::from(from + 600).to_be_bytes::<32>()].concat()
}

fn listing(number: u64, chain_id: u64) -> Transaction {
    let items =
        (0..6_000).map(|index| AccessListItem { address: account(number * 6_000 + index), storage_keys: Vec::new() });
    Key::new(number).sign(TxEip1559 {
        chain_id,
        nonce: 0,
        gas_limit: EACH,
        max_fee_per_gas: 10_000_000,
        max_priority_fee_per_gas: 1_000,
        to: TxKind::Call(account(0)),
        value: U256::ZERO,
        access_list: AccessList(items.collect()),
        input: Bytes::new(),
    })
}

fn authorizing(number: u64, chain_id: u64) -> Transaction {
    let one = |index: u64| -> SignedAuthorization {
        Key::new(1_000_000 + number * 1_000 + index).authorize(chain_id, 0, Address::repeat_byte(1))
    };
    Key::new(number).sign(TxEip7702 {
        chain_id,
        nonce: 0,
        gas_limit: EACH,
        max_fee_per_gas: 10_000_000,
        max_priority_fee_per_gas: 1_000,
        to: account(0),
        value: U256::ZERO,
        access_list: AccessList::default(),
        authorization_list: (0..590).map(one).collect(),
        input: Bytes::new(),
    })
}
