//! Final blocks, and what their transactions paid, as clients expect them.

use alloy_primitives::{U256, keccak256};
use serde_json::{Value, json};

use super::world::{NOBODY, World, call, create, hash, transfer};
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn blocks_transactions_and_receipts_agree() {
    let world = World::halted(|_| ()).await;
    let (one, two) = (Key::new(1), Key::new(2));
    let sent = [create(&one, 0), transfer(&two, 0), call(&one, 1, one.address.create(0), U256::ZERO, [])];
    for transaction in &sent {
        assert_eq!(world.send(transaction).await.unwrap(), json!(hash(transaction)));
    }
    world.mine();
    assert_eq!(world.get("eth_blockNumber", json!([])).await, "0x1");
    let full = world.get("eth_getBlockByNumber", json!(["latest", true])).await;
    let hashes = world.get("eth_getBlockByNumber", json!(["finalized", false])).await;
    assert_eq!(world.get("eth_getBlockByHash", json!([full["hash"], true])).await, full);
    assert_eq!(hashes["hash"], full["hash"]);
    assert_eq!(full["uncles"], json!([]));
    assert!(full["size"].is_string() && full["baseFeePerGas"].is_string() && full["stateRoot"].is_string());
    let transactions = full["transactions"].as_array().unwrap();
    assert_eq!(transactions.len(), 3);
    let receipts = world.get("eth_getBlockReceipts", json!(["0x1"])).await;
    let mut gas = U256::ZERO;
    for (index, transaction) in transactions.iter().enumerate() {
        let hash = &transaction["hash"];
        assert_eq!(*hash, hashes["transactions"][index]);
        assert_eq!(world.get("eth_getTransactionByHash", json!([hash])).await, *transaction);
        let place = json!([full["hash"], format!("{index:#x}")]);
        assert_eq!(world.get("eth_getTransactionByBlockHashAndIndex", place).await, *transaction);
        let receipt = world.get("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt, receipts[index]);
        assert_eq!(receipt["transactionIndex"], json!(format!("{index:#x}")));
        let used: U256 = serde_json::from_value(receipt["gasUsed"].clone()).unwrap();
        gas += used;
        assert_eq!(receipt["cumulativeGasUsed"], json!(gas));
        assert_eq!(receipt["effectiveGasPrice"], transaction["gasPrice"]);
    }
    assert_eq!(full["gasUsed"], json!(gas));
    assert_eq!(world.get("eth_getBlockTransactionCountByNumber", json!(["0x1"])).await, "0x3");
    assert_eq!(world.get("eth_getBlockByNumber", json!(["0x2", false])).await, Value::Null);
    assert_eq!(world.get("eth_getTransactionReceipt", json!([NOBODY.into_word()])).await, Value::Null);
    let (code, message) = world.refusal("eth_getBalance", json!([NOBODY, "0x9"])).await;
    assert_eq!((code, message.as_str()), (-32000, "header not found: block 9, the head is 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_and_identity_are_as_clients_expect() {
    let world = World::new().await;
    assert_eq!(world.get("eth_chainId", json!([])).await, "0xca05");
    assert_eq!(world.get("net_version", json!([])).await, "51717");
    assert_eq!(world.get("eth_syncing", json!([])).await, false);
    assert_eq!(world.get("eth_accounts", json!([])).await, json!([]));
    assert_eq!(world.get("web3_sha3", json!(["0x68656c6c6f"])).await, json!(keccak256("hello")));
    world.receipt(&transfer(&Key::new(1), 0)).await;
    world.receipt(&transfer(&Key::new(1), 1)).await;
    let history = world.get("eth_feeHistory", json!(["0x2", "latest", [10.0, 50.0, 99.5]])).await;
    assert_eq!(history["oldestBlock"], "0x1");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 3);
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 2);
    assert_eq!(history["reward"], json!([["0x3e8", "0x3e8", "0x3e8"], ["0x3e8", "0x3e8", "0x3e8"]]));
    assert_eq!(world.get("eth_feeHistory", json!([1, "0x1"])).await["oldestBlock"], "0x1");
    let price: U256 = serde_json::from_value(world.get("eth_gasPrice", json!([])).await).unwrap();
    assert!(price >= U256::from(1_000_000), "{price}");
    let tip: U256 = serde_json::from_value(world.get("eth_maxPriorityFeePerGas", json!([])).await).unwrap();
    assert_eq!(tip, U256::from(100_000));
}
