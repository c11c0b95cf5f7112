//! Contracts through the RPC: deployed, called, reverting, and proven.

use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy_trie::{Nibbles, proof::verify_proof};
use contracts::MicroChannel;
use contracts::address::MICRO_CHANNEL;
use contracts::alloy_sol_types::{SolCall, SolError, SolStruct, eip712_domain, sol};
use serde_json::{Value, json};

use super::world::{CHAIN, COUNTER, World, call, create};
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_is_deployed_called_and_its_logs_read() {
    let world = World::new().await;
    let key = Key::new(1);
    let deployed = world.receipt(&create(&key, 0)).await;
    let counter: Address = serde_json::from_value(deployed["contractAddress"].clone()).unwrap();
    assert_eq!(counter, key.address.create(0));
    assert_eq!(deployed["status"], "0x1");
    assert_eq!(deployed["type"], "0x2");
    assert_eq!(deployed["to"], Value::Null);
    assert_eq!(deployed["from"], json!(key.address));
    let code = world.get("eth_getCode", json!([counter, "latest"])).await;
    assert_eq!(code, json!(Bytes::from_static(&COUNTER[9..])));

    let first = world.receipt(&call(&key, 1, counter, U256::ZERO, [])).await;
    let second = world.receipt(&call(&key, 2, counter, U256::ZERO, [])).await;
    assert_eq!(world.get("eth_getStorageAt", json!([counter, "0x0", "latest"])).await, json!(B256::with_last_byte(2)));
    let before = first["blockNumber"].clone();
    let slot = json!("0x0000000000000000000000000000000000000000000000000000000000000000");
    assert!(
        world.get("eth_getStorageAt", json!([counter, slot, before])).await.as_str().unwrap().ends_with("01"),
        "an old block keeps its state"
    );
    assert!(
        world
            .get(
                "eth_getStorageAt",
                json!([counter, slot, { "blockHash": first["blockHash"], "requireCanonical": true }])
            )
            .await
            .as_str()
            .unwrap()
            .ends_with("01")
    );

    let filter = json!([{ "address": counter, "topics": [b256!("000000000000000000000000000000000000000000000000000000000000002a")], "fromBlock": "earliest", "toBlock": "latest" }]);
    let logs = world.get("eth_getLogs", filter).await;
    assert_eq!(logs.as_array().unwrap().len(), 2);
    assert_eq!(logs[1]["transactionHash"], second["transactionHash"]);
    assert_eq!(logs[1], second["logs"][0]);
    assert_eq!(logs[0]["removed"], false);
    let at_block = json!([{ "address": [counter], "blockHash": first["blockHash"] }]);
    assert_eq!(world.get("eth_getLogs", at_block).await[0], first["logs"][0]);
    let none = json!([{ "address": counter, "topics": [[slot]], "fromBlock": "0x0" }]);
    assert_eq!(world.get("eth_getLogs", none).await, json!([]));

    // What an estimate says suffices, and what hardly pays for the call's start (21,100) does not.
    let request = json!({ "from": key.address, "to": counter });
    let gas: U256 = serde_json::from_value(world.get("eth_estimateGas", json!([request])).await).unwrap();
    assert!(gas >= U256::from(26_000), "{gas}");
    let enough = json!([{ "from": key.address, "to": counter, "gas": gas }, "latest"]);
    assert_eq!(world.get("eth_call", enough).await, "0x");
    let (code, _) = world.refusal("eth_call", json!([{ "from": key.address, "to": counter, "gas": "0x526c" }])).await;
    assert_eq!(code, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_tells_its_reason_and_its_data() {
    let world = World::new().await;
    let input: Bytes = MicroChannel::requestCloseCall { channelId: B256::repeat_byte(9) }.abi_encode().into();
    let data: Bytes = MicroChannel::NoSuchChannel { channelId: B256::repeat_byte(9) }.abi_encode().into();
    let request = json!({ "from": Key::new(1).address, "to": MICRO_CHANNEL, "input": input });
    for method in ["eth_call", "eth_estimateGas"] {
        let error = world.ask(method, json!([request, "latest"])).await.unwrap_err();
        assert_eq!(error.code(), 3, "{method}");
        assert!(error.message().starts_with("execution reverted: NoSuchChannel"), "{}", error.message());
        assert_eq!(error.data().unwrap().get(), json!(data).to_string());
    }
    // A transaction that reverts is in a block all the same.
    let failing = call(&Key::new(1), 0, MICRO_CHANNEL, U256::ZERO, input.to_vec());
    assert_eq!(world.receipt(&failing).await["status"], "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_leads_from_the_state_root_to_a_slot() {
    let world = World::new().await;
    let key = Key::new(1);
    let counter = world.deploy_counter(&key, 0).await;
    let counter: Address = serde_json::from_value(counter).unwrap();
    let receipt = world.receipt(&call(&key, 1, counter, U256::ZERO, [])).await;
    let block = world.get("eth_getBlockByHash", json!([receipt["blockHash"], false])).await;
    let proof = world.get("eth_getProof", json!([counter, ["0x0"], receipt["blockNumber"]])).await;
    let slot = &proof["storageProof"][0];
    assert_eq!(slot["value"], "0x1");
    let nodes: Vec<Bytes> = serde_json::from_value(slot["proof"].clone()).unwrap();
    let root = serde_json::from_value(proof["storageHash"].clone()).unwrap();
    let path = Nibbles::unpack(keccak256([0; 32]));
    verify_proof(root, path, Some(alloy_rlp::encode(U256::ONE)), &nodes).unwrap();
    let account = crate::state::Account {
        nonce: 1,
        balance: U256::ZERO,
        storage_root: root,
        code_hash: serde_json::from_value(proof["codeHash"].clone()).unwrap(),
    };
    let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
    let root = serde_json::from_value(block["stateRoot"].clone()).unwrap();
    verify_proof(root, Nibbles::unpack(keccak256(counter)), Some(alloy_rlp::encode(account)), &nodes).unwrap();
}

sol! {
    struct Voucher { bytes32 channelId; uint128 cumulativeAmount; }
}

/// What typed data (EIP-712) is, by another implementation.
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_makes_the_digest_of_the_drafts_typed_data() {
    let world = World::halted(|_| ()).await;
    let voucher = Voucher { channelId: B256::repeat_byte(7), cumulativeAmount: 123_456_789 };
    let Voucher { channelId, cumulativeAmount } = voucher;
    let input: Bytes = MicroChannel::getVoucherDigestCall { channelId, cumulativeAmount }.abi_encode().into();
    let digest = world.get("eth_call", json!([{ "to": MICRO_CHANNEL, "data": input }, "latest"])).await;
    let domain = eip712_domain! {
        name: "EVM Payment Channel",
        version: "1",
        chain_id: CHAIN,
        verifying_contract: MICRO_CHANNEL,
    };
    assert_eq!(digest, json!(voucher.eip712_signing_hash(&domain)));
}
